//! How much room a folder has: its files are measured only when what was left at the last measure is used up.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use shale_disk::{Error, ErrorKind, Result};

#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    capacity: u64,
    /// Bytes that may be written before the folder is measured again. Writing over what is there makes this too small,
    /// a guest's own writing too large; the next measure sets it right.
    left: Mutex<u64>,
}

impl Room {
    pub(super) fn new(folder: &Path, capacity: u64) -> Self {
        Self { folder: folder.to_owned(), capacity, left: Mutex::new(0) }
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Bytes that the files in the folder take up.
    pub(super) fn used(&self) -> Result<u64> {
        let failed = |e| Error::io(format!("cannot measure '{}'", self.folder.display()), e);
        let mut used = 0;
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            match entry.and_then(|entry| entry.metadata()) {
                Ok(file) => used += super::allocated(file),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {} // removed a moment ago
                Err(e) => return Err(failed(e)),
            }
        }
        Ok(used)
    }

    /// Takes room for `bytes` that are about to be written; errs with [`ErrorKind::Full`] when there is none.
    pub(super) fn take(&self, bytes: u64) -> Result<()> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if *left < bytes {
            *left = self.capacity.saturating_sub(self.used()?);
        }
        match left.checked_sub(bytes) {
            Some(rest) => *left = rest,
            None => {
                let what = format!(
                    "the storage repository is full: {bytes} bytes are wanted, {left} of {} are free",
                    self.capacity
                );
                return Err(Error::new(ErrorKind::Full, what));
            }
        }
        Ok(())
    }
}
