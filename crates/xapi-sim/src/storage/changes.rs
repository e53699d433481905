//! Which blocks differ between two VDIs.
//!
//! A block of 64 KiB is told by a fingerprint; one of nothing but zeros has 0. Only what is allocated is read, and of
//! saved fingerprints only what is not a hole. A saved file is the fingerprints in order, 8 bytes little-endian each.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use shale_disk::{Content, Disk, Error, FileDisk, Result, extents};
use twox_hash::XxHash64;

/// What a bit of the bitmap stands for, in bytes.
pub const BLOCK: u64 = 64 << 10;
/// Bytes of a saved fingerprint.
const SAVED: u64 = 8;
/// Blocks read at once, and saved fingerprints.
const BATCH: u64 = 32;
const BATCH_SAVED: u64 = 32 << 10;

/// The blocks of a VDI: its data, or what was saved of them.
pub(super) struct Blocks {
    file: FileDisk,
    /// Bytes of the file for each block: [`BLOCK`] or [`SAVED`].
    unit: u64,
}

impl Blocks {
    /// Of data.
    pub(super) fn of_disk(file: FileDisk) -> Self {
        Self { file, unit: BLOCK }
    }

    /// Of saved fingerprints.
    pub(super) fn saved(file: FileDisk) -> Self {
        Self { file, unit: SAVED }
    }

    fn count(&self) -> u64 {
        self.file.size().div_ceil(self.unit)
    }

    /// Ranges of blocks that may hold anything but zeros, in order; two may share a block.
    fn allocated(&self) -> impl Iterator<Item = Result<Range<u64>>> + '_ {
        extents(&self.file)
            .filter(|extent| !matches!(extent, Ok(extent) if extent.content != Content::Data))
            .map(|extent| extent.map(|e| e.offset / self.unit..(e.offset + e.length).div_ceil(self.unit)))
    }

    /// Sets the bits of those of the first `count` blocks that may hold anything but zeros.
    fn mark(&self, bits: &mut [u8], count: u64) -> Result<()> {
        let mut buffer = Vec::new();
        for range in self.allocated() {
            let range = range?;
            let range = range.start.min(count)..range.end.min(count);
            if self.unit == BLOCK {
                range.for_each(|block| set(bits, block, true));
                continue;
            }
            // Of saved fingerprints a few stand in each block of the file system, among zeros.
            for first in range.clone().step_by(BATCH_SAVED as usize) {
                let part = first..range.end.min(first + BATCH_SAVED);
                let found = self.fingerprints(part, &mut buffer)?;
                (first..)
                    .zip(found)
                    .filter(|(_, found)| *found != 0)
                    .for_each(|(block, _)| set(bits, block, true));
            }
        }
        Ok(())
    }

    /// The fingerprints of a range of blocks; 0 past the end.
    fn fingerprints(&self, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<Vec<u64>> {
        let (offset, length) = (range.start * self.unit, (range.end - range.start) * self.unit);
        buffer.clear();
        buffer.resize(length as usize, 0);
        let there = self.file.size().saturating_sub(offset).min(length);
        if there > 0 {
            self.file.read_at(&mut buffer[..there as usize], offset)?;
        }
        let number = |saved: &[u8]| saved.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let of_block = if self.unit == SAVED { number } else { fingerprint };
        Ok(buffer.chunks_exact(self.unit as usize).map(of_block).collect())
    }
}

fn fingerprint(block: &[u8]) -> u64 {
    static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
    if block == ZEROS { 0 } else { XxHash64::oneshot(0, block).max(1) }
}

/// The bits of the blocks that differ, for all blocks of `to`.
pub(super) fn bitmap(from: &Blocks, to: &Blocks) -> Result<Vec<u8>> {
    let count = to.count();
    let mut bits = vec![0; count.div_ceil(8) as usize];
    // First the blocks that must be looked at, each once; then, in the same place, those that differ.
    from.mark(&mut bits, count)?;
    to.mark(&mut bits, count)?;
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let mut first = 0;
    while let Some(start) = (first..count).find(|block| is_set(&bits, *block)) {
        let end = (start..count.min(start + BATCH)).find(|block| !is_set(&bits, *block));
        let end = end.unwrap_or(count.min(start + BATCH));
        let before = from.fingerprints(start..end, &mut one)?;
        let after = to.fingerprints(start..end, &mut other)?;
        for (block, (before, after)) in (start..end).zip(before.into_iter().zip(after)) {
            set(&mut bits, block, before != after);
        }
        first = end;
    }
    Ok(bits)
}

/// Whether the bit of a block is set.
fn is_set(bits: &[u8], block: u64) -> bool {
    bits[(block / 8) as usize] & (0x80 >> (block % 8)) != 0
}

fn set(bits: &mut [u8], block: u64, value: bool) {
    let (byte, bit) = (&mut bits[(block / 8) as usize], 0x80 >> (block % 8));
    *byte = if value { *byte | bit } else { *byte & !bit };
}

/// Writes the fingerprints of all blocks to a new file.
pub(super) fn save_fingerprints(blocks: &Blocks, path: &Path) -> Result<()> {
    let failed = |e| Error::io(format!("cannot write '{}'", path.display()), e);
    let file = File::create(path).map_err(failed)?;
    file.set_len(blocks.count() * SAVED).map_err(failed)?;
    let mut buffer = Vec::new();
    for range in blocks.allocated() {
        let range = range?;
        for first in range.clone().step_by(BATCH as usize) {
            let found = blocks.fingerprints(first..range.end.min(first + BATCH), &mut buffer)?;
            let bytes: Vec<u8> = found.into_iter().flat_map(u64::to_le_bytes).collect();
            file.write_all_at(&bytes, first * SAVED).map_err(failed)?;
        }
    }
    Ok(())
}
