//! qcow2, versions 2 and 3. Source: QEMU, `docs/interop/qcow2.txt`.
//!
//! ```text
//!   header ─▶ L1 table ─▶ L2 tables ─▶ clusters      guest offset = L1 index · L2 index · offset in cluster
//!      └────▶ refcount table ─▶ refcount blocks      (who uses a cluster; readers need it not)
//! ```
//!
//! All numbers are big-endian. A cluster is a hole (the backing file shows), zero, data, or compressed.

mod create;
mod export;
mod frames;
mod header;
mod read;

pub use create::create_overlay;
pub(crate) use export::plan;
pub(crate) use frames::Packing;
pub use frames::{Frame, Frames, export_frames};
pub use header::Backing;
pub use read::{Qcow2, open_alone};

pub(crate) const MAGIC: [u8; 4] = *b"QFI\xfb";

/// Compressed and version 2 images may not use more than this for their L1 table; QEMU's own limit.
const MAX_L1_BYTES: u64 = 32 << 20;
/// What we write: 64 KiB clusters.
const CLUSTER_BITS: u32 = 16;
/// An entry's cluster has a refcount of exactly one.
const COPIED: u64 = 1 << 63;
/// An L2 entry of a compressed cluster.
const COMPRESSED: u64 = 1 << 62;
/// Bits 9–55 of an L1 or L2 entry: a cluster's place.
const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
