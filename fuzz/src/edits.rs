//! Damage to metadata, as an input describes it (`input.rs`), over an image that stays as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use shale_disk::{Disk, Extent, Result};

use crate::images::{Image, SECTOR};
use crate::input::EDIT;

/// Values on which arithmetic turns.
const TURNS: [u64; 16] = [
    0,
    1,
    2,
    0x7f,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// An image with some sectors changed.
pub struct Damaged {
    image: Arc<Image>,
    sectors: BTreeMap<usize, [u8; SECTOR]>,
}

impl Damaged {
    /// The image with these edits, and its checks of torn writes put right.
    pub fn new(image: Arc<Image>, edits: &[[u8; EDIT]]) -> Self {
        let mut damaged = Self { image, sectors: BTreeMap::new() };
        edits.iter().for_each(|edit| damaged.apply(edit));
        damaged.mend();
        damaged
    }

    fn apply(&mut self, edit: &[u8; EDIT]) {
        let [what, much, ..] = *edit;
        let [sector, place, value] = [2, 4, 6].map(|at| u16::from_le_bytes([edit[at], edit[at + 1]]));
        let (start, other) = (self.image.sector(sector), self.image.sector(value));
        // Any byte, or one of those that mean something.
        let inside = usize::from(place) % SECTOR;
        let inside = if what & 0x80 == 0 { inside } else { self.meaningful(start, inside) };
        let width = 1 << (much & 3);
        let inside = inside.min(SECTOR - width);
        let record = inside / 128 * 128;
        match what % 8 {
            0 | 1 => self.put(start + inside, width, value.into()),
            2 => self.put(start + inside, width, i64::from(value as i16) as u64),
            3 => self.put(start + inside, width, TURNS[usize::from(value) % TURNS.len()]),
            4 => {
                let mut now = [0; 8];
                self.get(start + inside, &mut now[..width]);
                let to_be = u64::from_le_bytes(now).wrapping_add(i64::from(value as i8) as u64);
                self.put(start + inside, width, to_be);
            }
            // The same place elsewhere: pointers that lead where others lead.
            5 => self.copy(other + inside, start + inside, width),
            // An inode, a record, or several, over another.
            6 => self.copy(other + record, start + record, 128 << (much & 1)),
            _ => self.copy(other, start, SECTOR << (much & 3)),
        }
    }

    /// The first word from here on, around the end, that is not 0.
    fn meaningful(&self, start: usize, from: usize) -> usize {
        let mut sector = [0; SECTOR];
        self.get(start, &mut sector);
        let words = || (0..SECTOR).step_by(2);
        let word = |at: &usize| sector[*at..*at + 2] != [0; 2];
        words().filter(|at| *at >= from).find(word).or_else(|| words().find(word)).unwrap_or(from)
    }

    fn get(&self, at: usize, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.image.bytes[at..at + bytes.len()]);
        let first = at / SECTOR * SECTOR;
        for (start, sector) in self.sectors.range(first..at + bytes.len()) {
            let (from, to) = (at.max(*start), (at + bytes.len()).min(start + SECTOR));
            bytes[from - at..to - at].copy_from_slice(&sector[from - start..to - start]);
        }
    }

    fn set(&mut self, at: usize, bytes: &[u8]) {
        for (byte, at) in bytes.iter().zip(at..) {
            let start = at / SECTOR * SECTOR;
            let fresh = || self.image.bytes[start..start + SECTOR].try_into().expect("a sector");
            self.sectors.entry(start).or_insert_with(fresh)[at - start] = *byte;
        }
    }

    fn put(&mut self, at: usize, width: usize, value: u64) {
        self.set(at, &value.to_le_bytes()[..width]);
    }

    fn copy(&mut self, from: usize, to: usize, length: usize) {
        let end = self.image.bytes.len();
        let mut bytes = vec![0; length.min(end - from).min(end - to)];
        self.get(from, &mut bytes);
        self.set(to, &bytes);
    }

    /// Puts the checks in damaged records right, so that the damage is looked at.
    fn mend(&mut self) {
        let records = self.image.records.clone();
        for (start, length) in records {
            if self.sectors.range(start..start + length).next().is_none() {
                continue;
            }
            let mut head = [0; 8];
            self.get(start, &mut head);
            let at = usize::from(u16::from_le_bytes([head[4], head[5]])).min(SECTOR - 2);
            let mut check = [0; 2];
            self.get(start + at, &mut check);
            for sector in (start..start + length).step_by(SECTOR) {
                self.set(sector + SECTOR - 2, &check);
            }
        }
    }
}

impl Disk for Damaged {
    fn size(&self) -> u64 {
        self.image.bytes.len() as u64
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.size()) {
            return Err(shale_disk::Error::new(shale_disk::ErrorKind::Corrupt, "behind the end of the disk"));
        }
        self.get(offset as usize, bytes);
        Ok(())
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        let length = self.size().saturating_sub(offset);
        Ok(Extent { offset, length, content: shale_disk::Content::Data })
    }
}
