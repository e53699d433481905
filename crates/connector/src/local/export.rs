//! The process that serves a machine's origin by NBD: there exactly while it is needed.
//!
//! It is known in the process table by its socket's path as an argument of its own. When it dies under a running
//! machine, the guest's reads wait (see [`super::command`]) until it is started again on the same socket.

use std::fs;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::folder::{Folder, Record};
use super::process::{self, Process};
use crate::{Error, ErrorKind, Result, Tag};

/// How long it may take to start: one that ended is not waited for.
const START_PATIENCE: Duration = Duration::from_secs(40);

/// The machine's export, if it runs.
fn running(record: &Record) -> Result<Vec<Process>> {
    let socket = record.disk_socket();
    process::find(|args| args.iter().skip(1).any(|arg| arg.as_str() == socket.as_os_str()))
}

/// Every export of this tag, wherever its socket lies; for a machine whose record is gone.
pub(super) fn of_tag(tag: &Tag) -> Result<Vec<Process>> {
    let end = format!("/{tag}/disk.sock");
    process::find(|args| args.iter().skip(1).any(|arg| arg.starts_with('/') && arg.ends_with(&end)))
}

/// Whether the export runs and can be found by QEMU.
pub(super) fn is_running(record: &Record) -> Result<bool> {
    Ok(record.disk_socket().exists() && !running(record)?.is_empty())
}

/// Makes sure that the export takes connections. The machine's lock is held.
pub(super) fn ensure(folder: &Folder, record: &Record) -> Result<()> {
    let socket = record.disk_socket();
    let found = running(record)?;
    if !found.is_empty() && UnixStream::connect(&socket).is_ok() {
        return Ok(());
    }
    // One that does not answer is of no use: its socket was swept away, or it hangs.
    process::end(&found, Duration::from_secs(2))?;
    let _ = fs::remove_file(&socket);
    let mut args = record.serve.args.clone();
    args.extend(["--socket".to_owned(), socket.display().to_string()]);
    if !record.serve.program.is_file() {
        let what =
            format!("the program '{}', which serves the disk, is missing", record.serve.program.display());
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    process::start(&record.serve.program, &args, &folder.export_log())?;
    let deadline = Instant::now() + START_PATIENCE;
    while UnixStream::connect(&socket).is_err() {
        if Instant::now() > deadline || process::is_gone(|| running(record))? {
            let said = process::log_tail(&folder.export_log());
            let what =
                format!("the process that serves the disk of the machine did not start; it says: {said}");
            return Err(Error::new(ErrorKind::Io, what));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
