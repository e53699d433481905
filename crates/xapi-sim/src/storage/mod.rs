//! A storage repository (SR): a folder with one sparse raw file for each virtual disk (VDI), and a limit.
//!
//! ```text
//!   <uuid>.raw      the bytes of a VDI; mode 0400 once it is immutable (a snapshot)
//!   <uuid>.blocks   what is left of a snapshot whose data were destroyed: fingerprints of its blocks
//!   *.part          a copy under way; of no worth after a crash
//!
//!   create ─▶ VDI ─snapshot─▶ immutable VDI ─destroy_data─▶ blocks only
//!              └─clone/copy─▶ VDI              (changed_blocks compares any two of the three)
//! ```
//!
//! Knows no calls and no records: who may do what to which VDI, and when, is decided by whoever asks. Copies share
//! their blocks where the file system can (XFS, Btrfs); else the data are copied and the holes kept, so that an empty
//! disk of 200 GB costs nothing. What a guest writes by itself is counted but not held back by the limit.

mod changes;
mod room;
mod writer;

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shale_disk::{Error, ErrorKind, FileDisk, Result, Watch};
use uuid::Uuid;

pub use changes::BLOCK;
use room::Room;
pub use writer::Writer;

/// VDIs are whole VHD blocks, as the storage managers of XenServer make them, in bytes.
pub const SIZE_UNIT: u64 = 2 << 20;
/// Largest VDI: what a VHD can describe.
pub const MAX_SIZE: u64 = 2040 << 30;
/// Threads of a copy; they wait for the device more than for a processor.
const COPY_THREADS: usize = 4;

/// A storage repository, shared by threads.
#[derive(Debug)]
pub struct Repository {
    folder: PathBuf,
    room: Arc<Room>,
}

impl Repository {
    /// Opens `folder`, which is made when it is missing. All files in it together may hold `capacity` bytes.
    pub fn open(folder: &Path, capacity: u64) -> Result<Self> {
        let failed = |e| Error::io(format!("cannot open the storage repository '{}'", folder.display()), e);
        fs::create_dir_all(folder).map_err(failed)?;
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|end| end == "part") {
                fs::remove_file(&path).map_err(failed)?;
            }
        }
        Ok(Self { folder: folder.to_owned(), room: Arc::new(Room::new(folder, capacity)) })
    }

    /// Bytes that all files may hold.
    pub fn capacity(&self) -> u64 {
        self.room.capacity()
    }

    /// Bytes that all files hold. Blocks that two VDIs share count twice.
    pub fn used(&self) -> Result<u64> {
        self.room.used()
    }

    /// The file of a VDI, for a machine to run from.
    pub fn path(&self, vdi: Uuid) -> PathBuf {
        self.folder.join(format!("{vdi}.raw"))
    }

    /// Whether the VDI has data here.
    pub fn holds(&self, vdi: Uuid) -> bool {
        self.path(vdi).is_file()
    }

    /// The VDIs with data, in no order.
    pub fn list(&self) -> Result<Vec<Uuid>> {
        let failed = |e| Error::io(format!("cannot list '{}'", self.folder.display()), e);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".raw"));
            found.extend(stem.and_then(|stem| Uuid::parse_str(stem).ok()));
        }
        Ok(found)
    }

    /// Makes an empty VDI of at least `size` bytes; answers how many it has.
    pub fn create(&self, vdi: Uuid, size: u64) -> Result<u64> {
        let size = rounded(size)?;
        let path = self.path(vdi);
        let made = File::options().write(true).create_new(true).mode(0o600).open(&path);
        made.and_then(|file| file.set_len(size))
            .map_err(|e| Error::io(format!("cannot make VDI {vdi}"), e))?;
        Ok(size)
    }

    /// Virtual size in bytes.
    pub fn size(&self, vdi: Uuid) -> Result<u64> {
        Ok(self.metadata(vdi)?.len())
    }

    /// Bytes that the VDI takes up here (XenAPI: `physical_utilisation`), its fingerprints included.
    pub fn used_by(&self, vdi: Uuid) -> u64 {
        [self.path(vdi), self.fingerprints(vdi)]
            .iter()
            .filter_map(|path| fs::metadata(path).ok())
            .map(allocated)
            .sum()
    }

    /// Whether the VDI can never be written again.
    pub fn is_immutable(&self, vdi: Uuid) -> Result<bool> {
        Ok(self.metadata(vdi)?.permissions().mode() & 0o200 == 0)
    }

    /// The VDI as a disk to read.
    pub fn disk(&self, vdi: Uuid) -> Result<FileDisk> {
        self.metadata(vdi)?;
        FileDisk::open(&self.path(vdi))
    }

    /// A way to write the VDI. Refused for an immutable one.
    pub fn writer(&self, vdi: Uuid) -> Result<Writer> {
        self.must_be_mutable(vdi)?;
        let file = File::options().read(true).write(true).open(self.path(vdi));
        let file = file.map_err(|e| Error::io(format!("cannot open VDI {vdi} to write"), e))?;
        Writer::new(file, vdi, self.room.clone())
    }

    /// Makes `snapshot` an immutable VDI with what `vdi` holds now. A machine that writes it must be paused meanwhile.
    pub fn snapshot(&self, vdi: Uuid, snapshot: Uuid, watch: Watch) -> Result<()> {
        self.take_copy(self, vdi, snapshot, 0o400, watch)
    }

    /// Makes `copy` a VDI of its own with what `vdi` holds now.
    pub fn clone_to(&self, vdi: Uuid, copy: Uuid, watch: Watch) -> Result<()> {
        self.take_copy(self, vdi, copy, 0o600, watch)
    }

    /// As [`Repository::clone_to`], from a VDI of another repository.
    pub fn copy_from(&self, source: &Self, vdi: Uuid, copy: Uuid, watch: Watch) -> Result<()> {
        self.take_copy(source, vdi, copy, 0o600, watch)
    }

    /// Copies a VDI to a new one, which appears when it is whole. `watch` is told the bytes of data.
    fn take_copy(&self, source: &Self, vdi: Uuid, copy: Uuid, mode: u32, watch: Watch) -> Result<()> {
        self.room.take(allocated(source.metadata(vdi)?))?;
        let part = self.folder.join(format!("{copy}.part"));
        let made = copy_file(&source.path(vdi), &part, watch).and_then(|()| {
            let set = fs::set_permissions(&part, fs::Permissions::from_mode(mode));
            // A link, which unlike a rename never replaces a VDI that is there.
            set.and_then(|()| fs::hard_link(&part, self.path(copy)))
                .map_err(|e| Error::io(format!("cannot make VDI {copy} of {vdi}"), e))
        });
        let cleared = fs::remove_file(&part).map_err(|e| Error::io(format!("cannot finish VDI {copy}"), e));
        made.and(cleared)
    }

    /// Grows a VDI to at least `size` bytes; answers how many it has. A VDI is never shrunk.
    pub fn resize(&self, vdi: Uuid, size: u64) -> Result<u64> {
        self.must_be_mutable(vdi)?;
        let (old, new) = (self.size(vdi)?, rounded(size)?);
        if new < old {
            let what = format!("VDI {vdi} has {old} bytes and cannot be shrunk to {new}");
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let opened = File::options().write(true).open(self.path(vdi));
        opened
            .and_then(|file| file.set_len(new))
            .map_err(|e| Error::io(format!("cannot resize VDI {vdi}"), e))?;
        Ok(new)
    }

    /// Removes all of a VDI. One that is not there is removed already.
    pub fn destroy(&self, vdi: Uuid) -> Result<()> {
        for path in [self.path(vdi), self.fingerprints(vdi)] {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(format!("cannot remove '{}'", path.display()), e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Destroys a snapshot's data, but keeps what tells which blocks changed since (XenAPI: `data_destroy`, the VDI
    /// becomes `cbt_metadata`). Once is as good as twice.
    pub fn destroy_data(&self, vdi: Uuid) -> Result<()> {
        if !self.holds(vdi) && self.fingerprints(vdi).is_file() {
            return Ok(());
        }
        let part = self.folder.join(format!("{vdi}.blocks.part"));
        changes::save_fingerprints(&changes::Blocks::of_disk(self.disk(vdi)?), &part)?;
        let named = fs::rename(&part, self.fingerprints(vdi)).and_then(|()| fs::remove_file(self.path(vdi)));
        named.map_err(|e| Error::io(format!("cannot destroy the data of VDI {vdi}"), e))
    }

    /// Which blocks of [`BLOCK`] bytes differ between two VDIs, one bit each, the first in the highest bit of the first
    /// byte; as long as `to` is large (XenAPI: `list_changed_blocks`). Either may be one whose data were destroyed.
    pub fn changed_blocks(&self, from: Uuid, to: Uuid) -> Result<Vec<u8>> {
        changes::bitmap(&self.blocks(from)?, &self.blocks(to)?)
    }

    fn blocks(&self, vdi: Uuid) -> Result<changes::Blocks> {
        if self.holds(vdi) {
            return Ok(changes::Blocks::of_disk(self.disk(vdi)?));
        }
        match FileDisk::open(&self.fingerprints(vdi)) {
            Ok(saved) => Ok(changes::Blocks::saved(saved)),
            Err(_) => Err(self.missing(vdi)),
        }
    }

    fn fingerprints(&self, vdi: Uuid) -> PathBuf {
        self.folder.join(format!("{vdi}.blocks"))
    }

    fn must_be_mutable(&self, vdi: Uuid) -> Result<()> {
        match self.is_immutable(vdi)? {
            true => Err(Error::new(
                ErrorKind::Unsupported,
                format!("VDI {vdi} is a snapshot: it cannot be changed"),
            )),
            false => Ok(()),
        }
    }

    fn metadata(&self, vdi: Uuid) -> Result<fs::Metadata> {
        fs::metadata(self.path(vdi)).map_err(|e| self.missing(vdi).with_source(e))
    }

    fn missing(&self, vdi: Uuid) -> Error {
        let what = format!("VDI {vdi} has no data in the storage repository '{}'", self.folder.display());
        Error::new(ErrorKind::Io, what)
    }
}

/// The size that a VDI gets when `size` bytes are asked for.
fn rounded(size: u64) -> Result<u64> {
    match size.max(1).checked_next_multiple_of(SIZE_UNIT) {
        Some(rounded) if rounded <= MAX_SIZE => Ok(rounded),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!("a VDI cannot have {size} bytes: {MAX_SIZE} are the most"),
        )),
    }
}

/// Bytes that a file really takes up.
fn allocated(file: fs::Metadata) -> u64 {
    file.blocks() * 512 // `st_blocks` counts 512 bytes, whatever the file system's block is
}

/// A new file with the data and the holes of another.
fn copy_file(from: &Path, to: &Path, watch: Watch) -> Result<()> {
    let source = FileDisk::open(from)?;
    let failed = |e| Error::io(format!("cannot copy '{}'", from.display()), e);
    let target =
        File::options().read(true).write(true).create(true).truncate(true).open(to).map_err(failed)?;
    let shared = File::open(from).map_err(failed)?;
    match rustix::fs::ioctl_ficlone(&target, &shared) {
        Ok(()) => Ok(()),
        Err(_) => shale_disk::copy_to_file(&source, &target, COPY_THREADS, watch),
    }
}

#[cfg(test)]
mod tests;
