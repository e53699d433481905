//! The files of an operating system on a disk, by their paths. What is not there is no error; what is there and cannot be read
//! counts as not there, and is noted.

use super::room::{Held, Room};
use super::rules::Change;
use jiff::Timestamp;
use shale_disk::{Error, ErrorKind, Result};
use shale_guest::facts::Unasked;
use shale_guest::linux::Look;
use shale_volume::files::{Entry, Files, Kind};
use shale_volume::hive::Hive;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Names of a folder that are looked at, at most: ten times what the folders have that are looked at.
const NAMES: usize = 1000;
/// Notes that are kept of what could not be read: more are not told either.
const NOTES: usize = 100;
/// Links that lead to links.
const LINKS: u32 = 40;
/// Where kernels lie, by absolute path.
const BOOT: &str = "/boot";

type Folder = Rc<Vec<(Vec<u8>, Entry)>>;

/// An open file system and the folders of it that were read.
struct Tree {
    files: Files,
    folders: HashMap<u64, (Folder, Held)>,
    room: Room,
}

impl Tree {
    fn new(files: Files, room: &Room) -> Self {
        Self { files, folders: HashMap::new(), room: room.clone() }
    }

    fn folder(&mut self, node: u64) -> Result<Folder> {
        if let Some((known, _)) = self.folders.get(&node) {
            return Ok(known.clone());
        }
        let read = Rc::new(self.files.folder(node)?);
        let held = self.room.take(read.iter().map(weight).sum())?;
        self.folders.insert(node, (read.clone(), held));
        Ok(read)
    }

    fn root(&mut self) -> Result<Entry> {
        let root = self.files.root();
        self.files.entry(root)
    }

    /// The entry at `path`, its links followed; the last one's only if `follow`.
    fn find(&mut self, path: &[u8], ignore_case: bool, follow: bool) -> Result<Option<Entry>> {
        let mut way = vec![self.root()?];
        let mut todo: Vec<Vec<u8>> = parts(path);
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == b".." {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let Some(here) = way.last().filter(|entry| entry.kind == Kind::Folder) else { return Ok(None) };
            let is_it = |found: &[u8]| match ignore_case {
                true => found.eq_ignore_ascii_case(&name),
                false => found == name,
            };
            let folder = self.folder(here.node)?;
            let Some((_, entry)) = folder.iter().find(|(found, _)| is_it(found)) else { return Ok(None) };
            match &entry.kind {
                Kind::Link { target } if follow || !todo.is_empty() => {
                    links += 1;
                    if links > LINKS {
                        return Err(Error::new(ErrorKind::Corrupt, "its links lead in a circle"));
                    }
                    if target.starts_with(b"/") {
                        way.truncate(1);
                    }
                    todo.extend(parts(target));
                }
                _ => way.push(entry.clone()),
            }
        }
        Ok(way.pop())
    }

    fn bytes(&mut self, entry: &Entry, limit: u64) -> Result<(Vec<u8>, Held)> {
        let map = self.files.map(entry.node, b"")?;
        if map.size > limit {
            let text = format!("it is larger than {} MiB", limit >> 20);
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        let held = self.room.take(map.size)?;
        let mut bytes = vec![0; map.size as usize];
        self.files.read(entry.node, b"", &map, 0, &mut bytes)?;
        Ok((bytes, held))
    }
}

/// Bytes of memory that an entry of a folder takes, about.
fn weight((name, entry): &(Vec<u8>, Entry)) -> u64 {
    let attributes = entry.attributes.iter().map(|(name, value)| 64 + name.len() + value.len());
    let streams = entry.streams.iter().map(|stream| 64 + stream.name.len());
    (256 + name.len() + attributes.sum::<usize>() + streams.sum::<usize>()) as u64
}

/// The names of a path, the last one first.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".");
    names.rev().map(<[u8]>::to_vec).collect()
}

/// The files of an operating system.
pub struct System {
    root: RefCell<Tree>,
    boot: Option<RefCell<Tree>>,
    ignore_case: bool,
    unasked: RefCell<Vec<Unasked>>,
}

impl System {
    /// Those of a volume. Names that differ in case only are one on Windows (`ignore_case`). What is read of them lies in `room`.
    pub fn new(files: Files, ignore_case: bool, room: &Room) -> Self {
        let root = RefCell::new(Tree::new(files, room));
        Self { root, boot: None, ignore_case, unasked: RefCell::default() }
    }

    /// Takes a volume for `/boot` if it has kernels.
    pub fn offer_boot(&mut self, files: Files, room: &Room) {
        let mut tree = Tree::new(files, room);
        let has_kernels =
            |folder: Folder| folder.iter().any(|(name, _)| name.starts_with(b"vmlinu") || name == b"grub");
        let root = tree.files.root();
        if self.boot.is_none() && tree.folder(root).is_ok_and(has_kernels) {
            self.boot = Some(RefCell::new(tree));
        }
    }

    /// What could not be read.
    pub fn unasked(&self) -> Vec<Unasked> {
        self.unasked.take()
    }

    /// The newest of the changes of these files and folders. What `old`, where the machine began, has of the same time did not
    /// change in it, however late that is: the clock it was written by may have been another one.
    pub fn newest_change(&self, paths: &[&str], old: Option<&System>) -> Option<Change> {
        let changes = paths.iter().filter_map(|path| {
            let at = self.entry(path)?.facts.modified;
            if old.and_then(|old| old.entry(path)).is_some_and(|entry| entry.facts.modified == at) {
                return None;
            }
            let at = Timestamp::new(at.seconds, i32::try_from(at.nanoseconds).ok()?).ok()?;
            Some(Change { path: (*path).to_owned(), at })
        });
        changes.max_by_key(|change| change.at)
    }

    /// Notes that something could not be read, for a reason of ours.
    pub fn note_text(&self, what: &str, why: &str) {
        let mut unasked = self.unasked.borrow_mut();
        if unasked.len() < NOTES {
            unasked.push(Unasked { what: what.to_owned(), why: why.to_owned() });
        }
    }

    /// Notes that something could not be read.
    pub fn note(&self, what: &str, why: &dyn std::error::Error) {
        self.note_text(what, &crate::error::chain(why));
    }

    /// Where a path lies, and its rest there.
    fn tree<'a>(&self, path: &'a str) -> (&RefCell<Tree>, &'a str) {
        match (&self.boot, path.strip_prefix(BOOT)) {
            (Some(boot), Some(rest)) if rest.is_empty() || rest.starts_with('/') => (boot, rest),
            _ => (&self.root, path),
        }
    }

    /// The value; nothing, and a note, where it could not be had.
    fn noted<T>(&self, path: &str, got: Result<Option<T>>) -> Option<T> {
        got.unwrap_or_else(|e| {
            self.note(path, &e);
            None
        })
    }

    /// What is at a path, its links followed.
    pub fn entry(&self, path: &str) -> Option<Entry> {
        let (tree, rest) = self.tree(path);
        self.noted(path, tree.borrow_mut().find(rest.as_bytes(), self.ignore_case, true))
    }

    /// The content of a file, if it is there, and the room that it takes. One of more than `limit` bytes cannot be read.
    pub fn bytes(&self, path: &str, limit: u64) -> Option<(Vec<u8>, Held)> {
        let entry = self.entry(path).filter(|entry| entry.kind == Kind::File)?;
        let (tree, _) = self.tree(path);
        self.noted(path, tree.borrow_mut().bytes(&entry, limit).map(Some))
    }

    /// The hive in a file, if that is there, with what of it is only in its logs; or why it is none. None of them has more than
    /// `limit` bytes.
    pub fn hive(&self, path: &str, limit: u64) -> Option<Result<(Hive<'static>, Held)>> {
        let (bytes, held) = self.bytes(path, limit)?;
        let logs = ["LOG1", "LOG2"].map(|log| self.bytes(&format!("{path}.{log}"), limit));
        let [first, second] = logs.each_ref().map(|log| log.as_ref().map(|(bytes, _)| bytes.as_slice()));
        Some(Hive::replay(bytes, first, second).map(|hive| (hive, held)))
    }
}

impl Look for System {
    fn has(&self, path: &str) -> bool {
        let (tree, rest) = self.tree(path);
        self.noted(path, tree.borrow_mut().find(rest.as_bytes(), self.ignore_case, false)).is_some()
    }

    fn text_up_to(&self, path: &str, limit: u64) -> Option<String> {
        self.bytes(path, limit).map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let Some(entry) = self.entry(folder).filter(|entry| entry.kind == Kind::Folder) else {
            return Vec::new();
        };
        let (tree, _) = self.tree(folder);
        let found = self.noted(folder, tree.borrow_mut().folder(entry.node).map(Some));
        if found.as_ref().is_some_and(|found| found.len() > NAMES) {
            self.note_text(folder, "it has more entries than are looked at");
        }
        let names = found.iter().flat_map(|folder| folder.iter()).take(NAMES);
        names.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    }
}
