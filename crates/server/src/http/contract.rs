//! The OpenAPI document: what the handlers say, and what holds for all of them.

use super::{Api, BASE, api};
use utoipa::OpenApi;
use utoipa::openapi::schema::{ArrayItems, Schema};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, OpenApi as Document, PathItem, Ref, RefOr, ResponseBuilder, Server, path::Operation,
};
use utoipa_axum::router::OpenApiRouter;

/// Name of the way to sign in, and of the answer to what is refused.
const BEARER: &str = "bearer";
const PROBLEM: &str = "Problem";

/// The contract, as it is committed in `openapi.json`.
pub fn document() -> Document {
    let (_, document) = OpenApiRouter::with_openapi(Api::openapi()).nest(BASE, api()).split_for_parts();
    complete(document)
}

/// Adds what every operation has: problems, servers, the token.
pub(super) fn complete(mut document: Document) -> Document {
    document.servers = Some(vec![
        described("https://localhost:8443", "By HTTPS, with the token from the data directory."),
        described("http://localhost", "On the unix socket in the data directory, where no token is needed."),
    ]);
    let signed_in = SecurityRequirement::new::<_, [&str; 0], &str>(BEARER, []);
    document.security = Some(vec![signed_in, SecurityRequirement::default()]);
    for item in document.paths.paths.values_mut() {
        operations(item).for_each(may_be_refused);
    }
    let components = document.components.get_or_insert_default();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
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
