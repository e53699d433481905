//! Who may change the repository: any number of writers at once, or one collector alone.
//!
//! ```text
//!   lock                       flock: shared = adds things, exclusive = removes things
//!   locks/<name>.json          who: pid and what; flocked by its owner as long as it lives
//!   locks/.<name>              the same, before it is written and has its name
//!   tmp/<name>.<n>             files that this owner has not published yet
//! ```
//!
//! The kernel drops a flock when its owner dies, however it dies, so that nothing here ever needs to be broken by
//! hand: a sidecar that nobody holds is a dead owner's, and so are the temporary files with its name. Readers of a
//! live version take no lock.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::{Watch, place};

/// How long a writer sleeps before it asks again whether the collector is done.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How long a lock that nobody declares is waited for. A process that another thread of a holder is just starting has a copy
/// of every open file, locks too, until it runs its program: for a moment, the lock outlives its holder there. (That of a holder
/// who was killed just then is still declared, and refused for that moment.)
const COPY: Duration = Duration::from_secs(5);
/// How often that is looked at.
const COPY_ROUND: Duration = Duration::from_millis(2);
/// A sidecar is one short line; what is longer was not written by us.
const SIDECAR_LIMIT: u64 = 4096;

/// What a holder may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Adds things; others may too.
    Shared,
    /// Removes things; alone.
    Exclusive,
}

/// Who holds the repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// Process id, on the host that holds it.
    pub pid: u32,
    /// What it does, for a person: `save of version …`, `gc`.
    pub what: String,
    /// Shared or exclusive.
    pub access: Access,
    /// Since when: the time at which its sidecar was written.
    #[serde(skip)]
    pub since: Option<SystemTime>,
}

/// A held lock. Dropping it, or the death of the process, releases it.
pub(crate) struct Lock {
    sidecar: PathBuf,
    name: String,
    temps: AtomicU64,
    // Held for their flocks; closed, and with that released, on drop.
    _repository: File,
    _own: File,
}

impl Lock {
    /// Waits for a shared lock, as long as `watch` lets it: a collector's exclusive phase is short.
    pub fn shared(root: &Path, what: &str, watch: Watch) -> Result<Self> {
        let file = open(root)?;
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Self::declare(root, file, what, Access::Shared),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => return Err(Error::io(cannot_lock(root), e)),
            }
            if watch(0).is_break() {
                return Err(Error::stopped());
            }
            std::thread::sleep(ASK_AGAIN);
        }
    }

    /// A shared lock now, or an error of kind `Busy` that names the holder.
    pub fn shared_now(root: &Path, what: &str) -> Result<Self> {
        let file = open(root)?;
        match unless_a_copy(root, || file.try_lock_shared()) {
            Ok(()) => Self::declare(root, file, what, Access::Shared),
            Err(TryLockError::WouldBlock) => Err(busy(root, what)),
            Err(TryLockError::Error(e)) => Err(Error::io(cannot_lock(root), e)),
        }
    }

    /// The exclusive lock now, or an error of kind `Busy` that names the holders.
    pub fn exclusive_now(root: &Path, what: &str) -> Result<Self> {
        let file = open(root)?;
        match unless_a_copy(root, || file.try_lock()) {
            Ok(()) => Self::declare(root, file, what, Access::Exclusive),
            Err(TryLockError::WouldBlock) => Err(busy(root, what)),
            Err(TryLockError::Error(e)) => Err(Error::io(cannot_lock(root), e)),
        }
    }

    /// Writes the sidecar. It is locked before it gets its name, so that nobody takes it for a dead one's.
    fn declare(root: &Path, repository: File, what: &str, access: Access) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let pid = std::process::id();
        let holder = Holder { pid, what: what.to_owned(), access, since: None };
        let text = serde_json::to_vec(&holder).expect("a holder is plain data");
        loop {
            let name = format!("{pid}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
            let sidecar = root.join(place::LOCKS).join(format!("{name}.json"));
            let unborn = root.join(place::LOCKS).join(format!(".{name}"));
            if sidecar.exists() {
                // Left by a dead process with the same number.
                if is_held(&sidecar) {
                    continue;
                }
                let _ = fs::remove_file(&sidecar);
            }
            let context = || format!("cannot write the lock's note {}", sidecar.display());
            let mut own = File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&unborn)
                .map_err(|e| Error::io(context(), e))?;
            match own.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(e)) => return Err(Error::io(context(), e)),
            }
            own.set_len(0).and_then(|()| own.write_all(&text)).map_err(|e| Error::io(context(), e))?;
            match fs::rename(&unborn, &sidecar) {
                Ok(()) => {}
                // Swept in the moment before it was locked.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::io(context(), e)),
            }
            let temps = AtomicU64::new(0);
            return Ok(Self { sidecar, name, temps, _repository: repository, _own: own });
        }
    }

    /// A name for a temporary file of this holder, never given twice.
    pub fn temp_name(&self) -> String {
        format!("{}.{}", self.name, self.temps.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.sidecar);
    }
}

/// Everybody who holds the repository now. Sidecars of the dead are skipped.
pub(crate) fn holders(root: &Path) -> Vec<Holder> {
    let Ok(entries) = fs::read_dir(root.join(place::LOCKS)) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let live = paths.filter(|path| path.extension().is_some_and(|e| e == "json") && is_held(path));
    live.filter_map(|path| {
        let meta = fs::metadata(&path).ok().filter(|meta| meta.len() <= SIDECAR_LIMIT)?;
        let holder: Holder = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        Some(Holder { since: meta.modified().ok(), ..holder })
    })
    .collect()
}

/// Removes what dead holders left: their sidecars and their temporary files. Returns how many files went.
pub(crate) fn sweep(root: &Path) -> usize {
    let mut removed = 0;
    for folder in [place::TMP, place::LOCKS] {
        let Ok(entries) = fs::read_dir(root.join(folder)) else { continue };
        for entry in entries.flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let sidecar = match name.to_str().and_then(|name| name.split_once('.')) {
                None => continue,
                // About to be one.
                Some(("", _)) => path.clone(),
                Some((owner, _)) => root.join(place::LOCKS).join(format!("{owner}.json")),
            };
            if !is_held(&sidecar) {
                removed += usize::from(fs::remove_file(path).is_ok());
            }
        }
    }
    removed
}

fn is_held(sidecar: &Path) -> bool {
    let Ok(file) = File::open(sidecar) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Tries to lock; one that is held and that nobody declares is tried again for a while.
fn unless_a_copy(
    root: &Path,
    try_lock: impl Fn() -> std::result::Result<(), TryLockError>,
) -> std::result::Result<(), TryLockError> {
    let deadline = Instant::now() + COPY;
    loop {
        match try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline && holders(root).is_empty() => {
                std::thread::sleep(COPY_ROUND);
            }
            tried => return tried,
        }
    }
}

fn open(root: &Path) -> Result<File> {
    let path = root.join(place::LOCK);
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| Error::io(cannot_lock(root), e))
}

fn cannot_lock(root: &Path) -> String {
    format!("cannot lock the repository {}", root.display())
}

fn busy(root: &Path, what: &str) -> Error {
    let holders = holders(root);
    let mut text = format!("the repository {} is in use, so that {what} cannot start", root.display());
    for holder in &holders {
        let seconds = holder.since.and_then(|since| since.elapsed().ok()).map_or(0, |age| age.as_secs());
        text += &format!("; held by process {} for {seconds} s: {}", holder.pid, holder.what);
    }
    Error::new(ErrorKind::Busy, text + ". Try again when that is done")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_lives_on_in_a_process_that_is_being_started_is_waited_for_and_a_holders_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join(place::LOCKS)).unwrap();
        let declared = Lock::exclusive_now(root, "a test").unwrap();
        let refused = Lock::shared_now(root, "another").err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        assert!(refused.to_string().contains("a test"), "{refused}");

        // As such a process has it: the same lock, while its holder is done and its note is gone.
        let copy = declared._repository.try_clone().unwrap();
        drop(declared);
        assert!(holders(root).is_empty());
        assert!(matches!(open(root).unwrap().try_lock_shared(), Err(TryLockError::WouldBlock)));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                drop(copy);
            });
            drop(Lock::shared_now(root, "another").unwrap());
        });
    }
}
