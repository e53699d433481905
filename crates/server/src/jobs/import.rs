//! `import_os_layer`: a disk becomes the first version of an OS layer.

use super::{OrFail, RESERVE, change};
use crate::catalog::{Finished, LayerRow, UploadRow, VersionRow};
use crate::stored::{Imported, firmware_of};
use crate::world::World;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shale_connector::Firmware;
use shale_disk::{Disk, Format, OpenOptions};
use shale_model::VersionEvent;
use shale_store::Saved;
use shale_task::{Context, Kind, Outcome, Step, StepError};
use std::path::PathBuf;
use std::str::FromStr;
use uuid::Uuid;

/// What an import must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportInput {
    /// The layer to be made.
    pub layer_id: Uuid,
    /// Its first version.
    pub version_id: Uuid,
    /// The disk, on this host.
    pub file: PathBuf,
    /// The upload that this is, if it is one: it goes when the import is done.
    #[serde(default)]
    pub upload_id: Option<Uuid>,
    /// What the disk is, when somebody said so.
    #[serde(default)]
    pub format: Option<String>,
    /// Leave out what the disk's file systems say is free.
    pub drop_free_space: bool,
}

pub(super) fn kind() -> Kind<World> {
    Kind::new("import_os_layer", vec![Box::new(Reserve), Box::new(Store), Box::new(Commit)])
}

struct Reserve;

impl Step<World> for Reserve {
    fn name(&self) -> &'static str {
        RESERVE
    }

    fn run(&self, _: &World, _: &Context) -> Result<Outcome, StepError> {
        Err(StepError::never("The request that made this task must have reserved the layer's name."))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        let input: ImportInput = cx.input_as()?;
        change(world, async |tx| {
            if let Some(upload) = input.upload_id {
                // It is there for another try.
                UploadRow::claim(tx, upload, None).await?;
            }
            LayerRow::delete(tx, input.layer_id).await
        })
    }
}

struct Store;

impl Step<World> for Store {
    fn name(&self) -> &'static str {
        "store"
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let input: ImportInput = cx.input_as()?;
        let format = input.format.as_deref().map(Format::from_str).transpose().or_fail()?;
        let opened = OpenOptions { format, ..OpenOptions::default() }.open(&input.file).or_fail()?;
        let disk = opened.disk.clone();
        let firmware = firmware_of(disk.as_ref());
        let (source, mask_note) = Imported::new(disk.clone(), input.drop_free_space).or_fail()?;
        cx.note(&format!("Reading {} ({}). {mask_note}", input.file.display(), opened.format));
        let watch = cx.watch(Some(disk.size()));
        let saved = world.save(input.version_id, None, &source, &watch).or_fail()?;
        opened.unchanged().or_fail()?;
        let mut known = finished(world, input.version_id, &saved, firmware)?;
        known["format"] = opened.format.to_string().into();
        known["free_space"] = mask_note.into();
        Ok(Outcome::Done(known))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        let input: ImportInput = cx.input_as()?;
        world.repository.remove_version(input.version_id.into()).or_fail()
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

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let input: ImportInput = cx.input_as()?;
        let done = commit(world, cx, Store.name(), input.version_id, VersionEvent::Imported)?;
        if let Some(upload) = input.upload_id {
            // The layer is there: what is left of its upload can wait for the next clearing.
            let _ = change(world, async |tx| UploadRow::delete(tx, upload).await);
            let _ = std::fs::remove_file(world.place.upload(upload));
        }
        Ok(done)
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        Reserve.undo(world, cx)
    }
}

/// What is known of a version that was stored, as [`commit`] takes it.
pub(super) fn finished(
    world: &World,
    version: Uuid,
    saved: &Saved,
    firmware: Firmware,
) -> Result<Value, StepError> {
    let stored = world.repository.version(version.into()).or_fail()?;
    Ok(json!({
        "virtual_bytes": stored.size(),
        "logical_bytes": stored.info().data,
        "added_bytes": saved.new_bytes,
        "digest": saved.digest.to_string(),
        "firmware": firmware,
    }))
}

/// Makes a version deployable with what the step `from` found, in one transaction; done already is fine.
pub(super) fn commit(
    world: &World,
    cx: &Context,
    from: &str,
    version: Uuid,
    event: VersionEvent,
) -> Result<Outcome, StepError> {
    let facts: Finished = cx.output_as(from)?;
    change(world, async |tx| {
        let row = VersionRow::get(tx, version).await?;
        if row.is_some_and(|row| row.state == shale_model::VersionState::Deployable) {
            return Ok(());
        }
        VersionRow::happen(tx, version, event).await?;
        VersionRow::finish(tx, version, &facts).await
    })?;
    world.feed.publish("version", version, false);
    let result: Value = cx.output(from).cloned().unwrap_or_default();
    Ok(Outcome::Done(result))
}
