//! What a folder of FAT is made of: slots of 32 bytes.
//!
//! ```text
//!   entry       0 short name · 11 bits · 12 bits of the name · 13 born · 18 read · 22 modified · 20, 26 cluster · 28 size
//!   long name   0 number, 0x40 on the first that lies there · 1, 14, 28 units of UTF-16 · 11 is 0x0f · 13 checksum
//!               the parts of a name lie before its entry, the last one first
//!   first byte  0 nothing from here on · 0xe5 gone
//! ```

use super::moment::{moment, stamp};
use super::name::{LONGEST, Short, checksum, shown};
use crate::files::Facts;

pub(super) const SLOT: usize = 32;
const UNITS: usize = 13;
const PLACES: [usize; UNITS] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
const GONE: u8 = 0xe5;

/// Bits of an entry.
pub(super) const FOLDER: u8 = 0x10;
const LABEL: u8 = 0x08;
const LONG: u8 = 0x0f;
/// Those that a person can set: read only, hidden, system, to be archived.
pub(super) const SETTABLE: u8 = 0x27;

/// An entry's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(pub [u8; SLOT]);

impl Slot {
    /// A new entry, without times but for the one that must be there.
    pub fn new(short: Short, is_folder: bool, cluster: u32) -> Self {
        let mut slot = Self([0; SLOT]);
        slot.set_short(short);
        slot.0[11] = if is_folder { FOLDER } else { 0 };
        slot.0[24..26].copy_from_slice(&(1u16 << 5 | 1).to_le_bytes());
        slot.set_cluster(cluster);
        slot
    }

    fn u16_at(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    fn put(&mut self, at: usize, value: u16) {
        self.0[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    pub fn short(&self) -> Short {
        let mut short = [0; 11];
        short.copy_from_slice(&self.0[..11]);
        short
    }

    pub fn set_short(&mut self, short: Short) {
        self.0[..11].copy_from_slice(&short);
    }

    /// Whether it is of a file or folder: not a part of a name, a label, or nothing.
    pub fn is_entry(&self) -> bool {
        !matches!(self.0[0], 0 | GONE) && self.0[11] & LABEL == 0
    }

    pub fn is_folder(&self) -> bool {
        self.0[11] & FOLDER != 0
    }

    pub fn bits(&self) -> u8 {
        self.0[11] & SETTABLE
    }

    pub fn set_bits(&mut self, bits: u8) {
        self.0[11] = self.0[11] & !SETTABLE | bits & SETTABLE;
    }

    /// The first cluster; 0 of an empty file. The upper half is something else where numbers have no such.
    pub fn cluster(&self, is_wide: bool) -> u32 {
        let upper = if is_wide { self.u16_at(20) } else { 0 };
        u32::from(upper) << 16 | u32::from(self.u16_at(26))
    }

    pub fn set_cluster(&mut self, cluster: u32) {
        self.put(20, (cluster >> 16) as u16);
        self.put(26, cluster as u16);
    }

    pub fn size(&self) -> u32 {
        u32::from(self.u16_at(30)) << 16 | u32::from(self.u16_at(28))
    }

    pub fn set_size(&mut self, size: u32) {
        self.0[28..].copy_from_slice(&size.to_le_bytes());
    }

    pub fn facts(&self) -> Facts {
        Facts {
            modified: moment(self.u16_at(24), self.u16_at(22), 0),
            accessed: moment(self.u16_at(18), 0, 0),
            born: moment(self.u16_at(16), self.u16_at(14), self.0[13]),
            ..Facts::default()
        }
    }

    pub fn set_times(&mut self, facts: &Facts) {
        let (date, time, _) = stamp(facts.modified);
        self.put(24, date);
        self.put(22, time);
        let (date, _, _) = stamp(facts.accessed);
        self.put(18, date);
        let (date, time, hundredths) = stamp(facts.born);
        self.put(16, date);
        self.put(14, time);
        self.0[13] = hundredths;
    }
}

/// A file or folder in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub name: Vec<u16>,
    pub slot: Slot,
    /// Numbers of its slots in the folder; the last is its entry's.
    pub first: usize,
    pub last: usize,
}

impl Found {
    /// Whether it has a long name.
    pub fn is_long(&self) -> bool {
        self.first < self.last
    }
}

/// The entries of a folder, without `.`, `..` and the label. Parts of names that belong to no entry are passed over.
pub(super) fn entries(bytes: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut long = Long::default();
    for (number, part) in bytes.chunks_exact(SLOT).enumerate() {
        let mut slot = Slot([0; SLOT]);
        slot.0.copy_from_slice(part);
        match slot.0[0] {
            0 => break,
            GONE => long = Long::default(),
            _ if slot.0[11] & 0x3f == LONG => long.take(&slot, number),
            _ => {
                let long = std::mem::take(&mut long);
                let is_dots = matches!(&slot.0[..11], b".          " | b"..         ");
                if slot.is_entry() && !is_dots {
                    let (name, first) = match long.name(&slot.short(), number) {
                        Some(name) => (name, long.first),
                        None => (shown(&slot.short(), slot.0[12]), number),
                    };
                    found.push(Found { name, slot, first, last: number });
                }
            }
        }
    }
    found
}

/// A long name whose parts are being read.
#[derive(Default)]
struct Long {
    /// Backwards, part by part.
    parts: Vec<[u16; UNITS]>,
    first: usize,
    /// How many more are to come, if all were right so far.
    left: Option<u8>,
    checksum: u8,
}

impl Long {
    fn take(&mut self, slot: &Slot, number: usize) {
        let (order, is_first) = (slot.0[0] & 0x3f, slot.0[0] & 0x40 != 0);
        if is_first {
            *self = Self { first: number, left: Some(order), checksum: slot.0[13], ..Self::default() };
        }
        if self.left != Some(order) || self.checksum != slot.0[13] || order == 0 {
            *self = Self::default();
            return;
        }
        self.left = Some(order - 1);
        self.parts.push(PLACES.map(|at| slot.u16_at(at)));
    }

    /// The name, if it is whole and belongs to the entry in slot `number`.
    fn name(&self, short: &Short, number: usize) -> Option<Vec<u16>> {
        if self.left != Some(0) || checksum(short) != self.checksum || self.first + self.parts.len() != number
        {
            return None;
        }
        let units = self.parts.iter().rev().flatten().copied();
        let name: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
        (1..=LONGEST).contains(&name.len()).then_some(name)
    }
}

/// The slots of an entry: its long name, if it is to have one, and itself.
pub(super) fn slots(name: &[u16], is_long: bool, slot: Slot) -> Vec<[u8; SLOT]> {
    let parts: Vec<&[u16]> = if is_long { name.chunks(UNITS).collect() } else { Vec::new() };
    let sum = checksum(&slot.short());
    let mut made = Vec::new();
    for (number, part) in parts.iter().enumerate().rev() {
        let is_first = number + 1 == parts.len();
        let mut bytes = [0xff; SLOT];
        bytes[0] = (number + 1) as u8 | if is_first { 0x40 } else { 0 };
        bytes[11..14].copy_from_slice(&[LONG, 0, sum]);
        bytes[26..28].fill(0);
        // Behind the end of a name there is a zero, and then nothing.
        for (at, unit) in PLACES.iter().zip(part.iter().chain(&[0])) {
            bytes[*at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        made.push(bytes);
    }
    made.push(slot.0);
    made
}

/// Where `count` slots in a row are free: the number of the first. Behind the end of the folder it is made longer.
pub(super) fn room(bytes: &[u8], count: usize) -> usize {
    let slots = bytes.chunks_exact(SLOT);
    let total = slots.len();
    let mut run = 0;
    for (number, slot) in slots.enumerate() {
        match slot[0] {
            0 => return number - run,
            GONE => run += 1,
            _ => run = 0,
        }
        if run == count {
            return number + 1 - run;
        }
    }
    total - run
}

/// Marks slots as gone.
pub(super) fn clear(slots: &mut [u8]) {
    slots.iter_mut().step_by(SLOT).for_each(|first| *first = GONE);
}

/// The entries that every folder but the root begins with: itself, and the folder it is in (0 is the root).
pub(super) fn dots(itself: u32, above: u32) -> [[u8; SLOT]; 2] {
    let dot = |name: &[u8; 11], cluster| Slot::new(*name, true, cluster).0;
    [dot(b".          ", itself), dot(b"..         ", above)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fat::name::{is_allowed, made_up};
    use crate::files::Moment;
    use proptest::prelude::*;

    /// A moment as far as FAT can keep it.
    fn kept(at: Moment) -> Moment {
        let (date, time, hundredths) = stamp(at);
        moment(date, time, hundredths)
    }

    proptest! {
        #[test]
        fn entries_are_found_under_the_names_they_were_given(
            names in prop::collection::vec("[A-Za-z0-9 .ßé~]{1,60}", 1..8),
            gone in any::<u8>(),
        ) {
            let mut bytes = vec![0; 64 * SLOT];
            let mut expected = Vec::new();
            for (number, name) in names.iter().enumerate() {
                let name: Vec<u16> = name.encode_utf16().collect();
                if !is_allowed(&name) {
                    continue;
                }
                let short = made_up(&name, |_| false).unwrap();
                let made = slots(&name, true, Slot::new(short, false, number as u32));
                let at = room(&bytes, made.len());
                bytes[at * SLOT..(at + made.len()) * SLOT].copy_from_slice(&made.concat());
                if gone >> number & 1 == 1 {
                    clear(&mut bytes[at * SLOT..(at + made.len()) * SLOT]);
                } else {
                    expected.push(name);
                }
            }
            let mut found: Vec<_> = entries(&bytes).into_iter().map(|found| found.name).collect();
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn whatever_a_folder_holds_is_read(bytes in prop::collection::vec(prop_oneof![Just(0x0fu8), Just(0x41), any::<u8>()], 0..900)) {
            for found in entries(&bytes) {
                prop_assert!(found.first <= found.last && (found.last + 1) * SLOT <= bytes.len());
            }
        }

        #[test]
        fn facts_survive_as_far_as_they_are_kept(seconds in -10i64..5_000_000_000, fine in 0u32..1_000_000_000) {
            let at = Moment { seconds, nanoseconds: fine };
            let mut slot = Slot::new(*b"A          ", false, 0);
            slot.set_times(&Facts { modified: at, accessed: at, born: at, ..Facts::default() });
            prop_assert_eq!(slot.facts().born, kept(at));
            let again = slot;
            slot.set_times(&again.facts());
            prop_assert_eq!(slot, again);
        }
    }
}
