//! The data directory: where a server keeps all it has.
//!
//! ```text
//!   <data>/
//!     lock            held while a server runs here: one server for one directory
//!     shaled.sock     the API, for this host's administrator (0600)
//!     seal.key        what secrets in the catalog are sealed with (0600); back it up apart from the catalog
//!     token           the bearer token for HTTPS, made at the first start (0600)
//!     tls/            the server's own certificate and key, made at the first start
//!     catalog.db      layers, versions, connectors, tasks, audit (SQLite)
//!     repository/     what layers are made of
//!     uploads/<id>    files on their way here, as far as they have come
//!     scratch/        files without a name, while disks are put together
//!     runs/<version>/ script and files of an unattended run, and what the script printed
//!     schedules/<id>/ files that lie beside the scripts of schedules
//!     cds/<version>/  the files that a machine was given, as its CD
//!     connectors/<id>/  what a connector keeps on this host: its machines
//! ```

use crate::error::{Error, Result};
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a lock is waited for. A process that a server is just starting has a copy of every open file, locks too, until it
/// runs its program: when the server ends or is killed at that moment, its lock outlives it so long.
const COPY: Duration = Duration::from_secs(2);
/// How often it is tried.
const COPY_ROUND: Duration = Duration::from_millis(5);

/// A data directory that this process holds alone.
pub struct Place {
    root: PathBuf,
    _lock: File,
}

impl Place {
    /// Makes the directory where there is none, and holds it. Refused while another server holds it; a server that
    /// crashed holds nothing.
    pub fn hold(root: &Path) -> Result<Self> {
        let cannot = |what: &str, e: std::io::Error| {
            Error::unavailable(format!("{what} {} failed", root.display())).because(e)
        };
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(root).map_err(|e| cannot("making the data directory", e))?;
        // One that was there may be open to others; what is in it is not meant for them.
        fs::set_permissions(root, fs::Permissions::from_mode(0o700))
            .map_err(|e| cannot("closing to others the data directory", e))?;
        let root = root.canonicalize().map_err(|e| cannot("finding the data directory", e))?;
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(root.join("lock"))
            .map_err(|e| cannot("opening the lock in", e))?;
        match unless_a_copy(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = format!(
                    "Another server runs on the data directory {}: stop it, or give this one its own with --data.",
                    root.display()
                );
                return Err(Error::not_allowed(text));
            }
            Err(TryLockError::Error(e)) => return Err(cannot("locking", e)),
        }
        for folder in ["tls", "connectors", "scratch"] {
            builder.create(root.join(folder)).map_err(|e| cannot("making a folder in", e))?;
        }
        Ok(Self { root, _lock: lock })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The API's socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join("shaled.sock")
    }

    /// The catalog's file.
    pub fn catalog(&self) -> PathBuf {
        self.root.join("catalog.db")
    }

    /// The repository's directory.
    pub fn repository(&self) -> PathBuf {
        self.root.join("repository")
    }

    /// The key that secrets in the catalog are sealed with.
    pub fn seal_key(&self) -> PathBuf {
        self.root.join("seal.key")
    }

    /// Where uploads are.
    pub fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// An upload's file.
    pub fn upload(&self, id: Uuid) -> PathBuf {
        self.uploads().join(id.to_string())
    }

    /// Where disks are put together, in files without a name.
    pub fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// Where the CDs of machines are.
    pub fn cds(&self) -> PathBuf {
        self.root.join("cds")
    }

    /// The folder with the CD of the machine of a version.
    pub fn cd(&self, version: Uuid) -> PathBuf {
        self.cds().join(version.to_string())
    }

    /// Where the files of schedules are.
    pub fn schedules(&self) -> PathBuf {
        self.root.join("schedules")
    }

    /// A folder with the files of a schedule.
    pub fn schedule_files(&self, files: Uuid) -> PathBuf {
        self.schedules().join(files.to_string())
    }

    /// Where unattended runs are.
    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// Script and files of the unattended run that makes a version: see [`crate::kit`].
    pub fn kit(&self, version: Uuid) -> PathBuf {
        self.runs().join(version.to_string()).join("kit")
    }

    /// What that script printed.
    pub fn run_output(&self, version: Uuid) -> PathBuf {
        self.runs().join(version.to_string()).join("output")
    }

    /// A folder of its own to try a connector in; gone when the value is dropped.
    pub fn trial(&self) -> Result<Trial> {
        let path = self.root.join(format!("connectors/trial-{}", Uuid::now_v7()));
        fs::create_dir(&path)
            .map_err(|e| Error::unavailable(format!("{} cannot be made", path.display())).because(e))?;
        Ok(Trial(path))
    }

    /// A connector's own folder.
    pub fn connector(&self, id: Uuid) -> PathBuf {
        self.root.join("connectors").join(id.to_string())
    }

    /// The bearer token for HTTPS; made, 0600, where there is none.
    pub fn token(&self) -> Result<String> {
        let path = self.root.join("token");
        match fs::read_to_string(&path) {
            Ok(token) if token.trim().len() >= 32 => return Ok(token.trim().to_owned()),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::unavailable(format!("{} cannot be read", path.display())).because(e)),
        }
        let token: String =
            crate::secrets::random::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        write_secret(&path, token.as_bytes())?;
        Ok(token)
    }

    /// Certificate and key files.
    pub fn tls(&self) -> (PathBuf, PathBuf) {
        (self.root.join("tls/cert.pem"), self.root.join("tls/key.pem"))
    }
}

/// A folder that goes with this value. See [`Place::trial`].
pub struct Trial(pub PathBuf);

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Tries to lock; gives up when the lock is held for longer than it may outlive its holder.
fn unless_a_copy(lock: &File) -> std::result::Result<(), TryLockError> {
    let deadline = Instant::now() + COPY;
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(COPY_ROUND),
            tried => return tried,
        }
    }
}

/// Writes a file that only its owner reads, whole or not at all.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let temp = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = (|| {
        let mut file =
            fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temp, path)?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    })();
    written.map_err(|e| Error::unavailable(format!("{} cannot be written", path.display())).because(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_directory_has_one_server_and_the_next_may_come_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Place::hold(dir.path()).unwrap();
        let refused = Place::hold(dir.path()).err().unwrap();
        assert!(refused.detail.contains("Another server runs"), "{}", refused.detail);
        // As a process that is being started has it: the same lock, for a moment.
        let copy = first._lock.try_clone().unwrap();
        drop(first);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                drop(copy);
            });
            Place::hold(dir.path()).unwrap();
        });
    }

    #[test]
    fn the_token_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::hold(dir.path()).unwrap();
        let token = place.token().unwrap();
        assert_eq!(token.len(), 64);
        assert_eq!(place.token().unwrap(), token);
        let mode = fs::metadata(dir.path().join("token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
