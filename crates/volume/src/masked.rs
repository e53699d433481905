//! A disk that is zero where nothing is kept.

use std::ops::Range;

use shale_disk::{Content, Disk, Extent, Result};

/// Reads as the disk below, but for the masked ranges, which are zero and are never read.
pub struct Masked<D> {
    disk: D,
    ranges: Vec<Range<u64>>,
}

impl<D: Disk> Masked<D> {
    /// `ranges` as [`crate::free`] gives them, of one or of several file systems.
    pub fn new(disk: D, mut ranges: Vec<Range<u64>>) -> Self {
        ranges.retain(|range| range.start < range.end);
        ranges.sort_by_key(|range| range.start);
        ranges.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
        Self { disk, ranges }
    }

    /// Whether `offset` is masked, and where that ends.
    fn stretch(&self, offset: u64) -> (bool, u64) {
        let next = self.ranges.partition_point(|range| range.end <= offset);
        match self.ranges.get(next) {
            Some(range) if range.start <= offset => (true, range.end.min(self.size())),
            Some(range) => (false, range.start.min(self.size())),
            None => (false, self.size()),
        }
    }
}

impl<D: Disk> Disk for Masked<D> {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let (masked, end) = self.stretch(at);
            // Behind the end it is for the disk below to refuse.
            let length = match usize::try_from(end.saturating_sub(at)) {
                Ok(0) => rest.len(),
                Ok(length) => length.min(rest.len()),
                Err(_) => rest.len(),
            };
            let (now, later) = rest.split_at_mut(length);
            if masked {
                now.fill(0)
            } else {
                self.disk.read_at(now, at)?
            }
            (rest, at) = (later, at + length as u64);
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        let (masked, end) = self.stretch(offset);
        if masked && offset < end {
            return Ok(Extent { offset, length: end - offset, content: Content::Zero });
        }
        let extent = self.disk.extent_at(offset)?;
        Ok(Extent { length: extent.length.min(end.saturating_sub(offset).max(1)), ..extent })
    }
}
