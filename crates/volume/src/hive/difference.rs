//! What was done to a hive: two of its states, compared key by key and value by value.
//!
//! When a key was last written is no change by itself, nor is the order of values, nor the case of a name. In a SYSTEM hive
//! the control set that the machine runs on is called `CurrentControlSet`, so that what was done to it is done to the one of
//! another machine, whatever its number.

use std::collections::BTreeMap;

use shale_disk::Result;

use super::cells::NONE;
use super::changes::{Before, Changes, Digest, KeyChange, Now, SubkeyChange, ValueChange};
use super::exclude::Exclusions;
use super::name::Name;
use super::read::CURRENT;
use super::value::Value;
use super::value_list;
use super::{Hive, Key};

/// What was done to the hive `origin` so that it became `now`, but for what `without` names; no bytes if nothing was. Equal
/// pairs of hives give equal bytes. Both must be clean.
pub fn difference(origin: &[u8], now: &[u8], without: &Exclusions) -> Result<Vec<u8>> {
    super::deep(|| compared(origin, now, without))
}

fn compared(origin: &[u8], now: &[u8], without: &Exclusions) -> Result<Vec<u8>> {
    let (origin, now) = (Hive::open(origin)?, Hive::open(now)?);
    let current = current_set(&origin, &now)?;
    let (from, root) = (origin.root()?, now.root()?);
    let mut compare = Compare {
        origin,
        now,
        without,
        current,
        path: Vec::new(),
        descriptors: Vec::new(),
        places: BTreeMap::new(),
    };
    let root = compare.key(Some(from), root)?;
    if root.is_nothing() {
        return Ok(Vec::new());
    }
    Ok(Changes { descriptors: compare.descriptors, root }.to_bytes())
}

/// The control set that both states run on.
fn current_set(origin: &Hive, now: &Hive) -> Result<Option<Name>> {
    let current = now.control_set()?;
    let literal = |hive: &Hive| Ok(hive.subkey(hive.root()?, &CURRENT.into())?.is_some());
    let is_one = current == origin.control_set()? && !literal(origin)? && !literal(now)?;
    Ok(current.filter(|_| is_one).map(|name| name.folded()))
}

struct Compare<'a> {
    origin: Hive<'a>,
    now: Hive<'a>,
    without: &'a Exclusions,
    current: Option<Name>,
    /// Names of the keys down to the one that is compared.
    path: Vec<Name>,
    descriptors: Vec<Vec<u8>>,
    places: BTreeMap<Vec<u8>, u32>,
}

impl Compare<'_> {
    /// What happened to a key, which is nothing at times.
    fn key(&mut self, from: Option<Key>, key: Key) -> Result<KeyChange> {
        let before = match from {
            None => Before::New,
            Some(from) => {
                let was = facts(&self.origin, from)?;
                if was == facts(&self.now, key)? { Before::Same } else { Before::Other(was) }
            }
        };
        let values = self.values(from, key)?;
        let keys = self.subkeys(from, key)?;
        let mut change = KeyChange { before, values, keys, ..KeyChange::default() };
        if !change.is_nothing() {
            change.name = self.path.last().cloned().unwrap_or_default();
            change.written = self.now.written(key)?;
            change.link = self.now.is_link(key)?;
            change.class = self.now.class(key)?;
            change.security = self.place_of(key)?;
        }
        Ok(change)
    }

    fn place_of(&mut self, key: Key) -> Result<u32> {
        let descriptor = self.now.security(key)?;
        if descriptor.is_empty() {
            return Ok(NONE);
        }
        if let Some(place) = self.places.get(descriptor) {
            return Ok(*place);
        }
        let place = self.descriptors.len() as u32;
        self.places.insert(descriptor.to_vec(), place);
        self.descriptors.push(descriptor.to_vec());
        Ok(place)
    }

    fn subkeys(&mut self, from: Option<Key>, key: Key) -> Result<Vec<SubkeyChange>> {
        let old = from.map_or_else(|| Ok(BTreeMap::new()), |from| by_name(&self.origin, from))?;
        let new = by_name(&self.now, key)?;
        let mut changes = Vec::new();
        for (folded, (name, from)) in &old {
            if new.contains_key(folded) {
                continue;
            }
            self.path.push(self.known_as(name));
            if !self.without.key(&self.path) {
                let digest = tree_digest(&self.origin, *from)?;
                changes.push(SubkeyChange::Removed(self.known_as(name), digest));
            }
            self.path.pop();
        }
        for (folded, (name, key)) in new {
            self.path.push(self.known_as(&name));
            if !self.without.key(&self.path) {
                let change = self.key(old.get(&folded).map(|(_, from)| *from), key)?;
                if !change.is_nothing() {
                    changes.push(SubkeyChange::There(change));
                }
            }
            self.path.pop();
        }
        changes.sort_by_cached_key(|change| change.name().folded());
        Ok(changes)
    }

    /// What a key at the end of the path is called in the difference.
    fn known_as(&self, name: &Name) -> Name {
        let is_current = self.path.is_empty() && self.current.as_ref() == Some(&name.folded());
        if is_current { CURRENT.into() } else { name.clone() }
    }

    fn values(&self, from: Option<Key>, key: Key) -> Result<Vec<ValueChange>> {
        let mut old = from.map_or_else(|| Ok(BTreeMap::new()), |from| values_by_name(&self.origin, from))?;
        let new = values_by_name(&self.now, key)?;
        let mut changes = BTreeMap::new();
        for (folded, now) in new {
            let was = old.remove(&folded);
            let is_same = was.as_ref().is_some_and(|was| was.kind == now.kind && was.data == now.data);
            if is_same || self.without.value(&self.path, &now.name) {
                continue;
            }
            let name = now.name.clone();
            let digest = was.as_ref().map(value_digest);
            let was = was.unwrap_or_else(|| value_list::empty(&now));
            let is_list = |parting| [&now, &was].into_iter().all(|value| value_list::is_list(value, parting));
            let now = match value_list::parting(&self.path, &name) {
                Some(parting) if is_list(parting) => Now::List(now, was),
                _ => Now::Set(now),
            };
            changes.insert(folded, ValueChange { name, was: digest, now });
        }
        for (folded, was) in old {
            if !self.without.value(&self.path, &was.name) {
                let digest = Some(value_digest(&was));
                changes.insert(folded, ValueChange { name: was.name, was: digest, now: Now::Removed });
            }
        }
        Ok(changes.into_values().collect())
    }
}

fn by_name(hive: &Hive, key: Key) -> Result<BTreeMap<Name, (Name, Key)>> {
    let keys = hive.subkeys(key)?.into_iter();
    keys.map(|key| hive.name(key).map(|name| (name.folded(), (name, key)))).collect()
}

fn values_by_name(hive: &Hive, key: Key) -> Result<BTreeMap<Name, Value>> {
    Ok(hive.values(key)?.into_iter().map(|value| (value.name.folded(), value)).collect())
}

/// What tells two values of one name apart.
pub(super) fn value_digest(value: &Value) -> Digest {
    let mut hash = blake3::Hasher::new();
    hash.update(&value.kind.to_le_bytes());
    hash.update(&value.data);
    hash.finalize().into()
}

/// What tells two keys apart, but for their values and subkeys.
pub(super) fn facts(hive: &Hive, key: Key) -> Result<Digest> {
    Ok(facts_digest(hive.is_link(key)?, &hive.class(key)?, hive.security(key)?))
}

pub(super) fn facts_digest(link: bool, class: &[u8], security: &[u8]) -> Digest {
    let mut hash = blake3::Hasher::new();
    hash.update(&[link.into()]);
    hash.update(&(class.len() as u64).to_le_bytes());
    hash.update(class);
    hash.update(security);
    hash.finalize().into()
}

/// What tells two keys apart with all that is in them and below them.
pub(super) fn tree_digest(hive: &Hive, key: Key) -> Result<Digest> {
    // Collected, since a hasher for each of 512 levels would fill the stack.
    let mut parts = facts(hive, key)?.to_vec();
    let values = values_by_name(hive, key)?;
    parts.extend((values.len() as u64).to_le_bytes());
    for (folded, value) in values {
        add_named(&mut parts, &folded, value_digest(&value));
    }
    for (folded, (_, key)) in by_name(hive, key)? {
        let digest = tree_digest(hive, key)?;
        add_named(&mut parts, &folded, digest);
    }
    Ok(blake3::hash(&parts).into())
}

fn add_named(parts: &mut Vec<u8>, name: &Name, digest: Digest) {
    parts.extend((name.units().len() as u64 * 2).to_le_bytes());
    parts.extend(name.units().iter().flat_map(|unit| unit.to_le_bytes()));
    parts.extend(digest);
}
