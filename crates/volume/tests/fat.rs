//! FAT as its own tools see it, in both directions, and deltas of it: judged by fsck.fat, mtools and sleuthkit.

mod made;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use made::forest::{file, folder, forest_of, plant, plant_over, states};
use made::{Image, MIB, Made, changed_blocks, content, go_on, program, run, see, there_and_back};
use proptest::prelude::*;
use shale_disk::{Disk, ErrorKind};
use shale_volume::changes::Changes;
use shale_volume::diff::diff;
use shale_volume::exclude::Exclusions;
use shale_volume::files::{Attributes, Facts, Files, Filling, Kind, Making, Moment};
use shale_volume::health::{Health, health};
use shale_volume::known::{Known, Volume};
use shale_volume::stored::Writer;
use shale_volume::tree::Tree;

const ALL: [Made; 3] = [Made::Fat12, Made::Fat16, Made::Fat32];

fn size(kind: Made) -> u64 {
    match kind {
        Made::Fat12 => 4 * MIB,
        Made::Fat16 => 24 * MIB,
        _ => 40 * MIB,
    }
}

fn image(kind: Made) -> Image {
    Image::new(kind, size(kind), None)
}

/// One of mtools; clocks are in UTC, names in UTF-8.
fn mtools(tool: &str, image: &Image, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(tool)
        .arg("-i")
        .arg(image.path())
        .args(arguments)
        .envs([("PATH", "/usr/bin:/bin"), ("TZ", "UTC"), ("LC_ALL", "C.UTF-8")])
        .output()
        .unwrap_or_else(|e| panic!("{tool} cannot be started: {e}"));
    assert!(output.status.success(), "{tool} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn set_time(path: &Path, seconds: u64) {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
}

fn fill(files: &mut Files, node: u64, bytes: &[u8]) {
    let give = &mut |at: u64, buffer: &mut [u8]| {
        buffer.copy_from_slice(&bytes[at as usize..at as usize + buffer.len()]);
        Ok(())
    };
    let ranges: Vec<_> =
        if bytes.is_empty() { vec![] } else { std::iter::once(0..bytes.len() as u64).collect() };
    let filling = Filling { size: bytes.len() as u64, ranges: &ranges, compressed: false, content: give };
    files.fill(node, b"", filling).unwrap();
}

/// The chain of texts of an error.
fn said(e: &dyn std::error::Error) -> String {
    e.source().map_or(e.to_string(), |source| format!("{e}: {}", said(source)))
}

#[test]
fn what_mtools_write_is_read() {
    let names = [
        "BOOTX64.EFI",
        "shimx64.efi",
        "Mixed.Cfg",
        "Größe und mehr, ein langer Name.txt",
        "no ending",
        ".hidden",
    ];
    for kind in ALL {
        let image = image(kind);
        mtools("mmd", &image, &["::/EFI", "::/EFI/debian"]);
        let host = tempfile::tempdir().unwrap();
        for (number, name) in (1..).zip(names) {
            let path = host.path().join(name);
            fs::write(&path, vec![number as u8; number * 7000]).unwrap();
            set_time(&path, 1_600_000_000 + 2 * number as u64);
            mtools("mcopy", &image, &["-m", path.to_str().unwrap(), "::/EFI/debian/"]);
        }
        mtools("mattrib", &image, &["+h", "+r", "::/EFI/debian/shimx64.efi"]);
        let mut files = image.open();
        assert_eq!(files.kind(), Known::Fat);
        let seen = see(&mut files);
        assert_eq!(seen.len(), 3 + names.len(), "{kind:?} {:?}", seen.keys());
        for (number, name) in (1..).zip(names) {
            let found = &seen[format!("EFI/debian/{name}").as_bytes()];
            assert_eq!(found.streams[0].1, vec![number as u8; number * 7000]);
            assert_eq!(found.facts.modified.seconds, 1_600_000_000 + 2 * number as i64, "{name}");
        }
        assert_eq!(
            seen[&b"EFI/debian/shimx64.efi"[..]].attributes.get(b"system.fat_attrib").unwrap(),
            [0x23]
        );
        assert!(seen[&b"EFI/debian/shimx64.efi"[..]].attributes.get(b"system.fat_short_name").is_none());
        let short = seen[&b"EFI/debian/no ending"[..]].attributes.get(b"system.fat_short_name").unwrap();
        assert_eq!(short, b"NOENDI~1   ");
    }
}

/// A folder with names of every kind; those that hold something hold `content`.
fn make_folder(files: &mut Files, facts: &Facts, content: &[u8]) {
    let root = files.root();
    let folder = files.make(Making { parent: root, name: b"EFI", kind: &Kind::Folder }).unwrap();
    let names = ["BOOTX64.EFI", "grubx64.efi", "Größe und mehr, ein langer Name.txt", "empty", "日本語"];
    for name in names {
        let node = files.make(Making { parent: folder, name: name.as_bytes(), kind: &Kind::File }).unwrap();
        fill(files, node, if name == "empty" { b"" } else { content });
        let bits = Attributes::from_iter([(&b"system.fat_attrib"[..], [0x22])]);
        files.describe(node, folder, facts, &bits).unwrap();
    }
    let last = files.make(Making { parent: folder, name: b"a made-up name", kind: &Kind::File }).unwrap();
    let short = Attributes::from_iter([(&b"system.fat_short_name"[..], *b"OTHER   NAM")]);
    files.describe(last, folder, facts, &short).unwrap();
    files.describe(folder, root, facts, &Attributes::new()).unwrap();
}

/// The same folder, name by name.
fn remove_folder(files: &mut Files) {
    let root = files.root();
    let folder = files.folder(root).unwrap()[0].1.node;
    assert!(files.remove(root, b"EFI").is_err(), "it is not empty");
    for (name, _) in files.folder(folder).unwrap() {
        files.remove(folder, &name).unwrap();
    }
    files.remove(root, b"EFI").unwrap();
}

#[test]
fn what_is_written_is_what_mtools_and_sleuthkit_show_and_fsck_finds_nothing() {
    let moment = |seconds, nanoseconds| Moment { seconds, nanoseconds };
    let facts = Facts {
        modified: moment(1_700_000_002, 0),
        accessed: moment(1_699_920_000, 0),
        born: moment(1_500_000_001, 230_000_000),
        ..Facts::default()
    };
    for kind in ALL {
        let image = image(kind);
        let large: Vec<u8> = (0..345_678u32).map(|i| (i / 13) as u8).collect();
        image.change(|files| make_folder(files, &facts, &large));
        image.judge();
        let listed = text(mtools("mdir", &image, &["-a", "::/EFI"]));
        for expected in [
            "BOOTX64  EFI",
            "grubx64.efi",
            "Größe und mehr, ein langer Name.txt",
            "日本語",
            "2023-11-14  22:13",
        ] {
            assert!(listed.contains(expected), "{expected} is not in {listed}");
        }
        let other = listed.lines().find(|line| line.contains("a made-up name")).unwrap();
        assert!(other.starts_with("OTHER    NAM"), "{other}");
        assert!(mtools("mtype", &image, &["::/EFI/GRUBX64.EFI"]) == large);
        let bits = text(mtools("mattrib", &image, &["::/EFI/BOOTX64.EFI"]));
        assert!(bits.contains('A') && bits.contains('H') && !bits.contains('R'), "{bits}");
        let path = image.path();
        let shown = made::run("fls", &["-f", "fat", "-r", "-l", "-z", "UTC", path.to_str().unwrap()]);
        let line = shown.lines().find(|line| line.contains("BOOTX64.EFI")).unwrap();
        for expected in ["2023-11-14 22:13:22", "2023-11-14 00:00:00", "2017-07-14 02:40:01"] {
            assert!(line.contains(expected), "{expected} is not in {line}");
        }
        let seen = see(&mut image.open());
        assert_eq!(seen[&b"EFI/empty"[..]].facts, facts);
        assert_eq!(seen[&b"EFI"[..]].facts, facts);
        image.change(remove_folder);
        image.judge();
        assert_eq!(see(&mut image.open()).len(), 1, "only the root is left");
        let free = |image: &Image| {
            text(mtools("minfo", image, &["::"]))
                .lines()
                .find(|l| l.contains("free clusters"))
                .map(str::to_owned)
        };
        assert_eq!(free(&image), free(&Image::new(kind, size(kind), None)));
    }
}

#[test]
fn names_are_one_in_whatever_letters_and_keep_those_they_were_given() {
    let image = image(Made::Fat32);
    image.change(|files| {
        let root = files.root();
        let mut make =
            |name: &str| files.make(Making { parent: root, name: name.as_bytes(), kind: &Kind::File });
        make("Straße").unwrap();
        make("loader.conf").unwrap();
        for taken in ["STRAßE", "LOADER.CONF"] {
            assert!(make(taken).unwrap_err().to_string().contains("there already"), "{taken}");
        }
        for bad in ["a:b", "a\\b", "ends with a dot.", "what?", "tab\t", "a/b", "..", ""] {
            assert!(make(bad).is_err(), "{bad}");
        }
        assert!(
            files
                .make(Making { parent: root, name: b"link", kind: &Kind::Link { target: b"x".to_vec() } })
                .is_err()
        );
    });
    image.judge();
    let names: Vec<_> =
        see(&mut image.open()).into_keys().skip(1).map(|name| String::from_utf8(name).unwrap()).collect();
    assert_eq!(names, ["Straße", "loader.conf"]);
}

#[test]
fn a_folder_grows_and_the_root_of_a_small_one_fills_up() {
    let many = |image: &Image, count: usize| {
        let changes = Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
        let mut files = Files::open_to_write(&program(), changes.clone(), 0..changes.size()).unwrap();
        let (root, mut failed) = (files.root(), None);
        for number in 0..count {
            let name = format!("a file with a long name, number {number}");
            if let Err(e) = files.make(Making { parent: root, name: name.as_bytes(), kind: &Kind::File }) {
                failed = Some(e);
                break;
            }
        }
        files.close().unwrap();
        image.take(&changes);
        image.judge();
        failed
    };
    let wide = image(Made::Fat32);
    assert!(many(&wide, 600).is_none());
    assert_eq!(see(&mut wide.open()).len(), 601);
    let e = many(&image(Made::Fat12), 600).unwrap();
    assert_eq!(e.kind(), ErrorKind::Full);
    assert!(e.to_string().contains("root folder has no room"), "{e}");
}

#[test]
fn a_disk_that_fills_up_is_an_error_of_its_own() {
    let image = image(Made::Fat12);
    let changes = Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
    let mut files = Files::open_to_write(&program(), changes.clone(), 0..changes.size()).unwrap();
    let root = files.root();
    let node = files.make(Making { parent: root, name: b"too much", kind: &Kind::File }).unwrap();
    for (size, kind) in [(64 * MIB, ErrorKind::Full), (5 << 30, ErrorKind::Unsupported)] {
        let whole = 0..size;
        let content = &mut |_: u64, _: &mut [u8]| Ok(());
        let filling = Filling { size, ranges: std::slice::from_ref(&whole), compressed: false, content };
        assert_eq!(files.fill(node, b"", filling).unwrap_err().kind(), kind);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_delta_makes_one_state_of_fat_from_another(which in 0usize..3, (first, second) in states(Made::Fat32)) {
        let (a, b) = (image(ALL[which]), image(ALL[which]));
        plant(&a, &first);
        fs::copy(a.path(), b.path()).unwrap();
        plant_over(&b, &second);
        b.judge();
        there_and_back(&a, &b);
    }
}

#[test]
fn an_update_of_the_boot_loader_with_other_tools_is_a_delta() {
    for kind in ALL {
        let (a, b) = (image(kind), image(kind));
        let host = tempfile::tempdir().unwrap();
        let put = |image: &Image, name: &str, bytes: &[u8], to: &str| {
            let path = host.path().join(name);
            fs::write(&path, bytes).unwrap();
            mtools("mcopy", image, &["-o", path.to_str().unwrap(), to]);
        };
        mtools("mmd", &a, &["::/EFI", "::/EFI/debian", "::/EFI/BOOT"]);
        put(&a, "shimx64.efi", &[1; 90_000], "::/EFI/debian/");
        put(&a, "grub.cfg", b"search.fs_uuid", "::/EFI/debian/");
        fs::copy(a.path(), b.path()).unwrap();
        put(&b, "shimx64.efi", &[2; 90_000], "::/EFI/debian/");
        put(&b, "fbx64.efi", &[3; 50_000], "::/EFI/BOOT/");
        mtools("mren", &b, &["::/EFI/debian/grub.cfg", "::/EFI/debian/other"]);
        mtools("mren", &b, &["::/EFI/debian/other", "::/EFI/debian/GRUB.CFG"]);
        mtools("mattrib", &b, &["+h", "::/EFI/BOOT"]);
        b.judge();
        there_and_back(&a, &b);
        assert!(mtools("mtype", &a, &["::/EFI/debian/shimx64.efi"]) == [2; 90_000]);
    }
}

#[test]
fn content_that_changed_within_two_seconds_is_found_without_knowing_the_blocks() {
    let (a, b) = (image(Made::Fat16), image(Made::Fat16));
    plant(&a, &forest_of(&[("one", file(1, 5000, 1_600_000_000)), ("two", folder())]));
    fs::copy(a.path(), b.path()).unwrap();
    plant_over(&b, &forest_of(&[("one", file(2, 5000, 1_600_000_000)), ("two", folder())]));
    let mut writer = Writer::new(tempfile::tempfile().unwrap());
    let none = Exclusions::default();
    let found = diff(&mut a.open(), &mut b.open(), None, &none, &mut writer, go_on()).unwrap();
    assert_eq!(found.changes.into_keys().collect::<Vec<_>>(), [b"one".to_vec()]);
}

/// Changes bytes of an image.
fn poke(image: &Image, at: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    fs::File::options().write(true).open(image.path()).unwrap().write_all_at(bytes, at).unwrap();
}

#[test]
fn files_of_one_size_and_time_that_changed_places_are_found() {
    let (a, b) = (image(Made::Fat16), image(Made::Fat16));
    let at = 1_600_000_000;
    plant(&a, &forest_of(&[("one", file(1, 5000, at)), ("two", file(2, 5000, at))]));
    fs::copy(a.path(), b.path()).unwrap();
    let places = [b"ONE        ", b"TWO        "].map(|name| slot(&a, name) + 26);
    let bytes = fs::read(a.path()).unwrap();
    let clusters = places.map(|place| &bytes[place as usize..][..2]);
    poke(&b, places[0], clusters[1]);
    poke(&b, places[1], clusters[0]);
    b.judge();
    let mut writer = Writer::new(tempfile::tempfile().unwrap());
    let (none, changed) = (Exclusions::default(), changed_blocks(&a, &b));
    let found = diff(&mut a.open(), &mut b.open(), Some(&changed), &none, &mut writer, go_on()).unwrap();
    assert_eq!(found.changes.into_keys().collect::<Vec<_>>(), [b"one", b"two"]);
}

/// What opening it says, to be read and to be written. What is refused to be written is to be read whole, too, but for copies of
/// its table.
fn refusals(image: &Image) -> [String; 2] {
    let read = || -> shale_disk::Result<Tree> {
        let disk = image.disk();
        let size = disk.size();
        Tree::read(&mut Files::open(&program(), disk, 0..size)?, go_on())
    };
    let changes = Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
    let written = Files::open_to_write(&program(), changes, 0..image.disk().size());
    let whole = Files::open_to_read_all(&program(), image.disk(), 0..image.disk().size());
    let [written, whole] = [written, whole].map(|files| files.map_or_else(|e| said(&e), |_| String::new()));
    assert!(whole == written || written.contains("the copies of its table differ"), "{whole}");
    [read().map_or_else(|e| said(&e), |_| String::new()), written]
}

#[test]
fn one_that_was_not_unmounted_is_refused_and_its_health_says_so() {
    // The bits in the boot sector, and those in the table.
    let marks: [(Made, u64, &[u8]); 5] = [
        (Made::Fat12, 37, &[1]),
        (Made::Fat16, 37, &[1]),
        (Made::Fat32, 65, &[1]),
        (Made::Fat16, 0, &[0xff, 0x7f]),
        (Made::Fat32, 0, &[0xff, 0xff, 0xff, 0x07]),
    ];
    for (kind, at, bytes) in marks {
        let image = image(kind);
        let disk = image.disk();
        let volume = Volume { range: 0..disk.size(), known: Known::Fat };
        assert_eq!(health(&*disk, &volume).unwrap(), Health::Clean, "{kind:?}");
        let mut reserved = [0; 2];
        disk.read_at(&mut reserved, 14).unwrap();
        let table = u64::from(u16::from_le_bytes(reserved)) * 512;
        poke(&image, if at == 0 { table + (bytes.len() as u64) } else { at }, bytes);
        assert!(matches!(health(&*disk, &volume).unwrap(), Health::InUse(_)), "{kind:?}");
        assert!(
            refusals(&image).iter().all(|text| text.contains("was not shut down")),
            "{:?}",
            refusals(&image)
        );
    }
}

/// Where the slot of an entry of the root lies.
fn slot(image: &Image, name: &[u8; 11]) -> u64 {
    let bytes = fs::read(image.path()).unwrap();
    let found = bytes.chunks(32).position(|slot| &slot[..11] == name);
    found.unwrap() as u64 * 32
}

#[test]
fn folders_and_chains_that_lead_into_themselves_are_refused() {
    let image = image(Made::Fat16);
    mtools("mmd", &image, &["::/ONE", "::/ONE/TWO"]);
    let host = tempfile::tempdir().unwrap();
    for name in ["A", "B"] {
        fs::write(host.path().join(name), [7; 9000]).unwrap();
        mtools("mcopy", &image, &[host.path().join(name).to_str().unwrap(), "::/"]);
    }
    let healthy = fs::read(image.path()).unwrap();
    let cluster = |name: &[u8; 11]| {
        let at = slot(&image, name) as usize;
        [healthy[at + 26], healthy[at + 27]]
    };
    let one = cluster(b"ONE        ");
    poke(&image, slot(&image, b"TWO        ") + 26, &one);
    let [read, written] = refusals(&image);
    assert!(read.contains("is a folder that is also somewhere else"), "{read}");
    assert!(written.contains("a cluster belongs to two entries"), "{written}");

    fs::write(image.path(), &healthy).unwrap();
    poke(&image, slot(&image, b"B          ") + 26, &cluster(b"A          "));
    assert!(refusals(&image)[1].contains("a cluster belongs to two entries"));

    fs::write(image.path(), &healthy).unwrap();
    let first = u16::from_le_bytes(cluster(b"A          "));
    let table = u64::from(u16::from_le_bytes([healthy[14], healthy[15]])) * 512;
    let copies = u64::from(u16::from_le_bytes([healthy[22], healthy[23]])) * 512;
    for start in [table, table + copies] {
        poke(&image, start + u64::from(first) * 2, &first.to_le_bytes());
    }
    assert!(refusals(&image)[1].contains("leads back into itself"), "{:?}", refusals(&image));
    poke(&image, table + copies + 100, &[9]);
    assert!(refusals(&image)[1].contains("the copies of its table differ"));

    fs::write(image.path(), &healthy).unwrap();
    poke(&image, slot(&image, b"A          ") + 28, &[0xff; 4]);
    assert!(refusals(&image)[1].contains("more or fewer clusters than its size"));
    let mut files = image.open();
    let tree = Tree::read(&mut files, go_on()).unwrap();
    let e = files.map(tree.0[&b"A"[..]].node, b"").unwrap_err();
    assert!(e.to_string().contains("ends before its size"), "{e}");
    assert_eq!(content(&mut files, &tree.0[&b"B"[..]].clone(), b""), [7; 9000]);
}

#[test]
fn files_that_share_gigabytes_of_clusters_are_refused_in_bounded_memory() {
    const CLUSTERS: u32 = 4 << 20;
    let image = Image { folder: tempfile::tempdir().unwrap(), kind: Made::Fat32 };
    let path = image.path();
    fs::File::create(&path).unwrap().set_len(5 << 30).unwrap();
    run("mkfs.fat", &["-F", "32", "-s", "1", "-f", "1", path.to_str().unwrap()]);
    let mut boot = [0; 512];
    image.disk().read_at(&mut boot, 0).unwrap();
    let number = |at: usize| u32::from_le_bytes(boot[at..at + 4].try_into().unwrap());
    let (table, length) = (u64::from(number(14) as u16) * 512, u64::from(number(36)) * 512);
    // All files begin with cluster 3, from which one chain leads on.
    let next = |cluster| if cluster == CLUSTERS + 2 { 0x0fff_ffff } else { cluster + 1 };
    let chain: Vec<u8> = (3..CLUSTERS + 3).flat_map(|cluster| next(cluster).to_le_bytes()).collect();
    poke(&image, table + 12, &chain);
    for number in 0..16u8 {
        let mut slot = [0; 32];
        slot[..11].copy_from_slice(b"FILE       ");
        slot[4] = b'A' + number;
        slot[26] = 3;
        slot[28..].copy_from_slice(&(CLUSTERS * 512).to_le_bytes());
        poke(&image, table + length + 32 * u64::from(number), &slot);
    }
    let e = said(&Files::open_to_read_all(&program(), image.disk(), 0..5 << 30).err().unwrap());
    assert!(e.contains("a cluster belongs to two entries"), "{e}");
}

#[test]
fn what_lies_behind_the_end_of_a_folder_stays_there() {
    let image = image(Made::Fat16);
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("A"), [7; 9000]).unwrap();
    mtools("mcopy", &image, &[host.path().join("A").to_str().unwrap(), "::/"]);
    let at = slot(&image, b"A          ");
    let mut stale = fs::read(image.path()).unwrap()[at as usize..][..32].to_vec();
    stale[0] = b'Z';
    // Between them is the slot that ends the folder.
    poke(&image, at + 64, &stale);
    image.change(|files| {
        let root = files.root();
        files.make(Making { parent: root, name: b"B", kind: &Kind::File }).unwrap();
    });
    image.judge();
    assert_eq!(see(&mut image.open()).into_keys().collect::<Vec<_>>(), [&b""[..], b"A", b"B"]);
}

#[test]
fn names_that_would_escape_are_refused() {
    let image = image(Made::Fat16);
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("AA.AA"), "x").unwrap();
    mtools("mcopy", &image, &[host.path().join("AA.AA").to_str().unwrap(), "::/"]);
    poke(&image, slot(&image, b"AA      AA "), b"../ETC  PWD");
    let [read, _] = refusals(&image);
    assert!(read.contains("name cannot be one"), "{read}");
}
