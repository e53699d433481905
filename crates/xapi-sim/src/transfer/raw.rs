//! Raw: the bytes of the disk in order.

use std::io::{ErrorKind, Read, Write};

use shale_disk::{Disk, Format, Result, Sink, Watch, export};

use super::{PIECE, tell, unreadable, unwritable};
use crate::storage::Writer;

/// Writes what comes in to the VDI from its start, until the stream ends; answers the bytes. Fewer than the VDI has are
/// fine, as with a real server: what lies behind them stays. More are an error, after the VDI was written.
pub fn import_raw(input: &mut dyn Read, vdi: &Writer, watch: Watch) -> Result<u64> {
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    loop {
        let length = fill(input, &mut buffer)?;
        vdi.write_at(&buffer[..length], at)?;
        at += length as u64;
        tell(watch, length as u64)?;
        if length < buffer.len() {
            return Ok(at);
        }
    }
}

/// Reads until the buffer is full or the stream ends.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(e)),
        }
    }
    Ok(filled)
}

/// Sends the whole disk: as many bytes as it has.
pub fn export_raw(disk: &dyn Disk, output: &mut dyn Write, watch: Watch) -> Result<()> {
    let mut sink = Told { output, watch };
    export(disk, Format::Raw, &mut sink, &|_| std::ops::ControlFlow::Continue(()))?;
    output.flush().map_err(unwritable)
}

/// Sends all bytes and tells how many, holes included.
struct Told<'a> {
    output: &'a mut dyn Write,
    watch: Watch<'a>,
}

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl Sink for Told<'_> {
    fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.output.write_all(bytes).map_err(unwritable)?;
        tell(self.watch, bytes.len() as u64)
    }

    fn zeros(&mut self, length: u64) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let part = left.min(ZEROS.len() as u64);
            self.data(&ZEROS[..part as usize])?;
            left -= part;
        }
        Ok(())
    }
}
