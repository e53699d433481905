//! Files in the file systems of a disk, read and written without mounting and without any right.
//!
//! ```text
//!   Files ──requests──▶ shale-files (own process, locked in) ── libext2fs │ libntfs-3g │ FAT, in Rust
//!     │   ◀──answers───        │ reads and writes of blocks of metadata
//!     │                        ▼
//!     └──content──▶ Disk below · Changes on top        what a file holds never passes through C, but on NTFS
//! ```
//!
//! An entry is named by its *node*: the inode of ext, the file record of NTFS, the place of a slot on FAT. Names are bytes: as they lie on the disk on
//! ext, UTF-8 on NTFS and FAT (a lone surrogate as its three bytes, so that every name survives). A program that crashes, hangs
//! or says what it must not is ended, and every later request says so.

mod attributes;
mod entry;
mod new;
mod process;
mod wide;
pub(crate) mod wire;

use std::ops::Range;
use std::sync::Arc;

use shale_disk::{Disk, Error, ErrorKind, Result};

use crate::changes::Changes;
use crate::fat;
use crate::known::Known;
pub use attributes::Attributes;
use attributes::Pool;
pub use entry::{Entry, Facts, Kind, Map, Moment, Piece, Stream};
pub use new::{New, Placed, Room};
pub use process::Program;
use process::{Process, Shown};
use wire::{Answer, Request};

/// Most bytes of content that are asked for, or given, at once.
const STROKE: usize = 1 << 20;
/// Entries of one folder, and bytes of what is told of them, that are kept in memory: ext can claim any number.
const FOLDER_ENTRIES: usize = 1 << 20;
const FOLDER_BYTES: usize = 512 << 20;
/// Requests that are sent at once: with the longest names that streams can have, they fit a message.
const TOGETHER: usize = 1024;

/// An open file system.
pub struct Files {
    process: Process,
    kind: Known,
    root: u64,
    block: u64,
    bytes: u64,
    size: u64,
    pool: Pool,
}

/// What an entry that is made is.
#[derive(Clone, Copy, Debug)]
pub struct Making<'a> {
    /// The folder it goes into.
    pub parent: u64,
    /// Its name there.
    pub name: &'a [u8],
    /// What it is; NTFS and FAT have only files and folders.
    pub kind: &'a Kind,
}

/// The content that a stream gets.
pub struct Filling<'a> {
    /// Bytes it will have.
    pub size: u64,
    /// Where it has data, in order and apart; the rest are holes. Each but the last begins and ends with a block.
    pub ranges: &'a [Range<u64>],
    /// Kept compressed (NTFS).
    pub compressed: bool,
    /// Gives the bytes from an offset of the stream on.
    pub content: &'a mut dyn FnMut(u64, &mut [u8]) -> Result<()>,
}

impl Files {
    /// Opens the file system in `range` of `disk` to be read. One that was not left cleanly is refused, and so is what is
    /// neither ext nor NTFS nor FAT, by its name.
    pub fn open(program: &Program, disk: Arc<dyn Disk>, range: Range<u64>) -> Result<Self> {
        let shown = Shown::new(disk, None, range)?;
        Self::start(program, shown, 0)
    }

    /// Opens it to read all of it. FAT in which entries share their content is refused: it could claim a million files of 4 GiB.
    pub fn open_to_read_all(program: &Program, disk: Arc<dyn Disk>, range: Range<u64>) -> Result<Self> {
        let is_fat = Known::of(&*disk, range.clone())? == Known::Fat;
        let shown = Shown::new(disk, None, range)?;
        Self::start(program, shown, if is_fat { wire::READ_ALL } else { 0 })
    }

    /// Opens the file system in `range` of what `changes` shows. What is written lands in `changes`, and is whole once
    /// [`Files::close`] has succeeded; after any error `changes` is to be thrown away.
    pub fn open_to_write(program: &Program, changes: Arc<Changes>, range: Range<u64>) -> Result<Self> {
        let shown = Shown::new(Arc::new(changes.disk()), Some(changes), range)?;
        Self::start(program, shown, 1)
    }

    fn start(program: &Program, shown: Shown, purpose: u8) -> Result<Self> {
        let kind = Known::of(&*shown.disk, shown.range.clone())?;
        let number = match kind {
            Known::Ext => 1,
            Known::Ntfs => 2,
            Known::Fat => fat::NUMBER,
            other => return Err(other.refused()),
        };
        let size = shown.range.end - shown.range.start;
        let mut request = Request::new(wire::OPEN);
        request.u8(number).u8(purpose).u64(size);
        let mut process = Process::start(program, shown, kind)?;
        let mut answer = process.ask(request).map_err(|e| {
            Error::new(e.kind(), format!("the {kind} file system cannot be opened")).with_source(e)
        })?;
        let (root, block, bytes) = (answer.u64()?, u64::from(answer.u32()?), answer.u64()?);
        if !block.is_power_of_two() {
            return Err(wire::nonsense());
        }
        Ok(Self { process, kind, root, block, bytes, size, pool: Pool::default() })
    }

    /// Ext, NTFS or FAT.
    pub fn kind(&self) -> Known {
        self.kind
    }

    /// The root folder.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Bytes of a block (cluster).
    pub fn block(&self) -> u64 {
        self.block
    }

    /// Bytes of the file system; its partition may have more.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the file system as large as its range, or as large as it can become: the bytes it has then. What lies behind
    /// its end must read as zero.
    pub fn grow(&mut self) -> Result<u64> {
        self.bytes = self.process.ask(Request::new(wire::GROW))?.u64()?;
        Ok(self.bytes)
    }

    /// What a folder holds, with all metadata, in the order of its names' bytes. Not `.` and `..`, and on NTFS neither
    /// the file system's own files nor DOS names.
    pub fn folder(&mut self, node: u64) -> Result<Vec<(Vec<u8>, Entry)>> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(length) = self.folder_part(node, &mut found)? {
            bytes += length;
            if found.len() > FOLDER_ENTRIES || bytes > FOLDER_BYTES {
                return Err(invalid("a folder has more than a million entries, or 512 MiB of them"));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        match found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(corrupt(format!("a folder has two entries called '{}'", show(&pair[0].0)))),
            None => Ok(found),
        }
    }

    /// Adds to what was told of a folder; returns the bytes of that, and `None` where it was the last of it.
    fn folder_part(&mut self, node: u64, found: &mut Vec<(Vec<u8>, Entry)>) -> Result<Option<usize>> {
        let mut request = Request::new(wire::FOLDER);
        request.u64(node).u32(found.len() as u32);
        let mut answer = self.process.ask(request)?;
        let count = answer.u32()?;
        for _ in 0..count {
            let name = self.name_from(answer.bytes()?)?;
            found.push((name, self.entry_from(&mut answer)?));
        }
        match answer.u8()? != 0 {
            true if count == 0 => Err(wire::nonsense()),
            more => Ok(more.then(|| answer.length())),
        }
    }

    /// One entry's metadata; its DOS name only where a folder lists it.
    pub fn entry(&mut self, node: u64) -> Result<Entry> {
        let mut request = Request::new(wire::ENTRY);
        request.u64(node);
        let mut answer = self.process.ask(request)?;
        self.entry_from(&mut answer)
    }

    /// Where a stream's content lies; the stream of a file is the one without a name.
    pub fn map(&mut self, node: u64, stream: &[u8]) -> Result<Map> {
        let mut request = Request::new(wire::MAP);
        request.u64(node).bytes(&self.name_to(stream)?);
        let mut answer = self.process.ask(request)?;
        self.map_from(&mut answer)
    }

    /// The maps of many streams, by node and name: asking for each alone costs more than the work.
    pub fn maps(&mut self, streams: &[(u64, &[u8])]) -> Result<Vec<Result<Map>>> {
        let mut maps = Vec::new();
        for streams in streams.chunks(TOGETHER) {
            let mut messages = Vec::new();
            for (node, name) in streams {
                let mut request = Request::new(wire::MAP);
                request.u64(*node).bytes(&self.name_to(name)?);
                messages.extend(request.finish()?);
            }
            let answers = self.process.ask_all(&messages, streams.len(), wire::MAP)?;
            maps.extend(answers.into_iter().map(|answer| self.map_from(&mut answer?)));
        }
        Ok(maps)
    }

    /// Fills `buffer` from `offset` of a stream on, which must have that many bytes; `map` is that stream's.
    pub fn read(
        &mut self,
        node: u64,
        stream: &[u8],
        map: &Map,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > map.size) {
            return Err(corrupt("a file is shorter than it was said to be"));
        }
        if map.direct {
            return self.read_pieces(map, offset, buffer);
        }
        let name = self.name_to(stream)?;
        for (part, at) in buffer.chunks_mut(STROKE).zip((offset..).step_by(STROKE)) {
            let mut request = Request::new(wire::READ);
            request.u64(node).bytes(&name).u64(at).u32(part.len() as u32);
            let mut answer = self.process.ask(request)?;
            let bytes = answer.bytes()?;
            if bytes.len() != part.len() {
                return Err(corrupt("a file ends before its size"));
            }
            part.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn read_pieces(&self, map: &Map, offset: u64, buffer: &mut [u8]) -> Result<()> {
        buffer.fill(0);
        let end = offset + buffer.len() as u64;
        let first = map.pieces.partition_point(|piece| piece.logical + piece.length <= offset);
        for piece in map.pieces[first..].iter().take_while(|piece| piece.logical < end) {
            let (from, to) = (piece.logical.max(offset), (piece.logical + piece.length).min(end));
            let part = &mut buffer[(from - offset) as usize..(to - offset) as usize];
            self.process.shown.read(part, piece.physical + (from - piece.logical))?;
        }
        Ok(())
    }

    /// Makes an entry without content and with the metadata of a new one; returns its node.
    pub fn make(&mut self, making: Making) -> Result<u64> {
        let request = self.make_request(making)?;
        self.process.ask(request)?.u64()
    }

    fn make_request(&self, making: Making) -> Result<Request> {
        let (number, major, minor, target) = match making.kind {
            Kind::Folder => (1, 0, 0, &[][..]),
            Kind::File => (2, 0, 0, &[][..]),
            Kind::Link { target } => (3, 0, 0, &target[..]),
            Kind::Characters { major, minor } => (4, *major, *minor, &[][..]),
            Kind::Blocks { major, minor } => (5, *major, *minor, &[][..]),
            Kind::Pipe => (6, 0, 0, &[][..]),
            Kind::Socket => (7, 0, 0, &[][..]),
        };
        if target.contains(&0) {
            return Err(invalid("a link cannot lead to a name with a zero byte"));
        }
        let mut request = Request::new(wire::MAKE);
        request.u64(making.parent).bytes(&self.name_to(making.name)?);
        request.u8(number).u32(major).u32(minor).bytes(target);
        Ok(request)
    }

    /// Gives an entry that is no folder one more name.
    pub fn link(&mut self, parent: u64, name: &[u8], node: u64) -> Result<()> {
        let mut request = Request::new(wire::LINK);
        request.u64(parent).bytes(&self.name_to(name)?).u64(node);
        self.process.ask(request).map(drop)
    }

    /// Takes a name away, and with the last one the entry. Folders must be empty.
    pub fn remove(&mut self, parent: u64, name: &[u8]) -> Result<()> {
        let mut request = Request::new(wire::REMOVE);
        request.u64(parent).bytes(&self.name_to(name)?);
        self.process.ask(request).map(drop)
    }

    /// Gives an entry these facts and exactly these attributes. Last of all changes to it, and to a folder's entries:
    /// each of them sets times. `parent` is a folder that names it, to which its DOS name belongs.
    pub fn describe(&mut self, node: u64, parent: u64, facts: &Facts, attributes: &Attributes) -> Result<()> {
        let request = describe_request(node, parent, facts, attributes)?;
        self.process.ask(request).map(drop)
    }

    /// Replaces the content of a stream, which is made if need be.
    pub fn fill(&mut self, node: u64, stream: &[u8], filling: Filling) -> Result<()> {
        let Filling { size, ranges, compressed, content } = filling;
        let room = Room { size, ranges: ranges.to_vec(), compressed };
        let map = self.make_room(node, stream, &room)?;
        let mut buffer = vec![0; STROKE.next_multiple_of(self.block as usize)];
        for range in ranges {
            for at in (range.start..range.end).step_by(buffer.len()) {
                let length = (range.end - at).min(buffer.len() as u64) as usize;
                let whole = length.next_multiple_of(self.block as usize);
                content(at, &mut buffer[..length])?;
                buffer[length..whole].fill(0);
                self.write(node, stream, &map, at, &buffer[..whole])?;
            }
        }
        Ok(())
    }

    /// Gives a stream, which is made if need be, room for a new content: [`Files::write`] fills it.
    pub fn make_room(&mut self, node: u64, stream: &[u8], room: &Room) -> Result<Map> {
        let request = self.size_request(node, stream, room)?;
        let mut answer = self.process.ask(request)?;
        self.map_from(&mut answer)
    }

    fn size_request(&self, node: u64, stream: &[u8], room: &Room) -> Result<Request> {
        let mut request = Request::new(wire::SIZE);
        request.u64(node).bytes(&self.name_to(stream)?).u64(room.size).u32(room.ranges.len() as u32);
        for range in &room.ranges {
            request.u64(range.start).u64(range.end - range.start);
        }
        request.u8(room.compressed.into());
        Ok(request)
    }

    /// Writes content from `offset` of a stream on, into the room that `map` says it has: whole blocks, with zeros behind the
    /// stream's size. Where the map is not direct, the file must be described after it.
    pub fn write(&mut self, node: u64, stream: &[u8], map: &Map, offset: u64, bytes: &[u8]) -> Result<()> {
        if map.direct {
            return self.write_pieces(map, offset, bytes);
        }
        let name = self.name_to(stream)?;
        let inside = map.size.saturating_sub(offset).min(bytes.len() as u64) as usize;
        for (part, at) in bytes[..inside].chunks(STROKE).zip((offset..).step_by(STROKE)) {
            let mut request = Request::new(wire::WRITE);
            request.u64(node).bytes(&name).u64(at).bytes(part);
            self.process.ask(request)?;
        }
        Ok(())
    }

    fn write_pieces(&self, map: &Map, offset: u64, mut bytes: &[u8]) -> Result<()> {
        let mut at = offset;
        let first = map.pieces.partition_point(|piece| piece.logical + piece.length <= offset);
        let mut pieces = map.pieces[first..].iter();
        while !bytes.is_empty() {
            let piece = pieces.next().filter(|piece| piece.logical <= at).ok_or_else(wire::nonsense)?;
            let inside = at - piece.logical;
            let (part, rest) = bytes.split_at(bytes.len().min((piece.length - inside) as usize));
            self.process.shown.write(part, piece.physical + inside)?;
            at += part.len() as u64;
            bytes = rest;
        }
        Ok(())
    }

    /// Shows bytes of `disk`, from `from` on, in a range of a stream whose room `map` tells: without copying them. `false` where
    /// they have to be written, because what the range has is no whole pages of the disk.
    pub fn lend(&self, map: &Map, range: &Range<u64>, disk: &Arc<dyn Disk>, from: u64) -> Result<bool> {
        let mut lent = Vec::new();
        let mut at = range.start;
        let first = map.pieces.partition_point(|piece| piece.logical + piece.length <= at);
        for piece in map.pieces[first..].iter().take_while(|piece| piece.logical < range.end) {
            let start = at.max(piece.logical);
            let end = range.end.min(piece.logical + piece.length);
            if !map.direct || start != at {
                return Ok(false);
            }
            let place = piece.physical + (start - piece.logical);
            lent.push((place..place + (end - start), from + (start - range.start)));
            at = end;
        }
        let is_whole = lent.iter().all(|(range, _)| self.process.shown.takes(range));
        if at != range.end || !is_whole {
            return Ok(false);
        }
        for (range, from) in lent {
            self.process.shown.lend(range, disk.clone(), from)?;
        }
        Ok(true)
    }

    /// Removes a named stream.
    pub fn remove_stream(&mut self, node: u64, stream: &[u8]) -> Result<()> {
        let mut request = Request::new(wire::SIZE);
        request.u64(node).bytes(&self.name_to(stream)?).u64(u64::MAX).u32(0).u8(0);
        self.process.ask(request).map(drop)
    }

    /// Writes what is still to be written, and ends. Only then are changes whole.
    pub fn close(mut self) -> Result<()> {
        self.process.ask(Request::new(wire::CLOSE)).map(drop)
    }

    /// Whether names are kept in UTF-16.
    fn is_wide(&self) -> bool {
        matches!(self.kind, Known::Ntfs | Known::Fat)
    }

    fn name_from(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let name = if self.is_wide() { wide::from_wide(bytes) } else { Some(bytes.to_vec()) };
        let name = name.filter(|name| {
            !name.is_empty() && !name.contains(&b'/') && !name.contains(&0) && name != b"." && name != b".."
        });
        name.ok_or_else(|| corrupt("a folder has an entry whose name cannot be one"))
    }

    fn name_to(&self, name: &[u8]) -> Result<Vec<u8>> {
        if !self.is_wide() {
            let fits = !name.contains(&0);
            return if fits { Ok(name.to_vec()) } else { Err(invalid("no name has a zero byte")) };
        }
        wide::to_wide(name)
            .ok_or_else(|| invalid(format!("'{}' cannot be a name on {}", show(name), self.kind)))
    }

    fn entry_from(&mut self, answer: &mut Answer) -> Result<Entry> {
        let (node, number) = (answer.u64()?, answer.u8()?);
        let facts = Facts {
            mode: answer.u16()?,
            owner: answer.u32()?,
            group: answer.u32()?,
            flags: answer.u32()?,
            modified: moment_from(answer)?,
            accessed: moment_from(answer)?,
            changed: moment_from(answer)?,
            born: moment_from(answer)?,
        };
        let (links, major, minor) = (answer.u32()?, answer.u32()?, answer.u32()?);
        let target = answer.bytes()?.to_vec();
        let kind = match number {
            1 => Kind::Folder,
            2 => Kind::File,
            3 if !target.is_empty() && !target.contains(&0) => Kind::Link { target },
            3 => return Err(corrupt(format!("the link in inode {node} leads nowhere"))),
            4 => Kind::Characters { major, minor },
            5 => Kind::Blocks { major, minor },
            6 => Kind::Pipe,
            7 => Kind::Socket,
            _ => return Err(wire::nonsense()),
        };
        let mut attributes = Attributes::new();
        for _ in 0..answer.u32()? {
            let name = self.pool.name(answer.bytes()?);
            attributes.insert(name, self.pool.value(answer.bytes()?));
        }
        let mut streams = Vec::new();
        for _ in 0..answer.u32()? {
            let name = answer.bytes()?;
            let name = if name.is_empty() { Vec::new() } else { self.name_from(name)? };
            streams.push(Stream { name, size: answer.u64()? });
        }
        streams.sort();
        Ok(Entry { node, kind, facts, links, attributes, streams })
    }

    fn map_from(&self, answer: &mut Answer) -> Result<Map> {
        let (place, size, count) = (answer.u8()?, answer.u64()?, answer.u32()?);
        let mut pieces: Vec<Piece> = Vec::new();
        for _ in 0..count {
            let piece = Piece { logical: answer.u64()?, physical: answer.u64()?, length: answer.u64()? };
            let after = pieces.last().map_or(0, |last| last.logical + last.length);
            let is_inside =
                |start: u64, end: u64| start.checked_add(piece.length).is_some_and(|to| to <= end);
            if piece.logical < after
                || piece.length == 0
                || !is_inside(piece.physical, self.size)
                || !is_inside(piece.logical, i64::MAX as u64)
            {
                return Err(corrupt(
                    "a file's content lies outside of its file system, or twice in one place",
                ));
            }
            pieces.push(piece);
        }
        Ok(Map { direct: place == 1, in_record: place == 2, size, pieces })
    }
}

fn describe_request(node: u64, parent: u64, facts: &Facts, attributes: &Attributes) -> Result<Request> {
    let mut request = Request::new(wire::DESCRIBE);
    request.u64(node).u64(parent).bytes(&[]).u16(facts.mode).u32(facts.owner).u32(facts.group);
    request.u32(facts.flags);
    for moment in [facts.modified, facts.accessed, facts.changed, facts.born] {
        request.u64(moment.seconds as u64).u32(moment.nanoseconds);
    }
    request.u32(attributes.len() as u32);
    for (name, value) in attributes.iter() {
        if name.contains(&0) {
            return Err(invalid("no attribute has a zero byte in its name"));
        }
        request.bytes(name).bytes(value);
    }
    Ok(request)
}

fn moment_from(answer: &mut Answer) -> Result<Moment> {
    Ok(Moment { seconds: answer.u64()? as i64, nanoseconds: answer.u32()? })
}

/// Bytes of a name for a person.
pub(crate) fn show(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}

fn corrupt(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, text)
}

fn invalid(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, text)
}
