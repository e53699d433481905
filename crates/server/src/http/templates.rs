//! `/templates`.

use super::answer::{Answer, Body, MaybeBody, Paging, Path, Query};
use crate::app::App;
use crate::catalog::{TaskRow, TemplateFilter, TemplateRow};
use crate::error::Error;
use crate::requests::{self, Actor};
use crate::template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use shale_api::{
    CloneTemplate, Comment, EditTemplate, ImageCreated, NewTemplate, Page, Plan, PublishImage, Template,
};
use utoipa::IntoParams;
use uuid::Uuid;

/// Which templates.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only the one with this name.
    name: Option<String>,
    /// Only those with this in their name or description, letters from A to Z in whatever case.
    text: Option<String>,
    /// How many items, 1 to 1,000; 100 when left out.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<i64>,
    /// From the page before.
    page_token: Option<String>,
}

/// List image templates, oldest first.
#[utoipa::path(get, path = "/templates", tag = "templates", operation_id = "list_templates", params(Which),
    responses((status = 200, body = Page<Template>)))]
pub async fn list(State(app): State<App>, Query(which): Query<Which>) -> Answer<Json<Page<Template>>> {
    let paging = Paging { limit: which.limit, page_token: which.page_token };
    let filter = TemplateFilter { name: which.name, text: which.text };
    let mut tx = app.world.catalog.read().await?;
    let rows = TemplateRow::list(&mut tx, &filter, &paging.window()?).await?;
    let page = paging.page(rows, |row| row.id.to_string());
    let open = TaskRow::open(&mut tx).await?;
    let templates = template::Template::read_all(&mut tx, page.items).await?;
    let items = templates.into_iter().map(|template| template.view(&open)).collect();
    Ok(Json(Page { items, next_page_token: page.next_page_token }))
}

/// Create an image template.
#[utoipa::path(post, path = "/templates", tag = "templates", operation_id = "create_template",
    request_body = NewTemplate, responses((status = 201, body = Template)))]
pub async fn create(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Body(new): Body<NewTemplate>,
) -> Answer<(StatusCode, Json<Template>)> {
    Ok((StatusCode::CREATED, Json(requests::create_template(&app, &actor, new).await?)))
}

/// Show an image template.
#[utoipa::path(get, path = "/templates/{id}", tag = "templates", operation_id = "show_template",
    params(("id" = Uuid, Path)), responses((status = 200, body = Template)))]
pub async fn show(State(app): State<App>, Path(id): Path<Uuid>) -> Answer<Json<Template>> {
    let mut tx = app.world.catalog.read().await?;
    let row = TemplateRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("image template", id))?;
    let open = TaskRow::open(&mut tx).await?;
    Ok(Json(template::Template::read(&mut tx, row).await?.view(&open)))
}

/// Change an image template. Images that were published of it stay as they are.
#[utoipa::path(patch, path = "/templates/{id}", tag = "templates", operation_id = "edit_template",
    params(("id" = Uuid, Path)), request_body = EditTemplate, responses((status = 200, body = Template)))]
pub async fn edit(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    Body(edit): Body<EditTemplate>,
) -> Answer<Json<Template>> {
    Ok(Json(requests::edit_template(&app, &actor, id, edit).await?))
}

/// Delete an image template. Images that were published of it stay.
#[utoipa::path(delete, path = "/templates/{id}", tag = "templates", operation_id = "delete_template",
    params(("id" = Uuid, Path)), request_body = Option<Comment>, responses((status = 204)))]
pub async fn delete(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(comment): MaybeBody<Comment>,
) -> Answer<StatusCode> {
    requests::delete_template(&app, &actor, id, &comment.comment).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make an image template like this one.
#[utoipa::path(post, path = "/templates/{id}/clone", tag = "templates", operation_id = "clone_template",
    params(("id" = Uuid, Path)), request_body = CloneTemplate, responses((status = 201, body = Template)))]
pub async fn duplicate(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    Body(new): Body<CloneTemplate>,
) -> Answer<(StatusCode, Json<Template>)> {
    Ok((StatusCode::CREATED, Json(requests::clone_template(&app, &actor, id, new).await?)))
}

/// Move every part of an image template to its newest deployable version.
#[utoipa::path(post, path = "/templates/{id}/update", tag = "templates", operation_id = "update_template",
    params(("id" = Uuid, Path)), request_body = Option<Comment>, responses((status = 200, body = Template)))]
pub async fn update(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(comment): MaybeBody<Comment>,
) -> Answer<Json<Template>> {
    Ok(Json(requests::update_template(&app, &actor, id, &comment.comment).await?))
}

/// Which paths of a plan.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paths {
    /// Only those with this in them, in whatever case.
    search: Option<String>,
    /// How many paths, 1 to 1,000; 100 when left out.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<i64>,
    /// From the page before.
    page_token: Option<String>,
}

/// Tell what publishing an image template would come to: which layer wins at every path, conflicts, sizes. Nothing is written.
#[utoipa::path(get, path = "/templates/{id}/plan", tag = "templates", operation_id = "show_plan",
    params(("id" = Uuid, Path), Paths), responses((status = 200, body = Plan)))]
pub async fn plan(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Query(wanted): Query<Paths>,
) -> Answer<Json<Plan>> {
    let paging = Paging { limit: wanted.limit, page_token: wanted.page_token };
    let window = paging.window()?;
    let search = wanted.search.unwrap_or_default();
    let after = window.after.unwrap_or_default();
    let mut plan = requests::plan(&app, id, search, after, window.limit as usize).await?;
    plan.paths = paging.page(plan.paths.items, |path| path.path.clone());
    Ok(Json(plan))
}

/// Publish an image template: its versions become one bootable disk.
#[utoipa::path(post, path = "/templates/{id}/publish", tag = "templates", operation_id = "publish_image",
    params(("id" = Uuid, Path)), request_body = PublishImage, responses((status = 201, body = ImageCreated)))]
pub async fn publish(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    Body(order): Body<PublishImage>,
) -> Answer<(StatusCode, Json<ImageCreated>)> {
    Ok((StatusCode::CREATED, Json(requests::publish_image(&app, &actor, id, order).await?)))
}
