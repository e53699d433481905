//! Linux on ext4.

use crate::made::{Image, Tree, run};
use serde_json::json;

const REPORT: &str = "/var/lib/shutdown-for-finalize/integrity.json";
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

/// A system as it began: with a kernel, a menu, a package, and `/lib` in `/usr`.
fn system() -> Tree {
    Tree::new()
        .write("/etc/os-release", "ID=debian\n")
        .write("/usr/lib/modules/6.1.0-30/modules.dep", "")
        .link("/lib", "usr/lib")
        .write("/boot/vmlinuz-6.1.0-30", "kernel")
        .write("/boot/initrd.img-6.1.0-30", "initramfs")
        .write("/boot/grub/grub.cfg", "linux /boot/vmlinuz-6.1.0-30")
        .write(STATUS, stanza("dpkg", "installed"))
        .write("/var/lib/dpkg/updates/tmp.i", "")
        .touch("/boot", 0)
        .touch("/usr/lib/modules", 0)
}

/// The same after the tool has shut it down.
fn finished() -> Tree {
    system().write(REPORT, report(60, "6.1.0-30", json!([])))
}

#[track_caller]
fn finds(tree: &Tree, expected: &[(&str, &str)]) {
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
    finds(&dnf, &[("packages_unfinished", "/var/lib/dnf/rpmdb_lock.pid was left behind")]);
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
fn a_change_after_the_tool_ran_is_said() {
    let later = finished().touch(STATUS, 61);
    let why =
        "/var/lib/dpkg/status changed at 2026-09-21T14:14:21Z, it ran at 2026-09-21T14:14:20Z".to_owned();
    finds(&later, &[("tool_run_outdated", &why)]);
    finds(&finished().touch(STATUS, 59), &[]);
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
