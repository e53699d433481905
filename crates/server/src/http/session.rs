//! `/session` and `/setup`: signing in, signing out, the first administrator.

use super::answer::{Answer, Body};
use super::door::{clear_cookie, set_cookie};
use crate::app::App;
use crate::catalog::UserRow;
use crate::error::Error;
use crate::requests::{self, Actor, Identity, Opened};
use crate::view;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::{Extension, Json};
use shale_api::{ChangePassword, ServerInfo, Session, SetUp, SetupCode, SignIn, SignedIn};
use std::net::{IpAddr, SocketAddr};
use uuid::Uuid;

/// Where a request comes from; unknown on the unix socket.
type From = Option<Extension<ConnectInfo<SocketAddr>>>;

fn address(from: From) -> Option<IpAddr> {
    from.map(|Extension(ConnectInfo(address))| address.ip())
}

/// Which server this is.
pub fn server_info() -> ServerInfo {
    ServerInfo { name: "shaled".into(), version: env!("CARGO_PKG_VERSION").into(), api: "v1".into() }
}

async fn shown(app: &App, actor: Option<&Actor>) -> Answer<Session> {
    let setup_needed = UserRow::administrators(&mut app.world.catalog.read().await?).await? == 0;
    let (id, csrf, expires_at) = match actor.map(|actor| actor.identity.clone()) {
        Some(Identity::Session { user, csrf, expires_at, .. }) => (user, Some(csrf), Some(expires_at)),
        Some(Identity::Token(id)) => (id, None, None),
        Some(Identity::Server | Identity::Host) | None => (Uuid::nil(), None, None),
    };
    let user = actor.map(|actor| SignedIn { id, name: actor.name.clone(), role: actor.role });
    let actions = actor.map(|actor| view::general_actions(actor.role)).unwrap_or_default();
    let newest_event = actor.map(|_| app.feed.newest());
    Ok(Session { setup_needed, user, csrf, expires_at, server: server_info(), actions, newest_event })
}

/// Show who is signed in, and whether the server must be set up first.
#[utoipa::path(get, path = "/session", tag = "access", operation_id = "show_session",
    responses((status = 200, body = Session)))]
pub async fn show(State(app): State<App>, actor: Option<Extension<Actor>>) -> Answer<Json<Session>> {
    Ok(Json(shown(&app, actor.as_deref()).await?))
}

type SignedInAnswer = (StatusCode, HeaderMap, Json<Session>);

async fn opened(app: &App, opened: Opened) -> Answer<SignedInAnswer> {
    let session = shown(app, Some(&opened.actor)).await?;
    Ok((StatusCode::CREATED, with_cookie(&set_cookie(&opened.secret))?, Json(session)))
}

fn with_cookie(cookie: &str) -> Answer<HeaderMap> {
    let value = HeaderValue::from_str(cookie);
    let value = value.map_err(|e| Error::internal("a cookie cannot be written").because(e))?;
    Ok([(header::SET_COOKIE, value)].into_iter().collect())
}

/// Sign in with name and password: the answer sets a cookie.
#[utoipa::path(post, path = "/session", tag = "access", operation_id = "sign_in", request_body = SignIn,
    responses((status = 201, body = Session)))]
pub async fn sign_in(
    State(app): State<App>,
    from: From,
    Body(wanted): Body<SignIn>,
) -> Answer<SignedInAnswer> {
    opened(&app, requests::sign_in(&app, address(from), wanted).await?).await
}

/// Sign out: the session ends.
#[utoipa::path(delete, path = "/session", tag = "access", operation_id = "sign_out",
    responses((status = 204)))]
pub async fn sign_out(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
) -> Answer<(StatusCode, HeaderMap)> {
    requests::sign_out(&app, &actor).await?;
    Ok((StatusCode::NO_CONTENT, with_cookie(&clear_cookie())?))
}

/// Change your own password: your other sessions end.
#[utoipa::path(put, path = "/session/password", tag = "access", operation_id = "change_password",
    request_body = ChangePassword, responses((status = 204)))]
pub async fn change_password(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Body(wanted): Body<ChangePassword>,
) -> Answer<StatusCode> {
    requests::change_password(&app, &actor, wanted).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make the first administrator, with the code that the server printed, and sign in.
#[utoipa::path(post, path = "/setup", tag = "access", operation_id = "set_up", request_body = SetUp,
    responses((status = 201, body = Session)))]
pub async fn set_up(State(app): State<App>, from: From, Body(wanted): Body<SetUp>) -> Answer<SignedInAnswer> {
    opened(&app, requests::set_up(&app, address(from), wanted).await?).await
}

/// Show the set-up code, which is a new one if the last has expired.
#[utoipa::path(post, path = "/setup/code", tag = "access", operation_id = "show_setup_code",
    responses((status = 200, body = SetupCode)))]
pub async fn setup_code(State(app): State<App>) -> Answer<Json<SetupCode>> {
    if UserRow::administrators(&mut app.world.catalog.read().await?).await? > 0 {
        return Err(Error::not_allowed("The server has an administrator already: there is no set-up code."));
    }
    let code = app.access.setup_code()?;
    Ok(Json(SetupCode { code: code.text, expires_at: format!("{:.3}", code.expires_at) }))
}
