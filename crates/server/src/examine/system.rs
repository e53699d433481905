//! The files of an operating system on a disk, by their paths. What is not there is no error; what is there and cannot be read
//! counts as not there, and is noted.

use super::rules::Change;
use jiff::Timestamp;
use shale_disk::{Error, ErrorKind, Result};
use shale_guest::facts::Unasked;
use shale_guest::linux::Look;
use shale_volume::files::{Entry, Files, Kind};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Most that is read of a file, in bytes: package databases and hives are a tenth of it.
const FILE_LIMIT: u64 = 256 << 20;
/// Links that lead to links.
const LINKS: u32 = 40;
/// Where kernels lie, by absolute path.
const BOOT: &str = "/boot";

type Folder = Rc<Vec<(Vec<u8>, Entry)>>;

/// An open file system and the folders of it that were read.
struct Tree {
    files: Files,
    folders: HashMap<u64, Folder>,
}

impl Tree {
    fn new(files: Files) -> Self {
        Self { files, folders: HashMap::new() }
    }

    fn folder(&mut self, node: u64) -> Result<Folder> {
        if let Some(known) = self.folders.get(&node) {
            return Ok(known.clone());
        }
        let read = Rc::new(self.files.folder(node)?);
        self.folders.insert(node, read.clone());
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

    fn bytes(&mut self, entry: &Entry) -> Result<Vec<u8>> {
        let map = self.files.map(entry.node, b"")?;
        if map.size > FILE_LIMIT {
            return Err(Error::new(ErrorKind::Unsupported, "it is larger than 256 MiB"));
        }
        let mut bytes = vec![0; map.size as usize];
        self.files.read(entry.node, b"", &map, 0, &mut bytes)?;
        Ok(bytes)
    }
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
    /// Those of a volume. Names that differ in case only are one on Windows (`ignore_case`).
    pub fn new(files: Files, ignore_case: bool) -> Self {
        Self { root: RefCell::new(Tree::new(files)), boot: None, ignore_case, unasked: RefCell::default() }
    }

    /// Takes a volume for `/boot` if it has kernels.
    pub fn offer_boot(&mut self, files: Files) {
        let mut tree = Tree::new(files);
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

    /// The newest of the changes of these files and folders.
    pub fn newest_change(&self, paths: &[&str]) -> Option<Change> {
        let changes = paths.iter().filter_map(|path| {
            let at = self.entry(path)?.facts.modified;
            let at = Timestamp::new(at.seconds, i32::try_from(at.nanoseconds).ok()?).ok()?;
            Some(Change { path: (*path).to_owned(), at })
        });
        changes.max_by_key(|change| change.at)
    }

    /// Notes that something could not be read, for a reason of ours.
    pub fn note_text(&self, what: &str, why: &str) {
        self.unasked.borrow_mut().push(Unasked { what: what.to_owned(), why: why.to_owned() });
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

    /// The content of a file, if it is there.
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let entry = self.entry(path).filter(|entry| entry.kind == Kind::File)?;
        let (tree, _) = self.tree(path);
        self.noted(path, tree.borrow_mut().bytes(&entry).map(Some))
    }
}

impl Look for System {
    fn has(&self, path: &str) -> bool {
        let (tree, rest) = self.tree(path);
        self.noted(path, tree.borrow_mut().find(rest.as_bytes(), self.ignore_case, false)).is_some()
    }

    fn text(&self, path: &str) -> Option<String> {
        self.bytes(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let Some(entry) = self.entry(folder).filter(|entry| entry.kind == Kind::Folder) else {
            return Vec::new();
        };
        let (tree, _) = self.tree(folder);
        let found = self.noted(folder, tree.borrow_mut().folder(entry.node).map(Some));
        let names = found.iter().flat_map(|folder| folder.iter());
        names.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    }
}
