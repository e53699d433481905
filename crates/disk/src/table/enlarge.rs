//! A partition that takes the free room right behind it.
//!
//! ```text
//!   [ table  │ 1 │  2        │ free ………… │ end or next partition ]
//!   [ table* │ 1 │  2 ………………………………………│ end or next partition ]      * its entry and checksums, in both copies of a GPT
//! ```

use super::gpt::{Found, Header};
use super::{Kind, Partition, mbr, partitions};
use crate::error::corrupt;
use crate::field::put;
use crate::{Disk, Result};

/// Partitions end where a whole MiB does, as the usual tools make them.
const ALIGNMENT: u64 = 1 << 20;
const SECTOR: u64 = 512;

/// What ends the room behind a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The disk, or the place of its backup table.
    Disk,
    /// Another partition.
    Partition(Partition),
    /// An MBR counts sectors with 32 bits: 2 TiB.
    Mbr,
    /// It is a logical partition of an MBR, which are not enlarged: each lies in a frame that would have to grow with it.
    Logical,
}

/// How a partition becomes larger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enlarged {
    /// Bytes it can have; those it has where there is no room.
    pub length: u64,
    /// What ends its room.
    pub limit: Limit,
    /// What is to be written into the table, by place on the disk. Empty where nothing changes.
    pub writes: Vec<(u64, Vec<u8>)>,
}

/// What makes the partition that begins at byte `offset` of `disk` as large as it can be. [`super::grown`] first, where the
/// disk was made larger. It is an error if there is no such partition.
pub fn enlarged(disk: &dyn Disk, offset: u64) -> Result<Enlarged> {
    let table = partitions(disk)?;
    let found = table.partitions.iter().find(|partition| partition.offset == offset);
    let partition = found.ok_or_else(|| corrupt(format!("no partition begins at byte {offset}")))?;
    let now = partition.offset + partition.length;
    let next = table.partitions.iter().filter(|other| other.offset >= now).min_by_key(|other| other.offset);
    if table.kind == Kind::Mbr && partition.index >= 5 {
        return Ok(Enlarged { length: partition.length, limit: Limit::Logical, writes: Vec::new() });
    }
    let gpt = if table.kind == Kind::Gpt { Found::read(disk, true)? } else { None };
    let (end, limit) = match (next, &gpt) {
        (Some(next), _) => (next.offset, Limit::Partition(next.clone())),
        (None, Some(gpt)) => {
            (gpt.header.usable_end().saturating_mul(gpt.sector).min(disk.size()), Limit::Disk)
        }
        (None, None) => match u64::from(u32::MAX) * SECTOR {
            most if most < disk.size() => (most, Limit::Mbr),
            _ => (disk.size(), Limit::Disk),
        },
    };
    // An extended partition is no partition of the list, but its room is taken.
    let end = if gpt.is_some() { end } else { end.min(mbr::next_entry(disk, now)?) };
    let end = end - end % ALIGNMENT;
    if end <= now {
        return Ok(Enlarged { length: partition.length, limit, writes: Vec::new() });
    }
    let length = end - partition.offset;
    let writes = match gpt {
        Some(gpt) => gpt_writes(disk, &gpt, partition.index, end)?,
        None => mbr::entry_writes(partition.index, length),
    };
    Ok(Enlarged { length, limit, writes })
}

/// Both copies, whichever was read.
fn gpt_writes(disk: &dyn Disk, found: &Found, index: u32, end: u64) -> Result<Vec<(u64, Vec<u8>)>> {
    let sector = found.sector;
    let mut table = found.table.clone();
    let at = (index as usize - 1) * found.header.entry_size as usize;
    put(&mut table, at + 40, &(end / sector - 1).to_le_bytes());
    let header = found.header.with_table(&table);
    let table_sectors = (table.len() as u64).div_ceil(sector);
    let (own, other) = (header.own(), header.other);
    let first_table = if found.from_backup { 2 } else { header.entries_at };
    let last = if found.from_backup { own } else { other };
    let last_table = match (found.from_backup, Header::read(disk, sector, last)) {
        (true, _) => header.entries_at,
        (false, Some(backup)) => backup.entries_at,
        (false, None) => last.saturating_sub(table_sectors),
    };
    let usable = header.usable_end() - 1;
    let places = [
        (1, header.placed(1, last, first_table, usable)),
        (first_table, table.clone()),
        (last_table, table),
        (last, header.placed(last, 1, last_table, usable)),
    ];
    let fits = |(at, bytes): &(u64, Vec<u8>)| {
        let end = at.checked_mul(sector).and_then(|at| at.checked_add(bytes.len() as u64));
        end.is_some_and(|end| end <= disk.size())
    };
    if !places.iter().all(fits) {
        return Err(corrupt(
            "the disk's GPT says that a copy of it lies behind the disk's end: repair it with 'sgdisk -e'",
        ));
    }
    Ok(places.into_iter().map(|(at, bytes)| (at * sector, bytes)).collect())
}
