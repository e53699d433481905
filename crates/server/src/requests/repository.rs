//! Upkeep of the repository: checking it, collecting what no version needs.

use super::{Actor, NewTask, audit, json, launched};
use crate::app::App;
use crate::error::Result;
use crate::jobs::{CheckInput, CollectInput};
use shale_api::{CheckRepository, CollectGarbage, Task};
use shale_model::message;
use uuid::Uuid;

/// Checks the repository.
pub async fn check_repository(app: &App, actor: &Actor, order: CheckRepository) -> Result<Task> {
    let input = CheckInput { read_data: order.read_data };
    start(app, actor, "check_repository", message::CHECKING_REPOSITORY, &input).await
}

/// Collects what no version needs any more.
pub async fn collect_garbage(app: &App, actor: &Actor, order: CollectGarbage) -> Result<Task> {
    let input = CollectInput { dry_run: order.dry_run, grace_hours: order.grace_hours };
    start(app, actor, "collect_garbage", message::COLLECTING_GARBAGE, &input).await
}

async fn start(
    app: &App,
    actor: &Actor,
    kind: &'static str,
    title: &str,
    input: &impl serde::Serialize,
) -> Result<Task> {
    let mut tx = app.world.catalog.begin().await?;
    let input = json(input)?;
    let task = NewTask {
        kind,
        title: title.into(),
        layer_id: None,
        version_id: None,
        request: input.clone(),
        input,
        actor,
        comment: "",
    };
    let task = task.insert(&mut tx, &[]).await?;
    audit(&mut tx, actor, kind, ("repository", Uuid::nil(), "repository"), "").await?;
    tx.commit().await?;
    launched(app, task).await
}
