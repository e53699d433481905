//! The sparse header and the descriptor text.
//!
//! ```text
//!   0 'KDMV' · 4 version · 8 flags · 12 capacity · 20 grain · 28 descriptor at · 36 its sectors · 44 entries of a table
//!   48 redundant directory at · 56 directory at · 64 overhead · 72 unclean · 73 "\n \r\n" · 77 compression
//! ```

use super::{MAGIC, SECTOR};
use crate::Result;
use crate::error::{corrupt, unsupported};
use crate::field::{le16, le32, le64, put};

pub(super) const LENGTH: usize = 512;
/// What we write: grains of 64 KiB, tables of 512 entries.
pub(super) const GRAIN: u64 = 128;
pub(super) const ENTRIES: u64 = 512;
/// The directory is at the end; a footer says where.
pub(super) const AT_END: u64 = u64::MAX;
/// A directory for 128 TiB of common grains; no memory is taken for more.
const MAX_TABLES: u64 = 1 << 22;
const FLAG_NEWLINES: u32 = 1;
const FLAG_REDUNDANT: u32 = 1 << 1;
const FLAG_ZEROED_GRAINS: u32 = 1 << 2;
const FLAG_COMPRESSED: u32 = 1 << 16;
const FLAG_MARKERS: u32 = 1 << 17;

#[derive(Clone, Debug)]
pub(super) struct Header {
    /// Sectors of the disk, of a grain, and guest sectors' worth of table entries.
    pub capacity: u64,
    pub grain: u64,
    pub entries: u64,
    pub descriptor: (u64, u64),
    pub redundant_directory: u64,
    pub directory: u64,
    pub overhead: u64,
    pub compressed: bool,
    pub zeroed_grains: bool,
}

impl Header {
    pub fn parse(b: &[u8; LENGTH]) -> Result<Self> {
        if b[..4] != MAGIC {
            return Err(corrupt("the VMDK header is missing"));
        }
        let (version, flags) = (le32(b, 4), le32(b, 8));
        if !(1..=3).contains(&version) {
            return Err(unsupported(format!("VMDK version {version} is not read")));
        }
        if flags & FLAG_NEWLINES != 0 && &b[73..77] != b"\n \r\n" {
            return Err(corrupt("the VMDK was damaged by a transfer as text: transfer it as binary"));
        }
        let compressed = flags & FLAG_COMPRESSED != 0;
        if compressed && le16(b, 77) != 1 {
            return Err(unsupported(format!("VMDK compression {} is not read", le16(b, 77))));
        }
        let header = Self {
            capacity: le64(b, 12),
            grain: le64(b, 20),
            entries: u64::from(le32(b, 44)),
            descriptor: (le64(b, 28), le64(b, 36)),
            redundant_directory: le64(b, 48),
            directory: le64(b, 56),
            overhead: le64(b, 64),
            compressed,
            zeroed_grains: flags & FLAG_ZEROED_GRAINS != 0,
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<()> {
        if !self.grain.is_power_of_two() || !(1..=4096).contains(&self.grain) {
            return Err(corrupt(format!("the VMDK header claims grains of {} sectors", self.grain)));
        }
        if !self.entries.is_power_of_two() || !(1..=4096).contains(&self.entries) {
            return Err(corrupt(format!("the VMDK header claims tables of {} entries", self.entries)));
        }
        // 64 TiB, more than VMware makes.
        if self.capacity == 0 || self.capacity > (64 << 40) / SECTOR {
            return Err(corrupt(format!("the VMDK header claims a disk of {} sectors", self.capacity)));
        }
        if self.tables() > MAX_TABLES {
            return Err(corrupt(format!("the VMDK header claims {} grain tables", self.tables())));
        }
        Ok(())
    }

    /// Tables that the directory has room for.
    pub fn tables(&self) -> u64 {
        self.capacity.div_ceil(self.grain * self.entries)
    }

    pub fn encode(&self) -> [u8; LENGTH] {
        let mut b = [0; LENGTH];
        put(&mut b, 0, &MAGIC);
        let (version, flags) = match self.compressed {
            true => (3u32, FLAG_NEWLINES | FLAG_COMPRESSED | FLAG_MARKERS),
            false => (1, FLAG_NEWLINES | FLAG_REDUNDANT),
        };
        put(&mut b, 4, &version.to_le_bytes());
        put(&mut b, 8, &flags.to_le_bytes());
        put(&mut b, 12, &self.capacity.to_le_bytes());
        put(&mut b, 20, &self.grain.to_le_bytes());
        put(&mut b, 28, &self.descriptor.0.to_le_bytes());
        put(&mut b, 36, &self.descriptor.1.to_le_bytes());
        put(&mut b, 44, &(self.entries as u32).to_le_bytes());
        put(&mut b, 48, &self.redundant_directory.to_le_bytes());
        put(&mut b, 56, &self.directory.to_le_bytes());
        put(&mut b, 64, &self.overhead.to_le_bytes());
        put(&mut b, 73, b"\n \r\n");
        put(&mut b, 77, &u16::from(self.compressed).to_le_bytes());
        b
    }
}

/// Sectors that the descriptor takes up in what we write.
pub(super) const DESCRIPTOR_SECTORS: u64 = 20;

/// The descriptor text, filled up with zeros.
pub(super) fn descriptor(capacity: u64, kind: &str) -> Vec<u8> {
    let id = uuid::Uuid::new_v4().as_u128() as u32 & 0xffff_fffe; // all ones would mean "no parent"
    let cylinders = (capacity / (255 * 63)).min(65535);
    let mut text = format!(
        "# Disk DescriptorFile\nversion=1\nCID={id:08x}\nparentCID=ffffffff\ncreateType=\"{kind}\"\n\n\
         # Extent description\nRW {capacity} SPARSE \"disk.vmdk\"\n\n\
         # The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"8\"\nddb.adapterType = \"lsilogic\"\n\
         ddb.geometry.cylinders = \"{cylinders}\"\nddb.geometry.heads = \"255\"\nddb.geometry.sectors = \"63\"\n"
    )
    .into_bytes();
    text.resize((DESCRIPTOR_SECTORS * SECTOR) as usize, 0);
    text
}
