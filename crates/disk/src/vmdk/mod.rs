//! VMDK: monolithicSparse, streamOptimized, monolithicFlat. Source: VMware, "Virtual Disk Format 5.0" (2011).
//!
//! ```text
//!   sparse   header │ descriptor │ redundant directory, tables │ directory, tables │ grains …
//!   stream   header │ descriptor │ { grain marker, deflated grain } … table marker, table … │ directory │ footer │ end
//!   flat     a text file that names the files with the bytes
//! ```
//!
//! All numbers are little-endian, all places are in sectors of 512 bytes. A grain (64 KiB) is found by
//! directory entry → table entry.

mod export;
mod header;
mod read;
mod stream;

pub(crate) use export::plan_sparse;
pub use read::{FlatExtent, Vmdk, flat_extents};
pub(crate) use stream::export_stream;

pub(crate) const MAGIC: [u8; 4] = *b"KDMV";
/// How the text file of a disk in several files begins.
pub(crate) const DESCRIPTOR: &[u8] = b"# Disk DescriptorFile";
const SECTOR: u64 = crate::SECTOR;
