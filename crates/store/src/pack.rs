//! A pack: many frames in one file, written once.
//!
//! ```text
//!   0        magic "SHALEPAK", u32 format, u32 zero
//!   16       frames, back to back
//!   D        directory: N entries of 48 bytes, sorted by digest
//!   end-64   footer: BLAKE3 of the directory (= the pack's name), u64 D, u64 N, u32 format, u32 zero, "SHALEPKE"
//! ```
//!
//! An entry: digest of the plain bytes (32), offset in the pack (u32), length and coding (u32: bits 0–23 and 24–31),
//! and the first 8 bytes of the frame's own BLAKE3. With the last, a frame can be passed on as it is, verified but
//! not unpacked. All numbers are little-endian.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::place::{self, Place, Temp};
use crate::{BLOCK, lock::Lock, map};

/// Written into every pack; another number is another format.
const FORMAT: u32 = 1;
const MAGIC: &[u8; 8] = b"SHALEPAK";
const END: &[u8; 8] = b"SHALEPKE";
pub(crate) const HEAD: u64 = 16;
const FOOTER: u64 = 64;
pub(crate) const ENTRY: usize = 48;
/// A pack is closed when its frames reach this many bytes,
pub(crate) const FRAMES_LIMIT: u64 = 512 << 20;
/// or when it has this many entries (12 MiB of directory: what a reader must be ready to hold).
pub(crate) const ENTRIES_LIMIT: usize = 1 << 18;
/// No frame is longer than the plain bytes: what does not shrink is stored as it is.
const FRAME_LIMIT: u32 = BLOCK as u32;

/// How a frame holds its plain bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// One zstd frame of a 64 KiB block.
    Zstd,
    /// The 64 KiB block itself.
    Raw,
    /// One zstd frame of a map page.
    PageZstd,
    /// The map page itself.
    PageRaw,
}

impl Coding {
    fn number(self) -> u8 {
        match self {
            Self::Zstd => 0,
            Self::Raw => 1,
            Self::PageZstd => 2,
            Self::PageRaw => 3,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        [Self::Zstd, Self::Raw, Self::PageZstd, Self::PageRaw].get(usize::from(number)).copied()
    }

    /// How many plain bytes the frame unpacks to.
    pub fn plain_length(self) -> usize {
        match self {
            Self::Zstd | Self::Raw => BLOCK,
            Self::PageZstd | Self::PageRaw => map::PAGE_BYTES,
        }
    }

    /// Whether the frame is the plain bytes.
    pub fn is_raw(self) -> bool {
        matches!(self, Self::Raw | Self::PageRaw)
    }

    pub fn is_page(self) -> bool {
        matches!(self, Self::PageZstd | Self::PageRaw)
    }
}

/// Where one frame lies in its pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub digest: Digest,
    pub offset: u32,
    pub length: u32,
    pub coding: Coding,
    pub sum: [u8; 8],
}

impl Entry {
    pub fn encode(&self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[..32].copy_from_slice(&self.digest.0);
        bytes[32..36].copy_from_slice(&self.offset.to_le_bytes());
        let coded = self.length | u32::from(self.coding.number()) << 24;
        bytes[36..40].copy_from_slice(&coded.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.sum);
        bytes
    }

    /// `None` when no writer of ours made it.
    pub fn decode(bytes: &[u8; ENTRY]) -> Option<Self> {
        let coded = u32_at(bytes, 36);
        let coding = Coding::from_number((coded >> 24) as u8)?;
        let length = coded & 0x00ff_ffff;
        let fits = if coding.is_raw() {
            length as usize == coding.plain_length()
        } else {
            length > 0 && length < FRAME_LIMIT
        };
        if !fits {
            return None;
        }
        Some(Self {
            digest: Digest(array_at(bytes, 0)),
            offset: u32_at(bytes, 32),
            length,
            coding,
            sum: array_at(bytes, 40),
        })
    }

    /// Whether `frame` is what was written.
    pub fn matches(&self, frame: &[u8]) -> bool {
        frame.len() == self.length as usize && sum(frame) == self.sum
    }
}

/// What tells a whole frame from a damaged one without unpacking it.
pub(crate) fn sum(frame: &[u8]) -> [u8; 8] {
    array_at(blake3::hash(frame).as_bytes(), 0)
}

/// A pack being filled. It has no name yet: dropped, it is gone.
pub(crate) struct Writer {
    temp: Temp,
    entries: Vec<Entry>,
    length: u64,
}

/// A filled pack, durable, not yet visible.
pub(crate) struct Closed {
    temp: Temp,
    id: Digest,
}

impl Writer {
    pub fn new(place: &Place, lock: &Lock) -> Result<Self> {
        let mut temp = place.temp(lock)?;
        temp.append(&head())?;
        Ok(Self { temp, entries: Vec::new(), length: HEAD })
    }

    /// Adds frames that lie back to back in `bytes`; `entries` say how long each is, their offsets are set here.
    pub fn append(&mut self, bytes: &[u8], entries: impl Iterator<Item = Entry>) -> Result<()> {
        let mut offset = self.length;
        for entry in entries {
            self.entries.push(Entry { offset: offset as u32, ..entry });
            offset += u64::from(entry.length);
        }
        debug_assert_eq!(offset, self.length + bytes.len() as u64);
        self.temp.append(bytes)?;
        self.length = offset;
        Ok(())
    }

    /// Whether the next frames belong in the next pack.
    pub fn is_full(&self) -> bool {
        self.length >= FRAMES_LIMIT || self.entries.len() >= ENTRIES_LIMIT / 2
    }

    /// Bytes so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// To push written bytes to the device from another thread.
    pub fn handle(&self) -> Result<File> {
        self.temp.handle()
    }

    /// Writes directory and footer and makes all of it durable.
    pub fn close(mut self) -> Result<Closed> {
        self.entries.sort_unstable_by_key(|entry| entry.digest);
        let mut directory = Vec::with_capacity(self.entries.len() * ENTRY + FOOTER as usize);
        for entry in &self.entries {
            directory.extend_from_slice(&entry.encode());
        }
        let id = Digest::of(&directory);
        directory.extend_from_slice(&id.0);
        directory.extend_from_slice(&self.length.to_le_bytes());
        directory.extend_from_slice(&(self.entries.len() as u64).to_le_bytes());
        directory.extend_from_slice(&FORMAT.to_le_bytes());
        directory.extend_from_slice(&[0; 4]);
        directory.extend_from_slice(END);
        self.temp.append(&directory)?;
        self.temp.sync()?;
        Ok(Closed { temp: self.temp, id })
    }
}

impl Closed {
    /// Gives the pack its name. The caller syncs the folder, once for all packs.
    pub fn publish(self, place: &Place) -> Result<()> {
        // One of the same name has the same directory, so the same blocks: replacing it also mends it.
        self.temp.publish(&path(place, self.id))
    }
}

/// How a pack begins.
fn head() -> [u8; HEAD as usize] {
    let mut head = [0; HEAD as usize];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    head
}

/// Where the pack `id` lies.
pub(crate) fn path(place: &Place, id: Digest) -> std::path::PathBuf {
    place.path(place::PACKS, &format!("{id}.pack"))
}

/// Reads and verifies the directory of the pack `id` of `length` bytes.
pub(crate) fn read_directory(file: &File, id: Digest, length: u64) -> Result<Vec<Entry>> {
    let bad = |what: &str| Error::damaged(format!("pack {id} is damaged: {what}"));
    let read = |buf: &mut [u8], offset| {
        file.read_exact_at(buf, offset).map_err(|e| Error::io(format!("cannot read pack {id}"), e))
    };
    if length < HEAD + FOOTER {
        return Err(bad("it is too short to be a pack (truncated)"));
    }
    let mut found = [0; HEAD as usize];
    read(&mut found, 0)?;
    if found != head() {
        return Err(bad("it does not begin like a pack"));
    }
    let mut footer = [0; FOOTER as usize];
    read(&mut footer, length - FOOTER)?;
    let (offset, count) = parse_footer(&footer, id, length).map_err(bad)?;
    let mut directory = vec![0; count * ENTRY];
    read(&mut directory, offset)?;
    parse_directory(&directory, id, offset).map_err(bad)
}

/// Offset and entries of the directory, from the footer of a pack `length` bytes long.
pub(crate) fn parse_footer(
    footer: &[u8; FOOTER as usize],
    id: Digest,
    length: u64,
) -> std::result::Result<(u64, usize), &'static str> {
    if &footer[56..] != END {
        return Err("it does not end like a pack (truncated, or its end was overwritten)");
    }
    if u32_at(footer, 48) != FORMAT || u32_at(footer, 52) != 0 {
        return Err("its format is not one that this version of Shale reads");
    }
    if footer[..32] != id.0 {
        return Err("its footer names another pack");
    }
    let (offset, count) = (u64_at(footer, 32), u64_at(footer, 40));
    let end =
        count.checked_mul(ENTRY as u64).and_then(|bytes| offset.checked_add(bytes)?.checked_add(FOOTER));
    if offset < HEAD || end != Some(length) || count > ENTRIES_LIMIT as u64 {
        return Err("its footer does not fit its length (truncated, or its end was overwritten)");
    }
    Ok((offset, count as usize))
}

/// The entries of a directory that begins at `end` of its pack, in the order of their digests.
pub(crate) fn parse_directory(
    bytes: &[u8],
    id: Digest,
    end: u64,
) -> std::result::Result<Vec<Entry>, &'static str> {
    if Digest::of(bytes) != id {
        return Err("its directory was altered");
    }
    let (chunks, rest) = bytes.as_chunks::<ENTRY>();
    let entries: Option<Vec<Entry>> = chunks.iter().map(Entry::decode).collect();
    let entries =
        entries.filter(|_| rest.is_empty()).ok_or("its directory has an entry of an unknown kind")?;
    let inside = |e: &Entry| u64::from(e.offset) >= HEAD && u64::from(e.offset) + u64::from(e.length) <= end;
    if !entries.iter().all(inside) {
        return Err("its directory points outside the pack");
    }
    if !entries.is_sorted_by_key(|entry| entry.digest) {
        return Err("its directory is not sorted");
    }
    Ok(entries)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// `bytes[at..at + N]`; the caller has made sure that they are there.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
