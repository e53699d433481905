//! `/users`.

use super::answer::{Answer, Body, MaybeBody, Path};
use crate::app::App;
use crate::catalog::UserRow;
use crate::error::Error;
use crate::requests::{self, Actor};
use crate::view;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use shale_api::{Comment, EditUser, NewUser, Page, User};
use uuid::Uuid;

/// List the users, by name.
#[utoipa::path(get, path = "/users", tag = "access", operation_id = "list_users",
    responses((status = 200, body = Page<User>)))]
pub async fn list(State(app): State<App>) -> Answer<Json<Page<User>>> {
    let mut tx = app.world.catalog.read().await?;
    let mut items = Vec::new();
    for row in UserRow::list(&mut tx).await? {
        items.push(view::user(&mut tx, row).await?);
    }
    Ok(Json(Page { items, next_page_token: None }))
}

/// Make a user.
#[utoipa::path(post, path = "/users", tag = "access", operation_id = "create_user", request_body = NewUser,
    responses((status = 201, body = User)))]
pub async fn create(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Body(new): Body<NewUser>,
) -> Answer<(StatusCode, Json<User>)> {
    Ok((StatusCode::CREATED, Json(requests::create_user(&app, &actor, new).await?)))
}

/// Show a user.
#[utoipa::path(get, path = "/users/{id}", tag = "access", operation_id = "show_user",
    params(("id" = Uuid, Path)), responses((status = 200, body = User)))]
pub async fn show(State(app): State<App>, Path(id): Path<Uuid>) -> Answer<Json<User>> {
    let mut tx = app.world.catalog.read().await?;
    let row = UserRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("user", id))?;
    Ok(Json(view::user(&mut tx, row).await?))
}

/// Change a user's name, role or password.
#[utoipa::path(patch, path = "/users/{id}", tag = "access", operation_id = "edit_user",
    params(("id" = Uuid, Path)), request_body = EditUser, responses((status = 200, body = User)))]
pub async fn edit(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    Body(edit): Body<EditUser>,
) -> Answer<Json<User>> {
    Ok(Json(requests::edit_user(&app, &actor, id, edit).await?))
}

/// Delete a user: their sessions end.
#[utoipa::path(delete, path = "/users/{id}", tag = "access", operation_id = "delete_user",
    params(("id" = Uuid, Path)), request_body = Option<Comment>, responses((status = 204)))]
pub async fn delete(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(comment): MaybeBody<Comment>,
) -> Answer<StatusCode> {
    requests::delete_user(&app, &actor, id, &comment.comment).await?;
    Ok(StatusCode::NO_CONTENT)
}
