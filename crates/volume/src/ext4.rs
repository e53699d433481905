//! Free blocks of ext2, ext3 and ext4, from their block bitmaps.
//!
//! ```text
//!   1024    superblock: sizes, features, state
//!   block first_data_block + 1: one descriptor per group ──▶ the group's bitmap: one bit per block, 1 = used
//! ```
//!
//! Fields and checksums: the kernel's documentation, `filesystems/ext4` (superblock, group descriptors, checksums).

use crate::bytes::{Stretch, u16_at, u32_at};
use crate::free::{Ranges, Unknown};
use crate::health::Health;

const SUPERBLOCK: u64 = 1024;
const MAGIC: u16 = 0xef53;
/// Cleanly unmounted, and neither error nor orphan bit.
const CLEAN: u16 = 1;
const RECOVER: u32 = 0x4;
const WIDE: u32 = 0x80;
const CHECKSUM_SEED: u32 = 0x2000;
/// filetype, extents, 64bit, flex_bg, ea_inode, csum_seed, large_dir, inline_data, encrypt, casefold: none of them
/// changes what a block bitmap means. Not: recovery needed, journal device, meta_bg (descriptors elsewhere), mmp.
const INCOMPATIBLE: u32 =
    0x2 | 0x40 | WIDE | 0x200 | 0x400 | CHECKSUM_SEED | 0x4000 | 0x8000 | 0x1_0000 | 0x2_0000;
const METADATA_CHECKSUMS: u32 = 0x400;
/// sparse_super, large_file, huge_file, gdt_csum, dir_nlink, extra_isize, quota, metadata_csum, read-only, project,
/// verity. Not: bigalloc (bits are clusters), snapshots, orphans present.
const READ_ONLY_COMPATIBLE: u32 =
    0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | METADATA_CHECKSUMS | 0x1000 | 0x2000 | 0x8000;
const BLOCK_BITMAP_UNINITIALISED: u16 = 0x2;
/// 256 TiB in groups of 128 MiB.
const GROUPS_LIMIT: u64 = 2 << 20;
/// Descriptors read at once.
const DESCRIPTORS: u64 = 512;

/// What the superblock says.
struct Superblock {
    block: u64,
    blocks: u64,
    first: u64,
    per_group: u64,
    descriptor: usize,
    /// Start value of all checksums, where there are any.
    seed: Option<u32>,
}

/// The checksum as ext4 computes it: CRC-32C, without the last inversion.
fn checksum(seed: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, bytes)
}

pub(crate) fn free(stretch: &Stretch, ranges: &mut Ranges) -> Result<bool, Unknown> {
    if stretch.length < SUPERBLOCK + 1024 {
        return Ok(false);
    }
    let bytes = stretch.read(SUPERBLOCK, 1024)?;
    if u16_at(&bytes, 0x38)? != MAGIC {
        return Ok(false);
    }
    let superblock = Superblock::parse(&bytes, stretch.length)?;
    let groups = (superblock.blocks - superblock.first).div_ceil(superblock.per_group);
    if groups > GROUPS_LIMIT {
        return Err(format!("it claims {groups} groups").into());
    }
    let table = (superblock.first + 1) * superblock.block;
    for first in (0..groups).step_by(DESCRIPTORS as usize) {
        let count = (groups - first).min(DESCRIPTORS);
        let size = superblock.descriptor;
        let bytes = stretch.read(table + first * size as u64, count as usize * size)?;
        for (group, descriptor) in (first..).zip(bytes.chunks_exact(size)) {
            superblock.group(stretch, group, descriptor, ranges)?;
        }
    }
    ranges.finish();
    Ok(true)
}

/// How it was left.
pub(crate) fn health(stretch: &Stretch) -> Result<Health, Unknown> {
    let bytes = stretch.read(SUPERBLOCK, 1024)?;
    if u32_at(&bytes, 0x60)? & RECOVER != 0 {
        return Ok(Health::InUse("its journal must be replayed".to_owned()));
    }
    if u16_at(&bytes, 0x3a)? != CLEAN {
        return Ok(Health::CheckNeeded("it was not unmounted, or errors were found in it".to_owned()));
    }
    Ok(Health::Clean)
}

impl Superblock {
    fn parse(bytes: &[u8], length: u64) -> Result<Self, Unknown> {
        let (incompatible, read_only) = (u32_at(bytes, 0x60)?, u32_at(bytes, 0x64)?);
        let revision = u32_at(bytes, 0x4c)?;
        if incompatible & RECOVER != 0 {
            return Err("its journal must be replayed first: it was not unmounted cleanly".into());
        }
        if u16_at(bytes, 0x3a)? != CLEAN || u32_at(bytes, 0xe8)? != 0 {
            return Err("it is not clean: run a file system check in the machine".into());
        }
        let (unknown, unknown_ro) = (incompatible & !INCOMPATIBLE, read_only & !READ_ONLY_COMPATIBLE);
        if unknown | unknown_ro != 0 || revision > 1 {
            return Err(
                format!("it uses features that are not understood: {unknown:#x}, {unknown_ro:#x}").into()
            );
        }
        let seed = if read_only & METADATA_CHECKSUMS == 0 {
            None
        } else {
            if checksum(!0, &bytes[..0x3fc]) != u32_at(bytes, 0x3fc)? {
                return Err("its superblock is damaged: the checksum is wrong".into());
            }
            let by_uuid = checksum(!0, &bytes[0x68..0x78]);
            Some(if incompatible & CHECKSUM_SEED != 0 { u32_at(bytes, 0x270)? } else { by_uuid })
        };
        let wide = incompatible & WIDE != 0;
        let shift = u32_at(bytes, 0x18)?;
        let high = if wide { u64::from(u32_at(bytes, 0x150)?) } else { 0 };
        if shift > 6 {
            return Err("its block size is absurd".into());
        }
        let superblock = Self {
            block: 1024 << shift,
            blocks: u64::from(u32_at(bytes, 0x4)?) | high << 32,
            first: u64::from(u32_at(bytes, 0x14)?),
            per_group: u64::from(u32_at(bytes, 0x20)?),
            descriptor: if wide { usize::from(u16_at(bytes, 0xfe)?) } else { 32 },
            seed,
        };
        superblock.is_sane(length)?;
        Ok(superblock)
    }

    fn is_sane(&self, length: u64) -> Result<(), Unknown> {
        let inside = self.blocks.checked_mul(self.block).is_some_and(|bytes| bytes <= length);
        if !inside || self.blocks <= self.first || self.first > 1 {
            return Err("it claims more blocks than there is room for".into());
        }
        if self.per_group == 0 || self.per_group > self.block * 8 || !self.per_group.is_multiple_of(8) {
            return Err("the size of its groups is absurd".into());
        }
        if !self.descriptor.is_power_of_two() || !(32..=1024).contains(&self.descriptor) {
            return Err("the size of its descriptors is absurd".into());
        }
        Ok(())
    }

    /// Reads and verifies one group's bitmap.
    fn group(&self, stretch: &Stretch, group: u64, bytes: &[u8], ranges: &mut Ranges) -> Result<(), Unknown> {
        let damaged = |what: &str| Unknown::from(format!("group {group} is damaged: {what}"));
        let wide = bytes.len() >= 64;
        let high = |at| if wide { u32_at(bytes, at) } else { Ok(0) };
        let high16 = |at| if wide { u16_at(bytes, at) } else { Ok(0) };
        if let Some(seed) = self.seed {
            let mut blank = bytes.to_vec();
            blank[0x1e..0x20].fill(0);
            let sum = checksum(checksum(seed, &(group as u32).to_le_bytes()), &blank);
            if sum as u16 != u16_at(bytes, 0x1e)? {
                return Err(damaged("the checksum of its descriptor is wrong"));
            }
        }
        let claimed = u64::from(u16_at(bytes, 0xc)?) | u64::from(high16(0x2c)?) << 16;
        let first = self.first + group * self.per_group;
        let count = self.per_group.min(self.blocks - first);
        if u16_at(bytes, 0x12)? & BLOCK_BITMAP_UNINITIALISED != 0 {
            // Never used: nothing was ever written there but perhaps metadata of other groups. Left alone.
            ranges.untouched += claimed.min(count) * self.block;
            return Ok(());
        }
        let bitmap = u64::from(u32_at(bytes, 0)?) | u64::from(high(0x20)?) << 32;
        let at = bitmap.checked_mul(self.block).ok_or_else(|| damaged("its bitmap lies nowhere"))?;
        let bitmap = stretch.read(at, (self.per_group / 8) as usize)?;
        if let Some(seed) = self.seed {
            let (sum, low, high) = (checksum(seed, &bitmap), u16_at(bytes, 0x18)?, high16(0x38)?);
            if sum as u16 != low || wide && (sum >> 16) as u16 != high {
                return Err(damaged("the checksum of its bitmap is wrong"));
            }
        }
        let clear = ranges.clear_bits(&bitmap, first, count, self.block);
        if clear != claimed {
            return Err(damaged("its bitmap does not have as many free blocks as its descriptor says"));
        }
        Ok(())
    }
}
