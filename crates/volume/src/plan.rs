//! What several deltas make together, before a byte is written.
//!
//! ```text
//!   delta 0 (lowest) ─┐                     ┌─ changes: for every path the layer that wins
//!   delta 1          ─┼─ fold, in order ──▶ Plan
//!   delta 2 (highest) ┘     base Tree ──┘   └─ conflicts: what each layer loses to which, and why
//! ```
//!
//! The higher layer wins where two say something of one path. Folders are merged: both layers' entries are in them, and
//! the higher one's metadata wins, which is no conflict unless it differs in more than times. A file that takes the place
//! of a folder takes away what lower layers put below it. A removal by a lower layer yields to whatever a higher one puts
//! at that place or below. What a higher layer does to an entry that is as a lower one left it was made on top of that
//! layer, and is no conflict.
//!
//! A file that has a rule ([`crate::merge`]) is put together from what is there and all that layers did to it:
//! [`Plan::merged`].
//!
//! On NTFS names that differ in case only are one name: a layer's entry is spelled as the disk or a lower layer spells it.
//! A layer that itself has both spellings (it renamed one, or has a folder with case) keeps them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::delta::{Body, Change, Content, Delta, Item, Streams, Was, timeless};
use crate::files::{Kind, show};
use crate::known::Known;
use crate::merge;
use crate::tree::{Tree, join, split};

/// A change and the layer it comes from: its place in the order, 0 the lowest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Which layer.
    pub layer: usize,
    /// Which layer's content it has: a lower one's, where the higher one changes only metadata.
    pub body_of: usize,
    /// What it does.
    pub change: Change,
}

/// What a layer did to a file that is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which layer.
    pub layer: usize,
    /// The rule's name.
    pub rule: String,
    /// What it does.
    pub difference: Content,
}

/// What is to be done with a file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Path to what happens there.
    pub changes: BTreeMap<Vec<u8>, Planned>,
    /// In the order in which they were found.
    pub conflicts: Vec<Conflict>,
    /// Files to be put together, and by what, the lowest layer first: from the content that is planned there or, where that
    /// is [`Body::Merged`], from what is on the disk. [`Plan::replace`] puts the result in.
    pub merged: BTreeMap<Vec<u8>, Vec<Part>>,
    /// Where contents are kept, by digest: the layer, and the offset there.
    pub kept: HashMap<[u8; 32], (usize, u64)>,
}

/// A place where a layer does not get what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Where.
    pub path: Vec<u8>,
    /// Whose change is not made.
    pub loser: usize,
    /// Whose change stands against it; `None`: what is on the disk.
    pub winner: Option<usize>,
    /// Why.
    pub why: Why,
}

/// Why a change is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Both layers change this entry.
    BothChange,
    /// A higher layer has something else where the folder of this entry was.
    FolderReplaced,
    /// A higher layer keeps or puts something at or below what is removed.
    StillNeeded,
    /// It changes an entry that the disk does not have, without bringing its content.
    Missing,
    /// Its folder is not there, or is something else.
    NoFolder,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = show(&self.path);
        match self.why {
            Why::BothChange => {
                write!(f, "'/{path}' is changed by more than one layer, and the higher one's is taken")
            }
            Why::FolderReplaced => {
                write!(f, "'/{path}' is in a folder that a higher layer removes or replaces")
            }
            Why::StillNeeded => write!(f, "'/{path}' is removed by one layer and used by a higher one"),
            Why::NoFolder => write!(f, "'/{path}' is in a folder that is not on this disk"),
            Why::Missing => write!(f, "'/{path}' is changed but not on this disk"),
        }
    }
}

/// What `layers`, the lowest first, do to a file system that is as `base`. All are of its kind.
pub fn plan(layers: &[&Delta], base: &Tree) -> Plan {
    let respelled: Vec<Delta>;
    let mut spelled = layers.to_vec();
    if layers.iter().any(|delta| delta.kind == Known::Ntfs) {
        let mut spelling = Spelling::of(base);
        respelled = layers.iter().map(|delta| spelling.of_delta(delta)).collect();
        spelled = respelled.iter().collect();
    }
    let layers = &spelled[..];
    let mut plan = Plan::default();
    plan.kept.insert(Content::empty().digest, (0, 0));
    for (layer, delta) in layers.iter().enumerate() {
        for (path, change) in &delta.changes {
            plan.add(layer, path, change, delta.was.get(path), base);
            let Change::Put(item) = change else { continue };
            for content in item.contents() {
                plan.kept.entry(content.digest).or_insert((layer, content.offset));
            }
        }
    }
    plan.name_anew(layers);
    plan.drop_missing(base, layers);
    plan.drop_without_folder(base);
    plan
}

/// How paths are spelled: without case to how it was first.
struct Spelling(HashMap<String, Vec<u8>>);

impl Spelling {
    fn of(base: &Tree) -> Self {
        Self(base.0.keys().map(|path| (folded(path), path.clone())).collect())
    }

    /// The delta with paths spelled as they were before.
    fn of_delta(&mut self, delta: &Delta) -> Delta {
        let mut count: HashMap<String, usize> = HashMap::new();
        delta.changes.keys().for_each(|path| *count.entry(folded(path)).or_default() += 1);
        let mut spell = |path: &[u8]| match count.get(&folded(path)) {
            Some(2..) => path.to_vec(),
            _ => self.spell(path),
        };
        let mut changes = BTreeMap::new();
        let mut firsts = Vec::new();
        for (path, change) in &delta.changes {
            let mut change = change.clone();
            if let Change::Put(Item { body: Body::NameOf(first), .. }) = &mut change {
                *first = spell(first);
                firsts.push((spell(path), first.clone()));
            }
            changes.insert(spell(path), change);
        }
        // A first name must come first in its new spelling, too; otherwise the names change their parts.
        for (path, first) in firsts.into_iter().filter(|(path, first)| path < first) {
            let body = |changes: &BTreeMap<Vec<u8>, Change>, path: &[u8]| match changes.get(path) {
                Some(Change::Put(item)) => Some(item.body.clone()),
                _ => None,
            };
            let new = body(&changes, &first).filter(|body| !matches!(body, Body::NameOf(_)));
            if let (Some(new), Some(Body::NameOf(_))) = (new, body(&changes, &path)) {
                for (of, change) in &mut changes {
                    let Change::Put(item) = change else { continue };
                    if *of == path {
                        item.body = new.clone();
                    } else if *of == first || item.body == Body::NameOf(first.clone()) {
                        item.body = Body::NameOf(path.clone());
                    }
                }
            }
        }
        let was = delta.was.iter().map(|(path, was)| (spell(path), *was)).collect();
        Delta { kind: delta.kind, changes, was }
    }

    fn spell(&mut self, path: &[u8]) -> Vec<u8> {
        if let Some(known) = self.0.get(&folded(path)) {
            return known.clone();
        }
        let spelled = match split(path) {
            Some((folder, name)) => join(&self.spell(folder), name),
            None => Vec::new(),
        };
        self.0.insert(folded(path), spelled.clone());
        spelled
    }
}

fn folded(path: &[u8]) -> String {
    String::from_utf8_lossy(path).to_uppercase()
}

impl Plan {
    /// Gives the file that is planned at `path` another content, which `layer` (of those that [`crate::apply::apply`] gets)
    /// keeps; its metadata stays. What was in conflict there is none any more. `false` if no file is planned there.
    pub fn replace(&mut self, path: &[u8], layer: usize, content: Content) -> bool {
        let Some(Planned { change: Change::Put(item), .. }) = self.changes.get_mut(path) else {
            return false;
        };
        if item.kind != Kind::File || matches!(item.body, Body::NameOf(_)) {
            return false;
        }
        self.kept.insert(content.digest, (layer, content.offset));
        item.body = Body::New(Streams::from([(Vec::new(), content)]));
        self.conflicts.retain(|conflict| conflict.path != path);
        true
    }

    fn add(&mut self, layer: usize, path: &[u8], change: &Change, was: Option<&Was>, base: &Tree) {
        self.make_way(layer, path, change);
        if !is_folder(change) {
            self.take_below(layer, path);
        }
        let had = self.changes.remove(path);
        let lower = had.as_ref().filter(|had| had.layer != layer);
        if let Some(had) =
            lower.filter(|had| is_lost(&had.change, change, was, base.0.get(path).and_then(Was::of)))
        {
            let why = if had.change == Change::Removed { Why::StillNeeded } else { Why::BothChange };
            let (path, loser) = (path.to_vec(), had.layer);
            self.conflicts.push(Conflict { path, loser, winner: Some(layer), why });
        }
        let planned = self.over(lower, layer, path, change);
        self.changes.insert(path.to_vec(), planned);
    }

    /// A change on top of what a lower layer has there.
    fn over(&mut self, had: Option<&Planned>, layer: usize, path: &[u8], change: &Change) -> Planned {
        let plain = Planned { layer, body_of: layer, change: change.clone() };
        let Change::Put(item) = change else {
            self.merged.remove(path);
            return plain;
        };
        let lower = match had {
            Some(Planned { body_of, change: Change::Put(lower), .. }) if is_like(&lower.kind, &item.kind) => {
                Some((*body_of, lower))
            }
            _ => None,
        };
        let (body_of, body) = match (&item.body, lower) {
            (Body::Merged { rule, difference }, lower) => {
                let part = Part { layer, rule: rule.clone(), difference: (**difference).clone() };
                match (had, lower) {
                    (_, Some((body_of, lower))) if !matches!(lower.body, Body::Kept | Body::NameOf(_)) => {
                        self.merged.entry(path.to_vec()).or_default().push(part);
                        (body_of, lower.body.clone())
                    }
                    (None, _) | (_, Some(_)) => {
                        self.merged.insert(path.to_vec(), vec![part]);
                        (layer, item.body.clone())
                    }
                    // It is gone, or was something else.
                    (Some(_), None) => {
                        self.merged.insert(path.to_vec(), vec![part]);
                        (layer, Body::New(Streams::from([(Vec::new(), Content::empty())])))
                    }
                }
            }
            // What a lower layer makes must be made, whatever the higher one changes of it.
            (Body::Kept, Some((body_of, lower))) => (body_of, lower.body.clone()),
            (Body::Filled(streams), Some((_, lower))) => {
                self.merged.remove(path);
                (layer, filled(streams, &lower.body))
            }
            (body, _) => {
                self.merged.remove(path);
                (layer, body.clone())
            }
        };
        Planned { layer, body_of, change: Change::Put(Item { body, ..item.clone() }) }
    }

    /// Lower layers' removals and files in place of the folders of `path` yield to what is put there.
    fn make_way(&mut self, layer: usize, path: &[u8], change: &Change) {
        if *change == Change::Removed {
            return;
        }
        let mut at = path;
        while let Some((folder, _)) = split(at) {
            at = folder;
            let Some(had) = self.changes.get(folder).filter(|had| had.layer != layer) else { continue };
            if !is_folder(&had.change) {
                let why = if had.change == Change::Removed { Why::StillNeeded } else { Why::BothChange };
                self.conflicts.push(Conflict {
                    path: folder.to_vec(),
                    loser: had.layer,
                    winner: Some(layer),
                    why,
                });
                self.changes.remove(folder);
            }
        }
    }

    /// What lower layers have below a path that is no folder any more goes.
    fn take_below(&mut self, layer: usize, path: &[u8]) {
        let start = [path, b"/"].concat();
        let below = self.changes.range(start.clone()..).take_while(|(path, _)| path.starts_with(&start));
        let lost: Vec<Vec<u8>> =
            below.filter(|(_, had)| had.layer != layer).map(|(path, _)| path.clone()).collect();
        for path in lost {
            if let Some(had) = self.changes.remove(&path).filter(|had| had.change != Change::Removed) {
                let why = Why::FolderReplaced;
                self.conflicts.push(Conflict { path, loser: had.layer, winner: Some(layer), why });
            }
        }
    }

    /// Where a layer lost the first name of a file, the next of its names becomes the first.
    fn name_anew(&mut self, layers: &[&Delta]) {
        let mut firsts: BTreeMap<(usize, Vec<u8>), Vec<u8>> = BTreeMap::new();
        let stands = |changes: &BTreeMap<Vec<u8>, Planned>, layer, first: &[u8]| {
            changes.get(first).is_some_and(|planned| planned.body_of == layer)
        };
        let paths: Vec<Vec<u8>> = self.changes.keys().cloned().collect();
        for path in paths {
            let Some(Planned { body_of, change: Change::Put(item), .. }) = self.changes.get(&path) else {
                continue;
            };
            let Body::NameOf(first) = &item.body else { continue };
            let key = (*body_of, first.clone());
            if stands(&self.changes, key.0, &key.1) {
                continue;
            }
            let body = match (firsts.get(&key), layers[key.0].changes.get(&key.1)) {
                (Some(first), _) => Body::NameOf(first.clone()),
                (None, Some(Change::Put(lost))) => lost.body.clone(),
                (None, _) => continue,
            };
            firsts.entry(key).or_insert_with(|| path.clone());
            if let Some(Planned { change: Change::Put(item), .. }) = self.changes.get_mut(&path) {
                item.body = body;
            }
        }
    }

    /// What only changes an entry needs that entry.
    fn drop_missing(&mut self, base: &Tree, layers: &[&Delta]) {
        let (conflicts, merged) = (&mut self.conflicts, &mut self.merged);
        let needs_origin = |rule: &str| {
            layers
                .first()
                .and_then(|delta| merge::named(delta.kind, rule))
                .is_some_and(|rule| rule.needs_origin())
        };
        self.changes.retain(|path, planned| {
            let Change::Put(item) = &mut planned.change else { return base.0.contains_key(path) };
            if base.0.get(path).is_some_and(|entry| is_like(&entry.kind, &item.kind)) {
                return true;
            }
            let body = match &item.body {
                Body::New(_) | Body::NameOf(_) => return true,
                Body::Kept if item.kind == Kind::Folder => Some(Streams::new()),
                Body::Merged { rule, .. } if !needs_origin(rule) => {
                    Some(Streams::from([(Vec::new(), Content::empty())]))
                }
                Body::Kept | Body::Merged { .. } => None,
                Body::Filled(streams) => {
                    streams.iter().map(|(name, content)| Some((name.clone(), content.clone()?))).collect()
                }
            };
            let Some(body) = body else {
                merged.remove(path);
                let (path, loser) = (path.clone(), planned.layer);
                conflicts.push(Conflict { path, loser, winner: None, why: Why::Missing });
                return false;
            };
            item.body = Body::New(body);
            true
        });
    }
}

impl Plan {
    /// What would be in a folder that is not there goes. Folders come before what is in them.
    fn drop_without_folder(&mut self, base: &Tree) {
        let paths: Vec<Vec<u8>> = self.changes.keys().cloned().collect();
        for path in paths {
            let Some((folder, _)) = split(&path) else { continue };
            let is_there = match self.changes.get(folder) {
                Some(planned) => is_folder(&planned.change),
                None => {
                    folder.is_empty() || base.0.get(folder).is_some_and(|entry| entry.kind == Kind::Folder)
                }
            };
            let is_put = self.changes.get(&path).is_some_and(|planned| planned.change != Change::Removed);
            if !is_there
                && is_put
                && let Some(Planned { layer: loser, .. }) = self.changes.remove(&path)
            {
                self.merged.remove(&path);
                self.conflicts.push(Conflict { path, loser, winner: None, why: Why::NoFolder });
            }
        }
    }
}

fn is_folder(change: &Change) -> bool {
    matches!(change, Change::Put(item) if item.kind == Kind::Folder)
}

fn is_like(kind: &Kind, other: &Kind) -> bool {
    std::mem::discriminant(kind) == std::mem::discriminant(other)
}

/// Whether something that a lower layer did is not there any more because of what a higher one does. `was` is what the higher
/// one found there when it was made, and `base` is on the disk.
fn is_lost(had: &Change, change: &Change, was: Option<&Was>, base: Option<Was>) -> bool {
    let is_kept = match (had, change) {
        (Change::Put(low), Change::Put(high)) if low.kind == Kind::File && high.kind == Kind::File => {
            match (&low.body, &high.body) {
                (Body::Kept, Body::Kept) => false,
                (_, Body::Kept | Body::Merged { .. }) => true,
                _ => false,
            }
        }
        (Change::Removed, Change::Put(_)) => was.is_none() && base.is_none(),
        _ => false,
    };
    !is_kept && !is_agreed(had, change) && !is_on_top(had, was, base)
}

/// Whether a change was made to what a lower layer left.
fn is_on_top(had: &Change, was: Option<&Was>, base: Option<Was>) -> bool {
    let (Change::Put(item), Some(was)) = (had, was) else { return false };
    let size = match &item.body {
        Body::New(streams) => Some(streams.get(&b""[..]).map_or(0, |content| content.size)),
        Body::Filled(streams) => match streams.get(&b""[..]) {
            Some(Some(content)) => Some(content.size),
            _ => base.map(|base| base.size),
        },
        Body::Kept => base.map(|base| base.size),
        // What several make together has a size that none of them says.
        Body::Merged { .. } | Body::NameOf(_) => Some(was.size),
    };
    item.kind != Kind::Folder && size == Some(was.size) && item.facts.modified == was.modified
}

/// The streams of a file that a layer changes after a lower one: those it leaves as they are come from there.
fn filled(streams: &BTreeMap<Vec<u8>, Option<Content>>, lower: &Body) -> Body {
    let lower = |name: &Vec<u8>| match lower {
        Body::New(streams) => streams.get(name).cloned(),
        Body::Filled(streams) => streams.get(name).cloned().flatten(),
        _ => None,
    };
    let all: BTreeMap<_, _> = streams
        .iter()
        .map(|(name, content)| (name.clone(), content.clone().or_else(|| lower(name))))
        .collect();
    let whole: Option<Streams> =
        all.iter().map(|(name, content)| Some((name.clone(), content.clone()?))).collect();
    whole.map_or(Body::Filled(all), Body::New)
}

/// Whether two layers say the same, or what they say of a folder differs in times only.
fn is_agreed(a: &Change, b: &Change) -> bool {
    let (Change::Put(a), Change::Put(b)) = (a, b) else { return a == b };
    let same_metadata =
        timeless(a.facts) == timeless(b.facts) && a.attributes == b.attributes && a.kind == b.kind;
    let digests =
        |item: &Item| item.contents().map(|content| (content.digest, content.size)).collect::<Vec<_>>();
    same_metadata && (a.kind == Kind::Folder || (digests(a) == digests(b) && name_of(a) == name_of(b)))
}

fn name_of(item: &Item) -> Option<&[u8]> {
    match &item.body {
        Body::NameOf(first) => Some(first),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Attributes, Entry, Facts, Stream};

    fn item(kind: Kind, mode: u16, body: Body) -> Change {
        let facts = Facts { mode, ..Facts::default() };
        Change::Put(Item { kind, facts, attributes: Attributes::new(), body })
    }

    fn file(byte: u8) -> Change {
        item(Kind::File, 0o644, Body::New(streams(byte)))
    }

    fn streams(byte: u8) -> Streams {
        let digest = [byte; 32];
        let content = Content {
            size: 1,
            ranges: std::iter::once(0..1).collect(),
            compressed: false,
            digest,
            offset: 0,
        };
        Streams::from([(Vec::new(), content)])
    }

    fn folder() -> Change {
        item(Kind::Folder, 0o755, Body::New(Streams::new()))
    }

    fn delta(changes: &[(&str, Change)]) -> Delta {
        let changes =
            changes.iter().map(|(path, change)| (path.as_bytes().to_vec(), change.clone())).collect();
        let delta = Delta { kind: Known::Ext, changes, was: BTreeMap::new() };
        delta.check().unwrap();
        delta
    }

    fn base(paths: &[(&str, Kind)]) -> Tree {
        let entry = |kind: &Kind| Entry {
            node: 1,
            kind: kind.clone(),
            facts: Facts::default(),
            links: 1,
            attributes: Attributes::new(),
            streams: vec![Stream { name: Vec::new(), size: 1 }],
        };
        Tree(paths.iter().map(|(path, kind)| (path.as_bytes().to_vec(), entry(kind))).collect())
    }

    fn told(plan: &Plan) -> Vec<(&str, usize)> {
        plan.changes
            .iter()
            .map(|(path, planned)| (std::str::from_utf8(path).unwrap(), planned.layer))
            .collect()
    }

    fn why(plan: &Plan) -> Vec<(&str, usize, Why)> {
        let told = |conflict: &'_ Conflict| (conflict.loser, conflict.why);
        plan.conflicts.iter().map(|c| (std::str::from_utf8(&c.path).unwrap(), told(c).0, told(c).1)).collect()
    }

    #[test]
    fn the_higher_layer_wins_and_the_loss_is_told_unless_both_say_the_same() {
        let low = delta(&[("a", file(1)), ("b", file(2)), ("c", file(3))]);
        let high = delta(&[("b", file(2)), ("c", file(4))]);
        let plan = plan(&[&low, &high], &Tree::default());
        assert_eq!(told(&plan), [("a", 0), ("b", 1), ("c", 1)]);
        assert_eq!(why(&plan), [("c", 0, Why::BothChange)]);
    }

    #[test]
    fn folders_are_merged() {
        let low = delta(&[("d", folder()), ("d/low", file(1))]);
        let high = delta(&[("d", item(Kind::Folder, 0o755, Body::Kept)), ("d/high", file(2))]);
        let plan = plan(&[&low, &high], &Tree::default());
        assert_eq!(told(&plan), [("d", 1), ("d/high", 1), ("d/low", 0)]);
        assert!(plan.conflicts.is_empty());
        let Change::Put(made) = &plan.changes[&b"d"[..]].change else { panic!() };
        assert_eq!(made.body, Body::New(Streams::new()), "somebody must make the folder");
    }

    #[test]
    fn a_removal_yields_to_what_a_higher_layer_puts_below_it() {
        let low = delta(&[("d", Change::Removed), ("e", Change::Removed)]);
        let high = delta(&[("d/new", file(1))]);
        let plan = plan(&[&low, &high], &base(&[("d", Kind::Folder), ("e", Kind::File)]));
        assert_eq!(told(&plan), [("d/new", 1), ("e", 0)]);
        assert_eq!(why(&plan), [("d", 0, Why::StillNeeded)]);
    }

    #[test]
    fn what_is_in_a_folder_that_a_higher_layer_removes_or_replaces_goes() {
        for change in [Change::Removed, file(9)] {
            let low = delta(&[("d", folder()), ("d.x", file(1)), ("d/a", file(1)), ("d/b", file(2))]);
            let plan = plan(&[&low, &delta(&[("d", change)])], &base(&[("d", Kind::Folder)]));
            assert_eq!(told(&plan), [("d", 1), ("d.x", 0)]);
            assert_eq!(why(&plan)[..2], [("d/a", 0, Why::FolderReplaced), ("d/b", 0, Why::FolderReplaced)]);
        }
    }

    #[test]
    fn the_next_name_of_a_file_brings_its_content_where_the_first_is_lost() {
        let name = || item(Kind::File, 0o644, Body::NameOf(b"a".to_vec()));
        let low = delta(&[("a", file(1)), ("b", name()), ("c", name())]);
        let plan = plan(&[&low, &delta(&[("a", file(2))])], &Tree::default());
        let body = |path: &[u8]| match &plan.changes[path].change {
            Change::Put(item) => item.body.clone(),
            Change::Removed => panic!(),
        };
        assert_eq!(body(b"b"), Body::New(streams(1)));
        assert_eq!(body(b"c"), Body::NameOf(b"b".to_vec()));
    }

    #[test]
    fn a_change_to_what_is_not_there_is_told_unless_it_brings_all() {
        let filled = |content: Option<Content>| Body::Filled(BTreeMap::from([(Vec::new(), content)]));
        let content = streams(1).remove(&[][..]);
        let delta = delta(&[
            ("gone", Change::Removed),
            ("kept", item(Kind::File, 0, Body::Kept)),
            ("part", item(Kind::File, 0, filled(None))),
            ("whole", item(Kind::File, 0, filled(content))),
        ]);
        let plan = plan(&[&delta], &Tree::default());
        assert_eq!(told(&plan), [("whole", 0)]);
        assert_eq!(why(&plan), [("kept", 0, Why::Missing), ("part", 0, Why::Missing)]);
    }

    #[test]
    fn on_ntfs_names_that_differ_in_case_are_one() {
        let ntfs = |changes: &[(&str, Change)]| Delta { kind: Known::Ntfs, ..delta(changes) };
        let first =
            ntfs(&[("Apps", folder()), ("Apps/Tool.dll", file(1)), ("windows/system32/x.dll", file(2))]);
        let second = ntfs(&[("APPS", folder()), ("APPS/tool.DLL", file(3)), ("APPS/other", file(4))]);
        let there = base(&[("Windows", Kind::Folder), ("Windows/System32", Kind::Folder)]);
        let plan = plan(&[&first, &second], &there);
        let expected = [("Apps", 1), ("Apps/Tool.dll", 1), ("Apps/other", 1), ("Windows/System32/x.dll", 0)];
        assert_eq!(told(&plan), expected);
        assert_eq!(why(&plan), [("Apps/Tool.dll", 0, Why::BothChange)]);
    }

    #[test]
    fn a_layer_that_changes_the_case_of_a_name_does_so() {
        let renamed = Delta { kind: Known::Ntfs, ..delta(&[("Name", file(1)), ("name", Change::Removed)]) };
        let plan = plan(&[&renamed], &base(&[("name", Kind::File)]));
        assert_eq!(told(&plan), [("Name", 0), ("name", 0)]);
    }

    #[test]
    fn the_first_name_of_a_file_comes_first_in_its_new_spelling_too() {
        let name = |of: &str| item(Kind::File, 0o644, Body::NameOf(of.as_bytes().to_vec()));
        let layer = Delta {
            kind: Known::Ntfs,
            ..delta(&[("A/x", file(1)), ("B/x", name("A/x")), ("C/x", name("A/x"))])
        };
        let plan = plan(&[&layer], &base(&[("B", Kind::Folder), ("C", Kind::Folder), ("a", Kind::Folder)]));
        let body = |path: &[u8]| match &plan.changes[path].change {
            Change::Put(item) => item.body.clone(),
            Change::Removed => panic!(),
        };
        assert_eq!(body(b"B/x"), Body::New(streams(1)));
        assert_eq!(body(b"C/x"), Body::NameOf(b"B/x".to_vec()));
        assert_eq!(body(b"a/x"), Body::NameOf(b"B/x".to_vec()));
    }
}
