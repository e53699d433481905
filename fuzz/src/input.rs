//! What an input of the targets `files_ext` and `files_ntfs` says.
//!
//! ```text
//!   input       u8 which image, and whether to write (bit 0) │ u8 how many edits │ edits │ operations
//!   edit        u8 what │ u8 how much │ u16 sector │ u16 place │ u16 value       of the sectors that hold metadata
//!   operation   u8 what │ u8 which entry │ u8 which other │ u8 how
//! ```

use libfuzzer_sys::fuzzer_mutate;

/// Bytes of an edit.
pub const EDIT: usize = 8;
/// Bytes of an operation.
pub const OPERATION: usize = 4;
/// Most edits, and operations.
const MOST: usize = 24;

/// An input.
pub struct Input {
    /// Which image; bit 0: whether to write.
    pub which: u8,
    /// Damage.
    pub edits: Vec<[u8; EDIT]>,
    /// What is done then.
    pub operations: Vec<[u8; OPERATION]>,
}

impl Input {
    /// Any bytes are one.
    pub fn read(bytes: &[u8]) -> Self {
        let (head, rest) = bytes.split_at(bytes.len().min(2));
        let count = head.get(1).map_or(0, |count| usize::from(*count) % (MOST + 1));
        let (edits, operations) = rest.split_at(rest.len().min(count * EDIT));
        let operations = operations.as_chunks().0.iter().take(MOST);
        let which = head.first().copied().unwrap_or_default();
        Self { which, edits: edits.as_chunks().0.to_vec(), operations: operations.copied().collect() }
    }

    fn bytes(&self) -> Vec<u8> {
        let head = [self.which, self.edits.len() as u8];
        [&head, self.edits.as_flattened(), self.operations.as_flattened()].concat()
    }
}

/// Changes an input, mostly by whole edits and operations; the new size.
pub fn mutate(bytes: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let mut random = Random(u64::from(seed) << 1 | 1);
    if random.below(4) == 0 {
        return fuzzer_mutate(bytes, size, most);
    }
    let mut input = Input::read(&bytes[..size]);
    for _ in 0..=random.below(3) {
        match random.below(8) {
            0 => input.which = random.bytes::<1>()[0],
            1..4 => change(&mut input.edits, &mut random),
            _ => change(&mut input.operations, &mut random),
        }
    }
    let changed = input.bytes();
    let size = changed.len().min(most);
    bytes[..size].copy_from_slice(&changed[..size]);
    size
}

/// Adds one, takes one away, or changes a byte of one.
fn change<const N: usize>(all: &mut Vec<[u8; N]>, random: &mut Random) {
    let at = random.below(all.len() + 1);
    match random.below(4) {
        0 | 1 if all.len() < MOST => all.insert(at, random.bytes()),
        2 if at < all.len() => drop(all.remove(at)),
        _ if at < all.len() => all[at][random.below(N)] = random.bytes::<1>()[0],
        _ => {}
    }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        for (left, by) in [(true, 13), (false, 7), (true, 17)] {
            self.0 ^= if left { self.0 << by } else { self.0 >> by };
        }
        (self.0 >> 16) as usize % end
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.below(256) as u8)
    }
}
