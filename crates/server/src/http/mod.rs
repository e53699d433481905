//! The HTTP API: one file per noun, thin. Rules live in `model`, effects in `requests` and `jobs`.
//!
//! Served on a unix socket (whoever can open it, 0600, is the administrator) and by HTTPS, where people sign in and
//! programs show a token.

mod answer;
mod certificate;
mod connectors;
mod console;
mod contract;
mod door;
mod events;
mod images;
mod layers;
mod listen;
mod machines;
mod repository;
mod schedules;
mod screen;
mod session;
mod system;
mod tasks;
mod templates;
mod tokens;
mod uploads;
mod users;
mod versions;

pub use contract::document;
pub use listen::{Doors, serve};

use crate::app::App;
use axum::Router;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Where the API stands.
pub const BASE: &str = "/api/v1";
/// Where its description stands.
const DOCUMENT: &str = "/api/openapi.json";
/// The largest request body.
const BODY_LIMIT: usize = 1 << 20;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Shale",
        version = "1",
        description = "Manages operating-system images as layers with versions. Conventions: docs/api.md.",
        license(name = "GPL-3.0-or-later", identifier = "GPL-3.0-or-later")
    ),
    tags(
        (name = "layers", description = "Named things that have versions."),
        (name = "versions", description = "States of a layer: made in a packaging machine, never changed after."),
        (name = "templates", description = "What layered images are made of."),
        (name = "images", description = "Layered images: what templates became."),
        (name = "schedules", description = "Versions that scripts make by themselves, again and again."),
        (name = "machines", description = "Packaging machines, by the id of the version that is made in them."),
        (name = "tasks", description = "Long operations: they survive restarts, may wait for a person, can be cancelled."),
        (name = "connectors", description = "Stored values that tell how to reach a platform."),
        (name = "repository", description = "Where versions are stored."),
        (name = "access", description = "Who may come in: sessions, users, tokens."),
        (name = "uploads", description = "Files on their way to the server: sent in parts, taken up where they broke off."),
        (name = "events", description = "What changes, as it changes."),
        (name = "system", description = "The server itself.")
    ),
    components(schemas(
        shale_api::Problem,
        shale_api::Code,
        shale_api::FieldError,
        shale_api::Event,
        shale_api::LayerSort,
        shale_api::PlanPath
    ))
)]
struct Api;

fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(layers::list, layers::create))
        .routes(routes!(layers::show, layers::edit, layers::delete))
        .routes(routes!(versions::list, versions::add))
        .routes(routes!(versions::show, versions::edit, versions::delete))
        .routes(routes!(versions::finalize))
        .routes(routes!(versions::verify))
        .routes(routes!(versions::export))
        .routes(routes!(versions::download))
        .routes(routes!(schedules::prune))
        .routes(routes!(schedules::list, schedules::create))
        .routes(routes!(schedules::show, schedules::edit, schedules::delete))
        .routes(routes!(schedules::run))
        .routes(routes!(templates::list, templates::create))
        .routes(routes!(templates::show, templates::edit, templates::delete))
        .routes(routes!(templates::duplicate))
        .routes(routes!(templates::update))
        .routes(routes!(templates::plan))
        .routes(routes!(templates::publish))
        .routes(routes!(images::list))
        .routes(routes!(images::show, images::delete))
        .routes(routes!(images::download))
        .routes(routes!(machines::list))
        .routes(routes!(machines::show))
        .routes(routes!(machines::power_on))
        .routes(routes!(machines::shut_down))
        .routes(routes!(machines::power_off))
        .routes(routes!(machines::serial))
        .routes(routes!(machines::check))
        .routes(routes!(machines::files, machines::put_files))
        .routes(routes!(screen::open))
        .routes(routes!(tasks::list))
        .routes(routes!(tasks::show))
        .routes(routes!(tasks::cancel))
        .routes(routes!(tasks::retry))
        .routes(routes!(tasks::log))
        .routes(routes!(tasks::output))
        .routes(routes!(connectors::list, connectors::create))
        .routes(routes!(connectors::show, connectors::edit, connectors::delete))
        .routes(routes!(connectors::test))
        .routes(routes!(connectors::try_out))
        .routes(routes!(connectors::choices))
        .routes(routes!(connectors::kinds))
        .routes(routes!(repository::show))
        .routes(routes!(repository::check))
        .routes(routes!(repository::collect))
        .routes(routes!(session::show, session::sign_in, session::sign_out))
        .routes(routes!(session::change_password))
        .routes(routes!(session::set_up))
        .routes(routes!(session::setup_code))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::show, users::edit, users::delete))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::delete))
        .routes(routes!(uploads::list, uploads::create))
        .routes(routes!(uploads::show, uploads::append, uploads::delete))
        .routes(routes!(events::stream))
        .routes(routes!(certificate::show, certificate::replace))
        .routes(routes!(system::audit))
        .routes(routes!(system::doctor))
        .routes(routes!(system::version))
}

/// The API and the console, for those whom somebody in front of it has identified: see [`door`].
pub fn router(app: App) -> Router {
    let (router, document) = OpenApiRouter::with_openapi(Api::openapi()).nest(BASE, api()).split_for_parts();
    let document = contract::complete(document);
    let router = router
        .route("/healthz", axum::routing::get(system::healthy))
        .route("/readyz", axum::routing::get(system::ready))
        .route(DOCUMENT, axum::routing::get(async move || axum::Json(document)))
        .fallback(console::serve)
        .method_not_allowed_fallback(answer::no_such_method)
        .layer(axum::extract::DefaultBodyLimit::max(BODY_LIMIT))
        .layer(axum::middleware::from_fn_with_state(door::needs(), door::authorize))
        .layer(axum::middleware::from_fn(answer::name_request))
        .layer(axum::middleware::from_fn(console::guard));
    router.with_state(app)
}
