//! `/machines/{id}/screen`: a packaging machine's screen as a WebSocket whose binary messages are RFB (VNC), as noVNC and
//! other viewers in a browser speak it.
//!
//! ```text
//!   browser ──binary messages──▶ WebSocket │ pump │ stream ──▶ connector ──▶ QEMU's socket, XenServer's console
//!           ◀──────────────────            │      │        ◀──
//! ```

use super::answer::{Answer, Path};
use crate::access::signed_out;
use crate::app::App;
use crate::catalog::{ConnectorRow, VersionRow};
use crate::error::Error;
use crate::requests::Actor;
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::{SinkExt, StreamExt};
use shale_connector::Tag;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use uuid::Uuid;

/// Largest message from a viewer: key strokes and pasted text are far smaller.
const MESSAGE_LIMIT: usize = 1 << 20;
/// Bytes of the screen sent at once.
const CHUNK: usize = 64 << 10;

/// Show the screen of a packaging machine: a WebSocket whose binary messages are RFB (VNC).
#[utoipa::path(get, path = "/machines/{id}/screen", tag = "machines", operation_id = "open_screen", params(("id" = Uuid, Path)),
    responses((status = 101, description = "Binary messages in both directions are RFB; the subprotocol is `binary`.")))]
pub async fn open(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer<Response> {
    let upgrade = upgrade.map_err(|rejection| {
        Error::invalid(format!("This is for WebSockets: {}.", rejection.body_text()))
            .with_status(rejection.status().as_u16())
    })?;
    let screen = connect(&app, id).await?;
    let upgrade = upgrade.protocols(["binary"]).max_message_size(MESSAGE_LIMIT);
    Ok(upgrade.on_upgrade(async move |socket| {
        tokio::select! { () = pump(socket, screen) => {}, () = signed_out(app, actor) => {} }
    }))
}

async fn connect(app: &App, id: Uuid) -> Answer<UnixStream> {
    let mut tx = app.world.catalog.read().await?;
    let version = VersionRow::get(&mut tx, id).await?;
    let connector = version.and_then(|v| v.connector_id).ok_or_else(|| Error::not_found("machine", id))?;
    let row = ConnectorRow::get(&mut tx, connector).await?;
    let row = row.ok_or_else(|| Error::not_found("connector configuration", connector))?;
    drop(tx);
    let world = app.world.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let connector = world.connector(&row)?;
        Tag::parse(&id.to_string()).and_then(|tag| connector.open_screen(&tag)).map_err(|e| match e.kind() {
            shale_connector::ErrorKind::Absent => Error::not_found("machine", id),
            shale_connector::ErrorKind::Busy => {
                Error::not_allowed("The machine has no screen now.").because(e)
            }
            _ => Error::unavailable("The machine's screen cannot be reached.").because(e),
        })
    });
    let stream = opened.await.map_err(|e| Error::internal("opening a screen failed").because(e))??;
    stream
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(stream))
        .map_err(|e| Error::internal("a screen cannot be taken over").because(e))
}

/// Carries bytes both ways until either side ends.
async fn pump(socket: WebSocket, screen: UnixStream) {
    let (mut to_viewer, mut from_viewer) = socket.split();
    let (mut from_screen, mut to_screen) = screen.into_split();
    let down = async {
        let mut buf = vec![0; CHUNK];
        while let Ok(length @ 1..) = from_screen.read(&mut buf).await {
            let message = Message::Binary(buf[..length].to_vec().into());
            if to_viewer.send(message).await.is_err() {
                break;
            }
        }
        // The viewer may be gone already.
        let _ = to_viewer.send(Message::Close(None)).await;
    };
    let up = async {
        while let Some(Ok(message)) = from_viewer.next().await {
            let sent = match message {
                Message::Binary(bytes) => to_screen.write_all(&bytes).await,
                Message::Close(_) => break,
                // Pings are answered below us; text has no meaning here.
                _ => Ok(()),
            };
            if sent.is_err() {
                break;
            }
        }
    };
    tokio::select! { () = down => {}, () = up => {} }
}
