//! Partition tables, made by sgdisk and sfdisk, and judged by sgdisk after growing.

mod judge;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use judge::{raw_sample, run, text};
use shale_disk::table::{BIOS_BOOT, ESP, Firmware, Kind, Limit, Type, enlarged, grown, growth, partitions};
use shale_disk::{Content, Disk, ErrorKind, Layered, Memory, Resized, SparseFile, export, open};

const M: u64 = 1 << 20;

fn gpt_disk(dir: &Path) -> PathBuf {
    let path = raw_sample(dir, "disk.raw", 64 * M, &[(10 * M, 4096)]);
    run(
        "sgdisk",
        &["-n1:2048:+1M", "-t1:ef02", "-n2:0:+8M", "-t2:ef00", "-c2:EFI äöü", "-n3:0:0", text(&path)],
    );
    path
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    File::options().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

#[test]
fn a_gpt_is_read_with_types_names_and_places() {
    let dir = tempfile::tempdir().unwrap();
    let table = partitions(&*open(&gpt_disk(dir.path())).unwrap().disk).unwrap();
    assert_eq!((table.kind, table.from_backup, table.sector), (Kind::Gpt, false, 512));
    let seen: Vec<_> = table.partitions.iter().map(|p| (p.index, p.offset, p.length)).collect();
    assert_eq!(seen, [(1, M, M), (2, 2 * M, 8 * M), (3, 10 * M, 64 * M - 10 * M - 33 * 512)]);
    assert_eq!(table.partitions[0].kind, Type::Guid(BIOS_BOOT));
    assert_eq!(table.partitions[1].kind, Type::Guid(ESP));
    assert_eq!(table.partitions[1].name, "EFI äöü");
    assert_eq!(table.firmware(), Some(Firmware::Bios), "both would do");
}

#[test]
fn firmware_follows_what_there_is_to_boot() {
    let dir = tempfile::tempdir().unwrap();
    let path = gpt_disk(dir.path());
    let firmware = || partitions(&*open(&path).unwrap().disk).unwrap().firmware();
    run("sgdisk", &["-t1:8300", text(&path)]);
    assert_eq!(firmware(), Some(Firmware::Uefi));
    run("sgdisk", &["-t2:8300", text(&path)]);
    assert_eq!(firmware(), None);
    overwrite(&path, 0, &[0xeb, 0x63]);
    assert_eq!(firmware(), Some(Firmware::Bios));
}

#[test]
fn a_damaged_gpt_is_read_from_its_backup_and_with_both_damaged_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = gpt_disk(dir.path());
    let read = || partitions(&*open(&path).unwrap().disk);
    let whole = read().unwrap();
    overwrite(&path, 1024 + 33, &[0xff]); // an entry: its checksum no longer fits
    let table = read().unwrap();
    assert!(table.from_backup);
    assert_eq!(table.partitions, whole.partitions);
    overwrite(&path, 64 * M - 512, &[0; 512]);
    let error = read().unwrap_err();
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("so is its backup"), "{error}");
}

#[test]
fn a_grown_disk_has_a_gpt_without_fault() {
    let dir = tempfile::tempdir().unwrap();
    let path = gpt_disk(dir.path());
    for damage in [false, true] {
        if damage {
            overwrite(&path, 512, &[0; 512]);
        }
        for size in [64 * M + 512, 100 * M, 3 << 40] {
            let disk = grown(open(&path).unwrap().disk, size).unwrap();
            let out = dir.path().join("grown.raw");
            let mut sink = SparseFile::new(File::create(&out).unwrap()).unwrap();
            export(&*disk, shale_disk::Format::Raw, &mut sink, &|_| std::ops::ControlFlow::Continue(()))
                .unwrap();
            let verdict = run("sgdisk", &["-v", text(&out)]);
            assert!(verdict.contains("No problems found"), "{size}: {verdict}");
            let table = partitions(&*disk).unwrap();
            assert!(!table.from_backup && table.partitions.len() == 3);
            // The new room can be used: a partition to its very end.
            if size == 100 * M {
                run("sgdisk", &["-n4:0:0", "-v", text(&out)]);
                let grown = partitions(&*open(&out).unwrap().disk).unwrap();
                assert_eq!(grown.partitions[3].offset + grown.partitions[3].length, size - 33 * 512);
            }
        }
    }
}

#[test]
fn growth_over_the_larger_disk_is_the_grown_disk_and_is_small() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(&gpt_disk(dir.path())).unwrap().disk;
    let growth: Arc<dyn Disk> = Arc::new(growth(&*disk, 80 * M).unwrap());
    let data: u64 = shale_disk::extents(&*growth)
        .map(Result::unwrap)
        .filter(|extent| extent.content == Content::Data)
        .map(|extent| extent.length)
        .sum();
    assert!((1024..64 << 10).contains(&data), "{data} bytes");
    let layered = Layered::new(growth, Arc::new(Resized::new(disk.clone(), 80 * M)));
    let grown = grown(disk, 80 * M).unwrap();
    let (mut a, mut b) = (vec![0; 80 << 20], vec![1; 80 << 20]);
    layered.read_at(&mut a, 0).unwrap();
    grown.read_at(&mut b, 0).unwrap();
    assert!(a == b);
}

#[test]
fn growing_keeps_the_data_refuses_to_shrink_and_needs_no_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = gpt_disk(dir.path());
    let disk = open(&path).unwrap().disk;
    let larger = grown(disk.clone(), 80 * M).unwrap();
    let (mut a, mut b) = (vec![0; 4 << 20], vec![0; 4 << 20]);
    disk.read_at(&mut a, 9 * M).unwrap();
    larger.read_at(&mut b, 9 * M).unwrap();
    assert!(a == b && b.iter().any(|x| *x != 0));
    assert!(grown(disk.clone(), 63 * M).err().unwrap().to_string().contains("cannot shrink"));
    assert!(grown(disk.clone(), 64 * M + 5).err().unwrap().to_string().contains("sectors"));
    assert_eq!(grown(disk, 64 * M).unwrap().size(), 64 * M);
    assert_eq!(grown(Arc::new(Memory(vec![0; 512])), M).unwrap().size(), M);
}

#[test]
fn an_mbr_made_by_sgdisk_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = gpt_disk(dir.path());
    run("sgdisk", &["-t1:8300", "-t3:0700", "-m1:2:3", text(&path)]);
    let table = partitions(&*open(&path).unwrap().disk).unwrap();
    let seen: Vec<_> = table.partitions.iter().map(|p| (p.index, p.kind, p.offset)).collect();
    assert_eq!(
        (table.kind, seen),
        (Kind::Mbr, vec![(1, Type::Byte(0x83), M), (2, Type::Byte(0xef), 2 * M), (3, Type::Byte(7), 10 * M)])
    );
    assert_eq!(table.firmware(), Some(Firmware::Uefi));
}

/// Writes an entry of a boot record, and the record's signature.
fn entry(disk: &mut [u8], record: usize, slot: usize, kind: u8, first: u32, sectors: u32) {
    let at = record * 512 + 446 + slot * 16;
    disk[at + 4] = kind;
    disk[at + 8..at + 12].copy_from_slice(&first.to_le_bytes());
    disk[at + 12..at + 16].copy_from_slice(&sectors.to_le_bytes());
    disk[record * 512 + 510..record * 512 + 512].copy_from_slice(&[0x55, 0xaa]);
}

#[test]
fn logical_partitions_are_followed_from_record_to_record() {
    let mut disk = vec![0; 1 << 20];
    entry(&mut disk, 0, 0, 0x83, 10, 50);
    entry(&mut disk, 0, 1, 0x0f, 100, 1000);
    entry(&mut disk, 100, 0, 0x82, 1, 20);
    entry(&mut disk, 100, 1, 0x05, 200, 300);
    entry(&mut disk, 300, 0, 0x07, 2, 30);
    let table = partitions(&Memory(disk)).unwrap();
    let seen: Vec<_> =
        table.partitions.iter().map(|p| (p.index, p.kind, p.offset / 512, p.length / 512)).collect();
    let expected = [(1, 0x83, 10, 50), (5, 0x82, 101, 20), (6, 7, 302, 30)];
    assert_eq!(seen, expected.map(|(i, t, o, n)| (i, Type::Byte(t), o, n)));
    assert_eq!(table.firmware(), None);
}

#[test]
fn a_circle_of_logical_partitions_is_refused() {
    let mut disk = vec![0; 1 << 20];
    entry(&mut disk, 0, 0, 5, 100, 9);
    entry(&mut disk, 100, 0, 0x83, 1, 9);
    entry(&mut disk, 100, 1, 5, 0, 9); // itself
    let error = partitions(&Memory(disk)).unwrap_err();
    assert!(error.to_string().contains("circle"), "{error}");
}

#[test]
fn disks_without_a_table_have_none() {
    assert_eq!(partitions(&Memory(vec![0; 1 << 20])).unwrap().kind, Kind::None);
    assert_eq!(partitions(&Memory(Vec::new())).unwrap().kind, Kind::None);
    // The boot sector of a file system: the signature, but code where entries would be.
    let mut disk = vec![0x41; 4096];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(partitions(&Memory(disk)).unwrap().kind, Kind::None);
}

/// Enlarges the partition at `offset` of a file; what ended its room.
fn enlarge(path: &Path, offset: u64) -> Limit {
    let enlarged = enlarged(&*open(path).unwrap().disk, offset).unwrap();
    for (at, bytes) in &enlarged.writes {
        overwrite(path, *at, bytes);
    }
    let table = partitions(&*open(path).unwrap().disk).unwrap();
    assert!(!table.from_backup || enlarged.writes.is_empty());
    assert!(
        table.partitions.iter().any(|p| (p.offset, p.length) == (offset, enlarged.length)),
        "{enlarged:?}"
    );
    enlarged.limit
}

#[test]
fn the_last_partition_of_a_gpt_takes_the_room_of_a_larger_disk() {
    for damaged in [None, Some(512), Some(100 * M - 512)] {
        let dir = tempfile::tempdir().unwrap();
        let path = gpt_disk(dir.path());
        let out = dir.path().join("grown.raw");
        let disk = grown(open(&path).unwrap().disk, 100 * M).unwrap();
        let mut sink = SparseFile::new(File::create(&out).unwrap()).unwrap();
        export(&*disk, shale_disk::Format::Raw, &mut sink, &|_| std::ops::ControlFlow::Continue(())).unwrap();
        if let Some(at) = damaged {
            overwrite(&out, at, &[0; 512]);
        }
        let before = partitions(&*open(&out).unwrap().disk).unwrap().partitions;
        let limit = enlarge(&out, before[1].offset);
        assert_eq!(limit, Limit::Partition(before[2].clone()), "there is no room behind the second");
        assert_eq!(enlarge(&out, before[2].offset), Limit::Disk);
        let after = partitions(&*open(&out).unwrap().disk).unwrap().partitions;
        assert_eq!(after[..2], before[..2]);
        assert_eq!((after[2].id, after[2].offset), (before[2].id, before[2].offset));
        assert_eq!(after[2].offset + after[2].length, 99 * M, "whole MiB, with the table behind them");
        let verdict = run("sgdisk", &["-v", text(&out)]);
        assert!(verdict.contains("No problems found"), "{damaged:?}: {verdict}");
        assert!(
            enlarged(&*open(&out).unwrap().disk, after[2].offset).unwrap().writes.is_empty(),
            "once is enough"
        );
    }
}

/// A disk of 3 TiB with an MBR, as sfdisk makes it from `script`.
fn mbr_disk(dir: &Path, script: &str) -> PathBuf {
    let path = raw_sample(dir, "mbr.raw", 3 << 40, &[]);
    let made = dir.join("script");
    std::fs::write(&made, format!("label: dos\n{script}")).unwrap();
    run("sh", &["-c", &format!("sfdisk -q {} < {}", text(&path), text(&made))]);
    path
}

#[test]
fn a_partition_of_an_mbr_grows_until_the_next_or_two_tib() {
    let dir = tempfile::tempdir().unwrap();
    let path =
        mbr_disk(dir.path(), "start=2048, size=20480, type=83, bootable\nstart=61440, size=20480, type=7\n");
    assert!(matches!(enlarge(&path, M), Limit::Partition(next) if next.index == 2));
    assert_eq!(enlarge(&path, 30 * M), Limit::Mbr);
    let listed = run("sfdisk", &["-l", "-o", "Start,End,Boot,Id", text(&path)]);
    assert!(
        listed.contains("2048      61439 *    83") && listed.contains("61440 4294965247       7"),
        "{listed}"
    );

    let path = mbr_disk(
        dir.path(),
        "start=2048, size=20480, type=83\nstart=40960, size=40960, type=5\nstart=43008, size=2048\n",
    );
    assert!(matches!(enlarge(&path, M), Limit::Partition(next) if next.index == 5));
    let table = partitions(&*open(&path).unwrap().disk).unwrap();
    assert_eq!(table.partitions[0].length, 19 * M, "up to the frame of the logical one");
    assert_eq!(enlarge(&path, 21 * M), Limit::Logical);
    assert_eq!(enlarged(&*open(&path).unwrap().disk, 5 * M).unwrap_err().kind(), ErrorKind::Corrupt);
}
