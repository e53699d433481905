//! Integers at fixed places of a header that has already been read whole.
//!
//! `at` is always a constant of the format and `bytes` a buffer of the format's fixed length, so that these
//! cannot run over the end. Anything at a place that the file itself names is read with
//! [`crate::Disk::read_at`], which checks.

/// The `N` bytes at `at`.
pub(crate) fn bytes<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// Big-endian, 16 bits.
pub(crate) fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(bytes(b, at))
}

/// Big-endian, 32 bits.
pub(crate) fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes(b, at))
}

/// Big-endian, 64 bits.
pub(crate) fn be64(b: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes(b, at))
}

/// Little-endian, 16 bits.
pub(crate) fn le16(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes(b, at))
}

/// Little-endian, 32 bits.
pub(crate) fn le32(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes(b, at))
}

/// Little-endian, 64 bits.
pub(crate) fn le64(b: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes(b, at))
}

/// Writes `value` at `at` of a header under construction.
pub(crate) fn put(header: &mut [u8], at: usize, value: &[u8]) {
    header[at..at + value.len()].copy_from_slice(value);
}
