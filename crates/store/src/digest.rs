//! Names of what is stored: BLAKE3 digests of plain bytes, and the ids of versions.

use std::fmt;
use std::str::FromStr;

/// A BLAKE3 digest. All zero stands for "a hole": 64 KiB of zeros, or a page of the map without any data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// A hole. No content has this digest (to find one is to break BLAKE3).
    pub const HOLE: Self = Self([0; 32]);

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Whether this stands for a hole.
    pub fn is_hole(&self) -> bool {
        *self == Self::HOLE
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ();

    /// Exactly 64 lower-case hex digits.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(());
        }
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(drop)?;
            *byte = u8::from_str_radix(pair, 16).map_err(drop)?;
        }
        Ok(Self(digest))
    }
}

/// The name of a version: a UUID that its maker chose. Shown as `0198c0de-…` in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(pub [u8; 16]);

impl From<uuid::Uuid> for VersionId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.into_bytes())
    }
}

impl From<VersionId> for uuid::Uuid {
    fn from(id: VersionId) -> Self {
        Self::from_bytes(id.0)
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from(*self).hyphenated().fmt(f)
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VersionId {
    type Err = ();

    /// Hyphenated, lower case: the one form that names a file.
    fn from_str(text: &str) -> Result<Self, ()> {
        let id = Self::from(uuid::Uuid::try_parse(text).map_err(drop)?);
        if id.to_string() == text { Ok(id) } else { Err(()) }
    }
}
