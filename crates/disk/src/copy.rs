//! A disk into a raw file, as fast as the device takes it.
//!
//! The page cache takes about 0.7 GB/s on common machines, which is less than most devices and than decompression
//! on two cores. So the data goes past it where the file system allows (O_DIRECT), several writes at once.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::export::tell;
use crate::file::{ALIGN, direct};
use crate::plan::{Piece, part};
use crate::{Disk, Error, Result, Watch};

/// Writes `disk` into `file` with `threads` threads (8 keep a device busy): data only, all else is left a hole.
/// What the file held before is dropped. Making it durable is the caller's. `watch` is told bytes of data.
pub fn copy_to_file(disk: &dyn Disk, file: &File, threads: usize, watch: Watch) -> Result<()> {
    let sized = file.set_len(0).and_then(|()| file.set_len(disk.size()));
    sized.map_err(|e| Error::io("cannot set the size of the file to copy the disk to", e))?;
    let target = Target {
        file,
        direct: direct(file, OpenOptions::new().write(true)),
        refused: AtomicBool::new(false),
    };
    let pieces = Mutex::new(part(disk, 0, disk.size()));
    let failed = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut buffer = Vec::new();
                while let Some(piece) = next_piece(&pieces, &failed) {
                    let done = piece.and_then(|piece| target.copy(disk, piece, &mut buffer));
                    if let Err(e) = done.and_then(|length| tell(watch, length)) {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// The next piece, unless there are none or something failed.
fn next_piece<I: Iterator<Item = Result<Piece>>>(
    pieces: &Mutex<I>,
    failed: &Mutex<Option<Error>>,
) -> Option<Result<Piece>> {
    if failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
        return None;
    }
    pieces.lock().unwrap_or_else(PoisonError::into_inner).next()
}

struct Target<'a> {
    file: &'a File,
    direct: Option<File>,
    /// The file system opened the file for direct writes, yet does not take them.
    refused: AtomicBool,
}

impl Target<'_> {
    /// Reads a piece and writes it; answers its data bytes.
    fn copy(&self, disk: &dyn Disk, piece: Piece, buffer: &mut Vec<u8>) -> Result<u64> {
        let Piece::Copy { offset, length } = piece else { return Ok(0) };
        // Grown to whole blocks: what is added reads as it must read there, so that two pieces that meet in a
        // block write the same.
        let start = offset - offset % ALIGN;
        let end = (offset + length).next_multiple_of(ALIGN).min(disk.size());
        buffer.resize((end - start + ALIGN) as usize, 0);
        let skip = buffer.as_ptr().align_offset(ALIGN as usize);
        let bytes = &mut buffer[skip..skip + (end - start) as usize];
        disk.read_at(bytes, start)?;
        self.write(bytes, start).map_err(|e| {
            Error::io(format!("cannot write {} bytes at {start} of the disk's file", bytes.len()), e)
        })?;
        Ok(length)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        if let Some(direct) = &self.direct
            && (bytes.len() as u64).is_multiple_of(ALIGN)
            && !self.refused.load(Ordering::Relaxed)
        {
            match direct.write_all_at(bytes, offset) {
                Err(e) if e.kind() == std::io::ErrorKind::InvalidInput => {
                    self.refused.store(true, Ordering::Relaxed);
                }
                done => return done,
            }
        }
        self.file.write_all_at(bytes, offset)
    }
}
