//! Which volume of a disk holds the operating system: layers are about its files, and about nothing else on the disk.
//!
//! ```text
//!   disk ─▶ volumes ─┬─ ext, NTFS: looked into ─▶ one has an operating system ─▶ OsVolume
//!                    │                            none, or several            ─▶ an error that says what was found
//!                    └─ LUKS, LVM, XFS, …: named in that error
//! ```

use std::ops::Range;
use std::sync::Arc;

use shale_disk::{Disk, Error, ErrorKind, Result};

use crate::exclude::Family;
use crate::files::Files;
use crate::files::Program;
use crate::known::{Known, Volume, volumes};

/// The volume of a disk that holds its operating system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsVolume {
    /// Bytes of the disk.
    pub range: Range<u64>,
    /// [`Known::Ext`] or [`Known::Ntfs`].
    pub known: Known,
    /// Of the operating system.
    pub family: Family,
}

/// The volume of `disk` that holds an operating system. A disk without one, with several, and one whose volumes cannot be
/// looked into (encrypted, LVM, XFS, not left cleanly) is refused with what was found.
pub fn os_volume(program: &Program, disk: &Arc<dyn Disk>) -> Result<OsVolume> {
    let volumes = volumes(&**disk)?;
    let mut found = Vec::new();
    let mut unopened = None;
    for (number, volume) in (1..).zip(&volumes) {
        if !matches!(volume.known, Known::Ext | Known::Ntfs) {
            continue;
        }
        match family(program, disk, volume) {
            Ok(Some(family)) => {
                found.push((number, OsVolume { range: volume.range.clone(), known: volume.known, family }));
            }
            Ok(None) => {}
            Err(e) if e.kind() == ErrorKind::Io => return Err(e),
            Err(e) => unopened = unopened.or(Some((number, e))),
        }
    }
    match (found.len(), unopened) {
        (0, Some((number, e))) => {
            let text = format!("no operating system can be found: partition {number} cannot be read");
            Err(Error::new(e.kind(), text).with_source(e))
        }
        (0, None) => Err(none(&volumes)),
        (1, _) => Ok(found.remove(0).1),
        _ => {
            let places: Vec<String> =
                found.iter().map(|(number, os)| format!("{} in partition {number}", os.family)).collect();
            let places = places.join(", ");
            Err(unsupported(format!(
                "the disk holds more than one operating system ({places}): a layer is of one"
            )))
        }
    }
}

fn family(program: &Program, disk: &Arc<dyn Disk>, volume: &Volume) -> Result<Option<Family>> {
    let mut files = Files::open(program, disk.clone(), volume.range.clone())?;
    let family = Family::of(&mut files)?;
    files.close()?;
    Ok(family)
}

/// Why there is none: what could hold it but is not read comes first.
fn none(volumes: &[Volume]) -> Error {
    let is_read = |known: Known| {
        matches!(known, Known::Ext | Known::Ntfs | Known::Fat | Known::ExFat | Known::Swap | Known::Unknown)
    };
    match (1..).zip(volumes).find(|(_, volume)| !is_read(volume.known)) {
        Some((number, volume)) => {
            let e = volume.known.refused();
            let text = format!(
                "no operating system can be found: partition {number} holds {}, and only ext2, ext3, ext4 and NTFS are read",
                volume.known
            );
            Error::new(e.kind(), text).with_source(e)
        }
        None => unsupported(
            "the disk holds no operating system that is known: Linux on ext2, ext3 or ext4, or Windows on NTFS"
                .to_owned(),
        ),
    }
}

fn unsupported(text: String) -> Error {
    Error::new(ErrorKind::Unsupported, text)
}
