//! What the tests of formats share: sample disks, and the tools that judge. A missing tool fails the test.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use shale_disk::{Content, Disk, extents};

/// Runs a tool; panics with its output unless it succeeds.
pub fn run(program: &str, args: &[&str]) -> String {
    let out =
        Command::new(program).args(args).output().unwrap_or_else(|e| panic!("cannot run {program}: {e}"));
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{program} {args:?} failed:\n{text}");
    text
}

/// Runs qemu-img.
pub fn qemu_img(args: &[&str]) -> String {
    run("qemu-img", args)
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// Bytes that neither compress away nor repeat, and differ by place.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend(state.to_le_bytes());
    }
    out.truncate(length);
    out
}

/// A sparse raw file of `size` bytes with `pieces` of noise (offset, length).
pub fn raw_sample(folder: &Path, name: &str, size: u64, pieces: &[(u64, usize)]) -> PathBuf {
    let path = folder.join(name);
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    for (offset, length) in pieces {
        file.write_all_at(&noise(*offset + 1, *length), *offset).unwrap();
    }
    path
}

/// Name, size and pieces of data.
pub type Sample = (&'static str, u64, Vec<(u64, usize)>);

/// Disks at the edges.
pub fn edge_samples() -> Vec<Sample> {
    const M: u64 = 1 << 20;
    vec![
        ("one-sector", 512, vec![(0, 512)]),
        ("one-empty-sector", 512, vec![]),
        ("odd", 5 * M + 3 * 512, vec![(0, 70_000), (3 * M - 512, 1024), (5 * M, 3 * 512)]),
        ("empty", 10 * M, vec![]),
        ("full", 4 * M, vec![(0, 4 << 20)]),
        (
            "scattered",
            300 * M,
            (0..60).map(|i| (i * 5 * M + (i % 7) * 4096, 4096 + i as usize * 512)).collect(),
        ),
        ("big", (5 << 40) / 2 + 512, vec![(0, 4096), (1 << 40, 65536), ((5 << 40) / 2, 512)]),
    ]
}

/// Asserts that `disk` reads exactly as the raw file does; of holes and zeros only that they are zero there too.
pub fn assert_same(disk: &dyn Disk, raw: &Path) {
    let raw = shale_disk::FileDisk::open(raw).unwrap();
    assert_eq!(disk.size(), raw.size(), "size");
    let mut covered = 0;
    for extent in extents(disk) {
        let extent = extent.unwrap();
        assert_eq!(extent.offset, covered, "extents leave no gap");
        covered += extent.length;
        if extent.content == Content::Data {
            compare(disk, &raw, extent.offset, extent.length);
        }
    }
    assert_eq!(covered, disk.size());
    for extent in extents(&raw).map(|e| e.unwrap()).filter(|e| e.content == Content::Data) {
        compare(disk, &raw, extent.offset, extent.length);
    }
}

fn compare(a: &dyn Disk, b: &dyn Disk, offset: u64, length: u64) {
    const STEP: u64 = 1_000_003; // unlike any cluster
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let mut at = offset;
    while at < offset + length {
        let n = STEP.min(offset + length - at) as usize;
        x.resize(n, 1);
        y.resize(n, 2);
        a.read_at(&mut x, at).unwrap();
        b.read_at(&mut y, at).unwrap();
        if let Some(i) = (0..n).find(|i| x[*i] != y[*i]) {
            panic!("the disks differ at {}", at + i as u64);
        }
        at += n as u64;
    }
}

/// Bytes of a disk that are data.
pub fn data_bytes(disk: &dyn Disk) -> u64 {
    extents(disk).map(|e| e.unwrap()).filter(|e| e.content == Content::Data).map(|e| e.length).sum()
}
