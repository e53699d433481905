//! What is written on things on the pool, so that they are found again: keys of `other_config`.
//!
//! | on | keys |
//! |---|---|
//! | all, tasks too | `shale:owner` |
//! | machine | `shale:tag`, `shale:state`, `shale:self`, `shale:powered_on` |
//! | published image | `shale:image`, too, once it is whole |
//! | CD, and the machine that has it | `shale:cd` |
//! | packaging disk, image's disk | `shale:tag`, `shale:state`, `shale:size` |
//! | its snapshot | the same, `shale:reference` |
//! | base disk | `shale:base`, `shale:state`, `shale:self`, `shale:used`, `shale:bytes` |
//!
//! The task of a transfer tells owner and tag in its description, which it has from the beginning; other tasks carry
//! `shale:owner` soon after.
//!
//! A clone or a snapshot begins with all that is written on its original. So a machine or a base disk is
//! one only when `shale:self` is its own UUID, and what else a clone of ours carries is replaced at once. A packaging disk is
//! the one that its machine boots from.

use super::record::Map;
use crate::Tag;

/// The connector's own mark, see [`super::memory::Memory::owner`].
pub(super) const OWNER: &str = "shale:owner";
/// The job's tag.
pub(super) const TAG: &str = "shale:tag";
/// [`READY`], or still being made.
pub(super) const STATE: &str = "shale:state";
/// The origin that a base disk is.
pub(super) const BASE: &str = "shale:base";
/// The machine's or base disk's own UUID.
pub(super) const SELF: &str = "shale:self";
/// When a base disk was last used, in seconds since 1970.
pub(super) const USED: &str = "shale:used";
/// Bytes that a base disk takes: where a clone shares blocks, the storage tells only of those that it does not.
pub(super) const BYTES: &str = "shale:bytes";
/// The size that was asked for, in bytes: storage may round it up.
pub(super) const SIZE: &str = "shale:size";
/// On the snapshot that changes are told from.
pub(super) const REFERENCE: &str = "shale:reference";
/// When the machine was first powered on by us, in seconds since 1970.
pub(super) const POWERED_ON: &str = "shale:powered_on";

/// On a disk that is a CD, and on its machine: how the machine has it.
pub(super) const CD: &str = "shale:cd";
/// On a machine that is a published image, once it is whole: when, in seconds since 1970.
pub(super) const IMAGE: &str = "shale:image";

/// A state: whole.
pub(super) const READY: &str = "ready";
/// A state: being made, or left half made.
pub(super) const MAKING: &str = "making";

/// What a machine and its disk are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A version is made in it, and it goes after that.
    Packaging,
    /// It is a layered image, and stays.
    Image,
}

impl Purpose {
    /// Tags for people, on machines and disks.
    pub fn tags(self) -> [&'static str; 2] {
        match self {
            Self::Packaging => ["Shale", "Shale Packaging Machine"],
            Self::Image => ["Shale", "Shale Published Image"],
        }
    }

    /// What people read about the machine.
    pub fn of_machine(self) -> &'static str {
        match self {
            Self::Packaging => {
                "A packaging machine made by Shale, which also deletes it. Work in it, then shut it down."
            }
            Self::Image => {
                "A layered image published by Shale. It was never started: make a template or a machine catalog of it."
            }
        }
    }

    /// What people read about its disk.
    pub fn of_disk(self) -> &'static str {
        match self {
            Self::Packaging => "The disk of a packaging machine made by Shale, which also deletes it.",
            Self::Image => "The disk of a layered image published by Shale.",
        }
    }
}

/// The mark that all carry.
pub(super) fn owned(owner: &Tag) -> Map {
    Map::from([(OWNER.to_owned(), owner.to_string())])
}

/// Whether this is ours.
pub(super) fn is_owned(config: &Map, owner: &Tag) -> bool {
    config.get(OWNER).is_some_and(|found| found == owner.as_str())
}

/// The job's tag.
pub(super) fn tag(config: &Map) -> Option<Tag> {
    Tag::parse(config.get(TAG)?).ok()
}

/// Whether it carries this tag.
pub(super) fn has_tag(config: &Map, tag: &Tag) -> bool {
    config.get(TAG).is_some_and(|found| found == tag.as_str())
}

/// Whether this is what was marked, and no copy of it.
pub(super) fn is_itself(config: &Map, uuid: &str) -> bool {
    config.get(SELF).is_some_and(|found| found == uuid)
}

/// Whether it is whole.
pub(super) fn is_ready(config: &Map) -> bool {
    config.get(STATE).is_some_and(|state| state == READY)
}

/// Whether it is a published image that is whole.
pub(super) fn is_image(config: &Map) -> bool {
    config.contains_key(IMAGE)
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
