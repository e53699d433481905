//! The GPT: header and entries, the first or their backup.
//!
//! ```text
//!   0 'EFI PART' · 8 revision · 12 header size · 16 CRC · 24 own sector · 32 the other's · 40 first usable · 48 last usable
//!   56 disk GUID · 72 entries at · 80 their number · 84 size of one · 88 CRC over them
//! ```

use uuid::Uuid;

use super::{Partition, Type};
use crate::error::corrupt;
use crate::field::{bytes, le16, le32, le64, put};
use crate::{Disk, Result, check_range};

const SIGNATURE: &[u8; 8] = b"EFI PART";
/// Entries of common size at most, and all their bytes: 32 times what is usual.
const MAX_ENTRIES: u32 = 4096;
const MAX_ENTRY: u32 = 4096;
const MAX_BYTES: u64 = 512 << 10;

/// A header that fits its checksum.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// The sector it is in, filled up.
    raw: Vec<u8>,
    pub other: u64,
    pub entries_at: u64,
    pub count: u32,
    pub entry_size: u32,
}

impl Header {
    /// Reads the header in sector `at`; `None` when there is none that is whole.
    pub fn read(disk: &dyn Disk, sector: u64, at: u64) -> Option<Self> {
        let place = at.checked_mul(sector)?;
        check_range(disk.size(), place, sector).ok()?;
        let mut raw = vec![0; sector as usize];
        disk.read_at(&mut raw, place).ok()?;
        let length = le32(&raw, 12) as usize;
        if &raw[..8] != SIGNATURE || !(92..=raw.len()).contains(&length) || le64(&raw, 24) != at {
            return None;
        }
        if le32(&raw, 16) != header_crc(&raw) {
            return None;
        }
        let header = Self {
            other: le64(&raw, 32),
            entries_at: le64(&raw, 72),
            count: le32(&raw, 80),
            entry_size: le32(&raw, 84),
            raw,
        };
        let fits = header.count <= MAX_ENTRIES
            && (128..=MAX_ENTRY).contains(&header.entry_size)
            && header.table_bytes() <= MAX_BYTES;
        fits.then_some(header)
    }

    /// The sector it is in.
    pub fn own(&self) -> u64 {
        le64(&self.raw, 24)
    }

    /// The sector behind the last that partitions may have.
    pub fn usable_end(&self) -> u64 {
        le64(&self.raw, 48).saturating_add(1)
    }

    /// The same for other entries; [`Header::placed`] makes its own checksum fit.
    pub fn with_table(&self, table: &[u8]) -> Self {
        let mut header = self.clone();
        put(&mut header.raw, 88, &crc32fast::hash(table).to_le_bytes());
        header
    }

    pub fn table_bytes(&self) -> u64 {
        u64::from(self.count) * u64::from(self.entry_size)
    }

    /// The entries, if they fit their checksum.
    fn table(&self, disk: &dyn Disk, sector: u64) -> Option<Vec<u8>> {
        let place = self.entries_at.checked_mul(sector)?;
        check_range(disk.size(), place, self.table_bytes()).ok()?;
        let mut table = vec![0; self.table_bytes() as usize];
        disk.read_at(&mut table, place).ok()?;
        (crc32fast::hash(&table) == le32(&self.raw, 88)).then_some(table)
    }

    /// The sector's bytes with other places, and the checksum that fits.
    pub fn placed(&self, own: u64, other: u64, entries_at: u64, last_usable: u64) -> Vec<u8> {
        let mut raw = self.raw.clone();
        put(&mut raw, 24, &own.to_le_bytes());
        put(&mut raw, 32, &other.to_le_bytes());
        put(&mut raw, 48, &last_usable.to_le_bytes());
        put(&mut raw, 72, &entries_at.to_le_bytes());
        let crc = header_crc(&raw);
        put(&mut raw, 16, &crc.to_le_bytes());
        raw
    }
}

/// Over the header's own length, its own place taken as zero.
fn header_crc(raw: &[u8]) -> u32 {
    let mut header = raw[..(le32(raw, 12) as usize).min(raw.len())].to_vec();
    put(&mut header, 16, &[0; 4]);
    crc32fast::hash(&header)
}

/// A GPT that is whole.
pub(super) struct Found {
    pub sector: u64,
    pub header: Header,
    pub table: Vec<u8>,
    pub from_backup: bool,
}

impl Found {
    /// The GPT of `disk`: with sectors of 512 or 4096 bytes, the first or its backup. `expected`: a protective MBR is there.
    pub fn read(disk: &dyn Disk, expected: bool) -> Result<Option<Self>> {
        let whole = |sector, at, from_backup| {
            let header = Header::read(disk, sector, at)?;
            let table = header.table(disk, sector)?;
            Some(Self { sector, header, table, from_backup })
        };
        for sector in [512, 4096] {
            if let Some(found) = whole(sector, 1, false) {
                return Ok(Some(found));
            }
        }
        if !expected {
            return Ok(None); // a stale backup of a table that was removed
        }
        for sector in [512, 4096] {
            // Where the damaged one says that its backup is, or in the last sector.
            let last = (disk.size() / sector).saturating_sub(1);
            let said = Header::read(disk, sector, 1).map_or(last, |h| h.other);
            if let Some(found) = whole(sector, said, true).or_else(|| whole(sector, last, true)) {
                return Ok(Some(found));
            }
        }
        Err(corrupt("the disk's GPT is damaged, and so is its backup: repair it with 'sgdisk' or 'gdisk'"))
    }

    /// The entries in use.
    pub fn partitions(&self, disk: &dyn Disk) -> Result<Vec<Partition>> {
        let mut found = Vec::new();
        for (index, e) in (1..).zip(self.table.chunks_exact(self.header.entry_size as usize)) {
            let kind = Uuid::from_bytes_le(bytes(e, 0));
            if kind.is_nil() {
                continue;
            }
            let (first, last) = (le64(e, 32), le64(e, 40));
            let place = first
                .checked_mul(self.sector)
                .zip(last.checked_sub(first).and_then(|n| n.checked_add(1)?.checked_mul(self.sector)));
            let Some((offset, length)) = place.filter(|(o, n)| check_range(disk.size(), *o, *n).is_ok())
            else {
                return Err(corrupt(format!("partition {index} is said to be at sectors {first} to {last}")));
            };
            let units: Vec<u16> =
                e[56..128].chunks_exact(2).map(|u| le16(u, 0)).take_while(|u| *u != 0).collect();
            found.push(Partition {
                index,
                kind: Type::Guid(kind),
                id: Some(Uuid::from_bytes_le(bytes(e, 16))),
                name: String::from_utf16_lossy(&units),
                offset,
                length,
            });
        }
        Ok(found)
    }
}
