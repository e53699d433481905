//! All entries of a file system by their paths.

use std::collections::{BTreeMap, HashSet};

use shale_disk::{Error, ErrorKind, Result, Watch};

use crate::diff::told;
use crate::files::{Entry, Files, Kind, show};

/// Folders inside folders.
pub(crate) const DEPTH: usize = 1024;
/// Entries that are kept in memory, at some hundred bytes each.
const ENTRIES: usize = 4 << 20;

/// Path to entry. A path has no slash in front, and the root's is empty; in the order of bytes a folder comes before what
/// it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<Vec<u8>, Entry>);

impl Tree {
    /// Everything in `files`. Refuses folders that contain themselves or are in two places, and absurd depths.
    /// `watch` is asked for each folder whether to go on.
    pub fn read(files: &mut Files, watch: Watch) -> Result<Self> {
        let root = files.root();
        let mut found = BTreeMap::from([(Vec::new(), files.entry(root)?)]);
        let mut seen = HashSet::from([root]);
        let mut folders = vec![(Vec::new(), root, 0)];
        while let Some((path, node, depth)) = folders.pop() {
            told(watch, 0)?;
            for (name, entry) in files.folder(node).map_err(|e| about(&path, e))? {
                let path = join(&path, &name);
                if entry.kind == Kind::Folder {
                    if !seen.insert(entry.node) {
                        return Err(corrupt(&path, "is a folder that is also somewhere else"));
                    }
                    if depth == DEPTH {
                        return Err(corrupt(&path, "lies too deep"));
                    }
                    folders.push((path.clone(), entry.node, depth + 1));
                }
                found.insert(path, entry);
                if found.len() > ENTRIES {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "the file system has more than four million entries",
                    ));
                }
            }
        }
        Ok(Self(found))
    }

    /// Names of each file that has several, in order: node to paths.
    pub fn names(&self) -> BTreeMap<u64, Vec<&[u8]>> {
        let mut names: BTreeMap<u64, Vec<&[u8]>> = BTreeMap::new();
        for (path, entry) in &self.0 {
            if entry.kind != Kind::Folder && entry.links > 1 {
                names.entry(entry.node).or_default().push(path);
            }
        }
        names
    }

    /// Paths below a folder, without its own.
    pub fn below(&self, path: &[u8]) -> impl Iterator<Item = (&Vec<u8>, &Entry)> {
        let start = if path.is_empty() { vec![0] } else { [path, b"/"].concat() };
        let prefix = if path.is_empty() { Vec::new() } else { start.clone() };
        self.0.range(start..).take_while(move |(path, _)| path.starts_with(&prefix))
    }
}

/// The path of `name` in a folder.
pub(crate) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

/// Folder and name of a path; `None` for the root.
pub(crate) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => Some((&path[..at], &path[at + 1..])),
        None if path.is_empty() => None,
        None => Some((&[], path)),
    }
}

fn about(path: &[u8], e: Error) -> Error {
    Error::new(e.kind(), format!("the folder '/{}' cannot be read", show(path))).with_source(e)
}

fn corrupt(path: &[u8], what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("'/{}' {what}: check the file system with its own tool", show(path)),
    )
}
