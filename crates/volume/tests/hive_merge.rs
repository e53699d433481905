//! What was done to a hive, done to another.

use proptest::prelude::*;
use shale_volume::hive::{Exclusions, Hive, Key, Name, Value, Which, difference, kind, merge};

mod hives;

const TIME: u64 = 0x01d5_0000_0000_0000;

/// A hive with a value at each of these paths of a key, a slash and a name.
fn with(values: &[(&str, &str)]) -> Vec<u8> {
    changed(&hives::empty(5), values, &[])
}

/// A hive with values set, and keys (a `\` behind them) or values removed.
fn changed(bytes: &[u8], set: &[(&str, &str)], removed: &[&str]) -> Vec<u8> {
    let mut hive = Hive::open(bytes.to_vec()).unwrap();
    for (path, text) in set {
        let (key, name) = path.split_once('/').unwrap();
        let key = ensure(&mut hive, key);
        hive.set_value(key, &Value::text(name, text)).unwrap();
    }
    for path in removed {
        let (key, name) = path.split_once('/').unwrap();
        let key = hive.find(key).unwrap().unwrap();
        if name.is_empty() {
            hive.remove_key(key).unwrap();
        } else {
            assert!(hive.remove_value(key, &name.into()).unwrap());
        }
    }
    hive.into_bytes().unwrap()
}

fn ensure(hive: &mut Hive, path: &str) -> Key {
    let mut key = hive.root().unwrap();
    for name in path.split('\\').filter(|name| !name.is_empty()) {
        let name = Name::from(name);
        key = match hive.subkey(key, &name).unwrap() {
            Some(key) => key,
            None => hive.add_key(key, &name, &hives::descriptor(544), TIME).unwrap(),
        };
    }
    key
}

fn differ(origin: &[u8], now: &[u8]) -> Vec<u8> {
    difference(origin, now, &Exclusions::default()).unwrap()
}

fn text(bytes: &[u8], path: &str) -> Option<String> {
    let (key, name) = path.split_once('/').unwrap();
    Hive::open(bytes.to_vec()).unwrap().value(key, name).unwrap().and_then(|value| value.as_text())
}

#[test]
fn nothing_done_is_no_difference() {
    let one = with(&[("A/x", "1")]);
    assert!(differ(&one, &one).is_empty());
    let mut later = Hive::open(one.clone()).unwrap();
    let key = later.find("A").unwrap().unwrap();
    later.set_written(key, TIME + 1).unwrap();
    let later = later.into_bytes().unwrap();
    assert_ne!(one, later);
    assert!(differ(&one, &later).is_empty(), "a time alone is no change");
    assert_eq!(merge(&one, &[], false).unwrap(), (one, vec![]));
}

#[test]
fn both_sides_are_kept_and_what_both_changed_is_told() {
    let origin =
        with(&[("A/same", "0"), ("A/layer", "0"), ("A/below", "0"), ("A/both", "0"), ("A/alike", "0")]);
    let origin =
        changed(&origin, &[("Gone\\Sub/x", "0"), ("Lost/x", "0"), ("A/gone", "0"), ("A/", "0")], &[]);
    let layer = [
        ("A/layer", "L"),
        ("A/both", "L"),
        ("A/alike", "1"),
        ("N/new", "L"),
        ("N/clash", "L"),
        ("Lost/y", "L"),
        ("A/", "L"),
    ];
    let layer = changed(&origin, &layer, &["Gone/", "A/gone"]);
    let below = [
        ("A/below", "B"),
        ("A/both", "B"),
        ("A/alike", "1"),
        ("N/other", "B"),
        ("N/clash", "B"),
        ("Gone\\Sub/x", "B"),
        ("A/gone", "B"),
        ("A/", "B"),
    ];
    let below = changed(&origin, &below, &["Lost/"]);

    let (merged, mut both) = merge(&below, &differ(&origin, &layer), false).unwrap();
    for (path, expected) in [
        ("A/same", Some("0")),
        ("A/layer", Some("L")),
        ("A/below", Some("B")),
        ("A/both", Some("L")),
        ("A/alike", Some("1")),
        ("A/gone", None),
        ("N/new", Some("L")),
        ("N/other", Some("B")),
        ("N/clash", Some("L")),
        ("Lost/y", Some("L")),
        ("Lost/x", None),
        ("Gone\\Sub/x", None),
    ] {
        assert_eq!(text(&merged, path).as_deref(), expected, "{path}");
    }
    both.sort();
    assert_eq!(both, ["A\\(Default)", "A\\both", "A\\gone", "Gone\\", "Lost\\", "N\\clash"]);
    assert!(hives::exported(&merged).contains("[\\Lost]"));

    let (again, both) = merge(&merged, &differ(&origin, &layer), false).unwrap();
    assert!(again == merged && both.is_empty(), "a second merge changes no byte");
}

/// A class that is text.
fn class(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn keys_come_with_security_class_and_time() {
    let origin = with(&[("A\\B/x", "0")]);
    let mut hive = Hive::open(changed(&origin, &[("A\\B\\C/x", "1")], &[])).unwrap();
    for (path, group) in [("A", 545), ("A\\B", 546), ("A\\B\\C", 547)] {
        let key = hive.find(path).unwrap().unwrap();
        hive.set_security(key, &hives::descriptor(group)).unwrap();
        hive.set_class(key, &class(path)).unwrap();
        hive.set_written(key, TIME + u64::from(group)).unwrap();
    }
    hive.set_link(hive.find("A\\B\\C").unwrap().unwrap(), true).unwrap();
    let layer = hive.into_bytes().unwrap();
    let described = ["/A/B", "S-1-5-32-544", "S-1-5-32-546", "", "A\\B"].map(str::to_owned);
    // One that has A, and one that has nothing of it.
    for onto in [origin.clone(), hives::empty(5)] {
        let (merged, _) = merge(&onto, &differ(&origin, &layer), false).unwrap();
        assert_eq!(hives::described(&merged), hives::described(&layer));
        assert!(hives::described(&merged).contains(&described));
        let hive = Hive::open(merged).unwrap();
        for (path, group) in [("A", 545), ("A\\B", 546), ("A\\B\\C", 547)] {
            let key = hive.find(path).unwrap().unwrap();
            assert_eq!(hive.security(key).unwrap(), hives::descriptor(group), "{path}");
            assert_eq!(hive.class(key).unwrap(), class(path));
            assert_eq!(hive.written(key).unwrap(), TIME + u64::from(group));
            assert_eq!(hive.is_link(key).unwrap(), group == 547);
        }
    }
}

#[test]
fn what_is_not_known_stays_away_where_that_is_wanted() {
    let origin = with(&[("Platform/x", "0"), ("Platform/y", "0"), ("A/x", "0"), ("A/platform", "0")]);
    let layer =
        changed(&origin, &[("Platform/x", "1"), ("A/platform", "1"), ("A/x", "1"), ("New/x", "1")], &[]);
    let onto = with(&[("A/x", "0")]);
    let (merged, _) = merge(&onto, &differ(&origin, &layer), true).unwrap();
    assert_eq!(text(&merged, "A/x").unwrap(), "1");
    assert_eq!(text(&merged, "New/x").unwrap(), "1");
    assert_eq!(text(&merged, "A/platform"), None);
    assert!(!Hive::open(merged).unwrap().exists("Platform").unwrap());
}

#[test]
fn a_path_is_put_together_entry_by_entry() {
    const PATH: &str = "ControlSet001\\Control\\Session Manager\\Environment/Path";
    let origin = with(&[(PATH, "C:\\Windows"), ("Environment/Path", "C:\\U")]);
    let layer = changed(&origin, &[(PATH, "C:\\Windows;C:\\A"), ("Environment/Path", "C:\\J;C:\\U")], &[]);
    let below = changed(&origin, &[(PATH, "C:\\Windows;C:\\B")], &[]);
    let (merged, both) = merge(&below, &differ(&origin, &layer), false).unwrap();
    assert_eq!(text(&merged, PATH).unwrap(), "C:\\Windows;C:\\B;C:\\A");
    assert_eq!(text(&merged, "Environment/Path").unwrap(), "C:\\J;C:\\U");
    assert!(both.is_empty(), "{both:?}");
    let broken = changed(&origin, &[], &["Environment/Path"]);
    let (merged, both) = merge(&broken, &differ(&origin, &layer), false).unwrap();
    assert_eq!(text(&merged, "Environment/Path").unwrap(), "C:\\J;C:\\U");
    assert_eq!(both, ["Environment\\Path"]);
}

#[test]
fn filters_that_several_layers_add_are_all_there() {
    const CLASS: &str = "ControlSet001\\Control\\Class\\{1}";
    let with = |origin: &[u8], name: &str, filters: &str| {
        let mut hive = Hive::open(origin.to_vec()).unwrap();
        let key = ensure(&mut hive, CLASS);
        hive.set_value(key, &Value { kind: kind::TEXTS, ..Value::text(name, filters) }).unwrap();
        hive.into_bytes().unwrap()
    };
    let origin = with(&hives::empty(5), "LowerFilters", "disk\0");
    // One that was there, and one that no side had.
    let layer = with(&with(&origin, "LowerFilters", "disk\0layer\0"), "UpperFilters", "layer\0");
    let below = with(&with(&origin, "LowerFilters", "disk\0below\0"), "UpperFilters", "below\0");
    let difference = differ(&origin, &layer);
    let (merged, both) = merge(&below, &difference, false).unwrap();
    assert!(both.is_empty(), "{both:?}");
    let said = hives::exported(&merged);
    let texts = |texts: &str| -> String {
        texts.bytes().map(|byte| format!("{byte:02x},00")).collect::<Vec<_>>().join(",")
    };
    assert!(said.contains(&format!("\"LowerFilters\"=hex(7):{}", texts("disk\0below\0layer\0\0"))), "{said}");
    assert!(said.contains(&format!("\"UpperFilters\"=hex(7):{}", texts("below\0layer\0\0"))), "{said}");
    assert_eq!(merge(&merged, &difference, false).unwrap().0, merged, "twice is once");
    // What is no list is the layer's, and told.
    let mut other = Hive::open(origin.clone()).unwrap();
    let key = ensure(&mut other, CLASS);
    other.set_value(key, &Value::text("UpperFilters", "below")).unwrap();
    let (merged, both) = merge(other.into_bytes().unwrap(), &difference, false).unwrap();
    let value = Hive::open(merged).unwrap().value(CLASS, "UpperFilters").unwrap().unwrap();
    assert_eq!(value.as_texts().unwrap(), ["layer"]);
    assert_eq!(both, [format!("{CLASS}\\UpperFilters")]);
}

/// A SYSTEM hive that runs on this control set.
fn system(current: u32) -> Vec<u8> {
    let bytes =
        with(&[(&format!("ControlSet{current:03}\\Services\\Old/x"), "0"), ("MountedDevices/a", "0")]);
    let mut hive = Hive::open(bytes).unwrap();
    let select = ensure(&mut hive, "Select");
    hive.set_value(select, &Value::number("Current", current)).unwrap();
    hive.into_bytes().unwrap()
}

#[test]
fn what_was_done_to_the_current_control_set_is_done_to_the_current_one() {
    let origin = system(1);
    let now =
        [("ControlSet001\\Services\\New/x", "1"), ("MountedDevices/b", "1"), ("ControlSet003\\a/b", "1")];
    let now = changed(&origin, &now, &[]);
    let without = Exclusions::shipped(Which::System).unwrap();
    let difference = difference(&origin, &now, &without).unwrap();
    let (merged, both) = merge(system(2), &difference, false).unwrap();
    let hive = Hive::open(merged).unwrap();
    assert_eq!(hive.control_set().unwrap().unwrap().to_string(), "ControlSet002");
    assert!(hive.exists("ControlSet002\\Services\\New").unwrap());
    assert!(hive.exists("CurrentControlSet\\services\\new").unwrap());
    assert!(hive.exists("ControlSet003\\a").unwrap(), "another one is what it is");
    assert!(!hive.exists("ControlSet001").unwrap());
    assert!(hive.value("MountedDevices", "b").unwrap().is_none(), "excluded");
    assert!(both.is_empty(), "{both:?}");
}

#[test]
fn the_deepest_keys_are_compared_and_merged() {
    let path = vec!["k"; 511].join("\\");
    let (one, two) = (with(&[(&format!("{path}\\a/x"), "0")]), with(&[(&format!("{path}\\b/x"), "1")]));
    let (merged, _) = merge(&one, &differ(&one, &two), false).unwrap();
    assert_eq!(hives::content(&merged), hives::content(&two));
    let (merged, _) = merge(hives::empty(5), &differ(&hives::empty(5), &two), false).unwrap();
    assert_eq!(hives::content(&merged), hives::content(&two));
}

#[test]
fn a_real_hive_takes_what_was_done_to_another() {
    let real = hives::real("offreg");
    let now = hives::imported(
        &real,
        "[\\data-test]\n\"dword\"=dword:00000007\n\n[\\subkey-test\\Key1]\n\"new\"=\"1\"\n\n[-\\subpath-test]\n",
    );
    let (merged, both) = merge(&real, &differ(&real, &now), false).unwrap();
    assert_eq!(hives::exported(&merged), hives::exported(&now));
    assert!(both.is_empty(), "{both:?}");
    assert!(hives::counted(&merged).0 > 500);
}

#[test]
fn a_real_system_hive_takes_what_an_installation_did_to_it() {
    let real = hives::real("system");
    let installed = "[\\ControlSet001\\Services\\Sundial]\n\"Start\"=dword:00000002\n\n\
        [\\ControlSet001\\Services\\Tcpip]\n\"DependOnService\"=hex(7):61,00,00,00,00,00\n\n\
        [-\\ControlSet001\\Services\\Beep]\n";
    let now = hives::imported(&real, installed);
    let without = Exclusions::shipped(Which::System).unwrap();
    let difference = difference(&real, &now, &without).unwrap();
    assert!(difference.len() < 2000, "{} bytes", difference.len());
    let (merged, both) = merge(&real, &difference, false).unwrap();
    assert!(both.is_empty(), "{both:?}");
    assert_eq!(hives::exported(&merged), hives::exported(&now));
    assert_eq!(hives::counted(&merged), hives::counted(&now));
    assert!(hives::described(&merged) == hives::described(&now), "security and classes are the same");
}

#[test]
fn changes_that_are_damaged_are_refused() {
    let origin = with(&[("A/x", "0"), ("B\\C/y", "0"), ("Environment/Path", "a")]);
    let now = changed(&origin, &[("A/x", "1"), ("N/new", "2"), ("Environment/Path", "b")], &["B/"]);
    let good = differ(&origin, &now);
    assert!(merge(&origin, &good, false).is_ok());
    for length in 1..good.len() {
        assert!(merge(&origin, &good[..length], false).is_err(), "the first {length} bytes");
    }
    let more = [good.as_slice(), b"x"].concat();
    assert!(merge(&origin, &more, false).is_err(), "more bytes");
    for at in 0..good.len() {
        for bit in [1, 0x80] {
            let mut wrong = good.clone();
            wrong[at] ^= bit;
            if let Ok((merged, _)) = merge(&origin, &wrong, false) {
                Hive::open(merged).unwrap();
            }
        }
    }
}

/// Values and keys that are set or removed, below a key of the root.
fn state(top: &'static str) -> impl Strategy<Value = Vec<(String, Option<Value>)>> {
    let path = (0u8..3, 0u8..3, 0u8..4).prop_map(move |(one, two, depth)| match depth {
        0 => top.to_owned(),
        1 => format!("{top}\\k{one}"),
        _ => format!("{top}\\k{one}\\K{two}"),
    });
    let number = prop_oneof![0u32..4, Just(7)];
    let value = (0u8..4, number).prop_map(|(name, number)| match name {
        0 => Value::text("", &"x".repeat(number as usize * 3000)),
        1 => Value { kind: kind::BINARY, ..Value::text("bytes", "y") },
        _ => Value::number(&format!("V{name}"), number),
    });
    prop::collection::vec((path, prop::option::weighted(0.9, value)), 0..25)
}

fn make(bytes: &[u8], state: &[(String, Option<Value>)]) -> Vec<u8> {
    let mut hive = Hive::open(bytes.to_vec()).unwrap();
    for (path, value) in state {
        match value {
            Some(value) => {
                let key = ensure(&mut hive, path);
                hive.set_value(key, value).unwrap();
                if value.data.first() == Some(&2) {
                    hive.set_security(key, &hives::descriptor(545)).unwrap();
                }
            }
            None => {
                if let Some(key) = hive.find(path).unwrap() {
                    hive.remove_key(key).unwrap();
                }
            }
        }
    }
    hive.into_bytes().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_difference_done_to_its_origin_gives_what_it_was_made_of(a in state("T"), b in state("T"), fresh in any::<bool>()) {
        let a = make(&hives::empty(5), &a);
        let b = if fresh { make(&hives::empty(3), &b) } else { make(&a, &b) };
        let difference = differ(&a, &b);
        prop_assert_eq!(&difference, &differ(&a, &b), "equal pairs give equal bytes");
        let (merged, both) = merge(&a, &difference, false).unwrap();
        prop_assert!(both.is_empty(), "{:?}", both);
        prop_assert_eq!(hives::content(&merged), hives::content(&b));
        prop_assert_eq!(hives::exported(&merged), hives::exported(&b));
        prop_assert_eq!(merge(&merged, &difference, false).unwrap().0, merged, "twice is once");
    }

    #[test]
    fn layers_that_touch_different_keys_may_come_in_any_order(a in state("A"), b in state("B"), c in state("A"), d in state("B")) {
        let origin = make(&make(&hives::empty(5), &a), &b);
        let (one, two) = (differ(&origin, &make(&origin, &c)), differ(&origin, &make(&origin, &d)));
        let apply = |first: &[u8], second: &[u8]| {
            let (bytes, both) = merge(&origin, first, false).unwrap();
            let (bytes, more) = merge(&bytes, second, false).unwrap();
            assert!(both.is_empty() && more.is_empty());
            hives::content(&bytes)
        };
        prop_assert_eq!(apply(&one, &two), apply(&two, &one));
    }
}
