//! Folders with very many entries: listed in parts, changed without reading all of them each time, and right for other tools.

mod made;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;

use made::{Image, MIB, Made, go_on, output, run};
use shale_volume::changes::Changes;
use shale_volume::files::{Attributes, Entry, Facts, Files, Filling, Kind, Making, New};
use shale_volume::tree::Tree;

fn folder(files: &mut Files) -> u64 {
    let parent = files.root();
    files.make(Making { parent, name: b"many", kind: &Kind::Folder }).unwrap()
}

fn name(number: usize) -> Vec<u8> {
    format!("an entry with number {number}").into_bytes()
}

/// Makes files in a folder, all with these attributes.
fn make(files: &mut Files, parent: u64, names: &[Vec<u8>], attributes: &Attributes) {
    let facts = Facts::default();
    for names in names.chunks(32) {
        let new = |name| New {
            making: Making { parent, name, kind: &Kind::File },
            streams: Vec::new(),
            facts: &facts,
            attributes,
        };
        files.make_all(&names.iter().map(|name| new(name)).collect::<Vec<_>>()).unwrap();
    }
}

/// What is in the folder that [`folder`] made.
fn listed(files: &mut Files) -> Vec<(Vec<u8>, Entry)> {
    let root = files.root();
    let found = files.folder(root).unwrap().into_iter().find(|(name, _)| name == b"many");
    files.folder(found.unwrap().1.node).unwrap()
}

fn names(files: &mut Files) -> BTreeSet<Vec<u8>> {
    listed(files).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_folder_of_thirty_five_thousand_entries_is_made_listed_in_parts_and_half_of_it_removed() {
    for kind in [Made::Ext4, Made::Ntfs] {
        let image = Image::new(kind, 640 * MIB, None);
        let all: Vec<Vec<u8>> = (0..35_000).map(name).collect();
        image.change(|files| {
            let parent = folder(files);
            make(files, parent, &all, &Attributes::new());
            let making = Making { parent, name: &all[34_999], kind: &Kind::File };
            assert!(files.make(making).is_err(), "{kind:?}: it is there already");
        });
        image.judge();
        assert_eq!(names(&mut image.open()), all.iter().cloned().collect(), "{kind:?}");
        image.change(|files| {
            let parent = Tree::read(files, go_on()).unwrap().0[&b"many"[..]].node;
            for name in all.iter().rev().step_by(2) {
                files.remove(parent, name).unwrap();
            }
            assert!(files.remove(parent, &all[34_999]).is_err());
        });
        image.judge();
        let left = all.iter().step_by(2).cloned().collect::<BTreeSet<_>>();
        assert_eq!(names(&mut image.open()), left, "{kind:?}");
    }
}

#[test]
fn a_folder_of_fat_is_told_in_parts_too() {
    let image = Image::new(Made::Fat32, 64 * MIB, None);
    // Made as a file, as it would lie on the disk: slots of 32 bytes, a name and the bit of a file in each.
    let slot = |name: &str, bits: u8| {
        let mut slot = format!("{name:<11}").into_bytes();
        slot.extend([&[bits][..], &[0; 20]].concat());
        slot
    };
    let all: Vec<String> = (0..33_000).map(|number| format!("N{number}")).collect();
    let slots: Vec<u8> = all.iter().flat_map(|name| slot(name, 0x20)).collect();
    image.change(|files| {
        let root = files.root();
        let node = files.make(Making { parent: root, name: b"MANY", kind: &Kind::File }).unwrap();
        let content = &mut |at: u64, buffer: &mut [u8]| {
            buffer.copy_from_slice(&slots[at as usize..at as usize + buffer.len()]);
            Ok(())
        };
        let whole = 0..slots.len() as u64;
        let ranges = std::slice::from_ref(&whole);
        files.fill(node, b"", Filling { size: whole.end, ranges, compressed: false, content }).unwrap();
    });
    let bytes = fs::read(image.path()).unwrap();
    let at = bytes.windows(11).position(|name| name == b"MANY       ").unwrap() as u64;
    let file = fs::File::options().write(true).open(image.path()).unwrap();
    file.write_all_at(&[0x10], at + 11).unwrap();
    file.write_all_at(&[0; 4], at + 28).unwrap();
    let mut files = image.open();
    let root = files.root();
    let found = files.folder(root).unwrap();
    let listed = files.folder(found[0].1.node).unwrap();
    assert_eq!(listed.len(), 33_000);
    let listed: BTreeSet<_> = listed.into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed, all.into_iter().map(String::into_bytes).collect());
}

#[test]
fn a_folder_that_is_told_in_more_than_32_mib_is_listed_whole() {
    // Extended attributes: one of 3500 bytes on ext; on NTFS the length of all of it in front of one of 60,000.
    let value = vec![7; 60_000];
    let extended =
        [&60_012u32.to_le_bytes()[..], &[0, 3], &60_000u16.to_le_bytes(), b"ONE\0", &value].concat();
    let of_ntfs = Attributes::from_iter([(&b"system.ntfs_ea"[..], extended)]);
    let of_ext = Attributes::from_iter([(&b"user.large"[..], [7; 3500])]);
    for (kind, count, attributes) in [(Made::Ext4, 11_000, of_ext), (Made::Ntfs, 700, of_ntfs)] {
        let image = Image::new(kind, 512 * MIB, None);
        let all: Vec<Vec<u8>> = (0..count).map(name).collect();
        image.change(|files| {
            let parent = folder(files);
            make(files, parent, &all, &attributes);
        });
        let found = listed(&mut image.open());
        assert_eq!(found.len(), count, "{kind:?}");
        let (key, value) = attributes.iter().next().unwrap();
        assert!(found.iter().all(|(_, entry)| entry.attributes.get(key) == Some(value)), "{kind:?}");
    }
}

/// Whether a folder has an index, as debugfs shows it.
fn has_index(image: &Image, path: &str) -> bool {
    let shown = output("debugfs", &["-R", &format!("htree_dump {path}"), image.path().to_str().unwrap()]);
    String::from_utf8_lossy(&shown.stdout).contains("Root node dump")
}

#[test]
fn a_long_folder_without_an_index_gets_one_when_it_changes() {
    let long = |number: usize| format!("{number:0>200}");
    let host = tempfile::tempdir().unwrap();
    for path in ["grows", "shrinks", "stays"] {
        fs::create_dir(host.path().join(path)).unwrap();
        for number in 0..500 {
            fs::write(host.path().join(path).join(long(number)), "").unwrap();
        }
    }
    // mke2fs makes no index; ext2 has blocks of 1 KiB here.
    for (kind, features) in
        [(Made::Ext4, "^metadata_csum"), (Made::Ext4, "metadata_csum"), (Made::Ext2, "dir_index")]
    {
        let image = Image::new(kind, 64 * MIB, Some(host.path()));
        let path = image.path();
        let path = path.to_str().unwrap();
        run("tune2fs", &["-O", features, path]);
        assert!(!has_index(&image, "/grows") && !has_index(&image, "/shrinks"));
        image.change(|files| {
            let tree = Tree::read(files, go_on()).unwrap().0;
            let (grows, shrinks) = (tree[&b"grows"[..]].node, tree[&b"shrinks"[..]].node);
            make(
                files,
                grows,
                &(500..1000).map(|number| long(number).into_bytes()).collect::<Vec<_>>(),
                &Attributes::new(),
            );
            for number in (0..500).filter(|number| number % 7 != 0) {
                files.remove(shrinks, long(number).as_bytes()).unwrap();
            }
        });
        image.judge();
        assert!(has_index(&image, "/grows") && has_index(&image, "/shrinks") && !has_index(&image, "/stays"));
        let shown = run("debugfs", &["-R", "ls -p /grows", path]);
        for number in 0..1000 {
            assert!(shown.contains(&format!("/{}/", long(number))), "{number}");
        }
        let tree = Tree::read(&mut image.open(), go_on()).unwrap();
        let below = |folder: &[u8]| tree.below(folder).count();
        assert_eq!((below(b"grows"), below(b"shrinks"), below(b"stays")), (1000, 72, 500));
    }
}

#[test]
fn a_file_system_without_indexes_gets_none() {
    let image = Image::new(Made::Ext4, 64 * MIB, None);
    run("tune2fs", &["-O", "^dir_index", image.path().to_str().unwrap()]);
    let all: Vec<Vec<u8>> = (0..1500).map(name).collect();
    image.change(|files| {
        let parent = folder(files);
        make(files, parent, &all, &Attributes::new());
        all.iter().step_by(3).for_each(|name| files.remove(parent, name).unwrap());
    });
    image.judge();
    assert!(!has_index(&image, "/many"));
    assert_eq!(names(&mut image.open()).len(), 1000);
}

/// What `debugfs` or another tool says behind a word.
fn behind(text: &str, word: &str) -> String {
    let rest = text.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {text}")).1;
    rest.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn an_index_in_which_all_has_one_hash_is_followed_no_further_than_the_folder_is_long() {
    let image = Image::new(Made::Ext2, 8 * MIB, None);
    let all: Vec<Vec<u8>> = (0..300).map(name).collect();
    image.change(|files| {
        let parent = folder(files);
        make(files, parent, &all, &Attributes::new());
    });
    let path = image.path();
    let path = path.to_str().unwrap();
    let debugfs = |command: &str| run("debugfs", &["-R", command, path]);
    let seed = behind(&run("dumpe2fs", &["-h", path]), "Directory Hash Seed:");
    let hash = debugfs(&format!("dx_hash -h half_md4 -s {seed} absent"));
    let hash = u32::from_str_radix(behind(&hash, "is 0x").trim_end_matches(','), 16).unwrap();
    // Every entry of the index but the first: more of the name's hash is in block 1.
    let root: u64 = debugfs("blocks /many").split_whitespace().next().unwrap().parse().unwrap();
    let entries = [(hash | 1).to_le_bytes(), 1u32.to_le_bytes()].concat().repeat(123);
    let file = fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&[124, 0, 124, 0, 1, 0, 0, 0], root * 1024 + 32).unwrap();
    file.write_all_at(&entries, root * 1024 + 40).unwrap();
    let changes = std::sync::Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
    let mut files = Files::open_to_write(&made::program(), changes, 0..8 * MIB).unwrap();
    let parent = Tree::read(&mut files, go_on()).unwrap().0[&b"many"[..]].node;
    let e = files.make(Making { parent, name: b"absent", kind: &Kind::File }).unwrap_err();
    assert!(e.to_string().ends_with("EXT2 directory corrupted"), "{e}");
}
