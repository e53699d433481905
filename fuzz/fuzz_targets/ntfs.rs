//! NTFS from a guest: which clusters are free.
//! Errors are fine; panics are bugs. Memory stays bounded, whatever the structures claim.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shale_disk::{Disk, Memory};
use shale_volume::free;

fuzz_target!(|data: &[u8]| {
    let mut data = data.to_vec();
    if data.len() >= 512 {
        data[3..11].copy_from_slice(b"NTFS    ");
        data[510..512].copy_from_slice(&[0x55, 0xaa]);
    }
    let disk = Memory(data);
    let free = free::file_system(&disk, 0..disk.size()).expect("memory can be read");
    assert!(free.ranges.iter().all(|range| range.start < range.end && range.end <= disk.size()));
});
