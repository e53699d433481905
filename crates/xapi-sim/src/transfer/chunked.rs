//! XenServer's own "chunked" raw upload (nothing to do with HTTP's): pieces of a disk, wherever they belong.
//!
//! ```text
//!   { offset u64 · length u32 · data } … offset 0 · length 0        little-endian, offset in bytes
//! ```

use std::io::Read;

use shale_disk::{Result, Watch};

use super::{PIECE, tell, unreadable};
use crate::storage::Writer;

/// Bytes before the data of a piece.
const HEAD: usize = 12;

/// Writes the pieces to the VDI; answers the bytes of the stream, heads included. A stream that ends without its last
/// mark is an error, after everything that came was written. What follows the mark is not read.
pub fn import_chunked(input: &mut dyn Read, vdi: &Writer, watch: Watch) -> Result<u64> {
    let mut buffer = vec![0; PIECE];
    let mut total = 0;
    loop {
        let mut head = [0; HEAD];
        input.read_exact(&mut head).map_err(unreadable)?;
        let (offset, length) = parse(head);
        total += HEAD as u64;
        if (offset, length) == (0, 0) {
            tell(watch, HEAD as u64)?;
            return Ok(total);
        }
        let (mut at, mut left) = (offset, length as usize);
        while left > 0 {
            let part = &mut buffer[..left.min(PIECE)];
            input.read_exact(part).map_err(unreadable)?;
            vdi.write_at(part, at)?;
            at = at.saturating_add(part.len() as u64); // nothing fits there, which the VDI says itself
            left -= part.len();
            tell(watch, part.len() as u64)?;
        }
        total += u64::from(length);
    }
}

/// Offset and length of a piece.
fn parse(head: [u8; HEAD]) -> (u64, u32) {
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    (number(&head[..8]), number(&head[8..]) as u32)
}
