//! Doing to a hive what was done to another: [`super::difference`] says it.
//!
//! A record is a value, or a key with its security and class. Where the hive has a record otherwise than the one that the
//! difference was made from had it, and otherwise than the difference makes it, both sides changed it: the difference is of
//! the layer, which is higher and wins, and that is told. What is there already as it should be is not touched, so that a
//! second merge changes no byte.

use std::borrow::Cow;

use shale_disk::Result;

use super::cells::NONE;
use super::changes::{Before, Changes, Digest, KeyChange, Now, SubkeyChange, ValueChange};
use super::difference::{facts, facts_digest, tree_digest, value_digest};
use super::name::Name;
use super::read::CURRENT;
use super::value::Value;
use super::value_list;
use super::{Hive, Key};

/// Does to the hive `onto` what a difference says. Tells the hive, and what both sides changed to different things: a value
/// as `Software\Vendor\Setting`, a key with a `\` behind it. With `only_known` a value or key that was changed, but that is
/// not there, stays away; otherwise it is put there.
pub fn merge<'b>(
    onto: impl Into<Cow<'b, [u8]>>,
    difference: &[u8],
    only_known: bool,
) -> Result<(Vec<u8>, Vec<String>)> {
    let onto = onto.into();
    if difference.is_empty() {
        return Ok((onto.into_owned(), Vec::new()));
    }
    super::deep(|| merged(onto, difference, only_known))
}

fn merged(onto: Cow<[u8]>, difference: &[u8], only_known: bool) -> Result<(Vec<u8>, Vec<String>)> {
    let changes = Changes::read(difference)?;
    let hive = Hive::open(onto)?;
    let root = hive.root()?;
    let mut merge =
        Merge { hive, descriptors: changes.descriptors, only_known, path: Vec::new(), both: Vec::new() };
    merge.key(root, &changes.root)?;
    Ok((merge.hive.into_bytes()?, merge.both))
}

struct Merge<'b> {
    hive: Hive<'b>,
    descriptors: Vec<Vec<u8>>,
    only_known: bool,
    /// Names of the keys down to the one that is merged.
    path: Vec<Name>,
    both: Vec<String>,
}

impl Merge<'_> {
    /// Does to a key that is there what was done.
    fn key(&mut self, key: Key, change: &KeyChange) -> Result<()> {
        self.facts(key, change)?;
        for value in &change.values {
            self.value(key, value)?;
        }
        for subkey in &change.keys {
            let name = self.name_here(subkey.name())?;
            self.path.push(name.clone());
            let found = self.hive.subkey(key, &name)?;
            match (subkey, found) {
                (SubkeyChange::Removed(_, was), Some(found)) => self.remove(found, was)?,
                (SubkeyChange::Removed(..), None) => {}
                (SubkeyChange::There(change), Some(found)) => self.key(found, change)?,
                (SubkeyChange::There(change), None) => self.make(key, &name, change)?,
            }
            self.path.pop();
        }
        let touched = change.before != Before::Same
            || !change.values.is_empty()
            || change.keys.iter().any(comes_or_goes);
        if touched && self.hive.written(key)? < change.written {
            self.hive.set_written(key, change.written)?;
        }
        Ok(())
    }

    /// What a key of the difference is called here.
    fn name_here(&self, name: &Name) -> Result<Name> {
        let is_current = self.path.is_empty() && name.is(CURRENT);
        if !is_current || self.hive.subkey(self.hive.root()?, name)?.is_some() {
            return Ok(name.clone());
        }
        Ok(self.hive.control_set()?.unwrap_or_else(|| "ControlSet001".into()))
    }

    fn descriptor(&self, change: &KeyChange) -> Vec<u8> {
        let known = (change.security != NONE).then(|| self.descriptors.get(change.security as usize));
        known.flatten().cloned().unwrap_or_default()
    }

    fn facts(&mut self, key: Key, change: &KeyChange) -> Result<()> {
        let there = facts(&self.hive, key)?;
        let security = self.descriptor(change);
        let new = facts_digest(change.link, &change.class, &security);
        if change.before == Before::Same || there == new {
            return Ok(());
        }
        if change.before != Before::Other(there) {
            self.tell(None);
        }
        self.hive.set_security(key, &security)?;
        self.hive.set_class(key, &change.class)?;
        self.hive.set_link(key, change.link)
    }

    fn remove(&mut self, key: Key, was: &Digest) -> Result<()> {
        if tree_digest(&self.hive, key)? != *was {
            self.tell(None);
        }
        self.hive.remove_key(key)
    }

    /// Makes a key that is not there: a new one, or one that went while something in it or below it was changed.
    fn make(&mut self, parent: Key, name: &Name, change: &KeyChange) -> Result<()> {
        if change.before != Before::New {
            if self.only_known || !brings(change) {
                return Ok(());
            }
            self.tell(None);
        }
        let security = self.descriptor(change);
        let key = self.hive.add_key(parent, name, &security, change.written)?;
        self.hive.set_class(key, &change.class)?;
        self.hive.set_link(key, change.link)?;
        self.key(key, change)
    }

    fn value(&mut self, key: Key, change: &ValueChange) -> Result<()> {
        let there = self.hive.value_of(key, &change.name)?;
        let digest = there.as_ref().map(value_digest);
        if there.is_none() && change.was.is_some() && self.only_known {
            return Ok(());
        }
        // A list that was put together has what both sides made of it.
        let list = self.list(change, there.as_ref());
        let is_list = list.is_some();
        let now = match &change.now {
            Now::Removed => None,
            Now::Set(now) | Now::List(now, _) => list.or_else(|| Some(now.clone())),
        };
        if now.as_ref().map(value_digest) == digest {
            return Ok(());
        }
        if digest != change.was && !is_list {
            self.tell(Some(&change.name));
        }
        match now {
            Some(now) => self.hive.set_value(key, &now),
            None => self.hive.remove_value(key, &change.name).map(drop),
        }
    }

    /// What is put together of a list that is there.
    fn list(&self, change: &ValueChange, there: Option<&Value>) -> Option<Value> {
        let (Now::List(now, was), Some(there)) = (&change.now, there) else { return None };
        let parting = value_list::parting(&self.path, &change.name)?;
        let all_are = [now, was, there].into_iter().all(|value| value_list::is_list(value, parting));
        let is_as_it_was = there.kind == was.kind && there.data == was.data;
        let merged = || if is_as_it_was { now.clone() } else { value_list::merged(was, now, there, parting) };
        all_are.then(merged)
    }

    fn tell(&mut self, value: Option<&Name>) {
        let keys: Vec<String> = self.path.iter().map(Name::to_string).collect();
        let value = match value {
            Some(name) if name.units().is_empty() => "(Default)".to_owned(),
            Some(name) => name.to_string(),
            None => String::new(),
        };
        let path = keys.join("\\");
        self.both.push(if path.is_empty() { value } else { format!("{path}\\{value}") });
    }
}

fn comes_or_goes(change: &SubkeyChange) -> bool {
    match change {
        SubkeyChange::Removed(..) => true,
        SubkeyChange::There(key) => key.before == Before::New,
    }
}

/// Whether a change puts something there, in the key or below.
fn brings(change: &KeyChange) -> bool {
    change.before != Before::Same
        || change.values.iter().any(|value| value.now != Now::Removed)
        || change.keys.iter().any(|key| matches!(key, SubkeyChange::There(key) if brings(key)))
}
