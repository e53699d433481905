//! Script and files of an unattended run, from the request until the task ends: as they will be on the machine's CD.
//!
//! ```text
//!   <data>/runs/new-…/                laid ready, before the request's transaction begins; gone with the request that fails
//!          │ renamed, in that transaction
//!   <data>/runs/<version>/kit/        whole or not there
//!            setup.sh                 the script
//!            …                        files that go with it
//!            shale-run.json           what the machine is to do
//!   <data>/runs/<version>/output      what the script printed; stays as long as the task is known
//! ```

use crate::cd::Source;
use crate::error::{Error, Result};
use shale_guest::script::{ORDERS, Orders};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// A file that goes with a script.
pub struct Attached {
    /// Its name.
    pub name: String,
    /// Where its bytes are. It is linked to, or copied.
    pub path: PathBuf,
}

/// Files that lie ready to be put where they belong; gone when dropped before.
pub struct Staged {
    path: PathBuf,
    is_put: bool,
}

impl Staged {
    /// Lays script, files and orders ready in `above`, which is made.
    pub fn kit(above: &Path, orders: &Orders, script: &[u8], files: &[Attached]) -> Result<Self> {
        let more = |new: &Path| {
            write(&new.join(&orders.script), script)?;
            write(&new.join(ORDERS), &serde_json::to_vec(orders)?)
        };
        Self::new(above, files, more)
    }

    /// The same, of files alone.
    pub fn files(above: &Path, files: &[Attached]) -> Result<Self> {
        Self::new(above, files, |_| Ok(()))
    }

    fn new(above: &Path, files: &[Attached], more: impl FnOnce(&Path) -> io::Result<()>) -> Result<Self> {
        let path = above.join(format!("{NEW}{}", Uuid::now_v7()));
        let staged = Self { path, is_put: false };
        lay(&staged.path, files, more).map_err(|e| cannot(&staged.path, e))?;
        Ok(staged)
    }

    /// Puts them into `folder`, whose parent is made. One that is there is replaced: nobody uses it yet.
    pub fn put(mut self, folder: &Path) -> Result<()> {
        let above = folder.parent().unwrap_or(Path::new("/"));
        let put = || {
            DirBuilder::new().recursive(true).mode(0o700).create(above)?;
            remove(folder)?;
            fs::rename(&self.path, folder)?;
            File::open(above)?.sync_all()
        };
        put().map_err(|e| cannot(folder, e))?;
        self.is_put = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_put {
            let _ = fs::remove_dir_all(&self.path); // else a later clearing takes it
        }
    }
}

/// How the name of a folder begins in which files lie ready.
const NEW: &str = "new-";

/// Whether a folder is one in which files lie ready.
pub fn is_staged(folder: &fs::DirEntry) -> bool {
    folder.file_name().to_str().is_some_and(|name| name.starts_with(NEW))
}

/// Whether it is one, and older than any request: of a server that was cut off.
pub fn is_forgotten(folder: &fs::DirEntry) -> bool {
    let age = folder.metadata().and_then(|found| found.modified()).ok().and_then(|at| at.elapsed().ok());
    is_staged(folder) && age.is_some_and(|age| age > Duration::from_secs(24 * 3600))
}

fn cannot(folder: &Path, e: io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::StorageFull => {
            Error::unavailable("The server's disk is full: make room, then try again.")
                .with_status(507)
                .because(e)
        }
        _ => Error::unavailable(format!("{} cannot be made", folder.display())).because(e),
    }
}

fn lay(new: &Path, files: &[Attached], more: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(new)?;
    for file in files {
        let to = new.join(&file.name);
        if fs::hard_link(&file.path, &to).is_err() {
            // It lies on another file system.
            fs::copy(&file.path, &to)?;
            File::open(&to)?.sync_all()?;
        }
    }
    more(new)?;
    File::open(new)?.sync_all()
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes sure that a folder is not there.
pub fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The files of a kit, for a CD, by name.
pub fn sources(folder: &Path) -> Result<Vec<Source>> {
    let read = || -> io::Result<Vec<Source>> {
        let mut sources = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            sources.push(Source { name, size: entry.metadata()?.len(), path: entry.path(), offset: 0 });
        }
        sources.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(sources)
    };
    read().map_err(|e| {
        Error::internal(format!("the script and its files are not in {}", folder.display())).because(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shale_guest::script::{OnFailure, OnRestart};

    #[test]
    fn a_kit_is_what_it_was_made_of_and_replaces_one_of_a_try_before() {
        let folder = tempfile::tempdir().unwrap();
        let (runs, kit) = (folder.path().join("runs"), folder.path().join("runs/one/kit"));
        fs::create_dir_all(&kit).unwrap();
        fs::write(kit.join("old"), "of a try before").unwrap();
        let upload = folder.path().join("upload");
        fs::write(&upload, "attached").unwrap();
        let orders = Orders {
            run: "one".into(),
            script: "setup.sh".into(),
            on_failure: OnFailure::StayOn,
            on_restart: OnRestart::default(),
        };
        let files = [Attached { name: "app.deb".into(), path: upload.clone() }];
        drop(Staged::kit(&runs, &orders, b"exit 1", &files).unwrap());
        let staged = Staged::kit(&runs, &orders, b"dpkg -i app.deb", &files).unwrap();
        fs::remove_file(upload).unwrap();
        assert!(kit.join("old").exists(), "it is where it belongs only once it is put there");
        staged.put(&kit).unwrap();
        let names: Vec<_> = sources(&kit).unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["app.deb", "setup.sh", ORDERS]);
        assert_eq!(fs::read_to_string(kit.join("app.deb")).unwrap(), "attached");
        assert_eq!(Orders::read(&kit).unwrap(), Some(orders));
        assert_eq!(fs::read_dir(&runs).unwrap().count(), 1, "nothing else is left");
    }
}
