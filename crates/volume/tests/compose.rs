//! Layers are captured, put together on an operating system, and taken away again, in images that the file systems' own
//! tools judge.

mod made;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use made::forest::{Forest, file, folder, forest_of, plant, plant_over, states};
use made::guest::{
    GROUP, PASSWD, captured, composed, copy, edit, layer, linux, machine, package, read, taken_away, text,
};
use made::{Image, MIB, Made, changed_blocks, comparable, go_on, program, run};
use proptest::prelude::*;
use shale_disk::{Disk, ErrorKind, FileDisk, Memory};
use shale_volume::changes::Changes;
use shale_volume::compose::{Action, Layer, compose, preview};
use shale_volume::delta::{Change, Delta};
use shale_volume::known::Known;
use shale_volume::os::os_volume;
use shale_volume::stored::Writer;
use shale_volume::without::{States, without};

/// The chain of texts of an error.
fn said(e: &dyn std::error::Error) -> String {
    e.source().map_or(e.to_string(), |source| format!("{e}: {}", said(source)))
}

#[test]
fn two_layers_that_add_users_and_packages_are_put_together_and_files_have_their_owners() {
    let os = linux();
    let service = |name: &'static str| {
        machine(&os, move |guest| {
            guest.put("etc/passwd", &format!("{PASSWD}{name}:x:100:100::/:/bin/false\n"));
            guest.put("etc/group", &format!("{GROUP}{name}:x:100:\n"));
            guest.put("etc/shells", &format!("/bin/sh\n/bin/{name}\n"));
            guest.put_as(&format!("srv/{name}/data"), name, 100);
            guest.put("usr/lib/shared.so", "the same library");
            guest.put("etc/environment", &format!("PATH=/bin:/opt/{name}\n"));
            let packages = [package("app", "1"), package("libc6", "1"), package(name, "1")].concat();
            guest.put("var/lib/dpkg/status", &packages);
        })
    };
    let (web, db) = (service("web"), service("db"));
    let layers = [layer("web", &os, &web), layer("db", &os, &db)];
    let before = std::fs::read(os.path()).unwrap();
    let planned = preview(&program(), os.disk(), &layers, go_on()).unwrap();
    let (image, done) = composed(&os, &layers);
    assert!(std::fs::read(os.path()).unwrap() == before, "the operating system's disk is untouched");
    assert_eq!(planned, done, "what was planned is what is done");
    assert_eq!(planned.conflicts, []);

    assert_eq!(
        text(&image, "etc/passwd"),
        format!("{PASSWD}web:x:100:100::/:/bin/false\ndb:x:101:101::/:/bin/false\n")
    );
    assert_eq!(text(&image, "etc/group"), format!("{GROUP}web:x:100:\ndb:x:101:\n"));
    assert_eq!(text(&image, "etc/shells"), "/bin/sh\n/bin/web\n/bin/db\n");
    assert_eq!(text(&image, "etc/environment"), "PATH=/bin:/opt/web:/opt/db\n", "a list that is new in both");
    assert_eq!(read(&image, "srv/web/data").unwrap(), ("web".to_owned(), 100));
    assert_eq!(read(&image, "srv/db/data").unwrap(), ("db".to_owned(), 101));
    let status = text(&image, "var/lib/dpkg/status");
    let expected = [package("app", "1"), package("libc6", "1"), package("web", "1"), package("db", "1")];
    assert_eq!(status, expected.concat());

    let told: Vec<&str> = planned.warnings.iter().map(|warning| &warning.text[..]).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("the user 100 of 'db' is 101 in this image"), "{told:?}");
    let found: Vec<_> =
        planned.find("ETC/", "/etc/group").map(|line| (&line.path[..], line.action)).collect();
    assert_eq!(found, [("/etc/passwd", Action::Merged), ("/etc/shells", Action::Merged)]);
    let line = planned.find("shared.so", "").next().unwrap();
    assert_eq!((line.action, &line.layers[..], line.bytes), (Action::Added, &[1][..], 16));
    assert!(planned.layers.iter().all(|layer| layer.written <= layer.bytes + 1000 && layer.wins > 3));
    assert_eq!(composed(&image, &layers).0.disk().size(), image.disk().size());
}

#[test]
fn layers_twice_are_layers_once() {
    let os = linux();
    let now = machine(&os, |guest| {
        guest.put("etc/group", &format!("{GROUP}web:x:100:\n"));
        guest.put("opt/web/bin", "binary");
        guest.remove("etc/motd");
    });
    let layers = [layer("web", &os, &now)];
    let (once, _) = composed(&os, &layers);
    let (twice, _) = composed(&once, &layers);
    assert_eq!(comparable(&twice), comparable(&once));
    assert_eq!(read(&twice, "etc/motd"), None);
}

#[test]
fn a_platform_layer_of_an_older_version_works_with_a_newer_one_and_warns_where_files_changed_since() {
    let os = linux();
    let platform = machine(&os, |guest| {
        guest.put("opt/agent/agent", "agent");
        guest.put("etc/motd", "a machine of the platform");
        guest.put("usr/bin/app", "patched for the platform");
        guest.put(
            "var/lib/dpkg/status",
            &[package("agent", "1"), package("app", "1"), package("libc6", "1")].concat(),
        );
    });
    let platform = layer("tools", &os, &platform);
    let newer = machine(&os, |guest| {
        guest.put("usr/bin/app", "version two");
        guest.put("opt/agent/readme", "somebody else's");
        guest.put("opt/agent/agent", "agent");
        guest.touch("opt/agent/agent");
        guest.put("var/lib/dpkg/status", &(package("app", "2") + &package("libc6", "2")));
    });
    let (image, told) = composed(&newer, std::slice::from_ref(&platform));
    assert_eq!(text(&image, "usr/bin/app"), "patched for the platform");
    assert_eq!(text(&image, "etc/motd"), "a machine of the platform");
    assert_eq!(
        text(&image, "var/lib/dpkg/status"),
        [package("app", "2"), package("libc6", "2"), package("agent", "1")].concat()
    );
    let warnings: Vec<_> =
        told.warnings.iter().map(|warning| (warning.path.as_deref(), warning.layer)).collect();
    assert_eq!(warnings, [(Some("/usr/bin/app"), Some(0))]);
    assert!(told.warnings[0].text.contains("changed in the operating system since"));
    assert_eq!(composed(&os, &[platform]).1.warnings, []);
}

#[test]
fn rpms_list_of_packages_that_two_layers_change_is_a_conflict_with_what_that_means() {
    const LISTS: [&str; 2] = ["var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db"];
    let os = linux();
    edit(&os, |guest| LISTS.iter().for_each(|list| guest.put(list, "SQLite format 3: bash")));
    let with = |package: &'static str| {
        machine(&os, move |guest| {
            guest.put(&format!("usr/bin/{package}"), package);
            LISTS.iter().for_each(|list| guest.put(list, &format!("SQLite format 3: bash, {package}")));
        })
    };
    let (nginx, redis) = (layer("nginx", &os, &with("nginx")), layer("redis", &os, &with("redis")));
    let alone = preview(&program(), os.disk(), std::slice::from_ref(&nginx), go_on()).unwrap();
    assert_eq!((alone.conflicts, alone.warnings), (vec![], vec![]));
    let (image, told) = composed(&os, &[nginx, redis]);
    let conflicts: Vec<_> =
        told.conflicts.iter().map(|clash| (&clash.path[1..], clash.loser, clash.winner)).collect();
    assert_eq!(conflicts, [(LISTS[1], Some(0), Some(1)), (LISTS[0], Some(0), Some(1))]);
    for clash in &told.conflicts {
        let text = format!(
            "'nginx' and 'redis' both change '{}': that of 'redis' is taken; it is rpm's list of packages, which cannot be \
             put together: rpm will know the packages of one layer only",
            clash.path
        );
        assert_eq!(clash.text, text);
    }
    assert_eq!(text(&image, LISTS[0]), "SQLite format 3: bash, redis");
    assert_eq!(text(&image, "usr/bin/nginx"), "nginx", "the rest of both is there");
}

#[test]
fn a_moved_file_that_has_changed_since_is_moved_as_it_is_now_and_that_is_told() {
    let os = linux();
    edit(&os, |guest| guest.put("usr/lib/data", &"data".repeat(2000)));
    let now = machine(&os, |guest| {
        let (file, folder) = (guest.node("usr/lib/data"), guest.folder("usr/share"));
        guest.files.link(folder, b"data", file).unwrap();
        guest.remove("usr/lib/data");
    });
    let mover = layer("mover", &os, &now);
    let newer = machine(&os, |guest| guest.put("usr/lib/data", &"newer data".repeat(2000)));
    let (image, told) = composed(&newer, std::slice::from_ref(&mover));
    assert_eq!(text(&image, "usr/share/data"), "newer data".repeat(2000));
    assert_eq!(read(&image, "usr/lib/data"), None);
    let time = |image: &Image, path: &str| comparable(image)[path.as_bytes()].facts.modified;
    assert_eq!(time(&image, "usr/share/data"), time(&newer, "usr/lib/data"), "the time of its content");
    assert_eq!(told.conflicts, []);
    let told: Vec<&str> = told.warnings.iter().map(|warning| &warning.text[..]).collect();
    let expected = "'mover' moves '/usr/lib/data' to '/usr/share/data', and it has changed in the operating system since the \
                    layer was made: the changed file is moved";
    assert_eq!(told, [expected]);
    assert_eq!(composed(&os, &[mover]).1.warnings, []);
}

#[test]
fn what_is_made_on_top_of_another_layer_is_no_conflict_with_it() {
    let os = linux();
    let below = machine(&os, |guest| {
        guest.put("opt/below/conf", "as it comes");
        guest.put("opt/below/tool", "tool");
        guest.put("opt/below/gone", "gone");
    });
    let lower = layer("below", &os, &below);
    let above = machine(&below, |guest| {
        guest.put("opt/below/conf", "as the upper one wants it");
        guest.chmod("opt/below/tool", 0o4755);
        guest.remove("opt/below/gone");
    });
    let upper = layer("above", &below, &above);
    let (image, told) = composed(&os, &[lower, upper.clone()]);
    assert_eq!(told.conflicts, []);
    assert_eq!(comparable(&image)[&b"opt/below/tool"[..]].facts.mode, 0o4755);
    assert_eq!(text(&image, "opt/below/tool"), "tool");
    assert_eq!(text(&image, "opt/below/conf"), "as the upper one wants it");
    assert_eq!(read(&image, "opt/below/gone"), None);

    let other = machine(&os, |guest| guest.put("opt/below/conf", "from elsewhere"));
    let told = preview(&program(), os.disk(), &[layer("other", &os, &other), upper], go_on()).unwrap();
    let conflicts: Vec<&str> = told.conflicts.iter().map(|clash| &clash.text[..]).collect();
    assert_eq!(conflicts.len(), 2, "{conflicts:?}");
    assert_eq!(conflicts[0], "'other' and 'above' both change '/opt/below/conf': that of 'above' is taken");
    assert!(conflicts[1].contains("'/opt/below/tool', which this operating system does not have"));
}

#[test]
fn a_version_made_with_a_platform_layer_has_nothing_of_it() {
    let os = linux();
    let tools = machine(&os, |guest| {
        guest.put("etc/passwd", &format!("{PASSWD}agent:x:100:100::/:/bin/false\n"));
        guest.put("etc/motd", "a machine of the platform");
        guest.put_as("opt/agent/agent", "agent 1", 100);
        guest.put("usr/bin/agentctl", "control");
        let status = [package("agent", "1"), package("app", "1"), package("libc6", "1")];
        guest.put("var/lib/dpkg/status", &status.concat());
    });
    let platform = layer("tools", &os, &tools);
    let (given, _) = composed(&os, std::slice::from_ref(&platform));
    let now = machine(&given, |guest| {
        let accounts = format!("{PASSWD}agent:x:100:100::/:/bin/false\nweb:x:101:101::/:/bin/false\n");
        guest.put("etc/passwd", &accounts);
        guest.put("usr/bin/app", "version two");
        guest.put("etc/motd", "changed by a person");
        guest.put("opt/agent/agent", "agent 2");
        guest.put("opt/agent/log", "started");
        guest.put("srv/new", "new");
        guest.remove("etc/shells");
        let web = package("web", "1").replace("Version", "Depends: agent (>= 1), libc6\nVersion");
        let status = [package("app", "2"), package("libc6", "1"), package("agent", "2"), web];
        guest.put("var/lib/dpkg/status", &status.concat());
    });
    let (image, done) = taken_away(&os, &platform, &given, &now);
    assert_eq!(text(&image, "etc/passwd"), format!("{PASSWD}web:x:101:101::/:/bin/false\n"));
    assert_eq!(text(&image, "usr/bin/app"), "version two");
    assert_eq!(text(&image, "srv/new"), "new");
    assert_eq!(read(&image, "etc/shells"), None);
    let status = text(&image, "var/lib/dpkg/status");
    let packages: Vec<&str> = status.lines().filter_map(|line| line.strip_prefix("Package: ")).collect();
    assert_eq!(packages, ["app", "libc6", "web"]);
    for gone in ["opt/agent/agent", "opt/agent/log", "usr/bin/agentctl"] {
        assert_eq!(read(&image, gone), None, "{gone}");
    }
    assert_eq!(done.left_out, ["/opt/agent/agent", "/opt/agent/log"]);
    assert_eq!(text(&image, "etc/motd"), "changed by a person");
    assert_eq!(done.conflicts.len(), 3, "{:?}", done.conflicts);
    assert!(done.conflicts[0].contains("'/etc/motd'"), "{:?}", done.conflicts);
    assert!(done.conflicts[1].contains("agent:amd64"), "{:?}", done.conflicts);
    assert!(done.conflicts[2].contains("the package 'web' needs 'agent'"), "{:?}", done.conflicts);

    let (again, told) = composed(&image, &[platform]);
    assert_eq!(text(&again, "opt/agent/agent"), "agent 1");
    let stale: Vec<_> = told.warnings.iter().map(|warning| warning.path.as_deref()).collect();
    assert_eq!(stale, [Some("/etc/motd")], "the layer goes on working with the new version");
}

#[test]
fn of_a_file_with_several_names_those_outside_the_platform_layer_stay() {
    let os = linux();
    let tools = machine(&os, |guest| guest.put("opt/agent/agent", "agent"));
    let platform = layer("tools", &os, &tools);
    let (given, _) = composed(&os, std::slice::from_ref(&platform));
    let now = machine(&given, |guest| {
        guest.put("opt/agent/shared", "shared");
        let (node, folder) = (guest.node("opt/agent/shared"), guest.folder("usr/share"));
        guest.files.link(folder, b"one", node).unwrap();
        guest.files.link(folder, b"two", node).unwrap();
    });
    let (image, done) = taken_away(&os, &platform, &given, &now);
    assert_eq!(done.left_out, ["/opt/agent/shared"]);
    assert_eq!(text(&image, "usr/share/one"), "shared");
    assert_eq!(comparable(&image)[&b"usr/share/two"[..]].first, b"usr/share/one");
}

#[test]
fn what_is_excluded_is_counted_and_an_administrator_can_exclude_more() {
    let os = linux();
    let now = machine(&os, |guest| {
        guest.put("etc/machine-id", "id");
        guest.put("tmp/x/y", "y");
        guest.put("opt/app/cache/z", "z");
        guest.put("opt/app/bin", "binary");
        guest.put("usr/local/bin/shutdown-for-finalize", "the tool");
    });
    let (shipped, made) = captured("one", &os, &now, "");
    assert_eq!((made.excluded, &made.notes[..]), (4, &[][..]));
    let (more, made) = captured("two", &os, &now, "[linux]\npaths = [\"opt/app/cache/**\"]");
    assert_eq!(made.excluded, 5);
    let (image, _) = composed(&os, &[more]);
    assert_eq!((read(&image, "opt/app/cache/z"), read(&image, "etc/machine-id")), (None, None));
    assert!(read(&composed(&os, &[shipped]).0, "opt/app/cache/z").is_some());
    let file = tempfile::tempfile().unwrap();
    let e = shale_volume::capture::layer_of(&program(), os.disk(), now.disk(), None, "[linux", file, go_on());
    assert_eq!(e.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// A disk with a table, and file systems in its partitions.
fn partitioned(parts: &[&Image]) -> Image {
    let disk = Image::new(Made::Ext4, 64 * MIB, None);
    File::create(disk.path()).unwrap().set_len((1 + 25 * parts.len() as u64 + 1) * MIB).unwrap();
    for (number, part) in (0..).zip(parts) {
        let (start, path) = (1 + 25 * number, disk.path());
        let path = path.to_str().unwrap();
        run("sgdisk", &[&format!("--new=0:{start}MiB:+24MiB"), path]);
        let bytes = std::fs::read(part.path()).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, start * MIB).unwrap();
    }
    disk
}

fn data() -> Image {
    let image = Image::new(Made::Ext4, 24 * MIB, None);
    edit(&image, |guest| guest.put("data", "only data"));
    image
}

#[test]
fn changes_outside_the_operating_systems_volume_are_noted_and_no_part_of_the_layer() {
    let (os, data) = (linux(), data());
    let base = partitioned(&[&data, &os]);
    let changed = machine(&os, |guest| guest.put("opt/app", "app"));
    let other = machine(&data, |guest| guest.put("data", "changed"));
    let now = partitioned(&[&other, &changed]);
    let blocks = changed_blocks(&base, &now);
    let file = tempfile::tempfile().unwrap();
    let (program, watch) = (program(), go_on());
    let made =
        shale_volume::capture::layer_of(&program, base.disk(), now.disk(), Some(&blocks), "", file, watch);
    let made = made.unwrap();
    assert!(made.entries <= 3, "{made:?}");
    let table = "the disk outside its partitions (partition table, boot loader) changed: that is no part of the layer";
    let part = "partition 1 (ext) changed: that is no part of the layer";
    assert_eq!(made.notes, [table, part], "the tables have other identifiers");
    assert_eq!(os_volume(&program, &now.disk()).unwrap().range, 26 * MIB..50 * MIB);
}

/// An EFI partition with a boot loader of this content.
fn efi(loader: &[u8]) -> Image {
    let image = Image::new(Made::Fat16, 24 * MIB, None);
    update(&image, loader);
    image
}

/// Puts another boot loader into an EFI partition.
fn update(image: &Image, loader: &[u8]) {
    let (file, path) = (image.folder.path().join("shimx64.efi"), image.path());
    std::fs::write(&file, loader).unwrap();
    run("mcopy", &["-o", "-i", path.to_str().unwrap(), file.to_str().unwrap(), "::/"]);
    image.judge();
}

#[test]
fn what_a_machine_did_to_an_efi_partition_is_told_file_by_file_and_part_of_an_operating_systems_version() {
    let (os, boot) = (linux(), efi(&[1; 70_000]));
    let base = partitioned(&[&boot, &os]);
    let notes = |boot: &Image| {
        let now = copy(&base);
        whole(&now, boot, 1);
        whole(&now, &machine(&os, |guest| guest.put("opt/app", "app")), 26);
        captured("app", &base, &now, "").1.notes
    };
    let updated = copy(&boot);
    update(&updated, &[2; 70_000]);
    let told = notes(&updated);
    assert!(told.len() == 1 && told[0].contains("partition 1 (FAT) changed ('/shimx64.efi')"), "{told:?}");
    let mounted = copy(&boot);
    // The label, which is no file: what a mount leaves behind is told to nobody.
    run("mlabel", &["-i", mounted.path().to_str().unwrap(), "::OTHER"]);
    assert_eq!(notes(&mounted), Vec::<String>::new());

    let tools = machine(&os, |guest| guest.put("opt/agent", "agent"));
    let platform = layer("tools", &os, &tools);
    let (given, now) = (copy(&base), copy(&base));
    whole(&given, &tools, 26);
    whole(&now, &machine(&tools, |guest| guest.put("srv/new", "new")), 26);
    whole(&now, &updated, 1);
    let states = States { old: base.disk(), composed: given.disk(), now: now.disk() };
    let changed = changed_blocks(&given, &now);
    let done = without(&program(), &states, Some(&changed), &platform, base.folder.path(), go_on()).unwrap();
    let mut bytes = vec![0; 24 << 20];
    done.changes.disk().read_at(&mut bytes, MIB).unwrap();
    std::fs::write(boot.path(), bytes).unwrap();
    boot.judge();
    let loader = made::output("mtype", &["-i", boot.path().to_str().unwrap(), "::/shimx64.efi"]);
    assert!(loader.stdout == [2; 70_000]);
}

/// Puts a part into a disk.
fn whole(disk: &Image, part: &Image, at: u64) {
    let file = File::options().write(true).open(disk.path()).unwrap();
    let bytes = std::fs::read(part.path()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, at * MIB).unwrap();
}

#[test]
fn changes_outside_the_operating_systems_volume_are_part_of_its_version() {
    let (os, data) = (linux(), data());
    let tools = machine(&os, |guest| guest.put("opt/agent", "agent"));
    let old = partitioned(&[&data, &os]);
    let given = copy(&old);
    whole(&given, &tools, 26);
    let platform = layer("tools", &os, &tools);
    let now = copy(&given);
    whole(&now, &machine(&tools, |guest| guest.put("srv/new", "new")), 26);
    whole(&now, &machine(&data, |guest| guest.put("data", "changed")), 1);
    for changed in [Some(changed_blocks(&given, &now)), None] {
        let states = States { old: old.disk(), composed: given.disk(), now: now.disk() };
        let folder = old.folder.path();
        let done = without(&program(), &states, changed.as_deref(), &platform, folder, go_on()).unwrap();
        let part = |at: u64| {
            let image = Image::new(Made::Ext4, 24 * MIB, None);
            let mut bytes = vec![0; 24 << 20];
            done.changes.disk().read_at(&mut bytes, at * MIB).unwrap();
            std::fs::write(image.path(), bytes).unwrap();
            image.judge();
            image
        };
        assert_eq!(text(&part(1), "data"), "changed");
        assert_eq!((text(&part(26), "srv/new"), read(&part(26), "opt/agent")), ("new".to_owned(), None));
    }
}

#[test]
fn a_disk_without_one_operating_system_that_can_be_read_is_refused_by_what_it_has() {
    let refused = |disk: Arc<dyn Disk>| {
        let e = os_volume(&program(), &disk).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
        said(&e)
    };
    let (os, data) = (linux(), data());
    assert!(refused(data.disk()).contains("no operating system"));
    assert!(
        refused(partitioned(&[&os, &data, &os]).disk())
            .contains("Linux in partition 1, Linux in partition 3")
    );
    let mut luks = vec![0; 4 << 20];
    luks[..6].copy_from_slice(b"LUKS\xba\xbe");
    assert!(refused(Arc::new(Memory(luks.clone()))).contains("encrypted (LUKS)"));
    let hidden = Image::new(Made::Ext4, 24 * MIB, None);
    luks.resize(24 << 20, 0);
    std::fs::write(hidden.path(), luks).unwrap();
    let said = refused(partitioned(&[&data, &hidden]).disk());
    assert!(said.contains("partition 2 holds LUKS"), "{said}");
    assert_eq!(os_volume(&program(), &partitioned(&[&os, &hidden]).disk()).unwrap().known, Known::Ext);
}

#[test]
fn a_layer_of_another_family_is_refused() {
    let os = linux();
    let windows = Image::new(Made::Ntfs, 24 * MIB, None);
    edit(&windows, |guest| guest.put("Windows/System32/kernel32.dll", "kernel"));
    let now = machine(&windows, |guest| guest.put("Program Files/App/app.exe", "app"));
    let app = layer("app", &windows, &now);
    assert_eq!(text(&composed(&windows, std::slice::from_ref(&app)).0, "Program Files/App/app.exe"), "app");
    let e = preview(&program(), os.disk(), &[app], go_on()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert!(e.to_string().contains("'app' was made on NTFS"), "{e}");
}

#[test]
fn a_disk_that_fills_up_is_told_before_and_leaves_the_operating_system_as_it_was() {
    let os = linux();
    let large = Image::new(Made::Ext4, 96 * MIB, None);
    edit(&large, |guest| {
        guest.put("usr/bin/app", "version one");
        guest.put("etc/passwd", PASSWD);
    });
    let now = machine(&large, |guest| guest.fill("opt/large", &vec![7; 40 << 20], 0));
    let layers = [layer("large", &large, &now)];
    let before = std::fs::read(os.path()).unwrap();
    let told = preview(&program(), os.disk(), &layers, go_on()).unwrap();
    assert!(told.warnings.iter().any(|warning| warning.text.contains("the disk may have to be larger")));
    let changes = Arc::new(Changes::new(os.disk(), os.folder.path()).unwrap());
    let e = compose(&program(), &changes, &layers, go_on()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Full, "{}", said(&e));
    assert!(e.to_string().contains("no room") && e.to_string().contains("40 MiB"), "{e}");
    drop(changes);
    assert!(std::fs::read(os.path()).unwrap() == before);
}

#[test]
fn names_that_lead_out_of_their_folder_are_refused() {
    let os = linux();
    for path in ["../evil", "etc/../../evil", "/evil", "etc//evil", "etc/.", "etc/evil\0"] {
        let changes = BTreeMap::from([(path.as_bytes().to_vec(), Change::Removed)]);
        let delta = Delta { kind: Known::Ext, changes, was: BTreeMap::new() };
        let file = os.folder.path().join("delta");
        Writer::new(File::create(&file).unwrap()).finish(&delta).unwrap();
        let layer = Layer { name: "evil".to_owned(), delta: Arc::new(FileDisk::open(&file).unwrap()) };
        let e = preview(&program(), os.disk(), &[layer], go_on()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Corrupt, "{path}");
        assert!(said(&e).contains("impossible"), "{}", said(&e));
    }
}

/// A forest with what makes a volume an operating system's.
fn with_system(kind: Made, forest: &Forest) -> Forest {
    let system = if kind == Made::Ntfs {
        forest_of(&[("Windows", folder()), ("Windows/System32", folder())])
    } else {
        forest_of(&[("usr", folder()), ("etc", folder()), ("etc/passwd", file(1, 0, 1))])
    };
    forest.iter().chain(&system).map(|(path, grown)| (path.clone(), grown.clone())).collect()
}

/// An image of `forest`, and one that a machine made of it.
fn grown_images(kind: Made, first: &Forest, second: &Forest) -> (Image, Image) {
    let os = Image::new(kind, 24 * MIB, None);
    plant(&os, &with_system(kind, first));
    let now = copy(&os);
    plant_over(&now, &with_system(kind, second));
    (os, now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_layer_that_is_put_on_and_taken_away_leaves_the_operating_system(
        (kind, (first, second)) in prop::sample::select(vec![Made::Ext4, Made::Ntfs])
            .prop_flat_map(|kind| (Just(kind), states(kind))),
    ) {
        let (os, now) = grown_images(kind, &first, &second);
        let platform = layer("platform", &os, &now);
        let (given, _) = composed(&os, std::slice::from_ref(&platform));
        prop_assert_eq!(comparable(&given), comparable(&now));
        let (again, _) = composed(&given, std::slice::from_ref(&platform));
        prop_assert_eq!(comparable(&again), comparable(&given));
        let (left, done) = taken_away(&os, &platform, &given, &given);
        prop_assert_eq!(comparable(&left), comparable(&os));
        prop_assert_eq!((done.left_out.len(), done.conflicts.len()), (0, 0));
    }

    #[test]
    fn layers_that_touch_different_paths_commute(
        (kind, (base, one), (_, two)) in prop::sample::select(vec![Made::Ext4, Made::Ntfs])
            .prop_flat_map(|kind| (Just(kind), states(kind), states(kind))),
    ) {
        // A name of a file is one of the last three before it: of its own half.
        let below = |root: &str, forest: &Forest| -> Forest {
            let moved = forest.iter().map(|(path, grown)| (format!("{root}/{path}"), grown.clone()));
            let first = (0..3).map(|number| (format!("{root}/!{number}"), file(number, 10, 1)));
            moved.chain(first).chain([(root.to_owned(), folder())]).collect()
        };
        let join = |a: Forest, b: &Forest| -> Forest {
            b.iter().map(|(path, grown)| (path.clone(), grown.clone())).chain(a).collect()
        };
        let both = join(below("one", &base), &below("two", &base));
        let (os, first) = grown_images(kind, &both, &join(below("one", &one), &below("two", &base)));
        let second = copy(&os);
        plant_over(&second, &with_system(kind, &join(below("one", &base), &below("two", &two))));
        let (first, second) = (layer("one", &os, &first), layer("two", &os, &second));
        let (there, told) = composed(&os, &[first.clone(), second.clone()]);
        prop_assert_eq!(&told.conflicts, &[]);
        let (back, _) = composed(&os, &[second, first]);
        prop_assert_eq!(comparable(&back), comparable(&there));
    }
}
