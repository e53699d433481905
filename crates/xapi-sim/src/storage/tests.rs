//! What a repository promises, on real files.

use std::ops::ControlFlow;

use shale_disk::{Content, Disk};

use super::*;

const M: u64 = 1 << 20;
const G: u64 = 1 << 30;

fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn repository() -> (tempfile::TempDir, Repository) {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::open(&folder.path().join("sr"), 64 * M).unwrap();
    (folder, repository)
}

/// A new VDI of this size with 64 KiB of `byte` at each offset.
fn vdi(repository: &Repository, size: u64, byte: u8, offsets: &[u64]) -> Uuid {
    let vdi = Uuid::new_v4();
    repository.create(vdi, size).unwrap();
    let writer = repository.writer(vdi).unwrap();
    for offset in offsets {
        writer.write_at(&[byte; 65536], *offset).unwrap();
    }
    vdi
}

/// The blocks whose bits are set.
fn changed(bits: &[u8]) -> Vec<usize> {
    (0..bits.len() * 8).filter(|i| bits[i / 8] >> (7 - i % 8) & 1 == 1).collect()
}

fn byte_at(repository: &Repository, vdi: Uuid, offset: u64) -> u8 {
    let mut byte = [0];
    repository.disk(vdi).unwrap().read_at(&mut byte, offset).unwrap();
    byte[0]
}

#[test]
fn sizes_are_rounded_up_to_two_mebibytes_and_have_a_limit() {
    let (_folder, repository) = repository();
    for (asked, got) in [(0, 2 * M), (1, 2 * M), (2 * M, 2 * M), (2 * M + 1, 4 * M), (MAX_SIZE, MAX_SIZE)] {
        let vdi = Uuid::new_v4();
        assert_eq!(repository.create(vdi, asked).unwrap(), got);
        assert_eq!(repository.size(vdi).unwrap(), got);
    }
    assert!(repository.create(Uuid::new_v4(), MAX_SIZE + 1).is_err());
    assert!(repository.create(Uuid::new_v4(), u64::MAX).is_err());
}

#[test]
fn a_snapshot_keeps_what_was_there_and_cannot_be_changed() {
    let (_folder, repository) = repository();
    let disk = vdi(&repository, 8 * M, 7, &[M]);
    let snapshot = Uuid::new_v4();
    repository.snapshot(disk, snapshot, &go_on).unwrap();
    repository.writer(disk).unwrap().write_at(&[9; 4096], M).unwrap();
    assert_eq!((byte_at(&repository, snapshot, M), byte_at(&repository, disk, M)), (7, 9));

    assert!(repository.writer(snapshot).unwrap_err().to_string().contains("is a snapshot"));
    assert!(repository.resize(snapshot, 16 * M).is_err());
    // A repository that is opened anew still knows.
    let again = Repository::open(&_folder.path().join("sr"), 64 * M).unwrap();
    assert!(again.is_immutable(snapshot).unwrap() && !again.is_immutable(disk).unwrap());

    let copy = Uuid::new_v4();
    repository.clone_to(snapshot, copy, &go_on).unwrap();
    repository.writer(copy).unwrap().write_at(&[5; 512], 0).unwrap();
    assert_eq!((byte_at(&repository, copy, M), byte_at(&repository, copy, 0)), (7, 5));
    let mut listed = repository.list().unwrap();
    let mut expected = vec![disk, snapshot, copy];
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
}

#[test]
fn copies_of_a_large_empty_disk_take_no_room() {
    let (folder, repository) = repository();
    let disk = vdi(&repository, 200 * G, 3, &[0, 100 * G, 200 * G - 65536]);
    let other = Repository::open(&folder.path().join("other"), 64 * M).unwrap();
    let copy = Uuid::new_v4();
    other.copy_from(&repository, disk, copy, &go_on).unwrap();
    assert_eq!(other.size(copy).unwrap(), 200 * G);
    assert!(other.used_by(copy) <= M, "{} bytes are used", other.used_by(copy));
    assert_eq!(byte_at(&other, copy, 100 * G), 3);
    assert!(changed(&repository.changed_blocks(disk, disk).unwrap()).is_empty());
}

#[test]
fn a_copy_that_is_stopped_leaves_nothing_behind() {
    let (_folder, repository) = repository();
    let disk = vdi(&repository, 8 * M, 7, &[M]);
    let copy = Uuid::new_v4();
    match repository.clone_to(disk, copy, &|_| ControlFlow::Break(())) {
        Err(e) => assert_eq!(e.kind(), ErrorKind::Stopped),
        // The file system shares blocks: there was nothing to stop.
        Ok(()) => repository.destroy(copy).unwrap(),
    }
    assert_eq!(repository.list().unwrap(), [disk]);
    assert_eq!(repository.used().unwrap(), repository.used_by(disk));
}

#[test]
fn what_does_not_fit_in_the_repository_is_refused_as_full() {
    let (_folder, repository) = repository();
    let disk = vdi(&repository, 200 * M, 0, &[]);
    let writer = repository.writer(disk).unwrap();
    let full =
        (0..200).find_map(|i| writer.write_at(&vec![1; M as usize], i * M).err().map(|e| (i, e.kind())));
    let (mebibytes, kind) = full.expect("the repository is full at some time");
    assert_eq!(kind, ErrorKind::Full);
    assert!((60..=64).contains(&mebibytes), "{mebibytes}");
    assert!(repository.used().unwrap() <= repository.capacity());
    assert_eq!(repository.snapshot(disk, Uuid::new_v4(), &go_on).unwrap_err().kind(), ErrorKind::Full);

    // Zeros give room back.
    writer.write_at(&vec![0; 8 << 20], 0).unwrap();
    writer.write_at(&vec![1; 4 << 20], 100 * M).unwrap();
}

#[test]
fn zeros_become_holes_and_read_as_zeros() {
    let (_folder, repository) = repository();
    let disk = vdi(&repository, 2 * M, 7, &[0, 65536, 131_072]);
    repository.writer(disk).unwrap().write_at(&[0; 65536], 65536).unwrap();
    repository.writer(disk).unwrap().write_at(&[0; 700], 300).unwrap();
    let read = repository.disk(disk).unwrap();
    let seen: Vec<_> =
        shale_disk::extents(&read).map(|e| e.unwrap()).map(|e| (e.offset, e.content)).collect();
    assert_eq!(seen[..2], [(0, Content::Data), (65536, Content::Hole)]);
    let mut start = [1; 1200];
    read.read_at(&mut start, 0).unwrap();
    assert!(start[..300] == [7; 300] && start[300..1000] == [0; 700] && start[1000..] == [7; 200]);
}

#[test]
fn writing_past_the_end_writes_what_fits_and_errs() {
    let (_folder, repository) = repository();
    let disk = vdi(&repository, 2 * M, 7, &[]);
    let writer = repository.writer(disk).unwrap();
    let error = writer.write_at(&[1; 1024], 2 * M - 512).unwrap_err();
    assert!(error.to_string().contains("512 bytes"), "{error}");
    assert_eq!(byte_at(&repository, disk, 2 * M - 1), 1);
    assert!(writer.write_at(&[1], u64::MAX).is_err());
    assert_eq!(repository.size(disk).unwrap(), 2 * M);
}

#[test]
fn changed_blocks_are_told_one_bit_for_each_64_kib_highest_first() {
    let (_folder, repository) = repository();
    let disk = vdi(&repository, 4 * M, 7, &[0, 65536 * 9, 65536 * 20]);
    let snapshot = Uuid::new_v4();
    repository.snapshot(disk, snapshot, &go_on).unwrap();
    assert_eq!(repository.changed_blocks(snapshot, disk).unwrap(), [0; 8]);

    let writer = repository.writer(disk).unwrap();
    writer.write_at(&[8; 1], 65536 * 9 + 5).unwrap(); // one byte of data
    writer.write_at(&[0; 65536], 65536 * 20).unwrap(); // data that become zeros
    writer.write_at(&[1; 2], 65536 * 34 - 1).unwrap(); // across a border, where nothing was
    writer.write_at(&[0; 4096], 65536 * 50).unwrap(); // zeros on a hole: no change
    writer.write_at(&[7; 65536], 0).unwrap(); // the same again: no change
    let bits = repository.changed_blocks(snapshot, disk).unwrap();
    assert_eq!(changed(&bits), [9, 20, 33, 34]);
    assert_eq!(bits, [0, 0x40, 0x08, 0, 0x60, 0, 0, 0]);
    assert_eq!(repository.changed_blocks(disk, snapshot).unwrap(), bits);
}

#[test]
fn a_disk_that_grew_has_bits_for_its_new_size() {
    let (_folder, repository) = repository();
    let disk = vdi(&repository, 2 * M, 7, &[0]);
    let snapshot = Uuid::new_v4();
    repository.snapshot(disk, snapshot, &go_on).unwrap();
    assert_eq!(repository.resize(disk, 5 * M).unwrap(), 6 * M);
    assert!(repository.resize(disk, 2 * M).unwrap_err().to_string().contains("cannot be shrunk"));
    repository.writer(disk).unwrap().write_at(&[1; 4096], 5 * M).unwrap();
    let bits = repository.changed_blocks(snapshot, disk).unwrap();
    assert_eq!((bits.len(), changed(&bits)), (12, vec![80]));
    assert_eq!(repository.changed_blocks(disk, snapshot).unwrap().len(), 4);
}

#[test]
fn changes_are_still_told_when_the_snapshots_data_are_destroyed() {
    let (_folder, repository) = repository();
    let disk = vdi(&repository, 200 * G, 7, &[0, 65536 * 9, 100 * G]);
    let snapshot = Uuid::new_v4();
    repository.snapshot(disk, snapshot, &go_on).unwrap();
    let writer = repository.writer(disk).unwrap();
    writer.write_at(&[8; 10], 65536 * 9).unwrap();
    writer.write_at(&[0; 65536], 100 * G).unwrap();
    writer.write_at(&[9; 10], 150 * G).unwrap();
    let before = repository.changed_blocks(snapshot, disk).unwrap();
    assert_eq!(changed(&before), [9, (100 * G / BLOCK) as usize, (150 * G / BLOCK) as usize]);

    repository.destroy_data(snapshot).unwrap();
    repository.destroy_data(snapshot).unwrap();
    assert!(!repository.holds(snapshot) && repository.disk(snapshot).is_err());
    assert!(repository.used_by(snapshot) < 65536 * 3, "{}", repository.used_by(snapshot));
    assert!(repository.changed_blocks(snapshot, disk).unwrap() == before);
    assert!(repository.changed_blocks(disk, snapshot).unwrap() == before);

    repository.destroy(snapshot).unwrap();
    repository.destroy(snapshot).unwrap();
    assert!(repository.changed_blocks(snapshot, disk).unwrap_err().to_string().contains("has no data"));
    assert!(repository.destroy_data(snapshot).is_err());
}
