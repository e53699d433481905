//! `/connectors`.

use super::answer::{Answer, Body, MaybeBody, Path};
use crate::app::App;
use crate::catalog::ConnectorRow;
use crate::error::Error;
use crate::requests::{self, Actor};
use crate::view::Scene;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use shale_api::{Check, CheckOutcome, Comment, Connector, ConnectorTest, EditConnector, NewConnector, Page};
use shale_connector::Outcome;
use uuid::Uuid;

/// List connector configurations, by name.
#[utoipa::path(get, path = "/connectors", tag = "connectors", operation_id = "list_connectors",
    responses((status = 200, body = Page<Connector>)))]
pub async fn list(State(app): State<App>) -> Answer<Json<Page<Connector>>> {
    let mut tx = app.world.catalog.read().await?;
    let scene = Scene::read(&mut tx).await?;
    let rows = ConnectorRow::list(&mut tx).await?;
    let items = rows.into_iter().map(|row| scene.connector(row)).collect();
    Ok(Json(Page { items, next_page_token: None }))
}

/// Make a connector configuration.
#[utoipa::path(post, path = "/connectors", tag = "connectors", operation_id = "create_connector",
    request_body = NewConnector, responses((status = 201, body = Connector)))]
pub async fn create(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Body(new): Body<NewConnector>,
) -> Answer<(StatusCode, Json<Connector>)> {
    Ok((StatusCode::CREATED, Json(requests::create_connector(&app, &actor, new).await?)))
}

async fn find(app: &App, id: Uuid) -> Answer<ConnectorRow> {
    let mut tx = app.world.catalog.read().await?;
    ConnectorRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("connector configuration", id))
}

/// Show a connector configuration.
#[utoipa::path(get, path = "/connectors/{id}", tag = "connectors", operation_id = "show_connector",
    params(("id" = Uuid, Path)), responses((status = 200, body = Connector)))]
pub async fn show(State(app): State<App>, Path(id): Path<Uuid>) -> Answer<Json<Connector>> {
    let row = find(&app, id).await?;
    let mut tx = app.world.catalog.read().await?;
    Ok(Json(Scene::read(&mut tx).await?.connector(row)))
}

/// Change a connector configuration.
#[utoipa::path(patch, path = "/connectors/{id}", tag = "connectors", operation_id = "edit_connector",
    params(("id" = Uuid, Path)), request_body = EditConnector,
    responses((status = 200, body = Connector)))]
pub async fn edit(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    Body(edit): Body<EditConnector>,
) -> Answer<Json<Connector>> {
    Ok(Json(requests::edit_connector(&app, &actor, id, edit).await?))
}

/// Delete a connector configuration that nothing uses.
#[utoipa::path(delete, path = "/connectors/{id}", tag = "connectors", operation_id = "delete_connector",
    params(("id" = Uuid, Path)), request_body = Option<Comment>,
    responses((status = 204)))]
pub async fn delete(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    MaybeBody(comment): MaybeBody<Comment>,
) -> Answer<StatusCode> {
    requests::delete_connector(&app, &actor, id, &comment.comment).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Test a connector configuration, line by line.
#[utoipa::path(post, path = "/connectors/{id}/test", tag = "connectors", operation_id = "test_connector",
    params(("id" = Uuid, Path)), responses((status = 200, body = ConnectorTest)))]
pub async fn test(State(app): State<App>, Path(id): Path<Uuid>) -> Answer<Json<ConnectorTest>> {
    let checks = checks_of(&app, find(&app, id).await?).await?;
    let ok = checks.iter().all(|check| check.outcome != CheckOutcome::Failed);
    Ok(Json(ConnectorTest { ok, checks }))
}

/// What a connector's test finds.
pub async fn checks_of(app: &App, row: ConnectorRow) -> Answer<Vec<Check>> {
    let world = app.world.clone();
    let tested = tokio::task::spawn_blocking(move || Ok(world.connector(&row)?.test()));
    let checks: Answer<_> =
        tested.await.map_err(|e| Error::internal("a connector's test failed").because(e))?;
    let shown = |check: shale_connector::Check| Check {
        name: check.name,
        outcome: match check.outcome {
            Outcome::Ok => CheckOutcome::Ok,
            Outcome::Warn => CheckOutcome::Warning,
            Outcome::Failed => CheckOutcome::Failed,
        },
        detail: check.detail,
        hint: check.hint,
    };
    Ok(checks?.into_iter().map(shown).collect())
}
