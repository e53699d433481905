//! `/uploads`.

use super::answer::{Answer, Body, MaybeBody, Path};
use crate::app::App;
use crate::catalog::UploadRow;
use crate::error::Error;
use crate::requests::{self, Actor};
use crate::view;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::{Extension, Json};
use shale_api::{Comment, NewUpload, Page, Upload};
use uuid::Uuid;

/// List the uploads, oldest first.
#[utoipa::path(get, path = "/uploads", tag = "uploads", operation_id = "list_uploads",
    responses((status = 200, body = Page<Upload>)))]
pub async fn list(State(app): State<App>) -> Answer<Json<Page<Upload>>> {
    let rows = UploadRow::list(&mut app.world.catalog.read().await?).await?;
    let items = rows.into_iter().map(|row| view::upload(&app, row)).collect();
    Ok(Json(Page { items, next_page_token: None }))
}

/// Begin an upload.
#[utoipa::path(post, path = "/uploads", tag = "uploads", operation_id = "create_upload", request_body = NewUpload,
    responses((status = 201, body = Upload)))]
pub async fn create(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Body(new): Body<NewUpload>,
) -> Answer<(StatusCode, Json<Upload>)> {
    Ok((StatusCode::CREATED, Json(requests::create_upload(&app, &actor, new).await?)))
}

/// Show an upload: how much of it is there.
#[utoipa::path(get, path = "/uploads/{id}", tag = "uploads", operation_id = "show_upload",
    params(("id" = Uuid, Path)), responses((status = 200, body = Upload)))]
pub async fn show(State(app): State<App>, Path(id): Path<Uuid>) -> Answer<Json<Upload>> {
    let row = UploadRow::get(&mut app.world.catalog.read().await?, id).await?;
    Ok(Json(view::upload(&app, row.ok_or_else(|| Error::not_found("upload", id))?)))
}

/// Send the next part, at most 16 MiB. `conflict` says in `received` where it must begin.
#[utoipa::path(patch, path = "/uploads/{id}", tag = "uploads", operation_id = "append_upload",
    params(("id" = Uuid, Path), ("Upload-Offset" = i64, Header, description = "Where in the file the part begins: what is `received`.")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Upload)))]
pub async fn append(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Answer<Json<Upload>> {
    let number = |text: Option<&axum::http::HeaderValue>| text?.to_str().ok()?.parse::<u64>().ok();
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes()).unwrap_or_default();
    if kind != b"application/octet-stream" {
        return Err(Error::invalid("A part is sent as application/octet-stream.").with_status(415));
    }
    let offset = number(headers.get("upload-offset"));
    let offset =
        offset.ok_or_else(|| Error::invalid("The header Upload-Offset must say where the part begins."))?;
    Ok(Json(requests::append_upload(&app, id, offset, body).await?))
}

/// Delete an upload that nothing uses.
#[utoipa::path(delete, path = "/uploads/{id}", tag = "uploads", operation_id = "delete_upload",
    params(("id" = Uuid, Path)), request_body = Option<Comment>, responses((status = 204)))]
pub async fn delete(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(comment): MaybeBody<Comment>,
) -> Answer<StatusCode> {
    requests::delete_upload(&app, &actor, id, &comment.comment).await?;
    Ok(StatusCode::NO_CONTENT)
}
