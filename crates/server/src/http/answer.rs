//! Answers: errors as problem+json, bodies and queries that say what is wrong with them, pages.

use super::BODY_LIMIT;
use crate::catalog::Window;
use crate::error::{Error, chain};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use shale_api::{Code, Page};
use utoipa::IntoParams;
use uuid::Uuid;

/// A handler's answer.
pub type Answer<T> = Result<T, Error>;

/// Carried by an error answer until the request's name is known.
#[derive(Clone)]
struct Failed(std::sync::Arc<Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(Failed(std::sync::Arc::new(self)));
        response
    }
}

/// Names each request, writes errors out, and logs those that are ours.
pub async fn name_request(request: Request, next: Next) -> Response {
    let name = Uuid::now_v7().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    if let Some(Failed(error)) = response.extensions_mut().remove::<Failed>() {
        match error.code {
            Code::Internal | Code::Unavailable => {
                tracing::error!(request = name, %method, path, error = chain(error.as_ref()), "request failed");
            }
            _ => {
                tracing::info!(request = name, %method, path, error = chain(error.as_ref()), "request refused")
            }
        }
        let status = response.status();
        response = (status, axum::Json(error.problem(&name))).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(wait) = error.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }
    if let Ok(name) = HeaderValue::from_str(&name) {
        response.headers_mut().insert("x-request-id", name);
    }
    response
}

pub async fn no_such_path(request: Request) -> Error {
    Error::not_found("page at", request.uri().path())
}

pub async fn no_such_method(request: Request) -> Error {
    let text = format!("{} cannot be done with {}.", request.method(), request.uri().path());
    Error::invalid(text).with_status(405)
}

/// A JSON body; one that does not fit is a problem with the reason.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Error))]
pub struct Body<T>(pub T);

impl From<JsonRejection> for Error {
    fn from(rejection: JsonRejection) -> Self {
        unfit_body(rejection.status(), &rejection.body_text())
    }
}

/// A body that cannot be used: too large (413), of another type (415), no JSON (400), or of another shape (422).
fn unfit_body(status: StatusCode, why: &str) -> Error {
    let text = match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            format!("The body of the request is larger than {BODY_LIMIT} bytes.")
        }
        _ => format!("The body of the request is not valid: {}.", why.trim_end_matches('.')),
    };
    Error::invalid(text).with_status(status.as_u16())
}

/// A JSON body that may be left out.
pub struct MaybeBody<T>(pub T);

impl<S: Send + Sync, T: Default + serde::de::DeserializeOwned> FromRequest<S> for MaybeBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|e| unfit_body(e.status(), &e.body_text()))?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|e| {
            let shape = e.is_data();
            let status = if shape { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
            unfit_body(status, &e.to_string())
        })
    }
}

/// A query string; one that does not fit is a problem with the reason.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Error))]
pub struct Query<T>(pub T);

impl From<QueryRejection> for Error {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid(format!("The query is not valid: {}.", rejection.body_text()))
    }
}

/// Parts of the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Error))]
pub struct Path<T>(pub T);

impl From<PathRejection> for Error {
    fn from(rejection: PathRejection) -> Self {
        Self::invalid(format!("The path is not valid: {}.", rejection.body_text()))
    }
}

/// Which page of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// How many items, 1 to 1,000; 100 when left out.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<i64>,
    /// From the page before.
    pub page_token: Option<String>,
}

impl Paging {
    /// The rows to read: one more than asked for, to know whether there is a next page.
    pub fn window(&self) -> Answer<Window> {
        let limit = self.limit.unwrap_or(100);
        if !(1..=Window::MOST).contains(&limit) {
            return Err(Error::field("/limit", format!("The limit must be 1 to {}.", Window::MOST)));
        }
        Ok(Window { after: self.page_token.clone(), limit: limit + 1 })
    }

    /// The page of these rows, which were read with [`Paging::window`]; `key` is a row's place.
    pub fn page<T>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> String) -> Page<T> {
        let limit = self.limit.unwrap_or(100) as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_page_token = rows.last().filter(|_| more).map(key);
        Page { items: rows, next_page_token }
    }
}

/// A disk image, as it is made.
pub fn attachment(image: crate::download::Image) -> Answer<Response> {
    let disposition = format!("attachment; filename=\"{}\"", image.file_name);
    let length = image.length;
    let mut response = axum::body::Body::from_stream(image.stream()).into_response();
    let headers = response.headers_mut();
    let value = |text: String| text.parse().map_err(|_| Error::internal("a header cannot be written"));
    headers.insert(header::CONTENT_TYPE, value("application/octet-stream".into())?);
    headers.insert(header::CONTENT_DISPOSITION, value(disposition)?);
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, value(length.to_string())?);
    }
    Ok(response)
}
