//! Reading sparse and streamOptimized extents, and the descriptor of flat ones.

use std::sync::Arc;

use super::SECTOR;
use super::header::{AT_END, Header, LENGTH};
use crate::cache::Cache;
use crate::error::{corrupt, unsupported};
use crate::field::{le32, le64};
use crate::{Content, Disk, Extent, Result, check_range};

const TABLE_CACHE: usize = 16 << 20;
const GRAIN_CACHE: usize = 8 << 20;
/// Longest descriptor looked at.
const MAX_DESCRIPTOR: u64 = 64 << 10;

/// A sparse VMDK in one file. Disks with a parent (linked clones) are refused.
pub struct Vmdk<S = Arc<dyn Disk>> {
    source: S,
    header: Header,
    directory: Vec<u32>,
    tables: Cache<u32>,
    grains: Cache<u8>,
}

/// Where a grain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grain {
    Hole,
    Zero,
    /// From this sector of the file on.
    At(u64),
}

impl<S: Disk> Vmdk<S> {
    /// Reads header, descriptor and directory of `source`.
    pub fn new(source: S) -> Result<Self> {
        let mut b = [0; LENGTH];
        check_range(source.size(), 0, LENGTH as u64)?;
        source.read_at(&mut b, 0)?;
        let mut header = Header::parse(&b)?;
        if header.directory == AT_END {
            // Footer and end-of-stream marker are the last two sectors.
            let end = source.size() / SECTOR;
            let footer = end.checked_sub(2).ok_or_else(|| corrupt("the VMDK is truncated"))?;
            source.read_at(&mut b, footer * SECTOR)?;
            header = Header::parse(&b)
                .map_err(|e| corrupt("the VMDK's footer is missing: the file is truncated").with_source(e))?;
        }
        let (at, sectors) = header.descriptor;
        if at != 0 {
            check_descriptor(&read_text(&source, at, sectors)?)?;
        }
        let place = header.directory.saturating_mul(SECTOR);
        check_range(source.size(), place, header.tables() * 4)?;
        let mut raw = vec![0; (header.tables() * 4) as usize];
        source.read_at(&mut raw, place)?;
        let directory = raw.chunks_exact(4).map(|b| le32(b, 0)).collect();
        Ok(Self {
            source,
            header,
            directory,
            tables: Cache::new(TABLE_CACHE),
            grains: Cache::new(GRAIN_CACHE),
        })
    }

    fn grain_bytes(&self) -> u64 {
        self.header.grain * SECTOR
    }

    fn table(&self, sector: u64) -> Result<Arc<[u32]>> {
        if let Some(table) = self.tables.get(sector) {
            return Ok(table);
        }
        let mut raw = vec![0; (self.header.entries * 4) as usize];
        self.source.read_at(&mut raw, sector * SECTOR)?;
        let table: Arc<[u32]> = raw.chunks_exact(4).map(|b| le32(b, 0)).collect();
        self.tables.put(sector, table.clone());
        Ok(table)
    }

    /// What is at `offset`, and for how long this goes on (within a table).
    fn locate(&self, offset: u64) -> Result<(Grain, u64)> {
        check_range(self.size(), offset, 1)?;
        let span = self.grain_bytes() * self.header.entries;
        let index = (offset / span) as usize;
        let left = self.size() - offset;
        let table = match self.directory[index] {
            0 => {
                let absent = self.directory[index..].iter().take_while(|p| **p == 0).count() as u64;
                return Ok((Grain::Hole, (absent * span - offset % span).min(left)));
            }
            sector => self.table(u64::from(sector))?,
        };
        let first = (offset % span / self.grain_bytes()) as usize;
        let found = self.grain(table[first]);
        let mut count = 1;
        if !matches!(found, Grain::At(_)) {
            count = table[first..].iter().take_while(|p| self.grain(**p) == found).count() as u64;
        }
        Ok((found, (count * self.grain_bytes() - offset % self.grain_bytes()).min(left)))
    }

    fn grain(&self, entry: u32) -> Grain {
        match entry {
            0 => Grain::Hole,
            1 if self.header.zeroed_grains => Grain::Zero,
            sector => Grain::At(u64::from(sector)),
        }
    }

    /// The grain behind the marker at `sector`, unpacked.
    fn unpacked(&self, sector: u64) -> Result<Arc<[u8]>> {
        if let Some(grain) = self.grains.get(sector) {
            return Ok(grain);
        }
        let place = sector * SECTOR;
        let mut marker = [0; 12];
        self.source.read_at(&mut marker, place)?;
        let size = u64::from(le32(&marker, 8));
        if size == 0 || size > self.grain_bytes() * 2 {
            return Err(corrupt(format!("the grain at sector {sector} claims {size} packed bytes")));
        }
        let mut packed = vec![0; size as usize];
        self.source.read_at(&mut packed, place + 12)?;
        let mut grain = vec![0; self.grain_bytes() as usize];
        let mut stream = flate2::Decompress::new(true);
        let done = stream.decompress(&packed, &mut grain, flate2::FlushDecompress::Finish);
        // The last grain may end with the disk.
        let first = le64(&marker, 0).min(self.header.capacity);
        let needed = self.grain_bytes().min((self.header.capacity - first) * SECTOR);
        if done.is_err() || stream.total_out() < needed {
            return Err(corrupt(format!("the grain at sector {sector} cannot be unpacked")));
        }
        let grain: Arc<[u8]> = grain.into();
        self.grains.put(sector, grain.clone());
        Ok(grain)
    }
}

impl<S: Disk> Disk for Vmdk<S> {
    fn size(&self) -> u64 {
        self.header.capacity * SECTOR
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.size(), offset, buf.len() as u64)?;
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let (grain, length) = self.locate(at)?;
            let (part, tail) = rest.split_at_mut(length.min(rest.len() as u64) as usize);
            let inside = at % self.grain_bytes();
            match grain {
                Grain::Hole | Grain::Zero => part.fill(0),
                Grain::At(sector) if self.header.compressed => {
                    let inside = inside as usize;
                    part.copy_from_slice(&self.unpacked(sector)?[inside..inside + part.len()]);
                }
                Grain::At(sector) => self.source.read_at(part, sector * SECTOR + inside)?,
            }
            at += part.len() as u64;
            rest = tail;
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        let (grain, length) = self.locate(offset)?;
        let content = match grain {
            Grain::Hole => Content::Hole,
            Grain::Zero => Content::Zero,
            Grain::At(_) => Content::Data,
        };
        Ok(Extent { offset, length, content })
    }
}

fn read_text(source: &dyn Disk, sector: u64, sectors: u64) -> Result<String> {
    let (at, length) = (sector.saturating_mul(SECTOR), sectors.saturating_mul(SECTOR).min(MAX_DESCRIPTOR));
    check_range(source.size(), at, length)?;
    let mut text = vec![0; length as usize];
    source.read_at(&mut text, at)?;
    let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
    Ok(String::from_utf8_lossy(&text[..end]).into_owned())
}

/// Refuses what stands on a parent.
fn check_descriptor(text: &str) -> Result<()> {
    let parent = text.lines().find_map(|l| l.trim().strip_prefix("parentCID=")).unwrap_or("ffffffff");
    if !parent.trim().eq_ignore_ascii_case("ffffffff") {
        return Err(unsupported("the VMDK is a linked clone or snapshot: consolidate it first"));
    }
    Ok(())
}

/// A part of a disk whose bytes are in a file of their own, or nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatExtent {
    /// Bytes.
    pub length: u64,
    /// The file as named in the descriptor, and the byte from which on; `None` reads as zero.
    pub file: Option<(String, u64)>,
}

/// Parts at most, and bytes of a disk.
const MAX_EXTENTS: usize = 4096;

/// The parts of a disk described by a text file: only flat ones; sparse parts in several files are refused by name.
pub fn flat_extents(source: &dyn Disk) -> Result<Vec<FlatExtent>> {
    if source.size() > MAX_DESCRIPTOR {
        return Err(corrupt(format!("a VMDK descriptor of {} bytes is absurd", source.size())));
    }
    let mut bytes = vec![0; source.size() as usize];
    source.read_at(&mut bytes, 0)?;
    let text = String::from_utf8_lossy(&bytes);
    check_descriptor(&text)?;
    let mut extents = Vec::new();
    for line in text.lines().map(str::trim) {
        let access = line.split_whitespace().next().unwrap_or_default();
        if !matches!(access, "RW" | "RDONLY" | "NOACCESS") {
            continue;
        }
        extents.push(flat_extent(line)?);
        if extents.len() > MAX_EXTENTS {
            return Err(corrupt("the VMDK descriptor has too many extents"));
        }
    }
    if extents.is_empty() {
        return Err(corrupt("the VMDK descriptor has no extents"));
    }
    Ok(extents)
}

/// `RW 4192256 FLAT "test-flat.vmdk" 0`
fn flat_extent(line: &str) -> Result<FlatExtent> {
    let malformed = || corrupt(format!("the VMDK extent '{line}' is malformed"));
    let mut words = line.split_whitespace().skip(1);
    let sectors: u64 = words.next().and_then(|w| w.parse().ok()).ok_or_else(malformed)?;
    let length = sectors.checked_mul(SECTOR).filter(|n| (1..=64 << 40).contains(n)).ok_or_else(malformed)?;
    match words.next() {
        Some("ZERO") => Ok(FlatExtent { length, file: None }),
        Some("FLAT" | "VMFS") => {
            let mut quoted = line.splitn(3, '"').skip(1);
            let name = quoted.next().ok_or_else(malformed)?.to_owned();
            let at = quoted.next().ok_or_else(malformed)?.trim();
            let at: u64 = if at.is_empty() { 0 } else { at.parse().map_err(|_| malformed())? };
            Ok(FlatExtent { length, file: Some((name, at.checked_mul(SECTOR).ok_or_else(malformed)?)) })
        }
        Some(kind) => {
            Err(unsupported(format!("VMDK extents of kind {kind} are not read: make it one file first")))
        }
        None => Err(malformed()),
    }
}
