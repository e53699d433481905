//! A disk shown larger than it is, with its GPT as if it had always been so.
//!
//! ```text
//!   [ MBR │ header │ entries │ partitions …… │ old backup ]
//!   [ MBR*│ header*│ entries │ partitions …… │ (not used) │ a hole …… │ entries │ backup header* ]      * made anew
//! ```

use std::sync::Arc;

use super::gpt::Found;
use crate::error::unsupported;
use crate::field::{le32, put};
use crate::{Content, Disk, Extent, Memory, Resized, Result, check_range};

/// `disk` with `new_size` bytes. Where it has a GPT, the backup moves to the new end, and all places and checksums
/// fit; partitions stay as they are. A smaller size, or one that is not whole sectors, is refused.
pub fn grown(disk: Arc<dyn Disk>, new_size: u64) -> Result<Arc<dyn Disk>> {
    if new_size == disk.size() {
        return Ok(disk);
    }
    let patches = growth_patches(disk.as_ref(), new_size)?;
    let larger = Resized::new(disk, new_size);
    match patches.is_empty() {
        true => Ok(Arc::new(larger)),
        false => Ok(Arc::new(Patched { patches, disk: larger })),
    }
}

/// What [`grown`] writes onto a disk that was made larger: a disk of `new_size` bytes, all hole but for that.
pub fn growth(disk: &dyn Disk, new_size: u64) -> Result<impl Disk + use<>> {
    let patches = if new_size == disk.size() { Vec::new() } else { growth_patches(disk, new_size)? };
    Ok(Patched { patches, disk: Resized::new(Memory(Vec::new()), new_size) })
}

fn growth_patches(disk: &dyn Disk, new_size: u64) -> Result<Vec<(u64, Vec<u8>)>> {
    if new_size < disk.size() {
        return Err(unsupported(format!("a disk of {} bytes cannot shrink to {new_size}", disk.size())));
    }
    if !new_size.is_multiple_of(512) {
        return Err(unsupported(format!("a disk cannot have {new_size} bytes: sectors have 512")));
    }
    let mut first = [0; 512];
    if disk.size() >= 512 {
        disk.read_at(&mut first, 0)?;
    }
    let protected = super::mbr::Record::parse(&first).is_some_and(|r| r.is_protective());
    let found = if protected { Found::read(disk, true)? } else { None };
    found.map_or(Ok(Vec::new()), |found| patches(&found, &first, new_size))
}

/// What is different on the larger disk, by place.
fn patches(found: &Found, first: &[u8; 512], new_size: u64) -> Result<Vec<(u64, Vec<u8>)>> {
    let sector = found.sector;
    if !new_size.is_multiple_of(sector) {
        return Err(unsupported(format!(
            "the disk has sectors of {sector} bytes: {new_size} are not whole ones"
        )));
    }
    let last = new_size / sector - 1;
    let table_sectors = found.table.len().div_ceil(sector as usize) as u64;
    let backup_table = last - table_sectors;
    let last_usable = backup_table - 1;
    let primary_table = if found.from_backup { 2 } else { found.header.entries_at };

    let mut mbr = first.to_vec();
    for at in [446, 462, 478, 494] {
        // The protective entry covers the disk, as far as 32 bits go.
        if mbr[at + 4] == 0xee {
            let start = u64::from(le32(&mbr, at + 8));
            let sectors = (last + 1).saturating_sub(start).min(u64::from(u32::MAX)) as u32;
            put(&mut mbr, at + 12, &sectors.to_le_bytes());
        }
    }
    let mut table = found.table.clone();
    table.resize((table_sectors * sector) as usize, 0);
    let mut patches = vec![
        (0, mbr),
        (sector, found.header.placed(1, last, primary_table, last_usable)),
        (backup_table * sector, table.clone()),
        (last * sector, found.header.placed(last, 1, backup_table, last_usable)),
    ];
    if found.from_backup {
        patches.insert(2, (primary_table * sector, table));
    }
    Ok(patches)
}

/// A disk with some bytes replaced; the places are in order and do not overlap.
struct Patched<D> {
    disk: D,
    patches: Vec<(u64, Vec<u8>)>,
}

impl<D: Disk> Disk for Patched<D> {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.disk.read_at(buf, offset)?;
        let end = offset + buf.len() as u64;
        for (at, bytes) in &self.patches {
            let (from, to) = (offset.max(*at), end.min(at + bytes.len() as u64));
            if from < to {
                let patch = &bytes[(from - at) as usize..(to - at) as usize];
                buf[(from - offset) as usize..(to - offset) as usize].copy_from_slice(patch);
            }
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        check_range(self.size(), offset, 1)?;
        for (at, bytes) in &self.patches {
            let end = at + bytes.len() as u64;
            if (*at..end).contains(&offset) {
                return Ok(Extent { offset, length: end - offset, content: Content::Data });
            }
            if *at > offset {
                let below = self.disk.extent_at(offset)?;
                return Ok(Extent { length: below.length.min(at - offset), ..below });
            }
        }
        self.disk.extent_at(offset)
    }
}
