//! `/tokens`: for programs.

use super::answer::{Answer, Body, MaybeBody, Path};
use crate::app::App;
use crate::catalog::TokenRow;
use crate::requests::{self, Actor};
use crate::view;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use shale_api::{Comment, NewToken, Page, Token, TokenCreated};
use uuid::Uuid;

/// List the tokens, by name.
#[utoipa::path(get, path = "/tokens", tag = "access", operation_id = "list_tokens",
    responses((status = 200, body = Page<Token>)))]
pub async fn list(State(app): State<App>) -> Answer<Json<Page<Token>>> {
    let rows = TokenRow::list(&mut app.world.catalog.read().await?).await?;
    Ok(Json(Page { items: rows.into_iter().map(view::token).collect(), next_page_token: None }))
}

/// Make a token. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/tokens", tag = "access", operation_id = "create_token", request_body = NewToken,
    responses((status = 201, body = TokenCreated)))]
pub async fn create(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Body(new): Body<NewToken>,
) -> Answer<(StatusCode, Json<TokenCreated>)> {
    Ok((StatusCode::CREATED, Json(requests::create_token(&app, &actor, new).await?)))
}

/// Delete a token: it is refused from now on.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "access", operation_id = "delete_token",
    params(("id" = Uuid, Path)), request_body = Option<Comment>, responses((status = 204)))]
pub async fn delete(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(comment): MaybeBody<Comment>,
) -> Answer<StatusCode> {
    requests::delete_token(&app, &actor, id, &comment.comment).await?;
    Ok(StatusCode::NO_CONTENT)
}
