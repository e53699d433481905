//! `/layers/{id}/versions` and `/versions`.

use super::answer::{Answer, Body, MaybeBody, Paging, Path, Query, attachment};
use crate::app::App;
use crate::catalog::{LayerRow, VersionRow};
use crate::download;
use crate::error::Error;
use crate::requests::{self, Actor};
use crate::view::Scene;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde::Deserialize;
use shale_api::{
    AddVersion, Comment, EditVersion, ExportVersion, FinalizeVersion, Page, Task, Version, VersionCreated,
};
use utoipa::IntoParams;
use uuid::Uuid;

/// List a layer's versions, oldest first.
#[utoipa::path(get, path = "/layers/{id}/versions", tag = "versions", operation_id = "list_versions",
    params(("id" = Uuid, Path), Paging),
    responses((status = 200, body = Page<Version>)))]
pub async fn list(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Query(paging): Query<Paging>,
) -> Answer<Json<Page<Version>>> {
    let mut tx = app.world.catalog.read().await?;
    LayerRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("layer", id))?;
    let rows = VersionRow::of_layer(&mut tx, id, &paging.window()?).await?;
    let page = paging.page(rows, |row| row.id.to_string());
    let scene = Scene::read(&mut tx).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(scene.version(&app, &mut tx, row).await?);
    }
    Ok(Json(Page { items, next_page_token: page.next_page_token }))
}

/// Add a version: a packaging machine is made, and waits for a person.
#[utoipa::path(post, path = "/layers/{id}/versions", tag = "versions", operation_id = "add_version",
    params(("id" = Uuid, Path)), request_body = AddVersion,
    responses((status = 201, body = VersionCreated)))]
pub async fn add(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    Body(new): Body<AddVersion>,
) -> Answer<(StatusCode, Json<VersionCreated>)> {
    Ok((StatusCode::CREATED, Json(requests::add_version(&app, &actor, id, new).await?)))
}

/// Show a version.
#[utoipa::path(get, path = "/versions/{id}", tag = "versions", operation_id = "show_version",
    params(("id" = Uuid, Path)), responses((status = 200, body = Version)))]
pub async fn show(State(app): State<App>, Path(id): Path<Uuid>) -> Answer<Json<Version>> {
    let mut tx = app.world.catalog.read().await?;
    let row = VersionRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("version", id))?;
    let scene = Scene::read(&mut tx).await?;
    Ok(Json(scene.version(&app, &mut tx, row).await?))
}

/// Change a version's name or description.
#[utoipa::path(patch, path = "/versions/{id}", tag = "versions", operation_id = "edit_version",
    params(("id" = Uuid, Path)), request_body = EditVersion,
    responses((status = 200, body = Version)))]
pub async fn edit(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    Body(edit): Body<EditVersion>,
) -> Answer<Json<Version>> {
    Ok(Json(requests::edit_version(&app, &actor, id, edit).await?))
}

/// Delete a version.
#[utoipa::path(delete, path = "/versions/{id}", tag = "versions", operation_id = "delete_version",
    params(("id" = Uuid, Path)), request_body = Option<Comment>,
    responses((status = 202, body = Task)))]
pub async fn delete(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(comment): MaybeBody<Comment>,
) -> Answer<(StatusCode, Json<Task>)> {
    Ok((StatusCode::ACCEPTED, Json(requests::delete_version(&app, &actor, id, &comment.comment).await?)))
}

/// Finalize a version: what was changed in its packaging machine is taken, if nothing is outstanding there. The machine must be
/// off.
#[utoipa::path(post, path = "/versions/{id}/finalize", tag = "versions", operation_id = "finalize_version", params(("id" = Uuid, Path)),
    request_body = Option<FinalizeVersion>, responses((status = 202, body = Task)))]
pub async fn finalize(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(wanted): MaybeBody<FinalizeVersion>,
) -> Answer<(StatusCode, Json<Task>)> {
    Ok((StatusCode::ACCEPTED, Json(requests::finalize(&app, &actor, id, wanted).await?)))
}

/// Verify a version: every block is read and compared with its digest.
#[utoipa::path(post, path = "/versions/{id}/verify", tag = "versions", operation_id = "verify_version", params(("id" = Uuid, Path)),
    request_body = Option<Comment>, responses((status = 202, body = Task)))]
pub async fn verify(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(comment): MaybeBody<Comment>,
) -> Answer<(StatusCode, Json<Task>)> {
    Ok((StatusCode::ACCEPTED, Json(requests::verify_version(&app, &actor, id, &comment.comment).await?)))
}

/// Export a version to a disk image on the server.
#[utoipa::path(post, path = "/versions/{id}/export", tag = "versions", operation_id = "export_version", params(("id" = Uuid, Path)),
    request_body = ExportVersion, responses((status = 202, body = Task)))]
pub async fn export(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    Body(order): Body<ExportVersion>,
) -> Answer<(StatusCode, Json<Task>)> {
    Ok((StatusCode::ACCEPTED, Json(requests::export_version(&app, &actor, id, order).await?)))
}

/// In which format.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct As {
    /// `raw`, `vhd`, `vhd-fixed`, `vhdx`, `vmdk`, `vmdk-stream`, `qcow2`, `qcow2-compressed`.
    format: String,
}

/// Download a version as a disk image, as it is made.
#[utoipa::path(get, path = "/versions/{id}/disk", tag = "versions", operation_id = "download_version", params(("id" = Uuid, Path), As),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
pub async fn download(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Query(wanted): Query<As>,
) -> Answer<Response> {
    let format = requests::format(&wanted.format)?;
    attachment(download::open_version(&app, id, format).await?)
}
