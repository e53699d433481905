//! Reads and writes file systems in a disk that it is shown over a socket, and can do nothing else.
//!
//! ```text
//!   start ──▶ limits ──▶ filter of system calls ──▶ requests on descriptor 0 ──▶ end, when the socket is closed
//! ```
//!
//! The disk was written by a stranger and is parsed by libraries in C. So before the first byte is read this process
//! gives up everything but its socket and memory ([`lock`]).

mod lock;

use std::io::{Read, Result, Write};
use std::process::ExitCode;

use rustix::stdio::stdin;

/// The status that says so; the caller knows it.
const NOT_LOCKED: u8 = 5;
/// As `c/wire.h` has it.
const BAD_MESSAGE: u8 = 4;

#[allow(unsafe_code)]
mod c {
    unsafe extern "C" {
        /// `c/serve.c`: answers requests on descriptor 0 until it is closed.
        pub safe fn files_serve();
    }
}

/// Descriptor 0, the only one that may be used.
#[derive(Clone, Copy)]
struct Socket;

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        Ok(rustix::io::read(stdin(), bytes)?)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        Ok(rustix::io::write(stdin(), bytes)?)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

fn main() -> ExitCode {
    if let Err(e) = lock::lock() {
        eprintln!("shale-files cannot give up its rights, so it does not begin: {e}");
        return ExitCode::from(NOT_LOCKED);
    }
    if std::env::args_os().nth(1).is_some_and(|kind| kind == "fat") {
        let ended = shale_volume::fat::serve(Socket);
        return if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(BAD_MESSAGE) };
    }
    c::files_serve();
    ExitCode::SUCCESS
}
