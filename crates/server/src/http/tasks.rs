//! `/tasks`.

use super::answer::{Answer, MaybeBody, Paging, Path, Query};
use crate::app::App;
use crate::catalog::{TaskFilter, TaskRow};
use crate::error::Error;
use crate::requests::{self, Actor};
use crate::view;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use shale_api::{Comment, Page, Task, TaskLogEntry, TaskOutput};
use std::time::Duration;
use utoipa::IntoParams;
use uuid::Uuid;

/// Longest that one request waits for a task.
const WAIT_LIMIT: u64 = 300;

/// Which tasks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// `open`, `ended`, or one of `done`, `failed`, `canceled`, `stuck`.
    state: Option<String>,
    /// Only those on this layer.
    layer_id: Option<Uuid>,
    /// Only those on this version.
    version_id: Option<Uuid>,
    /// How many items, 1 to 1,000; 100 when left out.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<i64>,
    /// From the page before.
    page_token: Option<String>,
}

impl Which {
    fn filter(&self) -> Answer<TaskFilter> {
        let (open, ending) = match self.state.as_deref() {
            None => (None, None),
            Some("open") => (Some(true), None),
            Some("ended") => (Some(false), None),
            Some(ending @ ("done" | "failed" | "canceled" | "stuck")) => (None, Some(ending.to_owned())),
            Some(_) => {
                let text = "The state must be open, ended, done, failed, canceled or stuck.";
                return Err(Error::field("/state", text));
            }
        };
        Ok(TaskFilter { open, ending, layer_id: self.layer_id, version_id: self.version_id })
    }
}

/// List tasks, newest first.
#[utoipa::path(get, path = "/tasks", tag = "tasks", operation_id = "list_tasks", params(Which),
    responses((status = 200, body = Page<Task>)))]
pub async fn list(State(app): State<App>, Query(which): Query<Which>) -> Answer<Json<Page<Task>>> {
    let filter = which.filter()?;
    let paging = Paging { limit: which.limit, page_token: which.page_token };
    let mut tx = app.world.catalog.read().await?;
    let rows = TaskRow::list(&mut tx, &filter, &paging.window()?).await?;
    let page = paging.page(rows, |row| row.id.to_string());
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(view::task(&app, &mut tx, row).await?);
    }
    Ok(Json(Page { items, next_page_token: page.next_page_token }))
}

/// How long to wait.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wait {
    /// Answer only when the task has ended or needs a person, or after this many seconds (at most 300).
    wait: Option<u64>,
}

/// Show a task; with `wait`, as soon as it has ended or needs a person.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks", operation_id = "show_task", params(("id" = Uuid, Path), Wait),
    responses((status = 200, body = Task)))]
pub async fn show(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Query(wait): Query<Wait>,
) -> Answer<Json<Task>> {
    let patience = Duration::from_secs(wait.wait.unwrap_or(0).min(WAIT_LIMIT));
    let deadline = tokio::time::Instant::now() + patience;
    // Watched from before the first look, so that no change falls between.
    let (_, mut changes) = app.feed.watch(None);
    loop {
        let task = look(&app, id).await?;
        if task.ended() || task.state == "action_required" {
            return Ok(Json(task));
        }
        loop {
            let change = match tokio::time::timeout_at(deadline, changes.recv()).await {
                Err(_) => return Ok(Json(task)),
                Ok(change) => change,
            };
            // A watcher that fell behind looks again, too.
            if change.map_or(true, |change| change.id == id) {
                break;
            }
        }
    }
}

async fn look(app: &App, id: Uuid) -> Answer<Task> {
    let mut tx = app.world.catalog.read().await?;
    let row = TaskRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("task", id))?;
    view::task(app, &mut tx, row).await
}

/// Cancel a task: what it made is removed.
#[utoipa::path(post, path = "/tasks/{id}/cancel", tag = "tasks", operation_id = "cancel_task", params(("id" = Uuid, Path)),
    request_body = Option<Comment>, responses((status = 202, body = Task)))]
pub async fn cancel(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(comment): MaybeBody<Comment>,
) -> Answer<(StatusCode, Json<Task>)> {
    Ok((StatusCode::ACCEPTED, Json(requests::cancel_task(&app, &actor, id, &comment.comment).await?)))
}

/// Try a stuck task again, where it stopped.
#[utoipa::path(post, path = "/tasks/{id}/retry", tag = "tasks", operation_id = "retry_task", params(("id" = Uuid, Path)),
    request_body = Option<Comment>, responses((status = 202, body = Task)))]
pub async fn retry(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(comment): MaybeBody<Comment>,
) -> Answer<(StatusCode, Json<Task>)> {
    Ok((StatusCode::ACCEPTED, Json(requests::retry_task(&app, &actor, id, &comment.comment).await?)))
}

/// Read a task's log as it was written (docs/formats/task-log.md).
#[utoipa::path(get, path = "/tasks/{id}/log", tag = "tasks", operation_id = "list_task_log",
    params(("id" = Uuid, Path), Paging),
    responses((status = 200, body = Page<TaskLogEntry>)))]
pub async fn log(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Query(paging): Query<Paging>,
) -> Answer<Json<Page<TaskLogEntry>>> {
    let mut tx = app.world.catalog.read().await?;
    TaskRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("task", id))?;
    let rows = TaskRow::log_entries(&mut tx, id, &paging.window()?).await?;
    Ok(Json(paging.page(rows, |entry| entry.seq.to_string())))
}

/// From where on.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct From {
    /// The place that the answer before named as `next`; 0 when left out.
    from: Option<u64>,
}

/// Read what the script of a task printed, as it comes.
#[utoipa::path(get, path = "/tasks/{id}/output", tag = "tasks", operation_id = "read_task_output",
    params(("id" = Uuid, Path), From),
    responses((status = 200, body = TaskOutput)))]
pub async fn output(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Query(place): Query<From>,
) -> Answer<Json<TaskOutput>> {
    Ok(Json(requests::task_output(&app, id, place.from.unwrap_or(0)).await?))
}
