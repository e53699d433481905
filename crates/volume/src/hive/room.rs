//! Finding room for cells, and giving it back.
//!
//! The smallest free cell that is large enough is taken, of several the first, so that equal changes give equal bytes. What
//! is over stays free; what is given back is zeroed and joined with free neighbours. Where there is no room a bin is put
//! behind the last one. Cells never cross bins: the header of a bin lies between.

use std::collections::{BTreeMap, BTreeSet};

use shale_disk::Result;

use super::cells::{BIN_HEADER, BLOCK, Cells, MOST, base, corrupt, put};
use super::check::each_cell;

/// The free cells.
#[derive(Default)]
pub(super) struct Room {
    /// Length by place.
    by_place: BTreeMap<u32, u32>,
    /// Length and place.
    by_length: BTreeSet<(u32, u32)>,
}

impl Room {
    /// The free cells of a hive.
    pub fn of(cells: &Cells) -> Result<Self> {
        let mut room = Self::default();
        each_cell(cells, |at, length| {
            if length > 0 {
                room.insert(at, length.unsigned_abs());
            }
        })?;
        Ok(room)
    }

    fn insert(&mut self, at: u32, length: u32) {
        self.by_place.insert(at, length);
        self.by_length.insert((length, at));
    }

    fn remove(&mut self, at: u32, length: u32) {
        self.by_place.remove(&at);
        self.by_length.remove(&(length, at));
    }

    /// A new cell with a payload of at least `payload` zero bytes.
    pub fn take(&mut self, cells: &mut Cells, payload: usize) -> Result<u32> {
        let needed = (payload.min(MOST) + 4).next_multiple_of(8) as u32;
        if self.by_length.range((needed, 0)..).next().is_none() {
            self.grow(cells, needed)?;
        }
        let found = self.by_length.range((needed, 0)..).next().copied();
        let (length, at) = found.ok_or_else(|| corrupt("a new bin of the hive has no room"))?;
        self.remove(at, length);
        if length > needed {
            self.free(cells, at + needed, length - needed)?;
        }
        let start = BLOCK + at as usize;
        put(cells.bytes.to_mut(), start, &needed.cast_signed().wrapping_neg().to_le_bytes())?;
        cells.bytes.to_mut()[start + 4..start + needed as usize].fill(0);
        Ok(at)
    }

    /// Frees a cell in use.
    pub fn give_back(&mut self, cells: &mut Cells, at: u32) -> Result<()> {
        let payload = cells.cell_mut(at)?;
        payload.fill(0);
        let (mut start, mut length) = (at, payload.len() as u32 + 4);
        if let Some(after) = self.by_place.get(&(start + length)).copied() {
            self.remove(start + length, after);
            length += after;
        }
        if let Some((before, size)) = self.by_place.range(..start).next_back().map(|(at, size)| (*at, *size))
            && before + size == start
        {
            self.remove(before, size);
            (start, length) = (before, size + length);
        }
        self.free(cells, start, length)
    }

    fn free(&mut self, cells: &mut Cells, at: u32, length: u32) -> Result<()> {
        self.insert(at, length);
        put(cells.bytes.to_mut(), BLOCK + at as usize, &length.to_le_bytes())
    }

    /// Puts a bin behind the last one that has room for a cell of `needed` bytes.
    fn grow(&mut self, cells: &mut Cells, needed: u32) -> Result<()> {
        let size = cells.size();
        let bin = (needed as usize + BIN_HEADER).next_multiple_of(BLOCK);
        if size + bin > MOST {
            return Err(corrupt("the registry hive would be larger than the 2 GiB that a hive can have"));
        }
        let bytes = cells.bytes.to_mut();
        bytes.resize(BLOCK + size, 0);
        bytes.resize(BLOCK + size + bin, 0);
        let header = BLOCK + size;
        put(bytes, header, b"hbin")?;
        put(bytes, header + 4, &(size as u32).to_le_bytes())?;
        put(bytes, header + 8, &(bin as u32).to_le_bytes())?;
        put(bytes, base::SIZE, &((size + bin) as u32).to_le_bytes())?;
        self.free(cells, (size + BIN_HEADER) as u32, (bin - BIN_HEADER) as u32)
    }
}
