//! qcow2 images from a stranger: opened, walked and read.
//! Errors are fine; panics are bugs. Memory stays bounded, whatever the headers claim.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shale_disk::Memory;
use shale_disk::qcow2::Qcow2;

fuzz_target!(|data: &[u8]| {
    if let Ok(disk) = Qcow2::new(Memory(data.to_vec())) {
        shale_fuzz::walk(&disk);
    }
});
