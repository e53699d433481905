//! Long contents of layers are lent, not copied: what is put on a disk reads them from the layer, wherever the blocks of the file
//! allow it, and is all the same what other tools find right.

mod made;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use made::forest::{Grown, What, file, forest_of, plant};
use made::{Image, MIB, Made, changed_blocks, comparable, content, go_on, program};
use shale_disk::{Disk, Error, ErrorKind, Extent, FileDisk, Result};
use shale_volume::apply::apply;
use shale_volume::changes::Changes;
use shale_volume::diff::diff;
use shale_volume::exclude::Exclusions;
use shale_volume::files::Files;
use shale_volume::plan::plan;
use shale_volume::stored::{Stored, Writer};
use shale_volume::tree::Tree;

/// Counts what is read of it, and refuses some of that.
struct Watched {
    disk: FileDisk,
    read: AtomicU64,
    refused: Mutex<Range<u64>>,
}

impl Disk for Watched {
    fn size(&self) -> u64 {
        self.disk.size()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let refused = self.refused.lock().unwrap().clone();
        if offset < refused.end && refused.start < offset + buffer.len() as u64 {
            return Err(Error::new(ErrorKind::Corrupt, "a block is not what was kept"));
        }
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        self.disk.read_at(buffer, offset)
    }
    fn extent_at(&self, offset: u64) -> Result<Extent> {
        self.disk.extent_at(offset)
    }
}

/// A layer of what `now` has more than `base`.
fn layer(base: &Image, now: &Image) -> Arc<Watched> {
    let path = base.folder.path().join("layer");
    let mut writer = Writer::new(std::fs::File::create(&path).unwrap());
    let changed = changed_blocks(base, now);
    let none = Exclusions::default();
    let delta = diff(&mut base.open(), &mut now.open(), Some(&changed), &none, &mut writer, go_on()).unwrap();
    writer.finish(&delta).unwrap();
    let disk = FileDisk::open(&path).unwrap();
    Arc::new(Watched { disk, read: AtomicU64::new(0), refused: Mutex::new(0..0) })
}

/// The layer on `base`, and how many bytes of the layer were read for that.
fn put(base: &Image, layer: &Arc<Watched>) -> (Arc<Changes>, u64) {
    let (delta, mut stored) = Stored::open(layer.clone()).unwrap();
    let changes = Arc::new(Changes::new(base.disk(), base.folder.path()).unwrap());
    let mut files = Files::open_to_write(&program(), changes.clone(), 0..changes.size()).unwrap();
    let tree = Tree::read(&mut files, go_on()).unwrap();
    let before = layer.read.load(Ordering::Relaxed);
    apply(&mut files, &tree, &plan(&[&delta], &tree), &mut [&mut stored], go_on()).unwrap();
    files.close().unwrap();
    (changes, layer.read.load(Ordering::Relaxed) - before)
}

fn of(size: usize, hole: bool) -> Grown {
    Grown { what: What::File(7, size, hole), ..file(7, size, 1) }
}

#[test]
fn long_contents_are_read_from_the_layer_whenever_they_are_asked_for_and_short_ones_are_copied() {
    let long = 5 * MIB as usize + 5000;
    // One that ends inside a page, one with a hole, one whose data is just too short behind its hole.
    let forest = forest_of(&[
        ("long", file(1, long, 1)),
        ("sparse", of(3 * MIB as usize, true)),
        ("spread", of(MIB as usize + 65536, true)),
        ("short", file(3, 40_000, 1)),
    ]);
    // Files of NTFS with holes are written by its library; blocks of ext2 here are smaller than pages, and seldom begin with one.
    for (kind, lent) in [(Made::Ext4, 7 * MIB), (Made::Ntfs, 5 * MIB), (Made::Ext2, 0)] {
        let (base, now) = (Image::new(kind, 40 * MIB, None), Image::new(kind, 40 * MIB, None));
        std::fs::copy(base.path(), now.path()).unwrap();
        plant(&now, &forest);
        let layer = layer(&base, &now);
        let (changes, read) = put(&base, &layer);
        assert!(read + lent < 10 * MIB, "{kind:?}: {read}");
        base.take(&changes);
        base.judge();
        assert_eq!(comparable(&base), comparable(&now), "{kind:?}");
        assert!(layer.read.load(Ordering::Relaxed) > 8 * MIB, "{kind:?}");
    }
}

#[test]
fn what_is_lent_can_be_written_over_and_the_layer_stays_as_it_is() {
    let (base, now) = (Image::new(Made::Ext4, 40 * MIB, None), Image::new(Made::Ext4, 40 * MIB, None));
    std::fs::copy(base.path(), now.path()).unwrap();
    plant(&now, &forest_of(&[("long", file(1, 4 * MIB as usize, 1))]));
    let layer = layer(&base, &now);
    let kept = std::fs::read(base.folder.path().join("layer")).unwrap();
    let (changes, _) = put(&base, &layer);
    let mut files = Files::open_to_write(&program(), changes.clone(), 0..changes.size()).unwrap();
    let tree = Tree::read(&mut files, go_on()).unwrap();
    let entry = &tree.0[&b"long"[..]];
    let mut expected = content(&mut files, entry, b"");
    let map = files.map(entry.node, b"").unwrap();
    // Inside a page; over pages and their ends.
    for range in [5000..5010, MIB as usize - 3..2 * MIB as usize + 77] {
        expected[range.clone()].fill(9);
        files.write(entry.node, b"", &map, range.start as u64, &vec![9; range.len()]).unwrap();
    }
    files.close().unwrap();
    base.take(&changes);
    base.judge();
    let mut files = base.open();
    let tree = Tree::read(&mut files, go_on()).unwrap();
    assert!(content(&mut files, &tree.0[&b"long"[..]], b"") == expected);
    assert!(std::fs::read(base.folder.path().join("layer")).unwrap() == kept);
}

#[test]
fn a_file_in_blocks_that_lie_apart_is_lent_piece_by_piece() {
    for kind in [Made::Ext4, Made::Ntfs] {
        let (base, now) = (Image::new(kind, 48 * MIB, None), Image::new(kind, 48 * MIB, None));
        let names: Vec<String> = (0..600).map(|number| format!("{number:03}")).collect();
        let all: Vec<(&str, Grown)> = names.iter().map(|name| (&name[..], file(1, 65536, 1))).collect();
        plant(&base, &forest_of(&all));
        base.change(|files| {
            let root = files.root();
            names.iter().step_by(2).for_each(|name| files.remove(root, name.as_bytes()).unwrap());
        });
        std::fs::copy(base.path(), now.path()).unwrap();
        plant(&now, &forest_of(&[("long", file(2, 12 * MIB as usize, 1))]));
        let layer = layer(&base, &now);
        let (changes, read) = put(&base, &layer);
        assert!(read < MIB, "{kind:?}: {read}");
        base.take(&changes);
        base.judge();
        assert_eq!(comparable(&base), comparable(&now), "{kind:?}");
        let mut files = base.open();
        let node = Tree::read(&mut files, go_on()).unwrap().0[&b"long"[..]].node;
        let pieces = files.map(node, b"").unwrap().pieces.len();
        assert!(pieces > 5, "{kind:?}: {pieces}");
    }
}

#[test]
fn a_layer_that_cannot_be_read_where_it_is_lent_is_an_error_of_whoever_reads_it() {
    let (base, now) = (Image::new(Made::Ext4, 40 * MIB, None), Image::new(Made::Ext4, 40 * MIB, None));
    std::fs::copy(base.path(), now.path()).unwrap();
    plant(&now, &forest_of(&[("long", file(1, 4 * MIB as usize, 1))]));
    let layer = layer(&base, &now);
    let (changes, _) = put(&base, &layer);
    *layer.refused.lock().unwrap() = 2 * MIB..2 * MIB + 1;
    let mut files = Files::open(&program(), Arc::new(changes.disk()), 0..changes.size()).unwrap();
    let tree = Tree::read(&mut files, go_on()).unwrap();
    let node = tree.0[&b"long"[..]].node;
    let map = files.map(node, b"").unwrap();
    let mut read = |at: u64| files.read(node, b"", &map, at, &mut [0; 4096]);
    read(MIB).unwrap();
    read(3 * MIB).unwrap();
    let e = read(2 * MIB - 4096).unwrap_err();
    let told = format!("{e} {:?}", std::error::Error::source(&e).map(ToString::to_string));
    assert!(told.contains("not what was kept"), "{told}");
}
