//! The changed blocks of a disk as a pool tells them: a bit for each 64 KiB, most significant first, in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Error, ErrorKind, Result};

/// Bytes of a disk for each bit.
const UNIT: u64 = 64 << 10;

/// The changed stretches of a disk of `size` bytes: (first byte, bytes), in order.
pub(super) fn changed(text: &str, size: u64) -> Result<Vec<(u64, u64)>> {
    let wrong =
        |why: String| Error::new(ErrorKind::Io, format!("the pool's list of changed blocks is wrong: {why}"));
    let packed: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let bits = STANDARD.decode(packed).map_err(|e| wrong(e.to_string()))?;
    let units = size.div_ceil(UNIT);
    if (bits.len() as u64) < units.div_ceil(8) {
        return Err(wrong(format!("{} bytes cannot be enough for {size}", bits.len())));
    }
    let is_set = |unit: &u64| bits[(unit / 8) as usize] & (0x80 >> (unit % 8)) != 0;
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for unit in (0..units).filter(is_set) {
        let (start, end) = (unit * UNIT, ((unit + 1) * UNIT).min(size));
        match runs.last_mut() {
            Some((first, length)) if *first + *length == start => *length += end - start,
            _ => runs.push((start, end - start)),
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_read_from_the_most_significant_on_and_joined() {
        let text = STANDARD.encode([0b1100_0001, 0b1000_0000]);
        let k = UNIT;
        assert_eq!(changed(&text, 10 * k).unwrap(), [(0, 2 * k), (7 * k, 2 * k)]);
        // The last unit is cut where the disk ends; what is set beyond means nothing.
        assert_eq!(changed(&text, 8 * k + 512).unwrap(), [(0, 2 * k), (7 * k, k + 512)]);
        assert_eq!(changed(&STANDARD.encode([0xff]), k).unwrap(), [(0, k)]);
    }

    #[test]
    fn a_list_that_is_too_short_or_no_base64_is_refused() {
        assert!(changed("", 1).is_err());
        assert!(changed(&STANDARD.encode([0; 2]), 17 * UNIT).is_err());
        assert!(changed("!", UNIT).is_err());
    }
}
