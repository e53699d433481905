//! `shaled export-disk`: serves one version to one packaging machine by NBD, in a process of its own.
//!
//! A packaging machine reads its base disk through this process for as long as it lives, whether or not the server
//! runs. It opens the repository for reading and holds no lock: what it reads belongs to a version that is in use.

use crate::stored::StoredDisk;
use anyhow::{Context, Result};
use shale_store::Repository;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use uuid::Uuid;

/// What to serve, and where.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The repository's directory.
    #[arg(long)]
    repository: PathBuf,
    /// The version to serve.
    #[arg(long)]
    version_id: Uuid,
    /// Bytes of the disk, at least the version's own size; what is beyond it is empty.
    #[arg(long)]
    size: u64,
    /// The unix socket to listen on.
    #[arg(long)]
    socket: PathBuf,
}

/// Serves until the process is killed.
pub fn run(args: &Args) -> Result<()> {
    let repository = Repository::open(&args.repository)?;
    let version = repository.version(args.version_id.into())?;
    let disk = shale_disk::table::grown(Arc::new(StoredDisk(version)), args.size)?;
    let listener =
        listen(&args.socket).with_context(|| format!("cannot listen on {}", args.socket.display()))?;
    let name = args.version_id.to_string();
    shale_disk::nbd::serve(listener, disk, &name, &AtomicBool::new(false))?;
    Ok(())
}

/// Takes the socket over from a process that is gone.
fn listen(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => UnixListener::bind(path),
    }
}
