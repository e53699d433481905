//! Disks for tests: random images, and random changes on them.
#![allow(dead_code)]

use std::ops::{ControlFlow, Range};
use std::path::Path;

use proptest::prelude::*;
use shale_store::{BLOCK, NewVersion, Source, SourceError, VersionId, Watch, What};

/// A disk in memory, all of it data.
#[derive(Clone)]
pub struct Image {
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes, {}", self.bytes.len(), blake3::hash(&self.bytes))
    }
}

impl Image {
    /// Bytes that do not compress; the same for the same seed.
    pub fn noise(length: usize, seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        Self { bytes: (0..length).map(|_| next()).collect() }
    }

    /// Bytes that compress to about a half.
    pub fn text(length: usize, seed: u64) -> Self {
        let mut image = Self::noise(length, seed);
        image.bytes.iter_mut().for_each(|byte| *byte &= 0x0f);
        image
    }
}

impl Source for Image {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn extent_at(&self, offset: u64) -> Result<(u64, What), SourceError> {
        Ok((self.size() - offset, What::Data))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
        buf.copy_from_slice(&self.bytes[offset as usize..][..buf.len()]);
        Ok(())
    }
}

/// One change of a disk.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where, as a share of the disk.
    pub at: f64,
    pub length: usize,
    /// Written bytes, or discarded.
    pub fill: Option<u8>,
}

/// A disk that is another one with changes: what did not change is told as `Parent`.
pub struct Changed {
    pub bytes: Vec<u8>,
    extents: Vec<(Range<usize>, What)>,
}

impl Changed {
    pub fn new(parent: &Image, changes: &[Change], grown: usize) -> Self {
        let mut bytes = parent.bytes.clone();
        bytes.resize(bytes.len() + grown, 0);
        let mut kinds = vec![What::Parent; bytes.len()];
        for change in changes {
            let begin = (change.at * bytes.len() as f64) as usize;
            let end = (begin + change.length).min(bytes.len());
            bytes[begin..end].fill(change.fill.unwrap_or(0));
            kinds[begin..end].fill(if change.fill.is_some() { What::Data } else { What::Zero });
        }
        let mut extents: Vec<(Range<usize>, What)> = Vec::new();
        for (at, kind) in kinds.into_iter().enumerate() {
            match extents.last_mut() {
                Some((range, last)) if *last == kind => range.end = at + 1,
                _ => extents.push((at..at + 1, kind)),
            }
        }
        Self { bytes, extents }
    }

    /// How many blocks have a changed byte.
    pub fn changed_blocks(&self) -> u64 {
        let changed = self.extents.iter().filter(|(_, what)| *what != What::Parent);
        let blocks = changed.flat_map(|(range, _)| range.start / BLOCK..range.end.div_ceil(BLOCK));
        blocks.collect::<std::collections::HashSet<_>>().len() as u64
    }
}

impl Source for Changed {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn extent_at(&self, offset: u64) -> Result<(u64, What), SourceError> {
        let offset = offset as usize;
        let at = self.extents.partition_point(|(range, _)| range.end <= offset);
        let (range, what) = &self.extents[at];
        Ok(((range.end - offset) as u64, *what))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
        buf.copy_from_slice(&self.bytes[offset as usize..][..buf.len()]);
        Ok(())
    }
}

/// A disk of up to `limit` bytes: stretches of zeros, noise, text and repeats.
pub fn image(limit: usize) -> impl Strategy<Value = Image> {
    let stretch = (0u8..4, 1usize..5 * BLOCK, 0u64..4);
    (prop::collection::vec(stretch, 1..12), 1..limit).prop_map(|(stretches, size)| {
        let mut bytes = Vec::new();
        for (kind, length, seed) in stretches {
            match kind {
                0 => bytes.resize(bytes.len() + length, 0),
                1 => bytes.extend(Image::noise(length, seed).bytes),
                2 => bytes.extend(Image::text(length, seed).bytes),
                _ => bytes.resize(bytes.len() + length.next_multiple_of(BLOCK), seed as u8),
            }
        }
        bytes.resize(size, 0);
        Image { bytes }
    })
}

/// Some writes and discards.
pub fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = (0.0..1.0f64, 1usize..3 * BLOCK, prop::option::of(any::<u8>()));
    let change = change.prop_map(|(at, length, fill)| Change { at, length, fill });
    prop::collection::vec(change, 0..8)
}

/// Ids 1, 2, 3, …
#[derive(Default)]
pub struct VersionIds(u8);

impl VersionIds {
    pub fn next(&mut self) -> VersionId {
        self.0 += 1;
        VersionId([self.0; 16])
    }
}

pub fn new_version(
    id: VersionId,
    parent: Option<VersionId>,
    source: &dyn Source,
    threads: usize,
) -> NewVersion {
    NewVersion { id, parent, size: source.size(), created: "2026-01-02T03:04:05Z".into(), threads }
}

pub fn keep_going() -> Watch<'static> {
    &|_| ControlFlow::Continue(())
}

/// All files of a repository that hold or name content.
pub fn files(repository: &Path) -> Vec<std::path::PathBuf> {
    let folders = ["packs", "index", "versions", "tmp", "locks"];
    let mut files = Vec::new();
    for folder in folders {
        let entries = std::fs::read_dir(repository.join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files
}

pub fn assert_nothing_left(repository: &Path) {
    assert_eq!(files(repository), Vec::<std::path::PathBuf>::new());
}

/// The only pack of a repository.
pub fn only_pack(repository: &Path) -> std::path::PathBuf {
    let packs: Vec<_> =
        files(repository).into_iter().filter(|p| p.extension() == Some("pack".as_ref())).collect();
    assert_eq!(packs.len(), 1);
    packs[0].clone()
}

pub fn read_all(version: &shale_store::Version) -> Vec<u8> {
    let mut bytes = vec![0xee; version.size() as usize];
    version.read_at(&mut bytes, 0).expect("it reads");
    bytes
}
