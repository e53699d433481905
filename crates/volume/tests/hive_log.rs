//! Dirty hives: what of them is only in their logs.

use shale_volume::hive::{Hive, Value};

mod hives;

fn replayed(primary: Vec<u8>, first: Option<&[u8]>, second: Option<&[u8]>) -> Result<Vec<u8>, String> {
    Hive::replay(primary, first, second).and_then(Hive::into_bytes).map_err(|e| e.to_string())
}

#[test]
fn a_dirty_hive_becomes_what_windows_makes_of_it() {
    let (dirty, first, second) = (hives::real("dirty"), hives::real("dirty.LOG1"), hives::real("dirty.LOG2"));
    let expected = hives::real("recovered");
    assert!(Hive::open(dirty.clone()).err().unwrap().to_string().contains(".LOG1"));
    let clean = replayed(dirty.clone(), Some(&first), Some(&second)).unwrap();
    assert!(clean == expected, "other bytes at {:?}", clean.iter().zip(&expected).position(|(a, b)| a != b));
    assert!(replayed(clean, Some(&first), Some(&second)).unwrap() == expected, "a clean hive needs no log");
}

#[test]
fn a_torn_base_block_is_taken_from_the_log() {
    let (mut dirty, first, second) =
        (hives::real("dirty"), hives::real("dirty.LOG1"), hives::real("dirty.LOG2"));
    dirty[100] ^= 1;
    let clean = replayed(dirty, Some(&first), Some(&second)).unwrap();
    assert_eq!(hives::content(&clean), hives::content(&hives::real("recovered")));
}

#[test]
fn entries_are_applied_as_far_as_they_are_whole() {
    let (dirty, first, second) = (hives::real("dirty"), hives::real("dirty.LOG1"), hives::real("dirty.LOG2"));
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes[4..8].try_into().unwrap());
    // The last of three entries begins at 32768 of the second log.
    for (at, expected) in [(32_768, Some(5)), (32_768 + 5000, Some(5)), (8192 + 30, Some(4)), (512, None)] {
        let mut torn = second.clone();
        torn[at] ^= 1;
        let found = replayed(dirty.clone(), Some(&first), Some(&torn)).ok();
        assert_eq!(found.as_deref().map(number), expected, "damaged at {at}");
    }
    assert!(
        replayed(dirty.clone(), None, Some(&second)).is_ok(),
        "the first log has nothing that is missing"
    );
    for logs in [(None, None), (Some(first.as_slice()), None), (Some(&b"nothing"[..]), Some(&second[..512]))]
    {
        let error = replayed(dirty.clone(), logs.0, logs.1).unwrap_err();
        assert!(error.contains("Start the machine"), "{error}");
    }
}

/// A dirty hive of old, its log, and the hive that is meant: all but the first page differs.
fn of_old(kind: u8) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut hive = Hive::open(hives::empty(3)).unwrap();
    let root = hive.root().unwrap();
    for name in ["a", "b", "c"] {
        let key = hive.add_key(root, &name.into(), &hives::descriptor(545), 1).unwrap();
        hive.set_value(key, &Value::text("long", &name.repeat(3000))).unwrap();
    }
    let whole = hive.into_bytes().unwrap();
    let mut dirty = hives::empty(3);
    dirty[4] = 2;
    hives::seal(&mut dirty);

    let mut log = whole[..512].to_vec();
    log[28] = kind;
    hives::seal(&mut log);
    let pages = (whole.len() - 4096) / 512;
    log.extend(b"DIRT");
    let changed: Vec<bool> = (0..pages)
        .map(|page| {
            let range = 4096 + page * 512..4096 + page * 512 + 512;
            dirty.get(range.clone()) != whole.get(range)
        })
        .collect();
    log.extend(
        changed.chunks(8).map(|bits| bits.iter().rev().fold(0u8, |byte, bit| byte << 1 | u8::from(*bit))),
    );
    log.resize(log.len().next_multiple_of(512), 0);
    for page in (0..pages).filter(|page| changed[*page]) {
        log.extend(&whole[4096 + page * 512..4096 + page * 512 + 512]);
    }
    (dirty, log, whole)
}

#[test]
fn logs_of_old_are_applied_too() {
    for kind in [1, 2] {
        let (dirty, log, whole) = of_old(kind);
        assert!(replayed(dirty.clone(), Some(&log), None).unwrap() == whole);
        let mut other = log.clone();
        other[12] ^= 1;
        hives::seal(&mut other);
        assert!(
            replayed(dirty.clone(), Some(&other), Some(&log)).unwrap() == whole,
            "the one that is its own"
        );
        let mut torn = dirty.clone();
        torn[300] ^= 1;
        assert!(replayed(torn, Some(&log), None).unwrap() == whole, "a torn base block");

        type Damage = fn(&mut Vec<u8>);
        let table: [(&str, Damage); 5] = [
            ("another time", |log| log[12] ^= 1),
            ("not written to its end", |log| log[4] ^= 1),
            ("a size that is not there", |log| log[40..44].copy_from_slice(&0x7fff_f000u32.to_le_bytes())),
            ("cut off", |log| log.truncate(log.len() - 512)),
            ("no bitmap", |log| log[512] = 0),
        ];
        for (what, damage) in table {
            let mut log = log.clone();
            damage(&mut log);
            hives::seal(&mut log);
            assert!(replayed(dirty.clone(), Some(&log), None).is_err(), "{what}");
        }
    }
}
