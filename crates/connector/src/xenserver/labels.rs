//! What is written on things on the pool, so that they are found again: keys of `other_config`.
//!
//! | on | keys |
//! |---|---|
//! | all, tasks too | `shale:owner` |
//! | machine | `shale:tag`, `shale:state`, `shale:self`, `shale:powered_on` |
//! | packaging disk | `shale:tag`, `shale:state`, `shale:size` |
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

/// A state: whole.
pub(super) const READY: &str = "ready";
/// A state: being made, or left half made.
pub(super) const MAKING: &str = "making";

/// Tags for people, on machines and disks.
pub(super) const TAGS: [&str; 2] = ["Shale", "Shale Packaging Machine"];

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

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
