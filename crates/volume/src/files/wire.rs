//! Messages to and from `shale-files`: `c/wire.h` describes them.

use shale_disk::{Error, ErrorKind, Result};

pub(crate) const OPEN: u8 = 1;
/// Opens FAT to read all of it, where 1 opens to write.
pub(crate) const READ_ALL: u8 = 2;
pub(crate) const FOLDER: u8 = 2;
pub(crate) const ENTRY: u8 = 3;
pub(crate) const MAP: u8 = 4;
pub(crate) const READ: u8 = 5;
pub(crate) const MAKE: u8 = 6;
pub(crate) const LINK: u8 = 7;
pub(crate) const REMOVE: u8 = 8;
pub(crate) const DESCRIBE: u8 = 9;
pub(crate) const SIZE: u8 = 10;
pub(crate) const WRITE: u8 = 11;
pub(crate) const CLOSE: u8 = 12;
pub(crate) const GROW: u8 = 13;

/// Largest request and answer, as in `c/wire.h`.
pub(crate) const REQUEST_LIMIT: usize = 2 << 20;
pub(crate) const ANSWER_LIMIT: usize = 32 << 20;
/// Most entries of a folder in one answer.
pub(crate) const PART_LIMIT: usize = 32_768;

/// A request that is being made.
pub(crate) struct Request(Vec<u8>);

impl Request {
    pub fn new(operation: u8) -> Self {
        Self(vec![0, 0, 0, 0, operation])
    }

    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(bytes.len() as u32).put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    pub fn operation(&self) -> u8 {
        self.0[4]
    }

    /// The message, its length in front.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        let length = self.0.len() - 4;
        if self.0.len() > REQUEST_LIMIT {
            let text = "an entry has more metadata, or is in more pieces, than is written here";
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        self.0[..4].copy_from_slice(&(length as u32).to_le_bytes());
        Ok(self.0)
    }
}

/// The fields of an answer, or of a request, that is being taken apart. It may be a lie.
pub(crate) struct Answer {
    bytes: Vec<u8>,
    at: usize,
}

impl Answer {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes of all of it.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn bytes(&mut self) -> Result<&[u8]> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| nonsense())
    }

    fn take(&mut self, length: usize) -> Result<&[u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or_else(nonsense)?;
        let part = &self.bytes[self.at..end];
        self.at = end;
        Ok(part)
    }
}

/// An answer that the program would not give: the file system may have taken it over.
pub(crate) fn nonsense() -> Error {
    let text = "the program that reads file systems gave an answer that makes no sense: the disk may be made to mislead it";
    Error::new(ErrorKind::Corrupt, text)
}
