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
