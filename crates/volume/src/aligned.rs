//! Memory that begins where a page does, so that a disk may be read into it past the page cache.

use std::ops::{Deref, DerefMut};

/// What such reads want place, length and memory to be multiples of.
const PAGE: usize = 4096;

/// Bytes from a multiple of [`PAGE`] on; zeros at first.
#[derive(Default)]
pub(crate) struct Aligned {
    bytes: Vec<u8>,
    from: usize,
    length: usize,
}

impl Aligned {
    /// So many bytes.
    pub fn new(length: usize) -> Self {
        let bytes = vec![0; length + PAGE];
        let from = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        Self { bytes, from, length }
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.from..self.from + self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.from..self.from + self.length]
    }
}
