//! VHD: fixed, dynamic and differencing. Source: Microsoft, "Virtual Hard Disk Image Format Specification" (2006).
//!
//! ```text
//!   fixed      data … │ footer
//!   dynamic    footer copy │ header │ block table │ { sector bitmap, block } … │ footer
//! ```
//!
//! All numbers are big-endian. A differencing disk is a dynamic one whose clear bits show the parent.

mod export;
mod footer;
mod read;
mod stream;

pub(crate) use export::{plan_dynamic, plan_fixed};
pub(crate) use footer::COOKIE;
pub use read::{Parent, Vhd};
pub use stream::VhdStream;

/// An entry of the block table for a block that does not exist.
const ABSENT: u32 = u32::MAX;
/// Largest disk, 2040 GiB: what the 32-bit block table can reach, as Hyper-V and QEMU have it.
const MAX_SIZE: u64 = 2040 << 30;
