//! Putting disks together: what a step does before a machine, or an image, starts from a composition.

use super::{OrFail, change};
use crate::catalog::CompositionRow;
use crate::composition::Composition;
use crate::error::chain;
use crate::installed;
use crate::starter;
use crate::stored::{Changed, StoredDisk};
use crate::sysprep;
use crate::world::World;
use serde_json::{Value, json};
use shale_disk::Disk;
use shale_model::message;
use shale_store::{ErrorKind, Version};
use shale_task::{Context, StepError};
use shale_volume::changes::Changes;
use shale_volume::exclude::Family;
use shale_volume::generalize::generalize;
use std::sync::{Arc, TryLockError};
use std::time::Duration;

/// Name of the step that does it.
pub const COMPOSE: &str = "compose";
/// Conflicts and warnings that a task keeps, each; the plan of the composition has all.
const KEPT: usize = 100;

/// Makes sure that a composition is in the repository, and answers what a person should know of it. One that another task is
/// putting together is waited for; one that is there costs nothing.
pub fn ensure(world: &World, cx: &Context, wanted: &Composition) -> Result<Value, StepError> {
    let lock = world.composing.of(wanted.id);
    let _alone = loop {
        match lock.try_lock() {
            Ok(guard) => break guard,
            Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if cx.watch(None)(0).is_break() => return Err(StepError::stopped()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(200)),
        }
    };
    // The row comes first: the sweep keeps what has one.
    change(world, async |tx| CompositionRow::used(tx, wanted.id, &wanted.parts(), wanted.disk_size).await)?;
    match world.repository.version(wanted.id.into()) {
        Ok(_) => Ok(json!({ "composition_id": wanted.id, "note": message::composition_known() })),
        Err(_) => make(world, cx, wanted),
    }
}

/// Forgets a composition of which there is only the row: putting it together was stopped. One that is whole stays for the next,
/// until the sweep lets go of it.
pub fn undo(world: &World, wanted: &Composition) -> Result<(), StepError> {
    let lock = world.composing.of(wanted.id);
    let _alone = match lock.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // Another task is putting it together: the row is that one's.
        Err(TryLockError::WouldBlock) => return Ok(()),
    };
    match world.repository.version(wanted.id.into()) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            change(world, async |tx| CompositionRow::delete(tx, wanted.id).await)
        }
        _ => Ok(()),
    }
}

/// An OS version as it is, with the tools in its system. Where they cannot be put there the machine starts from the version as it is,
/// and has them on its CD.
fn with_tools_alone(
    world: &World,
    cx: &Context,
    wanted: &Composition,
    os: Version,
) -> Result<Value, StepError> {
    let untouched = || {
        let base: Arc<dyn Disk> = Arc::new(StoredDisk(os.clone()));
        Changes::new(base, &world.place.scratch()).map(Arc::new).or_fail()
    };
    let mut changes = untouched()?;
    let is_in = has_taken_tools(world, &changes)?;
    if !is_in {
        changes = untouched()?;
    }
    let (source, _) = Changed::new(Box::new(changes), os, wanted.disk_size).or_fail()?;
    let saved = world.save(wanted.id, Some(wanted.os_version_id), &source, &cx.watch(None)).or_fail()?;
    Ok(json!({
        "composition_id": wanted.id,
        "note": message::tools_in_system(is_in),
        "added_bytes": saved.new_bytes,
    }))
}

/// Puts the tools into the system that `changes` shows; `false`: it does not take them, and `changes` is to be thrown away. No
/// version waits for that: the tools are on the machine's CD as well.
fn has_taken_tools(world: &World, changes: &Arc<Changes>) -> Result<bool, StepError> {
    match installed::put_into(&world.files_program(), changes, &world.tools) {
        Ok(()) => Ok(true),
        Err(e) if e.kind().retry_later() => Err(e).or_fail(),
        Err(error) => {
            tracing::info!(error = chain(&error), "a system does not take Shutdown For Finalize");
            Ok(false)
        }
    }
}

/// Takes out of the system that `changes` shows what makes a machine itself; what a person should know of that.
fn generalized(
    world: &World,
    changes: &Arc<Changes>,
    at: i64,
    watch: shale_disk::Watch,
) -> Result<Vec<String>, StepError> {
    let program = world.files_program();
    match generalize(&program, changes, at, watch).or_fail()?.family {
        Family::Linux => Ok(Vec::new()),
        Family::Windows => sysprep::put_into(&program, changes, &world.tools, at).or_fail(),
    }
}

fn make(world: &World, cx: &Context, wanted: &Composition) -> Result<Value, StepError> {
    let program = world.files_program();
    let os = world.repository.version(wanted.os_version_id.into()).or_fail()?;
    let layers = wanted.open_layers(world).or_fail()?;
    // A larger one is grown, as with layers on it.
    if wanted.is_bare() && wanted.disk_size == os.size() {
        return with_tools_alone(world, cx, wanted, os);
    }
    let (mut changes, grown) = wanted.grown(world, &os).or_fail()?;
    if wanted.tools.is_some() && !has_taken_tools(world, &changes)? {
        changes = wanted.grown(world, &os).or_fail()?.0;
    }
    let watch = cx.watch(None);
    let preview = shale_volume::compose::compose(&program, &changes, &layers, &watch).or_fail()?;
    let at = jiff::Timestamp::now().as_second();
    let told = if wanted.generalize { generalized(world, &changes, at, &watch)? } else { Vec::new() };
    if let Some(family) = wanted.starter {
        starter::put_into(&program, &changes, (family, &world.tools), at).or_fail()?;
    }
    let (source, _) = Changed::new(Box::new(changes), os, wanted.disk_size).or_fail()?;
    let watch = cx.watch(Some(wanted.disk_size));
    let saved = world.save(wanted.id, Some(wanted.os_version_id), &source, &watch).or_fail()?;
    let texts = |texts: Vec<&str>| texts.into_iter().take(KEPT).map(str::to_owned).collect::<Vec<_>>();
    let warnings =
        told.iter().map(String::as_str).chain(preview.warnings.iter().map(|one| one.text.as_str()));
    Ok(json!({
        "composition_id": wanted.id,
        "note": message::composed(preview.layers.len(), preview.entries.len(), preview.conflicts.len(), &grown.text),
        "conflicts": texts(preview.conflicts.iter().map(|clash| clash.text.as_str()).collect()),
        "warnings": texts(warnings.collect()),
        "added_bytes": saved.new_bytes,
    }))
}
