//! A delta as bytes: `docs/formats/delta.md`.
//!
//! ```text
//!   0        header: magic, version, kind, where the index lies and its digest
//!   4096     content: the data of each content once, each from a multiple of 4096 on
//!   …        index: paths and what happened there
//! ```
//!
//! The index names every content by its digest, so the digest of the index is that of the whole delta.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use shale_disk::{Disk, Error, ErrorKind, Result};

use crate::aligned::Aligned;
use crate::apply::Contents;
use crate::delta::{Body, Change, Content, Delta, Item, Streams, Was};
use crate::diff::Keeper;
use crate::files::{Attributes, Facts, Kind, Moment};
use crate::known::Known;

const MAGIC: &[u8; 8] = b"SHALEDLT";
/// The newest that is read.
const VERSION: u32 = 2;
/// Deltas with files that were moved say at least this one: readers of version 1 made less of a moved file.
const HAS_MOVED: u32 = 2;
/// Of the header, and what contents begin at multiples of: equal contents are equal blocks for a store of blocks.
const ALIGN: u64 = 4096;
/// An index is kept in memory.
const INDEX_LIMIT: u64 = 256 << 20;
const STROKE: u64 = 1 << 20;
/// Bytes that are read at once where less is wanted.
const WINDOW: usize = 256 << 10;

/// A delta's digest: the BLAKE3 of its index.
pub type Digest = [u8; 32];

/// Writes a delta into a file, content first.
pub struct Writer {
    file: File,
    at: u64,
    kept: HashMap<Digest, u64>,
    buffer: Vec<u8>,
}

impl Writer {
    /// Into an empty file.
    pub fn new(file: File) -> Self {
        Self { file, at: ALIGN, kept: HashMap::new(), buffer: vec![0; STROKE as usize] }
    }

    /// Writes the index and, last, the header; all is durable then.
    pub fn finish(self, delta: &Delta) -> Result<Digest> {
        let failed = |e| Error::io("a delta cannot be written", e);
        let mut index = Vec::new();
        put_delta(delta, &mut index);
        if index.len() as u64 > INDEX_LIMIT {
            return Err(Error::new(ErrorKind::Unsupported, "the layer has too many entries"));
        }
        let digest = *blake3::hash(&index).as_bytes();
        let mut header = Vec::new();
        header.extend(MAGIC);
        header.extend(version_of(delta).to_le_bytes());
        header.extend(number_of(delta.kind).to_le_bytes());
        header.extend(self.at.to_le_bytes());
        header.extend((index.len() as u64).to_le_bytes());
        header.extend(digest);
        header.resize(ALIGN as usize, 0);
        index.resize(index.len().next_multiple_of(ALIGN as usize), 0);
        self.file.write_all_at(&index, self.at).map_err(failed)?;
        self.file.set_len(self.at + index.len() as u64).map_err(failed)?;
        self.file.sync_all().map_err(failed)?;
        self.file.write_all_at(&header, 0).map_err(failed)?;
        self.file.sync_all().map_err(failed)?;
        Ok(digest)
    }
}

impl Keeper for Writer {
    fn keep(
        &mut self,
        ranges: &[Range<u64>],
        read: &mut dyn FnMut(u64, &mut [u8]) -> Result<()>,
    ) -> Result<(Digest, u64)> {
        let mut hasher = blake3::Hasher::new();
        let mut at = self.at;
        for range in ranges {
            for start in (range.start..range.end).step_by(STROKE as usize) {
                let part = &mut self.buffer[..(range.end - start).min(STROKE) as usize];
                read(start, part)?;
                hasher.update(part);
                self.file.write_all_at(part, at).map_err(|e| Error::io("a delta cannot be written", e))?;
                at += part.len() as u64;
            }
        }
        let digest = *hasher.finalize().as_bytes();
        if let Some(offset) = self.kept.get(&digest) {
            return Ok((digest, *offset)); // What was just written is written over.
        }
        let tail = at.next_multiple_of(ALIGN) - at;
        let failed = |e| Error::io("a delta cannot be written", e);
        self.file.write_all_at(&vec![0; tail as usize], at).map_err(failed)?;
        let offset = std::mem::replace(&mut self.at, at + tail);
        self.kept.insert(digest, offset);
        Ok((digest, offset))
    }
}

/// A delta that is stored: gives its content.
pub struct Stored {
    disk: Arc<dyn Disk>,
    end: u64,
    /// What was read last, of small contents: they lie side by side.
    window: Aligned,
    in_window: Range<u64>,
    /// Of the whole delta.
    pub digest: Digest,
}

impl Stored {
    /// Reads the index of the delta that lies in `disk` from its first byte on, and checks it.
    pub fn open(disk: Arc<dyn Disk>) -> Result<(Delta, Self)> {
        let mut header = [0; 64];
        if disk.size() < ALIGN {
            return Err(corrupt("it is cut off"));
        }
        disk.read_at(&mut header, 0)?;
        let mut header = Reader(&header);
        if header.take(8)? != MAGIC {
            return Err(corrupt("it does not begin like one"));
        }
        let version = header.u32()?;
        if !(1..=VERSION).contains(&version) {
            let text = format!(
                "the delta has version {version}, and this program reads up to {VERSION}: use a newer one"
            );
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        let kind = header.u32()?;
        let (end, length) = (header.u64()?, header.u64()?);
        let digest: Digest = header.array()?;
        if length > INDEX_LIMIT || end < ALIGN || end.checked_add(length).is_none_or(|end| end > disk.size())
        {
            return Err(corrupt("it claims more than there is"));
        }
        let mut index = vec![0; length as usize];
        disk.read_at(&mut index, end)?;
        if blake3::hash(&index).as_bytes() != &digest {
            return Err(corrupt("its index is not what was written"));
        }
        let kind = match kind {
            1 => Known::Ext,
            2 => Known::Ntfs,
            3 => Known::Fat,
            _ => return Err(corrupt("it is of an unknown file system")),
        };
        let delta = take_delta(kind, &mut Reader(&index))?;
        delta.check()?;
        Ok((delta, Self { disk, end, window: Aligned::new(WINDOW), in_window: 0..0, digest }))
    }
}

impl Contents for Stored {
    fn read(&mut self, content: &Content, at: u64, buffer: &mut [u8]) -> Result<()> {
        let start = self.place(content.offset, at, buffer.len() as u64);
        let start = start.ok_or_else(|| corrupt("its content is cut off"))?;
        if buffer.len() >= WINDOW / 2 {
            return self.disk.read_at(buffer, start);
        }
        let wanted = start..start + buffer.len() as u64;
        if wanted.start < self.in_window.start || wanted.end > self.in_window.end {
            self.move_window(wanted.start - wanted.start % ALIGN)?;
        }
        let from = (wanted.start - self.in_window.start) as usize;
        buffer.copy_from_slice(&self.window[from..from + buffer.len()]);
        Ok(())
    }

    fn lent(&self, offset: u64, at: u64, length: u64) -> Option<(Arc<dyn Disk>, u64)> {
        Some((self.disk.clone(), self.place(offset, at, length)?))
    }
}

/// A delta of which nothing is lent: its disk does not know by itself whether what it reads is what was kept, as one in the repository does.
pub struct Copied(pub Stored);

impl Contents for Copied {
    fn read(&mut self, content: &Content, at: u64, buffer: &mut [u8]) -> Result<()> {
        self.0.read(content, at, buffer)
    }
}

impl Stored {
    /// Where so many bytes of the data that begins at `offset` lie, if they are all there.
    fn place(&self, offset: u64, at: u64, length: u64) -> Option<u64> {
        let start = offset.checked_add(at).filter(|start| *start >= ALIGN)?;
        start.checked_add(length).is_some_and(|end| end <= self.end).then_some(start)
    }

    fn move_window(&mut self, start: u64) -> Result<()> {
        let length = (self.end - start).min(WINDOW as u64);
        self.in_window = 0..0;
        self.disk.read_at(&mut self.window[..length as usize], start)?;
        self.in_window = start..start + length;
        Ok(())
    }
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("a delta is damaged: {what}"))
}

/// The oldest version whose readers understand a delta.
fn version_of(delta: &Delta) -> u32 {
    let is_moved = |change: &Change| matches!(change, Change::Put(Item { body: Body::Moved(_), .. }));
    if delta.changes.values().any(is_moved) { HAS_MOVED } else { 1 }
}

fn number_of(kind: Known) -> u32 {
    match kind {
        Known::Fat => 3,
        Known::Ntfs => 2,
        _ => 1,
    }
}

const REMOVED: u8 = 0;
const KEPT: u8 = 1;
const NEW: u8 = 2;
const FILLED: u8 = 3;
const NAME_OF: u8 = 4;
const MERGED: u8 = 5;
const MOVED: u8 = 6;

fn put_delta(delta: &Delta, to: &mut Vec<u8>) {
    to.extend((delta.changes.len() as u32).to_le_bytes());
    for (path, change) in &delta.changes {
        put_bytes(path, to);
        let was = delta.was.get(path);
        to.push(was.is_some().into());
        if let Some(Was { size, modified }) = was {
            to.extend(size.to_le_bytes());
            put_moment(*modified, to);
        }
        match change {
            Change::Removed => to.push(REMOVED),
            Change::Put(item) => put_item(item, to),
        }
    }
}

fn put_bytes(bytes: &[u8], to: &mut Vec<u8>) {
    to.extend((bytes.len() as u32).to_le_bytes());
    to.extend(bytes);
}

fn put_item(item: &Item, to: &mut Vec<u8>) {
    match &item.body {
        Body::Kept => to.push(KEPT),
        Body::New(streams) => {
            to.push(NEW);
            put_streams(streams.iter().map(|(name, content)| (name, Some(content))), to);
        }
        Body::Filled(streams) => {
            to.push(FILLED);
            put_streams(streams.iter().map(|(name, content)| (name, content.as_ref())), to);
        }
        Body::NameOf(first) => {
            to.push(NAME_OF);
            put_bytes(first, to);
        }
        Body::Moved(from) => {
            to.push(MOVED);
            put_bytes(from, to);
        }
        Body::Merged { rule, difference } => {
            to.push(MERGED);
            put_bytes(rule.as_bytes(), to);
            put_content(difference, to);
        }
    }
    let (number, target, device) = match &item.kind {
        Kind::Folder => (1, &[][..], (0, 0)),
        Kind::File => (2, &[][..], (0, 0)),
        Kind::Link { target } => (3, &target[..], (0, 0)),
        Kind::Characters { major, minor } => (4, &[][..], (*major, *minor)),
        Kind::Blocks { major, minor } => (5, &[][..], (*major, *minor)),
        Kind::Pipe => (6, &[][..], (0, 0)),
        Kind::Socket => (7, &[][..], (0, 0)),
    };
    to.push(number);
    put_bytes(target, to);
    to.extend(device.0.to_le_bytes());
    to.extend(device.1.to_le_bytes());
    let facts = &item.facts;
    to.extend(facts.mode.to_le_bytes());
    to.extend(facts.owner.to_le_bytes());
    to.extend(facts.group.to_le_bytes());
    to.extend(facts.flags.to_le_bytes());
    for moment in [facts.modified, facts.accessed, facts.changed, facts.born] {
        put_moment(moment, to);
    }
    to.extend((item.attributes.len() as u32).to_le_bytes());
    for (name, value) in item.attributes.iter() {
        put_bytes(name, to);
        put_bytes(value, to);
    }
}

fn put_streams<'a>(
    streams: impl ExactSizeIterator<Item = (&'a Vec<u8>, Option<&'a Content>)>,
    to: &mut Vec<u8>,
) {
    to.extend((streams.len() as u32).to_le_bytes());
    for (name, content) in streams {
        put_bytes(name, to);
        to.push(content.is_some().into());
        let Some(content) = content else { continue };
        put_content(content, to);
    }
}

fn put_content(content: &Content, to: &mut Vec<u8>) {
    to.push(content.compressed.into());
    to.extend(content.size.to_le_bytes());
    to.extend(content.offset.to_le_bytes());
    to.extend(content.digest);
    to.extend((content.ranges.len() as u32).to_le_bytes());
    for range in &content.ranges {
        to.extend(range.start.to_le_bytes());
        to.extend(range.end.to_le_bytes());
    }
}

fn put_moment(moment: Moment, to: &mut Vec<u8>) {
    to.extend(moment.seconds.to_le_bytes());
    to.extend(moment.nanoseconds.to_le_bytes());
}

/// What is left of an index.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(length).ok_or_else(|| corrupt("its index is cut off"))?;
        self.0 = rest;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| corrupt("its index is cut off"))
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn flag(&mut self) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(corrupt("its index makes no sense")),
        }
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Result<Vec<u8>> {
        let length = self.u32()? as usize;
        self.take(length).map(<[u8]>::to_vec)
    }
}

fn take_delta(kind: Known, index: &mut Reader) -> Result<Delta> {
    let mut changes = BTreeMap::new();
    let mut was = BTreeMap::new();
    for _ in 0..index.u32()? {
        let path = index.bytes()?;
        if changes.last_key_value().is_some_and(|(last, _)| *last >= path) {
            return Err(corrupt("its paths are not in order"));
        }
        if index.flag()? {
            was.insert(path.clone(), Was { size: index.u64()?, modified: take_moment(index)? });
        }
        let change = match index.u8()? {
            REMOVED => Change::Removed,
            tag => Change::Put(take_item(tag, index)?),
        };
        changes.insert(path, change);
    }
    if !index.0.is_empty() {
        return Err(corrupt("its index is followed by something"));
    }
    Ok(Delta { kind, changes, was })
}

fn take_item(tag: u8, index: &mut Reader) -> Result<Item> {
    let body = match tag {
        KEPT => Body::Kept,
        NEW => {
            let streams = take_streams(index)?.into_iter();
            let whole = |(name, content): (Vec<u8>, Option<Content>)| Some((name, content?));
            let streams = streams.map(whole).collect::<Option<Streams>>();
            Body::New(streams.ok_or_else(|| corrupt("a new entry lacks content"))?)
        }
        FILLED => Body::Filled(take_streams(index)?),
        NAME_OF => Body::NameOf(index.bytes()?),
        MOVED => Body::Moved(index.bytes()?),
        MERGED => {
            let rule = String::from_utf8(index.bytes()?).map_err(|_| corrupt("it names no rule"))?;
            Body::Merged { rule, difference: Box::new(take_content(index)?) }
        }
        _ => return Err(corrupt("its index makes no sense")),
    };
    let number = index.u8()?;
    let target = index.bytes()?;
    let (major, minor) = (index.u32()?, index.u32()?);
    let kind = match number {
        1 => Kind::Folder,
        2 => Kind::File,
        3 if !target.is_empty() && !target.contains(&0) => Kind::Link { target },
        4 => Kind::Characters { major, minor },
        5 => Kind::Blocks { major, minor },
        6 => Kind::Pipe,
        7 => Kind::Socket,
        _ => return Err(corrupt("it has an entry of an unknown kind")),
    };
    let facts = Facts {
        mode: u16::from_le_bytes(index.array()?),
        owner: index.u32()?,
        group: index.u32()?,
        flags: index.u32()?,
        modified: take_moment(index)?,
        accessed: take_moment(index)?,
        changed: take_moment(index)?,
        born: take_moment(index)?,
    };
    let mut attributes = Attributes::new();
    for _ in 0..index.u32()? {
        let name = index.bytes()?;
        attributes.insert(name, index.bytes()?);
    }
    Ok(Item { kind, facts, attributes, body })
}

fn take_moment(index: &mut Reader) -> Result<Moment> {
    Ok(Moment { seconds: index.u64()? as i64, nanoseconds: index.u32()? })
}

fn take_streams(index: &mut Reader) -> Result<BTreeMap<Vec<u8>, Option<Content>>> {
    let mut streams = BTreeMap::new();
    for _ in 0..index.u32()? {
        let name = index.bytes()?;
        let content = if index.flag()? { Some(take_content(index)?) } else { None };
        streams.insert(name, content);
    }
    Ok(streams)
}

fn take_content(index: &mut Reader) -> Result<Content> {
    let compressed = index.flag()?;
    let (size, offset, digest) = (index.u64()?, index.u64()?, index.array()?);
    let mut ranges = Vec::new();
    for _ in 0..index.u32()? {
        let start = index.u64()?;
        ranges.push(start..index.u64()?);
    }
    Ok(Content { size, ranges, compressed, digest, offset })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shale_disk::Memory;

    /// The bytes of a delta with one file that is `body`, and that its old path is gone.
    fn bytes(body: Body) -> Vec<u8> {
        let item = Item { kind: Kind::File, facts: Facts::default(), attributes: Attributes::new(), body };
        let changes = BTreeMap::from([(b"a".to_vec(), Change::Removed), (b"b".to_vec(), Change::Put(item))]);
        let file = tempfile::NamedTempFile::new().unwrap();
        let writer = Writer::new(file.reopen().unwrap());
        writer.finish(&Delta { kind: Known::Ext, changes, was: BTreeMap::new() }).unwrap();
        std::fs::read(file.path()).unwrap()
    }

    #[test]
    fn a_delta_has_the_oldest_version_that_has_all_it_says() {
        let versions = |bytes: &[u8], version: u32| {
            let mut other = bytes.to_vec();
            other[8..12].copy_from_slice(&version.to_le_bytes());
            Stored::open(Arc::new(Memory(other))).map(|_| ()).map_err(|e| (e.kind(), e.to_string()))
        };
        let (kept, moved) = (bytes(Body::Kept), bytes(Body::Moved(b"a".to_vec())));
        assert_eq!((kept[8], moved[8]), (1, 2));
        // Deltas of version 1 with moved files are of earlier builds.
        for bytes in [&kept, &moved] {
            assert_eq!([1, 2].map(|version| versions(bytes, version)), [Ok(()), Ok(())]);
            let (kind, why) = versions(bytes, 3).unwrap_err();
            assert!(kind == ErrorKind::Unsupported && why.contains("use a newer one"), "{why}");
        }
    }
}
