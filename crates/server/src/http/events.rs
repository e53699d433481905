//! `/events`: what changes, as server-sent events that can be taken up again with `Last-Event-ID`.

use super::answer::{Answer, Query};
use crate::access::signed_out;
use crate::app::App;
use crate::catalog::TaskRow;
use crate::feed::Change;
use crate::requests::Actor;
use crate::view;
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event as Sent, KeepAlive};
use futures_util::stream::{self, Stream, StreamExt};
use serde::Deserialize;
use shale_api::Event;
use shale_model::Role;
use std::convert::Infallible;
use std::time::Duration;
use tokio_stream::wrappers::BroadcastStream;
use utoipa::IntoParams;

/// A sign of life this often, so that proxies and clients can tell silence from death.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Which events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// `task`, `layer`, `version`, `connector`, `template`, `image`, `machine`, `schedule`, `upload`, `user`, `token`, separated by commas; all when left out.
    kinds: Option<String>,
    /// Go on behind this event: `newest_event` of `GET /session`. A header `Last-Event-ID` is newer, and wins.
    after: Option<i64>,
}

/// Watch what changes. A `reset` event means that some were missed: read again what is shown.
#[utoipa::path(get, path = "/events", tag = "events", operation_id = "watch_events", params(Which,
    ("Last-Event-ID" = Option<i64>, Header, description = "The last event seen: go on behind it.")),
    responses((status = 200, content_type = "text/event-stream", body = Event)))]
pub async fn stream(
    State(app): State<App>,
    Query(which): Query<Which>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Sent, Infallible>>>> {
    let kinds: Option<Vec<String>> = which.kinds.map(|kinds| kinds.split(',').map(str::to_owned).collect());
    let last_seen =
        headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let (missed, receiver) = app.feed.watch(last_seen.or(which.after));
    let newest = app.feed.newest();
    let reset = missed.is_none().then_some(Signal::Reset(newest));
    let missed = missed.unwrap_or_default().into_iter().map(Signal::Change);
    let live = BroadcastStream::new(receiver).map({
        let feed = app.feed.clone();
        move |change| change.map_or_else(|_| Signal::Reset(feed.newest()), Signal::Change)
    });
    let wanted = {
        let actor = actor.clone();
        move |signal: &Signal| match signal {
            Signal::Change(change) => {
                let is_asked_for =
                    kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| kind == change.kind));
                is_asked_for && may_know(&actor, change)
            }
            Signal::Reset(_) => true,
        }
    };
    let sent = stream::iter(reset)
        .chain(stream::iter(missed))
        .chain(live)
        .filter(move |signal| std::future::ready(wanted(signal)))
        .then({
            let (app, role) = (app.clone(), actor.role);
            move |signal| {
                let app = app.clone();
                // Views are of the one who watches.
                view::ROLE.scope(role, async move { Ok(write(&told(&app, signal).await)) })
            }
        })
        .take_until(Box::pin(signed_out(app, actor)));
    Ok(Sse::new(sent).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// Who signs in and which token is used is for administrators, and of themselves for everyone.
fn may_know(actor: &Actor, change: &Change) -> bool {
    !matches!(change.kind, "user" | "token")
        || actor.role == Role::Administrator
        || actor.is(change.kind, change.id)
}

enum Signal {
    Reset(i64),
    Change(Change),
}

async fn told(app: &App, signal: Signal) -> Event {
    match signal {
        Signal::Reset(seq) => {
            Event { seq, kind: "reset".into(), id: None, change: "changed".into(), task: None }
        }
        Signal::Change(change) => {
            let task = match change.kind {
                "task" => seen(app, change.id).await,
                _ => None,
            };
            let what = if change.deleted { "deleted" } else { "changed" };
            Event {
                seq: change.seq,
                kind: change.kind.into(),
                id: Some(change.id),
                change: what.into(),
                task,
            }
        }
    }
}

/// The task now: a watcher who is late sees the newest state at once.
async fn seen(app: &App, id: uuid::Uuid) -> Option<shale_api::Task> {
    let mut tx = app.world.catalog.read().await.ok()?;
    let row = TaskRow::get(&mut tx, id).await.ok()??;
    view::task(app, &mut tx, row).await.ok()
}

fn write(event: &Event) -> Sent {
    let data = serde_json::to_string(event).unwrap_or_default();
    Sent::default().id(event.seq.to_string()).event(&event.kind).data(data)
}
