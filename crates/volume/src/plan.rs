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
//! A file that a layer moved is the one that is at its old path below that layer: of the disk, or of a lower layer.
//!
//! A file that has a rule ([`crate::merge`]) is put together from what is there and all that layers did to it:
//! [`Plan::merged`].
//!
//! What a layer describes without bringing its content has the times of the content that is there, unless the layer set them.
//!
//! On NTFS names that differ in case only are one name: [`crate::spelling`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use crate::delta::{Body, Change, Content, Delta, Item, Streams, Was, timeless};
use crate::files::{Facts, Kind, show};
use crate::merge;
use crate::spelling::spelled;
use crate::tree::{Tree, split};

/// A change and the layer it comes from: its place in the order, 0 the lowest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Which layer.
    pub layer: usize,
    /// Which layer's content it has: a lower one's, where the higher one changes only metadata.
    pub body_of: usize,
    /// Where the file is on the disk that is moved to this path first; its body is [`Body::Kept`] or [`Body::Filled`] then.
    pub from: Option<Vec<u8>>,
    /// What it does; never [`Body::Moved`].
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
    match spelled(layers, base) {
        Some(spelled) => of_spelled(&spelled.iter().collect::<Vec<_>>(), base),
        None => of_spelled(layers, base),
    }
}

/// The same of layers whose paths are [`spelled`].
pub(crate) fn of_spelled(layers: &[&Delta], base: &Tree) -> Plan {
    let mut plan = Plan::default();
    plan.kept.insert(Content::empty().digest, (0, 0));
    for (layer, delta) in layers.iter().enumerate() {
        let mut moved = plan.moved(layer, delta, base);
        plan.agree_on_moved(delta, &moved);
        for (path, change) in &delta.changes {
            let plain = || Planned { layer, body_of: layer, from: None, change: change.clone() };
            match moved.remove(path).unwrap_or_else(|| Some(plain())) {
                Some(planned) => plan.add(path, planned, delta.was.get(path), base),
                None => plan.miss(path, layer),
            }
            let Change::Put(item) = change else { continue };
            for content in item.contents() {
                plan.kept.entry(content.digest).or_insert((layer, content.offset));
            }
        }
    }
    // Before a file's next name is looked for: that brings what a name that is dropped would have.
    plan.drop_without_folder(base);
    plan.name_anew(layers);
    plan.drop_missing(base, layers);
    plan.drop_unmoved();
    // Again: what was dropped since may be a folder.
    plan.drop_without_folder(base);
    plan
}

impl Plan {
    /// Gives the file that is planned at `path` another content, which `layer` (of those that [`crate::apply::apply`] gets)
    /// keeps; its metadata stays. What was in conflict there is none any more. `false` if no file is planned there.
    pub fn replace(&mut self, path: &[u8], layer: usize, content: Content) -> bool {
        let Some(Planned { change: Change::Put(item), from, .. }) = self.changes.get_mut(path) else {
            return false;
        };
        if item.kind != Kind::File || matches!(item.body, Body::NameOf(_)) {
            return false;
        }
        self.kept.insert(content.digest, (layer, content.offset));
        item.body = Body::New(Streams::from([(Vec::new(), content)]));
        *from = None;
        self.conflicts.retain(|conflict| conflict.path != path);
        true
    }

    /// The files that a delta moves, each with what is planned at its new place; `None`: there is no such file below it.
    fn moved(&self, layer: usize, delta: &Delta, base: &Tree) -> HashMap<Vec<u8>, Option<Planned>> {
        let mut moved = HashMap::new();
        for (path, change) in &delta.changes {
            let Change::Put(item @ Item { body: Body::Moved(from), .. }) = change else { continue };
            let was = delta.was.get(from);
            let is_done = || {
                let there = base.0.get(path).filter(|entry| entry.kind == Kind::File).and_then(Was::of);
                let was = was.map(|was| Was { modified: item.facts.modified, ..*was });
                let lower = self.changes.get(path).and_then(|planned| planned.from.as_ref());
                lower == Some(from) || (was.is_some() && there == was)
            };
            let put = |body, facts| Change::Put(Item { body, facts, ..item.clone() });
            let planned = match self.source(layer, from, base) {
                Some(Source { body, body_of, from, facts }) => {
                    let change = put(body, fitting(item.facts, was, Some(&facts)));
                    Some(Planned { layer, body_of, from, change })
                }
                None if is_done() => {
                    let change = put(Body::Kept, item.facts);
                    Some(Planned { layer, body_of: layer, from: None, change })
                }
                None => None,
            };
            moved.insert(path.clone(), planned);
        }
        moved
    }

    /// What lower layers did to the content of a file that is moved goes with it: its old path is no conflict.
    fn agree_on_moved(&mut self, delta: &Delta, moved: &HashMap<Vec<u8>, Option<Planned>>) {
        for path in moved.iter().filter_map(|(path, planned)| planned.as_ref().map(|_| path)) {
            let Some(Change::Put(Item { body: Body::Moved(from), facts, attributes, .. })) =
                delta.changes.get(path)
            else {
                continue;
            };
            let is_carried = |change: &Change| match change {
                Change::Put(item) => {
                    timeless(item.facts) == timeless(*facts) && item.attributes == *attributes
                }
                Change::Removed => false,
            };
            let is_removed = delta.changes.get(from) == Some(&Change::Removed);
            if is_removed && self.changes.get(from).is_some_and(|had| is_carried(&had.change)) {
                self.changes.remove(from);
            }
        }
    }

    /// The file that is at this path below a layer.
    fn source(&self, layer: usize, path: &[u8], base: &Tree) -> Option<Source> {
        let on_disk = base.0.get(path).filter(|entry| entry.kind == Kind::File && entry.links == 1);
        let Some(planned) = self.changes.get(path) else {
            let facts = on_disk.filter(|_| !self.is_below_gone(path))?.facts;
            return Some(Source { body: Body::Kept, body_of: layer, from: Some(path.to_vec()), facts });
        };
        let Change::Put(item @ Item { kind: Kind::File, facts, .. }) = &planned.change else { return None };
        let is_part = match &item.body {
            Body::New(_) => false,
            Body::Filled(streams) => streams.values().any(Option::is_none),
            Body::Kept => true,
            Body::NameOf(_) | Body::Moved(_) | Body::Merged { .. } => return None,
        };
        let from = match (is_part, &planned.from) {
            (false, _) => None,
            (true, Some(from)) => Some(from.clone()),
            (true, None) => Some(on_disk.map(|_| path.to_vec())?),
        };
        let body = if from.is_some() { item.body.clone() } else { filled(&item.body, &Body::Kept) };
        Some(Source { body, body_of: planned.body_of, from, facts: *facts })
    }

    /// Whether a folder of this path is removed, or something else.
    fn is_below_gone(&self, path: &[u8]) -> bool {
        let folders = std::iter::successors(split(path), |(folder, _)| split(folder));
        folders
            .into_iter()
            .any(|(folder, _)| self.changes.get(folder).is_some_and(|planned| !is_folder(&planned.change)))
    }

    /// A moved file must be gone from where it was, and can be at one new place.
    fn drop_unmoved(&mut self) {
        let mut moved: HashSet<&[u8]> = HashSet::new();
        let mut lost = Vec::new();
        for (path, planned) in &self.changes {
            let Some(from) = &planned.from else { continue };
            let is_gone = match self.changes.get(from) {
                Some(Planned { change: Change::Removed, .. } | Planned { from: Some(_), .. }) => true,
                Some(Planned { change: Change::Put(item), .. }) => {
                    matches!(item.body, Body::New(_) | Body::NameOf(_))
                }
                None => self.is_below_gone(from),
            };
            if !is_gone || !moved.insert(from) {
                lost.push((path.clone(), planned.layer));
            }
        }
        for (path, layer) in lost {
            self.changes.remove(&path);
            self.merged.remove(&path);
            self.miss(&path, layer);
        }
    }

    /// A layer's change finds nothing to be made of.
    fn miss(&mut self, path: &[u8], loser: usize) {
        self.conflicts.push(Conflict { path: path.to_vec(), loser, winner: None, why: Why::Missing });
    }

    fn add(&mut self, path: &[u8], planned: Planned, was: Option<&Was>, base: &Tree) {
        let layer = planned.layer;
        self.make_way(layer, path, &planned.change);
        if !is_folder(&planned.change) {
            self.take_below(layer, path);
        }
        let had = self.changes.remove(path);
        let lower = had.as_ref().filter(|had| had.layer != layer);
        let there = base.0.get(path);
        if let Some(had) = lower.filter(|had| is_lost(had, &planned, was, there.and_then(Was::of))) {
            let why = if had.change == Change::Removed { Why::StillNeeded } else { Why::BothChange };
            let (path, loser) = (path.to_vec(), had.layer);
            self.conflicts.push(Conflict { path, loser, winner: Some(layer), why });
        }
        let there = match lower.map(|lower| &lower.change) {
            Some(Change::Put(item)) => Some(&item.facts),
            Some(Change::Removed) => None,
            None => there.map(|entry| &entry.facts),
        };
        let mut planned = planned;
        if let Change::Put(item) = &mut planned.change
            && planned.from.is_none()
            && keeps_content(&item.body)
        {
            item.facts = fitting(item.facts, was, there);
        }
        let planned = self.over(lower, path, planned);
        self.changes.insert(path.to_vec(), planned);
    }

    /// A change on top of what a lower layer has there.
    fn over(&mut self, had: Option<&Planned>, path: &[u8], planned: Planned) -> Planned {
        let Planned { layer, change: Change::Put(item), from: None, .. } = &planned else {
            self.merged.remove(path);
            return planned;
        };
        let layer = *layer;
        let lower = match had {
            Some(had @ Planned { change: Change::Put(lower), .. }) if is_like(&lower.kind, &item.kind) => {
                Some((had, lower))
            }
            _ => None,
        };
        let from = || lower.and_then(|(had, _)| had.from.clone());
        let (body_of, from, body) = match (&item.body, lower) {
            (Body::Merged { rule, difference }, lower) => {
                let part = Part { layer, rule: rule.clone(), difference: (**difference).clone() };
                let is_whole = |had: &Planned, body: &Body| {
                    had.from.is_some() || !matches!(body, Body::Kept | Body::NameOf(_))
                };
                match (had, lower) {
                    (_, Some((had, lower))) if is_whole(had, &lower.body) => {
                        self.merged.entry(path.to_vec()).or_default().push(part);
                        (had.body_of, from(), lower.body.clone())
                    }
                    (None, _) | (_, Some(_)) => {
                        self.merged.insert(path.to_vec(), vec![part]);
                        (layer, None, item.body.clone())
                    }
                    // It is gone, or was something else.
                    (Some(_), None) => {
                        self.merged.insert(path.to_vec(), vec![part]);
                        (layer, None, Body::New(Streams::from([(Vec::new(), Content::empty())])))
                    }
                }
            }
            // What a lower layer makes must be made, whatever the higher one changes of it.
            (Body::Kept, Some((had, lower))) => (had.body_of, from(), lower.body.clone()),
            (Body::Filled(_), Some((_, lower))) => {
                self.merged.remove(path);
                let body = filled(&item.body, &lower.body);
                (layer, from().filter(|_| !matches!(body, Body::New(_))), body)
            }
            (body, _) => {
                self.merged.remove(path);
                (planned.body_of, None, body.clone())
            }
        };
        Planned { layer, body_of, from, change: Change::Put(Item { body, ..item.clone() }) }
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
            if planned.from.is_some()
                || base.0.get(path).is_some_and(|entry| is_like(&entry.kind, &item.kind))
            {
                return true;
            }
            let body = match &item.body {
                Body::New(_) | Body::NameOf(_) => return true,
                Body::Kept if item.kind == Kind::Folder => Some(Streams::new()),
                Body::Merged { rule, .. } if !needs_origin(rule) => {
                    Some(Streams::from([(Vec::new(), Content::empty())]))
                }
                Body::Kept | Body::Moved(_) | Body::Merged { .. } => None,
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

/// A file that is moved, before that.
struct Source {
    body: Body,
    body_of: usize,
    from: Option<Vec<u8>>,
    facts: Facts,
}

/// Whether an item leaves the content of what is there as it is.
fn keeps_content(body: &Body) -> bool {
    match body {
        Body::Kept => true,
        Body::Filled(streams) => streams.get(&b""[..]).is_some_and(Option::is_none),
        _ => false,
    }
}

/// Metadata of a layer for content that it did not bring. Where the layer left the time of what it found (`was`), and something
/// newer or older is `there`, that one's time is right.
fn fitting(facts: Facts, was: Option<&Was>, there: Option<&Facts>) -> Facts {
    match (was, there) {
        (Some(was), Some(there)) if was.modified == facts.modified && there.modified != was.modified => {
            Facts { modified: there.modified, born: there.born, ..facts }
        }
        _ => facts,
    }
}

/// Whether something that a lower layer did is not there any more because of what a higher one does. `was` is what the higher
/// one found there when it was made, and `base` is on the disk.
fn is_lost(had: &Planned, higher: &Planned, was: Option<&Was>, base: Option<Was>) -> bool {
    let is_kept = match (&had.change, &higher.change) {
        (Change::Put(low), Change::Put(high)) if low.kind == Kind::File && high.kind == Kind::File => {
            match (&low.body, &high.body) {
                _ if higher.from.is_some() => false,
                (Body::Kept, Body::Kept) => had.from.is_some(),
                (_, Body::Kept | Body::Merged { .. }) => true,
                _ => false,
            }
        }
        (Change::Removed, Change::Put(_)) => was.is_none() && base.is_none(),
        _ => false,
    };
    !is_kept && !is_agreed(had, higher) && !is_on_top(had, was, base)
}

/// Whether a change was made to what a lower layer left.
fn is_on_top(had: &Planned, was: Option<&Was>, base: Option<Was>) -> bool {
    let (Change::Put(item), Some(was)) = (&had.change, was) else { return false };
    let base = if had.from.is_some() { Some(*was) } else { base };
    let size = match &item.body {
        Body::New(streams) => Some(streams.get(&b""[..]).map_or(0, |content| content.size)),
        Body::Filled(streams) => match streams.get(&b""[..]) {
            Some(Some(content)) => Some(content.size),
            _ => base.map(|base| base.size),
        },
        Body::Kept => base.map(|base| base.size),
        // What several make together has a size that none of them says.
        Body::Merged { .. } | Body::NameOf(_) | Body::Moved(_) => Some(was.size),
    };
    item.kind != Kind::Folder && size == Some(was.size) && item.facts.modified == was.modified
}

/// The streams of a file that a layer changes after a lower one: those it leaves as they are come from there.
fn filled(streams: &Body, lower: &Body) -> Body {
    let Body::Filled(streams) = streams else { return streams.clone() };
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
fn is_agreed(a: &Planned, b: &Planned) -> bool {
    if a.from != b.from {
        return false;
    }
    let (Change::Put(a), Change::Put(b)) = (&a.change, &b.change) else { return a.change == b.change };
    let same_metadata =
        timeless(a.facts) == timeless(b.facts) && a.attributes == b.attributes && a.kind == b.kind;
    let digests =
        |item: &Item| item.contents().map(|content| (content.digest, content.size)).collect::<Vec<_>>();
    same_metadata && (a.kind == Kind::Folder || (digests(a) == digests(b) && name_of(a) == name_of(b)))
}

fn name_of(item: &Item) -> Option<&[u8]> {
    match &item.body {
        Body::NameOf(path) | Body::Moved(path) => Some(path),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
