//! The repository: disks as versions, stored once however often their blocks occur.
//!
//! ```text
//!   Source ──save──▶ blocks of 64 KiB ──BLAKE3──▶ known? ──no──▶ zstd frame ──▶ pack
//!                                        │                                       │
//!                       map pages ◀──────┘  (1024 digests each, stored like blocks)
//!                           │
//!                       manifest   id, parent, size, pages; appears last, when all it names is durable
//!                           │
//!   Version ◀──read_at──────┘   digest → index → pack → frame → verify → bytes
//! ```
//!
//! Nothing that exists is ever changed: a save adds packs and then one manifest; removing a version removes the
//! manifest; [`Repository::gc`] later removes what no manifest names. Bytes are verified on every read. The format
//! is specified in `docs/formats/repository.md`, the reasons are in `docs/decisions/0006-repository-format.md`.
//!
//! This crate knows digests and disks. What a layer is, and which version is whose, is decided elsewhere.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod batch;
mod block;
mod check;
mod digest;
mod error;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod gc;
mod index;
mod live;
mod lock;
mod manifest;
mod map;
mod pack;
mod place;
mod recent;
mod repository;
mod save;
mod stats;
mod version;

use std::ops::ControlFlow;

pub use check::{Finding, Object, Report};
pub use digest::{Digest, VersionId};
pub use error::{Error, ErrorKind, Result};
pub use gc::{Action, Collected, GcOptions, PackPlan, Plan};
pub use lock::{Access, Holder};
pub use manifest::SIZE_LIMIT;
pub use repository::{Repository, VersionInfo};
pub use save::{NewVersion, Saved};
pub use stats::{Stats, VersionStats};
pub use version::{FrameInfo, Version};

/// Bytes of a block. Disks are cut into blocks from their first byte on; a last partial block is padded with zeros.
pub const BLOCK: usize = 64 << 10;

/// Told how many *more* bytes are done; answers `Break` to stop. A stopped operation ends with
/// [`ErrorKind::Stopped`]. May be called with 0, only to ask, and from several threads.
pub type Watch<'a> = &'a (dyn Fn(u64) -> ControlFlow<()> + Sync);

/// What a [`Source`] answers when it cannot be read; kept as the cause of an error of kind [`ErrorKind::Source`].
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// What one stretch of a disk to be stored is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Bytes to read. Those that turn out to be zero are not stored either.
    Data,
    /// Reads as zero: becomes a hole.
    Zero,
    /// As in the parent version at the same place; zero behind the parent's end.
    Parent,
}

/// A disk to be stored, read anywhere by several threads at once.
pub trait Source: Sync {
    /// Size in bytes, at least 1. It need not be a multiple of anything.
    fn size(&self) -> u64;

    /// What is at `offset` (`offset < size`), and for how many bytes from there on (at least 1). What ends at no
    /// multiple of 64 KiB is fine. Called in rising order.
    fn extent_at(&self, offset: u64) -> std::result::Result<(u64, What), SourceError>;

    /// Fills `buf` from `offset`; only asked within extents of [`What::Data`].
    fn read_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError>;
}
