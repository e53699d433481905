//! The footer, and the geometry that decides a disk's size for some of its makers.
//!
//! ```text
//!   0 'conectix' · 8 features · 12 version · 16 offset of the dynamic header · 24 time · 28 maker · 32 its version · 36 its host
//!   40 original size · 48 size · 56 cylinders u16, heads u8, sectors u8 · 60 kind · 64 checksum · 68 UUID · 84 saved state
//! ```

use crate::Result;
use crate::error::{corrupt, unsupported};
use crate::field::{be16, be32, be64, bytes, put};

pub(crate) const COOKIE: [u8; 8] = *b"conectix";
pub(super) const LENGTH: usize = 512;
const VERSION: u32 = 0x0001_0000;
/// The largest geometry there is; with it, only the size says how large the disk is.
const MAX_GEOMETRY: u64 = 65535 * 16 * 255;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Fixed,
    Dynamic,
    Differencing,
}

#[derive(Clone, Debug)]
pub(super) struct Footer {
    pub kind: Kind,
    pub size: u64,
    pub header_offset: u64,
    pub uuid: [u8; 16],
}

impl Footer {
    pub fn parse(b: &[u8; LENGTH]) -> Result<Self> {
        if b[..8] != COOKIE {
            return Err(corrupt("the VHD footer is missing: the file is truncated"));
        }
        if be32(b, 64) != checksum(b, 64) {
            return Err(corrupt("the VHD footer's checksum is wrong"));
        }
        if be32(b, 12) >> 16 != 1 {
            return Err(unsupported(format!("VHD version {:#x} is not read", be32(b, 12))));
        }
        let kind = match be32(b, 60) {
            2 => Kind::Fixed,
            3 => Kind::Dynamic,
            4 => Kind::Differencing,
            n => return Err(unsupported(format!("VHD kind {n} is not read"))),
        };
        let size = disk_size(b);
        if size == 0 || size > super::MAX_SIZE || !size.is_multiple_of(512) {
            return Err(corrupt(format!("the VHD footer claims a disk of {size} bytes")));
        }
        Ok(Self { kind, size, header_offset: be64(b, 16), uuid: bytes(b, 68) })
    }

    /// The bytes, with our own maker's mark and the geometry that fits.
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut b = [0; LENGTH];
        put(&mut b, 0, &COOKIE);
        put(&mut b, 8, &2u32.to_be_bytes());
        put(&mut b, 12, &VERSION.to_be_bytes());
        put(&mut b, 16, &self.header_offset.to_be_bytes());
        // "win ": readers that mistrust the size of unknown makers (QEMU does) take this one's exactly.
        put(&mut b, 28, b"win ");
        put(&mut b, 32, &0x000a_0000u32.to_be_bytes());
        put(&mut b, 36, b"Wi2k");
        put(&mut b, 40, &self.size.to_be_bytes());
        put(&mut b, 48, &self.size.to_be_bytes());
        let (cylinders, heads, sectors) = geometry(self.size / 512);
        put(&mut b, 56, &cylinders.to_be_bytes());
        put(&mut b, 58, &[heads, sectors]);
        let kind: u32 = match self.kind {
            Kind::Fixed => 2,
            Kind::Dynamic => 3,
            Kind::Differencing => 4,
        };
        put(&mut b, 60, &kind.to_be_bytes());
        put(&mut b, 68, &self.uuid);
        let sum = checksum(&b, 64);
        put(&mut b, 64, &sum.to_be_bytes());
        b
    }
}

/// Virtual PC and old QEMU make disks as large as their geometry, as QEMU knows (`block/vpc.c`). All others are believed:
/// also those whom QEMU mistrusts as unknown, such as XenServer's own exports ("caml"), whose last sectors it cuts off.
fn disk_size(b: &[u8; LENGTH]) -> u64 {
    let sectors = u64::from(be16(b, 56)) * u64::from(b[58]) * u64::from(b[59]);
    let by_geometry = matches!(&b[28..32], b"vpc " | b"qemu");
    if by_geometry && sectors != 0 && sectors < MAX_GEOMETRY { sectors * 512 } else { be64(b, 48) }
}

/// One's complement of the sum of all bytes, the checksum itself taken as zero.
pub(super) fn checksum(b: &[u8], at: usize) -> u32 {
    !b.iter().enumerate().filter(|(i, _)| !(at..at + 4).contains(i)).map(|(_, b)| u32::from(*b)).sum::<u32>()
}

/// Cylinders, heads and sectors for a number of sectors, as the specification's appendix has it.
fn geometry(sectors: u64) -> (u16, u8, u8) {
    let total = sectors.min(MAX_GEOMETRY);
    if total >= 65535 * 16 * 63 {
        return ((total / 16 / 255) as u16, 16, 255);
    }
    let (mut per_track, mut heads, mut tracks) = (17, (total / 17).div_ceil(1024).max(4), total / 17);
    if tracks >= heads * 1024 || heads > 16 {
        (per_track, heads, tracks) = (31, 16, total / 31);
    }
    if tracks >= heads * 1024 {
        (per_track, heads, tracks) = (63, 16, total / 63);
    }
    ((tracks / heads) as u16, heads as u8, per_track as u8)
}
