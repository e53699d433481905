//! The index: digest → where it lies. Derived from the packs' directories, looked up in the file, never loaded.
//!
//! ```text
//!   0     magic "SHALEIDX", u32 format, u32 packs P, u64 entries N, u32 fan-out bits F, u32 zero
//!   32    BLAKE3 of the entries
//!   64    BLAKE3 of bytes 0–63, the pack table and the fan-out
//!   96    pack table: P × (digest 32, u64 length of the file)
//!   …     fan-out: (2^F + 1) × u32: how many entries have a digest that begins below i
//!   …     N × 52: a pack's entry (48) and the number of its pack in the table (u32), sorted by digest
//! ```
//!
//! A lookup is one read of about 16 entries. A save adds one file for the packs it made; files of like size are
//! merged, so that there are few. A file that is missing or damaged only costs the time to read the packs'
//! directories again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::pack::{self, Entry, array_at, u32_at, u64_at};
use crate::place::{self, Place};

const FORMAT: u32 = 1;
const MAGIC: &[u8; 8] = b"SHALEIDX";
const HEAD: usize = 96;
const PACK: usize = 40;
const ENTRY: usize = pack::ENTRY + 4;
/// Entries per bucket of the fan-out, about: one read of 832 bytes.
const BUCKET: u64 = 16;
const FAN_OUT_LIMIT: u32 = 20;
const PACKS_LIMIT: u32 = 1 << 20;
/// How many files may lie side by side before those of like size are merged.
const FILES_LIMIT: usize = 6;
/// Entries read at once while files are merged.
const MERGE_READ: usize = 4096;

/// A pack that an index file covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackRef {
    pub id: Digest,
    pub length: u64,
}

/// Where a frame lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Location {
    pub pack: Digest,
    pub entry: Entry,
}

/// One open index file.
struct IndexFile {
    path: PathBuf,
    file: File,
    head: Head,
    /// Which packs of the table are there, with the length they should have.
    present: Vec<bool>,
}

/// What precedes the entries.
#[derive(Debug)]
pub(crate) struct Head {
    packs: Vec<PackRef>,
    fan_out: Vec<u32>,
    bits: u32,
    entries: u64,
    entries_digest: Digest,
}

/// All index files as they were when it was loaded.
pub(crate) struct Index {
    files: Vec<IndexFile>,
    /// Packs that no file covers: saved by a process that died, or their index was lost.
    pub uncovered: Vec<PackRef>,
    /// Files that are no good, and why.
    pub damaged: Vec<(PathBuf, String)>,
}

impl Index {
    /// Opens all index files. With `thorough`, their entries are verified too.
    pub fn load(place: &Place, thorough: bool) -> Result<Self> {
        let packs = list_packs(place)?;
        let mut index = Self { files: Vec::new(), uncovered: Vec::new(), damaged: Vec::new() };
        for (name, length) in place.list(place::INDEX, "idx")? {
            let path = place.path(place::INDEX, &format!("{name}.idx"));
            match IndexFile::open(path.clone(), length, &packs) {
                Ok(file) if !thorough => index.files.push(file),
                Ok(file) => match file.verify() {
                    Ok(()) => index.files.push(file),
                    Err(e) => index.damaged.push((path, e.to_string())),
                },
                // Merged away by another process since it was listed.
                Err(_) if !path.exists() => {}
                Err(e) => index.damaged.push((path, e.to_string())),
            }
        }
        index.files.sort_by_key(|file| std::cmp::Reverse(file.head.entries));
        let covered: HashSet<Digest> = index.covered().map(|pack| pack.id).collect();
        let uncovered = packs.iter().filter(|(id, _)| !covered.contains(id));
        index.uncovered = uncovered.map(|(id, length)| PackRef { id: *id, length: *length }).collect();
        Ok(index)
    }

    /// Every pack that some file covers, there or not; may repeat.
    pub fn covered(&self) -> impl Iterator<Item = PackRef> + '_ {
        self.files.iter().flat_map(|file| file.head.packs.iter().copied())
    }

    /// Where the content with this digest lies, in a pack that is there.
    pub fn find(&self, digest: &Digest) -> Result<Option<Location>> {
        for file in &self.files {
            if let Some(location) = file.find(digest)? {
                return Ok(Some(location));
            }
        }
        Ok(None)
    }

    /// Every entry of the packs for which `wanted` is true, in the order of the files.
    pub fn each_entry(
        &self,
        wanted: impl Fn(Digest) -> bool,
        mut visit: impl FnMut(Location) -> Result<()>,
    ) -> Result<()> {
        for file in &self.files {
            if !file.head.packs.iter().any(|pack| wanted(pack.id)) {
                continue;
            }
            let mut cursor = Cursor::new(file);
            while let Some((entry, pack)) = cursor.next()? {
                let pack = file.head.packs[pack as usize].id;
                if wanted(pack) {
                    visit(Location { pack, entry })?;
                }
            }
        }
        Ok(())
    }

    /// Writes index files for the uncovered packs, merges where there are many, and loads the result. Packs whose
    /// directory is damaged stay uncovered. With `dropped`, all becomes one file that does not know these packs.
    pub fn cover(self, place: &Place, lock: &Lock, dropped: Option<&BTreeSet<Digest>>) -> Result<Self> {
        let mut fresh: BTreeMap<Digest, Vec<Entry>> = BTreeMap::new();
        let mut lengths = BTreeMap::new();
        for pack in self.uncovered.iter().filter(|pack| dropped.is_none_or(|d| !d.contains(&pack.id))) {
            let Ok(file) = File::open(pack::path(place, pack.id)) else { continue };
            if let Ok(entries) = pack::read_directory(&file, pack.id, pack.length) {
                fresh.insert(pack.id, entries);
                lengths.insert(pack.id, pack.length);
            }
        }
        let added: u64 = fresh.values().map(|entries| entries.len() as u64).sum();
        let merged = self.files_to_merge(added, dropped.is_some());
        if fresh.is_empty() && merged.is_empty() {
            return Ok(self);
        }
        let mut sources: Vec<Source> = merged.iter().map(|file| Source::file(file, dropped)).collect();
        for (id, entries) in fresh {
            sources.push(Source::fresh(PackRef { id, length: lengths[&id] }, entries));
        }
        let written = write(place, lock, sources)?;
        for file in merged {
            if Some(&file.path) != written.as_ref() {
                place.remove(&file.path)?;
            }
        }
        Self::load(place, false)
    }

    /// Like sizes merge: the cost of an entry's moves grows with the logarithm of their number.
    fn files_to_merge(&self, added: u64, all: bool) -> Vec<&IndexFile> {
        if all {
            return self.files.iter().collect();
        }
        let mut total = added;
        let mut merged = Vec::new();
        for file in self.files.iter().rev() {
            let many = self.files.len() - merged.len() >= FILES_LIMIT;
            if file.head.entries > total.saturating_mul(2) && !many || added == 0 {
                break;
            }
            total += file.head.entries;
            merged.push(file);
        }
        merged
    }
}

/// The packs in the folder, by name, with the lengths of their files.
pub(crate) fn list_packs(place: &Place) -> Result<BTreeMap<Digest, u64>> {
    let names = place.list(place::PACKS, "pack")?;
    Ok(names.iter().filter_map(|(name, length)| Some((name.parse().ok()?, *length))).collect())
}

impl IndexFile {
    fn open(path: PathBuf, length: u64, packs: &BTreeMap<Digest, u64>) -> Result<Self> {
        let io = |e| Error::io(format!("cannot read the index {}", path.display()), e);
        let bad = |what: &str| Error::damaged(format!("the index {} is damaged: {what}", path.display()));
        let file = File::open(&path).map_err(io)?;
        let mut fixed = [0; HEAD];
        if length < HEAD as u64 {
            return Err(bad("it is too short (truncated)"));
        }
        file.read_exact_at(&mut fixed, 0).map_err(io)?;
        let tables = head_length(&fixed, length).map_err(bad)?;
        let mut bytes = vec![0; tables];
        file.read_exact_at(&mut bytes, HEAD as u64).map_err(io)?;
        let head = parse_head(&fixed, &bytes).map_err(bad)?;
        let present = head.packs.iter().map(|pack| packs.get(&pack.id) == Some(&pack.length)).collect();
        Ok(Self { path, file, head, present })
    }

    fn entries_at(&self) -> u64 {
        (HEAD + self.head.packs.len() * PACK + self.head.fan_out.len() * 4) as u64
    }

    fn find(&self, digest: &Digest) -> Result<Option<Location>> {
        let bucket = bucket(digest, self.head.bits);
        let (mut low, high) = (self.head.fan_out[bucket], self.head.fan_out[bucket + 1]);
        let mut buf = [0; 64 * ENTRY];
        while low < high {
            let count = (high - low).min(64) as usize;
            let bytes = &mut buf[..count * ENTRY];
            self.file
                .read_exact_at(bytes, self.entries_at() + u64::from(low) * ENTRY as u64)
                .map_err(|e| Error::io(format!("cannot read the index {}", self.path.display()), e))?;
            for bytes in bytes.as_chunks::<ENTRY>().0.iter().filter(|bytes| bytes[..32] == digest.0) {
                let pack = u32_at(bytes, pack::ENTRY) as usize;
                let entry = Entry::decode(&array_at(bytes, 0));
                if let (Some(entry), Some(true)) = (entry, self.present.get(pack)) {
                    return Ok(Some(Location { pack: self.head.packs[pack].id, entry }));
                }
            }
            low += count as u32;
        }
        Ok(None)
    }

    /// Whether the entries are what was written.
    fn verify(&self) -> Result<()> {
        let mut cursor = Cursor::new(self);
        while cursor.next()?.is_some() {}
        if cursor.digest() == self.head.entries_digest {
            return Ok(());
        }
        Err(Error::damaged(format!("the index {} is damaged: its entries were altered", self.path.display())))
    }
}

/// How many bytes of tables follow the fixed head of an index file that is `length` bytes long.
pub(crate) fn head_length(fixed: &[u8; HEAD], length: u64) -> std::result::Result<usize, &'static str> {
    if &fixed[..8] != MAGIC {
        return Err("it does not begin like an index");
    }
    if u32_at(fixed, 8) != FORMAT {
        return Err("its format is not one that this version of Shale reads");
    }
    let (packs, entries, bits) = (u32_at(fixed, 12), u64_at(fixed, 16), u32_at(fixed, 24));
    if packs > PACKS_LIMIT || bits > FAN_OUT_LIMIT || entries > u64::from(u32::MAX) {
        return Err("its head claims more than an index can hold");
    }
    let tables = packs as usize * PACK + ((1 << bits) + 1) * 4;
    if HEAD as u64 + tables as u64 + entries * ENTRY as u64 != length {
        return Err("its length does not fit its head (truncated)");
    }
    Ok(tables)
}

/// Parses the head from its fixed part and the tables whose length [`head_length`] told.
pub(crate) fn parse_head(fixed: &[u8; HEAD], tables: &[u8]) -> std::result::Result<Head, &'static str> {
    let digest = blake3::Hasher::new().update(&fixed[..64]).update(tables).finalize();
    if digest.as_bytes()[..] != fixed[64..] {
        return Err("its head was altered");
    }
    let packs = u32_at(fixed, 12) as usize * PACK;
    let (packs, fan_out) = tables.split_at_checked(packs).ok_or("its head is too short")?;
    let pack = |bytes: &[u8; PACK]| PackRef { id: Digest(array_at(bytes, 0)), length: u64_at(bytes, 32) };
    let head = Head {
        packs: packs.as_chunks::<PACK>().0.iter().map(pack).collect(),
        fan_out: fan_out.as_chunks::<4>().0.iter().map(|n| u32::from_le_bytes(*n)).collect(),
        bits: u32_at(fixed, 24),
        entries: u64_at(fixed, 16),
        entries_digest: Digest(array_at(fixed, 32)),
    };
    let whole = head.fan_out.len() == (1 << head.bits) + 1;
    if !whole || !head.fan_out.is_sorted() || head.fan_out.last().map(|n| u64::from(*n)) != Some(head.entries)
    {
        return Err("its fan-out does not fit its entries");
    }
    Ok(head)
}

/// Which bucket of a fan-out with `bits` a digest falls into.
fn bucket(digest: &Digest, bits: u32) -> usize {
    (u64::from(u32::from_be_bytes(array_at(&digest.0, 0))) << bits >> 32) as usize
}

/// Reads the entries of a file in order.
struct Cursor<'a> {
    file: &'a IndexFile,
    next: u64,
    buffer: Vec<u8>,
    used: usize,
    hasher: blake3::Hasher,
}

impl<'a> Cursor<'a> {
    fn new(file: &'a IndexFile) -> Self {
        Self { file, next: 0, buffer: Vec::new(), used: 0, hasher: blake3::Hasher::new() }
    }

    fn next(&mut self) -> Result<Option<(Entry, u32)>> {
        if self.used == self.buffer.len() {
            let count = (self.file.head.entries - self.next).min(MERGE_READ as u64);
            if count == 0 {
                return Ok(None);
            }
            self.buffer.resize(count as usize * ENTRY, 0);
            let offset = self.file.entries_at() + self.next * ENTRY as u64;
            let path = &self.file.path;
            let context = |e| Error::io(format!("cannot read the index {}", path.display()), e);
            self.file.file.read_exact_at(&mut self.buffer, offset).map_err(context)?;
            self.hasher.update(&self.buffer);
            (self.next, self.used) = (self.next + count, 0);
        }
        let bytes: [u8; ENTRY] = array_at(&self.buffer, self.used);
        self.used += ENTRY;
        let pack = u32_at(&bytes, pack::ENTRY);
        match Entry::decode(&array_at(&bytes, 0)) {
            Some(entry) if (pack as usize) < self.file.head.packs.len() => Ok(Some((entry, pack))),
            _ => Err(Error::damaged(format!(
                "the index {} is damaged: an entry has an unknown kind",
                self.file.path.display()
            ))),
        }
    }

    fn digest(&self) -> Digest {
        Digest(*self.hasher.finalize().as_bytes())
    }
}

/// Sorted entries that go into a new file.
enum Source<'a> {
    File { packs: Vec<Option<PackRef>>, cursor: Box<Cursor<'a>> },
    Fresh { pack: PackRef, entries: std::vec::IntoIter<Entry> },
}

impl<'a> Source<'a> {
    /// The entries of a file, but for those of `dropped` packs. A pack that is missing stays known: a check tells
    /// by it what was lost.
    fn file(file: &'a IndexFile, dropped: Option<&BTreeSet<Digest>>) -> Self {
        let keep = |pack: &PackRef| dropped.is_none_or(|d| !d.contains(&pack.id)).then_some(*pack);
        let packs = file.head.packs.iter().map(keep).collect();
        Self::File { packs, cursor: Box::new(Cursor::new(file)) }
    }

    fn fresh(pack: PackRef, entries: Vec<Entry>) -> Self {
        Self::Fresh { pack, entries: entries.into_iter() }
    }

    fn packs(&self) -> Vec<PackRef> {
        match self {
            Self::File { packs, .. } => packs.iter().flatten().copied().collect(),
            Self::Fresh { pack, .. } => vec![*pack],
        }
    }

    fn next(&mut self) -> Result<Option<(Entry, Digest)>> {
        match self {
            Self::Fresh { pack, entries } => Ok(entries.next().map(|entry| (entry, pack.id))),
            Self::File { packs, cursor } => {
                while let Some((entry, pack)) = cursor.next()? {
                    if let Some(pack) = packs[pack as usize] {
                        return Ok(Some((entry, pack.id)));
                    }
                }
                Ok(None)
            }
        }
    }
}

/// Merges sorted sources into one file, which gets the digest of its head as its name. Nothing at all: no file.
fn write(place: &Place, lock: &Lock, mut sources: Vec<Source>) -> Result<Option<PathBuf>> {
    let packs: BTreeMap<Digest, u64> =
        sources.iter().flat_map(Source::packs).map(|pack| (pack.id, pack.length)).collect();
    if packs.is_empty() {
        return Ok(None);
    }
    let numbers: BTreeMap<Digest, u32> = packs.keys().copied().zip(0..).collect();
    // An upper bound: what two files both cover is written once.
    let bound: u64 = sources
        .iter()
        .map(|source| match source {
            Source::File { cursor, .. } => cursor.file.head.entries,
            Source::Fresh { entries, .. } => entries.len() as u64,
        })
        .sum();
    let bits = (bound / BUCKET).max(1).ilog2().min(FAN_OUT_LIMIT);
    let mut fan_out = vec![0u32; (1 << bits) + 1];
    let entries_at = HEAD + packs.len() * PACK + fan_out.len() * 4;

    let mut temp = place.temp(lock)?;
    temp.append(&vec![0; entries_at])?;
    let (mut hasher, mut buffer, mut count) = (blake3::Hasher::new(), Vec::new(), 0u64);
    let mut heads = sources.iter_mut().map(Source::next).collect::<Result<Vec<_>>>()?;
    let mut last = None;
    loop {
        let first =
            heads.iter().enumerate().filter_map(|(i, head)| head.map(|(e, pack)| ((e.digest, pack), i)));
        let Some((_, i)) = first.min() else { break };
        let Some((entry, pack)) = heads[i] else { break };
        heads[i] = sources[i].next()?;
        if last == Some((entry.digest, pack)) {
            continue;
        }
        last = Some((entry.digest, pack));
        buffer.extend_from_slice(&entry.encode());
        buffer.extend_from_slice(&numbers[&pack].to_le_bytes());
        fan_out[bucket(&entry.digest, bits) + 1] += 1;
        count += 1;
        if buffer.len() >= MERGE_READ * ENTRY {
            hasher.update(&buffer);
            temp.append(&buffer)?;
            buffer.clear();
        }
    }
    hasher.update(&buffer);
    temp.append(&buffer)?;
    for i in 1..fan_out.len() {
        fan_out[i] += fan_out[i - 1];
    }

    let mut head = Vec::with_capacity(entries_at);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&FORMAT.to_le_bytes());
    head.extend_from_slice(&(packs.len() as u32).to_le_bytes());
    head.extend_from_slice(&count.to_le_bytes());
    head.extend_from_slice(&bits.to_le_bytes());
    head.extend_from_slice(&[0; 4]);
    head.extend_from_slice(hasher.finalize().as_bytes());
    let mut tables = Vec::new();
    for (id, length) in &packs {
        tables.extend_from_slice(&id.0);
        tables.extend_from_slice(&length.to_le_bytes());
    }
    fan_out.iter().for_each(|n| tables.extend_from_slice(&n.to_le_bytes()));
    let digest = blake3::Hasher::new().update(&head).update(&tables).finalize();
    head.extend_from_slice(digest.as_bytes());
    head.extend_from_slice(&tables);
    temp.write_at(&head, 0)?;
    temp.sync()?;
    let path = place.path(place::INDEX, &format!("{}.idx", digest.to_hex()));
    temp.publish(&path)?;
    place.sync_folder(place::INDEX)?;
    Ok(Some(path))
}
