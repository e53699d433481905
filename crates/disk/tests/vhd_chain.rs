//! Differencing VHDs: a child made here by hand on a parent that we export, as qemu-img makes none.

mod judge;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use judge::raw_sample;
use shale_disk::{Disk, FileDisk, Format, SparseFile, export, open, vhd::Vhd};

const BLOCK: u64 = 2 << 20;

fn checksum(b: &[u8]) -> u32 {
    !b.iter().map(|b| u32::from(*b)).sum::<u32>()
}

/// A child of `parent` (named `name` in it) whose second block holds one sector of sevens, at sector 3 of it.
fn child(dir: &Path, parent: &Path, name: &str) -> PathBuf {
    let source = FileDisk::open(parent).unwrap();
    let mut footer = vec![0; 512];
    source.read_at(&mut footer, source.size() - 512).unwrap();
    let uuid: Vec<u8> = footer[68..84].to_vec();
    footer[60..64].copy_from_slice(&4u32.to_be_bytes());
    footer[16..24].copy_from_slice(&512u64.to_be_bytes());
    footer[68..84].fill(0x11);
    footer[64..68].fill(0);
    let sum = checksum(&footer);
    footer[64..68].copy_from_slice(&sum.to_be_bytes());

    let mut header = vec![0; 1024];
    header[..8].copy_from_slice(b"cxsparse");
    header[16..24].copy_from_slice(&1536u64.to_be_bytes());
    header[28..32].copy_from_slice(&8u32.to_be_bytes());
    header[32..36].copy_from_slice(&(BLOCK as u32).to_be_bytes());
    header[40..56].copy_from_slice(&uuid);
    for (i, unit) in name.encode_utf16().enumerate() {
        header[64 + i * 2..66 + i * 2].copy_from_slice(&unit.to_be_bytes());
    }
    let sum = checksum(&header);
    header[36..40].copy_from_slice(&sum.to_be_bytes());

    let path = dir.join("child.vhd");
    let file = File::create(&path).unwrap();
    file.write_all_at(&footer, 0).unwrap();
    file.write_all_at(&header, 512).unwrap();
    let mut table = [0xff; 512];
    table[4..8].copy_from_slice(&4u32.to_be_bytes());
    file.write_all_at(&table, 1536).unwrap();
    file.write_all_at(&[0x10], 2048).unwrap(); // sector 3 of the block
    file.write_all_at(&[7; 512], 2048 + 512 + 3 * 512).unwrap();
    file.write_all_at(&footer, 2048 + 512 + BLOCK).unwrap();
    path
}

fn parent(dir: &Path) -> (PathBuf, PathBuf) {
    let raw = raw_sample(dir, "raw", 8 << 20, &[(0, 8 << 20)]);
    let path = dir.join("parent.vhd");
    let mut sink = SparseFile::new(File::create(&path).unwrap()).unwrap();
    let go_on = |_| std::ops::ControlFlow::Continue(());
    export(&*open(&raw).unwrap().disk, Format::Vhd, &mut sink, &go_on).unwrap();
    (path, raw)
}

#[test]
fn a_differencing_disk_shows_its_own_sectors_and_else_its_parents() {
    let dir = tempfile::tempdir().unwrap();
    let (parent, raw) = parent(dir.path());
    let opened = open(&child(dir.path(), &parent, "C:\\vms\\parent.vhd")).unwrap();
    let (mut got, mut expected) = (vec![0; 8 << 20], std::fs::read(raw).unwrap());
    opened.disk.read_at(&mut got, 0).unwrap();
    expected[BLOCK as usize + 3 * 512..][..512].fill(7);
    assert!(got == expected);
    assert_eq!(opened.files().count(), 2);
    let alone = Vhd::new(FileDisk::open(&dir.path().join("child.vhd")).unwrap()).unwrap();
    assert_eq!(judge::data_bytes(&alone), 512);
}

#[test]
fn a_missing_parent_another_disk_and_the_child_itself_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (parent_path, _) = parent(dir.path());
    let path = child(dir.path(), &parent_path, "gone.vhd");
    assert!(open(&path).err().unwrap().to_string().contains("not in its folder"));
    let path = child(dir.path(), &parent_path, "child.vhd");
    assert!(open(&path).err().unwrap().to_string().contains("circle"));
    let path = child(dir.path(), &parent_path, "parent.vhd");
    parent(dir.path()); // the same name, another identity
    assert!(open(&path).err().unwrap().to_string().contains("is not the parent of"));
}
