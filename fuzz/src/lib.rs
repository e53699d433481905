//! Fuzz targets for everything that parses what a guest or a stranger wrote.
//!
//! `cargo +nightly fuzz run <target> -- -max_total_time=60 -rss_limit_mb=1024 -max_len=1048576`, where a target is a file in
//! `fuzz_targets/`. Errors are fine; panics are bugs, and so is memory beyond the limit.

pub mod child;
pub mod edits;
pub mod images;
pub mod input;
pub mod session;

use shale_disk::Disk;

/// Extents and reads in one run, so that a huge disk ends too.
const STEPS: usize = 64;
const LONGEST: u64 = 128 << 10;

/// Walks the extents of a disk, reads some of each, and its end.
pub fn walk(disk: &dyn Disk) {
    let mut buffer = vec![0; LONGEST as usize];
    let mut at = 0;
    for _ in 0..STEPS {
        if at >= disk.size() {
            break;
        }
        let Ok(extent) = disk.extent_at(at) else { break };
        assert!(extent.offset == at && extent.length > 0 && extent.length <= disk.size() - at);
        let length = extent.length.min(LONGEST) as usize;
        let _ = disk.read_at(&mut buffer[..length], at);
        at += extent.length;
    }
    let tail = disk.size().min(LONGEST);
    let _ = disk.read_at(&mut buffer[..tail as usize], disk.size() - tail);
}
