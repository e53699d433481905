//! Where the bytes of a repository lie: one directory. The only file that creates, renames or removes anything but
//! locks, so that another kind of place (a share, a bucket) replaces this file and no other.
//!
//! ```text
//!   repository.json            format version and features
//!   packs/<digest>.pack        blocks and map pages, compressed
//!   index/<digest>.idx         digest → place in a pack; derived, can be deleted
//!   versions/<uuid>.version    one manifest per version; the roots of everything
//!   gc.json                    packs found unused, and since when
//!   lock  locks/  tmp/         see `lock`
//! ```
//!
//! A file appears whole or not at all: temporary file → write → fsync → rename → fsync of the folder.

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind as Io, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::lock::Lock;

pub(crate) const SETTINGS: &str = "repository.json";
pub(crate) const PACKS: &str = "packs";
pub(crate) const INDEX: &str = "index";
pub(crate) const VERSIONS: &str = "versions";
pub(crate) const MARKS: &str = "gc.json";
pub(crate) const LOCK: &str = "lock";
pub(crate) const LOCKS: &str = "locks";
pub(crate) const TMP: &str = "tmp";

/// A directory that is, or becomes, a repository.
#[derive(Debug)]
pub(crate) struct Place {
    root: PathBuf,
}

/// A file that nobody sees yet. Dropped before it is published, it is gone.
pub(crate) struct Temp {
    path: PathBuf,
    file: File,
    published: bool,
}

impl Place {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, folder: &str, name: &str) -> PathBuf {
        self.root.join(folder).join(name)
    }

    /// Makes the folders that are not there yet. Only the owner may look: disks hold password files.
    pub fn create_folders(&self) -> Result<()> {
        let make =
            |path: &Path| {
                DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| {
                    Error::io(format!("cannot make the repository's folder {}", path.display()), e)
                })
            };
        make(&self.root)?;
        for folder in [PACKS, INDEX, VERSIONS, LOCKS, TMP] {
            make(&self.root.join(folder))?;
        }
        sync_folder(&self.root)
    }

    /// The names in `folder` that end in `.ending`, without it, and the files' lengths; sorted.
    pub fn list(&self, folder: &str, ending: &str) -> Result<Vec<(String, u64)>> {
        let path = self.root.join(folder);
        let context = |e| Error::io(format!("cannot list {}", path.display()), e);
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(context)? {
            let entry = entry.map_err(context)?;
            let name = entry.file_name();
            let Some(stem) = name.to_str().and_then(|n| n.strip_suffix(ending)?.strip_suffix('.')) else {
                continue;
            };
            match entry.metadata() {
                Ok(meta) if meta.is_file() => names.push((stem.to_owned(), meta.len())),
                Ok(_) => {}
                Err(e) if e.kind() == Io::NotFound => {}
                Err(e) => return Err(context(e)),
            }
        }
        names.sort();
        Ok(names)
    }

    /// The whole of a small file; `None` when there is none. More than `limit` bytes are damage.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
        let context = |e| Error::io(format!("cannot read {}", path.display()), e);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == Io::NotFound => return Ok(None),
            Err(e) => return Err(context(e)),
        };
        let length = file.metadata().map_err(context)?.len();
        if length > limit {
            return Err(Error::damaged(format!(
                "{} is {length} bytes long, more than such a file can be ({limit})",
                path.display()
            )));
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0).map_err(context)?;
        Ok(Some(bytes))
    }

    /// A temporary file of the holder of `lock`.
    pub fn temp(&self, lock: &Lock) -> Result<Temp> {
        let path = self.root.join(TMP).join(lock.temp_name());
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(|e| Error::io(format!("cannot make the temporary file {}", path.display()), e))?;
        Ok(Temp { path, file, published: false })
    }

    /// Writes a whole small file durably under its name, in place of one that is there.
    pub fn write(&self, lock: &Lock, path: &Path, bytes: &[u8]) -> Result<()> {
        let mut temp = self.temp(lock)?;
        temp.append(bytes)?;
        temp.sync()?;
        temp.publish(path)?;
        sync_folder(path.parent().unwrap_or(&self.root))
    }

    /// Writes a whole small file durably under a name that nobody has; `false` when somebody has.
    pub fn write_new(&self, lock: &Lock, path: &Path, bytes: &[u8]) -> Result<bool> {
        let mut temp = self.temp(lock)?;
        temp.append(bytes)?;
        temp.sync()?;
        // A link, unlike a rename, never replaces. Dropping `temp` removes its other name.
        match fs::hard_link(&temp.path, path) {
            Ok(()) => {}
            Err(e) if e.kind() == Io::AlreadyExists => return Ok(false),
            Err(e) => return Err(Error::io(format!("cannot make {}", path.display()), e)),
        }
        sync_folder(path.parent().unwrap_or(&self.root))?;
        Ok(true)
    }

    /// Makes the names in `folder` durable.
    pub fn sync_folder(&self, folder: &str) -> Result<()> {
        sync_folder(&self.root.join(folder))
    }

    /// Removes a file; one that is not there is fine.
    pub fn remove(&self, path: &Path) -> Result<()> {
        match fs::remove_file(path) {
            Err(e) if e.kind() != Io::NotFound => {
                Err(Error::io(format!("cannot remove {}", path.display()), e))
            }
            _ => Ok(()),
        }
    }
}

impl Temp {
    /// Adds `bytes` at the end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::io(format!("cannot write {}", self.path.display()), e))
    }

    /// Writes over what is there.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|e| Error::io(format!("cannot write {}", self.path.display()), e))
    }

    /// Another handle, to push what is written to the device while more is written.
    pub fn handle(&self) -> Result<File> {
        self.file.try_clone().map_err(|e| Error::io(format!("cannot share {}", self.path.display()), e))
    }

    /// Makes the bytes durable.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::io(format!("cannot sync {}", self.path.display()), e))
    }

    /// Gives the file its name. It must have been synced; the folder is synced by the caller, once for many.
    pub fn publish(mut self, path: &Path) -> Result<()> {
        fs::rename(&self.path, path).map_err(|e| {
            Error::io(format!("cannot rename {} to {}", self.path.display(), path.display()), e)
        })?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn sync_folder(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| Error::io(format!("cannot sync the folder {}", path.display()), e))
}
