//! An operating system's disk with layers on it: planned, shown, and then written beside the disk.
//!
//! ```text
//!   OS disk ──os_volume──▶ its files ─┐            ┌─▶ Preview    who wins, conflicts, sizes: for people
//!   layers, the lowest first ─────────┴──▶ Plan ───┤
//!                                                  └─▶ Changes    written over the disk, which stays as it is
//! ```

use std::sync::Arc;

use shale_disk::{Disk, Error, ErrorKind, Result, Watch};

use crate::changes::Changes;
use crate::files::Program;
use crate::os::OsVolume;
use crate::stored::Digest;

/// A version of a layer, to be put on an operating system.
#[derive(Clone)]
pub struct Layer {
    /// What people call it; texts name it so.
    pub name: String,
    /// Its delta, as [`crate::capture::layer_of`] stored it.
    pub delta: Arc<dyn Disk>,
}

/// What layers make of an operating system, told before (or after) it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Where it is done.
    pub os: OsVolume,
    /// What each layer brings, in the order given.
    pub layers: Vec<Share>,
    /// Every path that is changed, in the order of bytes.
    pub entries: Vec<Line>,
    /// Where layers stand against each other.
    pub conflicts: Vec<Clash>,
    /// What else a person should know: files of the operating system that changed since a layer that replaces them was made,
    /// ids that became others, what must be made anew.
    pub warnings: Vec<String>,
}

/// A layer's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// As it was given.
    pub name: String,
    /// Of its delta: what a composition is known by, with the disk's.
    pub digest: Digest,
    /// Paths it says something of.
    pub entries: u64,
    /// Paths where it wins, alone or among those that are put together.
    pub wins: u64,
    /// Bytes of content it would write alone.
    pub bytes: u64,
    /// Bytes of content that are written of it.
    pub written: u64,
}

/// What happens at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// From the root, with a slash in front; what is no UTF-8 is replaced.
    pub path: String,
    /// What happens.
    pub action: Action,
    /// The layers whose changes are made there (places in [`Preview::layers`]): one, or several for a file that is put
    /// together.
    pub layers: Vec<usize>,
    /// Bytes of content that are written.
    pub bytes: u64,
}

/// What happens at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Something new is there.
    Added,
    /// What was there is replaced.
    Replaced,
    /// Only its metadata changes.
    Described,
    /// Put together record by record, from what is there and what the layers did.
    Merged,
    /// It goes, with all below it.
    Removed,
}

/// A place where layers stand against each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// As in [`Line::path`].
    pub path: String,
    /// The layer that does not get what it says.
    pub loser: usize,
    /// The layer that does; `None`: what is on the disk.
    pub winner: Option<usize>,
    /// A sentence that names both.
    pub text: String,
}

impl Preview {
    /// The lines whose path contains `text`, whatever the case, from the first one after the path `after` on: a page is as
    /// many of them as one takes.
    pub fn find<'a>(&'a self, text: &str, after: &str) -> impl Iterator<Item = &'a Line> + use<'a> {
        let text = text.to_lowercase();
        let first = self.entries.partition_point(|line| line.path.as_str() <= after);
        self.entries[first..].iter().filter(move |line| line.path.to_lowercase().contains(&text))
    }
}

/// What `layers`, the lowest first, would make of the operating system on `disk`. Nothing is written.
pub fn preview(program: &Program, disk: Arc<dyn Disk>, layers: &[Layer], watch: Watch) -> Result<Preview> {
    let _ = (program, disk, layers, watch);
    Err(Error::new(ErrorKind::Unsupported, "layers cannot be put together yet"))
}

/// Puts `layers`, the lowest first, on the operating system that `changes` shows (a disk that may have been grown in it
/// before). Read the result as [`Changes::disk`]; `watch` is told the bytes that are written. After an error `changes` is to be
/// thrown away; the disk below is never touched.
pub fn compose(program: &Program, changes: &Arc<Changes>, layers: &[Layer], watch: Watch) -> Result<Preview> {
    let _ = (program, changes, layers, watch);
    Err(Error::new(ErrorKind::Unsupported, "layers cannot be put together yet"))
}
