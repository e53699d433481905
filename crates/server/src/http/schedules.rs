//! `/schedules`, and which old versions go.

use super::answer::{Answer, Body, MaybeBody, Paging, Path, Query};
use crate::app::App;
use crate::catalog::ScheduleRow;
use crate::error::Error;
use crate::requests::{self, Actor};
use crate::view::Scene;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use shale_api::{
    Comment, EditSchedule, NewSchedule, Page, PruneVersions, PrunedVersions, RunSchedule, Schedule,
    VersionCreated,
};
use uuid::Uuid;

/// List schedules, oldest first.
#[utoipa::path(get, path = "/schedules", tag = "schedules", operation_id = "list_schedules", params(Paging),
    responses((status = 200, body = Page<Schedule>)))]
pub async fn list(State(app): State<App>, Query(paging): Query<Paging>) -> Answer<Json<Page<Schedule>>> {
    let mut tx = app.world.catalog.read().await?;
    let rows = ScheduleRow::list(&mut tx, &paging.window()?).await?;
    let page = paging.page(rows, |row| row.id.to_string());
    let mut items = Vec::with_capacity(page.items.len());
    let scene = Scene::read(&mut tx).await?;
    for row in page.items {
        items.push(requests::schedule(&app, &mut tx, &scene, row).await?);
    }
    Ok(Json(Page { items, next_page_token: page.next_page_token }))
}

/// Create a schedule: versions that a script makes by themselves.
#[utoipa::path(post, path = "/schedules", tag = "schedules", operation_id = "create_schedule",
    request_body = NewSchedule, responses((status = 201, body = Schedule)))]
pub async fn create(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Body(new): Body<NewSchedule>,
) -> Answer<(StatusCode, Json<Schedule>)> {
    Ok((StatusCode::CREATED, Json(requests::create_schedule(&app, &actor, new).await?)))
}

/// Show a schedule.
#[utoipa::path(get, path = "/schedules/{id}", tag = "schedules", operation_id = "show_schedule",
    params(("id" = Uuid, Path)), responses((status = 200, body = Schedule)))]
pub async fn show(State(app): State<App>, Path(id): Path<Uuid>) -> Answer<Json<Schedule>> {
    let mut tx = app.world.catalog.read().await?;
    let row = ScheduleRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("schedule", id))?;
    let scene = Scene::read(&mut tx).await?;
    Ok(Json(requests::schedule(&app, &mut tx, &scene, row).await?))
}

/// Change a schedule.
#[utoipa::path(patch, path = "/schedules/{id}", tag = "schedules", operation_id = "edit_schedule",
    params(("id" = Uuid, Path)), request_body = EditSchedule, responses((status = 200, body = Schedule)))]
pub async fn edit(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    Body(edit): Body<EditSchedule>,
) -> Answer<Json<Schedule>> {
    Ok(Json(requests::edit_schedule(&app, &actor, id, edit).await?))
}

/// Delete a schedule. Versions that it made stay.
#[utoipa::path(delete, path = "/schedules/{id}", tag = "schedules", operation_id = "delete_schedule",
    params(("id" = Uuid, Path)), request_body = Option<Comment>, responses((status = 204)))]
pub async fn delete(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(comment): MaybeBody<Comment>,
) -> Answer<StatusCode> {
    requests::delete_schedule(&app, &actor, id, &comment.comment).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Run a schedule now, beside the times at which it is due.
#[utoipa::path(post, path = "/schedules/{id}/run", tag = "schedules", operation_id = "run_schedule",
    params(("id" = Uuid, Path)), request_body = RunSchedule, responses((status = 201, body = VersionCreated)))]
pub async fn run(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    Body(order): Body<RunSchedule>,
) -> Answer<(StatusCode, Json<VersionCreated>)> {
    let created = requests::run_schedule(&app, &actor, id, order).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// Tell which old versions of a layer go when its newest are kept, and all that something uses; delete them where that is asked
/// for.
#[utoipa::path(post, path = "/layers/{id}/prune", tag = "layers", operation_id = "prune_versions",
    params(("id" = Uuid, Path)), request_body = PruneVersions, responses((status = 200, body = PrunedVersions)))]
pub async fn prune(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    Body(order): Body<PruneVersions>,
) -> Answer<Json<PrunedVersions>> {
    Ok(Json(requests::prune_versions(&app, &actor, id, order).await?))
}
