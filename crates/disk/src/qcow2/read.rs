//! Reading an image by itself, without its backing file: holes stay holes.

use std::path::Path;
use std::sync::Arc;

use super::header::{Compression, Header};
use super::{Backing, COMPRESSED, OFFSET_MASK};
use crate::cache::Cache;
use crate::error::corrupt;
use crate::field::be64;
use crate::{Content, Disk, Extent, FileDisk, Result, check_range};

/// Decompressed clusters and L2 tables kept, in bytes.
const CLUSTER_CACHE: usize = 8 << 20;
const L2_CACHE: usize = 16 << 20;
/// How many runs one answer of `extent_at` joins at most.
const JOINED_RUNS: usize = 1 << 16;
/// An L2 entry with this bit reads as zero (version 3, without extended entries).
const ZERO: u64 = 1;

/// A qcow2 image alone. [`Content::Hole`] means that the image holds nothing there and its backing file would
/// show; [`Content::Zero`] that it holds zeros. Holes read as 0.
pub struct Qcow2<S = Arc<dyn Disk>> {
    source: S,
    header: Header,
    l1: Vec<u64>,
    l2: Cache<u64>,
    clusters: Cache<u8>,
}

/// Opens `path` as qcow2 without looking at its backing file: what an overlay itself holds. The cost of walking
/// its extents follows the allocated clusters: only the L1 table and the L2 tables that exist are read.
pub fn open_alone(path: &Path) -> Result<Qcow2<FileDisk>> {
    Qcow2::new(FileDisk::open(path)?)
}

/// Where the bytes of a guest cluster (or of a 32nd of one, with extended L2 entries) are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mapping {
    Hole,
    Zero,
    /// At this place of the file.
    Data(u64),
    /// Packed, by the L2 entry.
    Compressed(u64),
}

impl Mapping {
    fn content(self) -> Content {
        match self {
            Self::Hole => Content::Hole,
            Self::Zero => Content::Zero,
            Self::Data(_) | Self::Compressed(_) => Content::Data,
        }
    }

    /// Whether `next` goes on where `self`, `length` bytes long, ends.
    fn continues(self, next: Self, length: u64) -> bool {
        match (self, next) {
            (Self::Hole, Self::Hole) | (Self::Zero, Self::Zero) => true,
            (Self::Data(a), Self::Data(b)) => a + length == b,
            _ => false,
        }
    }
}

impl<S: Disk> Qcow2<S> {
    /// Reads the header and the L1 table of `source`.
    pub fn new(source: S) -> Result<Self> {
        let header = Header::read(&source)?;
        let needed = header.size.div_ceil(1 << header.l2_span_bits());
        check_range(source.size(), header.l1_offset, needed * 8)?;
        let mut bytes = vec![0; needed as usize * 8];
        source.read_at(&mut bytes, header.l1_offset)?;
        let l1 = bytes.chunks_exact(8).map(|b| be64(b, 0) & OFFSET_MASK).collect();
        Ok(Self { source, header, l1, l2: Cache::new(L2_CACHE), clusters: Cache::new(CLUSTER_CACHE) })
    }

    /// What the image names as its base.
    pub fn backing(&self) -> Option<&Backing> {
        self.header.backing.as_ref()
    }

    /// The file (or other disk) that holds the image.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Bytes of a cluster: the unit in which the guest's writes are kept.
    pub fn cluster_size(&self) -> u64 {
        1 << self.header.cluster_bits
    }

    /// The entries of the L2 table at `place`; two words an entry with extended entries.
    fn table(&self, place: u64) -> Result<Arc<[u64]>> {
        if let Some(table) = self.l2.get(place) {
            return Ok(table);
        }
        if !place.is_multiple_of(self.cluster_size()) {
            return Err(corrupt(format!("an L2 table is said to be at {place}, inside a cluster")));
        }
        let mut bytes = vec![0; 1 << self.header.cluster_bits];
        self.source.read_at(&mut bytes, place)?;
        let table: Arc<[u64]> = bytes.chunks_exact(8).map(|b| be64(b, 0)).collect();
        self.l2.put(place, table.clone());
        Ok(table)
    }

    /// What is at `offset`, and for how many bytes this goes on (within one L2 table).
    fn run_at(&self, offset: u64) -> Result<(Mapping, u64)> {
        let span = 1u64 << self.header.l2_span_bits();
        let rest = (span - offset % span).min(self.header.size - offset);
        let place = self.l1[(offset / span) as usize];
        if place == 0 {
            return Ok((Mapping::Hole, rest));
        }
        let table = self.table(place)?;
        let unit = if self.header.extended_l2 { self.cluster_size() / 32 } else { self.cluster_size() };
        let (mapping, mut length) = (self.mapping(&table, offset)?, unit - offset % unit);
        while length < rest {
            if !mapping.continues(self.mapping(&table, offset + length)?, length) {
                break;
            }
            length += unit;
        }
        Ok((mapping, length.min(rest)))
    }

    fn mapping(&self, table: &[u64], offset: u64) -> Result<Mapping> {
        let cluster = self.cluster_size();
        let index = ((offset >> self.header.cluster_bits) & ((1 << self.header.l2_bits()) - 1)) as usize;
        let entry = table[index << (self.header.entry_bits() - 3)];
        if entry & COMPRESSED != 0 {
            return Ok(Mapping::Compressed(entry));
        }
        let place = entry & OFFSET_MASK;
        if !place.is_multiple_of(cluster) {
            return Err(corrupt(format!("the cluster of guest offset {offset} is said to be at {place}")));
        }
        let data = Mapping::Data(place + offset % cluster);
        if !self.header.extended_l2 {
            return Ok(match (entry & ZERO != 0, place) {
                (true, _) => Mapping::Zero,
                (false, 0) => Mapping::Hole,
                (false, _) => data,
            });
        }
        let bit = offset % cluster / (cluster / 32);
        let bitmap = table[index * 2 + 1];
        match (bitmap >> bit & 1 != 0, bitmap >> (32 + bit) & 1 != 0) {
            (false, false) => Ok(Mapping::Hole),
            (false, true) => Ok(Mapping::Zero),
            (true, false) if place != 0 => Ok(data),
            _ => Err(corrupt(format!("the subcluster bitmap of guest offset {offset} contradicts itself"))),
        }
    }

    /// The whole cluster that `entry` says is packed, unpacked.
    fn unpacked(&self, entry: u64) -> Result<Arc<[u8]>> {
        if let Some(cluster) = self.clusters.get(entry) {
            return Ok(cluster);
        }
        // Bits 0…x-1: byte offset; x…61: further 512-byte sectors, with x = 62 - (cluster bits - 8).
        let x = 62 - (self.header.cluster_bits - 8);
        let offset = entry & ((1 << x) - 1);
        let sectors = ((entry & (COMPRESSED - 1)) >> x) + 1;
        // The last sector may be cut off by the end of the file.
        let end = (offset - offset % 512 + sectors * 512).min(self.source.size());
        let length = end.checked_sub(offset).filter(|n| *n > 0).ok_or_else(|| {
            corrupt(format!(
                "a compressed cluster is said to be at {offset}, past the end: the image is truncated"
            ))
        })?;
        let mut packed = vec![0; length as usize];
        self.source.read_at(&mut packed, offset)?;
        let mut cluster = vec![0; 1 << self.header.cluster_bits];
        match self.header.compression {
            Compression::Deflate => inflate(&packed, &mut cluster),
            Compression::Zstd => unzstd(&packed, &mut cluster),
        }
        .map_err(|why| {
            corrupt(format!("the compressed cluster at {offset} of the image cannot be unpacked: {why}"))
        })?;
        let cluster: Arc<[u8]> = cluster.into();
        self.clusters.put(entry, cluster.clone());
        Ok(cluster)
    }
}

/// Fills `out` from a raw deflate stream.
fn inflate(packed: &[u8], out: &mut [u8]) -> std::result::Result<(), String> {
    let mut stream = flate2::Decompress::new(false);
    stream.decompress(packed, out, flate2::FlushDecompress::Finish).map_err(|e| e.to_string())?;
    if stream.total_out() == out.len() as u64 { Ok(()) } else { Err("it is too short".into()) }
}

/// Fills `out` from one or more zstd frames; what follows them is padding.
fn unzstd(packed: &[u8], out: &mut [u8]) -> std::result::Result<(), String> {
    let (mut taken, mut filled) = (0, 0);
    let mut unpacker = zstd::bulk::Decompressor::new().map_err(|e| e.to_string())?;
    while filled < out.len() {
        let frame = zstd::zstd_safe::find_frame_compressed_size(&packed[taken..])
            .map_err(|code| zstd::zstd_safe::get_error_name(code).to_string())?;
        let got = unpacker
            .decompress_to_buffer(&packed[taken..taken + frame], &mut out[filled..])
            .map_err(|e| e.to_string())?;
        if frame == 0 {
            return Err("it is too short".into());
        }
        (taken, filled) = (taken + frame, filled + got);
    }
    Ok(())
}

impl<S: Disk> Disk for Qcow2<S> {
    fn size(&self) -> u64 {
        self.header.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.header.size, offset, buf.len() as u64)?;
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let (mapping, length) = self.run_at(at)?;
            let (part, tail) = rest.split_at_mut(length.min(rest.len() as u64) as usize);
            match mapping {
                Mapping::Hole | Mapping::Zero => part.fill(0),
                Mapping::Data(place) => self.source.read_at(part, place)?,
                Mapping::Compressed(entry) => {
                    let inside = (at % self.cluster_size()) as usize;
                    part.copy_from_slice(&self.unpacked(entry)?[inside..inside + part.len()]);
                }
            }
            at += part.len() as u64;
            rest = tail;
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        check_range(self.header.size, offset, 1)?;
        let (first, mut length) = self.run_at(offset)?;
        for _ in 0..JOINED_RUNS {
            if offset + length >= self.header.size {
                break;
            }
            let (next, more) = self.run_at(offset + length)?;
            if next.content() != first.content() {
                break;
            }
            length += more;
        }
        Ok(Extent { offset, length, content: first.content() })
    }
}
