//! OVA archives and flat VMDK descriptors from a stranger: listed, and their disk found.
//! Errors are fine; panics are bugs. Memory stays bounded, whatever the headers claim.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shale_disk::{Disk, Memory, ova, vmdk};

fuzz_target!(|data: &[u8]| {
    let file = Memory(data.to_vec());
    for member in ova::members(&file).unwrap_or_default() {
        assert!(member.offset + member.length <= file.size());
    }
    let _ = ova::disk_member(&file);
    let _ = vmdk::flat_extents(&file);
});
