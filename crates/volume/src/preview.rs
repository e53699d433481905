//! What layers make of an operating system, told for people: who wins at every path, conflicts, sizes, warnings.

use std::collections::HashMap;

use shale_disk::{Disk, Result};

use crate::delta::{Body, Change, Delta, Item, Was};
use crate::diff::whole;
use crate::files::{Entry, Files, Kind, show};
use crate::free;
use crate::merge;
use crate::os::OsVolume;
use crate::plan::{Conflict, Plan, Planned, Why};
use crate::stored::Digest;
use crate::together::Together;
use crate::tree::Tree;

/// What layers make of an operating system, told before (or after) it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Where it is done.
    pub os: OsVolume,
    /// What each layer brings, in the order given.
    pub layers: Vec<Share>,
    /// Every path that is changed, in the order of the texts' bytes.
    pub entries: Vec<Line>,
    /// Where layers stand against each other.
    pub conflicts: Vec<Clash>,
    /// What else a person should know: files of the operating system that changed since a layer that replaces them was made,
    /// ids that became others, room that may lack.
    pub warnings: Vec<Warning>,
}

/// What a person should know, though nothing is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// As in [`Line::path`]; `None`: it is about no certain path.
    pub path: Option<String>,
    /// Which layer it is about; `None`: all of them.
    pub layer: Option<usize>,
    /// A sentence.
    pub text: String,
}

/// A layer's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// As it was given.
    pub name: String,
    /// Of its delta: what a composition is known by, with the disk's.
    pub digest: Digest,
    /// Paths it says something of.
    pub entries: u64,
    /// Paths where it wins, alone or among those that are put together.
    pub wins: u64,
    /// Bytes of content it would write alone.
    pub bytes: u64,
    /// Bytes of content that are written of it.
    pub written: u64,
}

/// What happens at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// From the root, with a slash in front; what is no UTF-8 is replaced.
    pub path: String,
    /// What happens.
    pub action: Action,
    /// The layers whose changes are made there (places in [`Preview::layers`]): one, or several for a file that is put
    /// together.
    pub layers: Vec<usize>,
    /// Bytes of content that are written.
    pub bytes: u64,
}

/// What happens at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Something new is there.
    Added,
    /// What was there is replaced.
    Replaced,
    /// Only its metadata changes.
    Described,
    /// Put together record by record, from what is there and what the layers did.
    Merged,
    /// It goes, with all below it.
    Removed,
}

/// A place where layers stand against each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// As in [`Line::path`].
    pub path: String,
    /// The layer that does not get what it says; `None`: what is on the disk.
    pub loser: Option<usize>,
    /// The layer that does; `None`: what is on the disk.
    pub winner: Option<usize>,
    /// A sentence that names both.
    pub text: String,
}

impl Preview {
    /// The lines whose path contains `text`, whatever the case, from the first one after the path `after` on: a page is as
    /// many of them as one takes.
    pub fn find<'a>(&'a self, text: &str, after: &str) -> impl Iterator<Item = &'a Line> + use<'a> {
        let text = text.to_lowercase();
        let first = self.entries.partition_point(|line| line.path.as_str() <= after);
        self.entries[first..].iter().filter(move |line| line.path.to_lowercase().contains(&text))
    }
}

/// A layer's name, its delta, and its digest.
type Named<'a> = (&'a str, &'a Delta, Digest);

/// Tells a plan whose files are put together. `disk` is as it is before.
pub(crate) fn told(
    disk: &dyn Disk,
    files: &mut Files,
    os: OsVolume,
    layers: &[Named],
    base: &Tree,
    plan: &Plan,
    together: &Together,
) -> Result<Preview> {
    let mut entries: Vec<Line> =
        plan.changes.iter().map(|(path, planned)| line(path, planned, base, plan)).collect();
    let mut shares: Vec<Share> = layers.iter().map(share).collect();
    for (line, planned) in entries.iter().zip(plan.changes.values()) {
        line.layers.iter().for_each(|layer| shares[*layer].wins += 1);
        shares[planned.body_of].written += line.bytes;
    }
    // Paths that are no UTF-8 are shown otherwise than they are, and may come at another place.
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let mut conflicts: Vec<Clash> =
        plan.conflicts.iter().map(|conflict| clash(conflict, layers, &os)).collect();
    conflicts.extend(together.both.iter().map(|(path, layer, what)| {
        let (path, name) = (shown(path), layers[*layer].0);
        let text =
            format!("in '{path}', '{name}' changes {what} otherwise than it is there: the layer's is taken");
        Clash { path, loser: None, winner: Some(*layer), text }
    }));
    conflicts.sort_by(|a, b| a.path.cmp(&b.path));
    let mut warnings = stale(files, layers, base, plan)?;
    warnings.extend(together.stayed.iter().map(|(path, why)| {
        let path = shown(path);
        let text = format!("'{path}' stays as it is in the operating system: {why}");
        Warning { path: Some(path), layer: None, text }
    }));
    warnings.extend(renumbered(layers, plan, together));
    let free = free::file_system(disk, os.range.clone())?;
    let (room, needed) = (free.bytes(), shares.iter().map(|share| share.written).sum::<u64>());
    if free.unknown.is_none() && needed > room {
        let text = format!(
            "the layers bring {} MiB, and {} MiB are free: the disk may have to be larger",
            needed >> 20,
            room >> 20
        );
        warnings.push(Warning { path: None, layer: None, text });
    }
    Ok(Preview { os, layers: shares, entries, conflicts, warnings })
}

fn share((name, delta, digest): &Named) -> Share {
    let entries = delta.changes.len() as u64;
    Share { name: (*name).to_owned(), digest: *digest, entries, wins: 0, bytes: delta.length(), written: 0 }
}

fn shown(path: &[u8]) -> String {
    format!("/{}", show(path))
}

fn line(path: &[u8], planned: &Planned, base: &Tree, plan: &Plan) -> Line {
    let there = base.0.get(path);
    let mut layers = vec![planned.layer];
    let (action, bytes) = match (&planned.change, plan.merged.get(path)) {
        (Change::Removed, _) => (Action::Removed, 0),
        (Change::Put(item), Some(parts)) => {
            layers = parts.iter().map(|part| part.layer).chain([planned.body_of]).collect();
            layers.sort_unstable();
            layers.dedup();
            (Action::Merged, length(item))
        }
        (Change::Put(item), None) => {
            let same_kind =
                there.is_some_and(|entry| (entry.kind == Kind::Folder) == (item.kind == Kind::Folder));
            let is_folder = item.kind == Kind::Folder && length(item) == 0;
            let action = match (there, &item.body) {
                (None, _) => Action::Added,
                (Some(_), Body::Kept) if planned.from.is_none() => Action::Described,
                (Some(_), _) if same_kind && is_folder => Action::Described,
                _ => Action::Replaced,
            };
            (action, length(item))
        }
    };
    Line { path: shown(path), action, layers, bytes }
}

fn length(item: &Item) -> u64 {
    item.contents().map(|content| content.length()).sum()
}

fn clash(conflict: &Conflict, layers: &[Named], os: &OsVolume) -> Clash {
    let path = shown(&conflict.path);
    let loser = layers[conflict.loser].0;
    let winner = conflict.winner.map_or("the operating system", |winner| layers[winner].0);
    let mut text = match conflict.why {
        Why::BothChange => {
            format!("'{loser}' and '{winner}' both change '{path}': that of '{winner}' is taken")
        }
        Why::FolderReplaced => {
            format!(
                "'{path}' of '{loser}' is in a folder that '{winner}' removes or replaces: it is left out"
            )
        }
        Why::StillNeeded => {
            format!("'{loser}' removes '{path}', and '{winner}' has something there: it stays")
        }
        Why::NoFolder => {
            format!(
                "'{loser}' has '{path}' in a folder that this operating system does not have: it is left out"
            )
        }
        Why::Missing => {
            format!("'{loser}' changes '{path}', which this operating system does not have: that is left out")
        }
    };
    if let Some(advice) = merge::advice(os.known, &conflict.path) {
        text = format!("{text}; {advice}");
    }
    Clash { path, loser: Some(conflict.loser), winner: conflict.winner, text }
}

/// Files that a layer replaces or removes, and that are not any more what the layer found there.
fn stale(files: &mut Files, layers: &[Named], base: &Tree, plan: &Plan) -> Result<Vec<Warning>> {
    let mut warnings = Vec::new();
    let moved: HashMap<&[u8], &[u8]> = plan
        .changes
        .iter()
        .filter_map(|(path, planned)| Some((planned.from.as_deref()?, &path[..])))
        .collect();
    for (path, Planned { layer, from, change, .. }) in &plan.changes {
        let is_below = layers[..*layer].iter().any(|(_, delta, _)| delta.changes.contains_key(path));
        let Some(entry) = base.0.get(path).filter(|_| !is_below) else { continue };
        let Some(there) = Was::of(entry) else { continue };
        let (name, delta, _) = layers[*layer];
        let was = delta.was.get(path);
        let (verb, is_same) = match change {
            Change::Removed => ("removes", false),
            Change::Put(_) if from.is_some() => ("replaces", false),
            Change::Put(Item { body: Body::Kept | Body::NameOf(_), .. }) => continue,
            Change::Put(item) => ("replaces", brings(item) == Some(there)),
        };
        if is_same || was == Some(&there) || plan.merged.contains_key(path) {
            continue;
        }
        if let Change::Put(item) = change
            && has_content(files, entry, item)?
        {
            continue;
        }
        let to = moved.get(&path[..]).map(|to| shown(to));
        let path = shown(path);
        let text = match (was, to) {
            (Some(_), Some(to)) => format!(
                "'{name}' moves '{path}' to '{to}', and it has changed in the operating system since the layer was made: \
                 the changed file is moved"
            ),
            (None, Some(to)) => {
                format!("'{name}' moves '{path}' to '{to}' as the operating system has it now")
            }
            (Some(_), None) => format!(
                "'{name}' {verb} '{path}', which has changed in the operating system since the layer was made"
            ),
            (None, None) => format!(
                "'{name}' {verb} '{path}', which the operating system has of its own since the layer was made"
            ),
        };
        warnings.push(Warning { path: Some(path), layer: Some(*layer), text });
    }
    Ok(warnings)
}

/// Longest file that is read to see whether it is the same with another time.
const READ: u64 = 1 << 20;

/// Whether a file on the disk has the content that an item brings.
fn has_content(files: &mut Files, entry: &Entry, item: &Item) -> Result<bool> {
    let content = match &item.body {
        Body::New(streams) => streams.get(&b""[..]),
        Body::Filled(streams) => streams.get(&b""[..]).and_then(Option::as_ref),
        _ => None,
    };
    let Some(content) = content.filter(|content| content.length() == content.size && content.size <= READ)
    else {
        return Ok(false);
    };
    if entry.kind != Kind::File || Was::of(entry).is_none_or(|was| was.size != content.size) {
        return Ok(false);
    }
    Ok(*blake3::hash(&whole(files, entry)?).as_bytes() == content.digest)
}

/// What is there once an item is put, as far as that is known.
fn brings(item: &Item) -> Option<Was> {
    let size = match &item.body {
        Body::New(streams) => streams.get(&b""[..]).map_or(0, |content| content.size),
        Body::Filled(streams) => streams.get(&b""[..])?.as_ref()?.size,
        _ => return None,
    };
    Some(Was { size, modified: item.facts.modified })
}

/// Ids that became others, and entries of other layers that may have meant them.
fn renumbered(layers: &[Named], plan: &Plan, together: &Together) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let is_of = |planned: &Planned, higher: usize, owner: Option<u32>, group: Option<u32>| {
        let Change::Put(item) = &planned.change else { return false };
        planned.layer == higher && (Some(item.facts.owner) == owner || Some(item.facts.group) == group)
    };
    for (layer, terms) in together.terms.iter().enumerate() {
        let users = terms.renumbered.users.iter().map(|(old, new)| ("user", *old, *new));
        let groups = terms.renumbered.groups.iter().map(|(old, new)| ("group", *old, *new));
        for (what, old, new) in users.chain(groups) {
            let name = layers[layer].0;
            let text = format!(
                "the {what} {old} of '{name}' is {new} in this image, since {old} is another's; its files follow"
            );
            warnings.push(Warning { path: None, layer: Some(layer), text });
            let (owner, group) = if what == "user" { (Some(old), None) } else { (None, Some(old)) };
            for (higher, (other, ..)) in layers.iter().enumerate().skip(layer + 1) {
                let own = &together.terms[higher].renumbered;
                let is_own =
                    if what == "user" { own.users.contains_key(&old) } else { own.groups.contains_key(&old) };
                if !is_own && plan.changes.values().any(|planned| is_of(planned, higher, owner, group)) {
                    let text = format!(
                        "files of '{other}' belong to the {what} {old}; if '{other}' was made on top of '{name}', that {what} is {new} here, and they must be given to it"
                    );
                    warnings.push(Warning { path: None, layer: Some(higher), text });
                }
            }
        }
    }
    warnings
}
