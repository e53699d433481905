//! Reading VHDX, fixed and dynamic. A disk with changes left in its log, or with a parent, is refused by name.

use std::sync::Arc;

use super::*;
use crate::cache::Cache;
use crate::error::{corrupt, unsupported};
use crate::field::{bytes, le16, le32, le64};
use crate::{Content, Disk, Extent, Result, check_range};

/// The block table is read in pages of so many entries, of which some are kept.
const PAGE: u64 = 8192;
const PAGE_CACHE: usize = 16 << 20;
/// Entries of the region and the metadata table at most, by the specification.
const MAX_ENTRIES: usize = 2047;

/// A VHDX without parent.
pub struct Vhdx<S = Arc<dyn Disk>> {
    source: S,
    size: u64,
    block: u64,
    ratio: u64,
    table_at: u64,
    pages: Cache<u64>,
}

/// What a block table entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Hole,
    Zero,
    At(u64),
}

impl<S: Disk> Vhdx<S> {
    /// Reads headers, regions and metadata of `source`.
    pub fn new(source: S) -> Result<Self> {
        if source.size() < MIB {
            return Err(corrupt("the VHDX is truncated"));
        }
        check_header(&source)?;
        let (table, metadata) = regions(&source)?;
        let metadata = Metadata::read(&source, metadata)?;
        let ratio = chunk_ratio(metadata.block, metadata.logical_sector);
        let blocks = metadata.size.div_ceil(metadata.block);
        let entries = blocks + (blocks - 1) / ratio;
        check_range(table.1, 0, entries * 8)?;
        check_range(source.size(), table.0, entries * 8)?;
        let pages = Cache::new(PAGE_CACHE);
        Ok(Self { source, size: metadata.size, block: metadata.block, ratio, table_at: table.0, pages })
    }

    fn entries(&self) -> u64 {
        let blocks = self.size.div_ceil(self.block);
        blocks + (blocks - 1) / self.ratio
    }

    fn entry(&self, block: u64) -> Result<Block> {
        let index = block + block / self.ratio;
        let page = index / PAGE;
        let entries = match self.pages.get(page) {
            Some(entries) => entries,
            None => {
                let count = PAGE.min(self.entries() - page * PAGE);
                let mut raw = vec![0; (count * 8) as usize];
                self.source.read_at(&mut raw, self.table_at + page * PAGE * 8)?;
                let entries: Arc<[u64]> = raw.chunks_exact(8).map(|b| le64(b, 0)).collect();
                self.pages.put(page, entries.clone());
                entries
            }
        };
        let entry = entries[(index % PAGE) as usize];
        match entry & 7 {
            0 | 1 => Ok(Block::Hole), // never written; what was there is undefined
            2 | 3 => Ok(Block::Zero),
            6 => Ok(Block::At(entry & !(MIB - 1))),
            state => Err(corrupt(format!("block {block} of the VHDX is in state {state}"))),
        }
    }

    fn locate(&self, offset: u64) -> Result<(Block, u64)> {
        check_range(self.size, offset, 1)?;
        let first = offset / self.block;
        let found = self.entry(first)?;
        let mut next = first + 1;
        if !matches!(found, Block::At(_)) {
            while next * self.block < self.size && !next.is_multiple_of(PAGE) && self.entry(next)? == found {
                next += 1;
            }
        }
        Ok((found, (next * self.block).min(self.size) - offset))
    }
}

impl<S: Disk> Disk for Vhdx<S> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.size, offset, buf.len() as u64)?;
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let (block, length) = self.locate(at)?;
            let (part, tail) = rest.split_at_mut(length.min(rest.len() as u64) as usize);
            match block {
                Block::At(place) => self.source.read_at(part, place.saturating_add(at % self.block))?,
                Block::Hole | Block::Zero => part.fill(0),
            }
            at += part.len() as u64;
            rest = tail;
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        let (block, length) = self.locate(offset)?;
        let content = match block {
            Block::Hole => Content::Hole,
            Block::Zero => Content::Zero,
            Block::At(_) => Content::Data,
        };
        Ok(Extent { offset, length, content })
    }
}

/// The newer valid header must say that the log is empty.
fn check_header(source: &dyn Disk) -> Result<()> {
    let mut newest: Option<(u64, [u8; HEADER])> = None;
    for at in HEADERS {
        let mut h = [0; HEADER];
        source.read_at(&mut h, at)?;
        let sequence = le64(&h, 8);
        let valid = &h[..4] == b"head" && le32(&h, 4) == checksum(&h);
        if valid && newest.as_ref().is_none_or(|(newest, _)| sequence > *newest) {
            newest = Some((sequence, h));
        }
    }
    let (_, h) = newest.ok_or_else(|| corrupt("both headers of the VHDX are damaged"))?;
    if le16(&h, 66) != 1 {
        return Err(unsupported(format!("VHDX version {} is not read", le16(&h, 66))));
    }
    if bytes::<16>(&h, 48) != [0; 16] {
        return Err(unsupported(
            "the VHDX has changes left in its log, since it was not closed: attach it once to Hyper-V, \
             or run 'qemu-img check -r all' on it",
        ));
    }
    Ok(())
}

/// Place and length of block table and metadata.
type Region = (u64, u64);

fn regions(source: &dyn Disk) -> Result<(Region, Region)> {
    let mut table = vec![0; TABLE];
    let mut valid = false;
    for at in REGION_TABLES {
        source.read_at(&mut table, at)?;
        valid = &table[..4] == b"regi" && le32(&table, 4) == checksum(&table);
        if valid {
            break;
        }
    }
    let count = le32(&table, 8) as usize;
    if !valid || count > MAX_ENTRIES {
        return Err(corrupt("both region tables of the VHDX are damaged"));
    }
    let (mut blocks, mut metadata) = (None, None);
    for entry in table[16..].chunks_exact(32).take(count) {
        let region = (le64(entry, 16), u64::from(le32(entry, 24)));
        match Uuid::from_bytes_le(bytes(entry, 0)) {
            REGION_BLOCK_TABLE => blocks = Some(region),
            REGION_METADATA => metadata = Some(region),
            id if le32(entry, 28) & 1 != 0 => {
                return Err(unsupported(format!("the VHDX needs an unknown region {id}")));
            }
            _ => {}
        }
    }
    blocks.zip(metadata).ok_or_else(|| corrupt("the VHDX lacks its block table or metadata"))
}

struct Metadata {
    block: u64,
    size: u64,
    logical_sector: u64,
}

impl Metadata {
    fn read(source: &dyn Disk, (at, length): Region) -> Result<Self> {
        check_range(length, 0, TABLE as u64)?;
        let mut table = vec![0; TABLE];
        source.read_at(&mut table, at)?;
        let count = usize::from(le16(&table, 10));
        if &table[..8] != b"metadata" || count > MAX_ENTRIES {
            return Err(corrupt("the metadata of the VHDX are damaged"));
        }
        let (mut parameters, mut size, mut logical) = (None, None, None);
        for entry in table[32..].chunks_exact(32).take(count) {
            let (offset, needed) = (u64::from(le32(entry, 16)), le32(entry, 24) & 4 != 0);
            let value = |length: usize| -> Result<u64> {
                let mut b = [0; 8];
                source.read_at(&mut b[..length], at.saturating_add(offset))?;
                Ok(u64::from_le_bytes(b))
            };
            match Uuid::from_bytes_le(bytes(entry, 0)) {
                FILE_PARAMETERS => parameters = Some(value(8)?),
                VIRTUAL_SIZE => size = Some(value(8)?),
                LOGICAL_SECTOR => logical = Some(value(4)?),
                DISK_ID | PHYSICAL_SECTOR | PARENT_LOCATOR => {}
                id if needed => return Err(unsupported(format!("the VHDX needs unknown metadata {id}"))),
                _ => {}
            }
        }
        let missing = || corrupt("the VHDX lacks needed metadata");
        let parameters = parameters.ok_or_else(missing)?;
        if parameters >> 32 & 2 != 0 {
            return Err(unsupported("the VHDX is a differencing disk: merge it into its parent first"));
        }
        let found = Self {
            block: parameters & 0xffff_ffff,
            size: size.ok_or_else(missing)?,
            logical_sector: logical.ok_or_else(missing)?,
        };
        found.check()?;
        Ok(found)
    }

    fn check(&self) -> Result<()> {
        if !self.block.is_power_of_two() || !(MIB..=256 * MIB).contains(&self.block) {
            return Err(corrupt(format!("the VHDX claims blocks of {} bytes", self.block)));
        }
        if !matches!(self.logical_sector, 512 | 4096) {
            return Err(corrupt(format!("the VHDX claims sectors of {} bytes", self.logical_sector)));
        }
        if self.size == 0 || self.size > MAX_SIZE || !self.size.is_multiple_of(512) {
            return Err(corrupt(format!("the VHDX claims a disk of {} bytes", self.size)));
        }
        Ok(())
    }
}
