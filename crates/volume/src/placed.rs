//! A few files of ours in an operating system: put there, and taken out again.
//!
//! ```text
//!   disk ─▶ its operating system's volume ─▶ put: folders that lack, files, links ─▶ Changes
//!                                        └─▶ take_out: they go, with what is in them ─▶ Changes
//! ```
//!
//! Only the folders on the way are read, so that it takes no time whatever the disk holds.

use std::sync::Arc;

use shale_disk::{Disk, Error, ErrorKind, Result};

use crate::changes::Changes;
use crate::exclude::Family;
use crate::files::{Attributes, Entry, Facts, Files, Filling, Kind, Making, Moment, Program, show};
use crate::known::Known;
use crate::os::os_volume;

/// Folders inside a folder that is taken out.
const DEPTH: u32 = 16;

/// A file or link to be put somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// From the root of the volume, without a slash in front.
    pub path: &'static str,
    /// Permissions, where the system knows them.
    pub mode: u16,
    /// What it is.
    pub what: What,
}

/// What is put at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link to this path.
    Link(&'static str),
}

/// Puts things into the operating system that `changes` shows, in place of what is there. `things` is asked for its family, once
/// that is known, and when the content of what is at a path changed, if something is there. `now` is the time, in seconds since 1970, that they have. After an error `changes` is
/// to be thrown away.
pub fn put(
    program: &Program,
    changes: &Arc<Changes>,
    now: i64,
    things: impl FnOnce(Family, &mut dyn FnMut(&str) -> Result<Option<Moment>>) -> Result<Vec<Placed>>,
) -> Result<()> {
    let disk: Arc<dyn Disk> = Arc::new(changes.disk());
    let os = os_volume(program, &disk)?;
    let mut system = System { files: Files::open_to_write(program, changes.clone(), os.range)?, now };
    let things =
        things(os.family, &mut |path| Ok(system.find(path)?.map(|(_, _, entry)| entry.facts.modified)))?;
    for thing in &things {
        system.put(thing)?;
    }
    system.files.close()
}

/// Takes things out of the operating system that `changes` shows, folders with all that is in them; what is not there is fine.
/// Answers how many were there. After an error `changes` is to be thrown away.
pub fn take_out(program: &Program, changes: &Arc<Changes>, paths: &[&str]) -> Result<usize> {
    let mut system = System::open_to_write(program, changes)?;
    let mut gone = 0;
    for path in paths {
        gone += usize::from(system.take_out(path)?);
    }
    system.files.close()?;
    Ok(gone)
}

/// The first `limit` bytes of a file of the operating system on `disk`; none where there is no such file.
pub fn read(program: &Program, disk: &Arc<dyn Disk>, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
    let os = os_volume(program, disk)?;
    let mut system = System { files: Files::open(program, disk.clone(), os.range)?, now: 0 };
    let bytes = system.beginning(path, limit)?.map(|(bytes, _)| bytes);
    system.files.close()?;
    Ok(bytes)
}

/// A file system that is open, to be read or changed.
pub(crate) struct System {
    files: Files,
    now: i64,
}

impl System {
    /// The operating system that `changes` shows, to be changed.
    pub(crate) fn open_to_write(program: &Program, changes: &Arc<Changes>) -> Result<Self> {
        let disk: Arc<dyn Disk> = Arc::new(changes.disk());
        let os = os_volume(program, &disk)?;
        Ok(Self { files: Files::open_to_write(program, changes.clone(), os.range)?, now: 0 })
    }

    /// Ends with everything written.
    pub(crate) fn close(self) -> Result<()> {
        self.files.close()
    }

    /// All of a file; none where there is no such file, or a longer one.
    pub(crate) fn whole(&mut self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let found = self.beginning(path, limit)?;
        Ok(found.filter(|(bytes, size)| bytes.len() as u64 == *size).map(|(bytes, _)| bytes))
    }

    /// The first `limit` bytes of a file, and how many it has; none where there is no such file.
    fn beginning(&mut self, path: &str, limit: u64) -> Result<Option<(Vec<u8>, u64)>> {
        let Some((_, _, entry)) = self.find(path)?.filter(|(_, _, entry)| entry.kind == Kind::File) else {
            return Ok(None);
        };
        let map = self.files.map(entry.node, b"")?;
        let mut bytes = vec![0; map.size.min(limit) as usize];
        self.files.read(entry.node, b"", &map, 0, &mut bytes)?;
        Ok(Some((bytes, map.size)))
    }

    /// Gives a file that is there another content, and leaves all else of it: its owner, who may read it, its times.
    pub(crate) fn rewrite(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let Some((folder, _, entry)) = self.find(path)? else {
            return Err(Error::new(ErrorKind::Unsupported, format!("there is no '/{path}'")));
        };
        self.fill(entry.node, bytes)?;
        self.files.describe(entry.node, folder, &entry.facts, &entry.attributes)
    }

    fn fill(&mut self, node: u64, bytes: &[u8]) -> Result<()> {
        let size = bytes.len() as u64;
        let ranges: Vec<_> = (size > 0).then_some(0..size).into_iter().collect();
        let content = &mut |at: u64, buffer: &mut [u8]| {
            let at = at as usize;
            buffer.copy_from_slice(&bytes[at..at + buffer.len()]);
            Ok(())
        };
        self.files.fill(node, b"", Filling { size, ranges: &ranges, compressed: false, content })
    }

    /// The entry of this name in a folder.
    fn in_folder(&mut self, folder: u64, name: &str) -> Result<Option<(Vec<u8>, Entry)>> {
        let is_ntfs = self.files.kind() == Known::Ntfs;
        let is_it = |found: &[u8]| match is_ntfs {
            true => found.eq_ignore_ascii_case(name.as_bytes()),
            false => found == name.as_bytes(),
        };
        Ok(self.files.folder(folder)?.into_iter().find(|(found, _)| is_it(found)))
    }

    /// The folder that a path is in, and its entry; none where something on the way is not there, or is no folder.
    fn find(&mut self, path: &str) -> Result<Option<(u64, Vec<u8>, Entry)>> {
        let mut folder = self.files.root();
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            let Some((found, entry)) = self.in_folder(folder, name)? else { return Ok(None) };
            if names.peek().is_none() {
                return Ok(Some((folder, found, entry)));
            }
            if entry.kind != Kind::Folder {
                return Ok(None);
            }
            folder = entry.node;
        }
        Ok(None)
    }

    fn put(&mut self, thing: &Placed) -> Result<()> {
        let (above, name) = thing.path.rsplit_once('/').unwrap_or(("", thing.path));
        let parent = self.folder(above)?;
        if let Some((found, entry)) = self.in_folder(parent, name)? {
            self.remove(parent, &found, &entry, 0)?;
        }
        let kind = match &thing.what {
            What::File(_) => Kind::File,
            What::Link(target) => Kind::Link { target: target.as_bytes().to_vec() },
        };
        let node = self.files.make(Making { parent, name: name.as_bytes(), kind: &kind })?;
        if let What::File(bytes) = &thing.what {
            self.fill(node, bytes)?;
        }
        self.describe(node, parent, thing.mode)
    }

    /// The node of a folder, which is made if need be, with those above it.
    fn folder(&mut self, path: &str) -> Result<u64> {
        let mut parent = self.files.root();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            parent = match self.in_folder(parent, name)? {
                Some((_, entry)) if entry.kind == Kind::Folder => entry.node,
                Some(_) => {
                    let text = format!("'/{path}' cannot be made: '{name}' is no folder");
                    return Err(Error::new(ErrorKind::Unsupported, text));
                }
                None => {
                    let making = Making { parent, name: name.as_bytes(), kind: &Kind::Folder };
                    let node = self.files.make(making)?;
                    self.describe(node, parent, 0o755)?;
                    node
                }
            };
        }
        Ok(parent)
    }

    /// Of root, made now.
    fn describe(&mut self, node: u64, parent: u64, mode: u16) -> Result<()> {
        let now = Moment { seconds: self.now, nanoseconds: 0 };
        let facts = Facts { mode, modified: now, accessed: now, changed: now, born: now, ..Facts::default() };
        self.files.describe(node, parent, &facts, &Attributes::new())
    }

    /// Whether something was there.
    fn take_out(&mut self, path: &str) -> Result<bool> {
        let Some((folder, name, entry)) = self.find(path)? else { return Ok(false) };
        self.remove(folder, &name, &entry, 0)?;
        Ok(true)
    }

    fn remove(&mut self, folder: u64, name: &[u8], entry: &Entry, depth: u32) -> Result<()> {
        if entry.kind == Kind::Folder {
            if depth == DEPTH {
                let text = format!("the folder '{}' lies too deep to be removed", show(name));
                return Err(Error::new(ErrorKind::Unsupported, text));
            }
            for (name, inside) in self.files.folder(entry.node)? {
                self.remove(entry.node, &name, &inside, depth + 1)?;
            }
        }
        self.files.remove(folder, name)
    }
}
