//! Free space as the file systems' own tools see it; and what is not clean or not understood frees nothing.

use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use shale_disk::{Content, Disk, Extent, FileDisk};
use shale_volume::Masked;
use shale_volume::free::{self, Free};

const MIB: u64 = 1 << 20;

/// Runs a tool and returns what it says; it must succeed.
fn run(tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool)
        .args(arguments)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{tool} cannot be started: {e}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{tool} {arguments:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// A folder, a disk image in it that is full of 0xAA, and files of some sizes to put into it.
struct Made {
    folder: tempfile::TempDir,
}

impl Made {
    fn new(size: u64) -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap() };
        let mut file = File::create(made.image()).unwrap();
        for _ in 0..size / MIB {
            file.write_all(&[0xaa; MIB as usize]).unwrap();
        }
        for (number, size) in [1usize, 5_000, 70_000, 300_000, 2_000_000].into_iter().enumerate() {
            let bytes: Vec<u8> = (0..size).map(|i| (i / 7 + number) as u8).collect();
            fs::create_dir_all(made.tree()).unwrap();
            fs::write(made.tree().join(format!("file{number}")), bytes).unwrap();
        }
        made
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    fn path(&self) -> String {
        self.image().to_str().unwrap().to_owned()
    }

    fn free(&self) -> Free {
        let disk = FileDisk::open(&self.image()).unwrap();
        free::file_system(&disk, 0..disk.size()).unwrap()
    }

    fn patch(&self, offset: u64, bytes: &[u8]) {
        File::options().write(true).open(self.image()).unwrap().write_all_at(bytes, offset).unwrap();
    }

    /// Writes the image anew, without what is free.
    fn drop_free(&self) {
        let ranges = self.free().ranges;
        assert!(!ranges.is_empty());
        let masked = Masked::new(FileDisk::open(&self.image()).unwrap(), ranges.clone());
        let copy = self.folder.path().join("copy");
        let mut bytes = vec![0; masked.size() as usize];
        masked.read_at(&mut bytes, 0).unwrap();
        fs::write(&copy, &bytes).unwrap();
        fs::rename(&copy, self.image()).unwrap();
        for range in ranges {
            assert!(bytes[range.start as usize..range.end as usize].iter().all(|byte| *byte == 0));
        }
    }
}

fn ext4(made: &Made, options: &[&str]) {
    let (tree, path) = (made.tree(), made.path());
    let all = ["-q", "-F", "-E", "nodiscard", "-d", tree.to_str().unwrap()];
    run("mke2fs", &[&all[..], options, &[&path]].concat());
    run("debugfs", &["-w", "-R", "rm /file3", &path]);
    run("e2fsck", &["-fy", &path]);
}

/// Free byte ranges of all groups whose bitmap is initialised, as dumpe2fs lists them.
fn dumped(path: &str, block: u64) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut counts = false;
    for line in run("dumpe2fs", &[path]).lines() {
        if line.starts_with("Group ") {
            counts = !line.contains("BLOCK_UNINIT");
        }
        let Some(list) = line.strip_prefix("  Free blocks: ").filter(|_| counts) else { continue };
        for part in list.split(", ").filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
            match ranges.last_mut() {
                Some(range) if range.end == first * block => range.end = (last + 1) * block,
                _ => ranges.push(first * block..(last + 1) * block),
            }
        }
    }
    ranges
}

#[test]
fn free_blocks_of_ext_file_systems_are_those_that_dumpe2fs_lists() {
    let cases: [&[&str]; 6] = [
        &["-t", "ext4"],
        &["-t", "ext4", "-O", "^metadata_csum,uninit_bg"],
        &["-t", "ext4", "-O", "^64bit,^flex_bg", "-g", "2048"],
        &["-t", "ext4", "-O", "metadata_csum_seed", "-N", "2000"],
        &["-t", "ext3"],
        &["-t", "ext2"],
    ];
    let mut untouched = 0;
    for options in cases {
        let made = Made::new(48 * MIB);
        ext4(&made, &[options, &["-b", "4096"]].concat());
        let free = made.free();
        assert_eq!((free.kind, &free.unknown), (Some("ext4"), &None), "{options:?}");
        let header = run("dumpe2fs", &["-h", &made.path()]);
        let count = header.lines().find_map(|line| line.strip_prefix("Free blocks:")).unwrap();
        assert_eq!(free.bytes(), count.trim().parse::<u64>().unwrap() * 4096, "{options:?}");
        untouched += free.untouched;
        assert_eq!(free.ranges, dumped(&made.path(), 4096), "{options:?}");
    }
    assert!(untouched > 0, "no case has groups that were never used");
}

#[test]
fn ext4_without_its_free_blocks_is_sound_and_has_all_files() {
    for block in ["1024", "4096"] {
        let made = Made::new(64 * MIB);
        ext4(&made, &["-t", "ext4", "-b", block]);
        made.drop_free();
        run("e2fsck", &["-fn", &made.path()]);
        for file in ["file0", "file1", "file2", "file4"] {
            let out = made.folder.path().join("out");
            run("debugfs", &["-R", &format!("dump /{file} {}", out.display()), &made.path()]);
            assert!(fs::read(out).unwrap() == fs::read(made.tree().join(file)).unwrap());
        }
    }
}

#[test]
fn ext4_that_is_not_clean_or_not_understood_frees_nothing_and_says_why() {
    let unknown = |options: &[&str], command: &str| {
        let made = Made::new(32 * MIB);
        ext4(&made, options);
        if !command.is_empty() {
            run("debugfs", &["-w", "-R", command, &made.path()]);
        }
        let free = made.free();
        assert!(free.ranges.is_empty(), "{command}");
        free.unknown.expect("a reason")
    };
    let plain = &["-t", "ext4"];
    assert!(unknown(plain, "feature needs_recovery").contains("journal"));
    assert!(unknown(plain, "ssv state 0").contains("not clean"));
    assert!(unknown(plain, "ssv state 3").contains("not clean"));
    assert!(unknown(plain, "set_bg 0 free_blocks_count 7").contains("descriptor"));
    let no_sums = &["-t", "ext4", "-O", "^metadata_csum,^uninit_bg"];
    assert!(unknown(no_sums, "set_bg 0 free_blocks_count 7").contains("as many free blocks"));
    assert!(unknown(&["-t", "ext4", "-O", "bigalloc"], "").contains("features"));
    assert!(unknown(&["-t", "ext4", "-O", "meta_bg,^resize_inode"], "").contains("features"));
    // A flipped bit in the bitmap itself.
    let made = Made::new(32 * MIB);
    ext4(&made, plain);
    let info = run("dumpe2fs", &[&made.path()]);
    let at = info.split("Block bitmap at ").nth(1).unwrap().split_whitespace().next().unwrap();
    let block: u64 = if info.contains("Block size:               1024") { 1024 } else { 4096 };
    made.patch(at.parse::<u64>().unwrap() * block + 900, &[0x5a]);
    assert!(made.free().unknown.unwrap().contains("bitmap"));
}

fn ntfs(made: &Made, options: &[&str]) {
    run("mkntfs", &[&["-q", "-F"], options, &[&made.path()]].concat());
    for entry in fs::read_dir(made.tree()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        run("ntfscp", &["-q", &made.path(), path.to_str().unwrap(), name]);
    }
}

fn ntfs_free_clusters(path: &str) -> u64 {
    let info = run("ntfsinfo", &["-m", path]);
    let line = info.lines().find(|line| line.contains("Free Clusters:")).expect("a line");
    line.split(':').nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn free_clusters_of_ntfs_are_those_that_ntfsinfo_counts() {
    for cluster in [4096u64, 65536] {
        let made = Made::new(64 * MIB);
        ntfs(&made, &["-Q", "-c", &cluster.to_string()]);
        let free = made.free();
        assert_eq!((free.kind, &free.unknown), (Some("ntfs"), &None));
        assert_eq!(free.bytes(), ntfs_free_clusters(&made.path()) * cluster);
    }
}

#[test]
fn ntfs_without_its_free_clusters_is_sound_and_has_all_files() {
    let made = Made::new(64 * MIB);
    ntfs(&made, &["-Q"]);
    made.drop_free();
    run("ntfsfix", &["-n", &made.path()]);
    for entry in fs::read_dir(made.tree()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let output = Command::new("ntfscat").args([&made.path(), name]).output().unwrap();
        assert!(output.stdout == fs::read(&path).unwrap(), "{name}");
    }
}

/// Where `bytes` are in the image.
fn position(made: &Made, bytes: &[u8]) -> u64 {
    let image = fs::read(made.image()).unwrap();
    image.windows(bytes.len()).position(|window| window == bytes).expect("they are there") as u64
}

#[test]
fn ntfs_that_is_dirty_or_hibernated_frees_nothing_and_says_why() {
    let made = Made::new(32 * MIB);
    ntfs(&made, &["-Q"]);
    // $VOLUME_INFORMATION: version 3.1, flags 0.
    let name = "$Volume".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let record = position(&made, &name) / 1024 * 1024;
    let image = fs::read(made.image()).unwrap();
    let at = (record..record + 1024 - 4).find(|at| image[*at as usize..][..4] == [3, 1, 0, 0]).unwrap();
    made.patch(at + 2, &[1]);
    assert!(made.free().unknown.unwrap().contains("dirty"));
    made.patch(at + 2, &[0]);
    assert_eq!(made.free().unknown, None);

    for (content, awake) in [("hibr", false), ("HIBR", false), ("wake", true), ("\0\0\0\0", true)] {
        let made = Made::new(32 * MIB);
        ntfs(&made, &["-Q"]);
        let file = made.folder.path().join("hiberfil.sys");
        fs::write(&file, content.as_bytes().iter().copied().chain([0; 9000]).collect::<Vec<u8>>()).unwrap();
        run("ntfscp", &["-q", &made.path(), file.to_str().unwrap(), "hiberfil.sys"]);
        let free = made.free();
        assert_eq!(free.unknown.is_none(), awake, "{content}: {free:?}");
    }
}

#[test]
fn each_partition_of_a_disk_is_looked_into() {
    let made = Made::new(48 * MIB);
    ext4(&made, &["-t", "ext4", "-b", "4096"]);
    let alone = made.free().bytes();
    let mut bytes = vec![0xaa; MIB as usize];
    bytes.extend(fs::read(made.image()).unwrap());
    bytes.resize(bytes.len() + 2 * MIB as usize, 0xaa);
    fs::write(made.image(), bytes).unwrap();
    // The second partition is nothing that we know.
    run("sgdisk", &["-n", "1:2048:100351", "-n", "2:100352:101375", &made.path()]);
    let disk = FileDisk::open(&made.image()).unwrap();
    let free = free::disk(&disk).unwrap();
    assert_eq!((free.len(), free[0].kind, free[0].bytes(), free[1].kind), (2, Some("ext4"), alone, None));
    assert!(free[0].ranges.iter().all(|range| range.start >= MIB && range.end <= 49 * MIB));
}

#[test]
fn a_stale_superblock_beside_something_else_frees_nothing() {
    let made = Made::new(32 * MIB);
    ext4(&made, &["-t", "ext4", "-b", "4096"]);
    assert!(made.free().bytes() > 0);
    // What pvcreate and cryptsetup leave of an ext4 that was there before.
    for (offset, mark) in [(512, &b"LABELONE"[..]), (0, b"LUKS\xba\xbe")] {
        made.patch(offset, mark);
        let free = made.free();
        assert!(free.ranges.is_empty() && free.unknown.is_some());
        made.patch(offset, &[0; 8]);
    }
}

#[test]
fn what_is_no_file_system_frees_nothing() {
    let made = Made::new(MIB);
    let free = made.free();
    assert_eq!((free.kind, free.bytes()), (None, 0));
    assert!(free.unknown.is_some());
}

#[test]
fn ntfs_with_clusters_and_records_beyond_all_numbers_frees_nothing_and_says_why() {
    let mut bytes = base_image(false).clone();
    // 2 to the power of 48 sectors are a cluster, and 128 clusters are a file record.
    (bytes[0xd], bytes[0x40]) = (0xd0, 0x80);
    let size = bytes.len() as u64;
    let free = free::file_system(&Memory(bytes), 0..size).unwrap();
    assert!(free.ranges.is_empty());
    assert!(free.unknown.unwrap().contains("absurd sizes"));
}

/// A disk in memory.
struct Memory(Vec<u8>);

impl Disk for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> shale_disk::Result<()> {
        buf.copy_from_slice(&self.0[offset as usize..][..buf.len()]);
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> shale_disk::Result<Extent> {
        Ok(Extent { offset, length: self.size() - offset, content: Content::Data })
    }
}

proptest! {
    #[test]
    fn a_masked_disk_is_the_disk_with_zeros(
        ranges in prop::collection::vec((0u64..1000, 1u64..200), 0..6),
        first in 0usize..900,
        length in 0usize..100,
    ) {
        let plain: Vec<u8> = (0..1000).map(|i| (i % 251) as u8 + 1).collect();
        let mut expected = plain.clone();
        let ranges: Vec<_> = ranges.iter().map(|(start, length)| *start..start + length).collect();
        for range in &ranges {
            expected[range.start as usize..(range.end as usize).min(1000)].fill(0);
        }
        let masked = Masked::new(Memory(plain), ranges);
        let mut bytes = vec![9; length];
        masked.read_at(&mut bytes, first as u64).unwrap();
        prop_assert_eq!(&bytes, &expected[first..first + length]);
        let mut at = 0;
        while at < 1000 {
            let extent = masked.extent_at(at).unwrap();
            prop_assert!(extent.offset == at && extent.length > 0);
            for byte in at..at + extent.length {
                prop_assert_eq!(extent.content == Content::Zero, expected[byte as usize] == 0);
            }
            at += extent.length;
        }
        prop_assert_eq!(at, 1000);
    }

    /// Any bytes changed anywhere in the metadata: no panic, no range outside the disk.
    #[test]
    fn damaged_file_systems_never_panic(
        which in any::<bool>(),
        changes in prop::collection::vec((0usize..200_000, any::<u8>()), 1..40),
    ) {
        let image = if which { base_image(true) } else { base_image(false) };
        let mut bytes = image.clone();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let size = bytes.len() as u64;
        let free = free::file_system(&Memory(bytes), 0..size).unwrap();
        prop_assert!(free.ranges.iter().all(|range| range.start < range.end && range.end <= size));
        prop_assert!(free.ranges.is_sorted_by(|a, b| a.end <= b.start));
    }
}

/// A small file system of each kind, made once.
fn base_image(is_ext4: bool) -> &'static Vec<u8> {
    static EXT4: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    static NTFS: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let make = |maker: fn(&Made)| {
        let made = Made::new(8 * MIB);
        maker(&made);
        fs::read::<&Path>(made.image().as_ref()).unwrap()
    };
    if is_ext4 {
        EXT4.get_or_init(|| make(|made| ext4(made, &["-t", "ext4", "-O", "^metadata_csum"])))
    } else {
        NTFS.get_or_init(|| make(|made| ntfs(made, &["-Q"])))
    }
}
