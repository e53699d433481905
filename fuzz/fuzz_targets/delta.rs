//! A delta from a repository that others could write to: its index, and reading what it points to.
//! Errors are fine; panics are bugs. Memory stays bounded, whatever the index claims.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use shale_disk::Memory;
use shale_volume::apply::Contents;
use shale_volume::delta::Change;
use shale_volume::files::{Attributes, Entry, Facts, Kind, Stream};
use shale_volume::plan::plan;
use shale_volume::stored::Stored;
use shale_volume::tree::Tree;

fuzz_target!(|index: &[u8]| {
    // Behind a right header: no fuzzer guesses a digest.
    let mut bytes = b"SHALEDLT\x01\0\0\0".to_vec();
    bytes.extend((1 + index.len() as u32 % 3).to_le_bytes());
    bytes.extend(8192u64.to_le_bytes());
    bytes.extend((index.len() as u64).to_le_bytes());
    bytes.extend(blake3::hash(index).as_bytes());
    bytes.resize(8192, 7);
    bytes.extend(index);
    let Ok((delta, mut stored)) = Stored::open(Arc::new(Memory(bytes))) else { return };
    for change in delta.changes.values() {
        let Change::Put(item) = change else { continue };
        for content in item.contents().filter(|content| content.length() > 0) {
            let _ = stored.read(content, content.length() - 1, &mut [0; 1]);
        }
    }
    plan(&[&delta, &delta], &Tree::default());
    plan(&[&delta, &delta], &tree());
});

/// A folder with two files, which a delta may move.
fn tree() -> Tree {
    let entry = |node, kind| Entry {
        node,
        kind,
        facts: Facts::default(),
        links: 1,
        attributes: Attributes::new(),
        streams: vec![Stream { name: Vec::new(), size: 1 }],
    };
    let paths = [&b""[..], b"a", b"a/b", b"a/c"];
    let kinds = [Kind::Folder, Kind::Folder, Kind::File, Kind::File];
    Tree(
        (1..)
            .zip(paths.into_iter().zip(kinds))
            .map(|(node, (path, kind))| (path.to_vec(), entry(node, kind)))
            .collect(),
    )
}
