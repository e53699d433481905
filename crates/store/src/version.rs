//! A version's disk, read anywhere by any number of threads. Every block is verified each time it is read.

use std::sync::Arc;

use crate::block;
use crate::digest::{Digest, VersionId};
use crate::error::{Error, ErrorKind, Result};
use crate::index::Location;
use crate::manifest::Manifest;
use crate::map::{self, PAGE_BLOCKS, Page};
use crate::recent::Recent;
use crate::repository::{Repository, VersionInfo};
use crate::{BLOCK, Watch};

/// Pages of the map kept: 2 MiB, the map of 4 GiB of disk.
const PAGES_KEPT: usize = 64;
/// Blocks kept for readers of less than a block: 1 MiB.
const BLOCKS_KEPT: usize = 16;
/// Blocks dealt with in one stroke: 2 MiB of plain bytes.
const STROKE: u64 = 32;

/// A version, open to be read. Cheap to clone; clones share their caches.
#[derive(Clone)]
pub struct Version {
    inner: Arc<Inner>,
}

struct Inner {
    repository: Repository,
    manifest: Manifest,
    pages: Recent<usize, Page>,
    blocks: Recent<u64, Vec<u8>>,
}

/// How a block is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    /// Stored bytes.
    pub length: u32,
    /// Whether they are the 64 KiB themselves; otherwise they are one zstd frame that unpacks to exactly 64 KiB.
    pub raw: bool,
}

impl Version {
    pub(crate) fn new(repository: Repository, manifest: Manifest) -> Self {
        let (pages, blocks) = (Recent::new(PAGES_KEPT), Recent::new(BLOCKS_KEPT));
        Self { inner: Arc::new(Inner { repository, manifest, pages, blocks }) }
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    /// Its name.
    pub fn id(&self) -> VersionId {
        self.manifest().id
    }

    /// The version that it was made from, which may be gone.
    pub fn parent(&self) -> Option<VersionId> {
        self.manifest().parent
    }

    /// Size of its disk in bytes.
    pub fn size(&self) -> u64 {
        self.manifest().size
    }

    /// Digest of its disk: equal for equal disks.
    pub fn digest(&self) -> Digest {
        self.manifest().content()
    }

    /// All that its manifest tells.
    pub fn info(&self) -> VersionInfo {
        VersionInfo::of(self.manifest())
    }

    /// Fills `buf` from `offset`. Holes read as 0. Reading past the size is an error.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|end| *end <= self.size());
        if end.is_none() {
            let text = format!("byte {offset} and {} more are not all in version {}", buf.len(), self.id());
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let stroke_end = (at / BLOCK as u64 + STROKE) * BLOCK as u64;
            let length = rest.len().min((stroke_end - at) as usize);
            let (now, later) = rest.split_at_mut(length);
            self.read_stroke(now, at)?;
            (rest, at) = (later, at + length as u64);
        }
        Ok(())
    }

    /// Reads a few blocks. Frames that lie side by side in a pack are read at once.
    fn read_stroke(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let mut wanted: Vec<(u64, Location, &mut [u8])> = Vec::new();
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let (block, inside) = (at / BLOCK as u64, (at % BLOCK as u64) as usize);
            let length = rest.len().min(BLOCK - inside);
            let (now, later) = rest.split_at_mut(length);
            let digest = self.block_digest(block)?;
            if digest.is_hole() {
                now.fill(0);
            } else if now.len() == BLOCK {
                wanted.push((block, self.locate(block, &digest)?, now));
            } else {
                now.copy_from_slice(&self.plain_block(block, &digest)?[inside..inside + length]);
            }
            (rest, at) = (later, at + length as u64);
        }
        let mut frames = Vec::new();
        for group in wanted.chunk_by_mut(|(_, a, _), (_, b, _)| {
            a.pack == b.pack && a.entry.offset.checked_add(a.entry.length) == Some(b.entry.offset)
        }) {
            self.read_group(group, &mut frames)?;
        }
        Ok(())
    }

    /// Reads blocks whose frames lie side by side.
    fn read_group(&self, group: &mut [(u64, Location, &mut [u8])], frames: &mut Vec<u8>) -> Result<()> {
        let Some((first_block, first, _)) = group.first() else { return Ok(()) };
        let length: usize = group.iter().map(|(_, location, _)| location.entry.length as usize).sum();
        frames.resize(length, 0);
        let repository = &self.inner.repository.inner;
        // What cannot be read so is read block by block, which looks twice.
        let there = match repository.read_pack(first.pack, u64::from(first.entry.offset), frames) {
            Err(e) if e.kind() != ErrorKind::Damaged => return Err(self.at_block(*first_block, e)),
            read => matches!(read, Ok(Some(()))),
        };
        let mut frame = frames.as_slice();
        for (block, location, plain) in group {
            if !there {
                self.read_block(*block, &location.entry.digest, plain)?;
                continue;
            }
            let (now, later) = frame.split_at(location.entry.length as usize);
            if block::unpack(location, now, plain).is_err() {
                self.read_block(*block, &location.entry.digest, plain)?;
            }
            frame = later;
        }
        Ok(())
    }

    fn read_block(&self, block: u64, digest: &Digest, plain: &mut [u8]) -> Result<()> {
        self.inner.repository.inner.read(digest, plain).map_err(|e| self.at_block(block, e))
    }

    /// A whole block, kept for the next reader of a part of it.
    fn plain_block(&self, block: u64, digest: &Digest) -> Result<Arc<Vec<u8>>> {
        if let Some(plain) = self.inner.blocks.get(&block) {
            return Ok(plain);
        }
        let mut plain = vec![0; BLOCK];
        self.read_block(block, digest, &mut plain)?;
        let plain = Arc::new(plain);
        self.inner.blocks.put(block, plain.clone());
        Ok(plain)
    }

    /// How far from `offset` (`offset < size`) on it goes on alike, and whether there is data (`true`) or a hole.
    /// Neighbouring blocks are joined; a stretch of data ends at the latest where its map page does (64 MiB).
    pub fn extent_at(&self, offset: u64) -> Result<(u64, bool)> {
        if offset >= self.size() {
            let text = format!("byte {offset} is not in version {}", self.id());
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        let (mut page, mut slot) = self.place_of(offset / BLOCK as u64);
        let data = !self.page(page)?.0[slot].is_hole();
        let end = loop {
            if !data && slot == 0 && self.manifest().pages[page].is_hole() {
                page += 1;
            } else {
                let blocks = self.page(page)?;
                let alike = blocks.0[slot..].iter().take_while(|digest| digest.is_hole() != data).count();
                slot += alike;
                if data || slot < PAGE_BLOCKS {
                    break page * PAGE_BLOCKS + slot;
                }
                (page, slot) = (page + 1, 0);
            }
            if page == self.manifest().pages.len() {
                break page * PAGE_BLOCKS;
            }
        };
        let end = (end as u64 * BLOCK as u64).min(self.size());
        Ok((end - offset, data))
    }

    /// How far from `offset` (`offset < size`) on this disk is as `other`'s or is not, and which (`true`: it differs).
    /// Only maps are read. `other` counts as followed by a hole where it is smaller.
    pub fn differs_at(&self, other: &Self, offset: u64) -> Result<(u64, bool)> {
        if offset >= self.size() {
            let text = format!("byte {offset} is not in version {}", self.id());
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        let (mut page, mut slot) = self.place_of(offset / BLOCK as u64);
        let pages = self.manifest().pages.len();
        let mut known = None;
        while page < pages {
            let theirs = other.manifest().pages.get(page).copied().unwrap_or(Digest::HOLE);
            let same_page = self.manifest().pages[page] == theirs;
            let (mine, yours) = if same_page {
                (None, None)
            } else {
                (Some(self.page(page)?), (page < other.manifest().pages.len()).then(|| other.page(page)))
            };
            let yours = yours.transpose()?;
            while slot < PAGE_BLOCKS {
                let differs = mine.as_ref().is_some_and(|mine| {
                    let yours = yours.as_ref().map_or(Digest::HOLE, |yours| yours.0[slot]);
                    mine.0[slot] != yours
                });
                if *known.get_or_insert(differs) != differs {
                    let end = ((page * PAGE_BLOCKS + slot) as u64 * BLOCK as u64).min(self.size());
                    return Ok((end - offset, !differs));
                }
                slot = if same_page { PAGE_BLOCKS } else { slot + 1 };
            }
            (page, slot) = (page + 1, 0);
        }
        Ok((self.size() - offset, known.unwrap_or(false)))
    }

    /// How block number `block` is stored; `None` for a hole.
    pub fn frame(&self, block: u64) -> Result<Option<FrameInfo>> {
        let digest = self.checked_block(block)?;
        if digest.is_hole() {
            return Ok(None);
        }
        let entry = self.locate(block, &digest)?.entry;
        Ok(Some(FrameInfo { length: entry.length, raw: entry.coding.is_raw() }))
    }

    /// The stored bytes of block number `block` into `frame`, verified against their own sum without unpacking;
    /// `None` for a hole.
    pub fn read_frame(&self, block: u64, frame: &mut Vec<u8>) -> Result<Option<FrameInfo>> {
        let digest = self.checked_block(block)?;
        if digest.is_hole() {
            frame.clear();
            return Ok(None);
        }
        let mut location = self.locate(block, &digest)?;
        let repository = &self.inner.repository.inner;
        repository.read_frame(&mut location, frame).map_err(|e| self.at_block(block, e))?;
        let Location { pack, entry } = location;
        if !entry.matches(frame) {
            let what =
                format!("{digest} at byte {} of pack {pack} is damaged: its frame was altered", entry.offset);
            return Err(self.at_block(block, Error::damaged(what)));
        }
        Ok(Some(FrameInfo { length: entry.length, raw: entry.coding.is_raw() }))
    }

    /// Reads and verifies everything. `watch` is told bytes of the disk; the first damage ends it.
    pub fn verify(&self, watch: Watch) -> Result<()> {
        let mut buf = vec![0; BLOCK * STROKE as usize];
        let mut at = 0;
        while at < self.size() {
            let (length, data) = self.extent_at(at)?;
            let length = if data { length.min(buf.len() as u64) } else { length };
            if data {
                self.read_at(&mut buf[..length as usize], at)?;
            }
            at += length;
            if watch(length).is_break() {
                return Err(Error::stopped());
            }
        }
        Ok(())
    }

    fn place_of(&self, block: u64) -> (usize, usize) {
        ((block / PAGE_BLOCKS as u64) as usize, (block % PAGE_BLOCKS as u64) as usize)
    }

    fn checked_block(&self, block: u64) -> Result<Digest> {
        if block >= map::block_count(self.size()) {
            let text = format!("version {} has no block {block}", self.id());
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        self.block_digest(block)
    }

    fn block_digest(&self, block: u64) -> Result<Digest> {
        let (page, slot) = self.place_of(block);
        if self.manifest().pages[page].is_hole() {
            return Ok(Digest::HOLE);
        }
        Ok(self.page(page)?.0[slot])
    }

    /// A page of the map.
    pub(crate) fn page(&self, number: usize) -> Result<Arc<Page>> {
        if let Some(page) = self.inner.pages.get(&number) {
            return Ok(page);
        }
        let digest = &self.manifest().pages[number];
        let page = self.inner.repository.inner.read_page(digest).map_err(|e| {
            let from = (number * PAGE_BLOCKS * BLOCK) as u64;
            let text =
                format!("the map of version {} cannot be read from byte {from} of its disk on", self.id());
            Error::new(e.kind(), text).with_source(e)
        })?;
        let page = Arc::new(page);
        self.inner.pages.put(number, page.clone());
        Ok(page)
    }

    fn locate(&self, block: u64, digest: &Digest) -> Result<Location> {
        self.inner.repository.inner.locate(digest).map_err(|e| self.at_block(block, e))
    }

    fn at_block(&self, block: u64, cause: Error) -> Error {
        let offset = block * BLOCK as u64;
        let text = format!("version {} cannot be read at byte {offset} of its disk", self.id());
        Error::new(cause.kind(), text).with_source(cause)
    }
}
