//! The sparse body of an upload: only what a disk holds.
//!
//! ```text
//!   { offset u64 │ length u32 │ bytes }…  { 0 │ 0 }        little-endian
//! ```
//!
//! Runs of data are cut into pieces at fixed places, so that the length of the body is known before a byte is read.

use std::io::{self, IoSlice, Write};

use shale_disk::{Content, Disk, Format, Sink, Watch, extents};

use crate::{Error, Result};

/// What ends a body; alone, it is a body that changes nothing.
pub(super) const END: [u8; 12] = [0; 12];
/// Pieces end where a multiple of this is.
const PIECE: u64 = 1 << 20;
/// Bytes before each piece.
const HEAD: u64 = 12;

/// A stretch of the disk that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// First byte.
    pub start: u64,
    /// First byte after it.
    pub end: u64,
}

/// What of a disk is sent.
#[derive(Debug)]
pub(super) struct Plan {
    /// In order, not touching.
    pub runs: Vec<Run>,
}

impl Plan {
    /// What `disk` holds. `with_zeros`: also where it is known to be zero, since there may be something there now.
    pub fn of(disk: &dyn Disk, with_zeros: bool) -> Result<Self> {
        let mut runs: Vec<Run> = Vec::new();
        for extent in extents(disk) {
            let extent = extent.map_err(|e| Error::disk("the disk to be sent cannot be read", e))?;
            let sent = match extent.content {
                Content::Data => true,
                Content::Zero => with_zeros,
                Content::Hole => false,
            };
            let (start, end) = (extent.offset, extent.offset + extent.length);
            match runs.last_mut() {
                _ if !sent => {}
                Some(last) if last.end == start => last.end = end,
                _ => runs.push(Run { start, end }),
            }
        }
        Ok(Self { runs })
    }

    /// Bytes of the disk that are sent.
    pub fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.end - run.start).sum()
    }

    /// Bytes of the body.
    pub fn length(&self) -> u64 {
        let pieces: u64 = self.runs.iter().map(|run| run.end.div_ceil(PIECE) - run.start / PIECE).sum();
        self.bytes() + pieces * HEAD + HEAD
    }

    /// Reads the disk, in several threads and ahead, and writes the body.
    pub fn send(&self, disk: &dyn Disk, to: &mut dyn Write, watch: Watch) -> Result<()> {
        let mut body = Body { to, runs: &self.runs, at: 0, piece_end: 0 };
        shale_disk::export(disk, Format::Raw, &mut body, watch)
            .map_err(|e| Error::disk("the disk cannot be sent", e))
    }
}

/// Takes a disk's bytes in order, and writes those that are in a run.
struct Body<'a> {
    to: &'a mut dyn Write,
    /// What is left of the plan.
    runs: &'a [Run],
    at: u64,
    /// Where the piece ends whose head was written last.
    piece_end: u64,
}

/// What is sent where a run has zeros.
static ZEROS: [u8; PIECE as usize] = [0; PIECE as usize];

impl Body<'_> {
    /// Takes the next `length` bytes; none stands for zeros.
    fn take(&mut self, mut bytes: Option<&[u8]>, mut length: u64) -> shale_disk::Result<()> {
        while length > 0 {
            while self.runs.first().is_some_and(|run| run.end <= self.at) {
                self.runs = &self.runs[1..];
            }
            let Some(run) = self.runs.first() else {
                self.at += length;
                return Ok(());
            };
            if self.at < run.start {
                let skipped = (run.start - self.at).min(length);
                bytes = bytes.map(|b| &b[skipped as usize..]);
                (self.at, length) = (self.at + skipped, length - skipped);
                continue;
            }
            let mut head = Vec::new();
            if self.at >= self.piece_end {
                self.piece_end = ((self.at / PIECE + 1) * PIECE).min(run.end);
                head.extend(self.at.to_le_bytes());
                head.extend(((self.piece_end - self.at) as u32).to_le_bytes());
            }
            let part = (self.piece_end - self.at).min(length) as usize;
            self.write(&head, bytes.map_or(&ZEROS[..part], |b| &b[..part]))?;
            bytes = bytes.map(|b| &b[part..]);
            (self.at, length) = (self.at + part as u64, length - part as u64);
        }
        Ok(())
    }

    /// Writes a head and what follows in one go, without copying them together.
    fn write(&mut self, head: &[u8], bytes: &[u8]) -> shale_disk::Result<()> {
        let broke = |e| shale_disk::Error::io("the connection to the pool broke", e);
        let slices = &mut [IoSlice::new(head), IoSlice::new(bytes)][..];
        let mut left = if head.is_empty() { &mut slices[1..] } else { slices };
        while !left.is_empty() {
            match self.to.write_vectored(left) {
                Ok(0) => return Err(broke(io::ErrorKind::WriteZero.into())),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(broke(e)),
            }
        }
        Ok(())
    }
}

impl Sink for Body<'_> {
    fn data(&mut self, bytes: &[u8]) -> shale_disk::Result<()> {
        self.take(Some(bytes), bytes.len() as u64)
    }

    fn zeros(&mut self, length: u64) -> shale_disk::Result<()> {
        self.take(None, length)
    }

    fn finish(&mut self) -> shale_disk::Result<()> {
        self.write(&[], &END)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use shale_disk::{Extent, Memory};

    use super::*;

    /// Bytes, some of which are known to be zero or were never written.
    struct Patchy {
        bytes: Memory,
        parts: Vec<Extent>,
    }

    impl Disk for Patchy {
        fn size(&self) -> u64 {
            self.bytes.size()
        }
        fn read_at(&self, buf: &mut [u8], offset: u64) -> shale_disk::Result<()> {
            self.bytes.read_at(buf, offset)
        }
        fn extent_at(&self, offset: u64) -> shale_disk::Result<Extent> {
            let part = self.parts.iter().rev().find(|part| part.offset <= offset).unwrap();
            Ok(Extent { offset, length: part.offset + part.length - offset, content: part.content })
        }
    }

    fn patchy(lengths: &[(u64, Content)]) -> Patchy {
        let (mut bytes, mut parts) = (Vec::new(), Vec::new());
        for (length, content) in lengths {
            let offset = bytes.len() as u64;
            parts.push(Extent { offset, length: *length, content: *content });
            let byte = |i: u64| if *content == Content::Data { (i % 251) as u8 + 1 } else { 0 };
            bytes.extend((0..*length).map(byte));
        }
        Patchy { bytes: Memory(bytes), parts }
    }

    /// Applies a body as a host does.
    fn apply(mut body: &[u8], disk: &mut [u8]) -> usize {
        let mut pieces = 0;
        loop {
            let offset = u64::from_le_bytes(body[..8].try_into().unwrap()) as usize;
            let length = u32::from_le_bytes(body[8..12].try_into().unwrap()) as usize;
            if length == 0 {
                assert_eq!((offset, body.len()), (0, 12));
                return pieces;
            }
            disk[offset..offset + length].copy_from_slice(&body[12..12 + length]);
            body = &body[12 + length..];
            pieces += 1;
        }
    }

    #[test]
    fn a_body_has_the_length_that_was_told_and_makes_the_same_disk() {
        use Content::{Data, Hole, Zero};
        let (k, m) = (1 << 10, 1 << 20);
        type Case<'a> = (&'a [(u64, Content)], bool, usize);
        let table: [Case; 6] = [
            (&[(4 * m, Hole)], false, 0),
            (&[(512, Data), (m, Hole), (3 * m + 512, Data)], false, 5),
            (&[(m / 2, Hole), (m, Data), (m / 2, Hole)], false, 2),
            (&[(m, Data), (m, Zero), (m, Hole)], false, 1),
            (&[(m, Data), (m, Zero), (m, Hole)], true, 2),
            (&[(64 * k, Zero), (64 * k, Data), (64 * k, Zero), (64 * k, Hole), (64 * k, Data)], true, 2),
        ];
        for (lengths, with_zeros, pieces) in table {
            let disk = patchy(lengths);
            let plan = Plan::of(&disk, with_zeros).unwrap();
            let mut body = Vec::new();
            plan.send(&disk, &mut body, &|_| ControlFlow::Continue(())).unwrap();
            assert_eq!(body.len() as u64, plan.length(), "{lengths:?}");
            // Where zeros are sent, there was something else before.
            let mut target = disk.bytes.0.clone();
            for part in disk.parts.iter().filter(|p| p.content == Data || with_zeros && p.content == Zero) {
                target[part.offset as usize..][..part.length as usize].fill(0xee);
            }
            assert_eq!(apply(&body, &mut target), pieces, "{lengths:?}");
            assert!(target == disk.bytes.0, "{lengths:?}");
        }
    }

    #[test]
    fn a_body_is_stopped_when_asked() {
        let disk = patchy(&[(4 << 20, Content::Data)]);
        let plan = Plan::of(&disk, false).unwrap();
        let stopped = plan.send(&disk, &mut Vec::new(), &|_| ControlFlow::Break(())).unwrap_err();
        assert_eq!(stopped.kind(), crate::ErrorKind::Stopped);
    }
}
