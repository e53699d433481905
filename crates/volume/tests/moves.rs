//! Files that were moved: neither read nor kept again, and moved likewise on other disks.

mod made;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use made::forest::{Forest, file, folder, forest_of, plant, plant_over};
use made::{Image, MIB, Made, changed_blocks, comparable, go_on, program};
use shale_disk::{Disk, FileDisk};
use shale_volume::apply::{Contents, apply};
use shale_volume::changes::Changes;
use shale_volume::delta::{Body, Change, Delta};
use shale_volume::diff::{Compared, layer};
use shale_volume::exclude::Exclusions;
use shale_volume::files::{Facts, Files, Filling, Kind, Making, Moment};
use shale_volume::plan::{Plan, Why, plan};
use shale_volume::stored::{Stored, Writer};
use shale_volume::tree::Tree;

/// Files in the folder that is renamed, and bytes of each.
const FILES: usize = 300;
const LENGTH: usize = 20_000;

/// A folder `tree` with many files.
fn big_tree() -> Forest {
    let mut forest = forest_of(&[("tree", folder()), ("tree/deep", folder()), ("other", file(9, 5000, 9))]);
    for number in 0..FILES {
        let place = if number % 2 == 0 { "tree" } else { "tree/deep" };
        forest.extend(forest_of(&[(&*format!("{place}/{number:04}"), file(number as u8, LENGTH, 1))]));
    }
    forest
}

fn copy_of(image: &Image) -> Image {
    let copy = Image::new(image.kind, 24 * MIB, None);
    std::fs::copy(image.path(), copy.path()).unwrap();
    copy
}

/// Renames `tree` to `renamed`: the folder itself on ext, with its own tool, as the kernel would; file by file on NTFS.
fn rename(image: &Image) {
    if image.kind != Made::Ntfs {
        for command in ["ln /tree /renamed", "unlink /tree"] {
            let status = Command::new("debugfs").args(["-w", "-R", command]).arg(image.path()).status();
            assert!(status.unwrap().success());
        }
        return;
    }
    image.change(|files| {
        let tree = Tree::read(files, go_on()).unwrap();
        let mut there = BTreeMap::from([(Vec::new(), files.root())]);
        for (path, entry) in tree.0.iter().filter(|(path, _)| path.starts_with(b"tree")) {
            let new = [b"renamed", &path[4..]].concat();
            let (parent, name) = split(&new);
            let (parent, kind) = (there[parent], &entry.kind);
            match kind {
                Kind::Folder => {
                    let node = files.make(Making { parent, name, kind }).unwrap();
                    there.insert(new.clone(), node);
                }
                _ => files.link(parent, name, entry.node).unwrap(),
            }
        }
        for (path, _) in tree.0.iter().rev().filter(|(path, _)| path.starts_with(b"tree")) {
            let (parent, name) = split(path);
            let parent = tree.0[parent].node;
            files.remove(parent, name).unwrap();
        }
    });
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().rposition(|byte| *byte == b'/');
    at.map_or((&[], path), |at| (&path[..at], &path[at + 1..]))
}

/// The layer that leads from one image to the other, and the bytes of content that were read for it.
fn layer_of(base: &Image, now: &Image) -> (Delta, Stored, u64) {
    let changed = changed_blocks(base, now);
    let path = now.folder.path().join("delta");
    let mut options = std::fs::File::options();
    let file = options.read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    let mut writer = Writer::new(file);
    let read = AtomicU64::new(0);
    let watch = |bytes| {
        read.fetch_add(bytes, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    let (mut old, mut new) = (base.open(), now.open());
    let compared = Compared { base: &mut old, now: &mut new, changed: Some(&changed) };
    let found = layer(compared, Some(&Exclusions::default()), &mut writer, &watch).unwrap();
    writer.finish(&found.delta).unwrap();
    let (delta, stored) = Stored::open(Arc::new(FileDisk::open(&path).unwrap())).unwrap();
    assert_eq!(delta, found.delta);
    (delta, stored, read.into_inner())
}

fn compose(image: &Image, layers: &mut [(&Delta, &mut dyn Contents)]) -> Plan {
    let changes = Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
    let mut files = Files::open_to_write(&program(), changes.clone(), 0..changes.size()).unwrap();
    let base = Tree::read(&mut files, go_on()).unwrap();
    let planned = plan(&layers.iter().map(|(delta, _)| *delta).collect::<Vec<_>>(), &base);
    let mut contents: Vec<&mut dyn Contents> =
        layers.iter_mut().map(|(_, stored)| &mut **stored as _).collect();
    apply(&mut files, &base, &planned, &mut contents, go_on()).unwrap();
    files.close().unwrap();
    image.take(&changes);
    image.judge();
    planned
}

#[test]
fn a_renamed_folder_with_many_files_is_a_layer_without_their_content() {
    for kind in [Made::Ext4, Made::Ntfs] {
        let base = Image::new(kind, 24 * MIB, None);
        plant(&base, &big_tree());
        let now = copy_of(&base);
        rename(&now);
        now.judge();
        let (delta, mut stored, read) = layer_of(&base, &now);
        // On NTFS some files have a second stream of a few bytes, which lies among metadata.
        let little = if kind == Made::Ntfs { 10_000 } else { 0 };
        assert!(read <= little, "{kind:?}: {read} bytes of content were read");
        assert_eq!(delta.length(), 0, "{kind:?}: no content is kept");
        let moved = delta.changes.values().filter(|change| match change {
            Change::Put(item) => matches!(item.body, Body::Moved(_)),
            Change::Removed => false,
        });
        assert_eq!(moved.count(), FILES);

        let planned = compose(&base, &mut [(&delta, &mut stored)]);
        assert_eq!(planned.conflicts, []);
        assert!(comparable(&base) == comparable(&now), "{kind:?}: it is renamed on the other disk, too");
        let planned = compose(&base, &mut [(&delta, &mut stored)]);
        assert_eq!(planned.conflicts, [], "{kind:?}: a layer twice is the layer once");
        assert!(comparable(&base) == comparable(&now));
    }
}

#[test]
fn what_was_moved_is_what_the_layers_below_have_there() {
    let base = Image::new(Made::Ext4, 24 * MIB, None);
    plant(&base, &big_tree());
    let patched = copy_of(&base);
    let mut patch = big_tree();
    patch.extend(forest_of(&[("tree/0002", file(77, 30_000, 2))]));
    plant_over(&patched, &patch);
    let (low, mut low_stored, _) = layer_of(&base, &patched);
    let now = copy_of(&base);
    rename(&now);
    let (high, mut high_stored, _) = layer_of(&base, &now);
    let lacking = copy_of(&base);

    let planned = compose(&base, &mut [(&low, &mut low_stored), (&high, &mut high_stored)]);
    assert!(
        !planned.conflicts.iter().any(|conflict| conflict.why == Why::Missing),
        "{:?}",
        planned.conflicts
    );
    let found = comparable(&base);
    assert_eq!(found[&b"renamed/0002"[..]].streams[0].1.len(), 30_000);
    assert_eq!(found[&b"renamed/0004"[..]].streams[0].1.len(), LENGTH);
    assert!(!found.contains_key(&b"tree"[..]));

    lacking.change(|files| {
        let tree = Tree::read(files, go_on()).unwrap();
        files.remove(tree.0[&b"tree"[..]].node, b"0004").unwrap();
    });
    let planned = compose(&lacking, &mut [(&high, &mut high_stored)]);
    let told: Vec<_> = planned.conflicts.iter().map(|conflict| (&conflict.path[..], conflict.why)).collect();
    assert_eq!(told, [(&b"renamed/0004"[..], Why::Missing)]);
    let found = comparable(&lacking);
    assert!(found.contains_key(&b"renamed/0002"[..]) && !found.contains_key(&b"renamed/0004"[..]));
}

#[test]
fn a_file_that_was_moved_and_written_to_is_in_the_layer() {
    let base = Image::new(Made::Ext4, 24 * MIB, None);
    plant(&base, &big_tree());
    let now = copy_of(&base);
    rename(&now);
    // As a program that puts the times back would leave it.
    let mut files = now.open();
    let node = Tree::read(&mut files, go_on()).unwrap().0[&b"renamed/0006"[..]].node;
    let place = files.map(node, b"").unwrap().pieces[0].physical;
    drop(files);
    let image = std::fs::File::options().write(true).open(now.path()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&image, b"changed", place + 5000).unwrap();
    let (delta, mut stored, read) = layer_of(&base, &now);
    assert_eq!((delta.length(), read), (LENGTH as u64, LENGTH as u64));
    compose(&base, &mut [(&delta, &mut stored)]);
    assert!(comparable(&base) == comparable(&now));
}

#[test]
fn a_moved_file_has_the_stream_that_a_lower_layer_changed_and_the_times_of_its_content() {
    let base = Image::new(Made::Ntfs, 24 * MIB, None);
    plant(
        &base,
        &forest_of(&[("old", folder()), ("old/a", file(3, LENGTH, 1)), ("old/b", file(4, LENGTH, 1))]),
    );
    // A second stream, no other, and the time that comes with it.
    let patched = copy_of(&base);
    patched.change(|files| {
        let tree = Tree::read(files, go_on()).unwrap();
        let (folder, entry) = (tree.0[&b"old"[..]].node, &tree.0[&b"old/a"[..]]);
        let content = &mut |_: u64, bytes: &mut [u8]| {
            bytes.fill(9);
            Ok(())
        };
        let filling = Filling { size: 5, ranges: std::slice::from_ref(&(0..5)), compressed: false, content };
        files.fill(entry.node, b"s", filling).unwrap();
        let modified = Moment { seconds: 1_700_000_000, nanoseconds: 0 };
        files.describe(entry.node, folder, &Facts { modified, ..entry.facts }, &entry.attributes).unwrap();
    });
    let (low, mut low_stored, _) = layer_of(&base, &patched);
    let now = copy_of(&base);
    now.change(|files| {
        let tree = Tree::read(files, go_on()).unwrap();
        for name in [b"a", b"b"] {
            let old = tree.0[&b"old"[..]].node;
            files.link(files.root(), name, tree.0[&[b"old/", &name[..]].concat()].node).unwrap();
            files.remove(old, name).unwrap();
        }
    });
    let (high, mut high_stored, _) = layer_of(&base, &now);
    assert_eq!((low.length(), high.length()), (5, 0), "both tell only what changed");

    let planned = compose(&base, &mut [(&low, &mut low_stored), (&high, &mut high_stored)]);
    assert_eq!(planned.conflicts, []);
    let (found, moved) = (comparable(&base), comparable(&now));
    let (a, stream) = (&found[&b"a"[..]], (b"s".to_vec(), vec![9; 5]));
    assert_eq!(a.facts.modified.seconds, 1_700_000_000);
    assert!(a.streams.contains(&stream) && a.streams[0] == moved[&b"a"[..]].streams[0]);
    assert_eq!(found[&b"b"[..]], moved[&b"b"[..]]);
    assert!(!found.contains_key(&b"old/a"[..]));
}

#[test]
fn a_name_that_two_layers_spell_differently_is_there_once() {
    let base = Image::new(Made::Ntfs, 24 * MIB, None);
    plant(&base, &forest_of(&[("Tool", folder()), ("Tool/read.me", file(3, LENGTH, 1))]));
    let now = copy_of(&base);
    now.change(|files| {
        let tree = Tree::read(files, go_on()).unwrap();
        let (folder, node) = (tree.0[&b"Tool"[..]].node, tree.0[&b"Tool/read.me"[..]].node);
        files.link(files.root(), b"aside", node).unwrap();
        files.remove(folder, b"read.me").unwrap();
        files.link(folder, b"READ.ME", node).unwrap();
        files.remove(files.root(), b"aside").unwrap();
    });
    let (low, mut low_stored, _) = layer_of(&base, &now);
    let other = copy_of(&base);
    plant_over(&other, &forest_of(&[("Tool", folder()), ("Tool/read.me", file(8, 100, 2))]));
    let (high, mut high_stored, _) = layer_of(&base, &other);
    let planned = compose(&base, &mut [(&low, &mut low_stored), (&high, &mut high_stored)]);
    assert_eq!(planned.conflicts, [], "one spelled it anew, the other filled it");
    let found = comparable(&base);
    assert_eq!(found.keys().filter(|path| path.starts_with(b"Tool/")).collect::<Vec<_>>(), [b"Tool/READ.ME"]);
    assert_eq!(found[&b"Tool/READ.ME"[..]].streams[0].1.len(), 100);
}
