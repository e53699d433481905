//! Files that are lists of records: put together record by record.
//!
//! A record that the layer added, changed or took away is added, changed or taken away in *onto*; the others are as *onto* has
//! them, in its order, new ones behind. Where both changed one record to different things the layer, being higher, wins,
//! and that is told.
//!
//! The difference is the records that differ, as they were in origin and then as the layer has them. Each of the two: a 32-bit
//! count, and for each record its key and itself, both as a 32-bit length and that many bytes; numbers are little-endian.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use shale_disk::{Error, ErrorKind, Result};

use super::{Merged, Rule, Terms};

/// A file as records, in order, each with what it is known by. Equal keys: the last one counts.
pub type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// A form of files.
pub trait Form: Sync {
    /// What it is called in deltas.
    const NAME: &'static str;
    /// As [`Rule::may_stay`].
    const MAY_STAY: bool = false;

    /// A file's records.
    fn parse(&self, file: &[u8]) -> Result<Records>;

    /// The file of some records.
    fn print(&self, records: &Records) -> Vec<u8> {
        records.iter().flat_map(|(_, line)| [line, &b"\n"[..]].concat()).collect()
    }

    /// What the layer's records are to be where they come: records that are lists themselves, and ids.
    fn adapt(&self, difference: &mut Difference, onto: &Records, terms: &mut Terms) {
        let _ = (difference, onto, terms);
    }

    /// What is wrong with two records that do not know of each other.
    fn clashes(&self, merged: &Records) -> Vec<String> {
        let _ = merged;
        Vec::new()
    }
}

/// The records that differ, as they were and as the layer has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub origin: Records,
    pub layer: Records,
    /// Keys of records that were put together, in which no change is lost.
    pub joined: BTreeSet<Vec<u8>>,
}

impl<F: Form> Rule for F {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn may_stay(&self) -> bool {
        F::MAY_STAY
    }

    fn difference(&self, origin: &[u8], now: &[u8], _: Option<&str>) -> Result<Vec<u8>> {
        let (mut origin, mut now) = (self.parse(origin)?, self.parse(now)?);
        let (old, new) = (map(&origin), map(&now));
        let differs = |key: &Vec<u8>| old.get(key) != new.get(key);
        let keys = old.keys().chain(new.keys()).filter(|key| differs(key));
        let kept: BTreeSet<Vec<u8>> = keys.map(|key| key.to_vec()).collect();
        if kept.is_empty() {
            return Ok(Vec::new());
        }
        origin.retain(|(key, _)| kept.contains(key));
        now.retain(|(key, _)| kept.contains(key));
        let mut bytes = Vec::new();
        put(&origin, &mut bytes)?;
        put(&now, &mut bytes)?;
        Ok(bytes)
    }

    fn merge(&self, onto: Cow<[u8]>, difference: &[u8], terms: &mut Terms) -> Result<Merged> {
        let mut rest = difference;
        let (origin, layer) = (take(&mut rest)?, take(&mut rest)?);
        let onto = self.parse(&onto)?;
        let mut difference = Difference { origin, layer, joined: BTreeSet::new() };
        self.adapt(&mut difference, &onto, terms);
        let (merged, mut both) = three_ways(&difference, &onto, terms.only_known);
        both.retain(|key| !difference.joined.contains(key));
        let mut both: Vec<String> =
            both.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect();
        both.extend(self.clashes(&merged));
        Ok(Merged { bytes: self.print(&merged), both })
    }
}

fn put(records: &Records, to: &mut Vec<u8>) -> Result<()> {
    let number =
        |length: usize| u32::try_from(length).map(u32::to_le_bytes).map_err(|_| corrupt("is too long"));
    to.extend(number(records.len())?);
    for (key, record) in records {
        for bytes in [key, record] {
            to.extend(number(bytes.len())?);
            to.extend(bytes);
        }
    }
    Ok(())
}

/// The records that a difference puts.
pub fn put_by(difference: &[u8]) -> Result<Records> {
    let mut rest = difference;
    take(&mut rest)?;
    take(&mut rest)
}

fn take(from: &mut &[u8]) -> Result<Records> {
    let mut records = Records::new();
    for _ in 0..number(from)? {
        records.push((bytes(from)?, bytes(from)?));
    }
    Ok(records)
}

fn number(from: &mut &[u8]) -> Result<u32> {
    let (number, rest) = from.split_first_chunk().ok_or_else(|| corrupt("is cut off"))?;
    *from = rest;
    Ok(u32::from_le_bytes(*number))
}

fn bytes(from: &mut &[u8]) -> Result<Vec<u8>> {
    let length = number(from)? as usize;
    let (bytes, rest) = from.split_at_checked(length).ok_or_else(|| corrupt("is cut off"))?;
    *from = rest;
    Ok(bytes.to_vec())
}

fn map(records: &Records) -> BTreeMap<&Vec<u8>, &Vec<u8>> {
    records.iter().map(|(key, record)| (key, record)).collect()
}

/// The records that a merge leaves, and the keys that both sides changed to different things.
fn three_ways(difference: &Difference, onto: &Records, only_known: bool) -> (Records, Vec<Vec<u8>>) {
    let (old, new, there) = (map(&difference.origin), map(&difference.layer), map(onto));
    let mut both = Vec::new();
    let mut merged = Records::new();
    let mut decide = |key: &Vec<u8>| {
        let (old, new, there) = (old.get(key), new.get(key), there.get(key));
        if new == old || new == there {
            return there.copied();
        }
        if there != old {
            both.push(key.clone());
        }
        // What it changed of what was not there before it is somebody else's.
        if only_known && old.is_some() && there.is_none() { None } else { new.copied() }
    };
    let mut seen = BTreeSet::new();
    for (key, _) in onto.iter().chain(&difference.layer) {
        if seen.insert(key) {
            merged.extend(decide(key).map(|record| (key.clone(), record.clone())));
        }
    }
    (merged, both)
}

/// Lines that are not empty, by what `key` says of each.
pub fn lines(file: &[u8], key: impl Fn(&[u8]) -> Vec<u8>) -> Records {
    let lines = file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| (key(line), line.to_vec())).collect()
}

/// The entries of a list that is one record: those that are there, with those the layer added and without those it took away.
pub fn joined_list(origin: &[u8], layer: &[u8], there: &[u8], separator: u8) -> Vec<u8> {
    let entries = |list: &[u8]| -> Vec<Vec<u8>> {
        list.split(|byte| *byte == separator).filter(|entry| !entry.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let (old, new, mut all) = (entries(origin), entries(layer), entries(there));
    all.retain(|entry| new.contains(entry) || !old.contains(entry));
    let added: Vec<_> = new.into_iter().filter(|new| !old.contains(new) && !all.contains(new)).collect();
    all.extend(added);
    all.join(&separator)
}

pub fn find<'a>(records: &'a Records, key: &[u8]) -> Option<&'a Vec<u8>> {
    records.iter().rev().find(|(known, _)| known == key).map(|(_, record)| record)
}

pub fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("what a layer did to a list {what}"))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the layer did to `origin`, done to `onto`.
    pub fn merged(rule: &dyn Rule, origin: &str, layer: &str, onto: &str) -> (String, Vec<String>) {
        let mut terms = Terms::default();
        let difference = rule.difference(origin.as_bytes(), layer.as_bytes(), None).unwrap();
        if difference.is_empty() {
            return (onto.to_owned(), Vec::new());
        }
        let merged = rule.merge(onto.as_bytes().into(), &difference, &mut terms).unwrap();
        (String::from_utf8(merged.bytes).unwrap(), merged.both)
    }

    /// One byte of key and one of value in each record.
    struct Pairs;

    impl Form for Pairs {
        const NAME: &'static str = "pairs";

        fn parse(&self, file: &[u8]) -> Result<Records> {
            Ok(file.chunks(2).map(|pair| (pair[..1].to_vec(), pair.to_vec())).collect())
        }

        fn print(&self, records: &Records) -> Vec<u8> {
            records.iter().flat_map(|(_, pair)| pair.clone()).collect()
        }
    }

    fn file() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::btree_map(0u8..8, 0u8..4, 0..8)
            .prop_map(|map| map.into_iter().flat_map(|(key, value)| [key, value]).collect())
    }

    fn decided(origin: &[u8], layer: &[u8], onto: &[u8]) -> (BTreeMap<u8, u8>, Vec<String>) {
        let difference = Pairs.difference(origin, layer, None).unwrap();
        let map = |file: &[u8]| file.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        if difference.is_empty() {
            return (map(onto), Vec::new());
        }
        let merged = Pairs.merge(onto.into(), &difference, &mut Terms::default()).unwrap();
        (map(&merged.bytes), merged.both)
    }

    proptest! {
        #[test]
        fn what_one_side_left_alone_is_as_the_other_has_it(a in file(), b in file()) {
            let (of_a, of_b) = (decided(&a, &a, &a).0, decided(&b, &b, &b).0);
            prop_assert_eq!(&decided(&a, &a, &b).0, &of_b, "a layer that did nothing");
            prop_assert_eq!(&decided(&a, &b, &a).0, &of_b, "a base that stayed");
            prop_assert_eq!(&decided(&a, &b, &b).0, &of_b, "both did the same");
            prop_assert_eq!(&decided(&b, &a, &b).0, &of_a, "back again");
        }

        #[test]
        fn every_record_is_decided_for_itself(origin in file(), layer in file(), onto in file()) {
            let (merged, both) = decided(&origin, &layer, &onto);
            let get = |file: &[u8], key: u8| file.chunks(2).find(|pair| pair[0] == key).map(|pair| pair[1]);
            for key in 0..8 {
                let (o, l, t) = (get(&origin, key), get(&layer, key), get(&onto, key));
                let expected = if l == o { t } else { l };
                prop_assert_eq!(merged.get(&key).copied(), expected);
                let told = both.contains(&String::from_utf8(vec![key]).unwrap());
                prop_assert_eq!(told, l != o && t != o && l != t);
            }
        }

        #[test]
        fn any_bytes_as_a_difference_are_refused_or_merged(onto in file(), difference in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = super::super::dpkg::Packages.merge((&onto).into(), &difference, &mut Terms::default());
            let _ = super::super::accounts::Passwd.merge((&onto).into(), &difference, &mut Terms::default());
            let _ = super::super::alternatives::Alternatives.merge((&onto).into(), &difference, &mut Terms::default());
            let _ = super::super::ld_cache::LdCache.merge((&onto).into(), &difference, &mut Terms::default());
        }
    }

    #[test]
    fn a_record_of_somebody_else_stays_away_where_only_known_ones_count() {
        let difference = Pairs.difference(b"a1b1", b"a2b2c1", None).unwrap();
        let mut terms = Terms { only_known: true, ..Terms::default() };
        let merged = Pairs.merge(b"a1".into(), &difference, &mut terms).unwrap();
        assert_eq!((&merged.bytes[..], &merged.both[..]), (&b"a2c1"[..], &["b".to_owned()][..]));
    }
}
