//! Pack footers and directories from a repository that a stranger could write to.
//! Errors are fine; panics are bugs. Memory stays bounded, whatever the headers claim.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| shale_store::fuzz::pack(data));
