//! An NBD server that says anything at all to the client.
//! Errors are fine; panics are bugs. Memory stays bounded, whatever lengths it claims.
#![no_main]

use std::io::{Read, Result, Write};

use libfuzzer_sys::fuzz_target;
use shale_disk::nbd::client::Handshake;

/// Says what it was given, and listens to nothing.
struct Server<'a>(&'a [u8]);

impl Read for Server<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Server<'_> {
    fn write(&mut self, buf: &[u8]) -> Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(handshake) = Handshake::begin(Server(data)) else { return };
    let Ok(mut client) = handshake.open("disk") else { return };
    let end = client.size().min(4 << 20);
    let _ = client.read_many([0..end / 2, end / 2..end], |at, bytes| {
        assert!(at + bytes.len() as u64 <= end);
        Ok(())
    });
});
