//! What is outstanding on the disk of a machine that is off, read before anything is taken from it.
//!
//! ```text
//!   disk as the machine left it ─┬─▶ disk     partitions, file systems, how they were left ─┐
//!   disk as it started ──────────┘                                                          ├─▶ rules (pure) ─▶ findings
//!                                └─▶ system   linux, windows: files, hives, the tool's report ─┘
//! ```
//!
//! The words are those of Shutdown For Finalize (`shale_guest`), which checks the same from inside: what it and this find has
//! one code and one text. What the base has in the same way is not the machine's doing, and blocks nothing.

mod disk;
mod linux;
mod rules;
mod system;
mod windows;

pub use shale_guest::decide::{Finding, blocked};

use disk::{DiskFacts, Partition};
use shale_disk::{Disk, Result};
use shale_guest::catalogue::Code;
use shale_guest::linux::Look;
use shale_volume::exclude::Family;
use shale_volume::files::{Files, Program};
use shale_volume::free;
use shale_volume::known::Known;
use shale_volume::os::OsVolume;
use std::sync::Arc;
use system::System;

/// Where the boot manager of Windows looks for its menu, on a BIOS.
const MENU: &str = "/Boot/BCD";

/// What is outstanding on the disk `now`, which began as `base`; gravest first. The only errors are those of a disk that
/// cannot be read, and of the program that knows file systems.
pub fn examine(program: &Program, now: &Arc<dyn Disk>, base: &Arc<dyn Disk>) -> Result<Vec<Finding>> {
    let (before, after) = (DiskFacts::read(program, base)?, DiskFacts::read(program, now)?);
    let mut findings = rules::disks(&before, &after);
    if let Ok(os) = &after.system {
        let old = match &before.system {
            Ok(os) => Some(open(program, base, os, &before)?),
            Err(_) => None,
        };
        let new = open(program, now, os, &after)?;
        let space = free::file_system(now.as_ref(), os.range.clone())?;
        let space = space.unknown.is_none().then(|| (os.range.end - os.range.start, space.bytes()));
        findings.extend(match os.family {
            Family::Linux => linux::examine(&new, old.as_ref(), space),
            Family::Windows => windows::examine(&new, old.as_ref(), space),
        });
    }
    let (was, is) = (menus(program, base, &before)?, menus(program, now, &after)?);
    let readable = |start: &u64| after.at(*start).is_some_and(Partition::is_clean);
    let gone = was.iter().filter(|start| readable(start) && !is.contains(start));
    let gone =
        gone.filter_map(|start| after.at(*start)).map(|part| format!(r"\Boot\BCD is gone from {part}"));
    findings.extend(Finding::of(Code::BootLoaderGone, gone));
    findings.sort_by_key(|finding| finding.code.place());
    Ok(together(findings))
}

/// The files of a disk's system; those of `/boot` may lie on a volume of their own.
fn open(program: &Program, disk: &Arc<dyn Disk>, os: &OsVolume, facts: &DiskFacts) -> Result<System> {
    let mut system =
        System::new(Files::open(program, disk.clone(), os.range.clone())?, os.family == Family::Windows);
    let others = |part: &&Partition| part.known == Known::Ext && part.is_clean() && part.range != os.range;
    for part in facts.partitions().iter().filter(others) {
        system.offer_boot(Files::open(program, disk.clone(), part.range.clone())?);
    }
    Ok(system)
}

/// Findings in order, those of one code as one.
fn together(findings: Vec<Finding>) -> Vec<Finding> {
    let mut told: Vec<Finding> = Vec::new();
    for finding in findings {
        match told.last_mut().filter(|last| last.code == finding.code) {
            Some(last) => last.details.extend(finding.details),
            None => told.push(finding),
        }
    }
    told
}

/// Where the volumes begin that have a boot menu of Windows.
fn menus(program: &Program, disk: &Arc<dyn Disk>, facts: &DiskFacts) -> Result<Vec<u64>> {
    let mut found = Vec::new();
    for part in facts.partitions().iter().filter(|part| part.known == Known::Ntfs && part.is_clean()) {
        let system = System::new(Files::open(program, disk.clone(), part.range.clone())?, true);
        if system.has(MENU) {
            found.push(part.range.start);
        }
    }
    Ok(found)
}

/// The findings that do not count for a layer of this kind: joining a domain is what platform layers are for.
pub fn for_platform_layer(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.retain(|finding| finding.code != Code::DomainJoined);
    findings
}
