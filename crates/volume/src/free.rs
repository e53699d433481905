//! Free space: the bytes of a disk that its file systems say nobody needs.

use std::ops::Range;

use shale_disk::{Disk, ErrorKind, Result, table};

use crate::bytes::Stretch;
use crate::{ext4, ntfs};

/// Free ranges begin and end at multiples of this, counted from the disk's first byte.
pub const GRAIN: u64 = 4096;
/// Ranges kept at most, of a file system and of a disk; of what is more fragmented the rest counts as used. 32 MiB of
/// memory.
const RANGES_LIMIT: usize = 2 << 20;

/// What was learnt about one file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Free {
    /// `ext4`, `ntfs`; `None` when it is neither.
    pub kind: Option<&'static str>,
    /// Bytes of the disk that are free; sorted, apart from each other, multiples of [`GRAIN`].
    pub ranges: Vec<Range<u64>>,
    /// Bytes that are free as well, and are in no range: of groups that the file system has never used, where others' metadata
    /// may lie. Nothing that could be let go was ever written there.
    pub untouched: u64,
    /// Why nothing is known to be free, for a person; `None` when the ranges can be trusted.
    pub unknown: Option<String>,
}

impl Free {
    /// How many bytes files could still take.
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum::<u64>() + self.untouched
    }

    /// The free ranges cut to whole blocks of `block` bytes. For a store of blocks this is better than zeroing parts
    /// of blocks: a file that is deleted leaves its bytes, and the block is the one that the store has already.
    pub fn whole_blocks(&self, block: u64) -> Vec<Range<u64>> {
        let whole = |range: &Range<u64>| range.start.next_multiple_of(block)..range.end - range.end % block;
        self.ranges.iter().map(whole).filter(|range| range.start < range.end).collect()
    }
}

/// Why a file system is not understood.
#[derive(Debug)]
pub(crate) enum Unknown {
    /// In words.
    Because(String),
    /// The disk itself could not be read: not a property of the file system, so an error for the caller.
    Unreadable(shale_disk::Error),
}

impl From<&str> for Unknown {
    fn from(why: &str) -> Self {
        Self::Because(why.to_owned())
    }
}

impl From<String> for Unknown {
    fn from(why: String) -> Self {
        Self::Because(why)
    }
}

/// What is free in the file system that lies in `range` of the disk, whichever it is. The only error is a disk that
/// cannot be read.
pub fn file_system(disk: &dyn Disk, range: Range<u64>) -> Result<Free> {
    let end = range.end.min(disk.size());
    let length = end.saturating_sub(range.start);
    let stretch = Stretch { disk, offset: range.start, length };
    let readers: [(&'static str, Reader); 2] = [("ext4", ext4::free), ("ntfs", ntfs::free)];
    match is_something_else(&stretch) {
        Ok(false) => {}
        Ok(true) => {
            return Ok(Free {
                unknown: Some("it is in use by something else".to_owned()),
                ..Free::default()
            });
        }
        Err(Unknown::Unreadable(e)) => return Err(e),
        Err(Unknown::Because(why)) => return Ok(Free { unknown: Some(why), ..Free::default() }),
    }
    for (kind, reader) in readers {
        let mut ranges = Ranges { offset: range.start, found: Vec::new(), untouched: 0 };
        let (found, untouched, unknown) = match reader(&stretch, &mut ranges) {
            Ok(false) => continue,
            Ok(true) => (ranges.found, ranges.untouched, None),
            Err(Unknown::Because(why)) => (Vec::new(), 0, Some(why)),
            Err(Unknown::Unreadable(e)) => return Err(e),
        };
        return Ok(Free { kind: Some(kind), ranges: found, untouched, unknown });
    }
    Ok(Free { unknown: Some("it is neither ext2, ext3, ext4 nor NTFS".to_owned()), ..Free::default() })
}

/// What is free in a whole disk: each partition, or the file system that fills it. Partitions that overlap, or a table
/// that cannot be read, free nothing.
pub fn disk(disk: &dyn Disk) -> Result<Vec<Free>> {
    let nothing = |why: String| Ok(vec![Free { unknown: Some(why), ..Free::default() }]);
    let table = match table::partitions(disk) {
        Ok(table) => table,
        Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {
            return nothing(format!("the partition table is not understood: {e}"));
        }
        Err(e) => return Err(e),
    };
    if table.kind == table::Kind::None {
        return Ok(vec![file_system(disk, 0..disk.size())?]);
    }
    let range = |p: &table::Partition| p.offset..p.offset.saturating_add(p.length);
    let mut ranges: Vec<Range<u64>> = table.partitions.iter().map(range).collect();
    ranges.sort_by_key(|range| range.start);
    if ranges.windows(2).any(|pair| pair[0].end > pair[1].start) {
        return nothing("partitions overlap".to_owned());
    }
    let mut kept = 0;
    let mut found = Vec::new();
    for range in ranges {
        let mut free = file_system(disk, range)?;
        kept += free.ranges.len();
        if kept > RANGES_LIMIT {
            kept -= free.ranges.len();
            let unknown = Some("the disk is too fragmented to keep track of".to_owned());
            free = Free { kind: free.kind, unknown, ..Free::default() };
        }
        found.push(free);
    }
    Ok(found)
}

/// Whoever reuses a partition may leave the old superblock in place: LUKS, LVM, XFS, btrfs, swap and RAID have their
/// own marks, and where one is, what lies beside it is not believed.
fn is_something_else(stretch: &Stretch) -> std::result::Result<bool, Unknown> {
    const MARKS: [(u64, &[u8]); 9] = [
        (0, b"LUKS\xba\xbe"),
        (0, b"XFSB"),
        (0, b"LABELONE"),
        (512, b"LABELONE"),
        (1024, b"LABELONE"),
        (1536, b"LABELONE"),
        (4096, &[0xfc, 0x4e, 0x2b, 0xa9]),
        (4086, b"SWAPSPACE2"),
        (0x1_0040, b"_BHRfS_M"),
    ];
    for (offset, mark) in MARKS {
        let inside = offset + mark.len() as u64 <= stretch.length;
        if inside && stretch.read(offset, mark.len())? == mark {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts free ranges into its second argument; `false`: it is no file system of this kind.
type Reader = fn(&Stretch, &mut Ranges) -> std::result::Result<bool, Unknown>;

/// Collects free ranges, given in order.
pub(crate) struct Ranges {
    offset: u64,
    found: Vec<Range<u64>>,
    /// See [`Free::untouched`].
    pub untouched: u64,
}

impl Ranges {
    /// `start..end` of the file system is free. Both are at most its length.
    fn push(&mut self, start: u64, end: u64) {
        let (start, end) = (self.offset + start, self.offset + end);
        match self.found.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => {
                self.trim();
                if self.found.len() < RANGES_LIMIT {
                    self.found.push(start..end);
                }
            }
        }
    }

    /// Rounds the last range, which is complete, to whole grains.
    fn trim(&mut self) {
        if let Some(last) = self.found.last_mut() {
            last.start = last.start.next_multiple_of(GRAIN);
            last.end -= last.end % GRAIN;
            if last.start >= last.end {
                self.found.pop();
            }
        }
    }

    /// The clear bits of `bitmap` are free units of `unit` bytes; bit 0 is unit `first`. Only `count` bits count.
    /// Returns how many are clear.
    pub fn clear_bits(&mut self, bitmap: &[u8], first: u64, count: u64, unit: u64) -> u64 {
        let (mut clear, mut run) = (0, None);
        let mut bit = 0;
        while bit < count {
            let byte = bitmap.get((bit / 8) as usize).copied().unwrap_or(0xff);
            if bit % 8 == 0
                && bit + 8 <= count
                && (byte == 0xff && run.is_none() || byte == 0 && run.is_some())
            {
                clear += if byte == 0 { 8 } else { 0 };
                bit += 8;
                continue;
            }
            if byte & 1 << (bit % 8) == 0 {
                clear += 1;
                run.get_or_insert(bit);
            } else if let Some(start) = run.take() {
                self.push((first + start) * unit, (first + bit) * unit);
            }
            bit += 1;
        }
        if let Some(start) = run {
            self.push((first + start) * unit, (first + count) * unit);
        }
        clear
    }

    /// To be called at the end.
    pub fn finish(&mut self) {
        self.trim();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_whole_blocks_are_left_of_free_ranges() {
        let free = Free { ranges: vec![0..10, 15..45, 51..59, 60..80], ..Free::default() };
        assert_eq!(free.whole_blocks(10), [0..10, 20..40, 60..80]);
    }

    proptest! {
        #[test]
        fn clear_bits_are_the_ranges_a_plain_loop_finds(
            bitmap in prop::collection::vec(prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 1..40),
            cut in 0u64..8,
            offset in prop::sample::select(vec![0u64, 512, 4096]),
            unit in prop::sample::select(vec![1024u64, 4096, 65536]),
        ) {
            let count = bitmap.len() as u64 * 8 - cut;
            let mut ranges = Ranges { offset, found: Vec::new(), untouched: 0 };
            let clear = ranges.clear_bits(&bitmap, 3, count, unit);
            ranges.finish();
            let is_free = |bit: u64| bitmap[(bit / 8) as usize] & 1 << (bit % 8) == 0;
            prop_assert_eq!(clear, (0..count).filter(|bit| is_free(*bit)).count() as u64);
            // A grain is free when all of its bytes are in clear units.
            let end = offset + (3 + count) * unit;
            for grain in (0..end.next_multiple_of(GRAIN)).step_by(GRAIN as usize) {
                let free = (grain..grain + GRAIN).step_by(512).all(|byte| {
                    let unit = byte.checked_sub(offset).map(|byte| byte / unit);
                    unit.is_some_and(|unit| unit >= 3 && unit - 3 < count && is_free(unit - 3))
                });
                let found = ranges.found.iter().any(|range| range.contains(&grain));
                prop_assert_eq!(found, free, "grain at {}", grain);
            }
        }
    }
}
