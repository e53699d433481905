//! Every sign both ways: there it is found, gone it is not.

use crate::machine::Machine;

/// Checks that a machine is clean, is found to have this after `there`, and is clean again after `gone`.
#[track_caller]
fn both_ways(
    machine: &Machine,
    there: impl FnOnce(&Machine),
    code: &str,
    details: &str,
    gone: impl FnOnce(&Machine),
) {
    assert_eq!(machine.found(), []);
    there(machine);
    assert_eq!(machine.found(), [(code.to_owned(), details.to_owned())]);
    gone(machine);
    assert_eq!(machine.found(), []);
}

#[track_caller]
fn file(path: &str, text: &str, code: &str, details: &str) {
    both_ways(
        &Machine::new(),
        |machine| machine.write(path, text),
        code,
        details,
        |machine| machine.remove(path),
    );
}

#[track_caller]
fn program(name: &str, script: &str, code: &str, details: &str) {
    let quiet = |machine: &Machine| machine.program(name, "");
    both_ways(&Machine::new(), |machine| machine.program(name, script), code, details, quiet);
}

#[test]
fn a_wanted_restart_is_seen_by_its_marks() {
    for mark in ["/run/reboot-required", "/run/reboot-needed", "/run/ostree/staged-deployment"] {
        file(mark, "", "reboot_pending", mark);
    }
    let machine = Machine::new();
    machine.write("/run/reboot-required.pkgs", "linux-base\nlibc6\nlinux-base\n");
    let there =
        |machine: &Machine| machine.write("/run/reboot-required", "*** System restart required ***\n");
    both_ways(
        &machine,
        there,
        "reboot_pending",
        "/run/reboot-required; for libc6; for linux-base",
        |machine| {
            machine.remove("/run/reboot-required");
        },
    );
}

#[test]
fn a_wanted_restart_is_asked_of_needrestart_and_needs_restarting() {
    program(
        "needrestart",
        "test \"$*\" = '-b -k' && echo 'NEEDRESTART-KEXP: 6.1.0-31-amd64' && echo 'NEEDRESTART-KSTA: 3'",
        "reboot_pending",
        "needrestart: the kernel has an upgrade to 6.1.0-31-amd64",
    );
    program(
        "needs-restarting",
        "test \"$*\" = -r && echo 'Reboot is required to fully utilize these updates.'; exit 1",
        "reboot_pending",
        "needs-restarting: core libraries or services were updated",
    );
}

#[test]
fn a_staged_update_is_seen_by_its_link() {
    let machine = Machine::new();
    let there = |machine: &Machine| {
        std::os::unix::fs::symlink("/no/such/place", machine.path("/system-update")).unwrap()
    };
    both_ways(&machine, there, "offline_update_staged", "/system-update", |machine| {
        machine.remove("/system-update")
    });
}

#[test]
fn locks_are_seen_while_they_are_held() {
    for path in [
        "/var/lib/dpkg/lock",
        "/var/lib/dpkg/lock-frontend",
        "/var/lib/apt/lists/lock",
        "/var/cache/apt/archives/lock",
        "/var/lib/rpm/.rpm.lock",
        "/usr/lib/sysimage/rpm/.rpm.lock",
    ] {
        let machine = Machine::new();
        machine.write(path, "");
        assert_eq!(machine.found(), []);
        // The folder has no process of the lock's holder: who holds it is told below, of a real dpkg.
        let lock = machine.lock(path);
        assert_eq!(machine.found(), [("packages_in_progress".to_owned(), format!("{path} is held"))]);
        drop(lock);
        assert_eq!(machine.found(), []);
    }
}

#[test]
fn unattended_upgrades_are_told_apart() {
    let machine = Machine::new();
    let lock = machine.lock("/run/unattended-upgrades.lock");
    machine.write(&format!("/proc/{}/comm", std::process::id()), "unattended-upgr\n");
    let details =
        format!("/run/unattended-upgrades.lock is held by unattended-upgr ({})", std::process::id());
    assert_eq!(machine.found(), [("unattended_upgrade_in_progress".to_owned(), details)]);
    drop(lock);
    assert_eq!(machine.found(), []);
}

#[test]
fn a_file_with_a_number_is_a_lock_only_while_that_process_lives() {
    for path in [
        "/var/cache/dnf/download_lock.pid",
        "/var/cache/dnf/metadata_lock.pid",
        "/run/yum.pid",
        "/run/zypp.pid",
    ] {
        let machine = Machine::new();
        machine.write(path, "4711");
        let there = |machine: &Machine| machine.write("/proc/4711/comm", "dnf\n");
        both_ways(
            &machine,
            there,
            "packages_in_progress",
            &format!("{path} is held by dnf (4711)"),
            |machine| {
                machine.remove("/proc/4711/comm");
            },
        );
    }
}

#[test]
fn a_dnf_that_was_killed_while_it_changed_packages_is_told_as_finalize_tells_it() {
    let path = "/var/lib/dnf/rpmdb_lock.pid";
    let told = "was left behind by a dnf that was killed: remove it when 'dnf check' finds nothing";
    file(path, "4711", "packages_unfinished", &format!("{path} {told}"));
    let machine = Machine::new();
    machine.write(path, "4711");
    machine.write("/proc/4711/comm", "dnf\n");
    let held = ("packages_in_progress".to_owned(), format!("{path} is held by dnf (4711)"));
    assert_eq!(machine.found(), [held]);
}

#[test]
fn an_interrupted_yum_is_seen_by_its_transaction() {
    let path = "/var/lib/yum/transaction-all.2026-11-22.20:00.00";
    file(path, "", "packages_unfinished", path);
}

#[test]
fn cloud_init_is_waited_for_and_its_errors_are_told() {
    let machine = Machine::new();
    machine.write("/run/cloud-init/enabled", "");
    assert_eq!(machine.found(), [("cloud_init_running".to_owned(), "stage not begun".to_owned())]);
    machine.write(
        "/run/cloud-init/status.json",
        r#"{"v1": {"stage": "modules-final", "init": {"errors": []}}}"#,
    );
    assert_eq!(machine.found(), [("cloud_init_running".to_owned(), "stage modules-final".to_owned())]);
    machine.write("/run/cloud-init/result.json", "{}");
    machine.write(
        "/run/cloud-init/status.json",
        r#"{"v1": {"stage": null, "init": {"errors": []}, "modules-final": {"errors": ["no package"]}}}"#,
    );
    assert_eq!(machine.found(), [("cloud_init_failed".to_owned(), "no package".to_owned())]);
    machine.write("/run/cloud-init/status.json", r#"{"v1": {"stage": null, "init": {"errors": []}}}"#);
    assert_eq!(machine.found(), []);
    machine.remove("/run/cloud-init/result.json");
    machine.write("/run/cloud-init/disabled", "");
    assert_eq!(machine.found(), []);
}

#[test]
fn systemds_jobs_block_and_failed_units_warn() {
    let machine = Machine::new();
    machine.systemd("", "");
    let jobs = |machine: &Machine| machine.systemd(" 12 apt-daily.service start running", "");
    let none = |machine: &Machine| machine.systemd("", "");
    both_ways(&machine, jobs, "systemd_jobs_queued", "apt-daily.service start running", none);
    let failed = |machine: &Machine| {
        machine.systemd("No jobs running.", "nginx.service loaded failed failed A server")
    };
    both_ways(&machine, failed, "systemd_units_failed", "nginx.service", none);
}

#[test]
fn a_systemd_that_does_not_answer_blocks() {
    let machine = Machine::new();
    machine.systemd("", "");
    machine.program("systemctl", "echo 'Failed to connect to bus' >&2; exit 1");
    let complaint = "exit code 1: Failed to connect to bus";
    let details = format!("systemctl list-jobs: {complaint}; systemctl list-units: {complaint}");
    assert_eq!(machine.found(), [("not_checked".to_owned(), details)]);
    assert_eq!(machine.run(&["--check"]).code, 1);
}

/// A kernel with all that starts it.
fn kernel(machine: &Machine, release: &str) {
    machine.write(&format!("/boot/vmlinuz-{release}"), "");
    machine.write(&format!("/boot/initrd.img-{release}"), "");
    let menu = machine.path("/boot/grub/grub.cfg");
    let menu = std::fs::read_to_string(menu).unwrap_or_default();
    machine.write("/boot/grub/grub.cfg", &format!("linux /boot/vmlinuz-{release}\n{menu}"));
}

#[test]
fn a_kernel_newer_than_the_running_one_wants_a_restart() {
    let machine = Machine::new();
    machine.write("/proc/sys/kernel/osrelease", "6.1.0-9-amd64\n");
    kernel(&machine, "6.1.0-9-amd64");
    machine.write("/boot/vmlinuz-0-rescue-b0bf41b6", "");
    let restart = |machine: &Machine| machine.write("/proc/sys/kernel/osrelease", "6.1.0-10-amd64\n");
    let details = "6.1.0-10-amd64 is installed, 6.1.0-9-amd64 is running";
    both_ways(
        &machine,
        |machine| kernel(machine, "6.1.0-10-amd64"),
        "newer_kernel_installed",
        details,
        restart,
    );
}

#[test]
fn a_kernel_without_initramfs_or_menu_entry_is_not_ready() {
    let machine = Machine::new();
    machine.write("/proc/sys/kernel/osrelease", "6.1.0-10-amd64\n");
    kernel(&machine, "6.1.0-9-amd64");
    kernel(&machine, "6.1.0-10-amd64");
    let initramfs = "/boot/initrd.img-6.1.0-10-amd64";
    let details = "kernel 6.1.0-10-amd64 has no initramfs";
    both_ways(
        &machine,
        |machine| machine.remove(initramfs),
        "boot_files_pending",
        details,
        |machine| {
            machine.write(initramfs, "");
        },
    );
    let details = "the boot menu does not name kernel 6.1.0-10-amd64";
    let menu = |text: &'static str| move |machine: &Machine| machine.write("/boot/grub/grub.cfg", text);
    let mended = menu("linux /vmlinuz-6.1.0-10-amd64");
    both_ways(&machine, menu("linux /vmlinuz-6.1.0-9-amd64"), "boot_files_pending", details, mended);
}

#[test]
fn a_menu_that_starts_the_linked_kernel_need_not_name_it() {
    let machine = Machine::new();
    machine.write("/proc/sys/kernel/osrelease", "6.1.0-10-amd64\n");
    machine.write("/boot/vmlinuz-6.1.0-10-amd64", "");
    machine.write("/boot/initrd.img-6.1.0-10-amd64", "");
    machine.write("/boot/grub/grub.cfg", "linux /vmlinuz root=/dev/vda3\ninitrd /initrd.img\n");
    assert_eq!(machine.found(), []);
}

#[test]
fn fedoras_boot_entries_are_read() {
    let machine = Machine::new();
    machine.write("/proc/sys/kernel/osrelease", "6.11.4-301.fc41.x86_64\n");
    machine.write("/boot/grub2/grub.cfg", "blscfg\n");
    machine.write("/boot/vmlinuz-6.11.4-301.fc41.x86_64", "");
    machine.write("/boot/initramfs-6.11.4-301.fc41.x86_64.img", "");
    let entry = "/boot/loader/entries/0-6.11.4-301.fc41.x86_64.conf";
    let details = "the boot menu does not name kernel 6.11.4-301.fc41.x86_64";
    assert_eq!(machine.found(), [("boot_files_pending".to_owned(), details.to_owned())]);
    machine.write(entry, "linux /vmlinuz-6.11.4-301.fc41.x86_64\n");
    assert_eq!(machine.found(), []);
}

#[test]
fn arch_whose_boot_files_bear_no_release_is_not_thought_unready() {
    let machine = Machine::new();
    machine.write("/proc/sys/kernel/osrelease", "6.10.3-arch1-1\n");
    machine.write("/boot/vmlinuz-linux", "");
    machine.write("/boot/initramfs-linux.img", "");
    machine.write("/boot/grub/grub.cfg", "linux /vmlinuz-linux\n");
    machine.write("/lib/modules/6.10.3-arch1-1/vmlinuz", "");
    let details = "6.10.3-arch1-2 is installed, 6.10.3-arch1-1 is running";
    let new = "/lib/modules/6.10.3-arch1-2/vmlinuz";
    both_ways(
        &machine,
        |machine| machine.write(new, ""),
        "newer_kernel_installed",
        details,
        |machine| {
            machine.remove(new);
        },
    );
}

#[test]
fn boot_files_that_are_being_written_are_waited_for_and_half_written_ones_are_told() {
    let machine = Machine::new();
    let leftover = "/boot/initrd.img-6.1.0-10-amd64.new";
    machine.write(leftover, "");
    machine.write("/proc/99/comm", "mkinitramfs\n");
    assert_eq!(machine.found(), [("boot_files_in_progress".to_owned(), "mkinitramfs (99)".to_owned())]);
    machine.remove("/proc/99/comm");
    assert_eq!(machine.found(), [("boot_files_pending".to_owned(), format!("{leftover} is half written"))]);
    machine.remove(leftover);
    assert_eq!(machine.found(), []);
}

#[test]
fn the_space_of_a_mounted_disk_is_the_one_that_df_tells() {
    let machine = Machine::new();
    machine.write("/proc/self/mountinfo", "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n");
    let facts = shale_guest::linux::Linux::new(Some(machine.folder())).facts();
    let df = std::process::Command::new("df")
        .args(["-B1", "--output=size"])
        .arg(machine.folder())
        .output()
        .unwrap();
    let size = String::from_utf8(df.stdout).unwrap().lines().last().unwrap().trim().parse::<u64>().unwrap();
    assert_eq!(facts.volumes.len(), 1, "{facts:?}");
    assert_eq!((facts.volumes[0].name.as_str(), facts.volumes[0].size), ("/", size));
    assert!(facts.volumes[0].free > 0 && facts.volumes[0].free <= size);
}
