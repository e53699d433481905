//! Names of keys and values: UTF-16, compared without case.
//!
//! Windows compares unit by unit after `RtlUpcaseUnicodeChar`, whose table it ships. Here the capital is that of Unicode
//! where it is one unit, but for letters whose capital is younger than that table or is another script's (a dotless i, a
//! long s and a micro sign stay what they are). Keys lie in a list in the order of their folded names.

use std::cmp::Ordering;
use std::fmt;

/// A name as Windows keeps it, which need not be valid Unicode. Equal means the same units; [`Name::folded`] is what is the
/// same to Windows.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Vec<u16>);

impl Name {
    /// Of these UTF-16 units.
    pub fn new(units: Vec<u16>) -> Self {
        Self(units)
    }

    /// Its UTF-16 units.
    pub fn units(&self) -> &[u16] {
        &self.0
    }

    /// What two names that Windows takes for one have in common.
    pub fn folded(&self) -> Self {
        Self(self.0.iter().map(|unit| fold(*unit)).collect())
    }

    /// Whether Windows takes the two for one.
    pub fn is(&self, other: &str) -> bool {
        self.0.iter().map(|unit| fold(*unit)).eq(other.encode_utf16().map(fold))
    }

    /// The bytes on the disk, one a unit where that is enough, and whether it is.
    pub(super) fn stored(&self) -> (Vec<u8>, bool) {
        match self.0.iter().map(|unit| u8::try_from(*unit).ok()).collect() {
            Some(narrow) => (narrow, true),
            None => (self.0.iter().flat_map(|unit| unit.to_le_bytes()).collect(), false),
        }
    }

    /// What a hash leaf keeps of it.
    pub(super) fn hash(&self) -> u32 {
        self.0.iter().fold(0, |hash: u32, unit| hash.wrapping_mul(37).wrapping_add(fold(*unit).into()))
    }

    /// What a fast leaf keeps of it: four characters, if they are one byte each.
    pub(super) fn hint(&self) -> [u8; 4] {
        let mut hint = [0; 4];
        for (byte, unit) in hint.iter_mut().zip(&self.0) {
            match u8::try_from(*unit) {
                Ok(narrow) => *byte = narrow,
                Err(_) => return [0; 4],
            }
        }
        hint
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.encode_utf16().collect())
    }
}

impl fmt::Display for Name {
    /// For people: what is not valid is replaced, what is no character is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in String::from_utf16_lossy(&self.0).chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

/// A name where it lies in a hive.
#[derive(Clone, Copy)]
pub(super) struct Stored<'a> {
    /// Its bytes; a whole number of units.
    pub bytes: &'a [u8],
    /// One byte a unit.
    pub narrow: bool,
}

impl Stored<'_> {
    fn units(&self) -> impl Iterator<Item = u16> {
        let width = if self.narrow { 1 } else { 2 };
        self.bytes.chunks_exact(width).map(|unit| match unit {
            [low, high] => u16::from_le_bytes([*low, *high]),
            other => other.first().copied().map_or(0, u16::from),
        })
    }

    pub fn name(&self) -> Name {
        Name(self.units().collect())
    }

    /// How it stands to `folded` in a list.
    pub fn order(&self, folded: &Name) -> Ordering {
        self.units().map(fold).cmp(folded.0.iter().copied())
    }

    pub fn has_backslash(&self) -> bool {
        self.units().any(|unit| unit == u16::from(b'\\'))
    }
}

/// A unit as it is compared without case: file names of NTFS go by the same table.
pub(crate) fn fold(unit: u16) -> u16 {
    match unit {
        0x61..=0x7a => unit - 0x20,
        0..=0x7f => unit,
        // µ, ı, ſ; Georgian, Cherokee and Latin letters whose capitals came after the table.
        0xb5 | 0x131 | 0x17f | 0x10d0..=0x10ff | 0x13f8..=0x13fd | 0xab53 | 0xab70..=0xabbf => unit,
        _ => capital(unit).unwrap_or(unit),
    }
}

/// Its capital, if it has one that is one unit.
fn capital(unit: u16) -> Option<u16> {
    let mut capital = char::from_u32(unit.into())?.to_uppercase();
    let first = capital.next()?;
    if capital.next().is_some() { None } else { u16::try_from(u32::from(first)).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_in_more_than_case_or_are_one() {
        for (a, b, same) in [
            ("Software", "SOFTWARE", true),
            ("Ärger", "äRGER", true),
            ("Яндекс", "яНДЕКС", true),
            ("straße", "STRASSE", false),
            ("ı", "I", false),
            ("a", "ab", false),
        ] {
            assert_eq!(Name::from(a).is(b), same, "{a} {b}");
            assert_eq!(Name::from(a).folded() == Name::from(b).folded(), same, "{a} {b}");
        }
    }

    #[test]
    fn a_name_is_kept_in_one_byte_a_unit_where_that_is_enough() {
        for text in ["", "abc", "Ärger", "Яндекс", "a😀"] {
            let name = Name::from(text);
            let (bytes, narrow) = name.stored();
            assert_eq!(narrow, text.chars().all(|c| u32::from(c) < 256), "{text}");
            assert_eq!(Stored { bytes: &bytes, narrow }.name(), name);
        }
    }

    #[test]
    fn lists_are_searched_by_hash_and_hint() {
        assert_eq!(Name::from("ab").hash(), 37 * u32::from(b'A') + u32::from(b'B'));
        assert_eq!(Name::from("Classes").hint(), *b"Clas");
        assert_eq!(Name::from("Яndex").hint(), [0; 4]);
    }
}
