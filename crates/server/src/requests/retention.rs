//! Deleting old versions of a layer: because somebody asks, or by the layer's own retention.
//!
//! ```text
//!   somebody asks ──────────────────────────────────────────────────┐
//!   each moment: a rule that deletes? ─▶ something is old? ─▶       ├─▶ one transaction: looked at again, marked, the task, audit
//!                the layer is free? ─▶ not given up since the ──────┘
//!                newest version?
//! ```
//!
//! What is old is never stored: whatever happens to the server in between, the next look finds it.

use super::{Actor, Identity, NewTask, audit, json, launched, layer_free};
use crate::app::App;
use crate::catalog::{LayerRow, TaskRow, Tx, VersionRow};
use crate::error::{Error, Result, chain};
use crate::jobs::{DeleteVersionInput, Doomed, reserved};
use crate::retention::{MOST, old_versions, outlook};
use crate::view::{Scene, job_on};
use shale_api::{OldVersions, PruneVersions, PrunedVersion, PrunedVersions};
use shale_model::{Role, VersionEvent, message};
use std::time::Duration;
use uuid::Uuid;

/// How often it is looked whether a version has become old.
const ROUND: Duration = Duration::from_secs(10);

/// Tells which versions of a layer go, and deletes them where that is asked for: in one task.
pub async fn prune_versions(
    app: &App,
    actor: &Actor,
    layer: Uuid,
    order: PruneVersions,
) -> Result<PrunedVersions> {
    let mut tx = app.world.catalog.begin().await?;
    let row = LayerRow::get(&mut tx, layer).await?.ok_or_else(|| Error::not_found("layer", layer))?;
    let keep = order.keep.or(row.retention.map(|rule| rule.keep)).ok_or_else(|| {
        let text = format!("The layer '{}' has no retention: say how many versions stay.", row.name);
        Error::field("/keep", text)
    })?;
    keepable("/keep", keep)?;
    let scene = Scene::read(&mut tx).await?;
    let versions = outlook(&mut tx, &scene, &row, keep).await?;
    let freed_bytes = versions.iter().filter(|version| version.goes).map(|version| version.added_bytes).sum();
    if !order.delete || !versions.iter().any(|version| version.goes) {
        return Ok(PrunedVersions { versions, freed_bytes, task: None });
    }
    layer_free(&scene.open, layer, &row.name)?;
    let task = delete(&mut tx, actor, &row, &versions, (json(&order)?, &order.comment)).await?;
    tx.commit().await?;
    Ok(PrunedVersions { versions, freed_bytes, task: Some(launched(app, task).await?) })
}

/// Refuses a number of versions that cannot be kept.
pub(super) fn keepable(pointer: &str, keep: u32) -> Result<()> {
    match keep {
        1..=MOST => Ok(()),
        _ => Err(Error::field(pointer, format!("Keep at least one version, and at most {MOST}."))),
    }
}

/// Marks what goes and writes the task that deletes it.
async fn delete(
    tx: &mut Tx,
    actor: &Actor,
    layer: &LayerRow,
    versions: &[PrunedVersion],
    (request, comment): (serde_json::Value, &str),
) -> Result<TaskRow> {
    let mut input = DeleteVersionInput { versions: Vec::new() };
    for version in versions.iter().filter(|version| version.goes) {
        let Some(row) = VersionRow::get(tx, version.id).await? else { continue };
        input.versions.push(Doomed { id: row.id, state: row.state });
        VersionRow::happen(tx, row.id, VersionEvent::DeleteAsked).await?;
        audit(tx, actor, "delete_version", ("version", row.id, &row.name_in(layer)), comment).await?;
    }
    let task = NewTask {
        kind: "delete_version",
        title: message::pruning_versions(&layer.name, input.versions.len()),
        layer_id: Some(layer.id),
        version_id: None,
        input: json(&input)?,
        request,
        actor,
        comment,
    };
    task.insert(tx, &reserved()).await
}

/// Deletes old versions of layers whose retention says so, until the server ends.
pub async fn keep_retention(app: App) {
    loop {
        if let Err(error) = delete_old(&app).await {
            tracing::warn!(error = chain(&error), "old versions could not be looked for");
        }
        tokio::time::sleep(ROUND).await;
    }
}

/// Deletes what is old now, in a task for each layer.
pub async fn delete_old(app: &App) -> Result<()> {
    let layers = LayerRow::deleting(&mut app.world.catalog.read().await?).await?;
    for layer in layers {
        // One layer does not keep the others.
        if let Err(error) = delete_old_of(app, &layer).await {
            tracing::warn!(layer = layer.name, error = chain(&error), "old versions could not be deleted");
        }
    }
    Ok(())
}

async fn delete_old_of(app: &App, layer: &LayerRow) -> Result<()> {
    // Looked at without holding others up: mostly there is nothing to do.
    if wanted(&mut app.world.catalog.read().await?, layer.id).await?.is_none() {
        return Ok(());
    }
    let mut tx = app.world.catalog.begin().await?;
    let Some((row, actor, keep)) = wanted(&mut tx, layer.id).await? else { return Ok(()) };
    let scene = Scene::read(&mut tx).await?;
    let versions = outlook(&mut tx, &scene, &row, keep).await?;
    let comment = format!("The layer's retention keeps {keep}.");
    let task = delete(&mut tx, &actor, &row, &versions, (serde_json::json!({ "retention": keep }), &comment))
        .await?;
    tx.commit().await?;
    tracing::info!(layer = row.name, task = %task.id, "old versions are deleted");
    launched(app, task).await.map(drop)
}

/// Whether the retention of a layer has something to delete now: the layer, who deletes, and how many stay.
async fn wanted(tx: &mut Tx, layer: Uuid) -> Result<Option<(LayerRow, Actor, u32)>> {
    let Some(row) = LayerRow::get(tx, layer).await? else { return Ok(None) };
    let Some(rule) = row.retention.filter(|rule| rule.old_versions == OldVersions::Delete) else {
        return Ok(None);
    };
    let scene = Scene::read(tx).await?;
    if job_on(&scene.open, layer).is_some() || old_versions(tx, &scene, &row).await?.is_empty() {
        return Ok(None);
    }
    let name = format!("retention of '{}'", row.name);
    let actor = Actor { name, role: Role::Editor, identity: Identity::Server };
    // What was cancelled, or failed, is not begun again and again: it is when there is a newer version.
    let last = TaskRow::last_by_retention(tx, layer).await?;
    let newest = VersionRow::newest_at(tx, layer).await?;
    let is_given_up =
        last.is_some_and(|task| task.ending.as_deref() != Some("done") && Some(task.created_at) > newest);
    Ok((!is_given_up).then_some((row, actor, rule.keep)))
}
