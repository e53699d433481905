//! A registry hive from a guest, its logs, and what a layer is said to have done to one.
//! Errors are fine; panics are bugs. What was merged can be opened.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shale_volume::hive::{Exclusions, Hive, difference, merge};

/// Makes the checksum of a base block right: no fuzzer guesses it.
fn seal(bytes: &mut [u8]) {
    if let Some(block) = bytes.first_chunk_mut::<512>() {
        let (numbers, sum) = block.split_at_mut(508);
        let numbers = numbers.chunks_exact(4).map(|four| [four[0], four[1], four[2], four[3]]);
        sum.copy_from_slice(&numbers.map(u32::from_le_bytes).fold(0, |sum, number| sum ^ number).to_le_bytes());
    }
}

fuzz_target!(|data: &[u8]| {
    // A hive; a log, or another hive; changes, or another log. The first two tell their lengths, in 16 bytes.
    let Some((lengths, rest)) = data.split_first_chunk::<4>() else { return };
    let length = |low: u8, high: u8| usize::from(u16::from_le_bytes([low, high])) * 16;
    let (one, rest) = rest.split_at(length(lengths[0], lengths[1]).min(rest.len()));
    let (two, changes) = rest.split_at(length(lengths[2], lengths[3]).min(rest.len()));
    let (mut one, mut two) = (one.to_vec(), two.to_vec());
    seal(&mut one);
    seal(&mut two);
    if let Ok(hive) = Hive::replay(one.clone(), Some(&two), Some(changes)) {
        let bytes = hive.into_bytes().expect("nothing was changed");
        Hive::open(bytes).expect("what was replayed is whole");
    }
    if let Ok(done) = difference(&one, &two, &Exclusions::default()) {
        let (merged, both) = merge(&one, &done, false).expect("a difference fits its origin");
        assert!(both.is_empty());
        assert!(difference(&merged, &two, &Exclusions::default()).expect("both are whole").is_empty());
    }
    // Where there is nothing to be merged, nobody looks at the hive.
    if !changes.is_empty()
        && let Ok((merged, _)) = merge(&one, changes, false)
    {
        Hive::open(merged).expect("what was merged is whole");
    }
});
