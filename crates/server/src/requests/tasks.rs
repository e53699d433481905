//! Cancelling and retrying tasks.

use super::{Actor, audit, rule};
use crate::app::App;
use crate::catalog::{TaskRow, VersionRow};
use crate::error::{Error, Result};
use crate::view;
use shale_api::Task;
use shale_model::VersionEvent;
use uuid::Uuid;

/// Asks a task to turn back: what it made is removed.
pub async fn cancel_task(app: &App, actor: &Actor, id: Uuid, comment: &str) -> Result<Task> {
    rule("/comment", shale_model::comment(comment))?;
    let task = get(app, id).await?;
    let (engine, row, who) = (app.engine.clone(), task.clone(), actor.name.clone());
    tokio::task::spawn_blocking(move || engine.cancel(row, &who))
        .await
        .map_err(|e| Error::internal("cancelling failed").because(e))??;
    let mut tx = app.world.catalog.begin().await?;
    audit(&mut tx, actor, "cancel", ("task", id, &task.title), comment).await?;
    let makes = matches!(task.kind.as_str(), "import_os_layer" | "add_version");
    if let Some(version) = task.version_id.filter(|_| makes) {
        // So that nobody powers its machine on meanwhile. It may be gone already, or past being given up.
        let _ = VersionRow::happen(&mut tx, version, VersionEvent::GivenUp).await;
    }
    tx.commit().await?;
    // Once it is over, what became of all of it was told.
    let task = get(app, id).await?;
    if task.ending.is_none() {
        app.engine.changed(&task);
    }
    seen(app, id).await
}

/// Tries a stuck task again where it stopped.
pub async fn retry_task(app: &App, actor: &Actor, id: Uuid, comment: &str) -> Result<Task> {
    rule("/comment", shale_model::comment(comment))?;
    let task = get(app, id).await?;
    let (engine, row) = (app.engine.clone(), task.clone());
    tokio::task::spawn_blocking(move || engine.retry(row))
        .await
        .map_err(|e| Error::internal("retrying failed").because(e))??;
    let mut tx = app.world.catalog.begin().await?;
    audit(&mut tx, actor, "retry", ("task", id, &task.title), comment).await?;
    tx.commit().await?;
    // It has its layer for itself again.
    app.engine.changed(&task);
    seen(app, id).await
}

async fn get(app: &App, id: Uuid) -> Result<TaskRow> {
    let mut tx = app.world.catalog.read().await?;
    TaskRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("task", id))
}

async fn seen(app: &App, id: Uuid) -> Result<Task> {
    let row = get(app, id).await?;
    let mut tx = app.world.catalog.read().await?;
    view::task(app, &mut tx, row).await
}
