//! A Linux system on a disk.

use super::Finding;
use super::rules::{self, Told};
use super::system::System;
use shale_guest::catalogue::Code;
use shale_guest::decide::decide;
use shale_guest::facts::{Facts, Volume};
use shale_guest::linux::{Look, REPORT, facts_of_disk};
use shale_guest::report::Report;

/// What changes with every change of the system's software: databases of packages, kernels.
const CHANGING: &[&str] = &[
    "/var/lib/dpkg/status",
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages.db",
    "/var/lib/rpm/Packages",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/var/lib/pacman/local",
    "/lib/apk/db/installed",
    "/boot",
    "/lib/modules",
];
/// The menus of boot loaders.
const MENUS: &[&str] =
    &["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/loader/entries", "/boot/extlinux/extlinux.conf"];

/// What is outstanding in `now`, which began as `old`. `space` is the size of its volume and what is free of it, in bytes.
pub fn examine(now: &System, old: Option<&System>, space: Option<(u64, u64)>) -> Vec<Finding> {
    let told = told(now.bytes(REPORT), old.and_then(|old| old.bytes(REPORT)));
    let mut facts = facts_of_disk(now);
    if let Told::Report(report) = &told {
        facts.running_kernel = Some(report.system.build.clone()).filter(|release| !release.is_empty());
    }
    facts.volumes =
        space.map(|(size, free)| Volume { name: "/".to_owned(), size, free }).into_iter().collect();
    let gone = MENUS.iter().filter(|menu| old.is_some_and(|old| old.has(menu)) && !now.has(menu));
    let gone: Vec<_> = gone.map(|menu| format!("{menu} is gone")).collect();
    let change = now.newest_change(CHANGING);
    facts.unasked = now.unasked();
    let mut findings = decide(&Facts::Linux(facts));
    findings.extend(Finding::of(Code::BootLoaderGone, gone));
    findings.extend(rules::report(&told, change.as_ref(), &findings));
    findings
}

/// What the tool told in the machine. A report that was there before it started is not of this machine.
pub fn told(now: Option<Vec<u8>>, old: Option<Vec<u8>>) -> Told {
    let Some(bytes) = now else { return Told::Nothing };
    match serde_json::from_slice::<Report>(&bytes) {
        Err(e) => Told::Garbled(e.to_string()),
        Ok(report) if old.is_some_and(|old| old == bytes) => Told::Before(report.checked_at),
        Ok(report) => Told::Report(Box::new(report)),
    }
}
