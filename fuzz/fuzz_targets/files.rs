//! ext4 and NTFS with their metadata overwritten here and there, read and written through the program that knows them.
//! Errors are fine, and so is that program's end; panics are bugs.
//! Needs `cargo build --release -p shale-volume`, mke2fs and mkntfs.
#![no_main]

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use shale_disk::{Disk, Memory, Result};
use shale_volume::changes::Changes;
use shale_volume::files::{Attributes, Files, Filling, Kind, Making, Program};
use shale_volume::tree::Tree;

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/shale-files");
/// Metadata of these images lies here.
const METADATA: usize = 128 << 10;
const PATIENCE: Duration = Duration::from_secs(2);

static IMAGES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();

/// A small ext4 and a small NTFS, each with some files.
fn images() -> &'static [Vec<u8>; 2] {
    IMAGES.get_or_init(|| {
        let tools: [&[&str]; 2] = [
            &["mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-O", "^metadata_csum"],
            &["mkntfs", "-q", "-F", "-Q"],
        ];
        tools.map(|tool| {
            let path = std::env::temp_dir().join(format!("shale-fuzz-{}-{}", tool[0], std::process::id()));
            std::fs::write(&path, vec![0; 2 << 20]).expect("room for an image");
            let status = Command::new(tool[0]).args(&tool[1..]).arg(&path).status();
            assert!(status.expect("the tool").success());
            let image = std::fs::read(&path).expect("the image");
            std::fs::remove_file(&path).expect("the image");
            let changes = Arc::new(changes(image.clone()));
            write(&changes, b"a").expect("an undamaged image can be written");
            let mut image = image;
            changes.disk().read_at(&mut image, 0).expect("the image");
            image
        })
    })
}

fn changes(image: Vec<u8>) -> Changes {
    Changes::new(Arc::new(Memory(image)), Path::new("/tmp")).expect("room for changes")
}

/// Reads all there is, removes some of it, and makes a folder and a file.
fn write(changes: &Arc<Changes>, name: &[u8]) -> Result<()> {
    let program = Program::at(PROGRAM).with_patience(PATIENCE);
    let mut files = Files::open_to_write(&program, changes.clone(), 0..changes.size())?;
    let tree = Tree::read(&mut files, &|_| std::ops::ControlFlow::Continue(()))?;
    for (path, entry) in &tree.0 {
        for stream in &entry.streams {
            let map = files.map(entry.node, &stream.name)?;
            let mut buffer = vec![0; map.size.min(64 << 10) as usize];
            files.read(entry.node, &stream.name, &map, 0, &mut buffer)?;
        }
        if entry.kind != Kind::Folder && !path.contains(&b'/') {
            files.remove(files.root(), path)?;
        }
    }
    let parent = files.make(Making { parent: files.root(), name, kind: &Kind::Folder })?;
    let node = files.make(Making { parent, name: b"file", kind: &Kind::File })?;
    let whole = 0..20_000;
    let content = &mut |_: u64, _: &mut [u8]| Ok(());
    let ranges = std::slice::from_ref(&whole);
    files.fill(node, b"", Filling { size: whole.end, ranges, compressed: false, content })?;
    let facts = tree.0.values().next().map(|entry| entry.facts).unwrap_or_default();
    files.describe(node, parent, &facts, &Attributes::new())?;
    files.close()
}

fuzz_target!(|data: &[u8]| {
    // Which image; then where, how many bytes, and these.
    let Some((which, mut patches)) = data.split_first() else { return };
    let mut image = images()[usize::from(which % 2)].clone();
    while let Some((head, rest)) = patches.split_first_chunk::<4>() {
        let place = u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize % METADATA;
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(head[3])));
        image[place..place + bytes.len()].copy_from_slice(bytes);
        patches = rest;
    }
    let _ = write(&Arc::new(changes(image)), b"b");
});
