//! A new version of an operating system that was made with a platform layer on it, without that layer.
//!
//! ```text
//!   old ──platform──▶ composed ──the machine's changes──▶ now
//!    │                                   │
//!    └───────────────────────────────────┴─ but what belongs to the platform layer ──▶ Changes over old
//! ```

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use shale_disk::{Disk, Error, ErrorKind, Result, Watch};

use crate::changes::Changes;
use crate::compose::Layer;
use crate::files::Program;

/// An operating system's new state.
pub struct Without {
    /// Over the old version's disk; read it as [`Changes::disk`].
    pub changes: Arc<Changes>,
    /// Paths, with a slash in front, that the machine changed and that belong to the platform layer: they were left out.
    pub left_out: Vec<String>,
    /// What both changed, and what became of it.
    pub conflicts: Vec<String>,
}

/// The three states of a machine that had a platform layer.
pub struct States {
    /// The operating system's version that it began from.
    pub old: Arc<dyn Disk>,
    /// What the machine was given: `old` with the platform layer.
    pub composed: Arc<dyn Disk>,
    /// As the machine left it.
    pub now: Arc<dyn Disk>,
}

/// Does to the old version what the machine did to the composed disk, without what belongs to `platform`. `changed` are the ranges
/// in which `composed` and `now` may differ, in order and apart; `None`: not known, and then the disk is read outside the
/// operating system's volume. Changes there are taken as they are. `folder` is for the changes and other files without
/// a name.
pub fn without(
    program: &Program,
    states: &States,
    changed: Option<&[Range<u64>]>,
    platform: &Layer,
    folder: &Path,
    watch: Watch,
) -> Result<Without> {
    let _ = (program, states, changed, platform, folder, watch);
    Err(Error::new(ErrorKind::Unsupported, "a platform layer cannot be taken away yet"))
}
