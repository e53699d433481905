//! The content that a plan brings, read and checked ahead of its being written.
//!
//! ```text
//!   layers ──▶ thread: read, hash ──▶ [block] [block] [block] ──▶ taken, and written where there is room for it
//!                  ▲                                                    │
//!                  └────────────────── emptied blocks ◀─────────────────┘
//! ```
//!
//! Contents follow each other in the order in which they are wanted. Of each there is what its room has: no holes, and zeros
//! up to the end of a block of the file system behind each range, so that what is taken can be written as it is.
//!
//! Long parts of a content are not read here where the layer lends them ([`Part`]): then its digest is not looked at either, and it is
//! for the layer's disk to know that it reads what was kept. The repository does so block by block.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use shale_disk::{Disk, Error, ErrorKind, Result};

use crate::aligned::Aligned;
use crate::apply::Contents;
use crate::changes::PAGE;
use crate::delta::Content;

/// Bytes that are handed over at once.
const BLOCK: usize = 1 << 20;
/// Blocks that wait to be taken, at most.
const READY: usize = 8;

/// What is shorter is copied: many short pieces of layers cost more than what they save.
const LONG: u64 = 1 << 20;

/// A content that is to be read.
pub(crate) struct Wanted<'a> {
    /// What it is.
    pub content: &'a Content,
    /// The layer that has it, and where its data begins there; `None`: none has.
    pub kept: Option<(usize, u64)>,
    /// What its room has, in order.
    pub parts: Vec<Part>,
}

/// Whole blocks of a file's room.
pub(crate) enum Part {
    /// They are given by [`Ahead`].
    Copied(Range<u64>),
    /// They are bytes of this disk, from there on.
    Lent(Range<u64>, Arc<dyn Disk>, u64),
}

impl<'a> Wanted<'a> {
    /// `block` is that of the file system.
    pub fn new(
        content: &'a Content,
        kept: Option<(usize, u64)>,
        layers: &[&mut dyn Contents],
        block: u64,
    ) -> Self {
        let layer = kept.and_then(|(layer, offset)| Some((layers.get(layer)?, offset)));
        let mut parts = Vec::new();
        let mut data = 0;
        let mut ranges = content.ranges.iter().peekable();
        for room in rooms(content, block) {
            let mut at = room.start;
            while let Some(range) = ranges.next_if(|range| range.start < room.end) {
                let unit = block.max(PAGE);
                let (start, end) = (range.start.next_multiple_of(unit), range.end - range.end % unit);
                let skipped = data + (start - range.start);
                data += range.end - range.start;
                if content.compressed || end.saturating_sub(start) < LONG {
                    continue;
                }
                let Some((layer, offset)) = layer else { continue };
                let Some((disk, from)) = layer.lent(offset, skipped, end - start) else { continue };
                parts.extend((at < start).then_some(Part::Copied(at..start)));
                parts.push(Part::Lent(start..end, disk, from));
                at = end;
            }
            parts.extend((at < room.end).then_some(Part::Copied(at..room.end)));
        }
        Self { content, kept, parts }
    }
}

/// Bytes of contents, and what is wrong with the content that they end in.
struct Block {
    bytes: Aligned,
    length: usize,
    wrong: Option<Error>,
}

/// Gives what was read ahead.
pub(crate) struct Ahead {
    blocks: Receiver<Block>,
    emptied: Sender<Aligned>,
    block: Block,
    taken: usize,
}

impl Ahead {
    /// Those who give, and who read for them: on another thread.
    pub fn new() -> (Self, Reader) {
        let (sender, blocks) = sync_channel(READY);
        let (emptied, again) = channel();
        let block = Block { bytes: Aligned::default(), length: 0, wrong: None };
        let reader = Reader { blocks: sender, again, bytes: Aligned::new(BLOCK), length: 0, given: 0 };
        (Self { blocks, emptied, block, taken: 0 }, reader)
    }

    /// The bytes that come next: at least one of them and at most `most`, which is not 0.
    pub fn take(&mut self, most: u64) -> Result<&[u8]> {
        while self.taken == self.block.length {
            self.check()?;
            let next = self.blocks.recv().map_err(|_| corrupt("there is less content than was wanted"))?;
            let emptied = std::mem::replace(&mut self.block, next).bytes;
            // Nobody reads any more: nobody needs it.
            let _ = self.emptied.send(emptied);
            self.taken = 0;
        }
        let from = self.taken;
        self.taken += ((self.block.length - from) as u64).min(most) as usize;
        Ok(&self.block.bytes[from..self.taken])
    }

    /// Says so if the content that was just taken to its end is not what its digest says.
    pub fn check(&mut self) -> Result<()> {
        match self.block.wrong.take_if(|_| self.taken == self.block.length) {
            Some(e) => Err(e),
            None => Ok(()),
        }
    }
}

/// Reads ahead.
pub(crate) struct Reader {
    blocks: SyncSender<Block>,
    again: Receiver<Aligned>,
    bytes: Aligned,
    length: usize,
    /// Bytes of all contents so far.
    given: u64,
}

impl Reader {
    /// Reads what is wanted until all of it is read, something is wrong, or nobody takes it any more.
    pub fn read(mut self, wanted: &[Wanted], layers: &mut [&mut dyn Contents]) {
        for wanted in wanted {
            let before = self.given;
            let Err(wrong) = self.content(wanted, layers) else { continue };
            // A block that ends in another content has nothing wrong.
            if self.given == before && self.hand_over(None).is_err() {
                return;
            }
            let _ = self.hand_over(Some(wrong));
            return;
        }
        let _ = self.hand_over(None);
    }

    fn content(&mut self, wanted: &Wanted, layers: &mut [&mut dyn Contents]) -> Result<()> {
        let (layer, offset) = wanted.kept.ok_or_else(|| corrupt("no layer has its content"))?;
        let layer =
            layers.get_mut(layer).ok_or_else(|| corrupt("the plan names a layer that is not given"))?;
        let content = Content { offset, ..wanted.content.clone() };
        let is_whole = wanted.parts.iter().all(|part| matches!(part, Part::Copied(_)));
        let hasher = is_whole.then(blake3::Hasher::new);
        let mut data = Data { content: &content, from: &mut **layer, range: 0, before: 0, read: 0, hasher };
        for part in &wanted.parts {
            if let Part::Copied(room) = part {
                self.copied(room, &mut data)?;
            }
        }
        match data.hasher.is_none_or(|hasher| hasher.finalize().as_bytes() == &content.digest) {
            true => Ok(()),
            false => Err(corrupt("its content in the layer is not what was kept: check the repository")),
        }
    }

    /// The data in `room`, and zeros between.
    fn copied(&mut self, room: &Range<u64>, data: &mut Data) -> Result<()> {
        let mut at = room.start;
        while let Some(range) = data.content.ranges.get(data.range).filter(|range| range.start < room.end) {
            let (start, end) = (range.start.max(room.start), range.end.min(room.end));
            if start < end {
                self.put(start - at, zeros)?;
                data.read = data.before + (start - range.start);
                self.put(end - start, |part| data.next(part))?;
                at = end;
            }
            if range.end > room.end {
                break;
            }
            data.before += range.end - range.start;
            data.range += 1;
        }
        self.put(room.end - at, zeros)
    }

    /// Appends `length` bytes, which `fill` gives part by part. A full block waits for more to come: what is wrong with a content
    /// goes with its last byte.
    fn put(&mut self, mut length: u64, mut fill: impl FnMut(&mut [u8]) -> Result<()>) -> Result<()> {
        while length > 0 {
            if self.length == BLOCK {
                self.hand_over(None)?;
            }
            let to = self.length + length.min((BLOCK - self.length) as u64) as usize;
            fill(&mut self.bytes[self.length..to])?;
            length -= (to - self.length) as u64;
            self.given += (to - self.length) as u64;
            self.length = to;
        }
        Ok(())
    }

    fn hand_over(&mut self, wrong: Option<Error>) -> Result<()> {
        let again = self.again.try_recv().ok().filter(|bytes| bytes.len() == BLOCK);
        let bytes = std::mem::replace(&mut self.bytes, again.unwrap_or_else(|| Aligned::new(BLOCK)));
        let block = Block { bytes, length: std::mem::take(&mut self.length), wrong };
        self.blocks.send(block).map_err(|_| Error::new(ErrorKind::Stopped, "nobody wants more of it"))
    }
}

fn zeros(part: &mut [u8]) -> Result<()> {
    part.fill(0);
    Ok(())
}

/// The data of a content, in order, and hashed on its way where all of it is copied.
struct Data<'a> {
    content: &'a Content,
    from: &'a mut dyn Contents,
    /// The range that comes next, and the bytes of data before it.
    range: usize,
    before: u64,
    /// Bytes of data before what is read next.
    read: u64,
    hasher: Option<blake3::Hasher>,
}

impl Data<'_> {
    fn next(&mut self, part: &mut [u8]) -> Result<()> {
        self.from.read(self.content, self.read, part)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(part);
        }
        self.read += part.len() as u64;
        Ok(())
    }
}

/// What a content needs of a file system with blocks of `block` bytes: whole ones, apart, in order. The last may end behind
/// the content's size.
pub(crate) fn rooms(content: &Content, block: u64) -> Vec<Range<u64>> {
    let mut rooms: Vec<Range<u64>> = Vec::new();
    for range in &content.ranges {
        let (start, end) = (range.start - range.start % block, range.end.next_multiple_of(block));
        match rooms.last_mut() {
            Some(last) if last.end >= start => last.end = last.end.max(end),
            _ => rooms.push(start..end),
        }
    }
    rooms
}

fn corrupt(text: &str) -> Error {
    Error::new(ErrorKind::Corrupt, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives ones, but nothing of a content that lies behind its end.
    struct Cut(u64);

    impl Contents for Cut {
        fn read(&mut self, content: &Content, at: u64, buffer: &mut [u8]) -> Result<()> {
            buffer.fill(1);
            match content.offset + at + buffer.len() as u64 <= self.0 {
                true => Ok(()),
                false => Err(corrupt("it is cut off")),
            }
        }
    }

    fn content(offset: u64, length: usize) -> Content {
        let digest = *blake3::hash(&vec![1; length]).as_bytes();
        let ranges = std::iter::once(0..length as u64).collect();
        Content { size: length as u64, ranges, compressed: false, digest, offset }
    }

    /// How many contents can be taken to their end, and what is wrong with the next.
    fn taken(contents: &[Content], kept: Option<usize>) -> (usize, String) {
        let wanted: Vec<_> = contents
            .iter()
            .map(|content| Wanted::new(content, kept.map(|layer| (layer, content.offset)), &[], 1))
            .collect();
        let (mut ahead, reader) = Ahead::new();
        std::thread::scope(|scope| {
            scope.spawn(|| reader.read(&wanted, &mut [&mut Cut(2 * BLOCK as u64)]));
            for (number, content) in contents.iter().enumerate() {
                let mut left = content.length();
                let whole = loop {
                    match left {
                        0 => break ahead.check(),
                        _ => match ahead.take(left) {
                            Ok(bytes) => left -= bytes.len() as u64,
                            Err(e) => break Err(e),
                        },
                    }
                };
                if let Err(e) = whole {
                    return (number, e.to_string());
                }
            }
            (contents.len(), String::new())
        })
    }

    #[test]
    fn what_is_wrong_with_a_content_is_told_of_that_one() {
        let block = BLOCK as u64;
        for first in [1, 4096, BLOCK] {
            let cut = content(2 * block - 1, 4096);
            let (number, why) = taken(&[content(0, first), cut, content(0, 5)], Some(0));
            assert_eq!((number, why.contains("cut off")), (1, true), "{first} {why}");
            let changed = Content { digest: [0; 32], ..content(0, 4096) };
            let (number, why) = taken(&[content(0, first), changed, content(0, 5)], Some(0));
            assert_eq!((number, why.contains("not what was kept")), (1, true), "{first} {why}");
        }
        assert_eq!(taken(&[content(0, 5)], None), (0, "no layer has its content".to_owned()));
        assert_eq!(taken(&[content(0, 5), content(0, BLOCK + 1)], Some(0)), (2, String::new()));
    }
}
