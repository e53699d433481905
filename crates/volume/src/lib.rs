//! What is inside a disk. For now: which bytes of it no file needs.
//!
//! ```text
//!   Disk ──free::file_system──▶ ext4 │ NTFS ──▶ free ranges        (clean and understood; else none, and why)
//!     │                                              │
//!     └──────────────────Masked◀─────────────────────┘   a disk that is zero where nothing is kept
//! ```
//!
//! Guests wrote these bytes: every structure is bounded, checked, and may be a lie. What is not fully understood
//! frees nothing, which costs room and never data.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod bytes;
mod ext4;
pub mod free;
mod masked;
mod ntfs;

pub use masked::Masked;
