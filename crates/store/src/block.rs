//! Plain bytes to frames and back. A frame is verified on every way out.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::Location;
use crate::pack::{self, Coding, Entry};

/// Measured: `docs/decisions/0006-repository-format.md`.
const LEVEL: i32 = 1;

/// Makes frames; one per thread.
pub(crate) struct Packer {
    compressor: Compressor<'static>,
    scratch: Vec<u8>,
}

impl Packer {
    pub fn new() -> Result<Self> {
        let failed = |e| Error::io("cannot set up compression", e);
        let compressor = Compressor::new(LEVEL).map_err(failed)?;
        Ok(Self { compressor, scratch: vec![0; crate::BLOCK] })
    }

    /// Adds the frame of `plain`, a block or a page, to `out`. What does not shrink is its own frame. The entry's
    /// offset is for the pack to set.
    pub fn pack(&mut self, digest: Digest, plain: &[u8], page: bool, out: &mut Vec<u8>) -> Entry {
        // A buffer shorter than the plain bytes: compression gives up as soon as it does not pay.
        let room = &mut self.scratch[..plain.len() - 1];
        let (frame, coding) = match self.compressor.compress_to_buffer(plain, room) {
            Ok(length) => (&self.scratch[..length], if page { Coding::PageZstd } else { Coding::Zstd }),
            Err(_) => (plain, if page { Coding::PageRaw } else { Coding::Raw }),
        };
        out.extend_from_slice(frame);
        Entry { digest, offset: 0, length: frame.len() as u32, coding, sum: pack::sum(frame) }
    }
}

/// Unpacks and verifies a frame into `plain`, which has exactly its length.
pub(crate) fn unpack(location: &Location, frame: &[u8], plain: &mut [u8]) -> Result<()> {
    thread_local!(static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) });
    let Location { pack, entry } = location;
    let bad = |what| {
        Error::damaged(format!("{} at byte {} of pack {pack} is damaged: {what}", entry.digest, entry.offset))
    };
    if plain.len() != entry.coding.plain_length() || frame.len() != entry.length as usize {
        return Err(bad("it has another length than it should"));
    }
    if entry.coding.is_raw() {
        plain.copy_from_slice(frame);
    } else {
        let unpacked = DECOMPRESSOR.with_borrow_mut(|slot| {
            if slot.is_none() {
                *slot = Some(Decompressor::new()?);
            }
            let decompressor = slot.as_mut().expect("it was just put there");
            decompressor.decompress_to_buffer(frame, plain)
        });
        match unpacked {
            Ok(length) if length == plain.len() => {}
            Ok(_) => return Err(bad("it unpacks to another length")),
            Err(e) => return Err(bad("it does not unpack").with_source(e)),
        }
    }
    if Digest::of(plain) != entry.digest {
        return Err(bad("its bytes do not have its digest"));
    }
    Ok(())
}

/// Whether there is nothing but zeros.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 1024] = [0; 1024];
    bytes.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}
