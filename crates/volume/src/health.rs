//! Whether a file system was left as it should be, before anybody reads its files.
//!
//! | health | ext | NTFS | FAT |
//! |---|---|---|---|
//! | in use | the journal must be replayed | `$LogFile` is open | marked as mounted |
//! | hibernated | – | `hiberfil.sys` holds a system that goes on (also fast start-up) | – |
//! | to be checked | errors are noted, or it was not unmounted (without a journal) | marked dirty, or not understood | errors are noted |
//!
//! Sources: the kernel's documentation, `filesystems/ext4`; for NTFS the rules are those of ntfs-3g, see `ntfs.rs`.

use shale_disk::{Disk, Result};

use crate::bytes::Stretch;
use crate::free::Unknown;
use crate::known::{Known, Volume};
use crate::{ext4, fat, ntfs};

/// How a file system was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// As it should be; or it is of a kind whose health is not known.
    Clean,
    /// It was in use when the machine was powered off, for the reason told.
    InUse(String),
    /// Windows sleeps in it.
    Hibernated(String),
    /// It asks to be checked by its own tool, for the reason told.
    CheckNeeded(String),
}

/// How the file system of `volume` was left. The only error is a disk that cannot be read.
pub fn health(disk: &dyn Disk, volume: &Volume) -> Result<Health> {
    let end = volume.range.end.min(disk.size());
    let stretch =
        Stretch { disk, offset: volume.range.start, length: end.saturating_sub(volume.range.start) };
    let found = match volume.known {
        Known::Ext => ext4::health(&stretch),
        Known::Ntfs => ntfs::health(&stretch),
        Known::Fat => fat::health(&stretch),
        _ => return Ok(Health::Clean),
    };
    match found {
        Ok(health) => Ok(health),
        Err(Unknown::Because(why)) => Ok(Health::CheckNeeded(why)),
        Err(Unknown::Unreadable(e)) => Err(e),
    }
}
