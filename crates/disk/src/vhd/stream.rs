//! Reading a VHD from a stream that cannot go back: an upload, or a download as it comes.
//!
//! ```text
//!   footer copy │ header │ (locators) │ block table │ { bitmap, block } … in the order they lie │ footer
//! ```
//!
//! The parent of a differencing disk is not needed: only what this disk holds itself comes out. A fixed VHD begins with
//! data, so that it cannot be told from any other bytes, and is refused.

use std::io::{self, Read};

use super::ABSENT;
use super::footer::{Footer, Kind, LENGTH};
use super::read::{HEADER, Header};
use crate::error::{corrupt, unsupported};
use crate::field::be32;
use crate::{Error, Result, SECTOR};

/// Most bytes handed out at once.
const PIECE: u64 = 1 << 20;

/// A VHD that comes over a stream.
pub struct VhdStream<R> {
    input: Input<R>,
    footer: Footer,
    header: Header,
    /// Places in the file, in sectors, of the blocks still to come, with their numbers; the next one is the last.
    waiting: Vec<(u32, u64)>,
    blocks: u64,
    current: Option<Block>,
}

/// The block that is being read.
struct Block {
    /// Where it lies on the disk.
    offset: u64,
    bits: Vec<u8>,
    /// Next sector, counted in the block.
    sector: u64,
}

impl Block {
    /// Whether this disk holds the next sectors, and how many of them are alike, up to `end`.
    fn run(&self, end: u64) -> (bool, u64) {
        let set = |sector: u64| self.bits[(sector / 8) as usize] & (0x80 >> (sector % 8)) != 0;
        let here = set(self.sector);
        let longest = end.min(self.sector + PIECE / SECTOR);
        (here, (self.sector..longest).take_while(|sector| set(*sector) == here).count() as u64)
    }
}

impl<R: Read> VhdStream<R> {
    /// Reads up to the end of the block table.
    pub fn new(input: R) -> Result<Self> {
        let mut input = Input { stream: input, position: 0 };
        let footer = Footer::parse(&input.take()?)?;
        if footer.kind == Kind::Fixed {
            return Err(unsupported("a fixed VHD cannot be read from a stream: send a dynamic one"));
        }
        input.skip_to(footer.header_offset)?;
        let header = Header::parse(&input.take::<HEADER>()?, &footer)?;
        input.skip_to(header.table_offset)?;
        let table = input.take_long(header.entries * 4)?;
        let places = table.chunks_exact(4).map(|b| be32(b, 0)).zip(0..);
        let mut waiting: Vec<_> = places.filter(|(place, _)| *place != ABSENT).collect();
        waiting.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Self { input, footer, header, blocks: waiting.len() as u64, waiting, current: None })
    }

    /// Virtual size in bytes.
    pub fn size(&self) -> u64 {
        self.footer.size
    }

    /// Whether what does not come shows a parent, instead of being zero.
    pub fn is_differencing(&self) -> bool {
        self.footer.kind == Kind::Differencing
    }

    /// Bytes of a block.
    pub fn block_size(&self) -> u64 {
        self.header.block
    }

    /// Blocks that come.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// The numbers of the blocks that have not come yet, in no order.
    pub fn waiting(&self) -> impl Iterator<Item = u64> {
        self.waiting.iter().map(|(_, number)| *number)
    }

    /// Bytes of the stream that were read.
    pub fn position(&self) -> u64 {
        self.input.position
    }

    /// Reads the next bytes of the disk into `buffer`, up to 1 MiB; answers where they lie, or `None` after the last.
    pub fn next_piece(&mut self, buffer: &mut Vec<u8>) -> Result<Option<u64>> {
        let end = self.header.block / SECTOR;
        loop {
            let Some(block) = self.current.as_mut().filter(|block| block.sector < end) else {
                match self.waiting.pop() {
                    Some(next) => self.current = Some(self.open_block(next)?),
                    None => return Ok(None),
                }
                continue;
            };
            let (is_here, sectors) = block.run(end);
            let offset = block.offset + block.sector * SECTOR;
            block.sector += sectors;
            // The last block goes on past the end of the disk.
            let inside = self.footer.size.saturating_sub(offset).min(sectors * SECTOR);
            let next = self.input.position + sectors * SECTOR;
            if is_here && inside > 0 {
                buffer.resize(inside as usize, 0);
                self.input.fill(buffer)?;
                self.input.skip_to(next)?;
                return Ok(Some(offset));
            }
            self.input.skip_to(next)?;
        }
    }

    fn open_block(&mut self, (place, number): (u32, u64)) -> Result<Block> {
        self.input.skip_to(u64::from(place) * SECTOR)?;
        let bits = self.input.take_long(self.header.bitmap())?;
        Ok(Block { offset: number * self.header.block, bits, sector: 0 })
    }

    /// Reads to the end of the stream, where the footer must be: proof that nothing is missing, and that no error
    /// message stands behind the disk. To be called after the last piece.
    pub fn finish(mut self) -> Result<()> {
        let (mut last, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            let read = match self.input.stream.read(&mut buffer) {
                Ok(0) => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(unreadable)?,
            };
            last.extend_from_slice(&buffer[..read]);
            last.drain(..last.len().saturating_sub(LENGTH));
        }
        let footer = last.first_chunk::<LENGTH>().map(Footer::parse);
        match footer {
            Some(Ok(footer)) if footer.uuid == self.footer.uuid && footer.size == self.footer.size => Ok(()),
            _ => {
                Err(corrupt("the VHD does not end with its footer: it was cut off, or something follows it"))
            }
        }
    }
}

/// A stream that knows how far it was read.
struct Input<R> {
    stream: R,
    position: u64,
}

impl<R: Read> Input<R> {
    fn fill(&mut self, buf: &mut [u8]) -> Result<()> {
        self.stream.read_exact(buf).map_err(unreadable)?;
        self.position += buf.len() as u64;
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Allocates no more than really comes.
    fn take_long(&mut self, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.by_ref().take(length).read_to_end(&mut bytes).map_err(unreadable)?;
        self.position += bytes.len() as u64;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(cut_off()) }
    }

    /// Passes over what lies before `place`, which must not be behind.
    fn skip_to(&mut self, place: u64) -> Result<()> {
        let Some(between) = place.checked_sub(self.position) else {
            return Err(corrupt(format!(
                "parts of the VHD overlap, or are in an order that cannot be streamed, at {place}"
            )));
        };
        let skipped =
            io::copy(&mut self.stream.by_ref().take(between), &mut io::sink()).map_err(unreadable)?;
        self.position = place;
        if skipped == between { Ok(()) } else { Err(cut_off()) }
    }
}

fn cut_off() -> Error {
    corrupt("the VHD ends in the middle: it was cut off")
}

fn unreadable(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => cut_off().with_source(source),
        _ => Error::io("cannot read the VHD from its stream", source),
    }
}
