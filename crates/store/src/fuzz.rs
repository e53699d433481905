//! Doors to the parsers for the fuzz targets. Digests are put right first: without that no fuzzer gets past them.

use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::{index, pack};

/// A manifest. One that is accepted is written back the same.
pub fn manifest(data: &[u8]) {
    let mut bytes = data.to_vec();
    bytes.extend_from_slice(&Digest::of(data).0);
    if let Ok(manifest) = Manifest::decode(&bytes) {
        assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
    }
}

/// The end of a pack: footer and directory.
pub fn pack(data: &[u8]) {
    let Some((footer, directory)) = data.split_first_chunk::<64>() else { return };
    let id = Digest(pack::array_at(footer, 0));
    if let Ok((offset, count)) = pack::parse_footer(footer, id, data.len() as u64) {
        assert!(offset as usize + count * pack::ENTRY <= data.len());
    }
    let end = 1 << 20;
    for entry in pack::parse_directory(directory, Digest::of(directory), end).unwrap_or_default() {
        assert!(u64::from(entry.offset) + u64::from(entry.length) <= end);
    }
}

/// The head of an index.
pub fn index(data: &[u8]) {
    let Some((fixed, rest)) = data.split_first_chunk::<96>() else { return };
    let Ok(tables) = index::head_length(fixed, data.len() as u64) else { return };
    let tables = &rest[..tables];
    let mut fixed = *fixed;
    let digest = blake3::Hasher::new().update(&fixed[..64]).update(tables).finalize();
    fixed[64..].copy_from_slice(digest.as_bytes());
    let _ = index::parse_head(&fixed, tables);
}
