//! What is outstanding on the disk of a machine that is off, read before anything is taken from it.
//!
//! ```text
//!   disk as the machine left it ─┬─▶ disk     partitions, file systems, how they were left ─┐
//!   disk as it started ──────────┘                                                          ├─▶ rules (pure) ─▶ findings
//!   port of the machine: what the tool said there, where the disk does not tell ────────────┤
//!                                ├─▶ boot     what starts the system ───────────────────────┤
//!                                └─▶ system   linux, windows: files, hives, the tool's report ─┘
//! ```
//!
//! The words are those of Shutdown For Finalize (`shale_guest`), which checks the same from inside: what it and this find has
//! one code and one text. Partitions, how they were left and what starts the system are compared with the base: what that has in the same
//! way is not the machine's doing, and blocks nothing. What is outstanding in the system is not compared, since the version would have
//! it too. All of it was written by a guest, and is read within bounds (`room`).

mod boot;
mod disk;
mod linux;
mod room;
mod rules;
mod system;
mod windows;

pub use rules::Heard;
pub use shale_guest::decide::{Finding, blocked};
pub use windows::Setup;

use disk::{DiskFacts, Partition};
use room::Room;
use shale_disk::{Disk, Error, ErrorKind, Result};
use shale_guest::catalogue::{Code, Severity};
use shale_volume::exclude::Family;
use shale_volume::files::{Files, Program};
use shale_volume::free;
use shale_volume::known::Known;
use shale_volume::os::{OsVolume, os_volume};
use std::sync::Arc;
use system::System;

/// How many of these keep a version from being taken.
pub fn blocking(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.severity == Severity::Blocks).count()
}

/// What is outstanding on the disk `now`, which began as `base`; gravest first. `heard` of the machine counts where its disk cannot be
/// read. The only errors are those of a disk that
/// cannot be read, and of the program that knows file systems.
pub fn examine(
    program: &Program,
    now: &Arc<dyn Disk>,
    base: &Arc<dyn Disk>,
    heard: &Heard,
) -> Result<Vec<Finding>> {
    let (before, after) = (DiskFacts::read(program, base)?, DiskFacts::read(program, now)?);
    let room = Room::new();
    let mut findings = rules::disks(&before, &after, heard);
    if let Ok(os) = &after.system {
        let old = match &before.system {
            Ok(os) => Some(open(program, base, (os, &before), &room)?),
            Err(_) => None,
        };
        let new = open(program, now, (os, &after), &room)?;
        let space = free::file_system(now.as_ref(), os.range.clone())?;
        let space = space.unknown.is_none().then(|| (os.range.end - os.range.start, space.bytes()));
        findings.extend(match os.family {
            Family::Linux => linux::examine(&new, old.as_ref(), space),
            Family::Windows => windows::examine(&new, old.as_ref(), space),
        });
    }
    findings.extend(boot::examine(program, (now, &after), (base, &before), &room)?);
    findings.sort_by_key(|finding| finding.code.place());
    Ok(together(findings))
}

/// What the Windows on a disk says of Sysprep. A registry that cannot be read is an error.
pub fn setup(program: &Program, disk: &Arc<dyn Disk>) -> Result<Setup> {
    let os = os_volume(program, disk)?;
    let system = System::new(Files::open(program, disk.clone(), os.range)?, true, &Room::new());
    let setup = Setup::read(&system);
    match system.unasked().into_iter().next() {
        Some(unasked) => {
            let text = format!("{} cannot be read: {}", unasked.what, unasked.why);
            Err(Error::new(ErrorKind::Corrupt, text))
        }
        None => Ok(setup),
    }
}

/// The files of a disk's system; those of `/boot` may lie on a volume of their own.
fn open(
    program: &Program,
    disk: &Arc<dyn Disk>,
    (os, facts): (&OsVolume, &DiskFacts),
    room: &Room,
) -> Result<System> {
    let files = Files::open(program, disk.clone(), os.range.clone())?;
    let mut system = System::new(files, os.family == Family::Windows, room);
    let others = |part: &&Partition| part.known == Known::Ext && part.is_clean() && part.range != os.range;
    for part in facts.partitions().iter().filter(others) {
        system.offer_boot(Files::open(program, disk.clone(), part.range.clone())?, room);
    }
    Ok(system)
}

/// Findings in order, those of one code as one.
fn together(findings: Vec<Finding>) -> Vec<Finding> {
    let mut told: Vec<Finding> = Vec::new();
    for finding in findings {
        match told.last_mut().filter(|last| last.code == finding.code) {
            Some(last) => last.join(finding),
            None => told.push(finding),
        }
    }
    told
}

/// The findings that do not count for a layer of this kind: joining a domain is what platform layers are for.
pub fn for_platform_layer(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.retain(|finding| finding.code != Code::DomainJoined);
    findings
}
