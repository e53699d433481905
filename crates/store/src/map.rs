//! A version's map: which block lies where in the disk. Two levels: the manifest lists pages, a page lists blocks.
//!
//! ```text
//!   manifest ─▶ page 0 ─▶ block 0 … block 1023        a page: 1024 digests of 32 bytes = 64 MiB of the disk
//!               page 1 ─▶ block 1024 …                all-zero digest: a hole (block), or nothing but holes (page)
//! ```
//!
//! Pages are stored by digest like blocks, so that versions share all pages that did not change.

use crate::digest::Digest;
use crate::{BLOCK, pack};

/// Blocks that one page lists.
pub(crate) const PAGE_BLOCKS: usize = 1024;
/// Bytes of a page.
pub(crate) const PAGE_BYTES: usize = PAGE_BLOCKS * 32;

/// One page of a map.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Page(pub Vec<Digest>);

impl Page {
    /// Nothing but holes.
    pub fn hole() -> Self {
        Self(vec![Digest::HOLE; PAGE_BLOCKS])
    }

    /// From exactly [`PAGE_BYTES`].
    pub fn decode(bytes: &[u8]) -> Self {
        debug_assert_eq!(bytes.len(), PAGE_BYTES);
        Self((0..PAGE_BLOCKS).map(|i| Digest(pack::array_at(bytes, i * 32))).collect())
    }

    pub fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(|digest| digest.0).collect()
    }

    /// How many blocks hold data.
    pub fn data_blocks(&self) -> u64 {
        self.0.iter().filter(|digest| !digest.is_hole()).count() as u64
    }
}

/// How many blocks a disk of `size` bytes has; the last may be partial.
pub(crate) fn block_count(size: u64) -> u64 {
    size.div_ceil(BLOCK as u64)
}

/// How many pages map a disk of `size` bytes.
pub(crate) fn page_count(size: u64) -> u64 {
    block_count(size).div_ceil(PAGE_BLOCKS as u64)
}
