//! What is written to a disk that itself stays as it is.
//!
//! ```text
//!   Changes   ·  [##]  ·  [#]  ·      pages that were written; the rest are holes
//!   base      [==================]    never touched
//! ```
//!
//! A page is [`PAGE`] bytes of the disk; one that is written in part is first filled from the base.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use shale_disk::{Content, Disk, Error, Extent, Layered, Result};

/// Bytes that are kept together.
pub const PAGE: u64 = 4096;
/// One bit for each page: 8 MiB of memory for 256 GiB, and no disk here is larger than this.
const LARGEST: u64 = 64 << 40;

/// An overlay: as a [`Disk`] it has data where something was written, and holes.
pub struct Changes {
    base: Arc<dyn Disk>,
    file: File,
    written: RwLock<Vec<u64>>,
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
        Ok(Self { base, file, written: RwLock::new(vec![0; words]) })
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
        let mut written = self.written.write().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = (offset / PAGE, (end - 1) / PAGE);
        for (page, is_whole) in [(first, offset.is_multiple_of(PAGE)), (last, end.is_multiple_of(PAGE))] {
            if !is_whole && !is_set(&written, page) {
                self.fill(page)?;
                set(&mut written, page);
            }
        }
        self.file
            .write_all_at(bytes, offset)
            .map_err(|e| Error::io("changes to a disk cannot be kept", e))?;
        for page in first..=last {
            set(&mut written, page);
        }
        Ok(())
    }

    /// Copies a page from the base.
    fn fill(&self, page: u64) -> Result<()> {
        let start = page * PAGE;
        let mut bytes = vec![0; PAGE.min(self.size() - start) as usize];
        self.base.read_at(&mut bytes, start)?;
        self.file.write_all_at(&bytes, start).map_err(|e| Error::io("changes to a disk cannot be kept", e))
    }
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
        self.file.read_exact_at(buf, offset).map_err(|e| Error::io("changes to a disk cannot be read", e))
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        if offset >= self.size() {
            return Err(Error::new(
                shale_disk::ErrorKind::Corrupt,
                "there is nothing behind the end of the disk",
            ));
        }
        let written = self.written.read().unwrap_or_else(PoisonError::into_inner);
        let pages = self.size().div_ceil(PAGE);
        let first = offset / PAGE;
        let is_data = is_set(&written, first);
        let mut next = first + 1;
        while next < pages && is_set(&written, next) == is_data {
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
            writes in prop::collection::vec((any::<prop::sample::Index>(), 0usize..70_000, any::<u8>()), 0..12),
        ) {
            let bytes: Vec<u8> = (0..size).map(|i| (i / 251) as u8).collect();
            let base: Arc<dyn Disk> = Arc::new(Memory(bytes.clone()));
            let changes = Arc::new(Changes::new(base, &std::env::temp_dir()).unwrap());
            let mut expected = bytes;
            let mut touched = vec![false; size];
            for (at, length, byte) in writes {
                let at = at.index(size);
                let length = length.min(size - at);
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
            prop_assert!(changes.write_at(&[0; 2], size as u64 - 1).is_err());
        }
    }
}
