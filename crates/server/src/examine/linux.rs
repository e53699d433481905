//! A Linux system on a disk.

use super::Finding;
use super::rules::{self, Told};
use super::system::System;
use shale_guest::catalogue::Code;
use shale_guest::decide::decide;
use shale_guest::facts::{Facts, Volume};
use shale_guest::linux::{Look, REPORT, facts_of_disk};
use shale_guest::report::Report;

/// Where rpm has its list of packages: a database of one of three kinds, of which none is read here.
const RPM: [&str; 5] = [
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages.db",
    "/var/lib/rpm/Packages",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/Packages.db",
];
/// What changes with every change of the system's software: databases of packages, kernels.
const CHANGING: &[&str] = &[
    "/var/lib/dpkg/status",
    RPM[0],
    RPM[1],
    RPM[2],
    RPM[3],
    RPM[4],
    "/var/lib/pacman/local",
    "/lib/apk/db/installed",
    "/boot",
    "/lib/modules",
];
/// Longest report that is read, in bytes: one of all findings, with as many details as they can have, has half of it.
const REPORT_LIMIT: u64 = 1 << 20;
/// The menus of boot loaders.
const MENUS: &[&str] =
    &["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/loader/entries", "/boot/extlinux/extlinux.conf"];

/// What is outstanding in `now`, which began as `old`. `space` is the size of its volume and what is free of it, in bytes.
pub fn examine(now: &System, old: Option<&System>, space: Option<(u64, u64)>) -> Vec<Finding> {
    let told = told(now, old, REPORT);
    let mut facts = facts_of_disk(now);
    if let Told::Report(report) = &told {
        facts.running_kernel = Some(report.system.build.clone()).filter(|release| !release.is_empty());
    }
    facts.volumes =
        space.map(|(size, free)| Volume { name: "/".to_owned(), size, free }).into_iter().collect();
    let gone = MENUS.iter().filter(|menu| old.is_some_and(|old| old.has(menu)) && !now.has(menu));
    let gone: Vec<_> = gone.map(|menu| format!("{menu} is gone")).collect();
    let change = now.newest_change(CHANGING, old);
    facts.unasked = now.unasked();
    let mut findings = decide(&Facts::Linux(facts));
    findings.extend(Finding::of(Code::BootLoaderGone, gone));
    findings.extend(rules::report(&told, change.as_ref(), &findings));
    // Who ran the tool in the machine has been told by rpm's locks.
    if findings.iter().any(|finding| matches!(finding.code, Code::ToolNotRun | Code::ToolRunOutdated)) {
        let lists = RPM.iter().filter(|list| now.has(list)).map(|list| (*list).to_owned());
        findings.extend(Finding::of(Code::PackagesNotRead, lists));
    }
    findings
}

/// What the tool told in the machine, in the file `path`. A report that was there before it started is not of this machine.
pub fn told(now: &System, old: Option<&System>, path: &str) -> Told {
    let Some((bytes, _)) = now.bytes(path, REPORT_LIMIT) else {
        let is_there = now.has(path);
        return if is_there { Told::Garbled("it cannot be read".to_owned()) } else { Told::Nothing };
    };
    let before = old.and_then(|old| old.bytes(path, REPORT_LIMIT));
    match serde_json::from_slice::<Report>(&bytes) {
        Err(e) => Told::Garbled(e.to_string()),
        Ok(report) if before.is_some_and(|(before, _)| before == bytes) => Told::Before(report.checked_at),
        Ok(report) => Told::Report(Box::new(report)),
    }
}
