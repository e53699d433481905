//! Putting disks together: what a step does before a machine, or an image, starts from a composition.

use super::{OrFail, change};
use crate::catalog::{CompositionRow, now};
use crate::composition::Composition;
use crate::stored::Changed;
use crate::world::World;
use serde_json::{Value, json};
use shale_model::message;
use shale_store::NewVersion;
use shale_task::{Context, StepError};
use std::sync::TryLockError;
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

fn make(world: &World, cx: &Context, wanted: &Composition) -> Result<Value, StepError> {
    let program = world.files_program();
    let os = world.repository.version(wanted.os_version_id.into()).or_fail()?;
    let layers = wanted.open_layers(world).or_fail()?;
    let (changes, grown) = wanted.grown(world, &os).or_fail()?;
    let watch = cx.watch(None);
    let preview = shale_volume::compose::compose(&program, &changes, &layers, &watch).or_fail()?;
    if wanted.generalize {
        let at = jiff::Timestamp::now().as_second();
        shale_volume::generalize::generalize(&program, &changes, at, &watch).or_fail()?;
    }
    let (source, _) = Changed::new(Box::new(changes), os, wanted.disk_size).or_fail()?;
    let new = NewVersion {
        id: wanted.id.into(),
        parent: Some(wanted.os_version_id.into()),
        size: wanted.disk_size,
        created: now(),
        threads: world.threads,
    };
    let saved = world.repository.save(new, &source, &cx.watch(Some(wanted.disk_size))).or_fail()?;
    let texts = |texts: Vec<&str>| texts.into_iter().take(KEPT).map(str::to_owned).collect::<Vec<_>>();
    Ok(json!({
        "composition_id": wanted.id,
        "note": message::composed(preview.layers.len(), preview.entries.len(), preview.conflicts.len(), &grown.text),
        "conflicts": texts(preview.conflicts.iter().map(|clash| clash.text.as_str()).collect()),
        "warnings": texts(preview.warnings.iter().map(|warning| warning.text.as_str()).collect()),
        "added_bytes": saved.new_bytes,
    }))
}
