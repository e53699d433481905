//! What a packaging machine changed, as a stored delta: a version of a platform or app layer.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use shale_disk::{Disk, Error, ErrorKind, Result, Watch};

use crate::diff::{self, Compared};
use crate::exclude::Exclusions;
use crate::files::{Files, Program, show};
use crate::os::os_volume;
use crate::outside;
use crate::stored::{Digest, Writer};

/// Notes about single files at most.
const NOTES: usize = 100;

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
    let (before, after) = (os_volume(program, &base)?, os_volume(program, &now)?);
    if before.family != after.family {
        let text = format!(
            "the machine had {} and now has {}: no layer can be made of that",
            before.family, after.family
        );
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    let excluded = Exclusions::shipped(after.family)?.with(after.family, exclusions)?;
    let mut notes = Vec::new();
    for place in outside::places(&*base, &*now, changed.unwrap_or_default(), &after.range, watch)? {
        notes.push(format!("{place} changed: that is no part of the layer"));
    }
    // Where the volume itself was moved, what changed says nothing of its files.
    let changed = changed.filter(|_| before.range.start == after.range.start);
    let changed = changed.map(|changed| outside::inside(changed, &after.range));
    let mut old = Files::open(program, base, before.range)?;
    let mut new = Files::open(program, now, after.range)?;
    let compared = Compared { base: &mut old, now: &mut new, changed: changed.as_deref() };
    let mut writer = Writer::new(file);
    let found = diff::layer(compared, Some(&excluded), &mut writer, watch)?;
    old.close()?;
    new.close()?;
    let delta = found.delta;
    for (path, why) in found.whole.iter().take(NOTES) {
        notes.push(format!("'/{}' is whole in the layer, and hides what others do to it: {why}", show(path)));
    }
    let digest = writer.finish(&delta)?;
    let (entries, bytes) = (delta.changes.len() as u64, delta.length());
    Ok(Captured { digest, entries, bytes, excluded: found.excluded, notes })
}
