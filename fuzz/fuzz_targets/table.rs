//! Partition tables (GPT and MBR) from a stranger: read, and the disk grown.
//! Errors are fine; panics are bugs. Memory stays bounded, whatever the headers claim.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use shale_disk::{Disk, Memory, table};

fuzz_target!(|data: &[u8]| {
    let disk = Arc::new(Memory(data.to_vec()));
    if let Ok(found) = table::partitions(&disk) {
        let _ = found.firmware();
    }
    if let Ok(grown) = table::grown(disk.clone(), (disk.size() + 1_000_000).next_multiple_of(4096)) {
        shale_fuzz::walk(&grown);
        let _ = table::partitions(&grown);
    }
});
