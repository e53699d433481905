//! Files that Windows encrypted for an account (EFS, on NTFS): nobody can read them here, and in no other machine.
//!
//! | such a file | then |
//! |---|---|
//! | is what it was | nothing of it is needed: it may be moved to where no file was, removed, described anew |
//! | is new, has other content, keys or names | no layer is made, with what to do |
//! | was decrypted, or an ordinary one took its place | it is an ordinary file, and new |
//!
//! That it is what it was is told by what lies on the disk, without reading what it means. The mark on a *folder* says only that Windows is
//! to encrypt what is made in it; no layer brings that mark, or takes it away.

use shale_disk::{Error, ErrorKind, Result};

use crate::diff::bits;
use crate::files::{Entry, Kind, Map, show};

/// Of an entry's attributes.
pub(crate) const BIT: u32 = 0x4000;
/// A sum of a file's keys, which is there to be compared.
pub(crate) const KEYS: &[u8] = b"system.ntfs_efs_sum";
/// Files that are named in one error.
const NAMED: usize = 8;

/// Whether it is an encrypted file.
pub(crate) fn is_encrypted(entry: &Entry) -> bool {
    entry.kind == Kind::File && bits(&entry.attributes) & BIT != 0
}

/// Whether it is a folder in which Windows encrypts what is new.
pub(crate) fn encrypts(entry: &Entry) -> bool {
    entry.kind == Kind::Folder && bits(&entry.attributes) & BIT != 0
}

/// Whether neither is encrypted, or both are, with the same keys.
pub(crate) fn is_alike(old: &Entry, entry: &Entry) -> bool {
    is_encrypted(old) == is_encrypted(entry) && old.attributes.get(KEYS) == entry.attributes.get(KEYS)
}

/// The map of an encrypted stream, by which it is read as it lies there: whole sectors. What lies among metadata can be read as it is.
pub(crate) fn as_it_lies(map: Map) -> Map {
    if map.in_record {
        return map;
    }
    let size = map.pieces.last().map_or(0, |last| last.logical + last.length);
    Map { direct: true, size, ..map }
}

/// What of it a comparison came across.
#[derive(Default)]
pub(crate) struct Encrypted {
    /// Files whose content would be needed.
    pub files: Vec<Vec<u8>>,
    /// Folders that became such in which Windows encrypts what is new.
    pub folders: Vec<Vec<u8>>,
}

impl Encrypted {
    /// The folders, where there are no files.
    pub fn without_files(self) -> Result<Vec<Vec<u8>>> {
        match &self.files[..] {
            [] => Ok(self.folders),
            [first, ..] => Err(refused(first, &self.files)),
        }
    }
}

/// Why no layer can have these files.
fn refused(first: &[u8], paths: &[Vec<u8>]) -> Error {
    let named: Vec<_> = paths.iter().take(NAMED).map(|path| format!("'/{}'", show(path))).collect();
    let first = String::from_utf8_lossy(first).replace('/', "\\").replace(char::is_control, "?");
    let named = match paths.len() {
        count if count > NAMED => format!("{} and {} more", named.join(", "), count - NAMED),
        _ => named.join(", "),
    };
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "encrypted with EFS, and new, changed or moved: {named}. In a layer only the account that encrypted it, on that machine, could read \
             such a file. Start the machine, decrypt each (cipher /d \"C:\\{first}\") or delete it, and run Shutdown For Finalize again"
        ),
    )
}
