//! Little-endian numbers in a buffer that may be too short, and reading a stretch of a disk.

use shale_disk::Disk;

use crate::free::Unknown;

/// `N` bytes at `at`.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Unknown> {
    let part = at.checked_add(N).and_then(|end| bytes.get(at..end));
    part.and_then(|part| part.try_into().ok()).ok_or_else(|| "a structure is cut off".into())
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Unknown> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Unknown> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Unknown> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// A stretch of a disk that holds a file system. Offsets count from its first byte.
pub(crate) struct Stretch<'a> {
    pub disk: &'a dyn Disk,
    pub offset: u64,
    pub length: u64,
}

impl Stretch<'_> {
    /// `length` bytes from `offset` on; the caller bounds `length`.
    pub fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, Unknown> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= self.length);
        if end.is_none() {
            return Err("a structure points behind the end of the file system".into());
        }
        let mut bytes = vec![0; length];
        self.disk.read_at(&mut bytes, self.offset + offset).map_err(Unknown::Unreadable)?;
        Ok(bytes)
    }
}
