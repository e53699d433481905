//! A value of a key, and what its bytes mean.

use super::name::Name;

/// Types of values.
pub mod kind {
    /// Text.
    pub const TEXT: u32 = 1;
    /// Text with names of variables in it.
    pub const EXPANDED_TEXT: u32 = 2;
    /// Bytes.
    pub const BINARY: u32 = 3;
    /// 32 bits, little-endian.
    pub const NUMBER: u32 = 4;
    /// Where a link leads.
    pub const LINK: u32 = 6;
    /// Texts.
    pub const TEXTS: u32 = 7;
    /// 64 bits, little-endian.
    pub const LONG_NUMBER: u32 = 11;
}

/// A value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Empty: the key's default value.
    pub name: Name,
    /// One of [`kind`], or any other number.
    pub kind: u32,
    /// As they are kept, with the zero behind a text, if it has one.
    pub data: Vec<u8>,
}

impl Value {
    /// A text, kept with the zero behind it.
    pub fn text(name: &str, text: &str) -> Self {
        let data = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        Self { name: name.into(), kind: kind::TEXT, data }
    }

    /// A number of 32 bits.
    pub fn number(name: &str, number: u32) -> Self {
        Self { name: name.into(), kind: kind::NUMBER, data: number.to_le_bytes().into() }
    }

    /// The text, up to its zero; `None`: it is none.
    pub fn as_text(&self) -> Option<String> {
        let is_text = [kind::TEXT, kind::EXPANDED_TEXT, kind::LINK].contains(&self.kind);
        is_text.then(|| {
            let units: Vec<u16> = self.units().take_while(|unit| *unit != 0).collect();
            String::from_utf16_lossy(&units)
        })
    }

    /// The texts, without empty ones (`PendingFileRenameOperations` has some: a file that is to be removed has no new name);
    /// `None`: it is none.
    pub fn as_texts(&self) -> Option<Vec<String>> {
        let units: Vec<u16> = self.units().collect();
        let texts = units.split(|unit| *unit == 0).filter(|text| !text.is_empty());
        (self.kind == kind::TEXTS).then(|| texts.map(String::from_utf16_lossy).collect())
    }

    /// The number; `None`: it is none.
    pub fn as_number(&self) -> Option<u64> {
        match self.kind {
            kind::NUMBER => Some(u32::from_le_bytes(self.data.as_slice().try_into().ok()?).into()),
            kind::LONG_NUMBER => Some(u64::from_le_bytes(self.data.as_slice().try_into().ok()?)),
            _ => None,
        }
    }

    fn units(&self) -> impl Iterator<Item = u16> {
        self.data.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_what_they_are() {
        assert_eq!(Value::text("a", "Grün").as_text().unwrap(), "Grün");
        assert_eq!(Value::text("a", "1").as_number(), None);
        assert_eq!(Value::number("a", 7).as_number(), Some(7));
        assert_eq!(Value { data: vec![1, 2], ..Value::number("a", 7) }.as_number(), None);
        let texts = Value { kind: kind::TEXTS, ..Value::text("a", "one\0\0two\0") };
        assert_eq!(texts.as_texts().unwrap(), ["one", "two"]);
        assert_eq!(Value { kind: kind::BINARY, ..texts }.as_texts(), None);
    }
}
