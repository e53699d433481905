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

pub use shale_guest::decide::{Finding, blocked};

use disk::{DiskFacts, Partition};
use shale_disk::{Disk, Result};
use shale_guest::catalogue::Code;
use shale_volume::exclude::Family;
use shale_volume::files::{Files, Program};
use shale_volume::free;
use shale_volume::known::Known;
use shale_volume::os::OsVolume;
use std::sync::Arc;
use system::System;

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
            Family::Windows => Vec::new(),
        });
    }
    findings.sort_by_key(|finding| finding.code.place());
    Ok(findings)
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

/// The findings that do not count for a layer of this kind: joining a domain is what platform layers are for.
pub fn for_platform_layer(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.retain(|finding| finding.code != Code::DomainJoined);
    findings
}
