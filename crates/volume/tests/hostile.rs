//! Disks that were made to mislead, or damaged: whatever they say, the answer is an error or entries, and comes soon.

mod made;

use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use made::{Image, MIB, Made, go_on, program, run};
use proptest::prelude::*;
use shale_disk::{Disk, ErrorKind, Memory};
use shale_volume::changes::Changes;
use shale_volume::files::{Files, Filling, Kind, Making};
use shale_volume::tree::Tree;

/// An image with some folders, files, attributes and links in it.
fn populated(kind: Made) -> Vec<u8> {
    let image = Image::new(kind, 8 * MIB, None);
    image.change(|files| {
        let root = files.root();
        for folder in 0..4u8 {
            let making = Making { parent: root, name: &[b'd', b'0' + folder], kind: &Kind::Folder };
            let parent = files.make(making).unwrap();
            for file in 0..30u8 {
                let name = format!("a file with number {file}");
                let making = Making { parent, name: name.as_bytes(), kind: &Kind::File };
                let node = files.make(making).unwrap();
                let whole = 0..u64::from(file) * 1000 + 1;
                let content = &mut |_: u64, buffer: &mut [u8]| {
                    buffer.fill(file);
                    Ok(())
                };
                let ranges = std::slice::from_ref(&whole);
                files
                    .fill(node, b"", Filling { size: whole.end, ranges, compressed: false, content })
                    .unwrap();
            }
        }
    });
    fs::read(image.path()).unwrap()
}

/// Reads all there is, as far as it goes.
fn read_all(disk: Arc<dyn Disk>) -> Result<(), shale_disk::Error> {
    let size = disk.size();
    let mut files = Files::open(&program(), disk, 0..size)?;
    let tree = Tree::read(&mut files, go_on())?;
    let mut buffer = vec![0; 1 << 16];
    for entry in tree.0.values() {
        for stream in &entry.streams {
            let map = files.map(entry.node, &stream.name)?;
            let length = map.size.min(buffer.len() as u64) as usize;
            files.read(entry.node, &stream.name, &map, 0, &mut buffer[..length])?;
        }
    }
    files.close()
}

/// Writes here and there.
fn write_some(disk: Arc<dyn Disk>) -> Result<(), shale_disk::Error> {
    let changes = Arc::new(Changes::new(disk, &std::env::temp_dir())?);
    let mut files = Files::open_to_write(&program(), changes.clone(), 0..changes.size())?;
    let root = files.root();
    for (name, entry) in files.folder(root)? {
        if entry.kind == Kind::Folder {
            for (name, _) in files.folder(entry.node)?.into_iter().step_by(3) {
                files.remove(entry.node, &name)?;
            }
            let node = files.make(Making { parent: entry.node, name: b"new", kind: &Kind::File })?;
            let whole = 0..100_000;
            let content = &mut |_: u64, _: &mut [u8]| Ok(());
            let ranges = std::slice::from_ref(&whole);
            files.fill(node, b"", Filling { size: whole.end, ranges, compressed: false, content })?;
            files.describe(node, entry.node, &entry.facts, &Default::default())?;
        } else {
            files.remove(root, &name)?;
        }
    }
    files.close()
}

/// Damage: where, as a part of what holds something, and what is put there.
fn damages() -> impl Strategy<Value = Vec<(prop::sample::Index, Vec<u8>)>> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..9),
        Just(vec![0xff; 4]),
        Just(vec![0; 8]),
        (0u8..40).prop_map(|small| vec![small, 0, 0, 0]),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), bytes), 1..40)
}

fn damaged(image: &[u8], damages: &[(prop::sample::Index, Vec<u8>)]) -> Arc<dyn Disk> {
    let used: Vec<usize> = (0..image.len()).step_by(4).filter(|at| image[*at..*at + 4] != [0; 4]).collect();
    let mut image = image.to_vec();
    for (index, bytes) in damages {
        let at = used[index.index(used.len())];
        image[at..at + bytes.len().min(4)].copy_from_slice(&bytes[..bytes.len().min(4)]);
    }
    Arc::new(Memory(image))
}

fn images() -> &'static [Vec<u8>; 3] {
    static IMAGES: std::sync::OnceLock<[Vec<u8>; 3]> = std::sync::OnceLock::new();
    IMAGES.get_or_init(|| [Made::Ext4, Made::Ext2, Made::Ntfs].map(populated))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn damage_never_gets_further_than_an_error(which in 0usize..3, damages in damages()) {
        let disk = damaged(&images()[which], &damages);
        for outcome in [read_all(disk.clone()), write_some(disk)] {
            if let Err(e) = outcome {
                prop_assert!(!e.to_string().is_empty());
                prop_assert_ne!(e.kind(), ErrorKind::Io, "{}", e);
            }
        }
    }
}

#[test]
fn the_undamaged_images_are_read_and_written_whole() {
    for image in images() {
        read_all(Arc::new(Memory(image.clone()))).unwrap();
        write_some(Arc::new(Memory(image.clone()))).unwrap();
    }
}

#[test]
fn a_folder_that_contains_itself_is_refused() {
    let image = Image::new(Made::Ext4, 8 * MIB, None);
    let path = image.path();
    let path = path.to_str().unwrap();
    run("debugfs", &["-w", "-R", "mkdir /loop", path]);
    run("debugfs", &["-w", "-R", "link /loop /loop/again", path]);
    let e = Tree::read(&mut image.open(), go_on()).unwrap_err();
    assert!(e.to_string().contains("'/loop/again' is a folder that is also somewhere else"), "{e}");
}

#[test]
fn names_that_would_escape_are_refused() {
    let image = Image::new(Made::Ext4, 8 * MIB, None);
    image.change(|files| {
        let root = files.root();
        files.make(Making { parent: root, name: b"xx!etc!passwd", kind: &Kind::File }).unwrap();
        for name in [&b"a/b"[..], b"..", b".", b"", b"zero\0"] {
            assert!(files.make(Making { parent: root, name, kind: &Kind::File }).is_err(), "{name:?}");
        }
    });
    let mut bytes = fs::read(image.path()).unwrap();
    let at = bytes.windows(13).position(|part| part == b"xx!etc!passwd").unwrap();
    bytes[at..at + 13].copy_from_slice(b"../etc/passwd");
    // The folder's checksum is wrong now, so checksums go.
    fs::File::options().write(true).open(image.path()).unwrap().write_all_at(&bytes, 0).unwrap();
    run("tune2fs", &["-O", "^metadata_csum", image.path().to_str().unwrap()]);
    let e = Tree::read(&mut image.open(), go_on()).unwrap_err();
    let source = std::error::Error::source(&e).unwrap().to_string();
    assert!(source.contains("name cannot be one") || source.contains("corrupt"), "{source}");
}

#[test]
fn an_absurd_size_costs_no_memory() {
    let image = Image::new(Made::Ext4, 8 * MIB, None);
    let path = image.path();
    let path = path.to_str().unwrap();
    run("debugfs", &["-w", "-R", &format!("write {} big", "/etc/hostname"), path]);
    run("debugfs", &["-w", "-R", "set_inode_field big size 0xfffffffffff", path]);
    let mut files = image.open();
    let tree = Tree::read(&mut files, go_on()).unwrap();
    let entry = &tree.0[&b"big"[..]];
    let map = files.map(entry.node, b"").unwrap();
    assert_eq!((entry.streams[0].size, map.size), (0xfff_ffff_ffff, 0xfff_ffff_ffff));
    assert!(map.pieces.len() <= 1);
}
