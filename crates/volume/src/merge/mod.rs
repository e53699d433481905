//! Files that many layers change, put together record by record instead of one layer's file winning whole.
//!
//! ```text
//!   origin ──what the layer did──▶ layer's file
//!      ╎                               │ the same done to
//!      ╎                               ▼
//!   (older than)                 onto, which lower layers and the OS made ──▶ merged
//! ```
//!
//! *Origin* is the file in the state that the layer was made from. A record that the layer added, changed or took away is
//! added, changed or taken away in *onto*; the others are as *onto* has them, in its order, new ones behind. Where both
//! changed one record to different things the layer, being higher, wins, and that is told.

pub mod accounts;
pub mod dpkg;

use std::collections::BTreeMap;

/// A file as records, in order, each with what it is known by. Equal keys: the last one counts.
type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// The records that a merge leaves, and the keys that both sides changed to different things.
fn three_ways(origin: &Records, layer: &Records, onto: &Records) -> (Records, Vec<Vec<u8>>) {
    let map = |records: &Records| records.iter().cloned().collect::<BTreeMap<_, _>>();
    let (old, new, there) = (map(origin), map(layer), map(onto));
    let mut both = Vec::new();
    let mut merged = Records::new();
    let mut decide = |key: &Vec<u8>| {
        let (old, new, there) = (old.get(key), new.get(key), there.get(key));
        if new == old || new == there {
            return there.cloned();
        }
        if there != old {
            both.push(key.clone());
        }
        new.cloned()
    };
    let mut seen = std::collections::BTreeSet::new();
    for (key, _) in onto.iter().chain(layer) {
        if seen.insert(key) {
            merged.extend(decide(key).map(|record| (key.clone(), record)));
        }
    }
    (merged, both)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records() -> impl Strategy<Value = Records> {
        prop::collection::btree_map(0u8..8, 0u8..4, 0..8)
            .prop_map(|map| map.into_iter().map(|(key, value)| (vec![key], vec![value])).collect())
    }

    proptest! {
        #[test]
        fn what_one_side_left_alone_is_as_the_other_has_it(a in records(), b in records()) {
            let same = |left: &Records, right: &Records| {
                let map = |records: &Records| records.iter().cloned().collect::<BTreeMap<_, _>>();
                map(left) == map(right)
            };
            prop_assert!(same(&three_ways(&a, &a, &b).0, &b), "a layer that did nothing");
            prop_assert!(same(&three_ways(&a, &b, &a).0, &b), "a base that stayed");
            prop_assert!(same(&three_ways(&a, &b, &b).0, &b), "both did the same");
        }

        #[test]
        fn every_record_is_decided_for_itself(origin in records(), layer in records(), onto in records()) {
            let (merged, both) = three_ways(&origin, &layer, &onto);
            let get = |records: &Records, key: u8| records.iter().find(|(k, _)| k == &[key]).map(|(_, v)| v.clone());
            for key in 0..8 {
                let (o, l, t) = (get(&origin, key), get(&layer, key), get(&onto, key));
                let expected = if l == o { t.clone() } else { l.clone() };
                prop_assert_eq!(get(&merged, key), expected);
                prop_assert_eq!(both.contains(&vec![key]), l != o && t != o && l != t);
            }
        }
    }
}
