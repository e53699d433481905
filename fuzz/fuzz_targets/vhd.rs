//! VHD images from a stranger: opened, walked and read, from a file and from a stream.
//! Errors are fine; panics are bugs. Memory stays bounded, whatever the headers claim.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shale_disk::Memory;
use shale_disk::vhd::{Vhd, VhdStream};

fuzz_target!(|data: &[u8]| {
    if let Ok(disk) = Vhd::new(Memory(data.to_vec())) {
        shale_fuzz::walk(&disk);
    }
    if let Ok(mut stream) = VhdStream::new(data) {
        let mut piece = Vec::new();
        while let Ok(Some(offset)) = stream.next_piece(&mut piece) {
            assert!(!piece.is_empty() && offset + piece.len() as u64 <= stream.size());
        }
        let _ = stream.finish();
    }
});
