//! ext4 from a guest: which blocks are free.
//! Errors are fine; panics are bugs. Memory stays bounded, whatever the structures claim.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shale_disk::{Disk, Memory};
use shale_volume::free;

fuzz_target!(|data: &[u8]| {
    let mut data = data.to_vec();
    if data.len() >= 2048 {
        data[1024 + 0x38..1024 + 0x3a].copy_from_slice(&0xef53u16.to_le_bytes());
        // Without checksums: no fuzzer gets past them.
        data[1024 + 0x65] &= !4;
    }
    let disk = Memory(data);
    let free = free::file_system(&disk, 0..disk.size()).expect("memory can be read");
    assert!(free.ranges.iter().all(|range| range.start < range.end && range.end <= disk.size()));
});
