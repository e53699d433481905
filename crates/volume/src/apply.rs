//! Makes a file system what a plan says.
//!
//! ```text
//!   removals (deepest first) ──▶ entries, folders before what is in them ──▶ metadata of folders, deepest first
//! ```
//!
//! Folders come last because every change of what they hold may set their times. A folder in which something changed
//! without being in the plan itself keeps the times it had.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use shale_disk::{Error, ErrorKind, Result, Watch};

use crate::delta::{Body, Change, Content, Item};
use crate::diff::told;
use crate::files::{Attributes, Facts, Files, Filling, Kind, Making, Map, New, Placed, Room, show};
use crate::plan::Plan;
use crate::tree::{Tree, split};

/// Entries that are made together at most.
const TOGETHER: usize = 64;
/// Bytes of attributes and ranges up to which an entry is one of those.
const SMALL: usize = 2048;

/// Gives the content of a layer's delta.
pub trait Contents {
    /// Fills `buffer` with a content's data, from `at` bytes of it on.
    fn read(&mut self, content: &Content, at: u64, buffer: &mut [u8]) -> Result<()>;
}

/// Content that was made for a plan, such as a file that several layers change, put together: one more layer of it.
#[derive(Default)]
pub struct Made(Vec<Vec<u8>>);

impl Made {
    /// What was kept at an offset.
    pub(crate) fn bytes(&self, offset: u64) -> Option<&[u8]> {
        self.0.get(usize::try_from(offset).ok()?).map(Vec::as_slice)
    }

    /// Keeps `bytes` as the content of a file.
    pub fn keep(&mut self, bytes: Vec<u8>) -> Content {
        let (size, digest) = (bytes.len() as u64, *blake3::hash(&bytes).as_bytes());
        let ranges = if bytes.is_empty() { Vec::new() } else { std::iter::once(0..size).collect() };
        self.0.push(bytes);
        Content { size, ranges, compressed: false, digest, offset: self.0.len() as u64 - 1 }
    }
}

impl Contents for Made {
    fn read(&mut self, content: &Content, at: u64, buffer: &mut [u8]) -> Result<()> {
        let bytes = self.0.get(content.offset as usize).and_then(|bytes| bytes.get(at as usize..));
        let part = bytes.and_then(|bytes| bytes.get(..buffer.len()));
        buffer.copy_from_slice(part.ok_or_else(|| corrupt("nothing was made there"))?);
        Ok(())
    }
}

/// Does what `plan` says. `base` is what is in `files`, and `layers` give the content of each layer of the plan; `watch` is told
/// the bytes that are written. After an error what was written is to be thrown away.
pub fn apply(
    files: &mut Files,
    base: &Tree,
    plan: &Plan,
    layers: &mut [&mut dyn Contents],
    watch: Watch,
) -> Result<()> {
    let there = base.0.iter().map(|(path, entry)| (path.clone(), (entry.node, entry.kind.clone()))).collect();
    let (last, touched) = (BTreeMap::new(), BTreeSet::new());
    let (kept, waiting) = (&plan.kept, Vec::new());
    let mut work = Work { files, base, there, kept, layers, watch, waiting, last, touched };
    for (path, planned) in plan.changes.iter().rev() {
        if planned.change == Change::Removed {
            work.remove(path).map_err(|e| about(path, e))?;
        }
    }
    for (path, planned) in &plan.changes {
        let Change::Put(item) = &planned.change else { continue };
        told(watch, 0)?;
        if work.waiting.len() == TOGETHER || matches!(item.body, Body::NameOf(_)) {
            work.make_waiting()?;
        }
        work.put(path, item).map_err(|e| about(path, e))?;
    }
    work.make_waiting()?;
    work.finish()
}

fn about(path: &[u8], e: Error) -> Error {
    Error::new(e.kind(), format!("'/{}' cannot be written", show(path))).with_source(e)
}

/// An entry that is made with others, as soon as there are enough of them.
struct Waiting<'a> {
    path: &'a [u8],
    item: &'a Item,
    parent: u64,
}

struct Work<'a, 'l> {
    files: &'a mut Files,
    base: &'a Tree,
    there: BTreeMap<Vec<u8>, (u64, Kind)>,
    kept: &'a HashMap<[u8; 32], (usize, u64)>,
    layers: &'a mut [&'l mut dyn Contents],
    watch: Watch<'a>,
    waiting: Vec<Waiting<'a>>,
    /// What is described once everything is there.
    last: BTreeMap<Vec<u8>, (u64, Facts, Attributes)>,
    /// Folders whose entries changed.
    touched: BTreeSet<Vec<u8>>,
}

impl<'a> Work<'a, '_> {
    /// Removes an entry and all below it, if it is there.
    fn remove(&mut self, path: &[u8]) -> Result<()> {
        let start = [path, b"/"].concat();
        let below = self.there.range(start.clone()..).take_while(|(path, _)| path.starts_with(&start));
        let mut doomed: Vec<Vec<u8>> = below.map(|(path, _)| path.clone()).collect();
        doomed.extend(self.there.contains_key(path).then(|| path.to_vec()));
        // Below a path, its own order has folders before what is in them.
        doomed.sort_by(|a, b| b.cmp(a));
        for path in doomed {
            let (parent, name) = self.place(&path)?;
            self.files.remove(parent, name)?;
            self.there.remove(&path);
            self.touched.remove(&path);
        }
        Ok(())
    }

    /// The folder of a path, which must be there, and the name in it.
    fn place<'p>(&mut self, path: &'p [u8]) -> Result<(u64, &'p [u8])> {
        let (folder, name) = split(path).ok_or_else(|| corrupt("the root cannot be replaced"))?;
        match self.there.get(folder) {
            Some((node, Kind::Folder)) => {
                self.touched.insert(folder.to_vec());
                Ok((*node, name))
            }
            _ => Err(corrupt("the folder it belongs into is not there")),
        }
    }

    fn put(&mut self, path: &'a [u8], item: &'a Item) -> Result<()> {
        let existing = self.there.get(path).cloned();
        if item.kind == Kind::Folder {
            let node = match existing {
                Some((node, Kind::Folder)) => node,
                _ => self.make(path, item)?,
            };
            self.streams(node, item)?;
            self.last.insert(path.to_vec(), (node, item.facts, item.attributes.clone()));
            return Ok(());
        }
        let node = match (&item.body, existing) {
            (Body::NameOf(first), existing) => return self.name(path, first, item, existing),
            (Body::New(_), _) if is_small(item) => {
                self.remove(path)?;
                let parent = self.place(path)?.0;
                self.waiting.push(Waiting { path, item, parent });
                return Ok(());
            }
            (Body::New(_), _) => self.make(path, item)?,
            (Body::Kept | Body::Filled(_), Some((node, _))) => node,
            (Body::Merged { .. }, _) => return Err(corrupt("it was not put together")),
            (Body::Kept | Body::Filled(_), None) => {
                return Err(corrupt("it is to be changed but is not there"));
            }
        };
        self.streams(node, item)?;
        self.describe(path, node, &item.facts, &item.attributes)
    }

    fn make(&mut self, path: &[u8], item: &Item) -> Result<u64> {
        self.remove(path)?;
        let (parent, name) = self.place(path)?;
        let node = self.files.make(Making { parent, name, kind: &item.kind })?;
        self.there.insert(path.to_vec(), (node, item.kind.clone()));
        Ok(node)
    }

    /// One more name of the file at `first`.
    fn name(&mut self, path: &[u8], first: &[u8], item: &Item, existing: Option<(u64, Kind)>) -> Result<()> {
        let (node, kind) =
            self.there.get(first).cloned().ok_or_else(|| corrupt("its first name is not there"))?;
        if existing.as_ref().is_none_or(|(existing, _)| *existing != node) {
            self.remove(path)?;
            let (parent, name) = self.place(path)?;
            self.files.link(parent, name, node)?;
            self.there.insert(path.to_vec(), (node, kind));
        }
        // A name is a change of the file, so its times are set again.
        self.last.insert(path.to_vec(), (node, item.facts, item.attributes.clone()));
        Ok(())
    }

    fn streams(&mut self, node: u64, item: &Item) -> Result<()> {
        match &item.body {
            Body::Kept | Body::NameOf(_) | Body::Merged { .. } => {}
            Body::New(streams) => {
                for (name, content) in streams {
                    self.fill(node, name, content)?;
                }
            }
            Body::Filled(streams) => {
                for stream in self.files.entry(node)?.streams {
                    if !streams.contains_key(&stream.name) {
                        self.files.remove_stream(node, &stream.name)?;
                    }
                }
                for (name, content) in streams {
                    if let Some(content) = content {
                        self.fill(node, name, content)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes what waits, and writes its content.
    fn make_waiting(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let block = self.files.block();
        let new: Vec<New> = waiting
            .iter()
            .map(|Waiting { path, item, parent }| New {
                making: Making { parent: *parent, name: split(path).unwrap_or_default().1, kind: &item.kind },
                streams: new_streams(item).map(|(name, content)| (&name[..], room(content, block))).collect(),
                facts: &item.facts,
                attributes: &item.attributes,
            })
            .collect();
        let made = self.files.make_all(&new).map_err(|(number, e)| about(waiting[number].path, e))?;
        for (Waiting { path, item, parent }, made) in waiting.iter().zip(made) {
            self.there.insert(path.to_vec(), (made.node, item.kind.clone()));
            self.pour_all(*parent, item, &made).map_err(|e| about(path, e))?;
        }
        Ok(())
    }

    fn pour_all(&mut self, parent: u64, item: &Item, made: &Placed) -> Result<()> {
        for ((name, content), map) in new_streams(item).zip(&made.maps) {
            self.pour(made.node, name, content, Some(map))?;
        }
        // What went through the library changed times.
        match made.maps.iter().any(|map| !map.direct && map.size > 0) {
            true => self.files.describe(made.node, parent, &item.facts, &item.attributes),
            false => Ok(()),
        }
    }

    fn fill(&mut self, node: u64, stream: &[u8], content: &Content) -> Result<()> {
        self.pour(node, stream, content, None)
    }

    /// Writes a content, as its digest says; into the room that the stream has, or is given.
    fn pour(&mut self, node: u64, stream: &[u8], content: &Content, map: Option<&Map>) -> Result<()> {
        let (layer, offset) =
            *self.kept.get(&content.digest).ok_or_else(|| corrupt("no layer has its content"))?;
        let contents = &mut **self
            .layers
            .get_mut(layer)
            .ok_or_else(|| corrupt("the plan names a layer that is not given"))?;
        let content = &Content { offset, ..content.clone() };
        let mut pouring = Pouring { content, contents, hasher: blake3::Hasher::new(), poured: 0 };
        let watch = self.watch;
        let Room { size, ranges, compressed } = room(content, self.files.block());
        let filling = Filling {
            size,
            ranges: &ranges,
            compressed,
            content: &mut |offset, buffer| {
                told(watch, buffer.len() as u64)?;
                pouring.pour(offset, buffer)
            },
        };
        match map {
            Some(map) => self.files.pour(node, stream, map, filling)?,
            None => self.files.fill(node, stream, filling)?,
        }
        if pouring.poured != content.length() || pouring.hasher.finalize().as_bytes() != &content.digest {
            return Err(corrupt("its content in the layer is not what was kept: check the repository"));
        }
        Ok(())
    }

    fn describe(&mut self, path: &[u8], node: u64, facts: &Facts, attributes: &Attributes) -> Result<()> {
        let parent = match split(path) {
            Some(_) => self.place(path)?.0,
            None => node,
        };
        self.files.describe(node, parent, facts, attributes)
    }

    fn finish(mut self) -> Result<()> {
        for path in std::mem::take(&mut self.touched) {
            if let (Some(entry), Some((node, _))) = (self.base.0.get(&path), self.there.get(&path)) {
                let kept = || (*node, entry.facts, entry.attributes.clone());
                self.last.entry(path).or_insert_with(kept);
            }
        }
        for (path, (node, facts, attributes)) in std::mem::take(&mut self.last).into_iter().rev() {
            self.describe(&path, node, &facts, &attributes).map_err(|e| {
                Error::new(e.kind(), format!("the metadata of '/{}' cannot be written", show(&path)))
                    .with_source(e)
            })?;
        }
        Ok(())
    }
}

/// The streams of an entry of its own.
fn new_streams(item: &Item) -> impl Iterator<Item = (&Vec<u8>, &Content)> {
    let streams = if let Body::New(streams) = &item.body { Some(streams) } else { None };
    streams.into_iter().flatten()
}

/// Whether an entry is told in few bytes, so that many fit a message.
fn is_small(item: &Item) -> bool {
    let attributes: usize = item.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
    let target = if let Kind::Link { target } = &item.kind { target.len() } else { 0 };
    let ranges: usize = new_streams(item).map(|(_, content)| content.ranges.len() + 1).sum();
    attributes + target + 16 * ranges <= SMALL
}

/// The room of a content, in whole blocks, which another file system may have larger ones of.
fn room(content: &Content, block: u64) -> Room {
    let mut ranges: Vec<std::ops::Range<u64>> = Vec::new();
    for range in &content.ranges {
        let (start, end) =
            (range.start - range.start % block, range.end.next_multiple_of(block).min(content.size));
        match ranges.last_mut() {
            Some(last) if last.end >= start => last.end = last.end.max(end),
            _ => ranges.push(start..end),
        }
    }
    Room { size: content.size, ranges, compressed: content.compressed }
}

/// A content that is read in order, and hashed on its way.
struct Pouring<'a> {
    content: &'a Content,
    contents: &'a mut dyn Contents,
    hasher: blake3::Hasher,
    poured: u64,
}

impl Pouring<'_> {
    /// Bytes of the stream from `offset` on: data where there is, and zeros.
    fn pour(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset + buffer.len() as u64;
        let (mut before, mut filled) = (0, 0);
        for range in &self.content.ranges {
            let (from, to) = (range.start.max(offset), range.end.min(end));
            if from < to {
                buffer[filled..(from - offset) as usize].fill(0);
                filled = (to - offset) as usize;
                let part = &mut buffer[(from - offset) as usize..filled];
                self.contents.read(self.content, before + (from - range.start), part)?;
                self.hasher.update(part);
                self.poured += to - from;
            }
            before += range.end - range.start;
        }
        buffer[filled..].fill(0);
        Ok(())
    }
}

fn corrupt(text: &str) -> Error {
    Error::new(ErrorKind::Corrupt, text)
}
