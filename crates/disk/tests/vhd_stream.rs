//! VHDs from a stream, and what a real XenServer writes (`golden/`), read from file and stream alike.

mod judge;

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use judge::{edge_samples, qemu_img, raw_sample, run, text};
use shale_disk::vhd::{Vhd, VhdStream};
use shale_disk::{Content, Disk, ErrorKind, Layered, Memory, extents};

const M: usize = 1 << 20;

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.gz"));
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// What `base.vhd` holds, by the recordings' own account.
fn base() -> Vec<u8> {
    let mut disk = vec![0; 16 * M];
    disk[..5].copy_from_slice(b"HELLO");
    disk[5 * M..5 * M + 4096].fill(0xa5);
    disk[16 * M - 512..].fill(b'Z');
    disk
}

/// The same with its child's sectors.
fn child() -> Vec<u8> {
    let mut disk = base();
    disk[..8 * 512].fill(0);
    disk[6 * M..6 * M + 8 * 512].fill(0x11);
    disk[6 * M + 100 * 512..6 * M + 101 * 512].fill(0x22);
    disk
}

fn whole(disk: &dyn Disk) -> Vec<u8> {
    let mut bytes = vec![1; disk.size() as usize];
    disk.read_at(&mut bytes, 0).unwrap();
    bytes
}

fn open(vhd: &[u8]) -> Vhd<Memory> {
    Vhd::new(Memory(vhd.to_vec())).unwrap()
}

/// Where a disk has data of its own.
fn data(disk: &dyn Disk) -> Vec<(u64, u64)> {
    let own = extents(disk).map(|e| e.unwrap()).filter(|e| e.content == Content::Data);
    own.map(|e| (e.offset, e.length)).collect()
}

/// Writes all that comes over what is there.
fn apply(vhd: &[u8], disk: &mut [u8]) -> shale_disk::Result<()> {
    let mut stream = VhdStream::new(vhd)?;
    let mut piece = Vec::new();
    while let Some(offset) = stream.next_piece(&mut piece)? {
        assert!(!piece.is_empty() && piece.len() <= M);
        disk[offset as usize..offset as usize + piece.len()].copy_from_slice(&piece);
    }
    stream.finish()
}

#[test]
fn what_a_real_xenserver_exports_reads_as_it_should() {
    for (name, expected) in [("base.vhd", base()), ("full16MiB.vhd", base()), ("flat.vhd", child())] {
        assert!(whole(&open(&golden(name))) == expected, "{name} from a file");
        let mut streamed = vec![0; 16 * M];
        apply(&golden(name), &mut streamed).unwrap();
        assert!(streamed == expected, "{name} from a stream");
    }
}

#[test]
fn a_delta_is_read_without_its_parent_and_its_holes_show_what_is_below() {
    const BLOCK: u64 = 2 << 20;
    let sectors = [(0, 8 * 512), (3 * BLOCK, 8 * 512), (3 * BLOCK + 100 * 512, 512)];
    // A child knows the sectors that were written; an export of it only their blocks.
    let table: [(&str, &[(u64, u64)]); 2] =
        [("child.vhd", &sectors), ("delta.vhd", &[(0, BLOCK), (3 * BLOCK, BLOCK)])];
    for (name, own) in table {
        let delta = open(&golden(name));
        assert_eq!(delta.parent().unwrap().names.last().unwrap(), "/tmp/v/base.vhd");
        assert_eq!(delta.parent().unwrap().uuid, open(&golden("base.vhd")).uuid());
        assert_eq!(data(&delta), own, "{name}");
        assert!(whole(&Layered::new(delta, Memory(base()))) == child(), "{name} from a file");

        let bytes = golden(name);
        let stream = VhdStream::new(&bytes[..]).unwrap();
        assert!(stream.is_differencing());
        assert_eq!((stream.size(), stream.blocks(), stream.block_size()), (16 << 20, 2, BLOCK));
        let mut streamed = base();
        apply(&bytes, &mut streamed).unwrap();
        assert!(streamed == child(), "{name} from a stream");
    }
}

#[test]
fn what_qemu_and_we_write_is_read_from_a_stream() {
    for (name, size, pieces) in edge_samples().into_iter().filter(|(_, size, _)| *size < 1 << 30) {
        let folder = tempfile::tempdir().unwrap();
        let raw = raw_sample(folder.path(), name, size, &pieces);
        let vhd = folder.path().join("disk.vhd");
        qemu_img(&["convert", "-O", "vpc", "-o", "force_size=on", text(&raw), text(&vhd)]);
        let mut streamed = vec![0; size as usize];
        apply(&std::fs::read(&vhd).unwrap(), &mut streamed).unwrap();
        assert!(streamed == std::fs::read(&raw).unwrap(), "{name}");
    }
}

#[test]
fn a_stream_that_is_cut_off_anywhere_or_has_something_behind_it_is_found_out() {
    let vhd = golden("delta.vhd");
    for length in (0..vhd.len()).step_by(70_001).chain([511, 512, 1536, 2559, vhd.len() - 512, vhd.len() - 1])
    {
        let error = apply(&vhd[..length], &mut base()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {length}");
    }
    let failed = [&vhd[..], b"HTTP/1.1 500 Internal Error\r\n\r\n"].concat();
    assert!(apply(&failed, &mut base()).unwrap_err().to_string().contains("something follows it"));
    let other = [&vhd[..vhd.len() - 512], &golden("base.vhd")[..512]].concat();
    assert!(apply(&other, &mut base()).is_err(), "the footer of another disk");
}

#[test]
fn streams_that_go_back_or_are_no_dynamic_disks_are_refused() {
    let mut overlapping = golden("delta.vhd");
    overlapping[2048..2052].copy_from_slice(&[0, 0, 0x10, 0x05]); // one sector before the next block
    assert!(apply(&overlapping, &mut base()).unwrap_err().to_string().contains("overlap"));
    let mut early = golden("delta.vhd");
    early[2048..2052].copy_from_slice(&[0, 0, 0, 1]); // where the header is
    assert!(apply(&early, &mut base()).unwrap_err().to_string().contains("overlap"));
    assert!(VhdStream::new(&[0; 4096][..]).is_err());

    let folder = tempfile::tempdir().unwrap();
    let raw = raw_sample(folder.path(), "raw", 2 << 20, &[(0, 512)]);
    let fixed = folder.path().join("fixed.vhd");
    qemu_img(&["convert", "-O", "vpc", "-o", "subformat=fixed,force_size=on", text(&raw), text(&fixed)]);
    assert!(VhdStream::new(&std::fs::read(fixed).unwrap()[..]).is_err(), "it begins with data");
}

#[test]
fn libvhdi_sees_the_same_parent_in_a_delta_as_we_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("delta.vhd");
    std::fs::write(&path, golden("delta.vhd")).unwrap();
    let info = run("vhdiinfo", &[text(&path)]);
    let parent = open(&golden("delta.vhd")).parent().unwrap().uuid;
    assert!(info.contains("Differential"), "{info}");
    assert!(info.contains(&uuid::Uuid::from_bytes(parent).to_string()), "{info}");
}
