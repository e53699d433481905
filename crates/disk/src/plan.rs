//! What a file in some format consists of, in order, before a byte of the disk is read.
//!
//! ```text
//!   extents ──Runs──▶ which blocks exist, where each will be ──plan──▶ Piece Piece Piece …   header, tables, data
//!                                                                        └─▶ export reads and sends them
//! ```

use std::sync::Arc;

use crate::{Content, Disk, Extent, Extents, Result};

/// Most bytes of the disk in one piece.
const LONGEST: u64 = 1 << 20;

/// The next stretch of the file.
#[derive(Debug)]
pub(crate) enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// So many zeros.
    Zeros(u64),
    /// A part of the disk.
    Copy { offset: u64, length: u64 },
}

/// The pieces of a file, and how long they are together.
pub(crate) struct Plan<'a> {
    pub length: u64,
    pub pieces: Box<dyn Iterator<Item = Result<Piece>> + 'a>,
}

/// Neighbouring blocks that hold data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// First block.
    pub first: u64,
    /// Blocks.
    pub count: u64,
    /// Blocks with data before this run: the first one's rank.
    pub rank: u64,
}

/// The blocks of a disk that hold data, for a format that keeps whole blocks of `unit` bytes.
#[derive(Debug)]
pub(crate) struct Runs {
    pub unit: u64,
    /// Blocks with data.
    pub total: u64,
    runs: Vec<Run>,
}

impl Runs {
    pub fn of(disk: &dyn Disk, unit: u64) -> Result<Self> {
        let mut runs: Vec<Run> = Vec::new();
        let mut total = 0;
        for extent in crate::extents(disk) {
            let Extent { offset, length, content } = extent?;
            if content != Content::Data {
                continue;
            }
            let end = (offset + length).div_ceil(unit);
            let mut first = offset / unit;
            if let Some(last) = runs.last_mut() {
                first = first.max(last.first + last.count);
                if end <= first {
                    continue;
                }
                if first == last.first + last.count {
                    last.count += end - first;
                    total += end - first;
                    continue;
                }
            }
            runs.push(Run { first, count: end - first, rank: total });
            total += end - first;
        }
        Ok(Self { unit, total, runs })
    }

    /// Blocks with data in `first..end`, with their ranks.
    pub fn within(&self, first: u64, end: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let start = self.runs.partition_point(|r| r.first + r.count <= first);
        self.runs[start..].iter().take_while(move |r| r.first < end).flat_map(move |r| {
            let from = r.first.max(first);
            (from..end.min(r.first + r.count)).map(move |block| (block, r.rank + block - r.first))
        })
    }

    /// Groups of `size` blocks that hold any data, in order.
    pub fn groups(&self, size: u64) -> Vec<u64> {
        let mut groups: Vec<u64> = Vec::new();
        for run in &self.runs {
            let (first, last) = (run.first / size, (run.first + run.count - 1) / size);
            let first = groups.last().map_or(first, |seen| first.max(seen + 1));
            groups.extend(first..=last);
        }
        groups
    }

    /// The data of all blocks in order, each whole; what lies past the end of the disk is zero.
    pub fn into_contents(runs: Arc<Self>, disk: &dyn Disk) -> impl Iterator<Item = Result<Piece>> + '_ {
        let unit = runs.unit;
        (0..runs.runs.len()).flat_map(move |i| {
            let run = runs.runs[i];
            part(disk, run.first * unit, (run.first + run.count) * unit)
        })
    }

    /// The blocks with data, in order.
    pub fn into_blocks(runs: Arc<Self>) -> impl Iterator<Item = u64> {
        (0..runs.runs.len()).flat_map(move |i| runs.runs[i].first..runs.runs[i].first + runs.runs[i].count)
    }
}

/// The bytes `offset..end` of the disk; holes and what lies past the end are zeros.
pub(crate) fn part(disk: &dyn Disk, offset: u64, end: u64) -> impl Iterator<Item = Result<Piece>> + '_ {
    let inside = end.min(disk.size()).max(offset);
    let padding = Some(end - inside).filter(|n| *n > 0).map(|n| Ok(Piece::Zeros(n)));
    Extents { disk, at: offset, end: inside }.flat_map(pieces_of).chain(padding)
}

/// An extent as pieces that are not too long.
fn pieces_of(extent: Result<Extent>) -> Box<dyn Iterator<Item = Result<Piece>> + Send> {
    let Extent { offset, length, content } = match extent {
        Ok(extent) => extent,
        Err(e) => return Box::new(std::iter::once(Err(e))),
    };
    if content != Content::Data {
        return Box::new(std::iter::once(Ok(Piece::Zeros(length))));
    }
    let end = offset + length;
    let mut at = offset;
    Box::new(std::iter::from_fn(move || {
        // Cuts lie at multiples, so that no block below is needed twice.
        let stop = ((at / LONGEST + 1) * LONGEST).min(end);
        let piece = Piece::Copy { offset: at, length: stop - at };
        let more = at < end;
        at = stop;
        more.then_some(Ok(piece))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, Resized};

    /// Data at the given blocks of 10 bytes.
    struct Spots(Vec<u64>);

    impl Disk for Spots {
        fn size(&self) -> u64 {
            1000
        }
        fn read_at(&self, _: &mut [u8], _: u64) -> Result<()> {
            Ok(())
        }
        fn extent_at(&self, offset: u64) -> Result<Extent> {
            let content = if self.0.contains(&(offset / 10)) { Content::Data } else { Content::Hole };
            Ok(Extent { offset, length: 10 - offset % 10, content })
        }
    }

    #[test]
    fn runs_join_data_within_a_block_and_rank_what_comes_after() {
        let runs = Runs::of(&Spots(vec![0, 2, 9, 10, 50, 99]), 100).unwrap();
        assert_eq!(
            runs.runs,
            [
                Run { first: 0, count: 2, rank: 0 },
                Run { first: 5, count: 1, rank: 2 },
                Run { first: 9, count: 1, rank: 3 }
            ]
        );
        assert_eq!((runs.total, runs.groups(4)), (4, vec![0, 1, 2]));
        assert_eq!(runs.within(1, 6).collect::<Vec<_>>(), [(1, 1), (5, 2)]);
    }

    #[test]
    fn a_part_past_the_end_is_filled_up_with_zeros() {
        let disk = Resized::new(Memory(vec![1; 100]), 150);
        let lengths: u64 = part(&disk, 50, 300)
            .map(|p| match p.unwrap() {
                Piece::Zeros(n) => n,
                Piece::Copy { length, .. } => length,
                Piece::Bytes(b) => b.len() as u64,
            })
            .sum();
        assert_eq!(lengths, 250);
    }
}
