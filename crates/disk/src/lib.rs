//! Virtual disks: what they hold, in every format we read and write.
//!
//! ```text
//!   file ──open──▶ Disk ──extent_at──▶ data │ zero │ hole         (never read what is known to be empty)
//!                    │
//!                    ├──export──▶ Sink    a format's bytes, in order: pipe, HTTP body, file
//!                    ├──nbd────▶ QEMU     read-only, lazily
//!                    └──table──▶ partitions, GPT and MBR
//! ```
//!
//! A [`Disk`] is random access and shared by threads. Bytes come from whoever made it: a file, a repository,
//! a network. This crate knows no layer and no task. Disks are hostile input: a parser here is bounded, answers
//! every malformed file with an [`Error`], and never panics.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod algebra;
mod cache;
mod copy;
mod error;
mod export;
mod field;
mod file;
mod format;
pub mod nbd;
mod open;
pub mod ova;
mod pipeline;
mod plan;
mod probe;
pub mod qcow2;
mod sink;
pub mod table;
pub mod vhd;
pub mod vhdx;
pub mod vmdk;

pub use algebra::{Joined, Layered, Memory, Resized, Window};
pub use copy::copy_to_file;
pub use error::{Error, ErrorKind, Result};
pub use export::{export, exported_size};
pub use file::FileDisk;
pub use format::Format;
pub use open::{OpenOptions, Opened, open};
pub use sink::{Sink, SparseFile, Stream};

use std::ops::ControlFlow;

/// What one stretch of a disk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes that must be read to be known.
    Data,
    /// Known to read as zero; stored as such (it hides what lies below it in an overlay).
    Zero,
    /// Nothing was ever stored here. Reads as zero, or as the disk below when this disk is an overlay on one.
    Hole,
}

/// A stretch of a disk with one kind of content. `length` is in bytes and never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// Bytes; never 0.
    pub length: u64,
    /// What is there.
    pub content: Content,
}

/// A virtual disk that can be read anywhere, from several threads at once.
pub trait Disk: Send + Sync {
    /// Virtual size in bytes, as the guest sees it.
    fn size(&self) -> u64;

    /// Fills `buf` from `offset`. Holes and zeros read as 0. Reading past [`Disk::size`] is an error.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;

    /// The extent that covers `offset` (`offset < size`), from `offset` on, as long as is cheap to tell.
    /// Two neighbours may have the same content; a caller must not read meaning into where one ends.
    fn extent_at(&self, offset: u64) -> Result<Extent>;
}

/// Told how many *more* bytes are done; answers `Break` to stop. A stopped operation ends with
/// [`ErrorKind::Stopped`]. (`store` and `connector` take the same plain closure.)
pub type Watch<'a> = &'a (dyn Fn(u64) -> ControlFlow<()> + Sync);

/// Smallest unit of every disk here, in bytes.
pub const SECTOR: u64 = 512;

/// All extents of a disk in order, neighbours of one content joined.
pub fn extents<D: Disk + ?Sized>(disk: &D) -> Extents<'_, D> {
    Extents { disk, at: 0, end: disk.size() }
}

/// See [`extents`].
pub struct Extents<'a, D: ?Sized> {
    disk: &'a D,
    at: u64,
    end: u64,
}

impl<D: Disk + ?Sized> Iterator for Extents<'_, D> {
    type Item = Result<Extent>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut joined: Option<Extent> = None;
        while self.at < self.end {
            let next = match self.disk.extent_at(self.at) {
                Ok(next) => next,
                Err(e) => {
                    self.at = self.end;
                    return Some(Err(e));
                }
            };
            debug_assert!(next.length > 0 && next.offset == self.at);
            let next = Extent { length: next.length.min(self.end - self.at), ..next };
            match &mut joined {
                Some(whole) if whole.content != next.content => break,
                Some(whole) => whole.length += next.length,
                None => joined = Some(next),
            }
            self.at += next.length;
        }
        joined.map(Ok)
    }
}

/// Errs when `length` bytes from `offset` on are not wholly inside `size`.
fn check_range(size: u64, offset: u64, length: u64) -> Result<()> {
    match offset.checked_add(length) {
        Some(end) if end <= size => Ok(()),
        _ => Err(error::corrupt(format!(
            "{length} bytes at {offset} lie past the end, which is at {size}: the disk is truncated or corrupt"
        ))),
    }
}
