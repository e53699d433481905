//! Uploads into a VDI and downloads out of it.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::GzDecoder;
use shale_disk::vhd::Vhd;
use shale_disk::{Disk, ErrorKind, FileDisk, Memory};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
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

/// What a real XenServer wrote; `README.md` there tells what each file holds.
fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../disk/tests/golden");
    let mut bytes = Vec::new();
    let file = File::open(folder.join(format!("{name}.gz"))).unwrap();
    GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

fn base(disk: &File) {
    disk.write_all_at(b"HELLO", 0).unwrap();
    disk.write_all_at(&[0xa5; 4096], 5 << 20).unwrap();
    disk.write_all_at(&[b'Z'; 512], (16 << 20) - 512).unwrap();
}

fn child(disk: &File) {
    base(disk);
    disk.write_all_at(&[0; 8 * 512], 0).unwrap();
    disk.write_all_at(&[0x11; 8 * 512], 6 << 20).unwrap();
    disk.write_all_at(&[0x22; 512], (6 << 20) + 100 * 512).unwrap();
}

/// A VDI of 16 MiB, written as a machine would: zeros are written, too.
fn filled(repository: &Repository, fill: fn(&File)) -> Uuid {
    let vdi = Uuid::new_v4();
    repository.create(vdi, 16 << 20).unwrap();
    fill(&File::options().write(true).open(repository.path(vdi)).unwrap());
    vdi
}

fn sent(export: &VhdExport) -> Vec<u8> {
    let mut bytes = Vec::new();
    export.send(&mut bytes, &go_on).unwrap();
    assert_eq!(bytes.len() as u64, export.length());
    bytes
}

/// The identity of a VHD, as its footer has it.
fn uuid(vhd: &[u8]) -> Uuid {
    Uuid::from_bytes(Vhd::new(Memory(vhd.to_vec())).unwrap().uuid())
}

#[test]
fn exports_are_byte_for_byte_what_a_real_xenserver_sends() {
    let (_folder, repository, _) = vdi(2 * M);
    let (base, child) = (filled(&repository, base), filled(&repository, child));
    for (name, disk) in [("base.vhd", base), ("full16MiB.vhd", base), ("flat.vhd", child)] {
        let (disk, real) = (repository.disk(disk).unwrap(), golden(name));
        assert!(sent(&VhdExport::full(&disk, uuid(&real)).unwrap()) == real, "{name}");
    }
    let (disk, real) = (repository.disk(child).unwrap(), golden("delta.vhd"));
    let changed = repository.changed_blocks(base, child).unwrap();
    let parent =
        Parent { uuid: uuid(&golden("base.vhd")), path: "/tmp/v/base.vhd".to_owned(), modified: 0x3295_bb66 };
    assert!(sent(&VhdExport::delta(&disk, uuid(&real), &parent, &changed).unwrap()) == real);

    let mut tar = Vec::new();
    export_tar(&repository.disk(base).unwrap(), &mut tar, &go_on).unwrap();
    assert!(tar == golden("full16MiB.tar"));
}

#[test]
fn a_vhd_is_written_over_what_is_there() {
    let (_folder, repository, vdi) = vdi(16 * M);
    let writer = repository.writer(vdi).unwrap();
    let (base, child) = (filled(&repository, base), filled(&repository, child));
    for (name, expected) in [("base.vhd", base), ("delta.vhd", child), ("delta.vhd", child)] {
        let upload = golden(name);
        // All but the footer behind the last block.
        assert_eq!(import_vhd(&mut &upload[..], &writer, &go_on).unwrap(), upload.len() as u64 - 512);
        assert!(content(&repository, vdi) == content(&repository, expected), "{name}");
    }
    // Sectors, where a disk knows them: child.vhd holds only a few of its block's.
    writer.write_at(&[9; 512], (6 << 20) + 50 * 512).unwrap();
    import_vhd(&mut &golden("child.vhd")[..], &writer, &go_on).unwrap();
    assert_eq!(content(&repository, vdi)[(6 << 20) + 50 * 512], 9);
}

#[test]
fn a_vhd_cut_short_too_large_or_of_another_kind_is_an_error() {
    let (_folder, repository, vdi) = vdi(2 * M);
    let writer = repository.writer(vdi).unwrap();
    let upload = golden("base.vhd");
    assert_eq!(import_vhd(&mut &upload[..], &writer, &go_on).unwrap_err().kind(), ErrorKind::Io);
    for length in [0, 600, 2048, 2 * M] {
        let error = import_vhd(&mut &upload[..length], &writer, &go_on).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{length}");
    }
    assert!(import_vhd(&mut &vec![0; 4096][..], &writer, &go_on).is_err());
}

#[test]
fn whole_exports_and_deltas_of_a_large_disk_are_short_and_libvhdi_reads_them() {
    let (folder, repository, vdi) = vdi(200 << 30);
    let writer = repository.writer(vdi).unwrap();
    for offset in [0, 77 << 30, (200 << 30) - 65536] {
        writer.write_at(&[3; 65536], offset).unwrap();
    }
    let disk = repository.disk(vdi).unwrap();
    let whole = sent(&VhdExport::full(&disk, Uuid::new_v4()).unwrap());
    assert!(whole.len() < 8 * M, "{}", whole.len());
    let path = folder.path().join("whole.vhd");
    std::fs::write(&path, &whole).unwrap();
    let checked = Command::new("vhdiinfo").arg(&path).output().expect("vhdiinfo runs");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && said.contains("214748364800 bytes"), "{said}");
    let read = Vhd::new(FileDisk::open(&path).unwrap()).unwrap();
    let mut bytes = vec![0; 65536];
    read.read_at(&mut bytes, 77 << 30).unwrap();
    assert!(bytes == [3; 65536]);

    let snapshot = Uuid::new_v4();
    repository.snapshot(vdi, snapshot, &go_on).unwrap();
    writer.write_at(&[4; 512], 150 << 30).unwrap();
    let changed = repository.changed_blocks(snapshot, vdi).unwrap();
    let parent = Parent { uuid: Uuid::new_v4(), path: "/x".to_owned(), modified: 0 };
    let delta = VhdExport::delta(&disk, Uuid::new_v4(), &parent, &changed).unwrap();
    assert!(delta.length() < 3 << 20, "{}", delta.length());
}

#[test]
fn tar_can_unpack_what_is_exported_as_tar() {
    let (folder, repository, vdi) = vdi(8 * M);
    repository.writer(vdi).unwrap().write_at(&[7; 100], 3 << 20).unwrap();
    let mut tar = Vec::new();
    export_tar(&repository.disk(vdi).unwrap(), &mut tar, &go_on).unwrap();
    let path = folder.path().join("disk.tar");
    std::fs::write(&path, tar).unwrap();
    let unpacked = Command::new("tar").arg("-xf").arg(&path).arg("-C").arg(folder.path()).status().unwrap();
    assert!(unpacked.success());
    let piece = std::fs::read(folder.path().join("vdi/00000003")).unwrap();
    assert!(piece.len() == M && piece[..100] == [7; 100]);
    assert_eq!(std::fs::read_dir(folder.path().join("vdi")).unwrap().count(), 2);
}
