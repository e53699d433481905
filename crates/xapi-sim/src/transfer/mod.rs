//! Disk images in and out of a VDI, over any stream: what `/import_raw_vdi` and `/export_raw_vdi` carry.
//!
//! ```text
//!   format    import                                        export
//!   raw       plain bytes; or chunks, which leave holes      plain bytes, holes as zeros
//!   vhd       dynamic or differencing, over what is there    full, or what differs from a base
//!   tar       –                                              pieces of 1 MiB with their checksums
//! ```
//!
//! Every transfer tells `watch` the bytes that went over the stream, and stops when told so. Errors have these kinds:
//! `Full` (the repository is full), `Stopped`, and else what a real server calls a VDI I/O error.

mod chunked;
mod raw;
mod tar;
mod vhd;

use std::ops::ControlFlow;

use shale_disk::{Error, ErrorKind, Result, Watch};

pub use chunked::import_chunked;
pub use raw::{export_raw, import_raw};
pub use tar::export_tar;
pub use vhd::{Parent, VhdExport, import_vhd};

/// What is held in memory of a stream, in bytes.
const PIECE: usize = 1 << 20;

/// Reports bytes; errs when the caller wants to stop.
fn tell(watch: Watch, bytes: u64) -> Result<()> {
    match watch(bytes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::new(ErrorKind::Stopped, "the transfer was stopped as asked")),
    }
}

/// An error of the stream that comes in.
fn unreadable(source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            Error::new(ErrorKind::Corrupt, "the upload ended before it was whole: send it again")
                .with_source(source)
        }
        _ => Error::io("cannot read the upload", source),
    }
}

/// An error of the stream that goes out.
fn unwritable(source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot send the disk to its receiver").with_source(source)
}

#[cfg(test)]
mod tests;
