//! Marvin32, the hash of entries in logs of hives (published in the sources of .NET as `Marvin.cs`), with the seed that
//! Windows uses there.

/// The seed, its lower half first.
const SEED: (u32, u32) = (0x7a4e_55c5, 0x82ef_4d88);

/// The hash of these bytes: the lower half of the number is the one that entries keep first.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut state = SEED;
    let words = bytes.chunks_exact(4);
    let rest = words.remainder();
    for word in words {
        mix(&mut state, u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    }
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    mix(&mut state, u32::from_le_bytes(last));
    mix(&mut state, 0);
    u64::from(state.1) << 32 | u64::from(state.0)
}

fn mix((low, high): &mut (u32, u32), word: u32) {
    *low = low.wrapping_add(word);
    *high ^= *low;
    *low = low.rotate_left(20).wrapping_add(*high);
    *high = high.rotate_left(9) ^ *low;
    *low = low.rotate_left(27).wrapping_add(*high);
    *high = high.rotate_left(19);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_real_logs() {
        // Entries of real logs are in tests/hive_log.rs; these are short ones, folded to 32 bits.
        for (text, expected) in [("", 0xb008_92ac_u32), ("h", 0xf41a_608e), ("hell", 0x7f91_e021)] {
            let hash = hash(text.as_bytes());
            assert_eq!((hash >> 32) as u32 ^ hash as u32, expected, "{text}");
        }
    }
}
