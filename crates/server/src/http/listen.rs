//! Where the API is served: a unix socket for this host's administrator, HTTPS for the rest.

use super::door::{self, Door};
use crate::app::App;
use crate::catalog::UserRow;
use crate::error::{Error, Result};
use crate::place::Place;
use crate::requests::Actor;
use crate::tls;
use axum::middleware;
use axum::{Extension, Router};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tokio::net::UnixListener;

/// How long requests may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// How the server is reached.
pub struct Doors {
    /// Where HTTPS is served, and the SHA-256 of the certificate.
    pub https: Option<(SocketAddr, String)>,
    /// The code that makes the first administrator, while there is none.
    pub setup_code: Option<String>,
}

/// Serves until `stop` completes. The socket is in place, and HTTPS bound, before `ready` is called.
pub async fn serve(
    app: App,
    listen: Option<SocketAddr>,
    ready: impl FnOnce(Doors),
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let place = app.world.place.clone();
    let setup_code = match UserRow::administrators(&mut app.world.catalog.read().await?).await? {
        0 => Some(app.access.setup_code()?.text),
        _ => None,
    };
    let router = super::router(app.clone());
    let socket = bind_socket(&place)?;
    let handle = axum_server::Handle::new();
    let https = match listen {
        Some(address) => Some(bind_https(app, address, &router, handle.clone()).await?),
        None => None,
    };
    let fingerprint = tls::shown(&place)?.fingerprint;
    ready(Doors { https: https.as_ref().map(|(address, _)| (*address, fingerprint)), setup_code });
    let local = router.layer(Extension(Actor::host("administrator (local socket)")));
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
    app: App,
    address: SocketAddr,
    router: &Router,
    handle: axum_server::Handle<SocketAddr>,
) -> Result<(SocketAddr, HttpsTask)> {
    let cannot =
        |e: std::io::Error| Error::unavailable(format!("{address} cannot be listened on.")).because(e);
    let place = app.world.place.clone();
    let config = app.tls.serve(&place)?;
    let door = Door::new(app, place.token()?);
    let guarded = router
        .clone()
        .layer(middleware::from_fn_with_state(door, door::identify))
        .layer(middleware::from_fn(super::answer::name_request))
        .layer(middleware::from_fn(super::console::guard))
        .layer(middleware::from_fn(super::console::only_by_tls));
    let listener = std::net::TcpListener::bind(address).map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    let bound = listener.local_addr().map_err(cannot)?;
    let server = axum_server::from_tcp_rustls(listener, config).map_err(cannot)?.handle(handle);
    Ok((bound, tokio::spawn(server.serve(guarded.into_make_service_with_connect_info::<SocketAddr>()))))
}
