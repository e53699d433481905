//! Linux on ext4.

use crate::made::{Image, Tree, run};
use serde_json::json;
use shale_guest::catalogue::{Code, Severity};
use shale_server::examine::{Finding, Heard};
use std::os::unix::fs::FileExt;

pub const REPORT: &str = "/var/lib/shutdown-for-finalize/integrity.json";
const STATUS: &str = "/var/lib/dpkg/status";

/// The tool's report, made after `seconds`, with these findings.
fn report(seconds: i64, kernel: &str, findings: serde_json::Value) -> String {
    let at = jiff::Timestamp::from_second(1_790_000_000 + seconds).unwrap();
    let report = json!({
        "schema": 1, "tool": { "name": "shutdown-for-finalize", "version": "0.1.0" }, "checked_at": at.to_string(),
        "system": { "kind": "linux", "name": "Debian", "build": kernel }, "outcome": "clean", "next": null,
        "shutting_down": true, "removed": [], "findings": findings,
    });
    report.to_string()
}

fn stanza(name: &str, state: &str) -> String {
    format!("Package: {name}\nStatus: install ok {state}\n\n")
}

/// A system without anything in its `/boot`: with a package, and `/lib` in `/usr`.
pub fn bare() -> Tree {
    Tree::new()
        .write("/etc/os-release", "ID=debian\n")
        .write("/usr/lib/modules/6.1.0-30/modules.dep", "")
        .link("/lib", "usr/lib")
        .write(STATUS, stanza("dpkg", "installed"))
        .write("/var/lib/dpkg/updates/tmp.i", "")
        .touch("/usr/lib/modules", 0)
}

/// A system as it began: with a kernel and a menu.
pub fn system() -> Tree {
    bare()
        .write("/boot/vmlinuz-6.1.0-30", "kernel")
        .write("/boot/initrd.img-6.1.0-30", "initramfs")
        .write("/boot/grub/grub.cfg", "linux /boot/vmlinuz-6.1.0-30")
        .touch("/boot", 0)
}

/// The report of the tool that found nothing.
pub fn clean() -> String {
    report(60, "6.1.0-30", json!([]))
}

/// The same after the tool has shut it down.
pub fn finished() -> Tree {
    system().write(REPORT, clean())
}

#[track_caller]
pub fn finds(tree: &Tree, expected: &[(&str, &str)]) {
    let found = tree.ext4().found(&system().ext4());
    let found: Vec<_> = found.iter().map(|(code, details)| (code.as_str(), details.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_system_that_the_tool_shut_down_has_nothing_outstanding() {
    finds(&finished(), &[]);
}

#[test]
fn packages_that_are_half_configured_are_found_by_state_and_by_journal() {
    let status = stanza("dpkg", "installed") + &stanza("nginx", "half-configured");
    let broken = finished().write(STATUS, status).write("/var/lib/dpkg/updates/0001", "Package: nginx\n");
    finds(&broken, &[("packages_unfinished", "nginx (half-configured); /var/lib/dpkg/updates/0001")]);
    let dnf = finished().write("/var/lib/dnf/rpmdb_lock.pid", "812");
    let told = "/var/lib/dnf/rpmdb_lock.pid was left behind by a dnf that was killed: remove it when 'dnf check' finds nothing";
    finds(&dnf, &[("packages_unfinished", told)]);
    let read_only = finished().write("/var/cache/dnf/metadata_lock.pid", "812");
    finds(&read_only.write("/var/cache/dnf/download_lock.pid", "812"), &[]);
}

#[test]
fn a_kernel_that_never_ran_is_found_and_so_is_what_it_lacks() {
    let newer = finished()
        .write("/boot/vmlinuz-6.1.0-31", "kernel")
        .write("/boot/initrd.img-6.1.0-31", "initramfs")
        .write("/boot/grub/grub.cfg", "vmlinuz-6.1.0-30 vmlinuz-6.1.0-31")
        .touch("/boot", 0);
    let started = ("newer_kernel_installed", "6.1.0-31 is installed, 6.1.0-30 is running");
    finds(&newer, &[started]);
    let lacking = newer.remove("/boot/initrd.img-6.1.0-31").touch("/boot", 0);
    finds(&lacking, &[started, ("boot_files_pending", "kernel 6.1.0-31 has no initramfs")]);
}

#[test]
fn a_tool_that_never_ran_in_this_machine_is_said() {
    finds(&system(), &[("tool_not_run", "it left no report on the disk")]);
    let base = finished().ext4();
    let found = finished().ext4().found(&base);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "tool_not_run");
    assert!(found[0].1.contains("of the version that this one started from"), "{found:?}");
    let garbled = finished().write(REPORT, "{");
    let found = garbled.ext4().found(&system().ext4());
    assert!(found[0].0 == "tool_not_run" && found[0].1.contains("cannot be understood"), "{found:?}");
}

#[test]
fn where_rpms_list_of_packages_is_not_read_and_nobody_asked_in_the_machine_that_is_said() {
    let list = "/var/lib/rpm/rpmdb.sqlite";
    finds(&finished().write(list, "SQLite format 3"), &[]);
    let not_run = ("tool_not_run", "it left no report on the disk");
    finds(&system().write(list, "SQLite format 3"), &[not_run, ("packages_not_read", list)]);
    let image = system().write(list, "SQLite format 3").ext4();
    let told = image.findings(&image);
    assert!(told.iter().any(|one| one.message.contains("cannot be told from the disk")), "{told:?}");
}

#[test]
fn a_change_after_the_tool_ran_is_said() {
    let later = finished().touch(STATUS, 61);
    let why =
        "/var/lib/dpkg/status changed at 2026-09-21T14:14:21Z, it ran at 2026-09-21T14:14:20Z".to_owned();
    finds(&later, &[("tool_run_outdated", &why)]);
    finds(&finished().touch(STATUS, 59), &[]);
}

#[test]
fn times_that_the_version_it_started_from_has_too_are_no_change_whatever_the_clock() {
    let hours = 9 * 3600;
    let base = system().touch(STATUS, hours).ext4();
    assert_eq!(finished().touch(STATUS, hours).ext4().found(&base), []);
    let changed = finished().touch(STATUS, hours + 1).ext4().found(&base);
    assert_eq!(changed.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), ["tool_run_outdated"]);
}

/// The most memory that this program has held since it was last asked for, in bytes.
fn most_memory(work: impl FnOnce()) -> u64 {
    let held = |field: &str| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    };
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = held("VmRSS:");
    work();
    held("VmHWM:") - before.min(held("VmHWM:"))
}

#[test]
fn files_that_are_said_to_be_large_take_no_memory_and_are_said_not_to_be_read() {
    let mut tree = finished();
    for number in 0..12 {
        tree = tree.sparse(&format!("/var/lib/dpkg/updates/{number:04}"), 96 << 20);
        tree = tree.sparse(&format!("/boot/loader/entries/{number}.conf"), 96 << 20);
    }
    let (image, base) = (tree.ext4(), system().ext4());
    let mut found = Vec::new();
    let most = most_memory(|| found = image.found(&base));
    assert!(most < 512 << 20, "{} MiB", most >> 20);
    let details = |code| found.iter().find(|(found, _)| found == code).map_or("", |(_, details)| details);
    assert!(details("packages_unfinished").starts_with("/var/lib/dpkg/updates/0000; "), "{found:?}");
    for path in ["/var/lib/dpkg/updates/0000", "/boot/loader/entries/0.conf"] {
        let told = format!("{path}: it is larger than 1 MiB");
        assert!(details("not_checked").contains(&told), "{found:?}");
    }
}

#[test]
fn a_folder_with_more_names_than_a_system_has_is_said_not_to_be_read() {
    let mut tree = finished();
    for number in 0..1100 {
        tree = tree.write(&format!("/var/lib/dpkg/updates/{number:04}"), "");
    }
    let found = tree.ext4().found(&system().ext4());
    let expected =
        ("not_checked", "/var/lib/dpkg/updates: it has more entries than are looked at".to_owned());
    assert!(
        found.iter().any(|(code, details)| (code.as_str(), details) == (expected.0, &expected.1)),
        "{found:?}"
    );
}

#[test]
fn a_report_that_is_too_long_is_not_read_and_one_that_says_a_thing_often_says_it_once() {
    let finding = |details: Vec<String>| {
        json!({ "code": "systemd_jobs_queued", "severity": "warns", "remedy": "act", "message": "", "advice": "",
                "details": details })
    };
    let many =
        json!((0..100).map(|n| finding(vec![format!("{n}-{}", "x".repeat(999)); 50])).collect::<Vec<_>>());
    let long = report(60, "6.1.0-30", many);
    assert!(long.len() > 1 << 20);
    let found = system().write(REPORT, long).ext4().found(&system().ext4());
    assert_eq!(
        found[0],
        ("tool_not_run".to_owned(), "its report cannot be understood: it cannot be read".to_owned())
    );
    let many = json!((0..400).map(|n| finding(vec![format!("{n}-{}", "x".repeat(999))])).collect::<Vec<_>>());
    let told = system().write(REPORT, report(60, "6.1.0-30", many)).ext4().findings(&system().ext4());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].details.len() == 1 && told[0].details[0].chars().count() == 400, "{told:?}");
}

#[test]
fn what_only_a_running_system_shows_is_believed_from_the_report_in_our_words() {
    let finding = |code: &str| {
        json!({ "code": code, "severity": "warns", "remedy": "act", "message": "All is well.", "advice": "",
                "details": ["apt-daily.service start running"] })
    };
    let told = json!([finding("systemd_jobs_queued"), finding("packages_unfinished")]);
    let status = stanza("nginx", "half-installed");
    let tree = system().write(STATUS, status).write(REPORT, report(60, "6.1.0-30", told));
    let image = tree.ext4();
    let base = system().ext4();
    let found = image.found(&base);
    let expected = [
        ("packages_unfinished", "nginx (half-installed)"),
        ("systemd_jobs_queued", "apt-daily.service start running"),
    ];
    assert_eq!(found, expected.map(|(code, details)| (code.to_owned(), details.to_owned())));
    let texts = image.findings(&base);
    assert!(texts.iter().all(|one| one.message != "All is well."), "{texts:?}");
    assert!(shale_server::examine::blocked(&texts));
}

#[test]
fn a_boot_menu_that_is_gone_and_a_staged_update_are_found() {
    let gone = finished().remove("/boot/grub/grub.cfg");
    finds(&gone, &[("boot_loader_gone", "/boot/grub/grub.cfg is gone")]);
    let staged = finished().link("/system-update", "/var/lib/system-update");
    finds(&staged, &[("offline_update_staged", "/system-update")]);
}

#[test]
fn a_file_system_in_use_and_one_with_errors_are_found_and_nothing_else_is_guessed() {
    let base = system().ext4();
    for (how, code) in
        [("feature needs_recovery", "file_system_unclean"), ("ssv state 2", "disk_check_needed")]
    {
        let image = finished().ext4();
        run("debugfs", &["-w", "-R", how, image.path().to_str().unwrap()]);
        let found = image.found(&base);
        assert_eq!(found.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), [code], "{found:?}");
        let as_before = image.found(&image);
        assert_eq!(as_before[0].0, "not_examined", "what the base has too blocks nothing: {as_before:?}");
    }
}

#[test]
fn a_system_that_is_encrypted_or_gone_blocks_and_one_that_never_was_is_only_said() {
    let base = system().ext4();
    let empty = Image::empty(24 << 20);
    assert_eq!(empty.found(&base)[0].0, "system_not_found");
    assert_eq!(empty.found(&empty)[0].0, "not_examined");
    assert!(!shale_server::examine::blocked(&empty.findings(&empty)));
    let locked = finished().ext4();
    let mut bytes = std::fs::read(locked.path()).unwrap();
    bytes[..6].copy_from_slice(b"LUKS\xba\xbe");
    std::fs::write(locked.path(), bytes).unwrap();
    assert_eq!(
        locked.found(&base),
        [("volume_encrypted".to_owned(), "the disk, without partitions (LUKS, 24 MiB)".to_owned())]
    );
}

#[test]
fn of_a_system_that_is_not_read_it_counts_what_the_tool_said_in_the_machine() {
    let xfs = Image::empty(24 << 20);
    std::fs::File::options().write(true).open(xfs.path()).unwrap().write_all_at(b"XFSB", 0).unwrap();
    let found = |heard, image: &Image| {
        let found = image.findings_having(&heard, image);
        let told = |one: &Finding| (serde_json::to_value(one.code).unwrap(), one.details.join("; "));
        (shale_server::examine::blocked(&found), found.iter().map(told).collect::<Vec<_>>())
    };
    let why = "no operating system can be found: partition 1 holds XFS, and only ext2, ext3, ext4 and NTFS are read: files on \
        XFS are not read or written; those on ext2, ext3, ext4, NTFS and FAT are";
    let not_examined = |unknown: &str| (json!("not_examined"), format!("{why}; not checked: {unknown}"));
    let all =
        "packages, kernels, restarts that are pending, and whether Shutdown For Finalize ran in the machine";
    let (blocks, told) = found(Heard::NoPort, &xfs);
    assert_eq!((blocks, told.as_slice()), (false, &[not_examined(all)][..]));
    let (blocks, told) = found(Heard::Nothing, &xfs);
    assert!(blocks && told.len() == 1 && told[0].0 == "tool_not_run" && told[0].1.contains(why), "{told:?}");
    let later = not_examined("what changed after Shutdown For Finalize ran in the machine");
    let (blocks, told) = found(Heard::Checked(Vec::new()), &xfs);
    assert_eq!((blocks, told.as_slice()), (false, &[later.clone()][..]));
    let one = Finding::of(Code::PackagesInProgress, ["rpm".to_owned()]).unwrap();
    let said = Finding { message: "All is well.".to_owned(), severity: Severity::Warns, ..one };
    let (blocks, told) = found(Heard::Checked(vec![said]), &xfs);
    assert_eq!((blocks, told), (true, vec![(json!("packages_in_progress"), "rpm".to_owned()), later]));
    let nothing_known = Image::empty(24 << 20);
    assert!(!found(Heard::Nothing, &nothing_known).0, "nobody can say that our tool could run in it");
}

#[test]
fn partitions_that_came_and_went_are_found() {
    let with = |partitions: &[&str]| {
        let image = Image::empty(32 << 20);
        run("sgdisk", &[partitions, &[image.path().to_str().unwrap()]].concat());
        image
    };
    let base = with(&["-n", "1:2048:+8M", "-n", "2:0:+8M"]);
    let codes = |image: &Image| image.found(&base);
    let lost = codes(&with(&["-n", "1:2048:+8M"]));
    assert_eq!(lost[0], ("partitions_lost".to_owned(), "partition 2 (unknown, 8 MiB)".to_owned()));
    let added = codes(&with(&["-n", "1:2048:+8M", "-n", "2:0:+8M", "-n", "3:0:+4M"]));
    assert_eq!(added[0], ("partitions_added".to_owned(), "partition 3 (unknown, 4 MiB)".to_owned()));
    let grown = codes(&with(&["-n", "1:2048:+8M", "-n", "2:0:+12M"]));
    assert!(grown.iter().all(|(code, _)| code == "not_examined"), "growing is no loss: {grown:?}");
    let no_table = codes(&Image::empty(32 << 20));
    assert!(no_table.iter().any(|(code, _)| code == "partitions_lost"), "{no_table:?}");
}
