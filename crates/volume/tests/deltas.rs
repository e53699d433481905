//! A delta applied to the state it was made from gives the other state: for generated trees with every kind of entry, in
//! both file systems, judged by their own tools.

mod made;

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use made::forest::{Forest, file, folder, forest_of, plant, plant_over, states};
use made::{Image, MIB, Made, Read, Seen, changed_blocks, comparable, go_on, program};
use proptest::prelude::*;
use shale_disk::{Disk, ErrorKind, FileDisk};
use shale_volume::apply::{Contents, apply};
use shale_volume::changes::Changes;
use shale_volume::delta::Delta;
use shale_volume::diff::diff;
use shale_volume::exclude::{Exclusions, Family};
use shale_volume::files::Files;
use shale_volume::plan::{Plan, plan};
use shale_volume::stored::{Copied, Stored, Writer};
use shale_volume::tree::Tree;

/// The delta between two images, stored in a file and read again.
fn stored(base: &Image, now: &Image, file: &Path, excluded: &Exclusions) -> (Delta, Stored) {
    let mut writer = Writer::new(File::create(file).unwrap());
    let changed = changed_blocks(base, now);
    let delta =
        diff(&mut base.open(), &mut now.open(), Some(&changed), excluded, &mut writer, go_on()).unwrap();
    let digest = writer.finish(&delta).unwrap();
    let (read, stored) = Stored::open(Arc::new(FileDisk::open(file).unwrap())).unwrap();
    assert_eq!((&read, stored.digest), (&delta, digest));
    (delta, stored)
}

fn apply_to(image: &Image, deltas: &mut [(&Delta, &mut Stored)]) -> Plan {
    let changes = Arc::new(Changes::new(image.disk(), image.folder.path()).unwrap());
    let mut files = Files::open_to_write(&program(), changes.clone(), 0..changes.size()).unwrap();
    let base = Tree::read(&mut files, go_on()).unwrap();
    let planned = plan(&deltas.iter().map(|(delta, _)| *delta).collect::<Vec<_>>(), &base);
    let mut contents: Vec<&mut dyn Contents> =
        deltas.iter_mut().map(|(_, stored)| &mut **stored as _).collect();
    apply(&mut files, &base, &planned, &mut contents, go_on()).unwrap();
    files.close().unwrap();
    image.take(&changes);
    planned
}

fn there_and_back(kind: Made, first: &Forest, second: &Forest) {
    let (a, b) = (Image::new(kind, 24 * MIB, None), Image::new(kind, 24 * MIB, None));
    plant(&a, first);
    // The second state comes from the first, so that both share what did not change.
    std::fs::copy(a.path(), b.path()).unwrap();
    plant_over(&b, second);
    a.judge();
    b.judge();
    let file = a.folder.path().join("delta");
    let (delta, mut contents) = stored(&a, &b, &file, &Exclusions::default());
    let expected = comparable(&b);
    let planned = apply_to(&a, &mut [(&delta, &mut contents)]);
    assert_eq!(planned.conflicts, []);
    a.judge();
    let found = comparable(&a);
    for (path, seen) in &expected {
        assert_eq!(Some(seen), found.get(path), "{}", String::from_utf8_lossy(path));
    }
    assert_eq!(found.len(), expected.len());
    let (rest, _) = stored(&a, &b, &file, &Exclusions::default());
    assert_eq!(rest.changes, BTreeMap::new(), "nothing is left to do");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_delta_makes_one_state_of_ext4_from_another((first, second) in states(Made::Ext4)) {
        there_and_back(Made::Ext4, &first, &second);
    }

    #[test]
    fn a_delta_makes_one_state_of_ext2_from_another((first, second) in states(Made::Ext2)) {
        there_and_back(Made::Ext2, &first, &second);
    }

    #[test]
    fn a_delta_makes_one_state_of_ntfs_from_another((first, second) in states(Made::Ntfs)) {
        there_and_back(Made::Ntfs, &first, &second);
    }
}

/// A base and, for each addition to it, the delta that makes it.
struct Layers {
    base: Image,
    deltas: Vec<(Delta, Stored)>,
}

fn layers(kind: Made, base: &Forest, additions: &[Forest]) -> Layers {
    let image = Image::new(kind, 24 * MIB, None);
    plant(&image, base);
    let delta = |(number, addition): (usize, &Forest)| {
        let now = Image::new(kind, 24 * MIB, None);
        std::fs::copy(image.path(), now.path()).unwrap();
        plant_over(
            &now,
            &base.iter().chain(addition).map(|(path, grown)| (path.clone(), grown.clone())).collect(),
        );
        stored(&image, &now, &image.folder.path().join(number.to_string()), &Exclusions::default())
    };
    let deltas = additions.iter().enumerate().map(delta).collect();
    Layers { base: image, deltas }
}

impl Layers {
    /// What these layers make of the base, in this order.
    fn composed(&mut self, order: &[usize]) -> (BTreeMap<Vec<u8>, Seen>, Plan) {
        let image = Image::new(self.base.kind, 24 * MIB, None);
        std::fs::copy(self.base.path(), image.path()).unwrap();
        let mut planned = Plan::default();
        // One borrow at a time: the layers are reopened for each order.
        let mut chosen: Vec<(Delta, Stored)> = order
            .iter()
            .map(|layer| {
                let file = self.base.folder.path().join(layer.to_string());
                Stored::open(Arc::new(FileDisk::open(&file).unwrap())).unwrap()
            })
            .collect();
        if !chosen.is_empty() {
            let mut pairs: Vec<_> = chosen.iter_mut().map(|(delta, stored)| (&*delta, stored)).collect();
            planned = apply_to(&image, &mut pairs);
        }
        image.judge();
        (comparable(&image), planned)
    }
}

#[test]
fn layers_that_touch_different_paths_can_come_in_any_order() {
    for kind in [Made::Ext4, Made::Ntfs] {
        let base = forest_of(&[("one", folder()), ("two", folder()), ("same", file(1, 5000, 1))]);
        let first =
            forest_of(&[("one/a", file(2, 100_000, 2)), ("one/b", folder()), ("one/b/c", file(3, 0, 3))]);
        let second = forest_of(&[("two/a", file(2, 100_000, 2)), ("two/b", file(5, 10, 5))]);
        let mut layers = layers(kind, &base, &[first, second]);
        let (there, planned) = layers.composed(&[0, 1]);
        assert_eq!(planned.conflicts, []);
        assert!(there.contains_key(&b"one/b/c"[..]) && there.contains_key(&b"two/b"[..]));
        assert_eq!(layers.composed(&[1, 0]).0, there);
        assert_eq!(layers.composed(&[0, 0, 1, 1]).0, there, "a layer twice is the layer once");
        assert_ne!(layers.composed(&[0]).0, there);
        assert_eq!(layers.deltas.len(), 2);
    }
}

#[test]
fn the_higher_layer_wins_and_the_plan_says_where() {
    let base = forest_of(&[("etc", folder()), ("etc/conf", file(1, 5000, 1))]);
    let low = forest_of(&[("etc/conf", file(2, 5000, 2)), ("etc/low", file(3, 10, 3))]);
    let high = forest_of(&[("etc/conf", file(4, 5000, 4)), ("etc/high", file(5, 10, 5))]);
    let mut layers = layers(Made::Ext4, &base, &[low, high]);
    let (there, planned) = layers.composed(&[0, 1]);
    assert_eq!(planned.conflicts.iter().map(|c| &c.path[..]).collect::<Vec<_>>(), [b"etc/conf"]);
    assert_eq!(there[&b"etc/conf"[..]].streams[0].1[0], 4);
    assert_eq!(layers.composed(&[1, 0]).0[&b"etc/conf"[..]].streams[0].1[0], 2);
    assert!(there.contains_key(&b"etc/low"[..]) && there.contains_key(&b"etc/high"[..]));
}

#[test]
fn content_that_was_damaged_in_the_store_is_not_written() {
    // Also where a content ends with a stretch that is read at once, and nothing follows it.
    for size in [50_000, MIB as usize] {
        let layers = layers(Made::Ext4, &forest_of(&[]), &[forest_of(&[("a", file(1, size, 1))])]);
        let path = layers.base.folder.path().join("0");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[5000] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let (delta, stored) = Stored::open(Arc::new(FileDisk::open(&path).unwrap())).unwrap();
        let changes = Arc::new(Changes::new(layers.base.disk(), layers.base.folder.path()).unwrap());
        let mut files = Files::open_to_write(&program(), changes.clone(), 0..changes.size()).unwrap();
        let tree = Tree::read(&mut files, go_on()).unwrap();
        let e = apply(&mut files, &tree, &plan(&[&delta], &tree), &mut [&mut Copied(stored)], go_on())
            .unwrap_err();
        assert!(std::error::Error::source(&e).unwrap().to_string().contains("check the repository"), "{e}");
        let mut index = bytes.clone();
        let last = index.iter().rposition(|byte| *byte != 0).unwrap();
        index[last] ^= 1;
        std::fs::write(&path, &index).unwrap();
        let e = Stored::open(Arc::new(FileDisk::open(&path).unwrap())).err().unwrap();
        assert!(e.to_string().contains("index"), "{e}");
    }
}

#[test]
fn equal_pairs_of_states_have_equal_deltas() {
    let base = forest_of(&[("b", folder())]);
    let addition =
        forest_of(&[("b/x", file(7, 20_000, 1)), ("b/y", file(7, 20_000, 1)), ("c", file(8, 3, 1))]);
    let layers = layers(Made::Ext4, &base, &[addition.clone(), addition]);
    let bytes = |layer: &str| std::fs::read(layers.base.folder.path().join(layer)).unwrap();
    assert!(bytes("0") == bytes("1"));
    assert_eq!(bytes("0").len(), 4096 + 20_480 + 4096 + 4096, "equal content is kept once");
}

#[test]
fn what_is_excluded_is_neither_added_nor_removed() {
    let (a, b) = (Image::new(Made::Ext4, 24 * MIB, None), Image::new(Made::Ext4, 24 * MIB, None));
    let kept = [("tmp", folder()), ("etc", folder()), ("tmp/old", file(1, 10, 1))];
    plant(&a, &forest_of(&kept));
    let now = [
        ("tmp", folder()),
        ("etc", folder()),
        ("etc/machine-id", file(1, 33, 2)),
        ("tmp/new", file(1, 1, 1)),
    ];
    plant(&b, &forest_of(&now));
    let excluded = Exclusions::shipped(Family::Linux).unwrap();
    let (delta, _) = stored(&a, &b, &a.folder.path().join("delta"), &excluded);
    let told: Vec<_> = delta.changes.keys().map(|path| String::from_utf8_lossy(path)).collect();
    assert!(!told.iter().any(|path| path.contains("machine-id") || path.contains("tmp/")), "{told:?}");
}

/// Paths in which two images differ, and how many bytes were read to find them.
struct Compared {
    paths: Vec<Vec<u8>>,
    /// Of both disks, whatever it was.
    read: u64,
    /// In these ranges of them.
    of_bulk: u64,
}

impl Compared {
    fn of(images: [&Image; 2], changed: Option<&[Range<u64>]>, bulk: &[Range<u64>]) -> Self {
        let disks = images.map(Read::of);
        let [mut a, mut b] = [0, 1].map(|number| images[number].open_as(disks[number].clone()));
        let mut writer = Writer::new(tempfile::tempfile().unwrap());
        let delta = diff(&mut a, &mut b, changed, &Exclusions::default(), &mut writer, go_on()).unwrap();
        let read = |range: &Range<u64>| disks.iter().map(|disk| disk.inside(range)).sum::<u64>();
        let of_bulk = bulk.iter().map(read).sum();
        Self { paths: delta.changes.into_keys().collect(), read: read(&(0..u64::MAX)), of_bulk }
    }
}

#[test]
fn a_file_that_kept_its_times_is_found_by_its_changed_blocks_and_others_are_not_read() {
    const BULK: u64 = 12 * MIB;
    const SECRET: u64 = 200_000;
    for kind in [Made::Ext4, Made::Ntfs] {
        let a = Image::new(kind, 24 * MIB, None);
        let both = [("bulk", file(1, BULK as usize, 1)), ("secret", file(1, SECRET as usize, 1))];
        plant(&a, &forest_of(&both));
        let b = Image::new(kind, 24 * MIB, None);
        std::fs::copy(a.path(), b.path()).unwrap();
        let mut files = b.open();
        let tree = Tree::read(&mut files, go_on()).unwrap();
        let mut ranges = |path: &[u8]| -> Vec<Range<u64>> {
            let pieces = files.map(tree.0[path].node, b"").unwrap().pieces;
            pieces.iter().map(|piece| piece.physical..piece.physical + piece.length).collect()
        };
        let (place, mut bulk) = (ranges(b"secret")[0].start, ranges(b"bulk"));
        bulk.sort_by_key(|range| range.start);
        drop(files);
        let image = File::options().write(true).open(b.path()).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&image, b"changed", place + 5000).unwrap();

        let by_times = Compared::of([&a, &b], None, &bulk);
        assert_eq!((by_times.paths, by_times.of_bulk), (Vec::<Vec<u8>>::new(), 0), "{kind:?}");
        assert!(by_times.read < MIB, "{kind:?}: {} bytes of metadata", by_times.read);

        let block = place + 4096..place + 8192;
        let by_blocks = Compared::of([&a, &b], Some(std::slice::from_ref(&block)), &bulk);
        assert_eq!((by_blocks.paths, by_blocks.of_bulk), (vec![b"secret".to_vec()], 0), "{kind:?}");
        // Twice to be compared, once to be kept; and a page or two of metadata.
        let of_secret = by_blocks.read - by_times.read;
        assert!((3 * SECRET..3 * SECRET + 65536).contains(&of_secret), "{kind:?}: {of_secret} bytes");

        // What is said to have changed is read, of both: so the bytes above were counted.
        let said = Compared::of([&a, &b], Some(&bulk), &bulk);
        assert_eq!((said.paths, said.of_bulk), (Vec::<Vec<u8>>::new(), 2 * BULK), "{kind:?}");
    }
}

#[test]
fn a_short_file_of_ntfs_that_kept_its_times_is_found_by_its_changed_record() {
    let a = Image::new(Made::Ntfs, 24 * MIB, None);
    plant(&a, &forest_of(&[("one", file(1, 60, 1)), ("two", file(2, 60, 1))]));
    let b = Image::new(Made::Ntfs, 24 * MIB, None);
    std::fs::copy(a.path(), b.path()).unwrap();
    let mut files = b.open();
    let tree = Tree::read(&mut files, go_on()).unwrap();
    let [one, two] = [b"one", b"two"].map(|name| {
        let node = tree.0[&name[..]].node;
        let map = files.map(node, b"").unwrap();
        assert!(map.in_record && !map.direct);
        let mut content = vec![0; 60];
        files.read(node, b"", &map, 0, &mut content).unwrap();
        (map.pieces[0].physical..map.pieces[0].physical + map.pieces[0].length, content)
    });
    drop(files);
    let bytes = std::fs::read(b.path()).unwrap();
    let record = &bytes[one.0.start as usize..one.0.end as usize];
    let inside = record.windows(60).position(|part| part == one.1).expect("the content is in the record");
    let image = File::options().write(true).open(b.path()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&image, b"changed", one.0.start + inside as u64).unwrap();

    let told = |changed: Option<&[Range<u64>]>| Compared::of([&a, &b], changed, &[]).paths;
    assert_eq!(told(None), Vec::<Vec<u8>>::new(), "times are trusted");
    assert_eq!(told(Some(&[one.0])), [b"one"]);
    assert_eq!(told(Some(&[two.0])), Vec::<Vec<u8>>::new(), "its record is what it was");
}

#[test]
fn comparing_and_applying_stop_when_asked() {
    let base = forest_of(&[]);
    let mut layers = layers(Made::Ext4, &base, &[forest_of(&[("a", file(1, 50_000, 1))])]);
    let stop = &|bytes| if bytes > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let (delta, stored) = &mut layers.deltas[0];
    let changes = Arc::new(Changes::new(layers.base.disk(), layers.base.folder.path()).unwrap());
    let mut files = Files::open_to_write(&program(), changes.clone(), 0..changes.size()).unwrap();
    let tree = Tree::read(&mut files, stop).unwrap();
    let e = apply(&mut files, &tree, &plan(&[delta], &tree), &mut [stored], stop).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Stopped);
    let now = Image::new(Made::Ext4, 24 * MIB, None);
    plant(&now, &forest_of(&[("a", file(1, 50_000, 1))]));
    let mut writer = Writer::new(tempfile::tempfile().unwrap());
    let none = Exclusions::default();
    let e = diff(&mut layers.base.open(), &mut now.open(), None, &none, &mut writer, stop).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Stopped);
}

#[test]
fn a_file_that_was_put_together_takes_the_place_of_the_layers() {
    let base = forest_of(&[("etc", folder()), ("etc/passwd", file(1, 50, 1))]);
    let layer = |seed| forest_of(&[("etc/passwd", file(seed, 60, 2))]);
    let mut layers = layers(Made::Ext4, &base, &[layer(2), layer(3)]);
    let changes = Arc::new(Changes::new(layers.base.disk(), layers.base.folder.path()).unwrap());
    let mut files = Files::open_to_write(&program(), changes.clone(), 0..changes.size()).unwrap();
    let tree = Tree::read(&mut files, go_on()).unwrap();
    let deltas: Vec<&Delta> = layers.deltas.iter().map(|(delta, _)| delta).collect();
    let mut planned = plan(&deltas, &tree);
    assert_eq!(planned.conflicts.len(), 1);
    let mut made = shale_volume::apply::Made::default();
    assert!(planned.replace(b"etc/passwd", 2, made.keep(b"put together\n".to_vec())));
    assert!(!planned.replace(b"etc/shadow", 2, made.keep(Vec::new())));
    assert_eq!(planned.conflicts, []);
    let [(_, low), (_, high)] = &mut layers.deltas[..] else { panic!() };
    apply(&mut files, &tree, &planned, &mut [low, high, &mut made], go_on()).unwrap();
    files.close().unwrap();
    layers.base.take(&changes);
    layers.base.judge();
    let found = comparable(&layers.base);
    assert_eq!(found[&b"etc/passwd"[..]].streams[0].1, b"put together\n");
}
