//! What was fetched of a disk, in an unnamed file of the connector's folder: gone with its last user, also in a crash.
//!
//! ```text
//!   put(offset, bytes) ─▶ zeros are noted, the rest is written at its own place of a sparse file
//!   finish ─▶ Disk: data │ zero where nothing but zeros came │ hole where nothing came
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use shale_disk::{Content, Disk, Extent};

use crate::{Error, ErrorKind, Result};

/// Zeros are noted in units of this: a page, which is also a block of most file systems.
const UNIT: usize = 4096;
/// Runs that are told apart; a guest that writes each second page would make as many as it likes. What comes after is
/// kept as data, zeros too.
const MOST_RUNS: usize = 200_000;
/// Room that stays free on the server's disk.
const RESERVE: u64 = 256 << 20;

/// A disk under way.
pub(super) struct Spool {
    file: File,
    size: u64,
    runs: Vec<Extent>,
    most_runs: usize,
    past_end: bool,
}

impl Spool {
    /// An empty one; `expected` bytes must fit on the server's disk.
    pub fn new(folder: &Path, size: u64, expected: u64) -> Result<Self> {
        let place = rustix::fs::statvfs(folder).map_err(|e| {
            Error::io(format!("the free space of '{}' is unknown", folder.display()), e.into())
        })?;
        let free = place.f_bavail.saturating_mul(place.f_frsize);
        if free < expected.saturating_add(RESERVE) {
            let what = format!(
                "'{}' has {} MiB free; {} MiB are to be fetched there: make room on the server",
                folder.display(),
                free >> 20,
                expected.saturating_add(RESERVE) >> 20
            );
            return Err(Error::new(ErrorKind::Full, what));
        }
        Ok(Self { file: unnamed(folder)?, size, runs: Vec::new(), most_runs: MOST_RUNS, past_end: false })
    }

    /// Keeps what is at `offset`. What lies past the end of the disk is left out, and noted if it is not zero.
    pub fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let length = self.size.saturating_sub(offset).min(bytes.len() as u64) as usize;
        self.past_end |= bytes[length..].iter().any(|b| *b != 0);
        let (mut at, mut rest) = (offset, &bytes[..length]);
        while !rest.is_empty() {
            let is_full = self.runs.len() >= self.most_runs;
            let (content, length) = if is_full { (Content::Data, rest.len()) } else { alike(rest) };
            let (part, tail) = rest.split_at(length);
            if content == Content::Data {
                self.file
                    .write_all_at(part, at)
                    .map_err(|e| Error::io("what was fetched of a disk cannot be kept", e))?;
            }
            self.note(Extent { offset: at, length: length as u64, content });
            (at, rest) = (at + length as u64, tail);
        }
        Ok(())
    }

    fn note(&mut self, run: Extent) {
        match self.runs.last_mut() {
            Some(last) if last.content == run.content && last.offset + last.length == run.offset => {
                last.length += run.length;
            }
            _ => self.runs.push(run),
        }
    }

    /// The disk; where nothing was put is `rest`: a hole, or known to be zero.
    pub fn finish(mut self, rest: Content) -> Spooled {
        self.runs.sort_unstable_by_key(|run| run.offset);
        Spooled { file: self.file, size: self.size, runs: self.runs, rest, past_end: self.past_end }
    }
}

/// The longest beginning that is all zero, or has no whole unit of zeros.
fn alike(bytes: &[u8]) -> (Content, usize) {
    let is_zero = |unit: &[u8]| unit.iter().all(|b| *b == 0);
    let first = is_zero(&bytes[..bytes.len().min(UNIT)]);
    let same = bytes.chunks(UNIT).take_while(|unit| is_zero(unit) == first).map(<[u8]>::len).sum();
    (if first { Content::Zero } else { Content::Data }, same)
}

/// A new file without a name, or one whose name goes at once where the file system knows no such.
fn unnamed(folder: &Path) -> Result<File> {
    use rustix::fs::{Mode, OFlags};
    let mode = Mode::RUSR | Mode::WUSR;
    if let Ok(file) = rustix::fs::open(folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode) {
        return Ok(file.into());
    }
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("spool-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = folder.join(name);
    let failed = |e| Error::io(format!("cannot make a file in '{}'", folder.display()), e);
    let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(failed)?;
    std::fs::remove_file(&path).map_err(failed)?;
    Ok(file)
}

/// What was fetched of a disk.
pub(super) struct Spooled {
    file: File,
    size: u64,
    /// In order, not overlapping.
    runs: Vec<Extent>,
    rest: Content,
    past_end: bool,
}

impl Spooled {
    /// Whether there is something past the end of the disk.
    pub fn is_past_end(&self) -> bool {
        self.past_end
    }
}

impl Disk for Spooled {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> shale_disk::Result<()> {
        check(self.size, offset, buf.len() as u64)?;
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let extent = self.extent_at(at)?;
            let (part, tail) = rest.split_at_mut(extent.length.min(rest.len() as u64) as usize);
            match extent.content {
                Content::Data => self.file.read_exact_at(part, at).map_err(|e| {
                    shale_disk::Error::io("what was fetched of a disk cannot be read back", e)
                })?,
                Content::Zero | Content::Hole => part.fill(0),
            }
            (at, rest) = (at + part.len() as u64, tail);
        }
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> shale_disk::Result<Extent> {
        check(self.size, offset, 1)?;
        let next = self.runs.partition_point(|run| run.offset + run.length <= offset);
        let (end, content) = match self.runs.get(next) {
            Some(run) if run.offset <= offset => (run.offset + run.length, run.content),
            Some(run) => (run.offset, self.rest),
            None => (self.size, self.rest),
        };
        Ok(Extent { offset, length: end.min(self.size) - offset, content })
    }
}

fn check(size: u64, offset: u64, length: u64) -> shale_disk::Result<()> {
    match offset.checked_add(length) {
        Some(end) if end <= size => Ok(()),
        _ => {
            let what = format!("{length} bytes at {offset} lie past the end, which is at {size}");
            Err(shale_disk::Error::new(shale_disk::ErrorKind::Corrupt, what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_read_back_zeros_are_known_and_the_rest_is_as_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path(), 64 << 10, 4096).unwrap();
        let mut mixed = vec![0; 3 * UNIT];
        mixed[UNIT..2 * UNIT].fill(7);
        spool.put(8 * UNIT as u64, &mixed).unwrap();
        spool.put(0, &[1; 512]).unwrap();
        // Past the end.
        spool.put((64 << 10) - 512, &[9; 4096]).unwrap();
        let disk = spool.finish(Content::Hole);
        assert!(disk.is_past_end());
        let found: Vec<_> =
            shale_disk::extents(&disk).map(|e| e.unwrap()).map(|e| (e.offset, e.content)).collect();
        use Content::{Data, Hole, Zero};
        let unit = UNIT as u64;
        let expected = [
            (0, Data),
            (512, Hole),
            (8 * unit, Zero),
            (9 * unit, Data),
            (10 * unit, Zero),
            (11 * unit, Hole),
            ((64 << 10) - 512, Data),
        ];
        assert_eq!(found, expected);
        let mut all = vec![0xff; 64 << 10];
        disk.read_at(&mut all, 0).unwrap();
        assert!(
            all[..512] == [1; 512]
                && all[9 * UNIT..10 * UNIT] == [7; UNIT]
                && all[(64 << 10) - 512..] == [9; 512]
        );
        assert_eq!(all.iter().filter(|b| **b != 0).count(), 512 + UNIT + 512);
        assert!(disk.read_at(&mut all, 1).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn zeros_are_kept_as_data_once_there_are_too_many_runs() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path(), 64 << 10, 4096).unwrap();
        spool.most_runs = 4;
        let each_second: Vec<u8> = (0..64 << 10).map(|at| (at / UNIT % 2) as u8).collect();
        spool.put(0, &each_second).unwrap();
        let disk = spool.finish(Content::Hole);
        assert_eq!(disk.runs.len(), 4);
        let mut all = vec![0xff; 64 << 10];
        disk.read_at(&mut all, 0).unwrap();
        assert!(all == each_second);
    }

    #[test]
    fn what_does_not_fit_on_the_server_is_refused_beforehand() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Spool::new(folder.path(), 1 << 60, 1 << 60).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Full);
    }
}
