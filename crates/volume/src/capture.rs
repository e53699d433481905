//! What a packaging machine changed, as a stored delta: a version of a platform or app layer.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use shale_disk::{Disk, Error, ErrorKind, Result, Watch};

use crate::files::Program;
use crate::stored::Digest;

/// A layer that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Of the whole delta.
    pub digest: Digest,
    /// Paths it says something of.
    pub entries: u64,
    /// Bytes of content it brings, each counted where it is used.
    pub bytes: u64,
    /// Changed paths that were left out, as the exclusions say.
    pub excluded: u64,
    /// What a person should know: changes that are no part of the layer, files that could not be taken apart.
    pub notes: Vec<String>,
}

/// Makes a layer of what differs between `base`, the disk that the packaging machine was given, and `now`, as the machine left
/// it. `changed` are the ranges of the disk that may differ, in order and apart; `None`: not known. `exclusions` are more
/// of the form of [`crate::exclude`], besides those of Shale. The delta is written into `file`, which is empty and can be
/// read and written, and is durable when this returns; `watch` is told the bytes of content that are read.
pub fn layer_of(
    program: &Program,
    base: Arc<dyn Disk>,
    now: Arc<dyn Disk>,
    changed: Option<&[Range<u64>]>,
    exclusions: &str,
    file: File,
    watch: Watch,
) -> Result<Captured> {
    let _ = (program, base, now, changed, exclusions, file, watch);
    Err(Error::new(ErrorKind::Unsupported, "layers cannot be made yet"))
}
