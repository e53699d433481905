//! Hives that are changed in place: others read them as we do.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shale_volume::hive::{Hive, Key, Name, Value, kind};

mod hives;

/// A time, in units of 100 ns from 1601.
const TIME: u64 = 0x01d5_0000_0000_0000;

fn value(name: &str, length: usize) -> Value {
    let data = (0..length).map(|at| (at * 7 + at / 251) as u8).collect();
    Value { name: name.into(), kind: kind::BINARY, data }
}

fn add(hive: &mut Hive, parent: Key, name: &str) -> Key {
    hive.add_key(parent, &name.into(), &hives::descriptor(544), TIME).unwrap()
}

#[test]
fn a_hive_that_was_not_changed_is_the_same_bytes() {
    for bytes in [hives::real("offreg"), hives::real("recovered"), hives::real("system"), hives::empty(3)] {
        assert!(Hive::open(bytes.clone()).unwrap().into_bytes().unwrap() == bytes);
    }
}

#[test]
fn real_hives_have_what_others_find_in_them() {
    for name in ["offreg", "recovered", "system"] {
        let bytes = hives::real(name);
        let (keys, values) = hives::counted(&bytes);
        let content = hives::content(&bytes);
        assert_eq!(content.len(), keys, "{name}");
        assert_eq!(content.values().map(|key| key.3.len()).sum::<usize>(), values, "{name}");
        assert_eq!(hives::xml(&bytes).matches("<node ").count(), keys, "{name}");
    }
    let hive = Hive::open(hives::real("offreg")).unwrap();
    let value = |name| hive.value("data-test", name).unwrap().unwrap();
    assert_eq!(value("reg-sz").as_text().unwrap(), "sz-test");
    assert_eq!(value("DWORD").as_number(), Some(42));
    assert_eq!(value("reg-multi-sz").as_texts().unwrap(), ["multi-sz-test", "line2"]);
    assert!(hive.exists("SUBKEY-test\\Key100").unwrap());
    assert!(!hive.exists("nothing").unwrap());
}

#[test]
fn what_is_written_is_read_by_others() {
    for minor in [3, 5] {
        let mut hive = Hive::open(hives::empty(minor)).unwrap();
        let root = hive.root().unwrap();
        for name in ["Plain", "Ärger", "Яндекс", &"x".repeat(255), "a b;c[d]"] {
            let key = add(&mut hive, root, name);
            hive.set_class(key, b"c\0l\0a\0s\0s\0").unwrap();
            for (at, length) in [0, 1, 4, 5, 4000, 16_344, 16_345, 40_000].into_iter().enumerate() {
                hive.set_value(key, &value(&format!("v{at}"), length)).unwrap();
            }
            hive.set_value(key, &Value::text("", "default")).unwrap();
            hive.set_value(key, &Value::text("Größe", "größer")).unwrap();
            hive.set_value(key, &Value::number("число", 9)).unwrap();
        }
        let expected = 5 * 11;
        let bytes = hive.into_bytes().unwrap();
        assert_eq!(&bytes[4..12], &[2, 0, 0, 0, 2, 0, 0, 0], "the numbers went up by one");
        let content = hives::content(&bytes);
        assert_eq!(content.values().map(|key| key.3.len()).sum::<usize>(), expected);
        assert_eq!(content["\\PLAIN"].3[&Name::from("V7")].1, value("", 40_000).data);
        assert_eq!(content["\\PLAIN"].0, b"c\0l\0a\0s\0s\0");
        let xml = hives::xml(&bytes);
        for text in ["name=\"Ärger\"", "name=\"Яндекс\"", "key=\"Größe\"", "key=\"число\"", "größer"]
        {
            assert!(xml.contains(text), "{text} in 1.{minor}: {xml:.300}");
        }
        assert_eq!(xml.matches("<value ").count(), expected, "1.{minor}");
        assert!(hives::exported(&bytes).contains("\"v5\"=hex(3):00,07,0e"));
        // Long data of hives before 1.4 is not what nt-hive expects.
        if minor == 5 {
            assert_eq!(hives::counted(&bytes), (6, expected));
        }
    }
}

#[test]
fn what_others_wrote_is_changed_too() {
    let bytes =
        hives::imported(&hives::empty(3), "[\\A]\n\"x\"=\"1\"\n\n[\\A\\B]\n@=dword:00000002\n\n[\\C]\n");
    let mut hive = Hive::open(bytes).unwrap();
    let key = hive.find("a").unwrap().unwrap();
    assert_eq!(hive.value("A\\b", "").unwrap().unwrap().as_number(), Some(2));
    hive.set_value(key, &Value::text("X", "2")).unwrap();
    hive.remove_key(hive.find("C").unwrap().unwrap()).unwrap();
    add(&mut hive, key, "0");
    let exported = hives::exported(&hive.into_bytes().unwrap());
    assert!(exported.contains("[\\A\\0]") && exported.contains("[\\A\\B]"), "{exported}");
    assert!(!exported.contains("[\\C]"), "{exported}");
}

#[test]
fn a_key_may_have_thousands_of_subkeys_and_lose_them() {
    for minor in [3, 5] {
        let mut hive = Hive::open(hives::empty(minor)).unwrap();
        let root = hive.root().unwrap();
        // An order in which every part of the list grows.
        let names: Vec<String> = (0..3000).map(|at| format!("key {}", at * 1009 % 3000)).collect();
        let fill = |hive: &mut Hive| {
            for name in &names {
                add(hive, root, name);
            }
        };
        fill(&mut hive);
        let full = hive.into_bytes().unwrap();
        assert_eq!(hives::counted(&full), (3001, 0));
        assert_eq!(hives::exported(&full).matches("[\\key ").count(), 3000);
        assert_eq!(hives::content(&full).len(), 3001);

        let mut hive = Hive::open(full.clone()).unwrap();
        for name in &names {
            let key = hive.subkey(root, &name.as_str().into()).unwrap().unwrap();
            hive.remove_key(key).unwrap();
        }
        assert!(hive.subkeys(root).unwrap().is_empty());
        fill(&mut hive);
        let again = hive.into_bytes().unwrap();
        assert_eq!(again.len(), full.len(), "room that was free is used again");
        assert_eq!(hives::content(&again), hives::content(&full));
    }
}

#[test]
fn removed_data_leaves_nothing_behind() {
    let mut hive = Hive::open(hives::empty(5)).unwrap();
    let root = hive.root().unwrap();
    let key = add(&mut hive, root, "Secrets");
    hive.set_value(key, &Value::text("Password", "correct horse battery staple")).unwrap();
    let bytes = hive.into_bytes().unwrap();
    let has = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
    assert!(has(&bytes, b"Secrets") && has(&bytes, b"h\0o\0r\0s\0e"));
    let mut hive = Hive::open(bytes).unwrap();
    hive.remove_key(hive.find("secrets").unwrap().unwrap()).unwrap();
    let bytes = hive.into_bytes().unwrap();
    assert!(!has(&bytes, b"Secrets") && !has(&bytes, b"h\0o\0r\0s\0e"));
}

#[test]
fn keys_that_cannot_be_are_refused() {
    let mut hive = Hive::open(hives::empty(5)).unwrap();
    let root = hive.root().unwrap();
    for name in ["", "a\\b", &"x".repeat(256)] {
        assert!(hive.add_key(root, &name.into(), &[], TIME).is_err(), "{name}");
    }
    let key = add(&mut hive, root, "there");
    assert!(hive.add_key(root, &"THERE".into(), &[], TIME).is_err(), "twice");
    assert!(hive.remove_key(root).is_err(), "the root");
    hive.remove_key(key).unwrap();
    assert!(hive.set_value(key, &value("v", 1)).is_err(), "a key that was removed");
    let mut deep = root;
    for _ in 0..512 {
        deep = add(&mut hive, deep, "k");
    }
    assert!(hive.add_key(deep, &"k".into(), &[], TIME).is_err(), "513 deep");
    let bytes = hive.into_bytes().unwrap();
    assert_eq!(hives::content(&bytes).len(), 513);
}

/// A change of a hive, on one of few keys and values.
#[derive(Clone, Debug)]
enum Edit {
    Set(u8, u8, usize),
    Unset(u8, u8),
    Remove(u8),
    Secure(u8, u8),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let length = prop_oneof![0usize..10, 10usize..200, Just(16_344usize), Just(16_345), 16_346usize..60_000];
    let edit = prop_oneof![
        6 => (0u8..30, 0u8..6, length).prop_map(|(key, value, length)| Edit::Set(key, value, length)),
        2 => (0u8..30, 0u8..6).prop_map(|(key, value)| Edit::Unset(key, value)),
        2 => (0u8..30).prop_map(Edit::Remove),
        1 => (0u8..30, 0u8..3).prop_map(|(key, which)| Edit::Secure(key, which)),
    ];
    prop::collection::vec(edit, 1..60)
}

/// The path of a key: those below six lie on three levels.
fn names(key: u8) -> Vec<String> {
    let all = [key / 10, key / 3 % 4, key % 3];
    all[..1 + usize::from(key % 3)].iter().map(|part| format!("Key{part}")).collect()
}

type Model = BTreeMap<Vec<String>, (Vec<u8>, BTreeMap<u8, usize>)>;

fn ensure(hive: &mut Hive, model: &mut Model, path: &[String]) -> Key {
    let mut key = hive.root().unwrap();
    for depth in 0..path.len() {
        let name = Name::from(path[depth].as_str());
        key = match hive.subkey(key, &name).unwrap() {
            Some(key) => key,
            None => add(hive, key, &path[depth]),
        };
        model.entry(path[..=depth].to_vec()).or_insert_with(|| (hives::descriptor(544), BTreeMap::new()));
    }
    key
}

fn carry_out(hive: &mut Hive, model: &mut Model, edit: &Edit) {
    match edit {
        Edit::Set(key, name, length) => {
            let path = names(*key);
            let key = ensure(hive, model, &path);
            hive.set_value(key, &value(&format!("v{name}"), *length)).unwrap();
            model.get_mut(&path).unwrap().1.insert(*name, *length);
        }
        Edit::Unset(key, name) => {
            let path = names(*key);
            let key = ensure(hive, model, &path);
            let was_there = hive.remove_value(key, &format!("V{name}").as_str().into()).unwrap();
            assert_eq!(was_there, model.get_mut(&path).unwrap().1.remove(name).is_some());
        }
        Edit::Remove(key) => {
            let path = names(*key);
            if let Some(key) = hive.find(&path.join("\\")).unwrap() {
                hive.remove_key(key).unwrap();
            }
            model.retain(|other, _| !other.starts_with(&path));
        }
        Edit::Secure(key, which) => {
            let path = names(*key);
            let key = ensure(hive, model, &path);
            let descriptor = hives::descriptor(545 + u32::from(*which));
            hive.set_security(key, &descriptor).unwrap();
            model.get_mut(&path).unwrap().0 = descriptor;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_hive_has_what_was_put_into_it(edits in edits(), minor in prop_oneof![Just(3u32), Just(5)], stops in 1usize..20) {
        let mut hive = Hive::open(hives::empty(minor)).unwrap();
        let mut model = Model::new();
        for (at, edit) in edits.iter().enumerate() {
            carry_out(&mut hive, &mut model, edit);
            // Now and then through a file, which is checked whole when it is opened.
            if at % stops == 0 {
                hive = Hive::open(hive.into_bytes().unwrap()).unwrap();
            }
        }
        let bytes = hive.into_bytes().unwrap();
        let mut found = hives::content(&bytes);
        found.remove("");
        let expected: BTreeMap<_, _> = model.iter().map(|(path, (security, values))| {
            let path: String = path.iter().map(|name| format!("\\{}", name.to_uppercase())).collect();
            let values = values.iter().map(|(name, length)| {
                (Name::from(format!("V{name}").as_str()), (kind::BINARY, value("", *length).data))
            });
            (path, (Vec::new(), security.clone(), false, values.collect()))
        }).collect();
        prop_assert_eq!(&found, &expected);
        let values = expected.values().map(|key| key.3.len()).sum();
        if minor == 5 {
            prop_assert_eq!(hives::counted(&bytes), (expected.len() + 1, values));
        }
    }
}
