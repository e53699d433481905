//! How one state of a file system becomes another: what a platform or app layer is made of.
//!
//! `docs/formats/delta.md` describes the bytes; [`crate::diff`] makes a delta, [`crate::apply`] uses it.

use std::collections::BTreeMap;
use std::ops::Range;

use shale_disk::{Error, ErrorKind, Result};

use crate::files::{Attributes, Entry, Facts, Kind, Moment};
use crate::known::Known;
use crate::tree::DEPTH;

/// Path to what happened there. Nothing else about the two states is in it: equal pairs of states, with the same said of what
/// changed, have equal deltas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The file system it was made of, [`Known::Ext`], [`Known::Ntfs`] or [`Known::Fat`]; it fits no other.
    pub kind: Known,
    /// In the order of paths' bytes.
    pub changes: BTreeMap<Vec<u8>, Change>,
    /// What was at those of these paths where something was that is no folder.
    pub was: BTreeMap<Vec<u8>, Was>,
}

/// What is known of an entry that was replaced or removed: enough to tell that another state has something else there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Was {
    /// Bytes of content; 0 of what has none.
    pub size: u64,
    /// When the content changed.
    pub modified: Moment,
}

impl Was {
    /// Of an entry; `None` of a folder.
    pub fn of(entry: &Entry) -> Option<Self> {
        let content = entry.streams.iter().find(|stream| stream.name.is_empty());
        let size = content.map_or(0, |content| content.size);
        (entry.kind != Kind::Folder).then_some(Self { size, modified: entry.facts.modified })
    }
}

/// What happened at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is gone, and all that was below it.
    Removed,
    /// It is there, like this.
    Put(Item),
}

/// An entry as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Modes, owners, times.
    pub facts: Facts,
    /// All of its attributes.
    pub attributes: Attributes,
    /// What is in it.
    pub body: Body,
}

/// Where the content of an entry comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Only metadata changed: streams, or what is in the folder, stay as they are.
    Kept,
    /// An entry of its own: what was there before, of whatever kind, goes. (A folder that is there already stays, with
    /// what is in it.)
    New(Streams),
    /// The entry stays, under all its names, and has exactly these streams.
    Filled(BTreeMap<Vec<u8>, Option<Content>>),
    /// One more name of the file at this path, which comes earlier in the order.
    NameOf(Vec<u8>),
    /// The file that was at this path before, with its streams. This delta has a change there, too, which takes it away.
    Moved(Vec<u8>),
    /// A file that several layers change, put together by a rule of [`crate::merge`] from what is there.
    Merged {
        /// The rule's name.
        rule: String,
        /// What the rule does, in one range, without holes.
        difference: Box<Content>,
    },
}

/// Longest difference of a file, which is read into memory.
const DIFFERENCE_LIMIT: u64 = 512 << 20;

/// Streams by name; a file has one without.
pub type Streams = BTreeMap<Vec<u8>, Content>;

/// The bytes of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Bytes of the stream, holes included.
    pub size: u64,
    /// Where it has data; in order, apart, inside `size`.
    pub ranges: Vec<Range<u64>>,
    /// Kept compressed (NTFS).
    pub compressed: bool,
    /// BLAKE3 of the data of all ranges, one after the other.
    pub digest: [u8; 32],
    /// Where in the delta's content that data begins.
    pub offset: u64,
}

impl Content {
    /// That of an empty file.
    pub fn empty() -> Self {
        Self {
            size: 0,
            ranges: Vec::new(),
            compressed: false,
            digest: *blake3::hash(b"").as_bytes(),
            offset: 0,
        }
    }

    /// Bytes of data.
    pub fn length(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }
}

impl Item {
    /// The contents it brings.
    pub fn contents(&self) -> impl Iterator<Item = &Content> {
        let (new, filled) = match &self.body {
            Body::New(streams) => (Some(streams), None),
            Body::Filled(streams) => (None, Some(streams)),
            Body::Kept | Body::NameOf(_) | Body::Moved(_) | Body::Merged { .. } => (None, None),
        };
        let merged = match &self.body {
            Body::Merged { difference, .. } => Some(&**difference),
            _ => None,
        };
        let filled = filled.into_iter().flat_map(BTreeMap::values).flatten();
        new.into_iter().flat_map(BTreeMap::values).chain(filled).chain(merged)
    }
}

impl Delta {
    /// Bytes of data that it brings, each content counted where it is used.
    pub fn length(&self) -> u64 {
        let items = self.changes.values().filter_map(|change| match change {
            Change::Put(item) => Some(item),
            Change::Removed => None,
        });
        items.flat_map(Item::contents).map(Content::length).sum()
    }

    /// Whether it keeps the rules that [`crate::apply`] counts on; deltas are read from where others could write.
    pub fn check(&self) -> Result<()> {
        for (path, change) in &self.changes {
            let names = || path.split(|byte| *byte == b'/');
            let is_path = path.is_empty() || (names().all(is_name) && names().count() <= DEPTH + 1);
            let is_right = match change {
                Change::Removed => !path.is_empty(),
                Change::Put(item) => self.is_right(path, item),
            };
            if !is_path || !is_right {
                let path = crate::files::show(path);
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!("the delta says something impossible of '/{path}'"),
                ));
            }
        }
        Ok(())
    }

    fn is_right(&self, path: &[u8], item: &Item) -> bool {
        let is_plain = matches!(item.kind, Kind::Folder | Kind::File);
        let named = self.kind == Known::Ntfs;
        let streams_fit = |names: Vec<&Vec<u8>>| {
            let content = names.iter().any(|name| name.is_empty());
            content == (item.kind == Kind::File) && (named || names.iter().all(|name| name.is_empty()))
        };
        let body_fits = match &item.body {
            Body::Kept => true,
            Body::Merged { rule, difference } => {
                let whole = match &difference.ranges[..] {
                    [range] => *range == (0..difference.size) && difference.size <= DIFFERENCE_LIMIT,
                    _ => false,
                };
                item.kind == Kind::File && whole && !rule.is_empty()
            }
            Body::New(streams) => streams_fit(streams.keys().collect()),
            Body::Filled(streams) => streams_fit(streams.keys().collect()),
            Body::NameOf(first) => {
                let first_is_there = matches!(self.changes.get(first), Some(Change::Put(first))
                    if !matches!(first.body, Body::NameOf(_) | Body::Moved(_)) && first.kind == item.kind);
                item.kind != Kind::Folder && &first[..] < path && first_is_there
            }
            Body::Moved(from) => {
                let is_gone = match self.changes.get(from) {
                    Some(Change::Removed) => true,
                    Some(Change::Put(item)) => matches!(item.body, Body::New(_) | Body::NameOf(_)),
                    None => false,
                };
                item.kind == Kind::File && from != path && is_gone
            }
        };
        let contents_fit = item.contents().all(|content| {
            let ends = content.ranges.windows(2).all(|pair| pair[0].end <= pair[1].start);
            let inside =
                content.ranges.iter().all(|range| range.start < range.end && range.end <= content.size);
            // FAT has no holes: what is not written would be what was deleted there before.
            let is_whole = || self.kind != Known::Fat || content.length() == content.size;
            ends && inside && content.size <= i64::MAX as u64 && is_whole()
        });
        (is_plain || self.kind == Known::Ext)
            && body_fits
            && contents_fit
            && (!path.is_empty() || item.kind == Kind::Folder)
    }
}

/// The same without times.
pub(crate) fn timeless(facts: Facts) -> Facts {
    let never = Moment::default();
    Facts { modified: never, accessed: never, changed: never, born: never, ..facts }
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.contains(&0) && name != b"." && name != b".."
}
