//! `export_version`: a version becomes a disk image on this host, in any format.
//!
//! ```text
//!             beside it, a name of the task's own     destination
//!   write     image, durable                          old file, or none
//!   commit    old file, or none                       image               one rename
//!   clear     none                                    image
//! ```
//!
//! The destination is either what it was, or the whole image; what it was comes back when the task turns back.

use super::{OrFail, sentence};
use crate::stored::{StoredDisk, StoredFrames};
use crate::world::World;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shale_disk::{Format, Sink, SparseFile};
use shale_task::{Context, Kind, Outcome, Step, StepError};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use uuid::Uuid;

/// What an export must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportInput {
    /// The version.
    pub version_id: Uuid,
    /// A format's name.
    pub format: String,
    /// Where the image goes: absolute, on this host.
    pub path: PathBuf,
    /// Whether a file that is there may be replaced.
    pub overwrite: bool,
}

pub(super) fn kind() -> Kind<World> {
    Kind::new("export_version", vec![Box::new(Write), Box::new(Commit), Box::new(Clear)])
}

fn part(input: &ExportInput, cx: &Context) -> PathBuf {
    input.path.with_file_name(format!(".shale-export-{}.part", cx.task()))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// I/O errors of an export: a full disk and a missing folder do not pass by themselves.
fn file_error(what: &str, path: &Path, e: std::io::Error) -> StepError {
    use std::io::ErrorKind as Io;
    let never = matches!(
        e.kind(),
        Io::StorageFull | Io::QuotaExceeded | Io::NotFound | Io::PermissionDenied | Io::ReadOnlyFilesystem
    ) || e.kind() == Io::AlreadyExists;
    let text = sentence(&format!("{what} {}: {e}", path.display()));
    if never { StepError::never(text) } else { StepError::later(text) }
}

/// Writes a stored version into `file` in `format`, sparsely where the format allows.
pub fn write_image(
    world: &World,
    version: Uuid,
    format: Format,
    file: &File,
    watch: shale_disk::Watch,
) -> shale_disk::Result<()> {
    let stored = world.repository.version(version.into()).map_err(|e| {
        let kind = shale_disk::ErrorKind::Corrupt;
        shale_disk::Error::new(kind, "the repository does not have this version").with_source(e)
    })?;
    match format {
        Format::Raw => shale_disk::copy_to_file(&StoredDisk(stored), file, world.threads.max(8), watch),
        Format::Qcow2Compressed => {
            let mut sink = SparseFile::new(duplicate(file)?)?;
            shale_disk::qcow2::export_frames(stored.size(), &StoredFrames(stored), &mut sink, watch)?;
            sink.finish()
        }
        _ => {
            let mut sink = SparseFile::new(duplicate(file)?)?;
            shale_disk::export(&StoredDisk(stored), format, &mut sink, watch)
        }
    }
}

/// Only its owner reads it: disks hold password files and keys.
fn create_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(true).read(true).write(true).mode(0o600).open(path)
}

fn duplicate(file: &File) -> shale_disk::Result<File> {
    file.try_clone().map_err(|e| shale_disk::Error::io("the image's file cannot be used", e))
}

/// Writes the image beside its destination, durable. Answers what is known of it.
pub(super) fn write(world: &World, cx: &Context, input: &ExportInput) -> Result<Value, StepError> {
    let format: Format = Format::from_str(&input.format).or_fail()?;
    let part = part(input, cx);
    let file = create_private(&part).map_err(|e| file_error("cannot write", &part, e))?;
    let data = world.repository.version(input.version_id.into()).or_fail()?.info().data;
    let watch = cx.watch(Some(data));
    write_image(world, input.version_id, format, &file, &watch).or_fail()?;
    file.sync_all().map_err(|e| file_error("cannot finish writing", &part, e))?;
    let found = file.metadata().map_err(|e| file_error("cannot read back", &part, e))?;
    Ok(json!({
        "path": input.path,
        "format": input.format,
        "file_bytes": found.len(),
        "allocated_bytes": found.blocks() * 512,
        "inode": found.ino(),
    }))
}

/// Makes sure that nothing lies beside the destination.
pub(super) fn remove_part(cx: &Context, input: &ExportInput) -> Result<(), StepError> {
    remove(&part(input, cx))
}

/// Puts what [`write`] made (`written`) at its destination, durably.
pub(super) fn place(cx: &Context, input: &ExportInput, written: &Written) -> Result<(), StepError> {
    put(input, &part(input, cx), written)
        .and_then(|()| File::open(folder_of(&input.path))?.sync_all())
        .map_err(|e| file_error("cannot put the image at", &input.path, e))
}

/// An image that got to its destination goes, if it is ours, and what it replaced comes back.
pub(super) fn take_back(cx: &Context, input: &ExportInput, written: &Written) -> Result<(), StepError> {
    if !is_ours(&input.path, written) {
        return Ok(());
    }
    let gone = match std::fs::rename(part(input, cx), &input.path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => std::fs::remove_file(&input.path),
        other => other,
    };
    gone.map_err(|e| StepError::later(format!("{} cannot be taken back: {e}.", input.path.display())))
}

fn put(input: &ExportInput, part: &Path, written: &Written) -> std::io::Result<()> {
    // Placed in an earlier try whose end was not recorded.
    if is_ours(&input.path, written) {
        return Ok(());
    }
    let replaces = input.overwrite && input.path.symlink_metadata().is_ok_and(|found| !found.is_dir());
    let flags = if replaces { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
    match renameat_with(CWD, part, CWD, &input.path, flags) {
        // A file system that cannot exchange: what was there is lost from here on.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if replaces => std::fs::rename(part, &input.path),
        other => Ok(other?),
    }
}

fn is_ours(path: &Path, written: &Written) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.ino() == written.inode)
}

/// Makes sure that there is no such file.
fn remove(path: &Path) -> Result<(), StepError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(StepError::later(format!("{} cannot be removed: {e}.", path.display())))
        }
        _ => Ok(()),
    }
}

/// What [`write`] says of the file it made.
#[derive(Deserialize)]
pub(super) struct Written {
    inode: u64,
}

struct Write;

impl Step<World> for Write {
    fn name(&self) -> &'static str {
        "write"
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        write(world, cx, &cx.input_as()?).map(Outcome::Done)
    }

    fn undo(&self, _: &World, cx: &Context) -> Result<(), StepError> {
        remove_part(cx, &cx.input_as()?)
    }
}

struct Commit;

impl Step<World> for Commit {
    fn name(&self) -> &'static str {
        "commit"
    }

    fn last_word(&self) -> bool {
        true
    }

    fn run(&self, _: &World, cx: &Context) -> Result<Outcome, StepError> {
        place(cx, &cx.input_as()?, &cx.output_as(Write.name())?)?;
        Ok(Outcome::Done(cx.output(Write.name()).cloned().unwrap_or_default()))
    }

    fn undo(&self, _: &World, cx: &Context) -> Result<(), StepError> {
        take_back(cx, &cx.input_as()?, &cx.output_as(Write.name())?)
    }
}

/// What the image replaced is of no use any more.
struct Clear;

impl Step<World> for Clear {
    fn name(&self) -> &'static str {
        "clear"
    }

    fn run(&self, _: &World, cx: &Context) -> Result<Outcome, StepError> {
        remove_part(cx, &cx.input_as()?)?;
        Ok(Outcome::Done(cx.output(Write.name()).cloned().unwrap_or_default()))
    }

    /// Nothing behind the last word is undone.
    fn undo(&self, _: &World, _: &Context) -> Result<(), StepError> {
        Ok(())
    }
}
