//! An empty overlay for QEMU to write into.

use std::io::Write;
use std::path::Path;

use super::header::Written;
use super::{CLUSTER_BITS, MAX_L1_BYTES};
use crate::error::unsupported;
use crate::{Error, ErrorKind, Result};

const CLUSTER: u64 = 1 << CLUSTER_BITS;

/// Makes an empty version 3 overlay of `virtual_size` bytes on `backing`, which is written into it as it stands:
/// a path, or e.g. `nbd+unix:///?socket=/run/x.sock`; `backing_format` is QEMU's name (`raw`, `qcow2`).
///
/// The file appears whole or not at all, and is durable on return. An existing file is never replaced.
pub fn create_overlay(path: &Path, virtual_size: u64, backing: &str, backing_format: &str) -> Result<()> {
    let l1_entries = virtual_size.div_ceil(CLUSTER * (CLUSTER / 8));
    if virtual_size == 0 || !virtual_size.is_multiple_of(512) || l1_entries * 8 > MAX_L1_BYTES {
        return Err(unsupported(format!("an overlay cannot have {virtual_size} bytes")));
    }
    // Clusters: 0 header, 1 refcount table, 2 refcount block, 3… L1 table.
    let l1_clusters = (l1_entries * 8).div_ceil(CLUSTER);
    let used = (3 + l1_clusters) as usize;
    let header = Written {
        size: virtual_size,
        l1_offset: 3 * CLUSTER,
        l1_entries: l1_entries as u32,
        refcount_offset: CLUSTER,
        refcount_clusters: 1,
        zstd: false,
        backing: Some((backing, backing_format)),
    };
    let mut bytes = header.encode()?;
    bytes.extend((2 * CLUSTER).to_be_bytes());
    bytes.resize(2 * CLUSTER as usize, 0);
    bytes.extend(1u16.to_be_bytes().repeat(used));
    bytes.resize(used * CLUSTER as usize, 0);
    publish(path, &bytes)
}

/// Unique temporary file → write → fsync → name it, unless the name is taken → fsync the folder.
fn publish(path: &Path, bytes: &[u8]) -> Result<()> {
    let named = |e| Error::io(format!("cannot create '{}'", path.display()), e);
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new().prefix(".overlay-").tempfile_in(folder).map_err(named)?;
    file.write_all(bytes).map_err(named)?;
    file.as_file().sync_all().map_err(named)?;
    file.persist_noclobber(path).map_err(|e| match e.error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::new(ErrorKind::Io, format!("'{}' exists and is not replaced", path.display()))
                .with_source(e.error)
        }
        _ => named(e.error),
    })?;
    std::fs::File::open(folder).and_then(|f| f.sync_all()).map_err(named)
}
