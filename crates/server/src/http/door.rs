//! Who comes in, and how far: in front of every handler, in one place.
//!
//! ```text
//!   HTTPS ─▶ identify ─▶ who asks, if anybody is known ─┐
//!            cookie + X-Shale-CSRF, shale_… token,      ├─▶ authorize ─▶ handler
//!            the data directory's token                 │   operation ─▶ the model's table of roles
//!   unix socket ─▶ this host's administrator ───────────┘   no entry: the administrator's
//! ```

use super::answer::Answer;
use super::contract;
use crate::access::{digest, same};
use crate::app::App;
use crate::catalog::{SessionRow, TokenRow};
use crate::error::{Error, Result};
use crate::requests::{Actor, Identity, actor_of};
use crate::view;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use shale_model::{Need, Role};
use std::collections::HashMap;
use std::sync::Arc;

/// The cookie's name: browsers take one of this prefix only by TLS, for this host alone and all of its paths.
const COOKIE: &str = "__Host-shale";
/// What a session's requests repeat.
const CSRF: &str = "x-shale-csrf";

/// What `identify` needs.
pub struct Door {
    app: App,
    /// The token in the data directory.
    token: String,
}

impl Door {
    /// With the token in the data directory.
    pub fn new(app: App, token: String) -> Arc<Self> {
        Arc::new(Self { app, token })
    }

    async fn whose_token(&self, shown: &str) -> Result<Option<Actor>> {
        if same(shown.as_bytes(), self.token.as_bytes()) {
            return Ok(Some(Actor::host("administrator (token)")));
        }
        let mut tx = self.app.world.catalog.read().await?;
        let Some(token) = TokenRow::by_digest(&mut tx, &digest(shown)).await? else { return Ok(None) };
        drop(tx);
        // To the minute, so that not every request writes.
        let minute = |text: &str| text.get(..16).map(str::to_owned);
        let now = crate::catalog::now();
        if token.last_used_at.as_deref().and_then(minute) != minute(&now) {
            let mut tx = self.app.world.catalog.begin().await?;
            TokenRow::touch(&mut tx, token.id).await?;
            tx.commit().await?;
            self.app.feed.publish("token", token.id, false);
        }
        let name = format!("token '{}'", token.name);
        Ok(Some(Actor { name, role: token.role, identity: Identity::Token(token.id) }))
    }

    async fn whose_session(&self, secret: &str) -> Result<Option<Actor>> {
        let digest = digest(secret);
        let mut tx = self.app.world.catalog.read().await?;
        let Some((session, user)) = SessionRow::get(&mut tx, &digest).await? else { return Ok(None) };
        drop(tx);
        if session.is_due() {
            let mut tx = self.app.world.catalog.begin().await?;
            SessionRow::touch(&mut tx, &digest).await?;
            tx.commit().await?;
        }
        Ok(Some(actor_of(secret, &session, &user)))
    }
}

/// A request that came with a session's cookie but does not show that a page of ours made it.
#[derive(Clone)]
struct Unproven;

/// Finds out who asks. Whether they may is decided by [`authorize`].
pub async fn identify(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/api/") {
        return next.run(request).await;
    }
    if is_foreign(&request) {
        return refuse(request, Error::forbidden("Another site's page asked for this.")).await;
    }
    let headers = request.headers();
    let found = match (bearer(headers), cookie(headers)) {
        (Some(token), _) => door.whose_token(token).await,
        (None, Some(secret)) => door.whose_session(secret).await,
        (None, None) => Ok(None),
    };
    match found {
        Err(error) => return refuse(request, error).await,
        Ok(Some(actor)) if is_proven(&request, &actor) => drop(request.extensions_mut().insert(actor)),
        Ok(Some(_)) => drop(request.extensions_mut().insert(Unproven)),
        Ok(None) => {}
    }
    next.run(request).await
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    // Whatever else was shown is wrong, and no cookie makes up for it.
    Some(shown.strip_prefix("Bearer ").unwrap_or_default().trim())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether a page of another origin asks for a change or a WebSocket. Browsers say where a page is from.
fn is_foreign(request: &Request) -> bool {
    let changes = !is_safe(request.method()) || request.headers().contains_key(header::UPGRADE);
    let Some(origin) = request.headers().get(header::ORIGIN).filter(|_| changes) else { return false };
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(request.uri().authority().map(|authority| authority.as_str()));
    let from = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    from.is_none() || from != host
}

fn is_proven(request: &Request, actor: &Actor) -> bool {
    let Identity::Session { csrf, .. } = &actor.identity else { return true };
    let shown = request.headers().get(CSRF).map(|shown| shown.as_bytes()).unwrap_or_default();
    is_safe(request.method()) || same(shown, csrf.as_bytes())
}

/// What sets the session's cookie. The session may end before the cookie does.
pub fn set_cookie(secret: &str) -> String {
    let seconds = crate::catalog::LONGEST.as_secs();
    format!("{COOKIE}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}")
}

/// What deletes it.
pub fn clear_cookie() -> String {
    format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
}

/// Who each operation is for, by method and path.
pub type Needs = Arc<HashMap<(Method, String), Need>>;

/// The table of roles by the paths of the contract.
pub fn needs() -> Needs {
    let all = contract::operations_of(&contract::document());
    Arc::new(all.into_iter().map(|(method, path, id)| ((method, path), shale_model::need(&id))).collect())
}

/// Lets only those through whose role is enough for what they ask. What changes something is done to its end even if who asked
/// does not wait for the answer: what the connection's own task does is dropped, wherever it is, when the connection breaks.
pub async fn authorize(State(needs): State<Needs>, request: Request, next: Next) -> Response {
    let changes = !is_safe(request.method());
    match permit(&needs, &request) {
        Ok(role) if changes => match tokio::spawn(view::ROLE.scope(role, next.run(request))).await {
            Ok(response) => response,
            Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            Err(e) => Error::unavailable("The server is being stopped").because(e).into_response(),
        },
        Ok(role) => view::ROLE.scope(role, next.run(request)).await,
        Err(error) => refuse(request, error).await,
    }
}

/// Answers an error, once the request's body is read: by HTTP/2, an answer in the middle of it looks to clients as if the
/// connection had broken. A body larger than any but an upload's is cut off.
async fn refuse(request: Request, error: Error) -> Response {
    let _ = axum::body::to_bytes(request.into_body(), super::BODY_LIMIT).await;
    error.into_response()
}

/// The role in which the request is answered.
fn permit(needs: &Needs, request: &Request) -> Answer<Role> {
    let actor = request.extensions().get::<Actor>();
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str());
    let Some(path) = path.filter(|path| path.starts_with("/api/")) else {
        // The console's files and the server's health; a path that does not exist.
        return if request.uri().path().starts_with("/api/") { role_of(request) } else { Ok(Role::Reader) };
    };
    let method = if *request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let needed = match needs.get(&(method, path.to_owned())) {
        Some(Need::Nobody) => return Ok(actor.map_or(Role::Reader, |actor| actor.role)),
        Some(Need::Role(needed)) => *needed,
        None if path == super::DOCUMENT => Role::Reader,
        None => Role::Administrator,
    };
    let role = role_of(request)?;
    if needed > role {
        return Err(Error::forbidden(shale_model::lacking(needed, role)));
    }
    Ok(role)
}

fn role_of(request: &Request) -> Answer<Role> {
    if request.extensions().get::<Unproven>().is_some() {
        let text = "The request lacks the session's X-Shale-CSRF: GET /session tells it.";
        return Err(Error::forbidden(text));
    }
    let actor = request.extensions().get::<Actor>().ok_or_else(|| {
        Error::unauthenticated("Sign in: in the console, or with a token as Authorization: Bearer …")
    })?;
    Ok(actor.role)
}
