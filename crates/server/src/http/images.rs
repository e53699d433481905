//! `/images`.

use super::answer::{Answer, MaybeBody, Paging, Path, Query, attachment};
use crate::app::App;
use crate::catalog::{ImageFilter, ImageRow};
use crate::download;
use crate::error::Error;
use crate::requests::{self, Actor};
use crate::view;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde::Deserialize;
use shale_api::{DeleteImage, Image, Page};
use utoipa::IntoParams;
use uuid::Uuid;

/// Which images.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only the one with this name.
    name: Option<String>,
    /// Only those with this in their name, letters from A to Z in whatever case.
    text: Option<String>,
    /// Only those that were published from this template.
    template_id: Option<Uuid>,
    /// How many items, 1 to 1,000; 100 when left out.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<i64>,
    /// From the page before.
    page_token: Option<String>,
}

/// List layered images, newest first.
#[utoipa::path(get, path = "/images", tag = "images", operation_id = "list_images", params(Which),
    responses((status = 200, body = Page<Image>)))]
pub async fn list(State(app): State<App>, Query(which): Query<Which>) -> Answer<Json<Page<Image>>> {
    let paging = Paging { limit: which.limit, page_token: which.page_token };
    let filter = ImageFilter { name: which.name, text: which.text, template_id: which.template_id };
    let mut tx = app.world.catalog.read().await?;
    let rows = ImageRow::list(&mut tx, &filter, &paging.window()?).await?;
    let page = paging.page(rows, |row| row.id.to_string());
    let items = page.items.into_iter().map(view::image).collect();
    Ok(Json(Page { items, next_page_token: page.next_page_token }))
}

/// Show a layered image.
#[utoipa::path(get, path = "/images/{id}", tag = "images", operation_id = "show_image",
    params(("id" = Uuid, Path)), responses((status = 200, body = Image)))]
pub async fn show(State(app): State<App>, Path(id): Path<Uuid>) -> Answer<Json<Image>> {
    let mut tx = app.world.catalog.read().await?;
    let row = ImageRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("layered image", id))?;
    Ok(Json(view::image(row)))
}

/// Delete a layered image, and its machine on the platform that it was published to. A file that it was written to stays.
#[utoipa::path(delete, path = "/images/{id}", tag = "images", operation_id = "delete_image",
    params(("id" = Uuid, Path)), request_body = Option<DeleteImage>, responses((status = 204)))]
pub async fn delete(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(order): MaybeBody<DeleteImage>,
) -> Answer<StatusCode> {
    requests::delete_image(&app, &actor, id, order).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// In which format.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct As {
    /// `raw`, `vhd`, `vhd-fixed`, `vhdx`, `vmdk`, `vmdk-stream`, `qcow2`, `qcow2-compressed`; the image's own when left out.
    format: Option<String>,
}

/// Download a layered image, as it is made.
#[utoipa::path(get, path = "/images/{id}/disk", tag = "images", operation_id = "download_image", params(("id" = Uuid, Path), As),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
pub async fn download(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Query(wanted): Query<As>,
) -> Answer<Response> {
    let format = wanted.format.as_deref().map(requests::format).transpose()?;
    attachment(download::open_image(&app, id, format).await?)
}
