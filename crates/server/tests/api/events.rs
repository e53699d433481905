//! Server-sent events: they arrive, go on where a watcher broke off, and say when that cannot be.

use crate::schema;
use crate::service::Service;
use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_stream::StreamExt;

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
