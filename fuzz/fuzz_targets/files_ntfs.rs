//! NTFS with metadata overwritten here and there, read and written by the C of `shale-files`, compiled with all checks.
//! Errors are fine, and so is a crash inside of libntfs-3g: the product contains those. What the C of this project does wrong, or does
//! for too long or with too much memory, is a bug.
#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use shale_fuzz::images::Image;
use shale_fuzz::{input, session};

static IMAGES: OnceLock<Vec<Arc<Image>>> = OnceLock::new();

fuzz_target!(|input: &[u8]| session::run(IMAGES.get_or_init(Image::ntfs), input));

fuzz_mutator!(|bytes: &mut [u8], size: usize, most: usize, seed: u32| {
    input::mutate(bytes, size, most, seed)
});
