//! What is written to a disk that itself stays as it is.
//!
//! ```text
//!   Changes   ·  [##]  ·  [#]  ·  [~~~~]  ·      pages that were written, or are lent; the rest are holes
//!   base      [==========================]        never touched
//! ```
//!
//! A page is [`PAGE`] bytes of the disk; one that is written in part is first filled with what it shows.
//!
//! What is *lent* is not copied: it is read from another disk, such as a layer's, whenever it is asked for. Putting large files on a
//! disk so costs neither the room nor the time of another copy.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use shale_disk::{Content, Disk, Error, Extent, Layered, Result};

/// Bytes that are kept together.
pub const PAGE: u64 = 4096;
/// Pages that are looked at to find the end of an extent: most that is asked is how a few bytes are kept.
const FAR: u64 = 4096;
/// One bit for each page: 8 MiB of memory for 256 GiB, and no disk here is larger than this.
const LARGEST: u64 = 64 << 40;

/// An overlay: as a [`Disk`] it has data where something was written, and holes.
pub struct Changes {
    base: Arc<dyn Disk>,
    file: File,
    kept: RwLock<Kept>,
}

/// What differs from the base, and where it is.
struct Kept {
    /// A bit for each page.
    pages: Vec<u64>,
    /// Runs of pages that are lent, apart, by where they begin; all other pages lie in the file.
    lent: BTreeMap<u64, Lent>,
}

/// Bytes of another disk that are shown.
struct Lent {
    /// Where the run ends.
    end: u64,
    disk: Arc<dyn Disk>,
    /// Where its first byte lies in `disk`.
    from: u64,
}

impl Changes {
    /// No changes yet to `base`. They will lie in a file without a name in `folder`.
    pub fn new(base: Arc<dyn Disk>, folder: &Path) -> Result<Self> {
        let size = base.size();
        if size > LARGEST {
            return Err(Error::new(shale_disk::ErrorKind::Unsupported, "the disk is larger than 64 TiB"));
        }
        let context = || format!("a file for changes cannot be made in '{}'", folder.display());
        let file = tempfile::tempfile_in(folder).map_err(|e| Error::io(context(), e))?;
        file.set_len(size).map_err(|e| Error::io(context(), e))?;
        let words = size.div_ceil(PAGE).div_ceil(64) as usize;
        let kept = Kept { pages: vec![0; words], lent: BTreeMap::new() };
        Ok(Self { base, file, kept: RwLock::new(kept) })
    }

    /// The disk as it is with the changes.
    pub fn disk(self: &Arc<Self>) -> Layered<Arc<Self>, Arc<dyn Disk>> {
        Layered::new(self.clone(), self.base.clone())
    }

    /// Writes `bytes` at `offset`, which lie wholly inside the disk.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= self.size());
        let end = end.ok_or_else(|| {
            Error::new(
                shale_disk::ErrorKind::Corrupt,
                "something was to be written behind the end of the disk",
            )
        })?;
        if bytes.is_empty() {
            return Ok(());
        }
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = (offset / PAGE, (end - 1) / PAGE);
        for (page, is_whole) in [(first, offset.is_multiple_of(PAGE)), (last, end.is_multiple_of(PAGE))] {
            if !is_whole {
                self.fill(page, &mut kept)?;
            }
        }
        self.file.write_all_at(bytes, offset).map_err(cannot_keep)?;
        kept.take_over(first * PAGE..(last + 1) * PAGE);
        Ok(())
    }

    /// Shows the bytes of `disk` from `from` on in `range`, whole pages inside the disk, until they are written over. `disk` must
    /// not change as long as this is read.
    pub fn lend(&self, range: Range<u64>, disk: Arc<dyn Disk>, from: u64) -> Result<()> {
        let is_whole = range.start.is_multiple_of(PAGE) && range.end.is_multiple_of(PAGE);
        let length = range.end.saturating_sub(range.start);
        let is_there = from.checked_add(length).is_some_and(|end| end <= disk.size());
        if !is_whole || !is_there || range.end > self.size() {
            let text = "what is lent must be whole pages of both disks";
            return Err(Error::new(shale_disk::ErrorKind::Corrupt, text));
        }
        if length > 0 {
            let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
            kept.take_over(range.clone());
            kept.lent.insert(range.start, Lent { end: range.end, disk, from });
        }
        Ok(())
    }

    /// Makes sure that a page that is to be written in part lies in the file.
    fn fill(&self, page: u64, kept: &mut Kept) -> Result<()> {
        let start = page * PAGE;
        let mut bytes = vec![0; PAGE.min(self.size() - start) as usize];
        match kept.lent_at(start) {
            Some((lent, from)) => lent.disk.read_at(&mut bytes, from)?,
            None if is_set(&kept.pages, page) => return Ok(()),
            None => self.base.read_at(&mut bytes, start)?,
        }
        self.file.write_all_at(&bytes, start).map_err(cannot_keep)?;
        kept.take_over(start..start + PAGE);
        Ok(())
    }
}

impl Kept {
    /// What is lent at `at`, and where that lies in its disk.
    fn lent_at(&self, at: u64) -> Option<(&Lent, u64)> {
        let (start, lent) = self.lent.range(..=at).next_back()?;
        (at < lent.end).then(|| (lent, lent.from + (at - start)))
    }

    /// The pages of `range` are kept, and none of them is lent.
    fn take_over(&mut self, range: Range<u64>) {
        for page in range.start / PAGE..range.end / PAGE {
            set(&mut self.pages, page);
        }
        let first = self.lent.range(..=range.start).next_back().map_or(range.start, |(start, _)| *start);
        let met: Vec<u64> = self.lent.range(first..range.end).map(|(start, _)| *start).collect();
        for start in met {
            let Some(lent) = self.lent.remove(&start) else { continue };
            if lent.end > range.end {
                let from = lent.from + (range.end - start);
                self.lent.insert(range.end, Lent { end: lent.end, disk: lent.disk.clone(), from });
            }
            if start < range.start {
                let end = lent.end.min(range.start);
                self.lent.insert(start, Lent { end, ..lent });
            }
        }
    }
}

fn cannot_keep(e: std::io::Error) -> Error {
    Error::io("changes to a disk cannot be kept", e)
}

fn is_set(written: &[u64], page: u64) -> bool {
    written[(page / 64) as usize] & 1 << (page % 64) != 0
}

fn set(written: &mut [u64], page: u64) {
    written[(page / 64) as usize] |= 1 << (page % 64);
}

impl Disk for Changes {
    fn size(&self) -> u64 {
        self.base.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|end| *end <= self.size());
        if end.is_none() {
            return Err(Error::new(
                shale_disk::ErrorKind::Corrupt,
                "something was to be read behind the end of the disk",
            ));
        }
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let lent = kept.lent_at(at);
            let until = match lent {
                Some((lent, _)) => lent.end,
                None => kept.lent.range(at..).next().map_or(u64::MAX, |(start, _)| *start),
            };
            let (now, later) = rest.split_at_mut((until - at).min(rest.len() as u64) as usize);
            match lent {
                Some((lent, from)) => lent.disk.read_at(now, from)?,
                None => self
                    .file
                    .read_exact_at(now, at)
                    .map_err(|e| Error::io("changes to a disk cannot be read", e))?,
            }
            at += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        if offset >= self.size() {
            return Err(Error::new(
                shale_disk::ErrorKind::Corrupt,
                "there is nothing behind the end of the disk",
            ));
        }
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let written = &kept.pages;
        let first = offset / PAGE;
        let pages = self.size().div_ceil(PAGE).min(first + FAR);
        let is_data = is_set(written, first);
        let mut next = first + 1;
        while next < pages && is_set(written, next) == is_data {
            // Whole words at once: most of a disk is untouched.
            let word = written[(next / 64) as usize];
            let same = if is_data { u64::MAX } else { 0 };
            next += if next.is_multiple_of(64) && word == same { 64 } else { 1 };
        }
        let end = next.min(pages).saturating_mul(PAGE).min(self.size());
        let content = if is_data { Content::Data } else { Content::Hole };
        Ok(Extent { offset, length: end - offset, content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shale_disk::{Memory, extents};

    proptest! {
        #[test]
        fn a_disk_with_changes_reads_as_if_they_were_made_in_it(
            size in 1usize..800_000,
            writes in prop::collection::vec(
                (any::<prop::sample::Index>(), 0usize..70_000, any::<u8>(), any::<bool>()), 0..24,
            ),
        ) {
            let bytes: Vec<u8> = (0..size).map(|i| (i / 251) as u8).collect();
            let base: Arc<dyn Disk> = Arc::new(Memory(bytes.clone()));
            let changes = Arc::new(Changes::new(base, &std::env::temp_dir()).unwrap());
            let mut expected = bytes;
            let mut touched = vec![false; size];
            let lender: Vec<u8> = (0..300_000u32).map(|i| (i / 7) as u8).collect();
            let disk: Arc<dyn Disk> = Arc::new(Memory(lender.clone()));
            for (at, length, byte, is_lent) in writes {
                let at = at.index(size);
                let length = length.min(size - at);
                if is_lent {
                    let page = PAGE as usize;
                    let range = at / page * page..(at + length) / page * page;
                    let from = usize::from(byte) * 33;
                    changes.lend(range.start as u64..range.end as u64, disk.clone(), from as u64).unwrap();
                    expected[range.clone()].copy_from_slice(&lender[from..from + range.len()]);
                    touched[range].fill(true);
                    continue;
                }
                changes.write_at(&vec![byte; length], at as u64).unwrap();
                expected[at..at + length].fill(byte);
                touched[at..at + length].fill(true);
            }
            let mut found = vec![1; size];
            changes.disk().read_at(&mut found, 0).unwrap();
            prop_assert!(found == expected);
            for extent in extents(&*changes) {
                let extent = extent.unwrap();
                let range = extent.offset as usize..(extent.offset + extent.length) as usize;
                if extent.content == Content::Hole {
                    prop_assert!(!touched[range].contains(&true));
                } else {
                    for page in touched[range].chunks(PAGE as usize) {
                        prop_assert!(page.contains(&true));
                    }
                }
            }
            // Byte by byte as well as all at once.
            for at in (0..size).step_by(997) {
                let mut found = vec![1; 5000.min(size - at)];
                changes.disk().read_at(&mut found, at as u64).unwrap();
                prop_assert!(found == expected[at..at + found.len()]);
            }
            prop_assert!(changes.write_at(&[0; 2], size as u64 - 1).is_err());
            prop_assert!(changes.lend(0..PAGE, disk.clone(), 300_000 - PAGE + 1).is_err());
            prop_assert!(changes.lend(0..PAGE - 1, disk, 0).is_err());
        }
    }
}
