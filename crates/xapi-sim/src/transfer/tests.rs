//! Uploads into a VDI and downloads out of it.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use shale_disk::{Disk, ErrorKind};
use uuid::Uuid;

use super::*;
use crate::storage::Repository;

const M: usize = 1 << 20;

fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A repository with one empty VDI.
fn vdi(size: usize) -> (tempfile::TempDir, Repository, Uuid) {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::open(folder.path(), 1 << 30).unwrap();
    let vdi = Uuid::new_v4();
    repository.create(vdi, size as u64).unwrap();
    (folder, repository, vdi)
}

fn content(repository: &Repository, vdi: Uuid) -> Vec<u8> {
    let disk = repository.disk(vdi).unwrap();
    let mut bytes = vec![0; disk.size() as usize];
    disk.read_at(&mut bytes, 0).unwrap();
    bytes
}

/// A piece of a chunked upload.
fn chunk(offset: u64, data: &[u8]) -> Vec<u8> {
    [&offset.to_le_bytes()[..], &(data.len() as u32).to_le_bytes(), data].concat()
}

#[test]
fn a_raw_upload_is_written_from_the_start_and_comes_back() {
    let (_folder, repository, vdi) = vdi(4 * M);
    let bytes: Vec<u8> = (0..4 * M as u32).map(|i| (i / 4099) as u8).collect();
    let seen = AtomicU64::new(0);
    let count = |more| {
        seen.fetch_add(more, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    let sent = import_raw(&mut &bytes[..], &repository.writer(vdi).unwrap(), &count).unwrap();
    assert_eq!((sent, seen.swap(0, Ordering::Relaxed)), (4 << 20, 4 << 20));
    assert!(content(&repository, vdi) == bytes);

    let mut out = Vec::new();
    export_raw(&repository.disk(vdi).unwrap(), &mut out, &count).unwrap();
    assert!(out == bytes);
    assert_eq!(seen.load(Ordering::Relaxed), 4 << 20);
}

#[test]
fn a_raw_upload_may_be_short_but_not_long() {
    let (_folder, repository, vdi) = vdi(2 * M);
    let writer = repository.writer(vdi).unwrap();
    import_raw(&mut &[1; 2 * M][..], &writer, &go_on).unwrap();
    assert_eq!(import_raw(&mut &[2; 700][..], &writer, &go_on).unwrap(), 700);
    let bytes = content(&repository, vdi);
    assert!(bytes[..700] == [2; 700] && bytes[700..] == [1; 2 * M - 700]);
    let error = import_raw(&mut &[3; 2 * M + 1][..], &writer, &go_on).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(content(&repository, vdi) == [3; 2 * M], "found out only after the disk was written");
}

#[test]
fn holes_of_a_raw_export_are_zeros() {
    let (_folder, repository, vdi) = vdi(10 * M);
    repository.writer(vdi).unwrap().write_at(&[9; 100], 5 << 20).unwrap();
    let mut out = Vec::new();
    export_raw(&repository.disk(vdi).unwrap(), &mut out, &go_on).unwrap();
    assert!(out == content(&repository, vdi));
}

#[test]
fn chunks_are_written_where_they_belong_and_nothing_else_is_touched() {
    let (_folder, repository, vdi) = vdi(4 * M);
    let writer = repository.writer(vdi).unwrap();
    writer.write_at(&[1; 4 * M], 0).unwrap();
    // Not in order, not aligned, longer than what is held in memory; an empty piece elsewhere than at 0 is none.
    let long = vec![4; 2 * M + 77];
    let upload = [chunk(3 << 20, &[2; 512]), chunk(5, &[]), chunk(513, &long), chunk(0, &[3]), chunk(0, &[])];
    let sent: usize = upload.iter().map(Vec::len).sum();
    let upload = [&upload.concat()[..], b"left over"].concat();
    assert_eq!(import_chunked(&mut &upload[..], &writer, &go_on).unwrap(), sent as u64);
    let mut expected = vec![1; 4 * M];
    expected[3 * M..3 * M + 512].fill(2);
    expected[513..513 + long.len()].fill(4);
    expected[0] = 3;
    assert!(content(&repository, vdi) == expected);
}

#[test]
fn a_chunked_upload_of_nothing_is_twelve_zeros() {
    let (_folder, repository, vdi) = vdi(2 * M);
    assert_eq!(import_chunked(&mut &[0; 12][..], &repository.writer(vdi).unwrap(), &go_on).unwrap(), 12);
}

#[test]
fn a_chunked_upload_cut_short_anywhere_is_an_error() {
    let (_folder, repository, vdi) = vdi(2 * M);
    let writer = repository.writer(vdi).unwrap();
    let upload = [chunk(100, &[2; 50]), chunk(0, &[])].concat();
    for length in 0..upload.len() {
        let error = import_chunked(&mut &upload[..length], &writer, &go_on).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{length}");
    }
    assert_eq!(content(&repository, vdi)[100..150], [2; 50], "what came was written");
}

#[test]
fn a_chunk_past_the_end_is_an_error_however_far_it_lies() {
    let (_folder, repository, vdi) = vdi(2 * M);
    let writer = repository.writer(vdi).unwrap();
    for offset in [2 << 20, (2 << 20) - 1, 1 << 62, u64::MAX] {
        let upload = [chunk(offset, &[2; 2]), chunk(0, &[])].concat();
        assert_eq!(import_chunked(&mut &upload[..], &writer, &go_on).unwrap_err().kind(), ErrorKind::Io);
    }
    assert_eq!(content(&repository, vdi).len(), 2 * M);
}

#[test]
fn transfers_stop_when_asked() {
    let (_folder, repository, vdi) = vdi(4 * M);
    let writer = repository.writer(vdi).unwrap();
    let stop = |_| ControlFlow::Break(());
    let upload = [chunk(0, &[1; 3 * M]), chunk(0, &[])].concat();
    assert_eq!(import_raw(&mut &[1; 4 * M][..], &writer, &stop).unwrap_err().kind(), ErrorKind::Stopped);
    assert_eq!(import_chunked(&mut &upload[..], &writer, &stop).unwrap_err().kind(), ErrorKind::Stopped);
    let disk = repository.disk(vdi).unwrap();
    assert_eq!(export_raw(&disk, &mut Vec::new(), &stop).unwrap_err().kind(), ErrorKind::Stopped);
}
