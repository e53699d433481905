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

mod error;

pub use error::{Error, ErrorKind, Result};

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
