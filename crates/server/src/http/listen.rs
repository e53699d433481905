//! Where the API is served: a unix socket for this host's administrator, HTTPS for the rest.

use crate::app::App;
use crate::error::{Error, Result};
use crate::place::Place;
use crate::requests::Actor;
use crate::tls;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use axum_server::tls_rustls::RustlsConfig;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;

/// How long requests may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until `stop` completes. The socket is in place, and HTTPS bound, before `ready` is called.
pub async fn serve(
    app: App,
    listen: Option<SocketAddr>,
    ready: impl FnOnce(Option<SocketAddr>),
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let place = app.world.place.clone();
    let router = super::router(app);
    let socket = bind_socket(&place)?;
    let handle = axum_server::Handle::new();
    let https = match listen {
        Some(address) => Some(bind_https(&place, address, &router, handle.clone()).await?),
        None => None,
    };
    ready(https.as_ref().map(|(address, _)| *address));
    let local = router.layer(Extension(Actor("administrator (local socket)".into())));
    let socket_task = tokio::spawn(async move { axum::serve(socket, local).await });
    stop.await;
    handle.graceful_shutdown(Some(GRACE));
    if let Some((_, task)) = https {
        // Its requests have ended, or the time for them has.
        let _ = tokio::time::timeout(GRACE, task).await;
    }
    socket_task.abort();
    let _ = std::fs::remove_file(place.socket());
    Ok(())
}

fn bind_socket(place: &Place) -> Result<UnixListener> {
    let path = place.socket();
    let cannot = |e: std::io::Error| {
        Error::unavailable(format!("The socket {} cannot be made.", path.display())).because(e)
    };
    // The data directory is held by this process alone: a socket that is there belongs to a server that is gone.
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(cannot(e)),
        _ => {}
    }
    // The data directory is 0700: nobody else gets at the socket before its own mode is set.
    let listener = UnixListener::bind(&path).map_err(cannot)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(cannot)?;
    Ok(listener)
}

type HttpsTask = tokio::task::JoinHandle<std::io::Result<()>>;

async fn bind_https(
    place: &Place,
    address: SocketAddr,
    router: &Router,
    handle: axum_server::Handle<SocketAddr>,
) -> Result<(SocketAddr, HttpsTask)> {
    let cannot =
        |e: std::io::Error| Error::unavailable(format!("{address} cannot be listened on.")).because(e);
    let (cert, key) = tls::certificate(place)?;
    let config = RustlsConfig::from_pem_file(&cert, &key).await.map_err(|e| {
        Error::unavailable(format!("The certificate {} cannot be used.", cert.display())).because(e)
    })?;
    let token = Arc::new(place.token()?);
    let guarded = router
        .clone()
        .layer(middleware::from_fn_with_state(token, authenticate))
        .layer(middleware::from_fn(super::answer::name_request))
        .layer(middleware::from_fn(super::console::guard))
        .layer(middleware::from_fn(super::console::only_by_tls));
    let listener = std::net::TcpListener::bind(address).map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    let bound = listener.local_addr().map_err(cannot)?;
    let server = axum_server::from_tcp_rustls(listener, config).map_err(cannot)?.handle(handle);
    Ok((bound, tokio::spawn(server.serve(guarded.into_make_service()))))
}

/// Lets only those in who show the token; health and the console's own files need none.
async fn authenticate(State(token): State<Arc<String>>, mut request: Request, next: Next) -> Response {
    let open = !request.uri().path().starts_with("/api/");
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    if !open && !shown.is_some_and(|shown| same(shown.as_bytes(), token.as_bytes())) {
        let text = "Sign in: send the token from the server's data directory as a bearer token.";
        return Error::unauthenticated(text).into_response();
    }
    request.extensions_mut().insert(Actor("administrator (token)".into()));
    next.run(request).await
}

/// Compares without telling by its time where two texts differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
