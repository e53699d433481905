//! Makes a file system what a plan says.
//!
//! ```text
//!   moved files aside ──▶ removals (deepest first) ──▶ entries, folders before what is in them ──▶ metadata of folders,
//!                                                         ▲                                        deepest first
//!                     layers ──▶ Ahead ───────────────────┤   content, in the order of entries
//!                        └─────── lent ───────────────────┘   long content, which is not copied
//! ```
//!
//! A file that is moved gets a name in a folder of its own first, so that it outlives the removal of its old one.
//!
//! Folders come last because every change of what they hold may set their times. A folder in which something changed
//! without being in the plan itself keeps the times it had.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use shale_disk::{Disk, Error, ErrorKind, Result, Watch};

use crate::ahead::{Ahead, Part, Wanted, rooms};
use crate::aligned::Aligned;
use crate::delta::{Body, Change, Content, Item};
use crate::diff::told;
use crate::files::{Attributes, Facts, Files, Kind, Making, Map, New, Placed, Room, show};
use crate::plan::Plan;
use crate::tree::{Tree, split};

/// Entries that are made together at most.
const TOGETHER: usize = 64;
/// Bytes of attributes and ranges up to which an entry is one of those.
const SMALL: usize = 2048;
/// Bytes that are copied at once.
const STROKE: usize = 1 << 20;

/// Gives the content of a layer's delta, on whichever thread asks.
pub trait Contents: Send {
    /// Fills `buffer` with a content's data, from `at` bytes of it on.
    fn read(&mut self, content: &Content, at: u64, buffer: &mut [u8]) -> Result<()>;

    /// Where `length` bytes of the data that begins at `offset`, from `at` bytes of it on, can be read as long as anybody wants to:
    /// a disk and a place in it. `None` where they have to be copied.
    fn lent(&self, offset: u64, at: u64, length: u64) -> Option<(Arc<dyn Disk>, u64)> {
        let _ = (offset, at, length);
        None
    }
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
    let wanted = wanted(plan, layers, files.block());
    let (ahead, reader) = Ahead::new();
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .spawn_scoped(scope, || reader.read(&wanted, layers))
            .map_err(|e| Error::io("a thread that reads the layers cannot be started", e))?;
        write(files, base, plan, Source { ahead, wanted: wanted.iter() }, watch)
    })
}

/// What [`write`] fills files with.
struct Source<'a> {
    ahead: Ahead,
    wanted: std::slice::Iter<'a, Wanted<'a>>,
}

/// The contents of a plan in the order in which [`write`] comes to them.
fn wanted<'a>(plan: &'a Plan, layers: &[&mut dyn Contents], block: u64) -> Vec<Wanted<'a>> {
    let items = plan.changes.values().filter_map(|planned| match &planned.change {
        Change::Put(item) => Some(item),
        Change::Removed => None,
    });
    let contents = items.flat_map(Item::contents).filter(|content| !content.ranges.is_empty());
    let wanted =
        |content: &'a Content| Wanted::new(content, plan.kept.get(&content.digest).copied(), layers, block);
    contents.map(wanted).collect()
}

fn write(files: &mut Files, base: &Tree, plan: &Plan, source: Source, watch: Watch) -> Result<()> {
    let there = base.0.iter().map(|(path, entry)| (path.clone(), (entry.node, entry.kind.clone()))).collect();
    let (last, touched, waiting) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
    let mut work = Work { files, base, there, source, watch, waiting, last, touched, aside: None };
    work.set_aside(plan)?;
    for (path, planned) in plan.changes.iter().rev() {
        if planned.change == Change::Removed {
            work.remove(path).map_err(|e| about(path, e))?;
        }
    }
    for (path, planned) in &plan.changes {
        let Change::Put(item) = &planned.change else { continue };
        told(watch, 0)?;
        if work.waiting.len() == TOGETHER || !may_follow(item) {
            work.make_waiting()?;
        }
        match &planned.from {
            Some(from) => work.put_moved(path, item, from),
            None => work.put(path, item),
        }
        .map_err(|e| about(path, e))?;
    }
    work.make_waiting()?;
    work.take_away_aside()?;
    work.finish()
}

/// Whether this can be done before what waits: it names nothing of that, and brings no content, which comes in order.
fn may_follow(item: &Item) -> bool {
    match &item.body {
        Body::NameOf(_) => false,
        Body::New(_) if item.kind != Kind::Folder && is_small(item) => true,
        _ => item.contents().next().is_none(),
    }
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

struct Work<'a> {
    files: &'a mut Files,
    base: &'a Tree,
    there: BTreeMap<Vec<u8>, (u64, Kind)>,
    source: Source<'a>,
    watch: Watch<'a>,
    waiting: Vec<Waiting<'a>>,
    /// What is described once everything is there.
    last: BTreeMap<Vec<u8>, (u64, Facts, Attributes)>,
    /// Folders whose entries changed.
    touched: BTreeSet<Vec<u8>>,
    aside: Option<Aside>,
}

/// A folder of the root where files that are moved have a name meanwhile: their number.
struct Aside {
    name: Vec<u8>,
    folder: u64,
    /// Old path to node, in the order of numbers.
    nodes: BTreeMap<Vec<u8>, u64>,
}

impl<'a> Work<'a> {
    /// Gives files that are moved another name.
    fn set_aside(&mut self, plan: &Plan) -> Result<()> {
        let mut nodes = BTreeMap::new();
        for planned in plan.changes.values() {
            if let Some(from) = &planned.from {
                let node =
                    self.there.get(from).ok_or_else(|| corrupt("a file that is moved is not there"))?.0;
                nodes.insert(from.clone(), node);
            }
        }
        if nodes.is_empty() {
            return Ok(());
        }
        let mut names = (0..).map(|number: u64| format!(".moved-{number}").into_bytes());
        let is_free = |name: &Vec<u8>| !self.there.contains_key(name) && !plan.changes.contains_key(name);
        let name = names.find(is_free).ok_or_else(|| corrupt("every name is taken"))?;
        let root = self.files.root();
        self.touched.insert(Vec::new());
        let folder = self.files.make(Making { parent: root, name: &name, kind: &Kind::Folder })?;
        for (number, (from, node)) in nodes.iter().enumerate() {
            self.files.link(folder, number.to_string().as_bytes(), *node).map_err(|e| about(from, e))?;
        }
        self.aside = Some(Aside { name, folder, nodes });
        Ok(())
    }

    fn take_away_aside(&mut self) -> Result<()> {
        let Some(Aside { name, folder, nodes }) = self.aside.take() else { return Ok(()) };
        for number in 0..nodes.len() {
            self.files.remove(folder, number.to_string().as_bytes())?;
        }
        self.files.remove(self.files.root(), &name)
    }

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
            (Body::NameOf(first), existing) => {
                let first = self.there.get(first).ok_or_else(|| corrupt("its first name is not there"))?.0;
                return self.name(path, first, item, existing);
            }
            (Body::New(_), _) if is_small(item) => {
                self.remove(path)?;
                let parent = self.place(path)?.0;
                self.waiting.push(Waiting { path, item, parent });
                return Ok(());
            }
            (Body::New(_), _) => self.make(path, item)?,
            (Body::Kept | Body::Filled(_), Some((node, _))) => node,
            (Body::Merged { .. } | Body::Moved(_), _) => return Err(corrupt("it was not put together")),
            (Body::Kept | Body::Filled(_), None) => {
                return Err(corrupt("it is to be changed but is not there"));
            }
        };
        self.streams(node, item)?;
        self.describe(path, node, &item.facts, &item.attributes)
    }

    /// Puts a file that was set aside, and changes it.
    fn put_moved(&mut self, path: &[u8], item: &Item, from: &[u8]) -> Result<()> {
        let node = self.aside.as_ref().and_then(|aside| aside.nodes.get(from));
        let node = *node.ok_or_else(|| corrupt("the file that is moved is not there"))?;
        let existing = self.there.get(path).cloned();
        self.name(path, node, item, existing)?;
        self.streams(node, item)
    }

    fn make(&mut self, path: &[u8], item: &Item) -> Result<u64> {
        self.remove(path)?;
        let (parent, name) = self.place(path)?;
        let node = self.files.make(Making { parent, name, kind: &item.kind })?;
        self.there.insert(path.to_vec(), (node, item.kind.clone()));
        Ok(node)
    }

    /// One more name of a file.
    fn name(&mut self, path: &[u8], node: u64, item: &Item, existing: Option<(u64, Kind)>) -> Result<()> {
        if existing.as_ref().is_none_or(|(existing, _)| *existing != node) {
            self.remove(path)?;
            let (parent, name) = self.place(path)?;
            self.files.link(parent, name, node)?;
            self.there.insert(path.to_vec(), (node, item.kind.clone()));
        }
        // A name is a change of the file, so its times are set again.
        self.last.insert(path.to_vec(), (node, item.facts, item.attributes.clone()));
        Ok(())
    }

    fn streams(&mut self, node: u64, item: &Item) -> Result<()> {
        match &item.body {
            Body::Kept | Body::NameOf(_) | Body::Moved(_) | Body::Merged { .. } => {}
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
            self.pour(made.node, name, content, map)?;
        }
        // What went through the library changed times.
        match made.maps.iter().any(|map| !map.direct && map.size > 0) {
            true => self.files.describe(made.node, parent, &item.facts, &item.attributes),
            false => Ok(()),
        }
    }

    fn fill(&mut self, node: u64, stream: &[u8], content: &Content) -> Result<()> {
        let map = self.files.make_room(node, stream, &room(content, self.files.block()))?;
        self.pour(node, stream, content, &map)
    }

    /// Writes a content, which comes next, into the room that the stream has.
    fn pour(&mut self, node: u64, stream: &[u8], content: &Content, map: &Map) -> Result<()> {
        if content.ranges.is_empty() {
            return Ok(());
        }
        let wanted = self.source.wanted.next().filter(|wanted| std::ptr::eq(wanted.content, content));
        for part in &wanted.ok_or_else(|| corrupt("contents do not come in order"))?.parts {
            match part {
                Part::Copied(range) => self.copy(node, stream, map, range)?,
                Part::Lent(range, disk, from) => self.lend(node, stream, map, (range, disk, *from))?,
            }
        }
        self.source.ahead.check()
    }

    fn copy(&mut self, node: u64, stream: &[u8], map: &Map, range: &Range<u64>) -> Result<()> {
        let mut at = range.start;
        while at < range.end {
            let bytes = self.source.ahead.take(range.end - at)?;
            told(self.watch, bytes.len() as u64)?;
            self.files.write(node, stream, map, at, bytes)?;
            at += bytes.len() as u64;
        }
        Ok(())
    }

    /// Where a file's blocks are no whole pages of the disk, its content is copied all the same.
    fn lend(
        &mut self,
        node: u64,
        stream: &[u8],
        map: &Map,
        (range, disk, from): (&Range<u64>, &Arc<dyn Disk>, u64),
    ) -> Result<()> {
        if self.files.lend(map, range, disk, from)? {
            return told(self.watch, range.end - range.start);
        }
        let mut buffer = Aligned::new(STROKE);
        for at in range.clone().step_by(STROKE) {
            let bytes = &mut buffer[..(range.end - at).min(STROKE as u64) as usize];
            disk.read_at(bytes, from + (at - range.start))?;
            told(self.watch, bytes.len() as u64)?;
            self.files.write(node, stream, map, at, bytes)?;
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
        // A name for DOS that is set with metadata is an entry of the folder, which gets another time.
        let mut touched = std::mem::take(&mut self.touched);
        touched.extend(self.last.keys().filter_map(|path| Some(split(path)?.0.to_vec())));
        for path in touched {
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

fn room(content: &Content, block: u64) -> Room {
    let inside = |range: std::ops::Range<u64>| range.start..range.end.min(content.size);
    let ranges = rooms(content, block).into_iter().map(inside).collect();
    Room { size: content.size, ranges, compressed: content.compressed }
}

fn corrupt(text: &str) -> Error {
    Error::new(ErrorKind::Corrupt, text)
}
