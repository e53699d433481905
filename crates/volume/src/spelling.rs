//! How layers spell paths on file systems that ignore case: there names that differ in case only are one name.
//!
//! ```text
//!   disk: name ─▶ layer 0 renames name to Name ─▶ layer 1 puts NAME: that is Name
//! ```
//!
//! A layer's entry is spelled as the disk or a lower layer spells it, folder by folder from the root on. One that a layer
//! renames from another spelling gets the new one, which holds for the layers above. In a folder with case every name is
//! its own.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::delta::{Body, Change, Delta};
use crate::files::{Attributes, Kind};
use crate::hive::name::fold;
use crate::tree::{Tree, join, split};

/// Three numbers about versions; Windows tells a folder with case by those of [`WITH_CASE`].
const VERSIONS: &[u8] = b"system.ntfs_versions";
const WITH_CASE: [u8; 8] = [0, 0, 0, 0, 1, 0, 0, 0];

/// `layers`, the lowest first, with paths spelled as the disk and lower layers spell them. `None`: they are as they are.
pub(crate) fn spelled(layers: &[&Delta], base: &Tree) -> Option<Vec<Delta>> {
    if !layers.iter().any(|delta| delta.kind.ignores_case()) {
        return None;
    }
    let mut spelling = Spelling::of(base, layers);
    Some(layers.iter().map(|delta| spelling.of_delta(delta)).collect())
}

/// A path without case.
type Folded = Vec<u16>;

struct Spelling {
    /// How paths that layers name are spelled: several where folders above them or they themselves have case.
    known: HashMap<Folded, Vec<Vec<u8>>>,
    /// Folders whose names differ by case.
    with_case: HashSet<Vec<u8>>,
}

/// A delta whose paths are being spelled.
struct Respelled<'a> {
    delta: &'a Delta,
    /// How many spellings it has of one name in one folder.
    spellings: HashMap<(&'a [u8], Folded), usize>,
    paths: HashMap<&'a [u8], Vec<u8>>,
}

impl Spelling {
    fn of(base: &Tree, layers: &[&Delta]) -> Self {
        let mut known: HashMap<Folded, Vec<Vec<u8>>> = HashMap::new();
        for mut path in layers.iter().flat_map(|delta| delta.changes.keys()).map(Vec::as_slice) {
            while known.insert(folded(path), Vec::new()).is_none()
                && let Some((folder, _)) = split(path)
            {
                path = folder;
            }
        }
        let mut with_case = HashSet::new();
        for (path, entry) in &base.0 {
            if let Some(spellings) = known.get_mut(&folded(path)) {
                spellings.push(path.clone());
            }
            if entry.kind == Kind::Folder && has_case(&entry.attributes) {
                with_case.insert(path.clone());
            }
        }
        Self { known, with_case }
    }

    /// The delta with paths spelled as they were before.
    fn of_delta(&mut self, delta: &Delta) -> Delta {
        let mut respelled = Respelled { delta, spellings: HashMap::new(), paths: HashMap::new() };
        for (folder, name) in delta.changes.keys().filter_map(|path| split(path)) {
            *respelled.spellings.entry((folder, folded(name))).or_default() += 1;
        }
        let mut changes = BTreeMap::new();
        let mut firsts = Vec::new();
        for (path, change) in &delta.changes {
            let new = self.spell(path, &mut respelled);
            let mut change = change.clone();
            if let Change::Put(item) = &mut change {
                match &mut item.body {
                    Body::NameOf(first) => {
                        *first = self.spell_known(first, &mut respelled);
                        firsts.push((new.clone(), first.clone()));
                    }
                    Body::Moved(from) => {
                        *from = self.spell_known(from, &mut respelled);
                        // It has the new spelling already.
                        if *from == new {
                            item.body = Body::Kept;
                        }
                    }
                    _ => {}
                }
            }
            // What is renamed to a spelling that is there already is not removed.
            if change != Change::Removed || !changes.contains_key(&new) {
                changes.insert(new, change);
            }
        }
        first_names_first(&mut changes, firsts);
        let was =
            delta.was.iter().map(|(path, was)| (self.spell_known(path, &mut respelled), *was)).collect();
        let spelled = Delta { kind: delta.kind, changes, was };
        self.learn(&spelled);
        spelled
    }

    /// Folders of a path are in no delta deeper than [`Delta::check`] allows.
    fn spell<'a>(&self, path: &'a [u8], of: &mut Respelled<'a>) -> Vec<u8> {
        if let Some(spelled) = of.paths.get(path) {
            return spelled.clone();
        }
        let spelled = match split(path) {
            None => Vec::new(),
            Some((above, name)) => {
                let folder = self.spell(above, of);
                let is_put = matches!(of.delta.changes.get(path), Some(Change::Put(_)));
                let is_renamed =
                    is_put && of.spellings.get(&(above, folded(name))).is_some_and(|count| *count > 1);
                let has_case = match of.delta.changes.get(above) {
                    Some(Change::Put(item)) => has_case(&item.attributes),
                    _ => self.with_case.contains(&folder),
                };
                let own = join(&folder, name);
                if is_renamed || has_case { own } else { self.as_known(own, &folder) }
            }
        };
        of.paths.insert(path, spelled.clone());
        spelled
    }

    /// A path that the delta has.
    fn spell_known(&self, path: &[u8], of: &mut Respelled) -> Vec<u8> {
        match of.delta.changes.get_key_value(path) {
            Some((path, _)) => self.spell(path, of),
            None => path.to_vec(),
        }
    }

    fn as_known(&self, own: Vec<u8>, folder: &[u8]) -> Vec<u8> {
        let Some(spellings) = self.known.get(&folded(&own)) else { return own };
        let is_here = |path: &&Vec<u8>| split(path).is_some_and(|(above, _)| above == folder);
        match spellings.contains(&own) {
            true => own,
            false => spellings.iter().find(is_here).cloned().unwrap_or(own),
        }
    }

    /// What a delta puts is there for those above it.
    fn learn(&mut self, delta: &Delta) {
        let mut put: HashSet<Folded> = HashSet::new();
        for (path, change) in &delta.changes {
            let Change::Put(item) = change else { continue };
            put.insert(folded(path));
            if item.kind == Kind::Folder && has_case(&item.attributes) {
                self.with_case.insert(path.clone());
            } else {
                self.with_case.remove(path);
            }
        }
        for (path, change) in &delta.changes {
            let spellings = self.known.entry(folded(path)).or_default();
            match change {
                Change::Put(_) if !spellings.contains(path) => spellings.push(path.clone()),
                Change::Removed if put.contains(&folded(path)) => spellings.retain(|known| known != path),
                _ => {}
            }
        }
    }
}

/// A first name must come first in its new spelling, too; otherwise the names change their parts.
fn first_names_first(changes: &mut BTreeMap<Vec<u8>, Change>, firsts: Vec<(Vec<u8>, Vec<u8>)>) {
    let body = |changes: &BTreeMap<Vec<u8>, Change>, path: &[u8]| match changes.get(path) {
        Some(Change::Put(item)) => Some(item.body.clone()),
        _ => None,
    };
    for (path, first) in firsts.into_iter().filter(|(path, first)| path < first) {
        let new = body(changes, &first).filter(|body| !matches!(body, Body::NameOf(_)));
        let (Some(new), Some(Body::NameOf(_))) = (new, body(changes, &path)) else { continue };
        for (of, change) in changes.iter_mut() {
            let Change::Put(item) = change else { continue };
            if *of == path {
                item.body = new.clone();
            } else if *of == first || item.body == Body::NameOf(first.clone()) {
                item.body = Body::NameOf(path.clone());
            }
        }
    }
}

fn has_case(attributes: &Attributes) -> bool {
    attributes.get(VERSIONS).is_some_and(|numbers| numbers.starts_with(&WITH_CASE))
}

/// What paths that differ in case only have in common; bytes that are no UTF-8 are themselves.
fn folded(path: &[u8]) -> Folded {
    let mut folded = Vec::with_capacity(path.len());
    for part in path.utf8_chunks() {
        folded.extend(part.valid().encode_utf16().map(fold));
        folded.extend(part.invalid().iter().map(|byte| 0xdc00 | u16::from(*byte)));
    }
    folded
}
