//! Cuts a source into batches of work: runs of whole blocks that are kept, zero, or must be read.
//!
//! ```text
//!   extents    │ Data      │ Parent                │ Zero        │ Data │      (end anywhere)
//!   runs       │ Read            │ Keep      │ Read │ Zero    │ Read     │      (whole blocks)
//! ```
//!
//! A block in which kinds meet is read: its parts come from the source, the parent, or nowhere.

use crate::error::{Error, ErrorKind, Result};
use crate::{BLOCK, Source, What, map};

/// Plain bytes that one batch reads at most. Large enough to read the disk in long strokes, small enough that all
/// threads finish together.
pub(crate) const BATCH: usize = 2 << 20;
/// Runs in a batch at most.
const RUNS: usize = 256;

/// A stretch of a block run that has one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub offset: u64,
    pub length: u64,
    pub what: What,
}

/// Whole blocks, treated alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// As in the parent.
    Keep { first: u64, count: u64 },
    /// Holes.
    Zero { first: u64, count: u64 },
    /// To be read, from these parts in order; bytes behind the disk's end are zero.
    Read { first: u64, count: u64, parts: Vec<Part> },
}

/// Some runs in a row.
#[derive(Debug)]
pub(crate) struct Batch {
    /// 0, 1, 2, …
    pub number: u64,
    pub runs: Vec<Run>,
    /// Bytes of the disk that it covers.
    pub length: u64,
}

/// Walks over a source once.
pub(crate) struct Batches<'a> {
    source: &'a dyn Source,
    size: u64,
    position: u64,
    number: u64,
    // The extent that covers `position`, as far as it is known.
    extent_end: u64,
    extent: What,
}

impl<'a> Batches<'a> {
    pub fn new(source: &'a dyn Source, size: u64) -> Self {
        Self { source, size, position: 0, number: 0, extent_end: 0, extent: What::Zero }
    }

    /// The next batch; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Batch>> {
        if self.position >= self.size {
            return Ok(None);
        }
        let (begin, mut runs, mut room) = (self.position, Vec::new(), BATCH);
        while self.position < self.size && room > 0 && runs.len() < RUNS {
            self.look()?;
            let whole = self.whole_blocks();
            let first = self.position / BLOCK as u64;
            if whole > 0 && self.extent != What::Data {
                let count = whole;
                runs.push(match self.extent {
                    What::Parent => Run::Keep { first, count },
                    _ => Run::Zero { first, count },
                });
                self.position = ((first + count) * BLOCK as u64).min(self.size);
            } else {
                let run = self.read_run(room / BLOCK)?;
                if let Run::Read { count, .. } = &run {
                    room -= *count as usize * BLOCK;
                }
                runs.push(run);
            }
        }
        let batch = Batch { number: self.number, runs, length: self.position - begin };
        self.number += 1;
        Ok(Some(batch))
    }

    /// Makes `extent` and `extent_end` those of `position`.
    fn look(&mut self) -> Result<()> {
        if self.position < self.extent_end {
            return Ok(());
        }
        let at = self.position;
        let failed = |e| {
            Error::new(ErrorKind::Source, format!("cannot tell what the disk holds at byte {at}"))
                .with_source(e)
        };
        let (length, what) = self.source.extent_at(at).map_err(failed)?;
        if length == 0 {
            let text = format!("the disk claims an extent without length at byte {at}");
            return Err(Error::new(ErrorKind::Source, text));
        }
        self.extent = what;
        self.extent_end = at.saturating_add(length).min(self.size);
        Ok(())
    }

    /// How many whole blocks the known extent holds from `position` (on a block's edge) on. The disk's last block
    /// is whole when the extent reaches the end.
    fn whole_blocks(&self) -> u64 {
        let end = if self.extent_end == self.size {
            map::block_count(self.size)
        } else {
            self.extent_end / BLOCK as u64
        };
        end.saturating_sub(self.position / BLOCK as u64)
    }

    /// Blocks from `position` on, up to `limit`, until one begins that need not be read.
    fn read_run(&mut self, limit: usize) -> Result<Run> {
        let first = self.position / BLOCK as u64;
        let end = (self.position + (limit * BLOCK) as u64).min(self.size);
        let mut parts: Vec<Part> = Vec::new();
        while self.position < end {
            self.look()?;
            let on_edge = self.position.is_multiple_of(BLOCK as u64);
            if on_edge && self.extent != What::Data && self.whole_blocks() > 0 {
                break;
            }
            let block_end = (self.position / BLOCK as u64 + 1) * BLOCK as u64;
            // Data may go on over many blocks; of anything else only what is left of this block belongs here.
            let stop = if self.extent == What::Data { end } else { block_end.min(end) };
            let (offset, length) = (self.position, self.extent_end.min(stop) - self.position);
            parts.push(Part { offset, length, what: self.extent });
            self.position += length;
        }
        let count = self.position.div_ceil(BLOCK as u64) - first;
        Ok(Run::Read { first, count, parts })
    }
}
