//! What a disk tells before any file is read: its partitions, what they hold, and how that was left.

use shale_disk::{Disk, ErrorKind, Result, table};
use shale_volume::files::Program;
use shale_volume::health::{Health, health};
use shale_volume::known::{Known, Volume};
use shale_volume::os::{OsVolume, os_volume};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// What a BIOS reads, in bytes.
const SECTOR: u64 = 512;

/// A part of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number in the table; 0 for a disk without one.
    pub number: u32,
    /// Bytes of the disk.
    pub range: Range<u64>,
    /// What it holds.
    pub known: Known,
    /// How that was left.
    pub health: Health,
}

impl Partition {
    /// Whether its files can be read.
    pub fn is_clean(&self) -> bool {
        self.health == Health::Clean
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = (self.range.end - self.range.start) >> 20;
        match self.number {
            0 => write!(f, "the disk, without partitions ({}, {mib} MiB)", self.known),
            number => write!(f, "partition {number} ({}, {mib} MiB)", self.known),
        }
    }
}

/// What is known of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFacts {
    /// Its parts in the order of its table; or why the table is not understood.
    pub table: std::result::Result<Vec<Partition>, String>,
    /// Where there is something for a BIOS to run: names of places.
    pub boot_code: Vec<&'static str>,
    /// Where the operating system is; or why that is not known.
    pub system: std::result::Result<OsVolume, String>,
}

/// Where a BIOS finds something to run: the first sector, and what that goes on with, as GRUB does: what lies behind it, or on a
/// disk with a GPT, where the table lies there, a partition for it.
fn boot_code(disk: &dyn Disk, table: &table::Table) -> Result<Vec<&'static str>> {
    let mut places = Vec::new();
    if table.boot_code {
        places.push("the first sector");
    }
    if table.kind == table::Kind::Mbr && has_something(disk, SECTOR)? {
        places.push("the sector behind the first");
    }
    let is_for_bios = |part: &&table::Partition| part.kind == table::Type::Guid(table::BIOS_BOOT);
    if let Some(part) = table.partitions.iter().find(is_for_bios)
        && has_something(disk, part.offset)?
    {
        places.push("the BIOS boot partition");
    }
    Ok(places)
}

/// Whether a sector is not empty. One behind the disk's end is.
fn has_something(disk: &dyn Disk, offset: u64) -> Result<bool> {
    let mut sector = [0; SECTOR as usize];
    if offset.checked_add(SECTOR).is_some_and(|end| end <= disk.size()) {
        disk.read_at(&mut sector, offset)?;
    }
    Ok(sector.iter().any(|byte| *byte != 0))
}

impl DiskFacts {
    /// Reads them.
    pub fn read(program: &Program, disk: &Arc<dyn Disk>) -> Result<Self> {
        let table = match table::partitions(disk.as_ref()) {
            Ok(table) => table,
            Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {
                let why = format!("the partition table is not understood: {e}");
                return Ok(Self { table: Err(why.clone()), boot_code: Vec::new(), system: Err(why) });
            }
            Err(e) => return Err(e),
        };
        let mut ranges: Vec<_> =
            table.partitions.iter().map(|p| (p.index, p.offset..p.offset.saturating_add(p.length))).collect();
        if table.kind == table::Kind::None {
            ranges.push((0, 0..disk.size()));
        }
        let mut partitions = Vec::new();
        for (number, range) in ranges {
            let known = Known::of(disk.as_ref(), range.clone())?;
            let health = health(disk.as_ref(), &Volume { range: range.clone(), known })?;
            partitions.push(Partition { number, range, known, health });
        }
        let system = match os_volume(program, disk) {
            Ok(os) => Ok(os),
            Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {
                Err(crate::error::chain(&e))
            }
            Err(e) => return Err(e),
        };
        Ok(Self { table: Ok(partitions), boot_code: boot_code(disk.as_ref(), &table)?, system })
    }

    /// Its parts; none where the table is not understood.
    pub fn partitions(&self) -> &[Partition] {
        self.table.as_deref().unwrap_or_default()
    }

    /// The part that begins at `start`.
    pub fn at(&self, start: u64) -> Option<&Partition> {
        self.partitions().iter().find(|part| part.range.start == start)
    }
}
