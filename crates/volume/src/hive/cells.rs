//! The bytes of a hive: a base block, then bins that are tiled with cells, which everything else is kept in.
//!
//! ```text
//!   0 ─────────── 4096 ──────────────────────────────────── + size of the bins
//!   │ base block  │ bin: 32 bytes │ cell │ cell │ … │ bin …│ (whatever follows means nothing)
//!   └─ regf       └─ hbin         └─ i32 length: below zero used, above zero free; then the payload
//! ```
//!
//! Cells are known by where they begin after the base block. Numbers are little-endian. The format was never published; what
//! is here follows M. Suhanov's specification (github.com/msuhanov/regf).

use std::borrow::Cow;

use shale_disk::{Error, ErrorKind, Result};

/// Bytes of the base block, and what sizes of bins are multiples of.
pub(super) const BLOCK: usize = 4096;
/// Bytes in front of a bin's cells.
pub(super) const BIN_HEADER: usize = 32;
/// Where there is nothing.
pub(super) const NONE: u32 = u32::MAX;
/// Most bytes of all bins: the highest bit of an offset says that it is only in memory.
pub(super) const MOST: usize = 1 << 31;

/// Fields of the base block.
pub(super) mod base {
    pub const PRIMARY: usize = 4;
    pub const SECONDARY: usize = 8;
    pub const WRITTEN: usize = 12;
    pub const MAJOR: usize = 20;
    pub const MINOR: usize = 24;
    pub const KIND: usize = 28;
    pub const FORMAT: usize = 32;
    pub const ROOT: usize = 36;
    pub const SIZE: usize = 40;
    pub const CHECKSUM: usize = 508;
}

pub(super) fn corrupt(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}

/// A number in a buffer that may be too short.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let part = at.checked_add(N).and_then(|end| bytes.get(at..end)).and_then(|part| part.try_into().ok());
    part.ok_or_else(|| corrupt("a structure of the hive is cut off"))
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// Overwrites bytes that must be there.
pub(super) fn put(bytes: &mut [u8], at: usize, new: &[u8]) -> Result<()> {
    let part = at.checked_add(new.len()).and_then(|end| bytes.get_mut(at..end));
    part.ok_or_else(|| corrupt("a structure of the hive is cut off"))?.copy_from_slice(new);
    Ok(())
}

/// The checksum of a base block: its first 127 numbers, each bit the parity of theirs; never 0 and never all ones.
pub(super) fn checksum(block: &[u8]) -> u32 {
    let numbers = block.chunks_exact(4).take(base::CHECKSUM / 4);
    match numbers.fold(0, |sum, four| sum ^ u32::from_le_bytes([four[0], four[1], four[2], four[3]])) {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        sum => sum,
    }
}

/// Whether a base block (its first 512 bytes are enough) is one, and whole.
pub(super) fn is_base_block(block: &[u8]) -> bool {
    block.starts_with(b"regf") && u32_at(block, base::CHECKSUM).is_ok_and(|sum| sum == checksum(block))
}

/// The file of a hive.
pub(super) struct Cells<'b> {
    pub bytes: Cow<'b, [u8]>,
}

impl Cells<'_> {
    /// Bytes of all bins.
    pub fn size(&self) -> usize {
        u32_at(&self.bytes, base::SIZE).map_or(0, |size| size as usize)
    }

    /// A cell's payload.
    pub fn cell(&self, at: u32) -> Result<&[u8]> {
        let (start, end) = self.place(at)?;
        Ok(&self.bytes[start..end])
    }

    /// A cell's payload, to be changed.
    pub fn cell_mut(&mut self, at: u32) -> Result<&mut [u8]> {
        let (start, end) = self.place(at)?;
        Ok(&mut self.bytes.to_mut()[start..end])
    }

    /// A cell's payload that begins with these two letters.
    pub fn signed(&self, at: u32, signature: &[u8; 2]) -> Result<&[u8]> {
        let payload = self.cell(at)?;
        if payload.starts_with(signature) {
            return Ok(payload);
        }
        let signature = String::from_utf8_lossy(signature);
        Err(corrupt(format!("the hive has something else than '{signature}' in the cell at {at:#x}")))
    }

    /// Overwrites a part of a cell's payload.
    pub fn put(&mut self, at: u32, field: usize, new: &[u8]) -> Result<()> {
        put(self.cell_mut(at)?, field, new)
    }

    /// Overwrites a number in a cell's payload.
    pub fn put_u32(&mut self, at: u32, field: usize, new: u32) -> Result<()> {
        self.put(at, field, &new.to_le_bytes())
    }

    /// Where in the file the payload of a cell in use is.
    fn place(&self, at: u32) -> Result<(usize, usize)> {
        let wrong = || corrupt(format!("the hive points to a cell at {at:#x}, where there is none"));
        let bins = BLOCK + self.size().min(MOST);
        let start = BLOCK + at as usize;
        if !at.is_multiple_of(8) || start + 4 > bins {
            return Err(wrong());
        }
        let length = u32_at(&self.bytes, start)?.cast_signed();
        let end = start + length.unsigned_abs() as usize;
        if length >= 0 || end > bins || end > self.bytes.len() || end < start + 8 {
            return Err(wrong());
        }
        Ok((start + 4, end))
    }
}
