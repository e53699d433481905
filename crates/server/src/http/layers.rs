//! `/layers`.

use super::answer::{Answer, Body, MaybeBody, Paging, Path, Query};
use crate::app::App;
use crate::catalog::{LayerFilter, LayerRow};
use crate::error::Error;
use crate::requests::{self, Actor};
use crate::view::Scene;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use shale_api::{
    Comment, EditLayer, Layer, LayerCreated, LayerKind, LayerSort, NewLayer, Page, Task, VersionState,
};
use utoipa::IntoParams;
use uuid::Uuid;

/// Which layers, in which order.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only this kind.
    kind: Option<LayerKind>,
    /// Only the one with this name.
    name: Option<String>,
    /// Only those with this in their name or description, letters from A to Z in whatever case.
    text: Option<String>,
    /// Only those whose newest version is in this state.
    state: Option<VersionState>,
    /// What they are sorted by: `created_at` when left out.
    sort: Option<LayerSort>,
    /// The greatest first.
    descending: Option<bool>,
    /// How many items, 1 to 1,000; 100 when left out.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<i64>,
    /// From the page before.
    page_token: Option<String>,
}

/// List layers: oldest first, or in the order that is asked for.
#[utoipa::path(get, path = "/layers", tag = "layers", operation_id = "list_layers", params(Which),
    responses((status = 200, body = Page<Layer>)))]
pub async fn list(State(app): State<App>, Query(which): Query<Which>) -> Answer<Json<Page<Layer>>> {
    let paging = Paging { limit: which.limit, page_token: which.page_token };
    let filter = LayerFilter {
        kind: which.kind,
        name: which.name,
        text: which.text,
        state: which.state,
        sort: which.sort.unwrap_or_default(),
        descending: which.descending.unwrap_or(false),
    };
    let mut tx = app.world.catalog.read().await?;
    let listed = filter.list(&mut tx, &paging.window()?).await?;
    let page = paging.page(listed, |listed| listed.place.clone());
    let scene = Scene::read(&mut tx).await?;
    let items = scene.layers(&mut tx, page.items).await?;
    Ok(Json(Page { items, next_page_token: page.next_page_token }))
}

/// Create an OS layer from a disk.
#[utoipa::path(post, path = "/layers", tag = "layers", operation_id = "create_layer", request_body = NewLayer,
    responses((status = 201, body = LayerCreated)))]
pub async fn create(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Body(new): Body<NewLayer>,
) -> Answer<(StatusCode, Json<LayerCreated>)> {
    Ok((StatusCode::CREATED, Json(requests::create_layer(&app, &actor, new).await?)))
}

/// Show a layer.
#[utoipa::path(get, path = "/layers/{id}", tag = "layers", operation_id = "show_layer", params(("id" = Uuid, Path)),
    responses((status = 200, body = Layer)))]
pub async fn show(State(app): State<App>, Path(id): Path<Uuid>) -> Answer<Json<Layer>> {
    let mut tx = app.world.catalog.read().await?;
    let row = LayerRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("layer", id))?;
    let scene = Scene::read(&mut tx).await?;
    Ok(Json(scene.layer(&mut tx, row).await?))
}

/// Change a layer's name or description.
#[utoipa::path(patch, path = "/layers/{id}", tag = "layers", operation_id = "edit_layer", params(("id" = Uuid, Path)), request_body = EditLayer,
    responses((status = 200, body = Layer)))]
pub async fn edit(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    Body(edit): Body<EditLayer>,
) -> Answer<Json<Layer>> {
    Ok(Json(requests::edit_layer(&app, &actor, id, edit).await?))
}

/// Delete a layer with all its versions.
#[utoipa::path(delete, path = "/layers/{id}", tag = "layers", operation_id = "delete_layer", params(("id" = Uuid, Path)),
    request_body = Option<Comment>, responses((status = 202, body = Task)))]
pub async fn delete(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(comment): MaybeBody<Comment>,
) -> Answer<(StatusCode, Json<Task>)> {
    let task = requests::delete_layer(&app, &actor, id, &comment.comment).await?;
    Ok((StatusCode::ACCEPTED, Json(task)))
}
