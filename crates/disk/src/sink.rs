//! Where a format's bytes go, in order.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use crate::{Error, Result};

/// Takes a file's bytes from first to last.
pub trait Sink {
    /// The next bytes.
    fn data(&mut self, bytes: &[u8]) -> Result<()>;

    /// The next `length` bytes, all zero.
    fn zeros(&mut self, length: u64) -> Result<()>;

    /// There is no more.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A pipe, an HTTP body, anything that must see every byte: zeros are written.
#[derive(Debug)]
pub struct Stream<W>(pub W);

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl<W: Write> Sink for Stream<W> {
    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).map_err(|e| Error::io("cannot write the disk to its receiver", e))
    }

    fn zeros(&mut self, mut length: u64) -> Result<()> {
        while length > 0 {
            let part = length.min(ZEROS.len() as u64);
            self.data(&ZEROS[..part as usize])?;
            length -= part;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.0.flush().map_err(|e| Error::io("cannot write the disk to its receiver", e))
    }
}

/// Zeros this short are written: a hole would save nothing.
const SHORT: u64 = 4096;

/// A file in which zeros become holes.
#[derive(Debug)]
pub struct SparseFile {
    file: File,
    length: u64,
}

impl SparseFile {
    /// Empties `file` and writes from its start. Making it durable afterwards is the caller's.
    pub fn new(mut file: File) -> Result<Self> {
        let emptied = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0)));
        emptied.map_err(|e| Error::io("cannot empty the file to write the disk to", e))?;
        Ok(Self { file, length: 0 })
    }
}

impl Sink for SparseFile {
    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::io("cannot write the disk's file", e))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn zeros(&mut self, length: u64) -> Result<()> {
        if length <= SHORT {
            return self.data(&ZEROS[..length as usize]);
        }
        self.length += length;
        self.file
            .seek(SeekFrom::Start(self.length))
            .map_err(|e| Error::io("cannot leave a hole in the disk's file", e))?;
        Ok(())
    }

    /// Sets the length: the file may end in a hole.
    fn finish(&mut self) -> Result<()> {
        self.file.set_len(self.length).map_err(|e| Error::io("cannot set the length of the disk's file", e))
    }
}
