//! What is in a machine's CD drive.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::command::CD;
use super::folder::{self, Folder, Record};
use super::power::ANSWER_PATIENCE;
use super::qmp::Qmp;
use crate::{Error, Result};

/// Lays the image into the machine's folder, or takes away what lies there. The machine's lock is held.
pub(super) fn place(folder: &Folder, image: Option<&Path>) -> Result<()> {
    let place = folder.cd();
    let failed = |e| Error::io(format!("the CD '{}' cannot be changed", place.display()), e);
    let Some(image) = image else {
        return match fs::remove_file(&place) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(e)),
            _ => folder::sync_folder(&folder.path),
        };
    };
    let new = folder.path.join("cd.iso.new");
    // Left by a try that was cut off; a link does not replace it.
    let _ = fs::remove_file(&new);
    if fs::hard_link(image, &new).is_err() {
        // It lies on another file system.
        fs::copy(image, &new).and_then(|_| fs::File::open(&new)?.sync_all()).map_err(failed)?;
    }
    fs::rename(&new, &place).map_err(failed)?;
    folder::sync_folder(&folder.path)
}

/// Puts what lies in the folder into the drive of a machine that runs. A guest that has locked its drive is not asked:
/// files are read-only, and nothing is lost.
pub(super) fn change(folder: &Folder, record: &Record) -> Result<()> {
    let mut qmp = Qmp::connect(&record.qmp_socket(), ANSWER_PATIENCE)?;
    let changed = match folder.cd().exists() {
        true => qmp.execute(
            "blockdev-change-medium",
            json!({ "id": CD, "filename": folder.cd(), "format": "raw", "read-only-mode": "read-only", "force": true }),
        ),
        false => qmp.execute("eject", json!({ "id": CD, "force": true })),
    };
    changed.map(drop).map_err(|e| {
        let text = format!(
            "the CD of the machine '{}' is changed when it is next powered on, but not now",
            record.spec.name
        );
        Error::new(e.kind(), text).with_source(e)
    })
}
