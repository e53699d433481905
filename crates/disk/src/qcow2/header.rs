//! The header: parsed with every field checked, and written.
//!
//! ```text
//!   0 magic · 4 version · 8 backing name offset · 16 its size · 20 cluster bits · 24 virtual size
//!   32 crypt · 36 L1 entries · 40 L1 offset · 48 refcount table offset · 56 its clusters · 60 snapshots · 64 their offset
//!   72 incompatible · 80 compatible · 88 autoclear · 96 refcount order · 100 header length · 104 compression   (version 3)
//!   header length ▶ extensions { type u32, length u32, bytes, padding to 8 } … { 0, 0 } · backing name
//! ```

use super::{CLUSTER_BITS, MAGIC, MAX_L1_BYTES};
use crate::error::{corrupt, unsupported};
use crate::field::{be32, be64, put};
use crate::{Disk, Result};

const INCOMPATIBLE_DIRTY: u64 = 1;
const INCOMPATIBLE_CORRUPT: u64 = 1 << 1;
const INCOMPATIBLE_DATA_FILE: u64 = 1 << 2;
const INCOMPATIBLE_COMPRESSION: u64 = 1 << 3;
const INCOMPATIBLE_EXTENDED_L2: u64 = 1 << 4;
const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;
/// QEMU refuses longer names.
const MAX_BACKING_NAME: usize = 1023;
/// Header length of what we write: the fields above up to and with the compression type, padded to 8.
const WRITTEN_LENGTH: usize = 112;

/// What an image names as its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backing {
    /// As written in the image: a path relative to it, or something with a protocol (`nbd+unix:…`, `json:…`).
    pub name: String,
    /// The base's format by QEMU's name, where the image says it.
    pub format: Option<String>,
}

/// How compressed clusters are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Deflate,
    Zstd,
}

#[derive(Clone, Debug)]
pub(super) struct Header {
    pub size: u64,
    pub cluster_bits: u32,
    pub l1_offset: u64,
    pub l1_entries: u64,
    pub compression: Compression,
    pub extended_l2: bool,
    pub backing: Option<Backing>,
}

impl Header {
    /// Reads and checks the header of `source`.
    pub fn read(source: &dyn Disk) -> Result<Self> {
        let mut bytes = [0; WRITTEN_LENGTH];
        // Version 2 headers are 72 bytes and may be all there is before the first table.
        let there = source.size().min(WRITTEN_LENGTH as u64) as usize;
        if there < 72 {
            return Err(corrupt(format!("the qcow2 header is truncated: {there} bytes are there")));
        }
        source.read_at(&mut bytes[..there], 0)?;
        if bytes[..4] != MAGIC {
            return Err(corrupt("this is not a qcow2 image"));
        }
        let version = be32(&bytes, 4);
        if !(2..=3).contains(&version) {
            return Err(unsupported(format!("qcow version {version} is not read: only 2 and 3 are")));
        }
        match be32(&bytes, 32) {
            0 => {}
            1 => return Err(unsupported("the qcow2 image is encrypted (AES): decrypt it first")),
            2 => return Err(unsupported("the qcow2 image is encrypted (LUKS): decrypt it first")),
            n => return Err(unsupported(format!("the qcow2 image is encrypted by unknown method {n}"))),
        }
        let incompatible = if version == 3 { be64(&bytes, 72) } else { 0 };
        let header_length = if version == 3 { u64::from(be32(&bytes, 100)) } else { 72 };
        check_features(incompatible)?;

        let mut header = Self {
            size: be64(&bytes, 24),
            cluster_bits: be32(&bytes, 20),
            l1_offset: be64(&bytes, 40),
            l1_entries: u64::from(be32(&bytes, 36)),
            compression: Compression::Deflate,
            extended_l2: incompatible & INCOMPATIBLE_EXTENDED_L2 != 0,
            backing: None,
        };
        if incompatible & INCOMPATIBLE_COMPRESSION != 0 && header_length > 104 {
            header.compression = match bytes[104] {
                0 => Compression::Deflate,
                1 => Compression::Zstd,
                n => return Err(unsupported(format!("qcow2 compression type {n} is not known"))),
            };
        }
        header.check_geometry()?;
        if !(72..=1 << header.cluster_bits).contains(&header_length) || (version == 3 && header_length < 104)
        {
            return Err(corrupt(format!("the qcow2 header claims a length of {header_length} bytes")));
        }
        header.backing = header.read_backing(source, be64(&bytes, 8), be32(&bytes, 16), header_length)?;
        Ok(header)
    }

    /// Sizes that fit together, so that no later sum can overflow and no table can be larger than its limit.
    fn check_geometry(&self) -> Result<()> {
        if !(9..=21).contains(&self.cluster_bits) {
            return Err(corrupt(format!(
                "the qcow2 header claims clusters of 2^{} bytes",
                self.cluster_bits
            )));
        }
        if self.extended_l2 && self.cluster_bits < 14 {
            return Err(corrupt("extended L2 entries need clusters of at least 16 KiB"));
        }
        if self.size == 0 {
            return Err(corrupt("the qcow2 image holds a disk of 0 bytes"));
        }
        let needed = self.size.div_ceil(1 << self.l2_span_bits());
        if needed * 8 > MAX_L1_BYTES {
            return Err(corrupt(format!("the qcow2 header claims an absurd size of {} bytes", self.size)));
        }
        if self.l1_entries < needed {
            return Err(corrupt(format!(
                "the L1 table has {} entries, {needed} are needed",
                self.l1_entries
            )));
        }
        if !self.l1_offset.is_multiple_of(1 << self.cluster_bits) || self.l1_offset == 0 {
            return Err(corrupt(format!("the L1 table is said to be at {}", self.l1_offset)));
        }
        Ok(())
    }

    /// log2 of the bytes of an L2 entry.
    pub fn entry_bits(&self) -> u32 {
        if self.extended_l2 { 4 } else { 3 }
    }

    /// log2 of the entries of an L2 table.
    pub fn l2_bits(&self) -> u32 {
        self.cluster_bits - self.entry_bits()
    }

    /// log2 of the guest bytes that an L2 table covers.
    pub fn l2_span_bits(&self) -> u32 {
        self.cluster_bits + self.l2_bits()
    }

    fn read_backing(
        &self,
        source: &dyn Disk,
        offset: u64,
        length: u32,
        header_length: u64,
    ) -> Result<Option<Backing>> {
        if offset == 0 {
            return Ok(None);
        }
        let length = length as usize;
        let cluster = 1u64 << self.cluster_bits;
        if length > MAX_BACKING_NAME || offset > cluster - (length as u64).min(cluster) {
            return Err(corrupt(format!("the backing file's name is said to be {length} bytes at {offset}")));
        }
        if length == 0 {
            return Ok(None);
        }
        let mut name = vec![0; length];
        source.read_at(&mut name, offset)?;
        let name = String::from_utf8(name).map_err(|_| corrupt("the backing file's name is not UTF-8"))?;
        let format = backing_format(source, header_length, cluster)?;
        Ok(Some(Backing { name, format }))
    }
}

fn check_features(incompatible: u64) -> Result<()> {
    // A dirty image has refcounts that cannot be trusted; reading does not use them.
    let known = INCOMPATIBLE_DIRTY
        | INCOMPATIBLE_CORRUPT
        | INCOMPATIBLE_DATA_FILE
        | INCOMPATIBLE_COMPRESSION
        | INCOMPATIBLE_EXTENDED_L2;
    if incompatible & INCOMPATIBLE_CORRUPT != 0 {
        return Err(corrupt("the qcow2 image is marked corrupt: repair it with 'qemu-img check -r all'"));
    }
    if incompatible & INCOMPATIBLE_DATA_FILE != 0 {
        return Err(unsupported("the qcow2 image keeps its data in an external file: convert it first"));
    }
    if incompatible & !known != 0 {
        return Err(unsupported(format!(
            "the qcow2 image needs unknown features (bits {:#x})",
            incompatible & !known
        )));
    }
    Ok(())
}

/// Looks through the header extensions for the backing file's format.
fn backing_format(source: &dyn Disk, mut at: u64, cluster: u64) -> Result<Option<String>> {
    while at + 8 <= cluster.min(source.size()) {
        let mut head = [0; 8];
        source.read_at(&mut head, at)?;
        let (kind, length) = (be32(&head, 0), u64::from(be32(&head, 4)));
        if kind == 0 {
            break;
        }
        if at + 8 + length > cluster {
            return Err(corrupt(format!("a qcow2 header extension claims {length} bytes")));
        }
        if kind == EXTENSION_BACKING_FORMAT && length <= 16 {
            let mut name = vec![0; length as usize];
            source.read_at(&mut name, at + 8)?;
            return Ok(String::from_utf8(name).ok());
        }
        at += 8 + length.next_multiple_of(8);
    }
    Ok(None)
}

/// What a written header says beyond constants.
pub(super) struct Written<'a> {
    pub size: u64,
    pub l1_offset: u64,
    pub l1_entries: u32,
    pub refcount_offset: u64,
    pub refcount_clusters: u32,
    pub zstd: bool,
    pub backing: Option<(&'a str, &'a str)>,
}

impl Written<'_> {
    /// The header cluster of a version 3 image with 64 KiB clusters and 16-bit refcounts.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut h = vec![0; 1 << CLUSTER_BITS];
        put(&mut h, 0, &MAGIC);
        put(&mut h, 4, &3u32.to_be_bytes());
        put(&mut h, 20, &CLUSTER_BITS.to_be_bytes());
        put(&mut h, 24, &self.size.to_be_bytes());
        put(&mut h, 36, &self.l1_entries.to_be_bytes());
        put(&mut h, 40, &self.l1_offset.to_be_bytes());
        put(&mut h, 48, &self.refcount_offset.to_be_bytes());
        put(&mut h, 56, &self.refcount_clusters.to_be_bytes());
        if self.zstd {
            put(&mut h, 72, &INCOMPATIBLE_COMPRESSION.to_be_bytes());
            put(&mut h, 104, &[1]);
        }
        put(&mut h, 96, &4u32.to_be_bytes());
        put(&mut h, 100, &(WRITTEN_LENGTH as u32).to_be_bytes());
        if let Some((name, format)) = self.backing {
            if name.is_empty() || name.len() > MAX_BACKING_NAME || format.len() > 16 {
                return Err(unsupported(format!("'{name}' ({format}) cannot be a qcow2 backing reference")));
            }
            put(&mut h, WRITTEN_LENGTH, &EXTENSION_BACKING_FORMAT.to_be_bytes());
            put(&mut h, WRITTEN_LENGTH + 4, &(format.len() as u32).to_be_bytes());
            put(&mut h, WRITTEN_LENGTH + 8, format.as_bytes());
            let name_at = WRITTEN_LENGTH + 8 + format.len().next_multiple_of(8) + 8;
            put(&mut h, 8, &(name_at as u64).to_be_bytes());
            put(&mut h, 16, &(name.len() as u32).to_be_bytes());
            put(&mut h, name_at, name.as_bytes());
        }
        Ok(h)
    }
}
