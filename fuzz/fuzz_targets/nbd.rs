//! NBD requests and option data from a stranger.
//! Errors are fine; panics are bugs. Memory stays bounded by the data's length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shale_disk::nbd::wire::{ContextRequest, InfoRequest, REQUEST_BYTES, Request};

fuzz_target!(|data: &[u8]| {
    if let Some(bytes) = data.first_chunk::<REQUEST_BYTES>() {
        let _ = Request::parse(bytes);
    }
    if let Some(request) = InfoRequest::parse(data) {
        assert!(request.name.len() + request.wanted.len() * 2 <= data.len());
    }
    if let Some(request) = ContextRequest::parse(data) {
        assert!(request.queries.len() * 4 <= data.len());
    }
});
