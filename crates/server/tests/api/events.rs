//! Server-sent events: they arrive, go on where a watcher broke off, and say when that cannot be.

use crate::schema;
use crate::service::{Service, content};
use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use serde_json::{Value, json};
use shale_server::feed::Change;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio_stream::StreamExt;
use uuid::Uuid;

/// A watcher of `/events`.
struct Watcher {
    stream: BodyDataStream,
    buffer: String,
}

impl Watcher {
    async fn new(service: &Service, query: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(format!("/api/v1/events{query}"));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let answer = service.raw(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-cache");
        Self { stream: answer.into_body().into_data_stream(), buffer: String::new() }
    }

    /// The next event: its id on the stream, its data.
    async fn next(&mut self) -> (String, Value) {
        tokio::time::timeout(Duration::from_secs(60), self.arrived()).await.expect("an event in time")
    }

    async fn arrived(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let (id, kind, data) = (field("id: "), field("event: "), field("data: "));
                self.buffer = rest.to_owned();
                let Some(data) = data else { continue };
                let data: Value = serde_json::from_str(&data).unwrap();
                schema::fits_named(&data, "Event").unwrap();
                assert_eq!(id.unwrap(), data["seq"].to_string());
                assert_eq!(kind.unwrap(), data["kind"].as_str().unwrap());
                return (data["seq"].to_string(), data);
            }
            let piece = self.stream.next().await.expect("an open stream").unwrap();
            self.buffer.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// All events up to the first one that `last` accepts.
    async fn until(&mut self, last: impl Fn(&Value) -> bool) -> Vec<(String, Value)> {
        let mut events = Vec::new();
        loop {
            events.push(self.next().await);
            if last(&events.last().unwrap().1) {
                return events;
            }
        }
    }
}

fn is_done(event: &Value) -> bool {
    event["kind"] == "task" && event["task"]["state"] == "done"
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_in_order_and_a_watcher_that_comes_back_misses_none() {
    let service = Service::start().await;
    let mut watcher = Watcher::new(&service, "", None).await;
    service.layer("Debian").await;
    let events = watcher.until(is_done).await;
    let seqs: Vec<i64> = events.iter().map(|(seq, _)| seq.parse().unwrap()).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
    for kind in ["task", "layer", "version"] {
        assert!(events.iter().any(|(_, event)| event["kind"] == kind), "no event of a {kind}");
    }
    drop(watcher);

    let (seen, _) = &events[events.len() / 2];
    let mut back = Watcher::new(&service, "", Some(seen)).await;
    service.layer("Ubuntu").await;
    let more = back.until(is_done).await;
    assert_eq!(
        more[0].0.parse::<i64>().unwrap(),
        seen.parse::<i64>().unwrap() + 1,
        "goes on behind the last one seen"
    );
    let more = back.until(is_done).await;
    assert!(!more.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_between_reading_and_watching() {
    let service = Service::start().await;
    let session = service.get("/session").await.expect(200);
    let newest = session["newest_event"].as_i64().unwrap();
    let connector = service.connector().await;
    service.patch(&format!("/connectors/{connector}"), json!({ "name": "there" })).await.expect(200);
    let mut watcher = Watcher::new(&service, &format!("?after={newest}"), None).await;
    let (seq, event) = watcher.next().await;
    assert_eq!((event["kind"].as_str(), event["id"].as_str()), (Some("connector"), Some(&*connector)));
    assert_eq!(seq, (newest + 1).to_string());
    service.patch(&format!("/connectors/{connector}"), json!({ "name": "here" })).await.expect(200);
    let mut back = Watcher::new(&service, &format!("?after={newest}"), Some(&seq)).await;
    assert_eq!(back.next().await.0, (newest + 2).to_string(), "the header is newer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_gets_only_the_kinds_it_wants() {
    let service = Service::start().await;
    let mut watcher = Watcher::new(&service, "?kinds=layer,connector", None).await;
    let (layer, _) = service.layer("Debian").await;
    let connector = service.connector().await;
    service.patch(&format!("/connectors/{connector}"), json!({ "name": "here" })).await.expect(200);
    let events = watcher.until(|event| event["kind"] == "connector").await;
    assert!(
        events.iter().all(|(_, event)| event["kind"] == "layer" || event["kind"] == "connector"),
        "{events:?}"
    );
    let gone = service.delete(&format!("/layers/{layer}")).await.expect(202);
    service.ends(&gone, "done").await;
    watcher.until(|event| event["kind"] == "layer" && event["change"] == "deleted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_that_cannot_be_filled_is_told() {
    let service = Service::start().await;
    service.layer("Debian").await;
    for unknown in ["1", "9007199254740991"] {
        let mut watcher = Watcher::new(&service, "", Some(unknown)).await;
        let (_, event) = watcher.next().await;
        assert_eq!(event["kind"], "reset", "{event}");
    }
}

/// The changes up to the `count`th one of this kind, as they are told to all watchers.
async fn changes(told: &mut Receiver<Change>, count: usize, kind: &str, deleted: bool) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    while all.iter().filter(|one| (one.kind, one.deleted) == (kind, deleted)).count() < count {
        let next = tokio::time::timeout(Duration::from_secs(60), told.recv()).await;
        all.push(next.unwrap_or_else(|_| panic!("of a {kind}, not told any more: {all:?}")).unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_deleted_is_told_at_once_and_that_it_is_gone_when_it_is() {
    let service = Service::start().await;
    let (layer, version) = service.layer("Debian").await;
    let (_, mut told) = service.app.feed.watch(None);
    service.delete(&format!("/layers/{layer}")).await.expect(202);
    let all = changes(&mut told, 1, "layer", true).await;
    for (kind, id) in [("version", version), ("layer", layer)] {
        let of: Vec<bool> = all.iter().filter(|one| one.kind == kind).map(|one| one.deleted).collect();
        assert!(!of[0] && of[of.len() - 1], "{kind}: {all:?}");
        assert!(all.iter().all(|one| one.kind != kind || one.id.to_string() == id));
        service.get(&format!("/{kind}s/{id}")).await.refused(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn that_an_upload_has_become_a_layer_and_is_gone_is_told() {
    let service = Service::start().await;
    let (data, id) = (content(7, 1 << 20), Uuid::now_v7());
    service.post("/uploads", json!({ "id": id, "name": "disk.raw", "size": data.len() })).await.expect(201);
    let (path, kind) = (format!("/uploads/{id}"), "application/octet-stream");
    service.send_with("PATCH", &path, kind, &[("upload-offset", "0")], data).await.expect(200);
    let (_, mut told) = service.app.feed.watch(None);
    let layer = json!({ "id": Uuid::now_v7(), "kind": "os", "name": "Sent", "source": { "upload": id },
        "version": { "id": Uuid::now_v7(), "name": "1.0" } });
    service.post("/layers", layer).await.expect(201);
    let all = changes(&mut told, 1, "upload", true).await;
    assert_eq!(all[all.len() - 1].id, id);
    service.get(&path).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_state_of_a_version_that_is_made_is_told() {
    let service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let (_, mut told) = service.app.feed.watch(None);
    let (version, task) = service.version_at_work(&layer, "1.1").await;
    // Asked for, and waiting.
    changes(&mut told, 2, "layer", false).await;
    service.power_off(&version).await;
    changes(&mut told, 1, "version", false).await;
    service.order(&format!("/versions/{version}/finalize")).await.expect(202);
    // Asked for, and over; in between: being finalized, and deployable before its machine is cleared away.
    let all = changes(&mut told, 2, "layer", false).await;
    assert_eq!(all.iter().filter(|one| one.kind == "version").count(), 4, "{all:?}");
    service.ends(&task, "done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_somebody_signed_in_is_told() {
    let service = Service::start().await;
    let who = json!({ "name": "grace", "password": "a quite different long sentence" });
    let user =
        json!({ "id": Uuid::now_v7(), "role": "reader", "name": who["name"], "password": who["password"] });
    service.post("/users", user.clone()).await.expect(201);
    let (_, mut told) = service.app.feed.watch(None);
    service.post("/session", who).await;
    let all = changes(&mut told, 1, "user", false).await;
    assert_eq!(json!(all[0].id), user["id"]);
}
