//! FAT12, FAT16 and FAT32: the file system of EFI system partitions, read and written. Safe Rust; it runs in `shale-files` all
//! the same, as what it reads was written by strangers.
//!
//! ```text
//!   Files ──requests──▶ serve ──▶ Fat ── shape     where its parts lie
//!                                     ├─ table     chains of clusters, in memory until the end
//!                                     └─ slots     folders; name, moment: what is in a slot
//! ```
//!
//! FAT numbers no files. A node is the place of an entry's slot, in slots from the first byte on; the root's is [`ROOT`].
//! An entry that is changed keeps its place. Nothing is written to a file system in which a cluster belongs to two entries, or
//! to more than its entry's size says.

use std::collections::BTreeSet;
use std::ops::Range;

use shale_disk::{Error, ErrorKind, Result};

use crate::bytes::{Stretch, array};
use crate::files::{Attributes, Entry, Facts, Kind, Map, Piece, Stream};
use crate::free::Unknown;
use crate::health::Health;

mod moment;
mod name;
mod serve;
mod shape;
mod slots;
mod table;

pub(crate) use serve::NUMBER;
pub use serve::serve;

use name::Short;
use shape::{Root, SECTOR, Shape, Width};
use slots::{Found, SLOT, Slot};
use table::Table;

/// The node of the root folder, which has no slot.
const ROOT: u64 = 1;
/// Bytes of a folder at most, as the format says.
const FOLDER_LIMIT: u64 = 2 << 20;
/// Bytes of a table that are compared with its copies at once.
const STROKE: usize = 1 << 20;
/// Entries of a file system that is looked through.
const ENTRIES: usize = 1 << 20;
/// Bits of an entry that a person can set.
const BITS: &[u8] = b"system.fat_attrib";
/// The short name of an entry that does not follow from its name.
const SHORT: &[u8] = b"system.fat_short_name";

/// What a file system is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To look at some of its entries, however it is.
    Read,
    Write,
    /// To read all of it: what an entry claims to have is its own.
    ReadAll,
}

/// The bytes of a file system.
trait Device {
    /// How many there are room for.
    fn size(&self) -> u64;
    /// Reads inside that room.
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<()>;
    /// Writes inside that room.
    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<()>;
}

/// How a file system was left.
pub(crate) fn health(stretch: &Stretch) -> std::result::Result<Health, Unknown> {
    let shape = Shape::parse(&array(&stretch.read(0, SECTOR)?, 0)?, stretch.length)?;
    Ok(shape.health(array(&stretch.read(shape.tables[0], 8)?, 0)?))
}

/// An open file system.
struct Fat<D> {
    device: D,
    shape: Shape,
    table: Table,
    filling: Option<Filling>,
}

/// The folder that entries are being made in, so that it is not read again for each of them.
struct Filling {
    node: u64,
    /// As it is, but for what [`Fat::size`] and [`Fat::describe`] write into slots: their names are right.
    folder: Folder,
    /// Without case.
    names: BTreeSet<Vec<u16>>,
    /// No hashing: it asks the kernel for chance, which this process may not.
    shorts: BTreeSet<Short>,
}

/// A folder's slots, and where they lie.
struct Folder {
    bytes: Vec<u8>,
    /// Places on the disk, in order.
    places: Vec<Range<u64>>,
    /// Its clusters; none of a root folder with a place of its own.
    chain: Vec<u32>,
}

impl Folder {
    /// Where a slot lies.
    fn place(&self, slot: usize) -> Result<u64> {
        let mut left = (slot * SLOT) as u64;
        for place in &self.places {
            let length = place.end - place.start;
            if left < length {
                return Ok(place.start + left);
            }
            left -= length;
        }
        Err(corrupt("a slot lies behind the end of its folder"))
    }

    fn node(&self, slot: usize) -> Result<u64> {
        Ok(self.place(slot)? / SLOT as u64)
    }
}

impl<D: Device> Fat<D> {
    /// Opens it. One that was not left cleanly is refused, and one that is to be written is looked through first.
    pub fn open(mut device: D, purpose: Purpose) -> Result<Self> {
        let mut boot = [0; SECTOR];
        if device.size() < SECTOR as u64 {
            return Err(corrupt("it is too small for a boot sector"));
        }
        device.read(0, &mut boot)?;
        let shape = Shape::parse(&boot, device.size()).map_err(corrupt)?;
        let mut bytes = vec![0; shape.table as usize];
        device.read(shape.tables[0], &mut bytes)?;
        let mut first = [0; 8];
        first.copy_from_slice(&bytes[..8]);
        if let Health::InUse(why) | Health::CheckNeeded(why) = shape.health(first) {
            return Err(unsupported(why));
        }
        if purpose == Purpose::Write {
            let mut copy = vec![0; bytes.len().min(STROKE)];
            for table in &shape.tables[1..] {
                for (at, part) in (*table..).step_by(STROKE).zip(bytes.chunks(STROKE)) {
                    let copy = &mut copy[..part.len()];
                    device.read(at, copy)?;
                    if copy != part {
                        return Err(corrupt(
                            "the copies of its table differ: let its own tool mend it (fsck.fat)",
                        ));
                    }
                }
            }
        }
        let mut fat = Self { table: Table::new(&shape, bytes), shape, device, filling: None };
        if purpose != Purpose::Read {
            fat.look_through()?;
        }
        Ok(fat)
    }

    /// The room, bytes of a cluster, and of all.
    pub fn figures(&self) -> (u64, u64, u64) {
        let bytes = self.shape.data + u64::from(self.shape.clusters) * self.shape.cluster;
        (ROOT, self.shape.cluster, bytes)
    }

    fn is_wide(&self) -> bool {
        self.shape.width == Width::ThirtyTwo
    }

    /// Refuses a file system in which a cluster has two owners, or an entry more or fewer than it needs. It takes a bit for each
    /// cluster, the longest folder, and eight bytes for each folder.
    fn look_through(&mut self) -> Result<()> {
        let mut owned = vec![0u64; (self.shape.clusters as usize + 2).div_ceil(64)];
        let mut own = |cluster: u32| {
            let (word, bit) = (&mut owned[cluster as usize / 64], 1 << (cluster % 64));
            if *word & bit != 0 {
                return Err(damaged("a cluster belongs to two entries"));
            }
            *word |= bit;
            Ok(())
        };
        let (mut folders, mut count) = (vec![ROOT], 0);
        while let Some(node) = folders.pop() {
            let folder = self.load(node)?;
            folder.chain.iter().copied().try_for_each(&mut own)?;
            for found in slots::entries(&folder.bytes) {
                count += 1;
                if count > ENTRIES {
                    return Err(unsupported(
                        "it has more than a million entries, which is more than is read",
                    ));
                }
                if found.slot.is_folder() {
                    folders.push(folder.node(found.last)?);
                    continue;
                }
                let length = match found.slot.cluster(self.is_wide()) {
                    0 => 0,
                    first => {
                        self.table.walk(first, u64::MAX, |_| Ok(()))?;
                        self.table.walk(first, u64::MAX, &mut own)?
                    }
                };
                if length != u64::from(found.slot.size()).div_ceil(self.shape.cluster) {
                    return Err(damaged("a file has more or fewer clusters than its size says"));
                }
            }
        }
        Ok(())
    }

    /// All clusters of an entry.
    fn chain_of(&self, slot: &Slot) -> Result<Vec<u32>> {
        match slot.cluster(self.is_wide()) {
            0 => Ok(Vec::new()),
            first => self.table.chain(first, u64::MAX),
        }
    }

    /// The slot of a node.
    fn slot(&mut self, node: u64) -> Result<Slot> {
        let at = node.checked_mul(SLOT as u64).filter(|at| self.holds_slots(*at));
        let at = at.ok_or_else(|| invalid("there is no such entry"))?;
        let mut slot = Slot([0; SLOT]);
        self.device.read(at, &mut slot.0)?;
        if !slot.is_entry() {
            return Err(invalid("there is no such entry"));
        }
        Ok(slot)
    }

    fn holds_slots(&self, at: u64) -> bool {
        let end = self.shape.data + u64::from(self.shape.clusters) * self.shape.cluster;
        match &self.shape.root {
            Root::Fixed(range) if range.contains(&at) => true,
            _ => (self.shape.data..end).contains(&at),
        }
    }

    /// Reads a folder.
    fn load(&mut self, node: u64) -> Result<Folder> {
        let first = match (node, &self.shape.root) {
            (ROOT, Root::Fixed(range)) => {
                let range = range.clone();
                let mut bytes = vec![0; (range.end - range.start) as usize];
                self.device.read(range.start, &mut bytes)?;
                return Ok(Folder { bytes, places: vec![range], chain: Vec::new() });
            }
            (ROOT, Root::Chain(first)) => *first,
            _ => {
                let slot = self.slot(node)?;
                if !slot.is_folder() {
                    return Err(invalid("it is no folder"));
                }
                slot.cluster(self.is_wide())
            }
        };
        let most = FOLDER_LIMIT / self.shape.cluster;
        let chain = self.table.chain(first, most + 1)?;
        if chain.len() as u64 > most {
            return Err(corrupt("a folder is longer than any can be"));
        }
        let places = self.places(&chain)?;
        let mut bytes = vec![0; chain.len() * self.shape.cluster as usize];
        let mut rest = &mut bytes[..];
        for place in &places {
            let (part, after) = rest.split_at_mut((place.end - place.start) as usize);
            self.device.read(place.start, part)?;
            rest = after;
        }
        Ok(Folder { bytes, places, chain })
    }

    /// Where clusters lie, neighbours joined.
    fn places(&self, chain: &[u32]) -> Result<Vec<Range<u64>>> {
        let mut places: Vec<Range<u64>> = Vec::new();
        for cluster in chain {
            let start = self.shape.place(*cluster).ok_or_else(|| corrupt("a cluster is not there"))?;
            match places.last_mut() {
                Some(last) if last.end == start => last.end += self.shape.cluster,
                _ => places.push(start..start + self.shape.cluster),
            }
        }
        Ok(places)
    }

    /// What a folder holds: names in UTF-16, and entries.
    pub fn folder(&mut self, node: u64) -> Result<Vec<(Vec<u16>, Entry)>> {
        let folder = self.load(node)?;
        let told = |found: Found| {
            let mut entry = entry_of(folder.node(found.last)?, &found.slot);
            if name::plain(&found.name).is_none() {
                entry.attributes.insert(SHORT, &found.slot.short()[..]);
            }
            Ok((found.name, entry))
        };
        slots::entries(&folder.bytes).into_iter().map(told).collect()
    }

    /// One entry; its short name only where a folder lists it.
    pub fn entry(&mut self, node: u64) -> Result<Entry> {
        if node == ROOT {
            let (kind, attributes) = (Kind::Folder, Attributes::new());
            return Ok(Entry {
                node,
                kind,
                facts: Facts::default(),
                links: 1,
                attributes,
                streams: Vec::new(),
            });
        }
        Ok(entry_of(node, &self.slot(node)?))
    }

    /// Where a file's content lies.
    pub fn map(&mut self, node: u64) -> Result<Map> {
        let slot = self.slot(node)?;
        if slot.is_folder() {
            return Err(invalid("a folder has no content"));
        }
        let size = u64::from(slot.size());
        let needed = size.div_ceil(self.shape.cluster);
        let chain = match slot.cluster(self.is_wide()) {
            0 => Vec::new(),
            first => self.table.chain(first, needed)?,
        };
        if chain.len() as u64 != needed {
            return Err(corrupt("a file ends before its size"));
        }
        Ok(Map { direct: true, in_record: false, size, pieces: self.pieces(&chain)? })
    }

    fn pieces(&self, chain: &[u32]) -> Result<Vec<Piece>> {
        let mut logical = 0;
        let piece = |place: Range<u64>| {
            let piece = Piece { logical, physical: place.start, length: place.end - place.start };
            logical += piece.length;
            piece
        };
        Ok(self.places(chain)?.into_iter().map(piece).collect())
    }

    /// Makes an empty file or folder.
    pub fn make(&mut self, parent: u64, name: &[u16], is_folder: bool) -> Result<u64> {
        if !name::is_allowed(name) {
            return Err(unsupported("no entry of FAT can have this name"));
        }
        // Whatever goes wrong from here on, what is in memory is not used again.
        let mut filling = match self.filling.take().filter(|filling| filling.node == parent) {
            Some(filling) => filling,
            None => self.filling(parent)?,
        };
        if !filling.names.insert(name::folded(name)) {
            return Err(invalid("an entry of this name is there already (on FAT in whatever letters)"));
        }
        let short = name::made_up(name, |short| filling.shorts.contains(short))
            .ok_or_else(|| unsupported("a folder has a million names that begin alike"))?;
        filling.shorts.insert(short);
        let folder = &mut filling.folder;
        let cluster = if is_folder { self.new_folder(parent)? } else { 0 };
        let is_long = name::shown(&short, 0) != name;
        let made = slots::slots(name, is_long, Slot::new(short, is_folder, cluster));
        let first = slots::room(&folder.bytes, made.len());
        self.lengthen(folder, first + made.len())?;
        let next = first + made.len();
        let was_end = folder.bytes[first * SLOT..next * SLOT].iter().step_by(SLOT).any(|byte| *byte == 0);
        if was_end && next * SLOT < folder.bytes.len() {
            // What lies behind the end of a folder is nobody's, and nobody looked at it: it stays behind the end.
            self.device.write(folder.place(next)?, &[0; SLOT])?;
            folder.bytes[next * SLOT..(next + 1) * SLOT].fill(0);
        }
        for (slot, bytes) in (first..).zip(&made) {
            self.device.write(folder.place(slot)?, bytes)?;
            folder.bytes[slot * SLOT..(slot + 1) * SLOT].copy_from_slice(bytes);
        }
        let node = folder.node(next - 1)?;
        self.filling = Some(filling);
        Ok(node)
    }

    fn filling(&mut self, node: u64) -> Result<Filling> {
        let folder = self.load(node)?;
        let there = slots::entries(&folder.bytes);
        let names = there.iter().map(|found| name::folded(&found.name)).collect();
        let shorts = there.iter().map(|found| found.slot.short()).collect();
        Ok(Filling { node, folder, names, shorts })
    }

    /// The cluster of a new folder, with what every folder has.
    fn new_folder(&mut self, parent: u64) -> Result<u32> {
        let above = match parent {
            ROOT => 0,
            parent => self.slot(parent)?.cluster(self.is_wide()),
        };
        let cluster = self.table.allocate(1)?[0];
        let mut bytes = slots::dots(cluster, above).concat();
        bytes.resize(self.shape.cluster as usize, 0);
        let place = self.shape.place(cluster).ok_or_else(|| corrupt("a cluster is not there"))?;
        self.device.write(place, &bytes)?;
        Ok(cluster)
    }

    /// Makes a folder long enough for so many slots.
    fn lengthen(&mut self, folder: &mut Folder, count: usize) -> Result<()> {
        while folder.bytes.len() < count * SLOT {
            let Some(last) = folder.chain.last().copied() else {
                return Err(Error::new(
                    ErrorKind::Full,
                    "the root folder has no room: on FAT12 and FAT16 it cannot grow",
                ));
            };
            if (folder.bytes.len() as u64) + self.shape.cluster > FOLDER_LIMIT {
                return Err(Error::new(
                    ErrorKind::Full,
                    "a folder has no room: FAT has folders of 2 MiB at most",
                ));
            }
            let next = self.table.allocate(1)?;
            self.table.append(last, next[0]);
            let place = self.places(&next)?.remove(0);
            self.device.write(place.start, &vec![0; self.shape.cluster as usize])?;
            folder.bytes.resize(folder.bytes.len() + self.shape.cluster as usize, 0);
            folder.places.push(place);
            folder.chain.push(next[0]);
        }
        Ok(())
    }

    /// Takes an entry away. A folder must be empty.
    pub fn remove(&mut self, parent: u64, name: &[u16]) -> Result<()> {
        self.filling = None;
        let mut folder = self.load(parent)?;
        let found = slots::entries(&folder.bytes).into_iter().find(|found| found.name == name);
        let found = found.ok_or_else(|| invalid("the entry cannot be found"))?;
        if found.slot.is_folder() {
            let inside = self.load(folder.node(found.last)?)?;
            if !slots::entries(&inside.bytes).is_empty() {
                return Err(invalid("the folder is not empty"));
            }
        }
        let chain = self.chain_of(&found.slot)?;
        self.table.release(&chain);
        slots::clear(&mut folder.bytes[found.first * SLOT..(found.last + 1) * SLOT]);
        for slot in found.first..=found.last {
            self.device.write(folder.place(slot)?, &folder.bytes[slot * SLOT..(slot + 1) * SLOT])?;
        }
        Ok(())
    }

    /// Gives an entry these times and exactly these attributes. The root has neither. A short name that another entry has is not
    /// given twice.
    pub fn describe(&mut self, node: u64, parent: u64, facts: &Facts, attributes: &Attributes) -> Result<()> {
        if let Some((unknown, _)) = attributes.iter().find(|(name, _)| ![BITS, SHORT].contains(name)) {
            let text = format!("FAT has no attribute '{}'", String::from_utf8_lossy(unknown).escape_debug());
            return Err(unsupported(text));
        }
        if node == ROOT {
            return Ok(());
        }
        let bits = match attributes.get(BITS) {
            None => 0,
            Some([bits]) => *bits,
            Some(_) => return Err(unsupported("the attributes of FAT are one byte")),
        };
        if let Some(short) = attributes.get(SHORT) {
            let short = Short::try_from(short).ok().filter(name::is_short);
            self.set_short(node, parent, short.ok_or_else(|| unsupported("a short name cannot be one"))?)?;
        }
        let mut slot = self.slot(node)?;
        slot.set_bits(bits);
        slot.set_times(facts);
        self.device.write(node * SLOT as u64, &slot.0)
    }

    fn set_short(&mut self, node: u64, parent: u64, short: Short) -> Result<()> {
        let filling = self.filling.as_ref().filter(|filling| filling.node == parent);
        if filling.is_some_and(|filling| filling.shorts.contains(&short)) {
            return Ok(());
        }
        self.filling = None;
        let folder = self.load(parent)?;
        let there = slots::entries(&folder.bytes);
        if there.iter().any(|found| found.slot.short() == short) {
            return Ok(());
        }
        for found in there {
            if folder.node(found.last)? == node && found.is_long() {
                let mut slot = found.slot;
                slot.set_short(short);
                let made = slots::slots(&found.name, true, slot);
                for (slot, bytes) in (found.first..).zip(&made) {
                    self.device.write(folder.place(slot)?, bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Gives a file room for new content: where that goes.
    pub fn size(&mut self, node: u64, size: u64) -> Result<Map> {
        let mut slot = self.slot(node)?;
        let Ok(short) = u32::try_from(size) else {
            return Err(unsupported("a file of FAT has less than 4 GiB"));
        };
        if slot.is_folder() {
            return Err(invalid("a folder has no content"));
        }
        let chain = self.chain_of(&slot)?;
        self.table.release(&chain);
        let chain = self.table.allocate(size.div_ceil(self.shape.cluster))?;
        slot.set_cluster(chain.first().copied().unwrap_or(0));
        slot.set_size(short);
        self.device.write(node * SLOT as u64, &slot.0)?;
        Ok(Map { direct: true, in_record: false, size, pieces: self.pieces(&chain)? })
    }

    /// Writes the table and what is free.
    pub fn close(&mut self) -> Result<()> {
        let mut is_changed = false;
        for (offset, bytes) in self.table.changed() {
            is_changed = true;
            for table in &self.shape.tables {
                self.device.write(table + offset, bytes)?;
            }
        }
        let Some(place) = self.shape.information.filter(|_| is_changed) else { return Ok(()) };
        let mut information = [0; SECTOR];
        self.device.read(place, &mut information)?;
        if information.starts_with(b"RRaA") && information[484..488] == *b"rrAa" {
            information[488..492].copy_from_slice(&self.table.free().to_le_bytes());
            information[492..496].copy_from_slice(&self.table.lowest().to_le_bytes());
            self.device.write(place, &information)?;
        }
        Ok(())
    }
}

fn entry_of(node: u64, slot: &Slot) -> Entry {
    let (kind, streams) = match slot.is_folder() {
        true => (Kind::Folder, Vec::new()),
        false => (Kind::File, vec![Stream { name: Vec::new(), size: u64::from(slot.size()) }]),
    };
    let attributes = Attributes::from_iter([(BITS, vec![slot.bits()])]);
    Entry { node, kind, facts: slot.facts(), links: 1, attributes, streams }
}

fn corrupt(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, text)
}

fn damaged(what: &str) -> Error {
    corrupt(format!("{what}: let its own tool mend it (fsck.fat, chkdsk)"))
}

fn unsupported(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, text)
}

/// What only a mistaken request asks for.
fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::Unsupported, text)
}
