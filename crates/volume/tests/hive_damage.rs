//! Hives that are damaged, or were made to do harm: refused, in bounded time and memory.

use shale_volume::hive::{Exclusions, Hive, Key, Value, difference, merge};

mod hives;

/// A hive with all kinds of cells: lists of lists, long data, classes.
fn whole() -> Vec<u8> {
    let mut hive = Hive::open(hives::empty(5)).unwrap();
    let root = hive.root().unwrap();
    let add = |hive: &mut Hive, parent: Key, name: &str| {
        hive.add_key(parent, &name.into(), &hives::descriptor(544), 0).unwrap()
    };
    let one = add(&mut hive, root, "One");
    let two = add(&mut hive, one, "Two");
    let _three = add(&mut hive, two, "Three");
    let four = add(&mut hive, root, "Four");
    hive.set_class(four, b"class").unwrap();
    hive.set_value(four, &Value::text("short", "x")).unwrap();
    hive.set_value(four, &Value::text("text", "some text")).unwrap();
    hive.set_value(four, &Value::text("long", &"z".repeat(10_000))).unwrap();
    hive.into_bytes().unwrap()
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..at + new.len()].copy_from_slice(new);
}

/// Where in the file the payload of the key of that name begins.
fn key(bytes: &[u8], name: &str) -> usize {
    let at = bytes.windows(name.len()).position(|part| part == name.as_bytes()).unwrap();
    assert_eq!(&bytes[at - 76..at - 74], b"nk");
    at - 76
}

/// Where the payload of the cell begins that a number in the file points to.
fn follow(bytes: &[u8], at: usize) -> usize {
    4096 + 4 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// What the cell with that payload is called in the hive.
fn cell(payload: usize) -> [u8; 4] {
    ((payload - 4 - 4096) as u32).to_le_bytes()
}

/// What is done to a hive.
type Damage = fn(&mut Vec<u8>);

/// Done to the file, its bins and their cells.
const FILES: &[(&str, Damage)] = &[
    ("no file", |b| b.clear()),
    ("half a base block", |b| b.truncate(2048)),
    ("another file", |b| put(b, 0, b"MZ")),
    ("version 2", |b| put(b, 20, &[2])),
    ("a log", |b| put(b, 28, &[6])),
    ("bins behind the end", |b| put(b, 40, &0x7fff_f000u32.to_le_bytes())),
    ("half a bin", |b| put(b, 40, &4097u32.to_le_bytes())),
    ("no bin", |b| put(b, 40, &[0; 4])),
    ("cut off", |b| b.truncate(8192)),
    ("the root nowhere", |b| put(b, 36, &u32::MAX.to_le_bytes())),
    ("the root between cells", |b| put(b, 36, &40u32.to_le_bytes())),
    ("the root in the bin's header", |b| put(b, 36, &[0; 4])),
    ("a bin that says it is elsewhere", |b| put(b, 4096 + 4, &[0, 16, 0, 0])),
    ("a bin of no length", |b| put(b, 4096 + 8, &[0; 4])),
    ("a bin that is too long", |b| put(b, 4096 + 8, &0x7fff_f000u32.to_le_bytes())),
    ("a cell of no length", |b| put(b, 4096 + 32, &[0; 4])),
    ("the longest cell below zero", |b| put(b, 4096 + 32, &i32::MIN.to_le_bytes())),
    ("an odd cell", |b| put(b, 4096 + 32, &(-89i32).to_le_bytes())),
    ("a free root", |b| put(b, 4096 + 32, &88i32.to_le_bytes())),
];

/// Done to keys, lists, values and what they point to.
const KEYS: &[(&str, Damage)] = &[
    ("a key that is none", |b| {
        let at = key(b, "Four");
        put(b, at, b"xx");
    }),
    ("a name behind the cell", |b| {
        let at = key(b, "Four");
        put(b, at + 72, &[0xff, 0xff]);
    }),
    ("no name", |b| {
        let at = key(b, "Four");
        put(b, at + 72, &[0; 2]);
    }),
    ("a name with a backslash", |b| {
        let at = key(b, "Four");
        put(b, at + 77, b"\\");
    }),
    ("a parent that is another", |b| {
        let at = key(b, "Three");
        put(b, at + 16, &32u32.to_le_bytes());
    }),
    ("a key below itself", |b| {
        let (one, two) = (key(b, "One"), key(b, "Two"));
        let list = follow(b, two + 28);
        put(b, list + 4, &cell(one));
    }),
    ("a list that is a key", |b| {
        let two = key(b, "Two");
        put(b, two + 28, &cell(two));
    }),
    ("a list that two keys have", |b| {
        let (one, two) = (key(b, "One"), key(b, "Two"));
        let list = follow(b, two + 28);
        put(b, one + 28, &cell(list));
    }),
    ("a list longer than its cell", |b| {
        let list = follow(b, key(b, "Two") + 28);
        put(b, list + 2, &[0xff, 0xff]);
    }),
    ("another count than the list's", |b| {
        let at = key(b, "Two");
        put(b, at + 20, &7u32.to_le_bytes());
    }),
    ("a list of lists that has itself", |b| {
        let list = follow(b, key(b, "Two") + 28);
        put(b, list, b"ri");
        put(b, list + 4, &cell(list));
    }),
    ("more values than the list has", |b| {
        let at = key(b, "Four");
        put(b, at + 36, &u32::MAX.to_le_bytes());
    }),
    ("one value twice", |b| {
        let list = follow(b, key(b, "Four") + 40);
        b.copy_within(list..list + 4, list + 4);
    }),
    ("data longer than its cell", |b| {
        let item = follow(b, follow(b, key(b, "Four") + 40) + 4);
        put(b, item + 4, &0x7fff_ffffu32.to_le_bytes());
    }),
    ("more data than fits where it is said to be", |b| {
        let item = follow(b, follow(b, key(b, "Four") + 40) + 4);
        put(b, item + 4, &0x8000_0005u32.to_le_bytes());
    }),
    ("long data with too few segments", |b| {
        let item = follow(b, follow(b, key(b, "Four") + 40) + 8);
        let lead = follow(b, item + 8);
        assert_eq!(&b[lead..lead + 2], b"db");
        put(b, lead + 2, &[1, 0]);
    }),
    ("long data with one segment twice", |b| {
        let item = follow(b, follow(b, key(b, "Four") + 40) + 8);
        let list = follow(b, follow(b, item + 8) + 4);
        b.copy_within(list..list + 4, list + 4);
    }),
    ("a class in the key itself", |b| {
        let at = key(b, "Four");
        put(b, at + 48, &cell(at));
    }),
    ("a security descriptor longer than its cell", |b| {
        let at = follow(b, key(b, "Four") + 44);
        put(b, at + 16, &u32::MAX.to_le_bytes());
    }),
    ("security that is a key", |b| {
        let at = key(b, "Four");
        put(b, at + 44, &cell(at));
    }),
];

#[test]
fn what_cannot_be_is_refused() {
    let good = whole();
    assert!(Hive::open(good.clone()).is_ok());
    for (what, damage) in FILES.iter().chain(KEYS) {
        let mut bytes = good.clone();
        damage(&mut bytes);
        if bytes.len() >= 512 {
            hives::seal(&mut bytes);
        }
        assert!(Hive::open(bytes).is_err(), "{what}");
    }
}

#[test]
fn a_hive_whose_checksum_is_wrong_is_refused() {
    let mut bytes = whole();
    bytes[200] ^= 1;
    assert!(Hive::open(bytes.clone()).is_err());
    assert!(Hive::replay(bytes, None, None).is_err());
}

#[test]
fn keys_deeper_than_windows_makes_them_are_refused() {
    let mut hive = Hive::open(hives::empty(5)).unwrap();
    let root = hive.root().unwrap();
    // Two chains of 300 keys; then the second is hung below the end of the first.
    for top in ["FirstTop", "Other"] {
        let mut key = hive.add_key(root, &top.into(), &[], 0).unwrap();
        for depth in 0..300 {
            let name = if depth == 299 { format!("End{top}") } else { "k".to_owned() };
            key = hive.add_key(key, &name.as_str().into(), &[], 0).unwrap();
        }
    }
    let mut bytes = hive.into_bytes().unwrap();
    assert!(Hive::open(bytes.clone()).is_ok());
    let (end, other) = (key(&bytes, "EndFirstTop"), key(&bytes, "Other"));
    let parent = follow(&bytes, end + 16);
    let list = follow(&bytes, parent + 28);
    put(&mut bytes, list + 4, &cell(other));
    put(&mut bytes, other + 16, &cell(parent));
    let list = follow(&bytes, 4096 + 36 + 28);
    put(&mut bytes, list + 2, &[1, 0]);
    put(&mut bytes, 4096 + 36 + 20, &[1, 0, 0, 0]);
    hives::seal(&mut bytes);
    let error = Hive::open(bytes).err().unwrap().to_string();
    assert!(error.contains("512 deep"), "{error}");
}

/// Reads and changes all that there is; errors are fine.
fn use_all(bytes: &[u8]) {
    let Ok(mut hive) = Hive::open(bytes.to_vec()) else { return };
    let mut keys = vec![hive.root().unwrap()];
    while let Some(key) = keys.pop() {
        for value in hive.values(key).unwrap() {
            let _ = (value.as_text(), value.as_texts(), value.as_number());
        }
        let _ = (hive.class(key).unwrap(), hive.security(key).unwrap(), hive.control_set());
        keys.extend(hive.subkeys(key).unwrap());
    }
    let root = hive.root().unwrap();
    let mut edit = || {
        let new = hive.add_key(root, &"New".into(), &hives::descriptor(545), 1)?;
        hive.set_value(new, &Value::text("v", &"w".repeat(9000)))?;
        for key in hive.subkeys(root)? {
            hive.set_security(key, &hives::descriptor(546))?;
            hive.remove_key(key)?;
        }
        shale_disk::Result::Ok(())
    };
    if edit().is_ok() {
        Hive::open(hive.into_bytes().unwrap()).unwrap();
    }
}

#[test]
fn no_wrong_byte_does_harm() {
    let good = whole();
    let used = (0..good.len()).filter(|at| good[*at] != b'z' && good[*at] != 0 || at % 64 == 0);
    for at in used {
        for bit in [1, 0x10, 0x80] {
            let mut bytes = good.clone();
            bytes[at] ^= bit;
            hives::seal(&mut bytes);
            use_all(&bytes);
        }
    }
}

#[test]
fn a_difference_of_a_damaged_hive_is_an_error() {
    let good = whole();
    let mut bad = good.clone();
    put(&mut bad, 4096, b"xxxx");
    assert!(difference(&good, &bad, &Exclusions::default()).is_err());
    assert!(difference(&bad, &good, &Exclusions::default()).is_err());
    let difference = difference(&hives::empty(5), &good, &Exclusions::default()).unwrap();
    assert!(merge(&bad, &difference, false).is_err());
}
