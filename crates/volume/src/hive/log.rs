//! What of a hive is only in its logs.
//!
//! Windows writes changes to a log first, to the hive's file much later. A file that is dirty (its two numbers differ, or its
//! base block is torn) is brought up to date from its logs, of which there are two that take turns.
//!
//! ```text
//!   until Windows 8      base block (type 1 or 2) │ "DIRT", a bit for each 512 bytes of bins │ those that are set
//!   since Windows 8.1    base block (type 6)      │ entry │ entry │ …      from 512 on, each a multiple of 512
//!
//!   entry   "HvLE", length, flags, number, size of the bins, count │ hash of what follows 40, hash of the first 32
//!           │ count × (where, length) │ the pages, one after the other
//! ```
//!
//! Entries are applied from the file's number on, as long as each is one more than the one before. What a hash denies is
//! the end. A dirty hive for which the logs have nothing is refused: it may lack anything.

use shale_disk::Result;

use super::cells::{BLOCK, MOST, base, checksum, corrupt, is_base_block, put, u32_at, u64_at};
use super::{Hive, check, marvin};

/// What logs are written in.
const SECTOR: usize = 512;
/// Bytes of an entry in front of its list of pages.
const ENTRY: usize = 40;

impl Hive<'_> {
    /// The hive in `primary`, with what of it is only in its logs (`.LOG1`, or `.LOG` of old, and `.LOG2`). A hive that is
    /// clean needs none, and what logs have is old. [`Hive::into_bytes`] then gives the file as Windows would leave it.
    pub fn replay(primary: Vec<u8>, first: Option<&[u8]>, second: Option<&[u8]>) -> Result<Self> {
        if is_base_block(&primary) && check::clean(&primary).is_ok() {
            return Self::open(primary);
        }
        let logs: Vec<&[u8]> =
            [first, second].into_iter().flatten().filter(|log| is_base_block(log)).collect();
        let new: Vec<&[u8]> = logs.iter().copied().filter(|log| kind(log) == Some(6)).collect();
        let replayed = match new_format(&primary, &new)? {
            Some(bytes) => Some(bytes),
            None => logs
                .iter()
                .filter(|log| matches!(kind(log), Some(1 | 2)))
                .find_map(|log| old_format(&primary, log)),
        };
        let Some(bytes) = replayed else {
            return Err(corrupt(
                "the registry hive was not written to its end, and its logs do not have what is missing. \
                 Start the machine, so that Windows mends it, and shut it down",
            ));
        };
        Self::open(bytes)
    }
}

fn kind(log: &[u8]) -> Option<u32> {
    u32_at(log, base::KIND).ok()
}

/// Makes a base block one of a file that is whole.
fn settle(bytes: &mut [u8], number: u32) -> Result<()> {
    for (field, new) in [(base::PRIMARY, number), (base::SECONDARY, number), (base::KIND, 0)] {
        put(bytes, field, &new.to_le_bytes())?;
    }
    let sum = checksum(bytes);
    put(bytes, base::CHECKSUM, &sum.to_le_bytes())
}

/// A change of some pages.
struct Entry<'a> {
    number: u32,
    /// Of all bins, after it.
    size: usize,
    /// Where in the bins, and the bytes.
    pages: Vec<(usize, &'a [u8])>,
}

/// The file with what entries of the logs say, in as many as follow each other.
fn new_format(primary: &[u8], logs: &[&[u8]]) -> Result<Option<Vec<u8>>> {
    let mut bytes = primary.to_vec();
    let mut entries: Vec<Entry<'_>> = logs.iter().flat_map(|log| entries(log)).collect();
    entries.sort_by_key(|entry| entry.number);
    entries.dedup_by_key(|entry| entry.number);
    if is_base_block(primary) {
        let from = u32_at(primary, base::PRIMARY)?;
        entries.retain(|entry| entry.number >= from);
    } else {
        // A torn base block: that of the log which was begun last, and the newest entries without a gap. Those that were
        // applied already do no harm, since each has whole pages.
        let newest = logs.iter().max_by_key(|log| u32_at(log, base::PRIMARY).unwrap_or(0));
        let Some(newest) = newest else { return Ok(None) };
        if bytes.len() < BLOCK {
            return Ok(None);
        }
        put(&mut bytes, 0, &newest[..SECTOR])?;
        let gap = (1..entries.len())
            .rev()
            .find(|at| entries[at - 1].number.checked_add(1) != Some(entries[*at].number));
        entries.drain(..gap.unwrap_or(0));
    }
    let mut last = None;
    for entry in entries {
        if last.is_some_and(|last: u32| last.checked_add(1) != Some(entry.number)) {
            break;
        }
        // What a hive grew by is in its logs: no number makes us take memory for nothing.
        if BLOCK + entry.size > primary.len() + logs.iter().map(|log| log.len()).sum::<usize>() {
            return Err(corrupt(
                "a log of the registry hive tells a size that it does not have the bytes for",
            ));
        }
        apply(&mut bytes, &entry)?;
        last = Some(entry.number);
    }
    match last {
        Some(last) => settle(&mut bytes, last.wrapping_add(1)).map(|()| Some(bytes)),
        None => Ok(None),
    }
}

fn apply(bytes: &mut Vec<u8>, entry: &Entry<'_>) -> Result<()> {
    let end = BLOCK + entry.size;
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    for (at, page) in &entry.pages {
        put(bytes, BLOCK + at, page)?;
    }
    put(bytes, base::SIZE, &(entry.size as u32).to_le_bytes())
}

/// The entries of a log, up to the first that is none.
fn entries(log: &[u8]) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    let mut at = SECTOR;
    while let Some((entry, length)) = log.get(at..).and_then(entry) {
        entries.push(entry);
        at += length;
    }
    entries
}

/// The entry at the beginning of `rest`, and its length.
fn entry(rest: &[u8]) -> Option<(Entry<'_>, usize)> {
    let number = |at| u32_at(rest, at).ok();
    let length = number(4)? as usize;
    let is_entry = rest.starts_with(b"HvLE") && length.is_multiple_of(SECTOR) && length >= SECTOR;
    let entry = rest.get(..length).filter(|_| is_entry)?;
    let hashes = (u64_at(entry, 24).ok()?, u64_at(entry, 32).ok()?);
    if hashes != (marvin::hash(&entry[ENTRY..]), marvin::hash(&entry[..32])) {
        return None;
    }
    let (size, count) = (number(16)? as usize, number(20)? as usize);
    let mut data = ENTRY.checked_add(count.checked_mul(8)?)?;
    let mut pages = Vec::new();
    for index in 0..count {
        let (at, length) =
            (u32_at(entry, ENTRY + 8 * index).ok()?, u32_at(entry, ENTRY + 8 * index + 4).ok()?);
        let page = entry.get(data..data.checked_add(length as usize)?)?;
        data += page.len();
        pages.push((at as usize, page));
    }
    let end = pages.iter().map(|(at, page)| at + page.len()).max().unwrap_or(0);
    let is_right = size.is_multiple_of(BLOCK) && size <= MOST && end <= size;
    is_right.then_some((Entry { number: number(12)?, size, pages }, length))
}

/// The file with the pages of a log of old; `None`: it is not this file's.
fn old_format(primary: &[u8], log: &[u8]) -> Option<Vec<u8>> {
    let number = |bytes, at| u32_at(bytes, at).ok();
    // Where the base block is torn, the first bin tells when the file was written.
    let written =
        if is_base_block(primary) { u64_at(primary, base::WRITTEN) } else { u64_at(primary, BLOCK + 20) };
    let is_of_it = u64_at(log, base::WRITTEN).ok()? == written.ok()?
        && number(log, base::PRIMARY)? == number(log, base::SECONDARY)?;
    let size = number(log, base::SIZE)? as usize;
    let is_bounded = size.is_multiple_of(BLOCK) && BLOCK + size <= primary.len() + log.len();
    if !is_of_it || !is_bounded || !log.get(SECTOR..)?.starts_with(b"DIRT") {
        return None;
    }
    let bitmap = log.get(SECTOR + 4..SECTOR + 4 + size / SECTOR / 8)?;
    let mut at = (SECTOR + 4 + bitmap.len()).next_multiple_of(SECTOR);
    let mut bytes = primary.to_vec();
    if !is_base_block(primary) {
        put(&mut bytes, 0, &log[..SECTOR]).ok()?;
    }
    bytes.resize(bytes.len().max(BLOCK + size), 0);
    for page in (0..size / SECTOR).filter(|page| bitmap[page / 8] >> (page % 8) & 1 != 0) {
        put(&mut bytes, BLOCK + page * SECTOR, log.get(at..at + SECTOR)?).ok()?;
        at += SECTOR;
    }
    put(&mut bytes, base::SIZE, &(size as u32).to_le_bytes()).ok()?;
    settle(&mut bytes, number(log, base::PRIMARY)?).ok()?;
    Some(bytes)
}
