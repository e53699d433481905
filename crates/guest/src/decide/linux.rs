//! What facts of a Linux machine mean.

use super::Findings;
use super::kernel::compare;
use crate::catalogue::Code;
use crate::facts::{CloudInit, Kernel, LinuxFacts, Lock};

pub(super) fn decide(facts: &LinuxFacts, found: &mut Findings) {
    found.add(Code::RebootPending, facts.reboot_marks.iter().chain(&facts.reboot_advice).cloned());
    found.add(Code::OfflineUpdateStaged, facts.staged_updates.iter().cloned());
    found.add(Code::PackagesInProgress, facts.package_locks.iter().map(held));
    found.add(Code::UnattendedUpgradeInProgress, facts.unattended_upgrade.iter().map(held));
    // Packages are in between while a package manager works on them: then that is all there is to say.
    if facts.package_locks.is_empty() {
        found.add(Code::PackagesUnfinished, facts.unfinished_packages.iter().cloned());
    }
    match &facts.cloud_init {
        CloudInit::Absent => {}
        CloudInit::Running(stage) => found.add(Code::CloudInitRunning, [stage.clone()]),
        CloudInit::Done(errors) => found.add(Code::CloudInitFailed, errors.iter().cloned()),
    }
    let newest = newest(facts.kernels.iter());
    let newer = newest
        .zip(facts.running_kernel.as_ref())
        .filter(|(newest, running)| compare(&newest.release, running).is_gt());
    found.add(
        Code::NewerKernelInstalled,
        newer.map(|(newest, running)| format!("{} is installed, {running} is running", newest.release)),
    );
    found.add(Code::BootFilesInProgress, facts.boot_writers.iter().cloned());
    if facts.boot_writers.is_empty() {
        let leftovers = facts.boot_leftovers.iter().map(|file| format!("{file} is half written"));
        found.add(Code::BootFilesPending, leftovers.chain(lacks(&facts.kernels)));
    }
    found.add(Code::SystemdJobsQueued, facts.systemd_jobs.iter().cloned());
    found.add(Code::SystemdUnitsFailed, facts.failed_units.iter().cloned());
    found.volumes(&facts.volumes);
    found.unasked(&facts.unasked);
}

fn held(lock: &Lock) -> String {
    let holder = lock.holder.as_ref().map(|holder| format!(" by {holder}"));
    format!("{} is held{}", lock.path, holder.unwrap_or_default())
}

fn newest<'a>(kernels: impl Iterator<Item = &'a Kernel>) -> Option<&'a Kernel> {
    kernels.max_by(|a, b| compare(&a.release, &b.release))
}

/// What the newest kernel that we know the boot files of lacks to be started. A machine none of whose kernels has an
/// initramfs needs none.
fn lacks(kernels: &[Kernel]) -> Vec<String> {
    let known = || kernels.iter().filter(|kernel| kernel.boot.is_some());
    let Some((newest, files)) =
        newest(known()).and_then(|newest| newest.boot.as_ref().map(|files| (newest, files)))
    else {
        return Vec::new();
    };
    let mut lacks = Vec::new();
    if !files.initramfs && known().any(|kernel| kernel.boot.as_ref().is_some_and(|files| files.initramfs)) {
        lacks.push(format!("kernel {} has no initramfs", newest.release));
    }
    if files.in_menu == Some(false) {
        lacks.push(format!("the boot menu does not name kernel {}", newest.release));
    }
    lacks
}

#[cfg(test)]
mod tests {
    use crate::catalogue::Code::{self, *};
    use crate::decide::decide;
    use crate::facts::{BootFiles, CloudInit, Facts, Kernel, LinuxFacts, Lock, Volume};

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn kernel(release: &str, initramfs: bool, in_menu: Option<bool>) -> Kernel {
        Kernel { release: release.to_owned(), boot: Some(BootFiles { initramfs, in_menu }) }
    }

    fn lock(path: &str, holder: Option<&str>) -> Lock {
        Lock { path: path.to_owned(), holder: holder.map(str::to_owned) }
    }

    /// Facts, each by itself, and all that they mean.
    type Table = Vec<(LinuxFacts, Vec<(Code, &'static str)>)>;

    fn starting() -> Table {
        let none = LinuxFacts::default;
        let running = || Some("6.1.0-30-amd64".to_owned());
        let old = || kernel("6.1.0-30-amd64", true, Some(true));
        vec![
            (none(), vec![]),
            (
                LinuxFacts {
                    reboot_marks: texts(&["/run/reboot-required"]),
                    reboot_advice: texts(&["needrestart"]),
                    ..none()
                },
                vec![(RebootPending, "/run/reboot-required; needrestart")],
            ),
            (LinuxFacts { running_kernel: running(), kernels: vec![old()], ..none() }, vec![]),
            (
                LinuxFacts {
                    running_kernel: running(),
                    kernels: vec![kernel("6.1.0-31-amd64", true, Some(true)), old()],
                    ..none()
                },
                vec![(NewerKernelInstalled, "6.1.0-31-amd64 is installed, 6.1.0-30-amd64 is running")],
            ),
            (
                LinuxFacts {
                    running_kernel: Some("6.1.0-31-amd64".to_owned()),
                    kernels: vec![old(), kernel("6.1.0-31-amd64", false, Some(false))],
                    ..none()
                },
                vec![(
                    BootFilesPending,
                    "kernel 6.1.0-31-amd64 has no initramfs; the boot menu does not name kernel 6.1.0-31-amd64",
                )],
            ),
            (
                LinuxFacts {
                    running_kernel: running(),
                    kernels: vec![kernel("6.1.0-30-amd64", false, None)],
                    ..none()
                },
                vec![],
            ),
            (
                LinuxFacts { boot_leftovers: texts(&["/boot/grub/grub.cfg.new"]), ..none() },
                vec![(BootFilesPending, "/boot/grub/grub.cfg.new is half written")],
            ),
            (
                LinuxFacts {
                    boot_writers: texts(&["grub-mkconfig (7)"]),
                    boot_leftovers: texts(&["/boot/grub/grub.cfg.new"]),
                    ..none()
                },
                vec![(BootFilesInProgress, "grub-mkconfig (7)")],
            ),
            (
                LinuxFacts { staged_updates: texts(&["/system-update"]), ..none() },
                vec![(OfflineUpdateStaged, "/system-update")],
            ),
        ]
    }

    fn packages() -> Table {
        let none = LinuxFacts::default;
        vec![
            (
                LinuxFacts { unfinished_packages: texts(&["nginx (half-configured)"]), ..none() },
                vec![(PackagesUnfinished, "nginx (half-configured)")],
            ),
            (
                LinuxFacts {
                    unfinished_packages: texts(&["nginx (unpacked)"]),
                    package_locks: vec![
                        lock("/var/lib/dpkg/lock", Some("dpkg (9)")),
                        lock("/var/lib/apt/lists/lock", None),
                    ],
                    ..none()
                },
                vec![(
                    PackagesInProgress,
                    "/var/lib/dpkg/lock is held by dpkg (9); /var/lib/apt/lists/lock is held",
                )],
            ),
            (
                LinuxFacts {
                    unattended_upgrade: Some(lock("/run/unattended-upgrades.lock", None)),
                    ..none()
                },
                vec![(UnattendedUpgradeInProgress, "/run/unattended-upgrades.lock is held")],
            ),
        ]
    }

    fn services() -> Table {
        let none = LinuxFacts::default;
        vec![
            (
                LinuxFacts { cloud_init: CloudInit::Running("modules-final".to_owned()), ..none() },
                vec![(CloudInitRunning, "modules-final")],
            ),
            (LinuxFacts { cloud_init: CloudInit::Done(vec![]), ..none() }, vec![]),
            (
                LinuxFacts { cloud_init: CloudInit::Done(texts(&["no such user"])), ..none() },
                vec![(CloudInitFailed, "no such user")],
            ),
            (
                LinuxFacts {
                    systemd_jobs: texts(&["a.service start running"]),
                    failed_units: texts(&["b.service"]),
                    ..none()
                },
                vec![(SystemdJobsQueued, "a.service start running"), (SystemdUnitsFailed, "b.service")],
            ),
            (
                LinuxFacts {
                    volumes: vec![Volume { name: "/".to_owned(), size: 10 << 30, free: 100 << 20 }],
                    ..none()
                },
                vec![(DiskNearlyFull, "/: 100 MiB of 10240 MiB are free")],
            ),
        ]
    }

    #[test]
    fn each_fact_means_what_the_table_says() {
        for (facts, expected) in starting().into_iter().chain(packages()).chain(services()) {
            let findings = decide(&Facts::Linux(facts.clone()));
            let told: Vec<_> = findings.iter().map(|one| (one.code, one.details.join("; "))).collect();
            let expected: Vec<_> =
                expected.into_iter().map(|(code, details)| (code, details.to_owned())).collect();
            assert_eq!(told, expected, "{facts:?}");
        }
    }
}
