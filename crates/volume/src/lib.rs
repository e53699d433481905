//! What is inside a disk: which bytes of it no file needs, and its files.
//!
//! ```text
//!   Disk ──free::file_system──▶ ext4 │ NTFS ──▶ free ranges        (clean and understood; else none, and why)
//!     │                                              │
//!     ├──────────────────Masked◀─────────────────────┘   a disk that is zero where nothing is kept
//!     │
//!     └──files::Files──▶ entries, metadata, content ──▶ Changes    written beside the disk, which stays as it is
//! ```
//!
//! Guests wrote these bytes: every structure is bounded, checked, and may be a lie. What is not fully understood
//! frees nothing, which costs room and never data.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]
#![forbid(unsafe_code)]

mod ahead;
mod aligned;
pub mod apply;
mod bytes;
pub mod capture;
pub mod changes;
pub mod compose;
pub mod delta;
pub mod diff;
mod encrypted;
pub mod exclude;
mod ext4;
pub mod fat;
pub mod files;
pub mod free;
pub mod generalize;
pub mod grow;
pub mod health;
pub mod hive;
pub mod known;
mod masked;
pub mod merge;
mod moves;
mod ntfs;
pub mod os;
mod outside;
pub mod placed;
pub mod plan;
mod preview;
pub mod services;
mod spelling;
pub mod stored;
mod together;
pub mod tree;
pub mod without;

pub use masked::Masked;
