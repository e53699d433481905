//! One folder per machine, and the record of what it is.
//!
//! ```text
//!   <state>/<tag>/            made first; renamed to <tag>.removing before anything in it is deleted
//!     machine.json            the record; durable before anything else is made
//!     overlay.qcow2           what the guest wrote, over the origin that the export serves
//!     cd.iso                  what is in its CD drive, if anything is
//!     efi-variables.fd        UEFI only: the machine's own copy
//!     serial.log              first serial port. It exists once QEMU was started: "was powered on"
//!     port.log                second serial port: what an unattended run tells
//!     qemu.log  export.log    what the two processes say
//!     lock                    held shared while the changes are read, exclusively while anything is done
//!   <sockets>/                the folder itself, or a short one elsewhere (a socket's path has at most 107 bytes)
//!     disk.sock  qmp.sock  vnc.sock
//! ```
//!
//! Which processes run is nowhere written down: see [`super::process`].

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{ErrorKind as Io, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, MachineSpec, Result, ServeCommand, Tag};

/// How long a caller waits for another one to be done with the same machine.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Longest path of a unix socket, by `sockaddr_un`: 108 bytes with the final NUL.
const MAX_SOCKET_PATH: usize = 107;

const REMOVING: &str = ".removing";

/// The record of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Format of this record: 1.
    pub(super) format: u32,
    /// Whose it is.
    pub(super) tag: Tag,
    /// What it is.
    pub(super) spec: MachineSpec,
    /// What serves its origin.
    pub(super) serve: ServeCommand,
    /// Where its sockets are.
    pub(super) sockets: PathBuf,
}

impl Record {
    /// The origin, by NBD.
    pub(super) fn disk_socket(&self) -> PathBuf {
        self.sockets.join("disk.sock")
    }
    /// QEMU's control connection.
    pub(super) fn qmp_socket(&self) -> PathBuf {
        self.sockets.join("qmp.sock")
    }
    /// The screen.
    pub(super) fn vnc_socket(&self) -> PathBuf {
        self.sockets.join("vnc.sock")
    }
}

/// The folder of one machine, whether it is there or not.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    /// Its path.
    pub(super) path: PathBuf,
}

impl Folder {
    /// The folder of this machine.
    pub(super) fn of(state: &Path, tag: &Tag) -> Self {
        Self { path: state.join(tag.as_str()) }
    }

    /// The changes.
    pub(super) fn overlay(&self) -> PathBuf {
        self.path.join("overlay.qcow2")
    }
    /// What is in the CD drive.
    pub(super) fn cd(&self) -> PathBuf {
        self.path.join("cd.iso")
    }
    /// The UEFI variables.
    pub(super) fn efi_variables(&self) -> PathBuf {
        self.path.join("efi-variables.fd")
    }
    /// Empties the serial log when it has grown large, and QEMU's own: a guest must not fill this host. Both are
    /// appended to, so that they go on from their start.
    pub(super) fn bound_logs(&self, limit: u64) {
        for path in [self.serial_log(), self.port_log(), self.qemu_log()] {
            let large = fs::metadata(&path).is_ok_and(|found| found.len() > limit);
            if large && let Ok(log) = fs::OpenOptions::new().write(true).open(&path) {
                // One that cannot be emptied now may be the next time.
                let _ = log.set_len(0);
            }
        }
    }

    /// The serial port's log.
    pub(super) fn serial_log(&self) -> PathBuf {
        self.path.join("serial.log")
    }
    /// The second serial port's log.
    pub(super) fn port_log(&self) -> PathBuf {
        self.path.join("port.log")
    }
    /// QEMU's own log.
    pub(super) fn qemu_log(&self) -> PathBuf {
        self.path.join("qemu.log")
    }
    /// The export's log.
    pub(super) fn export_log(&self) -> PathBuf {
        self.path.join("export.log")
    }

    /// Makes sure that the folder is there, durably.
    pub(super) fn ensure(&self) -> Result<()> {
        let state = self.path.parent().unwrap_or(Path::new("/"));
        make_private(state)?;
        make_private(&self.path)?;
        sync_folder(state)
    }

    /// The record; none when the folder is not there or was not finished.
    pub(super) fn record(&self) -> Result<Option<Record>> {
        let path = self.path.join("machine.json");
        let bytes = match fs::read(&path) {
            Err(e) if e.kind() == Io::NotFound => return Ok(None),
            other => other.map_err(|e| Error::io(format!("cannot read '{}'", path.display()), e))?,
        };
        let damaged = || {
            let what = format!("the record '{}' cannot be understood; remove the machine", path.display());
            Error::new(ErrorKind::Damaged, what)
        };
        let record: Record = serde_json::from_slice(&bytes).map_err(|e| damaged().with_source(e))?;
        if record.format == 1 { Ok(Some(record)) } else { Err(damaged()) }
    }

    /// The record of a machine that must be there.
    pub(super) fn existing(&self) -> Result<Record> {
        self.record()?.ok_or_else(|| self.absent())
    }

    /// Writes the record durably.
    pub(super) fn write_record(&self, record: &Record) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(record).map_err(|e| {
            Error::new(ErrorKind::Unsupported, "the machine cannot be recorded").with_source(e)
        })?;
        text.push(b'\n');
        self.publish("machine.json", &text)
    }

    /// Writes a file of the folder so that it appears whole or not at all.
    pub(super) fn publish(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        let temporary = self.path.join(format!("{name}.new"));
        let write = || {
            // The lock is held: nobody else writes this name.
            let mut file = File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|e| Error::io(format!("cannot write '{}'", path.display()), e))?;
        sync_folder(&self.path)
    }

    /// Keeps others off the machine until the answer is dropped.
    pub(super) fn lock(&self) -> Result<File> {
        self.lock_by(File::try_lock)
    }

    /// Keeps others from doing anything with the machine, but lets them read too.
    pub(super) fn lock_shared(&self) -> Result<File> {
        self.lock_by(File::try_lock_shared)
    }

    fn lock_by(&self, try_lock: fn(&File) -> std::result::Result<(), TryLockError>) -> Result<File> {
        let path = self.path.join("lock");
        let failed = |e| Error::io(format!("cannot lock '{}'", path.display()), e);
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            let mut how = File::options();
            let file = match how.create(true).truncate(false).write(true).open(&path) {
                Err(e) if e.kind() == Io::NotFound => return Err(self.absent()),
                other => other.map_err(failed)?,
            };
            match try_lock(&file) {
                // The folder may have been removed, and even made anew, while we waited.
                Ok(()) if is_still_at(&file, &path) => return Ok(file),
                Ok(()) => {}
                Err(TryLockError::Error(e)) => return Err(failed(e)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => {
                    let what = format!("the machine in '{}' is in use; try again later", self.path.display());
                    return Err(Error::new(ErrorKind::Busy, what));
                }
            }
        }
    }

    fn absent(&self) -> Error {
        Error::new(ErrorKind::Absent, format!("there is no machine in '{}'", self.path.display()))
    }

    /// What the folder is called from the moment it is being removed.
    fn removing(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(REMOVING);
        name.into()
    }

    /// Takes the folder's name away, so that it is never found as a whole machine again; `delete` does the rest.
    pub(super) fn begin_removal(&self) -> Result<()> {
        // What an earlier removal left must make room first.
        self.delete()?;
        let removing = self.removing();
        match fs::rename(&self.path, &removing) {
            Err(e) if e.kind() == Io::NotFound => Ok(()),
            Err(e) => Err(Error::io(format!("cannot rename '{}'", self.path.display()), e)),
            Ok(()) => sync_folder(self.path.parent().unwrap_or(Path::new("/"))),
        }
    }

    /// Deletes what [`Folder::begin_removal`] took away.
    pub(super) fn delete(&self) -> Result<()> {
        let removing = self.removing();
        match fs::remove_dir_all(&removing) {
            Err(e) if e.kind() == Io::NotFound => Ok(()),
            Err(e) => Err(Error::io(format!("cannot delete '{}'", removing.display()), e)),
            Ok(()) => sync_folder(self.path.parent().unwrap_or(Path::new("/"))),
        }
    }
}

/// Every tag that a folder carries, in order.
pub(super) fn tags(state: &Path) -> Result<Vec<Tag>> {
    let unreadable = |e| Error::io(format!("cannot list '{}'", state.display()), e);
    let entries = match fs::read_dir(state) {
        Err(e) if e.kind() == Io::NotFound => return Ok(Vec::new()),
        other => other.map_err(unreadable)?,
    };
    let mut tags = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let Some(name) = name.to_str() else { continue };
        // Whatever else lies here is not ours to name.
        tags.extend(Tag::parse(name.strip_suffix(REMOVING).unwrap_or(name)));
    }
    tags.sort();
    tags.dedup();
    Ok(tags)
}

/// Where a machine's sockets go: its folder if their paths fit, else a short private folder in one of `elsewhere`.
pub(super) fn place_sockets(folder: &Path, tag: &Tag, elsewhere: &[PathBuf]) -> Result<PathBuf> {
    let fits = |dir: &Path| dir.join("disk.sock").as_os_str().len() <= MAX_SOCKET_PATH;
    let short = elsewhere.iter().map(|dir| dir.join("shale").join(tag.as_str()));
    std::iter::once(folder.to_owned()).chain(short).find(|dir| fits(dir)).ok_or_else(|| {
        let what = format!(
            "no folder is short enough for the sockets of a machine: '{}' is too long (a socket's path has at \
             most {MAX_SOCKET_PATH} bytes); put the connector's folder elsewhere",
            folder.display()
        );
        Error::new(ErrorKind::Unsupported, what)
    })
}

/// Folders for sockets, best first.
pub(super) fn runtime_folders() -> Vec<PathBuf> {
    let of_user = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_absolute());
    let of_root = rustix::process::geteuid().is_root().then(|| PathBuf::from("/run"));
    let anyones = PathBuf::from(format!("/tmp/shale-{}", rustix::process::geteuid().as_raw()));
    of_user.into_iter().chain(of_root).filter(|p| p.is_dir()).chain([anyones]).collect()
}

/// Makes sure that a folder is there which only we can enter. Refuses one that somebody else laid there.
pub(super) fn make_private(path: &Path) -> Result<()> {
    let failed = |e| Error::io(format!("cannot make the folder '{}'", path.display()), e);
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    // Whoever owns a folder on the way could put another in its place.
    for folder in path.ancestors() {
        let owner = fs::symlink_metadata(folder).map_err(failed)?.uid();
        if owner != rustix::process::geteuid().as_raw() && owner != 0 {
            let what = format!(
                "'{}' belongs to somebody else; remove it or choose another folder",
                folder.display()
            );
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
    }
    Ok(())
}

pub(super) fn sync_folder(path: &Path) -> Result<()> {
    let sync = || File::open(path)?.sync_all();
    sync().map_err(|e| Error::io(format!("cannot make changes in '{}' durable", path.display()), e))
}

fn is_still_at(file: &File, path: &Path) -> bool {
    let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    matches!((file.metadata(), fs::metadata(path)), (Ok(a), Ok(b)) if same(&a, &b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag() -> Tag {
        Tag::parse("0198b2c4-0000-7000-8000-000000000001").unwrap()
    }

    #[test]
    fn a_log_that_has_grown_large_is_emptied_and_written_on_from_its_start() {
        use std::io::Write;
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::of(state.path(), &tag());
        fs::create_dir(&folder.path).unwrap();
        let mut writer = fs::OpenOptions::new().create(true).append(true).open(folder.serial_log()).unwrap();
        writer.write_all(&[b'x'; 100]).unwrap();
        folder.bound_logs(100);
        assert_eq!(fs::metadata(folder.serial_log()).unwrap().len(), 100);
        folder.bound_logs(99);
        writer.write_all(b"more").unwrap();
        assert_eq!(fs::read(folder.serial_log()).unwrap(), b"more");
    }

    #[test]
    fn sockets_lie_in_the_machines_folder_as_long_as_their_paths_fit() {
        let at = |length: usize| PathBuf::from(format!("/{}", "d".repeat(length - 1)));
        let elsewhere = [at(200), "/run/user/1000".into()];
        let disk_sock = "/disk.sock".len();
        let fits = at(107 - disk_sock);
        assert_eq!(place_sockets(&fits, &tag(), &elsewhere).unwrap(), fits);
        let too_long = at(108 - disk_sock);
        let short = place_sockets(&too_long, &tag(), &elsewhere).unwrap();
        assert_eq!(short, Path::new("/run/user/1000/shale").join(tag().as_str()));
        let error = place_sockets(&too_long, &tag(), &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_folder_half_removed_is_still_named_but_is_no_machine() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::of(state.path(), &tag());
        folder.ensure().unwrap();
        fs::create_dir(state.path().join("lost+found")).unwrap();
        folder.begin_removal().unwrap();
        assert_eq!(tags(state.path()).unwrap(), [tag()]);
        assert_eq!(folder.record().unwrap(), None);
        assert_eq!(folder.lock().unwrap_err().kind(), ErrorKind::Absent);

        // Made anew meanwhile: both go.
        folder.ensure().unwrap();
        folder.begin_removal().unwrap();
        folder.delete().unwrap();
        folder.delete().unwrap();
        assert!(tags(state.path()).unwrap().is_empty());
    }

    #[test]
    fn a_record_of_nonsense_or_of_another_format_is_damage() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::of(state.path(), &tag());
        folder.ensure().unwrap();
        for text in ["", "{}", "\0\0\0"] {
            fs::write(folder.path.join("machine.json"), text).unwrap();
            assert_eq!(folder.record().unwrap_err().kind(), ErrorKind::Damaged, "{text:?}");
        }
    }

    #[test]
    fn a_lock_keeps_others_off_until_it_is_dropped() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::of(state.path(), &tag());
        folder.ensure().unwrap();
        let held = folder.lock_shared().unwrap();
        let also = folder.lock_shared().unwrap();
        let other = File::open(folder.path.join("lock")).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop((held, also));
        // Waited for: a process that another test is starting has a copy of the lock until it runs its program.
        other.lock().unwrap();
    }
}
