//! The console: what the build of `console/` left in `console/dist`, inside the program (a debug build reads the folder).
//!
//! ```text
//!   GET /, /layers/…         ─▶ index.html   asked for again each time (ETag): it names the others
//!   GET /assets/x-HASH.js    ─▶ the file, or its .br or .gz beside it; kept for ever: its name changes with it
//!   GET /assets/gone.js      ─▶ 404, and no page: an old page must not take one for a script
//!   GET /api/gone            ─▶ 404, a problem
//! ```

use super::answer::{Answer, no_such_method, no_such_path};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "../../console/dist"]
#[allow_missing = true]
struct Files;

/// The page that every path of the console begins with.
const PAGE: &str = "index.html";
/// Where the build puts what has its content's hash in its name.
const HASHED: &str = "assets/";
/// What a page of ours may do: nothing but what this server gives it. Also keeps a file that somebody made us serve from
/// becoming a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                      connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/// Shown where the program was built without a console.
const MISSING: &str = "<!doctype html><html lang=\"en\"><title>Shale</title><h1>This server has no console</h1>\
    <p>It was built without one. In the source, run <code>make console</code>, then build the server again. \
    The command line and the API work without it.</p></html>\n";

/// Answers whatever is no path of the API.
pub async fn serve(request: Request) -> Answer<Response> {
    serve_from::<Files>(request).await
}

async fn serve_from<F: RustEmbed>(request: Request) -> Answer<Response> {
    let path = request.uri().path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Err(no_such_path(request).await);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(no_such_method(request).await);
    }
    let (name, file) = match F::get(path).filter(|_| !path.is_empty()) {
        Some(file) => (path, file),
        None if path.starts_with(HASHED) => return Err(no_such_path(request).await),
        None => match F::get(PAGE) {
            Some(page) => (PAGE, page),
            None => return Ok(missing()),
        },
    };
    Ok(answer::<F>(name, file, request.headers()))
}

fn answer<F: RustEmbed>(name: &str, plain: EmbeddedFile, asked: &HeaderMap) -> Response {
    let (coding, file) =
        packed::<F>(name, asked).map_or((None, plain), |(coding, file)| (Some(coding), file));
    let hash: String = file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{hash}\"");
    let known = list(asked, header::IF_NONE_MATCH).any(|known| known.trim_start_matches("W/") == tag);
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(file.data).into_response(),
    };
    let keep = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(name)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.extend(coding.map(|coding| (header::CONTENT_ENCODING, HeaderValue::from_static(coding))));
    headers.extend(HeaderValue::from_str(&tag).ok().map(|tag| (header::ETAG, tag)));
    response
}

/// The file as the build packed it, in a coding that the browser takes.
fn packed<F: RustEmbed>(name: &str, asked: &HeaderMap) -> Option<(&'static str, EmbeddedFile)> {
    let takes = |coding: &str| {
        list(asked, header::ACCEPT_ENCODING).any(|word| {
            let (name, weight) = word.split_once(';').unwrap_or((word, ""));
            name.trim() == coding && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        })
    };
    let codings = [("br", ".br"), ("gzip", ".gz")].into_iter().filter(|(coding, _)| takes(coding));
    codings.filter_map(|(coding, ending)| Some((coding, F::get(&format!("{name}{ending}"))?))).next()
}

/// The members of a header that is a list.
fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn missing() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (StatusCode::NOT_FOUND, kind, MISSING).into_response()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Tells browsers what no answer of ours may be used for. Answers of the API are kept nowhere.
pub async fn guard(request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if is_api {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

/// Tells browsers to come by TLS only.
pub async fn only_by_tls(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let year = HeaderValue::from_static("max-age=31536000");
    response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, year);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(RustEmbed)]
    #[folder = "tests/console"]
    struct Example;

    const SCRIPT: &str = "/assets/app-0a1b2c3d.js";

    async fn ask(method: &str, path: &str, headers: &[(HeaderName, &str)]) -> Answer<(Response, Vec<u8>)> {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let response = serve_from::<Example>(request.body(Body::empty()).unwrap()).await?;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec();
        Ok((Response::from_parts(parts, Body::empty()), bytes))
    }

    #[tokio::test]
    async fn every_path_that_is_no_file_gets_the_page_which_is_asked_for_again() {
        for path in ["/", "/index.html", "/layers/0198/versions?sort=name", "/machines/x.y"] {
            let (page, bytes) = ask("GET", path, &[]).await.unwrap();
            assert_eq!(page.status(), 200, "{path}");
            assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(page.headers()[header::CACHE_CONTROL], "no-cache");
            assert!(String::from_utf8(bytes).unwrap().contains("A console for tests"));
            let tag = page.headers()[header::ETAG].to_str().unwrap().to_owned();
            let (again, bytes) = ask("GET", path, &[(header::IF_NONE_MATCH, &tag)]).await.unwrap();
            assert_eq!((again.status().as_u16(), bytes.len()), (304, 0));
        }
    }

    #[tokio::test]
    async fn a_file_is_kept_for_ever_and_comes_packed_to_those_who_take_it() {
        let (plain, bytes) = ask("GET", SCRIPT, &[]).await.unwrap();
        assert!(plain.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        assert_eq!(plain.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert!(bytes.starts_with(b"console.log"));
        for (takes, coding) in [("gzip, deflate, br", Some("gzip")), ("gzip;q=0", None), ("zstd", None)] {
            let (got, bytes) = ask("GET", SCRIPT, &[(header::ACCEPT_ENCODING, takes)]).await.unwrap();
            let found = got.headers().get(header::CONTENT_ENCODING).map(|coding| coding.to_str().unwrap());
            assert_eq!(found, coding, "{takes}");
            assert_eq!(bytes.starts_with(&[0x1f, 0x8b]), coding.is_some());
            assert_eq!(got.headers()[header::ETAG] == plain.headers()[header::ETAG], coding.is_none());
        }
    }

    #[tokio::test]
    async fn what_is_gone_or_belongs_to_the_api_gets_no_page() {
        for path in ["/assets/app-ffffffff.js", "/api", "/api/v1/nothing", "/api/v2"] {
            assert_eq!(ask("GET", path, &[]).await.unwrap_err().status(), 404, "{path}");
        }
        assert_eq!(ask("POST", "/layers", &[]).await.unwrap_err().status(), 405);
        for path in ["/../Cargo.toml", "/assets/../../../Cargo.toml", "/%2e%2e/Cargo.toml"] {
            let told = ask("GET", path, &[]).await.map(|(_, bytes)| String::from_utf8(bytes).unwrap());
            assert!(told.is_err() || told.unwrap().contains("A console for tests"), "{path}");
        }
    }
}
