//! Dirty hives: what of them is only in their logs.

use shale_volume::hive::Hive;

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
