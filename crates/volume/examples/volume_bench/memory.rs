//! The most memory that work takes, in this process and in those that it starts: pages that no file has, looked at every few
//! milliseconds.

use std::fs::{read_dir, read_to_string};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ROUND: Duration = Duration::from_millis(4);

/// What work gives, and the most memory while it was done, in MB.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !is_done.load(Ordering::Relaxed) {
                most = most.max(now());
                std::thread::sleep(ROUND);
            }
            most
        });
        let made = work();
        is_done.store(true, Ordering::Relaxed);
        (made, watcher.join().expect("memory was watched") / 1000)
    })
}

/// What this process and its children have, in kB. A child that ends meanwhile has none.
fn now() -> u64 {
    let mut all = anonymous("self");
    for thread in read_dir("/proc/self/task").expect("/proc").flatten() {
        let children = read_to_string(thread.path().join("children")).unwrap_or_default();
        all += children.split_whitespace().map(anonymous).sum::<u64>();
    }
    all
}

fn anonymous(process: &str) -> u64 {
    let status = read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().expect("kB"))
}
