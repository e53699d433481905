//! Names of NTFS (UTF-16, little-endian, maybe with a lone surrogate) as bytes, and back without loss.
//!
//! A lone surrogate becomes the three bytes that UTF-8 would give its number ("WTF-8"), which no valid UTF-8 contains.

/// `None` where `wide` has an odd number of bytes.
pub(super) fn from_wide(wide: &[u8]) -> Option<Vec<u8>> {
    if !wide.len().is_multiple_of(2) {
        return None;
    }
    let units = wide.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let mut name = Vec::with_capacity(wide.len());
    for part in char::decode_utf16(units) {
        match part {
            Ok(c) => name.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            Err(lone) => {
                let unit = lone.unpaired_surrogate();
                name.extend([
                    0xe0 | (unit >> 12) as u8,
                    0x80 | (unit >> 6 & 0x3f) as u8,
                    0x80 | (unit & 0x3f) as u8,
                ]);
            }
        }
    }
    Some(name)
}

/// `None` where `name` is not what [`from_wide`] makes.
pub(super) fn to_wide(name: &[u8]) -> Option<Vec<u8>> {
    let mut units = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let valid = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(e) => std::str::from_utf8(&rest[..e.valid_up_to()]).ok()?,
        };
        units.extend(valid.encode_utf16());
        rest = &rest[valid.len()..];
        if let [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, after @ ..] = rest {
            units.push(0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f));
            rest = after;
        } else if !rest.is_empty() {
            return None;
        }
    }
    let wide: Vec<u8> = units.into_iter().flat_map(u16::to_le_bytes).collect();
    // Two lone surrogates that make a pair are not how that character is written.
    (from_wide(&wide).as_deref() == Some(name)).then_some(wide)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_wide_name_survives(units in prop::collection::vec(
            prop_oneof![any::<u16>(), 0xd800u16..0xe000], 0..20)) {
            let wide: Vec<u8> = units.into_iter().flat_map(u16::to_le_bytes).collect();
            let name = from_wide(&wide).unwrap();
            prop_assert_eq!(to_wide(&name), Some(wide));
        }

        #[test]
        fn bytes_are_a_name_only_where_they_come_from_one(name in prop::collection::vec(any::<u8>(), 0..12)) {
            if let Some(wide) = to_wide(&name) {
                prop_assert_eq!(from_wide(&wide), Some(name));
            }
        }
    }
}
