//! Disks that were made to mislead, or damaged: whatever they say, the answer is an error or entries, and comes soon.

mod made;

use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use made::{Image, MIB, Made, go_on, logfile, program, run};
use proptest::prelude::*;
use shale_disk::{Disk, ErrorKind, Memory};
use shale_volume::changes::Changes;
use shale_volume::files::{Files, Filling, Kind, Making};
use shale_volume::health::{Health, health};
use shale_volume::known::{Known, Volume};
use shale_volume::os::os_volume;
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

fn images() -> &'static [Vec<u8>; 5] {
    static IMAGES: std::sync::OnceLock<[Vec<u8>; 5]> = std::sync::OnceLock::new();
    IMAGES.get_or_init(|| [Made::Ext4, Made::Ext2, Made::Ntfs, Made::Fat12, Made::Fat32].map(populated))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn damage_never_gets_further_than_an_error(which in 0usize..5, damages in damages()) {
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
fn a_folder_of_a_few_blocks_that_come_millions_of_times_is_refused() {
    let image = Image::new(Made::Ext2, 8 * MIB, None);
    image.change(|files| {
        let root = files.root();
        files.make(Making { parent: root, name: b"deep", kind: &Kind::Folder }).unwrap();
    });
    // One empty block of a folder; 256 pointers to it, 256 to these, and 256 to those.
    let (empty, pointers) = (8000u32, |to: u32| to.to_le_bytes().repeat(256));
    poke(&image, u64::from(empty) * 1024, &[&[0, 0, 0, 0, 0, 4][..], &[0; 1018]].concat());
    for block in empty + 1..=empty + 3 {
        poke(&image, u64::from(block) * 1024, &pointers(block - 1));
    }
    let path = image.path();
    run("debugfs", &["-w", "-R", "set_inode_field deep block[TIND] 8003", path.to_str().unwrap()]);
    let text = refusal(&image);
    assert!(text.contains("'/deep' cannot be read") && text.contains("directory corrupted"), "{text}");
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

/// A name as NTFS keeps it.
fn wide(name: &str) -> Vec<u8> {
    name.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Changes bytes of an image.
fn poke(image: &Image, at: u64, bytes: &[u8]) {
    fs::File::options().write(true).open(image.path()).unwrap().write_all_at(bytes, at).unwrap();
}

/// Where entries of folders with this name begin: a file reference, and 82 bytes later the name.
fn index_entries(image: &Image, name: &str, node: u64) -> Vec<u64> {
    let (bytes, name) = (fs::read(image.path()).unwrap(), wide(name));
    let found = bytes.windows(name.len()).enumerate().filter(|(_, part)| part == &name).map(|(at, _)| at);
    let is_entry = |at: &usize| {
        at.checked_sub(82).is_some_and(|start| bytes[start..start + 6] == node.to_le_bytes()[..6])
    };
    found.filter(is_entry).map(|at| at as u64 - 82).collect()
}

/// What reading all folders says.
fn refusal(image: &Image) -> String {
    let size = image.disk().size();
    let read = || Tree::read(&mut Files::open(&program(), image.disk(), 0..size)?, go_on()).map(drop);
    said(&read().unwrap_err())
}

/// The chain of texts of an error.
fn said(e: &dyn std::error::Error) -> String {
    e.source().map_or(e.to_string(), |source| format!("{e}: {}", said(source)))
}

/// NTFS with a folder in a folder, and the nodes of both.
fn nested() -> (Image, u64, u64) {
    let image = Image::new(Made::Ntfs, 8 * MIB, None);
    image.change(|files| {
        let root = files.root();
        let outer = files.make(Making { parent: root, name: b"outer", kind: &Kind::Folder }).unwrap();
        files.make(Making { parent: outer, name: b"inner", kind: &Kind::Folder }).unwrap();
    });
    let tree = Tree::read(&mut image.open(), go_on()).unwrap();
    let node = |path: &str| tree.0[path.as_bytes()].node;
    let (outer, inner) = (node("outer"), node("outer/inner"));
    (image, outer, inner)
}

#[test]
fn a_folder_of_ntfs_that_contains_itself_is_refused() {
    let (image, outer, inner) = nested();
    let entries = index_entries(&image, "inner", inner);
    assert_eq!(entries.len(), 1, "{entries:?}");
    for at in entries {
        poke(&image, at, &outer.to_le_bytes()[..6]);
    }
    let text = refusal(&image);
    assert!(text.contains("'/outer/inner' is a folder that is also somewhere else"), "{text}");
}

#[test]
fn names_of_ntfs_that_would_escape_are_refused() {
    for name in ["../ab", "a/bcd", "a\0bcd"] {
        let (image, _, inner) = nested();
        for at in index_entries(&image, "inner", inner) {
            poke(&image, at + 82, &wide(name));
        }
        let text = refusal(&image);
        assert!(text.contains("a folder has an entry whose name cannot be one"), "{name:?}: {text}");
    }
}

#[test]
fn a_damaged_file_record_and_a_damaged_inode_are_named() {
    let (image, _, inner) = nested();
    let bytes = fs::read(image.path()).unwrap();
    let is_it = |record: &[u8]| record.starts_with(b"FILE") && record[44..48] == (inner as u32).to_le_bytes();
    let place = bytes.chunks(1024).position(is_it).unwrap() as u64 * 1024;
    poke(&image, place, b"BAAD");
    let text = refusal(&image);
    assert!(
        text.contains("'/outer' cannot be read") && text.contains(&format!("file record {inner}")),
        "{text}"
    );

    let image = Image::new(Made::Ext4, 8 * MIB, None);
    image.change(|files| {
        let root = files.root();
        files.make(Making { parent: root, name: b"file", kind: &Kind::File }).unwrap();
    });
    let node = Tree::read(&mut image.open(), go_on()).unwrap().0[&b"file"[..]].node;
    let path = image.path();
    let path = path.to_str().unwrap();
    run("debugfs", &["-w", "-R", "set_inode_field file mode 0170000", path]);
    let text = refusal(&image);
    assert!(
        text.contains("the folder '/' cannot be read") && text.contains(&format!("inode {node}")),
        "{text}"
    );
}

#[test]
fn links_that_lead_in_a_circle_are_kept_and_never_followed() {
    let image = Image::new(Made::Ext4, 8 * MIB, None);
    let link = |target: &[u8]| Kind::Link { target: target.to_vec() };
    image.change(|files| {
        let root = files.root();
        for (name, target) in [(&b"a"[..], &b"b"[..]), (b"b", b"a"), (b"up", b"..")] {
            files.make(Making { parent: root, name, kind: &link(target) }).unwrap();
        }
    });
    let tree = Tree::read(&mut image.open(), go_on()).unwrap();
    assert_eq!(tree.0[&b"a"[..]].kind, link(b"b"));
    assert_eq!(tree.0.len(), 5, "the root, lost+found and three links");
}

/// What opening NTFS says, to be read and to be written, and its health.
fn opened(image: &Image) -> (Vec<String>, Health) {
    let size = image.disk().size();
    let read = Files::open(&program(), image.disk(), 0..size).map(drop);
    let changes = Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
    let written = Files::open_to_write(&program(), changes, 0..size).map(drop);
    let texts = [read, written].map(|opened| opened.map_or_else(|e| said(&e), |()| "opened".to_owned()));
    let volume = Volume { range: 0..size, known: Known::Ntfs };
    (texts.to_vec(), health(&image.disk(), &volume).unwrap())
}

/// Where `$LogFile` begins, and how long it is, as sleuthkit tells.
fn log(image: &Image) -> (u64, u64) {
    logfile::place(&run("istat", &["-f", "ntfs", image.path().to_str().unwrap(), "2"]))
}

#[test]
fn windows_that_was_not_shut_down_is_refused_by_how_it_was_left() {
    let fresh = || Image::new(Made::Ntfs, 16 * MIB, None);
    assert_eq!(opened(&fresh()), (vec!["opened".to_owned(); 2], Health::Clean));

    let dirty = fresh();
    let bytes = fs::read(dirty.path()).unwrap();
    logfile::flags(&bytes).into_iter().for_each(|at| poke(&dirty, at, &[1]));
    let (texts, health) = opened(&dirty);
    assert!(texts.iter().all(|text| text.contains("marked dirty: let Windows check it")), "{texts:?}");
    assert!(matches!(health, Health::CheckNeeded(_)), "{health:?}");

    let open = fresh();
    poke(&open, log(&open).0, &logfile::in_use(log(&open).1));
    let (texts, health) = opened(&open);
    assert!(texts.iter().all(|text| text.contains("its log was not closed: start Windows")), "{texts:?}");
    assert!(matches!(health, Health::InUse(_)), "{health:?}");

    // Hibernation and fast start-up leave the same file.
    let asleep = fresh();
    asleep.change(|files| {
        let root = files.root();
        let node = files.make(Making { parent: root, name: b"hiberfil.sys", kind: &Kind::File }).unwrap();
        let content = &mut |_: u64, buffer: &mut [u8]| {
            buffer.fill(b'h');
            buffer[..4].copy_from_slice(b"HIBR");
            Ok(())
        };
        let whole = 0..8192;
        let filling =
            Filling { size: 8192, ranges: std::slice::from_ref(&whole), compressed: false, content };
        files.fill(node, b"", filling).unwrap();
    });
    let (texts, health) = opened(&asleep);
    assert!(texts.iter().all(|text| text.contains("hibernated")), "{texts:?}");
    assert!(matches!(health, Health::Hibernated(_)), "{health:?}");
}

#[test]
fn a_system_on_what_is_not_read_is_refused_by_the_name_of_that() {
    let marks: [(&str, usize, &[u8]); 5] = [
        ("encrypted (LUKS)", 0, b"LUKS\xba\xbe"),
        ("encrypted (BitLocker)", 3, b"-FVE-FS-"),
        ("partition 1 holds XFS", 0, b"XFSB"),
        ("partition 1 holds btrfs", 0x1_0040, b"_BHRfS_M"),
        ("something larger (LVM)", 512, b"LABELONE"),
    ];
    for (expected, at, mark) in marks {
        let mut bytes = vec![0; 1 << 20];
        bytes[at..at + mark.len()].copy_from_slice(mark);
        let disk: Arc<dyn Disk> = Arc::new(Memory(bytes));
        let e = os_volume(&program(), &disk).unwrap_err();
        assert!(said(&e).contains(expected), "{}", said(&e));
        assert_eq!(e.kind(), ErrorKind::Unsupported);
        let changes = Arc::new(Changes::new(disk, &std::env::temp_dir()).unwrap());
        let e = Files::open_to_write(&program(), changes, 0..1 << 20).err().unwrap();
        let name = expected.rsplit(' ').next().unwrap().trim_matches(['(', ')']).to_owned();
        assert!(e.to_string().contains(&name), "{e}");
    }
}
