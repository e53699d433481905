//! Answers requests about a FAT file system, in the messages that `c/wire.h` describes.

use std::io::{Error as IoError, ErrorKind as IoKind, Read, Result as IoResult, Write};

use shale_disk::{Error, ErrorKind, Result};

use super::{Device, Fat, Purpose, corrupt, invalid};
use crate::files::wire::{self, Answer as Fields};
use crate::files::{Attributes, Entry, Facts, Kind, Map, Moment};

/// The file system's number in a request to open it.
pub(crate) const NUMBER: u8 = 3;
/// Most bytes of the disk that are asked for, or told, at once.
const STROKE: usize = 1 << 20;

/// Answers requests on `stream` until it is closed. The only errors are those of the stream, and requests that make no sense.
pub fn serve<S: Read + Write + Copy>(stream: S) -> IoResult<()> {
    let mut opened: Option<Fat<Parent<S>>> = None;
    let mut made = 0;
    loop {
        let Some(message) = message(stream)? else { return Ok(()) };
        let mut message = Fields::new(message);
        while !message.is_empty() {
            let mut request = Fields::new(message.bytes().map_err(nonsense)?.to_vec());
            let operation = request.u8().map_err(nonsense)?;
            let answered = match &mut opened {
                None if operation == wire::OPEN => open(stream, &mut request).map(|(fat, answer)| {
                    opened = Some(fat);
                    answer
                }),
                None => return Err(nonsense(corrupt("nothing is open"))),
                Some(fat) => answer(fat, operation, &mut request, &mut made),
            };
            match answered {
                Ok(answer) => send(stream, b'a', &answer.0)?,
                Err(e) if e.kind() == ErrorKind::Io => return Err(IoError::other(e)),
                Err(e) => send(stream, b'e', &[&[number(e.kind())], e.to_string().as_bytes()].concat())?,
            }
        }
    }
}

fn nonsense(e: Error) -> IoError {
    IoError::new(IoKind::InvalidData, e)
}

/// One message with requests; `None`: the other end was closed.
fn message(mut stream: impl Read) -> IoResult<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(e) if e.kind() == IoKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > wire::REQUEST_LIMIT {
        return Err(nonsense(corrupt("a message is too long")));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

fn send(mut stream: impl Write, tag: u8, fields: &[u8]) -> IoResult<()> {
    let mut bytes = (fields.len() as u32 + 1).to_le_bytes().to_vec();
    bytes.push(tag);
    bytes.extend(fields);
    stream.write_all(&bytes)
}

/// As `c/wire.h` numbers failures.
fn number(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Full => 3,
        ErrorKind::Unsupported => 2,
        _ => 1,
    }
}

/// The disk as the other end shows it.
struct Parent<S> {
    stream: S,
    size: u64,
}

impl<S: Read + Write> Device for Parent<S> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<()> {
        for (part, at) in bytes.chunks_mut(STROKE).zip((at..).step_by(STROKE)) {
            let asked = [&at.to_le_bytes()[..], &(part.len() as u32).to_le_bytes()].concat();
            let mut length = [0; 4];
            send(&mut self.stream, b'r', &asked)
                .and_then(|()| self.stream.read_exact(&mut length))
                .and_then(|()| self.stream.read_exact(part))
                .map_err(|e| Error::io("the disk cannot be asked for", e))?;
        }
        Ok(())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        for (part, at) in bytes.chunks(STROKE).zip((at..).step_by(STROKE)) {
            send(&mut self.stream, b'w', &[&at.to_le_bytes()[..], part].concat())
                .map_err(|e| Error::io("the disk cannot be told", e))?;
        }
        Ok(())
    }
}

/// The fields of an answer.
#[derive(Default)]
struct Told(Vec<u8>);

impl Told {
    fn u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(bytes.len() as u32).put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    fn entry(&mut self, entry: &Entry) {
        let Entry { node, kind, facts, links, attributes, streams } = entry;
        self.u64(*node).u8(if *kind == Kind::Folder { 1 } else { 2 });
        self.put(&facts.mode.to_le_bytes()).u32(facts.owner).u32(facts.group).u32(facts.flags);
        for moment in [facts.modified, facts.accessed, facts.changed, facts.born] {
            self.u64(moment.seconds as u64).u32(moment.nanoseconds);
        }
        self.u32(*links).u32(0).u32(0).bytes(b"").u32(attributes.len() as u32);
        for (name, value) in attributes.iter() {
            self.bytes(name).bytes(value);
        }
        self.u32(streams.len() as u32);
        for stream in streams {
            self.bytes(b"").u64(stream.size);
        }
    }

    fn map(&mut self, map: &Map) {
        self.u8(map.direct.into()).u64(map.size).u32(map.pieces.len() as u32);
        for piece in &map.pieces {
            self.u64(piece.logical).u64(piece.physical).u64(piece.length);
        }
    }
}

fn open<S: Read + Write>(stream: S, request: &mut Fields) -> Result<(Fat<Parent<S>>, Told)> {
    let (number, purpose, size) = (request.u8()?, request.u8()?, request.u64()?);
    let purpose = match purpose {
        0 => Purpose::Read,
        wire::READ_ALL => Purpose::ReadAll,
        _ => Purpose::Write,
    };
    if number != NUMBER {
        return Err(invalid("another file system is asked for"));
    }
    let fat = Fat::open(Parent { stream, size }, purpose)?;
    let (root, cluster, bytes) = fat.figures();
    let mut told = Told::default();
    told.u64(root).u32(cluster as u32).u64(bytes);
    Ok((fat, told))
}

/// Does one request. `made` is what was made last, which a request calls node 0.
fn answer<D: Device>(fat: &mut Fat<D>, operation: u8, request: &mut Fields, made: &mut u64) -> Result<Told> {
    let mut told = Told::default();
    match operation {
        wire::FOLDER => {
            let found = fat.folder(request.u64()?)?;
            let left = &found[found.len().min(request.u32()? as usize)..];
            let part = &left[..left.len().min(wire::PART_LIMIT)];
            told.u32(part.len() as u32);
            for (name, entry) in part {
                told.bytes(&bytes_of(name)).entry(entry);
            }
            told.u8((part.len() < left.len()).into());
        }
        wire::ENTRY => told.entry(&fat.entry(request.u64()?)?),
        wire::MAP => {
            let node = request.u64()?;
            content(request)?;
            told.map(&fat.map(node)?);
        }
        wire::MAKE => {
            let (parent, name, kind) = (request.u64()?, name(request)?, request.u8()?);
            if !matches!(kind, 1 | 2) {
                return Err(invalid("FAT has files and folders only"));
            }
            *made = fat.make(parent, &name, kind == 1)?;
            told.u64(*made);
        }
        wire::REMOVE => {
            let (parent, name) = (request.u64()?, name(request)?);
            fat.remove(parent, &name)?;
        }
        wire::DESCRIBE => {
            let (node, parent) = (node(request, *made)?, request.u64()?);
            request.bytes()?;
            let facts = facts(request)?;
            let attributes = attributes(request)?;
            fat.describe(node, parent, &facts, &attributes)?;
        }
        wire::SIZE => {
            let node = node(request, *made)?;
            content(request)?;
            told.map(&fat.size(node, request.u64()?)?);
        }
        wire::CLOSE => fat.close()?,
        wire::LINK => return Err(invalid("on FAT an entry has one name")),
        wire::GROW => return Err(invalid("FAT is not made larger")),
        _ => return Err(invalid("this is not done to FAT")),
    }
    Ok(told)
}

fn node(request: &mut Fields, made: u64) -> Result<u64> {
    Ok(match request.u64()? {
        0 => made,
        node => node,
    })
}

/// A name in UTF-16.
fn name(request: &mut Fields) -> Result<Vec<u16>> {
    let pairs = request.bytes()?.chunks_exact(2);
    Ok(pairs.map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
}

fn bytes_of(name: &[u16]) -> Vec<u8> {
    name.iter().flat_map(|unit| unit.to_le_bytes()).collect()
}

/// The name of a stream, of which there is one without.
fn content(request: &mut Fields) -> Result<()> {
    match request.bytes()? {
        [] => Ok(()),
        _ => Err(invalid("on FAT a file has one stream")),
    }
}

fn facts(request: &mut Fields) -> Result<Facts> {
    let mut facts = Facts {
        mode: request.u16()?,
        owner: request.u32()?,
        group: request.u32()?,
        flags: request.u32()?,
        ..Facts::default()
    };
    for moment in [&mut facts.modified, &mut facts.accessed, &mut facts.changed, &mut facts.born] {
        *moment = Moment { seconds: request.u64()? as i64, nanoseconds: request.u32()? };
    }
    Ok(facts)
}

fn attributes(request: &mut Fields) -> Result<Attributes> {
    let count = request.u32()?;
    (0..count).map(|_| Ok((request.bytes()?.to_vec(), request.bytes()?.to_vec()))).collect()
}
