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
use shale_api::{
    Check, CheckOutcome, Choice, Comment, Connector, ConnectorField, ConnectorKind, ConnectorTest,
    EditConnector, FieldInput, Fix, NewConnector, Page, TryConnector,
};
use shale_connector::{Input, Outcome};
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
    Ok(Json(result(checks_of(&app, find(&app, id).await?).await?)))
}

/// Test settings before they are stored, line by line.
#[utoipa::path(post, path = "/connectors/test", tag = "connectors", operation_id = "try_connector",
    request_body = TryConnector, responses((status = 200, body = ConnectorTest)))]
pub async fn try_out(
    State(app): State<App>,
    Body(wanted): Body<TryConnector>,
) -> Answer<Json<ConnectorTest>> {
    let checks = on_trial(&app, wanted, |connector| Ok(connector.test())).await?;
    Ok(Json(result(checks.into_iter().map(shown).collect())))
}

/// List what a platform has for those settings that name something on it.
#[utoipa::path(post, path = "/connectors/choices", tag = "connectors", operation_id = "list_connector_choices",
    request_body = TryConnector, responses((status = 200, body = Page<Choice>)))]
pub async fn choices(State(app): State<App>, Body(wanted): Body<TryConnector>) -> Answer<Json<Page<Choice>>> {
    let found = on_trial(&app, wanted, |connector| {
        connector
            .choices()
            .map_err(|e| Error::unavailable("The platform did not say what it has.").because(e))
    });
    let shown = |choice: shale_connector::Choice| Choice {
        field: choice.field.into(),
        value: choice.value,
        label: choice.label,
        detail: choice.detail,
    };
    Ok(Json(Page { items: found.await?.into_iter().map(shown).collect(), next_page_token: None }))
}

/// Asks a connector of settings that are not stored. It leaves nothing on this host, and no session on the platform.
async fn on_trial<T: Send + 'static>(
    app: &App,
    wanted: TryConnector,
    ask: impl FnOnce(&dyn shale_connector::Connector) -> Answer<T> + Send + 'static,
) -> Answer<T> {
    let row = requests::unsaved_connector(app, wanted).await?;
    let world = app.world.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let trial = world.place.trial()?;
        let connector = world
            .open_connector(&row, &trial.0)
            .map_err(|e| Error::field("/settings", crate::error::chain(&e)))?;
        let answer = ask(connector.as_ref());
        connector.disconnect();
        answer
    });
    asked.await.map_err(|e| Error::internal("trying a connector failed").because(e))?
}

/// List the kinds of platforms, and what each wants to be told.
#[utoipa::path(get, path = "/connector-kinds", tag = "connectors", operation_id = "list_connector_kinds",
    responses((status = 200, body = Page<ConnectorKind>)))]
pub async fn kinds() -> Json<Page<ConnectorKind>> {
    let kind = |kind: &&str| ConnectorKind {
        kind: (*kind).into(),
        label: shale_connector::label(kind).into(),
        takes_images: shale_connector::takes_images(kind),
        boots_images: shale_connector::boots_images(kind),
        fields: shale_connector::fields(kind).unwrap_or_default().iter().map(field).collect(),
    };
    Json(Page { items: shale_connector::KINDS.iter().map(kind).collect(), next_page_token: None })
}

fn field(field: &shale_connector::Field) -> ConnectorField {
    let (input, options) = match field.input {
        Input::Text => (FieldInput::Text, &[][..]),
        Input::Secret => (FieldInput::Secret, &[][..]),
        Input::Number => (FieldInput::Number, &[][..]),
        Input::Flag => (FieldInput::Flag, &[][..]),
        Input::OneOf(options) => (FieldInput::OneOf, options),
        Input::Found => (FieldInput::Found, &[][..]),
    };
    ConnectorField {
        name: field.name.into(),
        label: field.label.into(),
        input,
        options: options.iter().map(|option| (*option).into()).collect(),
        required: field.required,
        default: field.default.map(Into::into),
        help: field.help.into(),
    }
}

/// What a connector's test finds.
pub async fn checks_of(app: &App, row: ConnectorRow) -> Answer<Vec<Check>> {
    let world = app.world.clone();
    let tested = tokio::task::spawn_blocking(move || Ok(world.connector(&row)?.test()));
    let checks: Answer<_> =
        tested.await.map_err(|e| Error::internal("a connector's test failed").because(e))?;
    Ok(checks?.into_iter().map(shown).collect())
}

fn result(checks: Vec<Check>) -> ConnectorTest {
    ConnectorTest { ok: checks.iter().all(|check| check.outcome != CheckOutcome::Failed), checks }
}

fn shown(check: shale_connector::Check) -> Check {
    let shown =
        |fix: shale_connector::Fix| Fix { question: fix.question, field: fix.field, value: fix.value };
    Check {
        name: check.name,
        outcome: match check.outcome {
            Outcome::Ok => CheckOutcome::Ok,
            Outcome::Warn => CheckOutcome::Warning,
            Outcome::Failed => CheckOutcome::Failed,
        },
        detail: check.detail,
        hint: check.hint,
        fix: check.fix.map(shown),
    }
}
