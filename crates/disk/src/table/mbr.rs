//! The MBR and its chain of extended boot records.

use super::{Partition, Type};
use crate::error::corrupt;
use crate::field::le32;
use crate::{Disk, Result};

const SECTOR: u64 = 512;
/// Logical partitions; Linux shows no more than 60.
const MAX_LOGICAL: u32 = 128;

/// An entry: type, first sector, sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    active: u8,
    kind: u8,
    first: u64,
    sectors: u64,
}

/// A sector with four entries.
pub(super) struct Record([Entry; 4]);

impl Record {
    /// `None` without the signature.
    pub fn parse(b: &[u8; 512]) -> Option<Self> {
        (b[510..] == [0x55, 0xaa]).then(|| {
            Self([446, 462, 478, 494].map(|at| Entry {
                active: b[at],
                kind: b[at + 4],
                first: u64::from(le32(b, at + 8)),
                sectors: u64::from(le32(b, at + 12)),
            }))
        })
    }

    /// It only keeps old tools off a GPT.
    pub fn is_protective(&self) -> bool {
        self.0.iter().any(|e| e.kind == 0xee)
    }

    /// A file system's boot sector has the same signature; its code is no table.
    pub fn is_plausible(&self, sectors: u64) -> bool {
        self.0.iter().all(|e| matches!(e.active, 0 | 0x80) && (e.sectors == 0 || e.first < sectors))
            && self.0.iter().any(|e| e.sectors > 0)
    }
}

/// What gives primary partition `index` another length. Its end in cylinders becomes the mark for "too far to tell".
pub(super) fn entry_writes(index: u32, length: u64) -> Vec<(u64, Vec<u8>)> {
    let at = 446 + 16 * (u64::from(index) - 1);
    let sectors = u32::try_from(length / SECTOR).unwrap_or(u32::MAX);
    vec![(at + 5, vec![0xfe, 0xff, 0xff]), (at + 12, sectors.to_le_bytes().to_vec())]
}

/// The first byte from `from` on that an entry has, an extended partition's too; `u64::MAX` if there is none.
pub(super) fn next_entry(disk: &dyn Disk, from: u64) -> Result<u64> {
    let mut first = [0; 512];
    disk.read_at(&mut first, 0)?;
    let entries = Record::parse(&first).map(|record| record.0);
    let starts = entries.iter().flatten().filter(|e| e.sectors > 0).map(|e| e.first * SECTOR);
    Ok(starts.filter(|start| *start >= from).min().unwrap_or(u64::MAX))
}

fn is_extended(kind: u8) -> bool {
    matches!(kind, 0x05 | 0x0f | 0x85)
}

fn partition(index: u32, kind: u8, first: u64, sectors: u64) -> Partition {
    let (offset, length) = (first * SECTOR, sectors * SECTOR);
    Partition { index, kind: Type::Byte(kind), id: None, name: String::new(), offset, length }
}

/// Primary and logical partitions; the extended one itself is left out.
pub(super) fn partitions(disk: &dyn Disk, record: &Record) -> Result<Vec<Partition>> {
    let mut found = Vec::new();
    for (index, entry) in (1..).zip(record.0).filter(|(_, e)| e.sectors > 0 && e.kind != 0) {
        if !is_extended(entry.kind) {
            found.push(partition(index, entry.kind, entry.first, entry.sectors));
        }
    }
    if let Some(extended) = record.0.iter().find(|e| e.sectors > 0 && is_extended(e.kind)) {
        logical(disk, extended.first, &mut found)?;
    }
    Ok(found)
}

/// Follows the chain from `start` on: each record has a partition, relative to itself, and the next record, relative
/// to the first.
fn logical(disk: &dyn Disk, start: u64, found: &mut Vec<Partition>) -> Result<()> {
    let mut at = start;
    for index in 5..5 + MAX_LOGICAL {
        let mut b = [0; 512];
        disk.read_at(&mut b, at * SECTOR)?;
        let Some(Record([own, next, ..])) = Record::parse(&b) else {
            return Err(corrupt(format!("the extended partition table is damaged at sector {at}")));
        };
        if own.sectors > 0 && own.kind != 0 {
            found.push(partition(index, own.kind, at + own.first, own.sectors));
        }
        if next.sectors == 0 || !is_extended(next.kind) {
            return Ok(());
        }
        at = start + next.first;
    }
    Err(corrupt("the extended partition table does not end: it may be a circle"))
}
