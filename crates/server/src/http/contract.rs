//! The OpenAPI document: what the handlers say, and what holds for all of them.

use super::{Api, BASE, api};
use axum::http::Method;
use utoipa::OpenApi;
use utoipa::openapi::schema::{ArrayItems, Schema};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, OpenApi as Document, PathItem, Ref, RefOr, ResponseBuilder, Server, path::Operation,
};
use utoipa_axum::router::OpenApiRouter;

/// Name of a way to sign in, and of the answer to what is refused.
const BEARER: &str = "bearer";
const PROBLEM: &str = "Problem";
/// Name of the other way to sign in.
const SESSION: &str = "session";

/// The contract, as it is committed in `openapi.json`.
pub fn document() -> Document {
    let (_, document) = OpenApiRouter::with_openapi(Api::openapi()).nest(BASE, api()).split_for_parts();
    complete(document)
}

/// Adds what every operation has: problems, servers, the token.
pub(super) fn complete(mut document: Document) -> Document {
    document.servers = Some(vec![
        described("https://localhost:8443", "By HTTPS, signed in or with a token."),
        described("http://localhost", "On the unix socket in the data directory, where no token is needed."),
    ]);
    let signed_in = SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, []);
    let in_session = SecurityRequirement::new::<_, [&str; 0], &str>(SESSION, []);
    document.security = Some(vec![signed_in, in_session, SecurityRequirement::default()]);
    for item in document.paths.paths.values_mut() {
        operations(item).for_each(may_be_refused);
    }
    let components = document.components.get_or_insert_default();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    let cookie = ApiKeyValue::with_description(
        "__Host-shale",
        "Set by POST /session. All but GET also need the header X-Shale-CSRF, which GET /session tells.",
    );
    components.add_security_scheme(SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(PROBLEM))).build();
    let problem = ResponseBuilder::new()
        .description("Refused or failed; the code says how, the detail what to do.")
        .content("application/problem+json", content)
        .build();
    components.responses.insert(PROBLEM.into(), RefOr::T(problem));
    for (name, schema) in &mut components.schemas {
        if let (Some(item), RefOr::T(page)) = (name.strip_prefix("Page_"), schema) {
            name_items(page, item);
        }
    }
    document
}

/// Method, path and id of every operation.
pub(super) fn operations_of(document: &Document) -> Vec<(Method, String, String)> {
    let mut all = Vec::new();
    for (path, item) in &document.paths.paths {
        let named = [
            (Method::GET, &item.get),
            (Method::POST, &item.post),
            (Method::PUT, &item.put),
            (Method::PATCH, &item.patch),
            (Method::DELETE, &item.delete),
        ];
        for (method, operation) in named {
            let id = operation.as_ref().map(|operation| operation.operation_id.clone().unwrap_or_default());
            all.extend(id.map(|id| (method, path.clone(), id)));
        }
    }
    all
}

fn described(url: &str, description: &str) -> Server {
    let mut server = Server::new(url);
    server.description = Some(description.into());
    server
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete, &mut item.put].into_iter().flatten()
}

fn may_be_refused(operation: &mut Operation) {
    for status in ["4XX", "5XX"] {
        let problem = RefOr::Ref(Ref::from_response_name(PROBLEM));
        operation.responses.responses.insert(status.into(), problem);
    }
}

/// Lets a page name its items' schema, which is written out in it otherwise.
fn name_items(page: &mut Schema, item: &str) {
    if let Schema::Object(page) = page
        && let Some(RefOr::T(Schema::Array(items))) = page.properties.get_mut("items")
    {
        items.items = ArrayItems::RefOrSchema(Box::new(RefOr::Ref(Ref::from_schema_name(item))));
    }
}
