//! What happened between two states of a file system.
//!
//! ```text
//!   base ──Tree──┐
//!                ├─ path by path ──▶ metadata differs?  content may differ? ──read──▶ Delta + its content
//!   now  ──Tree──┘                                      times, size, or its blocks changed
//! ```
//!
//! Unchanged content is never read: a file is looked into only if its times or size differ, it is another file, or one of
//! its blocks is among those the caller says have changed. When something was read ([`Facts::accessed`]) is no change.
//!
//! A file that has a rule of [`crate::merge`] is not kept itself in a layer: what was done to it is.
//!
//! A file of a layer that is elsewhere now, with the content it had in the same blocks, is moved: its content is neither read
//! nor kept. Below a folder that was renamed that is every file.
//!
//! Names of one file stay names of one file. Where the set of a file's names changed, all of them are made anew: changing
//! it in place would change what has left the set, too.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::{ControlFlow, Range};

use shale_disk::{Error, ErrorKind, Result, Watch};

use crate::delta::{Body, Change, Content, Delta, Item, Streams, Was, timeless};
use crate::encrypted::{self, Encrypted, encrypts, is_encrypted};
use crate::exclude::Exclusions;
use crate::files::{Attributes, Entry, Facts, Files, Kind, Map, show};
use crate::known::Known;
use crate::merge;
use crate::moves::Moves;
use crate::tree::{Tree, split};

/// The attributes of a file on NTFS: hidden, system, compressed and so on.
pub(crate) const BITS: &[u8] = b"system.ntfs_attrib";
/// Its name for DOS, which belongs to one of its names.
const DOS_NAME: &[u8] = b"system.ntfs_dos_name";
/// The attributes that follow from the content: sparse, encrypted. They can be read, not set.
const BITS_THAT_FOLLOW: u32 = 0x200 | encrypted::BIT;
const COMPRESSED: u32 = 0x800;
/// Streams that are asked about between two looks at whether to go on: those of one message.
pub(crate) const AT_ONCE: usize = 1024;
/// Bytes that are compared at once.
const STROKE: u64 = 1 << 20;

/// Takes the content of a delta while it is made.
pub trait Keeper {
    /// Keeps the data in `ranges` of a stream, which `read` gives; returns its digest and where it is kept. Equal data is
    /// kept once.
    fn keep(
        &mut self,
        ranges: &[Range<u64>],
        read: &mut dyn FnMut(u64, &mut [u8]) -> Result<()>,
    ) -> Result<([u8; 32], u64)>;
}

/// What differs, and what a person should know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What differs.
    pub delta: Delta,
    /// Paths that differ and are excluded.
    pub excluded: u64,
    /// Files that have a rule and are whole in the delta all the same: path and why.
    pub whole: Vec<(Vec<u8>, String)>,
    /// Folders that Windows was told to encrypt new files in: a delta does not say that.
    pub encrypting: Vec<Vec<u8>>,
}

/// What is compared.
pub struct Compared<'a> {
    /// The state before.
    pub base: &'a mut Files,
    /// The state after.
    pub now: &'a mut Files,
    /// The ranges of the file system, from its first byte on, that may differ; in order and apart. `None`: not known, and
    /// then times and sizes are trusted.
    pub changed: Option<&'a [Range<u64>]>,
}

/// The delta from `base` to `now`, without what is excluded, with every changed file whole. `changed` as in [`Compared`].
/// `watch` is told the bytes of content that are read.
pub fn diff(
    base: &mut Files,
    now: &mut Files,
    changed: Option<&[Range<u64>]>,
    excluded: &Exclusions,
    keeper: &mut dyn Keeper,
    watch: Watch,
) -> Result<Delta> {
    Ok(find(Compared { base, now, changed }, excluded, ByRules::Never, keeper, watch)?.delta)
}

/// What was done to the base: as [`diff`], but files with a rule are kept as what was done to them. `excluded` `None`: all of
/// it, also what never becomes part of a layer.
pub fn layer(
    compared: Compared,
    excluded: Option<&Exclusions>,
    keeper: &mut dyn Keeper,
    watch: Watch,
) -> Result<Found> {
    let by_rules = if excluded.is_some() { ByRules::OfLayer } else { ByRules::All };
    find(compared, excluded.unwrap_or(&Exclusions::default()), by_rules, keeper, watch)
}

/// Whether files with a rule are kept as what was done to them, and how much of that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ByRules {
    Never,
    OfLayer,
    All,
}

fn find(
    compared: Compared,
    excluded: &Exclusions,
    by_rules: ByRules,
    keeper: &mut dyn Keeper,
    watch: Watch,
) -> Result<Found> {
    let Compared { base, now, changed } = compared;
    let kind = one_kind(base, now)?;
    let (old, new) = (Tree::read(base, watch)?, Tree::read(now, watch)?);
    let touched = match changed {
        Some(changed) => touched(base, now, [&old, &new], changed, watch)?,
        None => HashSet::new(),
    };
    let is_excluded = |path: &[u8], entry: &Entry| excluded.matches(path, entry.kind == Kind::Folder);
    let moved = match changed {
        Some(changed) if by_rules == ByRules::OfLayer => {
            let moves = Moves { base, now, old: &old, new: &new };
            moved(moves, kind, excluded, changed, watch)?
        }
        _ => HashMap::new(),
    };
    let mut work = Work {
        old_names: names(&old, excluded),
        new_names: names(&new, excluded),
        old: &old,
        new: &new,
        base,
        now,
        changed,
        touched,
        moved,
        by_rules,
        without: (by_rules == ByRules::OfLayer).then(|| excluded.registry()),
        keeper,
        watch,
        regrouped: HashMap::new(),
        whole: Vec::new(),
        encrypted: Encrypted::default(),
    };
    let (left_out, gone): (Vec<_>, Vec<_>) =
        removed(&old, &new).partition(|(path, entry)| is_excluded(path, entry));
    let mut left_out = left_out.len() as u64;
    let mut changes: BTreeMap<_, _> =
        gone.into_iter().map(|(path, _)| (path.clone(), Change::Removed)).collect();
    for (path, entry) in &new.0 {
        told(watch, 0)?;
        if is_excluded(path, entry) {
            let same = |old: &Entry| is_same(old, entry) && old.streams == entry.streams;
            left_out += u64::from(!old.0.get(path).is_some_and(same));
            continue;
        }
        let item = work.item(path, entry).map_err(|e| {
            Error::new(e.kind(), format!("'/{}' cannot be compared", show(path))).with_source(e)
        })?;
        if let Some(item) = item {
            if let Body::Moved(from) = &item.body {
                // Also where all of its folder is gone: what it was is known by that.
                changes.entry(from.clone()).or_insert(Change::Removed);
            }
            changes.insert(path.clone(), Change::Put(item));
        }
    }
    let (whole, encrypting) = (work.whole, work.encrypted.without_files()?);
    let was = |path: &Vec<u8>| Some((path.clone(), old.0.get(path).and_then(Was::of)?));
    let was = changes.keys().filter_map(was).collect();
    Ok(Found { delta: Delta { kind, changes, was }, excluded: left_out, whole, encrypting })
}

/// The kind of both file systems.
fn one_kind(base: &Files, now: &Files) -> Result<Known> {
    let (was, is) = (base.kind(), now.kind());
    match was == is {
        true => Ok(is),
        false => {
            let text = format!("the disk had a file system of another kind: {was} is now {is}");
            Err(Error::new(ErrorKind::Unsupported, text))
        }
    }
}

/// The old path of each file that was moved, by its node.
fn moved<'t>(
    moves: Moves<'_, 't>,
    kind: Known,
    excluded: &Exclusions,
    changed: &[Range<u64>],
    watch: Watch,
) -> Result<HashMap<u64, &'t [u8]>> {
    if kind == Known::Fat {
        // A name is a file's only place there: nothing tells that it was moved.
        return Ok(HashMap::new());
    }
    let can_move = |path: &[u8], entry: &Entry| {
        let is_kept = !excluded.matches(path, entry.kind == Kind::Folder);
        is_kept && merge::rule(kind, path).is_none() && entry.links == 1
    };
    moves.find(changed, can_move, watch)
}

/// What is gone; of a folder that is gone only itself.
fn removed<'a>(old: &'a Tree, new: &'a Tree) -> impl Iterator<Item = (&'a Vec<u8>, &'a Entry)> {
    let below_removed = |path: &[u8]| split(path).is_some_and(|(folder, _)| !is_folder(new, folder));
    old.0.iter().filter(move |(path, _)| !new.0.contains_key(*path) && !below_removed(path))
}

/// Tells how much more is done, and stops where that is the answer.
pub(crate) fn told(watch: Watch, bytes: u64) -> Result<()> {
    match watch(bytes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::new(ErrorKind::Stopped, "stopped as asked")),
    }
}

/// Names of files with several, of those that count.
fn names<'a>(tree: &'a Tree, excluded: &Exclusions) -> BTreeMap<u64, Vec<&'a [u8]>> {
    let mut names = tree.names();
    names.values_mut().for_each(|paths| paths.retain(|path| !excluded.matches(path, false)));
    names
}

/// The files that look the same in both states, but have content where something changed.
fn touched(
    base: &mut Files,
    now: &mut Files,
    [old, new]: [&Tree; 2],
    changed: &[Range<u64>],
    watch: Watch,
) -> Result<HashSet<u64>> {
    let mut asked: Vec<(u64, &[u8])> = Vec::new();
    for (path, entry) in new.0.iter().filter(|(_, entry)| entry.kind == Kind::File) {
        if old.0.get(path).is_some_and(|old| looks_the_same(old, entry)) {
            let streams = entry.streams.iter().filter(|stream| stream.size > 0);
            asked.extend(streams.map(|stream| (entry.node, &stream.name[..])));
        }
    }
    let mut touched = HashSet::new();
    for asked in asked.chunks(AT_ONCE) {
        told(watch, 0)?;
        let maps = now.maps(asked)?;
        if now.kind() == Known::Fat {
            // A node is a slot there: it may have another file now, of this size and time, in blocks that hold what they held.
            for (((node, _), is), was) in asked.iter().zip(&maps).zip(base.maps(asked)?) {
                if !was.is_ok_and(|was| is.as_ref().is_ok_and(|is| *is == was)) {
                    touched.insert(*node);
                }
            }
        }
        for ((node, _), map) in asked.iter().zip(maps) {
            // What cannot be told is said later.
            if !map.is_ok_and(|map| is_untouched(&map, changed)) {
                touched.insert(*node);
            }
        }
    }
    Ok(touched)
}

/// Whether all that changes with the content is the same.
fn looks_the_same(old: &Entry, entry: &Entry) -> bool {
    let times = |facts: &Facts| (facts.modified, facts.changed);
    old.node == entry.node && old.streams == entry.streams && times(&old.facts) == times(&entry.facts)
}

fn is_folder(tree: &Tree, path: &[u8]) -> bool {
    tree.0.get(path).is_some_and(|entry| entry.kind == Kind::Folder)
}

struct Work<'a> {
    old: &'a Tree,
    new: &'a Tree,
    old_names: BTreeMap<u64, Vec<&'a [u8]>>,
    new_names: BTreeMap<u64, Vec<&'a [u8]>>,
    base: &'a mut Files,
    now: &'a mut Files,
    changed: Option<&'a [Range<u64>]>,
    /// Files whose times and sizes are what they were, and whose content may not be.
    touched: HashSet<u64>,
    /// Files that are elsewhere now: to where they were.
    moved: HashMap<u64, &'a [u8]>,
    by_rules: ByRules,
    without: Option<&'a str>,
    keeper: &'a mut dyn Keeper,
    watch: Watch<'a>,
    /// Files whose names are not those they had: to the first that is not excluded.
    regrouped: HashMap<u64, Vec<u8>>,
    whole: Vec<(Vec<u8>, String)>,
    encrypted: Encrypted,
}

impl Work<'_> {
    /// What is to be done at a path so that it is as `entry`; `None` if nothing is.
    fn item(&mut self, path: &[u8], entry: &Entry) -> Result<Option<Item>> {
        let of =
            |body| Item { kind: entry.kind.clone(), facts: entry.facts, attributes: settable(entry), body };
        let old = self.old.0.get(path).filter(|old| is_same_kind(old, entry));
        if let (true, Some(rule)) = (self.by_rules != ByRules::Never, merge::rule(self.now.kind(), path))
            && let Some(body) = self.by_rule(path, rule, old, entry)?
        {
            let is_told = body != Body::Kept || old.is_some_and(|old| !is_same_but_times(old, entry));
            return Ok(is_told.then(|| of(body)));
        }
        let group = self.new_names.get(&entry.node);
        let regrouped = match old {
            None => true,
            Some(old) => {
                self.old_names.get(&old.node) != group
                    || (group.is_some() && dos_name(old) != dos_name(entry))
                    // What was decrypted is made anew: nobody here can write into what is encrypted.
                    || (is_encrypted(old) && !is_encrypted(entry))
            }
        };
        if entry.kind == Kind::Folder {
            if encrypts(entry) && !old.is_some_and(encrypts) {
                self.encrypted.folders.push(path.to_vec());
            }
            return self.folder(old, entry, of);
        }
        if group.is_some() {
            if let Some(first) = self.regrouped.get(&entry.node) {
                return Ok(Some(of(Body::NameOf(first.clone()))));
            }
            if !regrouped && self.new_names[&entry.node][0] != path {
                return Ok(None); // Its first name tells.
            }
        }
        if regrouped {
            if let Some(from) = self.moved.get(&entry.node) {
                return Ok(Some(of(Body::Moved(from.to_vec()))));
            }
            if is_encrypted(entry) {
                self.encrypted.files.push(path.to_vec());
                return Ok(None);
            }
            if group.is_some() {
                self.regrouped.insert(entry.node, path.to_vec());
            }
            return Ok(Some(of(Body::New(self.streams(entry)?))));
        }
        let Some(old) = old else { return Ok(None) };
        if is_encrypted(entry) {
            if !self.is_same_encrypted(old, entry)? {
                self.encrypted.files.push(path.to_vec());
                return Ok(None);
            }
        } else if entry.kind == Kind::File && self.may_differ(old, entry) {
            let streams = self.changed_streams(old, entry)?;
            if streams.values().any(Option::is_some) || streams.len() != old.streams.len() {
                return Ok(Some(of(Body::Filled(streams))));
            }
        }
        Ok((!is_same(old, entry)).then(|| of(Body::Kept)))
    }

    /// What was done to a file, by its rule; `None`: the rule does not hold.
    fn by_rule(
        &mut self,
        path: &[u8],
        rule: &dyn merge::Rule,
        old: Option<&Entry>,
        entry: &Entry,
    ) -> Result<Option<Body>> {
        if entry.kind != Kind::File || (old.is_none() && rule.needs_origin()) {
            return Ok(None);
        }
        if let Some(old) = old
            && !self.may_differ_with_logs(path, rule, old, entry)
        {
            return Ok(None);
        }
        let is_plain = |entry: &Entry| entry.links == 1 && entry.streams.len() == 1;
        let is_bounded = |entry: &Entry| entry.streams.iter().all(|stream| stream.size <= rule.limit());
        let both = || [Some(entry), old].into_iter().flatten();
        let why = if !both().all(is_plain) {
            Some("it has several names or streams".to_owned())
        } else if !both().all(is_bounded) {
            Some(format!("it is larger than {} MiB", rule.limit() >> 20))
        } else {
            None
        };
        if let Some(why) = why {
            return self.as_a_whole(path, rule, Error::new(ErrorKind::Unsupported, why));
        }
        let origin = match old {
            Some(old) => by_its_rule(self.base, self.old, path, old, rule)?,
            None => Vec::new(),
        };
        let now = by_its_rule(self.now, self.new, path, entry, rule)?;
        told(self.watch, (origin.len() + now.len()) as u64)?;
        match rule.difference(&origin, &now, self.without) {
            Ok(bytes) if bytes.is_empty() => Ok(old.map(|_| Body::Kept)),
            Ok(bytes) => {
                let range = 0..bytes.len() as u64;
                let mut read = |at: u64, buffer: &mut [u8]| {
                    buffer.copy_from_slice(&bytes[at as usize..at as usize + buffer.len()]);
                    Ok(())
                };
                let (digest, offset) = self.keeper.keep(std::slice::from_ref(&range), &mut read)?;
                let difference =
                    Content { size: range.end, ranges: vec![range], compressed: false, digest, offset };
                Ok(Some(Body::Merged { rule: rule.name().to_owned(), difference: Box::new(difference) }))
            }
            Err(e) => self.as_a_whole(path, rule, e),
        }
    }

    fn as_a_whole(&mut self, path: &[u8], rule: &dyn merge::Rule, why: Error) -> Result<Option<Body>> {
        if rule.is_never_whole() {
            return Err(why);
        }
        self.whole.push((path.to_vec(), why.to_string()));
        Ok(None)
    }

    /// Whether a file or what belongs to it may be another.
    fn may_differ_with_logs(&self, path: &[u8], rule: &dyn merge::Rule, old: &Entry, entry: &Entry) -> bool {
        let (old_logs, new_logs) = (logs(self.old, path, rule), logs(self.new, path, rule));
        let mut pairs = old_logs.into_iter().zip(new_logs).chain([(Some(old), Some(entry))]);
        pairs.any(|pair| match pair {
            (Some(old), Some(entry)) => self.may_differ(old, entry),
            (None, None) => false,
            _ => true,
        })
    }

    fn folder(
        &mut self,
        old: Option<&Entry>,
        entry: &Entry,
        of: impl Fn(Body) -> Item,
    ) -> Result<Option<Item>> {
        let Some(old) = old else { return Ok(Some(of(Body::New(self.streams(entry)?)))) };
        if !entry.streams.is_empty() || !old.streams.is_empty() {
            let streams = self.changed_streams(old, entry)?;
            if streams.values().any(Option::is_some) || streams.len() != old.streams.len() {
                return Ok(Some(of(Body::Filled(streams))));
            }
        }
        Ok((!is_same(old, entry)).then(|| of(Body::Kept)))
    }

    /// Whether it is worth looking into a file.
    fn may_differ(&self, old: &Entry, entry: &Entry) -> bool {
        // FAT has no time of a change, and keeps the others to two seconds.
        let is_unsure = self.changed.is_none() && self.now.kind() == Known::Fat;
        !looks_the_same(old, entry) || is_unsure || self.touched.contains(&entry.node)
    }

    fn streams(&mut self, entry: &Entry) -> Result<Streams> {
        let mut streams = Streams::new();
        for stream in &entry.streams {
            let map = self.now.map(entry.node, &stream.name)?;
            streams.insert(stream.name.clone(), self.content(entry, &stream.name, &map)?);
        }
        Ok(streams)
    }

    /// Every stream there is, with its content where it is not what it was.
    fn changed_streams(&mut self, old: &Entry, entry: &Entry) -> Result<BTreeMap<Vec<u8>, Option<Content>>> {
        let mut streams = BTreeMap::new();
        for stream in &entry.streams {
            let map = self.now.map(entry.node, &stream.name)?;
            let had = old.streams.iter().any(|had| had == stream);
            let is_same = had && {
                let was = self.base.map(old.node, &stream.name)?;
                self.is_same_content(old, entry, &stream.name, [&was, &map])?
            };
            let content = match is_same {
                true => None,
                false => Some(self.content(entry, &stream.name, &map)?),
            };
            streams.insert(stream.name.clone(), content);
        }
        Ok(streams)
    }

    fn content(&mut self, entry: &Entry, stream: &[u8], map: &Map) -> Result<Content> {
        let ranges = data_of(map);
        let (now, watch) = (&mut *self.now, self.watch);
        let mut read = |offset: u64, buffer: &mut [u8]| {
            told(watch, buffer.len() as u64)?;
            now.read(entry.node, stream, map, offset, buffer)
        };
        let (digest, offset) = self.keeper.keep(&ranges, &mut read)?;
        let compressed = stream.is_empty() && compressed(entry);
        Ok(Content { size: map.size, ranges, compressed, digest, offset })
    }

    /// Whether a file that is encrypted now is what it was.
    fn is_same_encrypted(&mut self, old: &Entry, entry: &Entry) -> Result<bool> {
        if !encrypted::is_alike(old, entry) || old.streams != entry.streams {
            return Ok(false);
        }
        if !self.may_differ(old, entry) {
            return Ok(true);
        }
        for stream in &entry.streams {
            let was = encrypted::as_it_lies(self.base.map(old.node, &stream.name)?);
            let is = encrypted::as_it_lies(self.now.map(entry.node, &stream.name)?);
            if !self.is_same_content(old, entry, &stream.name, [&was, &is])? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Where the same blocks hold both and none of them changed, nothing is read.
    fn is_same_content(
        &mut self,
        old: &Entry,
        entry: &Entry,
        stream: &[u8],
        [old_map, map]: [&Map; 2],
    ) -> Result<bool> {
        if old_map.size != map.size
            || data_of(old_map) != data_of(map)
            || compressed(old) != compressed(entry)
        {
            return Ok(false);
        }
        if let (true, Some(changed)) = (old_map == map, self.changed)
            && is_untouched(map, changed)
        {
            return Ok(true);
        }
        let length = map.size.min(STROKE) as usize;
        let (mut a, mut b) = (vec![0; length], vec![0; length]);
        for range in data_of(map) {
            for at in (range.start..range.end).step_by(STROKE as usize) {
                let length = (range.end - at).min(STROKE) as usize;
                told(self.watch, length as u64)?;
                self.base.read(old.node, stream, old_map, at, &mut a[..length])?;
                self.now.read(entry.node, stream, map, at, &mut b[..length])?;
                if a[..length] != b[..length] {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// Where a stream has data, neighbours joined, cut at its size.
fn data_of(map: &Map) -> Vec<Range<u64>> {
    if !map.direct {
        return if map.size == 0 { Vec::new() } else { std::iter::once(0..map.size).collect() };
    }
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for piece in &map.pieces {
        let (start, end) = (piece.logical.min(map.size), (piece.logical + piece.length).min(map.size));
        match ranges.last_mut() {
            _ if start == end => {}
            Some(last) if last.end == start => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    ranges
}

/// Whether nothing changed where a stream lies, as far as that is told.
pub(crate) fn is_untouched(map: &Map, changed: &[Range<u64>]) -> bool {
    let touches = |start: u64, length: u64| {
        let next = changed.partition_point(|range| range.end <= start);
        changed.get(next).is_some_and(|range| range.start < start + length)
    };
    let has_place = map.direct || !map.pieces.is_empty();
    has_place && !map.pieces.iter().any(|piece| touches(piece.physical, piece.length))
}

fn is_same_kind(old: &Entry, entry: &Entry) -> bool {
    // A link or device of other numbers is another thing; a file or folder is what it holds.
    old.kind == entry.kind
}

/// Whether the metadata is the same, as far as it says something.
fn is_same(old: &Entry, entry: &Entry) -> bool {
    let facts = |facts: Facts| Facts { accessed: Default::default(), ..facts };
    facts(old.facts) == facts(entry.facts) && settable(old) == settable(entry)
}

/// The same, but for when it was changed.
fn is_same_but_times(old: &Entry, entry: &Entry) -> bool {
    timeless(old.facts) == timeless(entry.facts) && settable(old) == settable(entry)
}

/// All of a file's content, whose size the caller bounds.
pub(crate) fn whole(files: &mut Files, entry: &Entry) -> Result<Vec<u8>> {
    let map = files.map(entry.node, b"")?;
    let expected = entry.streams.iter().find(|stream| stream.name.is_empty()).map_or(0, |stream| stream.size);
    if map.size != expected {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "it has two sizes: check the file system with its own tool",
        ));
    }
    let mut bytes = vec![0; map.size as usize];
    files.read(entry.node, b"", &map, 0, &mut bytes)?;
    Ok(bytes)
}

/// A file with a rule, with what only its logs have.
pub(crate) fn by_its_rule(
    files: &mut Files,
    tree: &Tree,
    path: &[u8],
    entry: &Entry,
    rule: &dyn merge::Rule,
) -> Result<Vec<u8>> {
    let file = whole(files, entry)?;
    let mut found = Vec::new();
    for log in logs(tree, path, rule) {
        let fits = |log: &&Entry| log.streams.iter().all(|stream| stream.size <= rule.limit());
        found.push(log.filter(fits).map(|log| whole(files, log)).transpose()?);
    }
    rule.replay(file, &found)
}

/// The logs of a file, beside it; those who have any ignore case.
fn logs<'t>(tree: &'t Tree, path: &[u8], rule: &dyn merge::Rule) -> Vec<Option<&'t Entry>> {
    let folder = split(path).map_or(&[][..], |(folder, _)| folder);
    let find = |suffix: &&str| {
        let name = [path, suffix.as_bytes()].concat();
        let mut beside = tree
            .below(folder)
            .filter(|(path, entry)| entry.kind == Kind::File && path.eq_ignore_ascii_case(&name));
        beside.next().map(|(_, entry)| entry)
    };
    rule.logs().iter().map(find).collect()
}

fn dos_name(entry: &Entry) -> Option<&[u8]> {
    entry.attributes.get(DOS_NAME)
}

/// Whether a file's content is kept compressed (NTFS).
pub(crate) fn compressed(entry: &Entry) -> bool {
    bits(&entry.attributes) & COMPRESSED != 0
}

pub(crate) fn bits(attributes: &Attributes) -> u32 {
    let bytes = attributes.get(BITS).and_then(|value| value.try_into().ok());
    bytes.map_or(0, u32::from_le_bytes)
}

/// The attributes without those bits that nobody can set.
fn settable(entry: &Entry) -> Attributes {
    let mut attributes = entry.attributes.clone();
    if bits(&attributes) & BITS_THAT_FOLLOW != 0 {
        let kept = bits(&attributes) & !BITS_THAT_FOLLOW;
        attributes.insert(BITS, kept.to_le_bytes());
    }
    attributes.remove(encrypted::KEYS);
    attributes
}
