//! Writing a VDI: anywhere, within its size and the repository's limit. Zeros become holes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate};
use shale_disk::{Error, ErrorKind, Result};
use uuid::Uuid;

use super::room::Room;

/// Zeros are looked for in pieces of this size, at multiples of it, in bytes.
const PIECE: u64 = 64 << 10;
static ZEROS: [u8; PIECE as usize] = [0; PIECE as usize];

/// A VDI open for writing.
#[derive(Debug)]
pub struct Writer {
    file: File,
    vdi: Uuid,
    size: u64,
    room: Arc<Room>,
}

impl Writer {
    pub(super) fn new(file: File, vdi: Uuid, room: Arc<Room>) -> Result<Self> {
        let size = file.metadata().map_err(|e| Error::io(format!("cannot examine VDI {vdi}"), e))?.len();
        Ok(Self { file, vdi, size, room })
    }

    /// Virtual size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes `bytes` at `offset`. Errs with [`ErrorKind::Io`], like the end of a block device, when they do not fit in
    /// the VDI (what fits is written), and with [`ErrorKind::Full`] when they do not fit in the repository.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let there = self.size.saturating_sub(offset).min(bytes.len() as u64);
        let (mut rest, beyond) = bytes.split_at(there as usize);
        let mut at = offset;
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at((PIECE - at % PIECE).min(rest.len() as u64) as usize);
            self.write_piece(piece, at)?;
            at += piece.len() as u64;
            rest = tail;
        }
        if !beyond.is_empty() {
            let what =
                format!("VDI {} ends at {}: {} bytes at {at} do not fit", self.vdi, self.size, beyond.len());
            return Err(Error::new(ErrorKind::Io, what));
        }
        Ok(())
    }

    /// Not more than [`PIECE`] bytes.
    fn write_piece(&self, piece: &[u8], offset: u64) -> Result<()> {
        let failed =
            |e| Error::io(format!("cannot write {} bytes at {offset} of VDI {}", piece.len(), self.vdi), e);
        if piece == &ZEROS[..piece.len()] {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            if fallocate(&self.file, flags, offset, piece.len() as u64).is_ok() {
                return Ok(());
            }
        }
        self.room.take(piece.len() as u64)?;
        self.file.write_all_at(piece, offset).map_err(failed)
    }
}
