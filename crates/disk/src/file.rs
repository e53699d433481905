//! A file (or block device) as a disk: what raw images are, and where every other format's bytes come from.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom as Where;

use crate::{Content, Disk, Error, ErrorKind, Extent, Result, check_range};

/// What direct reads and writes must be aligned to: place, length and memory.
pub(crate) const ALIGN: u64 = 4096;
/// Reads of so many bytes go past the page cache: it costs more than it brings.
const LONG: usize = 256 << 10;

/// Bytes of a file, with its holes. The length is taken once; a file that changes later is told by
/// [`FileDisk::unchanged`].
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    /// The same file for reads past the page cache, where they are to be had.
    direct: Option<File>,
    path: PathBuf,
    size: u64,
    stamp: Stamp,
}

/// What betrays that a file was written or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(m: &Metadata) -> Self {
        Self { device: m.dev(), inode: m.ino(), length: m.len(), modified: (m.mtime(), m.mtime_nsec()) }
    }
}

impl FileDisk {
    /// Opens `path` for reading. Only files and block devices: a pipe or a folder is refused.
    pub fn open(path: &Path) -> Result<Self> {
        // NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
        let flags = rustix::fs::OFlags::RDONLY
            | rustix::fs::OFlags::CLOEXEC
            | rustix::fs::OFlags::NONBLOCK
            | rustix::fs::OFlags::NOCTTY;
        let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty())
            .map_err(|e| Error::io(format!("cannot open '{}'", path.display()), e.into()))?;
        Self::new(File::from(file), path)
    }

    /// Takes an open file; `path` is how errors name it, and where [`FileDisk::unchanged`] looks.
    pub fn new(mut file: File, path: &Path) -> Result<Self> {
        let named = |e| Error::io(format!("cannot examine '{}'", path.display()), e);
        let metadata = file.metadata().map_err(named)?;
        let kind = metadata.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(crate::error::unsupported(format!(
                "'{}' is neither a file nor a block device",
                path.display()
            )));
        }
        let size = file.seek(SeekFrom::End(0)).map_err(named)?;
        let direct = direct(&file, OpenOptions::new().read(true));
        Ok(Self { file, direct, path: path.to_owned(), size, stamp: Stamp::from(&metadata) })
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether both are one file on disk, whatever its names.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.stamp.device, self.stamp.inode) == (other.stamp.device, other.stamp.inode)
    }

    /// Errs with [`ErrorKind::Changed`] when the file was written, cut, grown or replaced since it was opened.
    pub fn unchanged(&self) -> Result<()> {
        let named = |e| Error::io(format!("cannot examine '{}' again", self.path.display()), e);
        let held = self.file.metadata().map_err(named)?;
        if Stamp::from(&held) != self.stamp {
            return Err(self.changed("was written to"));
        }
        match std::fs::metadata(&self.path) {
            Ok(there) if Stamp::from(&there) == self.stamp => Ok(()),
            Ok(_) => Err(self.changed("was replaced by another file")),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(self.changed("was removed")),
            Err(e) => Err(named(e)),
        }
    }

    fn changed(&self, how: &str) -> Error {
        Error::new(
            ErrorKind::Changed,
            format!(
                "'{}' {how} while it was read: make sure that nothing uses it, then try again",
                self.path.display()
            ),
        )
    }
}

/// The same file, opened anew for input and output past the page cache; `None` where that is not to be had.
pub(crate) fn direct(file: &File, options: &mut OpenOptions) -> Option<File> {
    let flags = rustix::fs::OFlags::DIRECT | rustix::fs::OFlags::CLOEXEC;
    let name = format!("/proc/self/fd/{}", file.as_raw_fd());
    options.custom_flags(flags.bits() as i32).open(name).ok()
}

impl FileDisk {
    /// Reads past the page cache what is long and aligned: whoever reads so reads a whole disk, once. `false` when it
    /// was not read.
    fn read_direct(&self, buf: &mut [u8], offset: u64) -> bool {
        let aligned = offset.is_multiple_of(ALIGN)
            && (buf.len() as u64).is_multiple_of(ALIGN)
            && buf.as_ptr().align_offset(ALIGN as usize) == 0;
        match &self.direct {
            Some(direct) if aligned && buf.len() >= LONG => direct.read_exact_at(buf, offset).is_ok(),
            _ => false,
        }
    }
}

impl Disk for FileDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self.size, offset, buf.len() as u64)?;
        if self.read_direct(buf, offset) {
            return Ok(());
        }
        self.file.read_exact_at(buf, offset).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => self.changed("became shorter"),
            _ => Error::io(
                format!("cannot read {} bytes at {offset} of '{}'", buf.len(), self.path.display()),
                e,
            ),
        })
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        check_range(self.size, offset, 1)?;
        // The descriptor's own position moves; nothing here reads from it.
        let (content, end) = match rustix::fs::seek(&self.file, Where::Data(offset)) {
            Ok(data) if data > offset => (Content::Hole, data),
            Ok(_) => match rustix::fs::seek(&self.file, Where::Hole(offset)) {
                Ok(hole) if hole > offset => (Content::Data, hole),
                _ => (Content::Data, self.size),
            },
            Err(rustix::io::Errno::NXIO) => (Content::Hole, self.size),
            // A file system that cannot tell: all is data.
            Err(_) => (Content::Data, self.size),
        };
        Ok(Extent { offset, length: end.min(self.size) - offset, content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn holes_of_a_file_are_told_apart_from_its_data() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let file = File::create(&path).unwrap();
        file.write_all_at(&[7; 65536], 1 << 20).unwrap();
        file.set_len(4 << 20).unwrap();
        let disk = FileDisk::open(&path).unwrap();
        let seen: Vec<_> =
            crate::extents(&disk).map(|e| e.unwrap()).map(|e| (e.offset, e.length, e.content)).collect();
        assert_eq!(
            seen,
            [
                (0, 1 << 20, Content::Hole),
                (1 << 20, 65536, Content::Data),
                ((1 << 20) + 65536, (3 << 20) - 65536, Content::Hole)
            ]
        );
    }

    #[test]
    fn a_file_that_is_written_replaced_or_removed_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::write(&path, [1; 512]).unwrap();
        let disk = FileDisk::open(&path).unwrap();
        disk.unchanged().unwrap();
        File::options().append(true).open(&path).unwrap().write_all(&[2; 512]).unwrap();
        assert_eq!(disk.unchanged().unwrap_err().kind(), ErrorKind::Changed);

        let disk = FileDisk::open(&path).unwrap();
        std::fs::write(dir.path().join("other"), [1; 1024]).unwrap();
        std::fs::rename(dir.path().join("other"), &path).unwrap();
        assert_eq!(disk.unchanged().unwrap_err().kind(), ErrorKind::Changed);

        let disk = FileDisk::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(disk.unchanged().unwrap_err().kind(), ErrorKind::Changed);
    }

    #[test]
    fn reading_a_file_cut_short_meanwhile_says_that_it_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::write(&path, [1; 1024]).unwrap();
        let disk = FileDisk::open(&path).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(512).unwrap();
        assert_eq!(disk.read_at(&mut [0; 512], 512).unwrap_err().kind(), ErrorKind::Changed);
    }

    #[test]
    fn long_reads_past_the_cache_see_what_was_just_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let content: Vec<u8> = (0..(1u32 << 20) + 100).map(|i| (i / 4099) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let disk = FileDisk::open(&path).unwrap();
        let mut buffer = vec![0xee; content.len() + ALIGN as usize];
        let aligned = buffer.as_ptr().align_offset(ALIGN as usize);
        for (offset, length) in [(0, 1 << 20), (65536, LONG), (0, content.len()), (1, LONG), (4096, 8192)] {
            let buf = &mut buffer[aligned..][..length];
            disk.read_at(buf, offset as u64).unwrap();
            assert!(buf == &content[offset..offset + length], "{length} bytes at {offset}");
        }
    }

    #[test]
    fn a_folder_and_a_pipe_are_no_disks() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(FileDisk::open(dir.path()).unwrap_err().kind(), ErrorKind::Unsupported);
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert_eq!(FileDisk::open(&fifo).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
