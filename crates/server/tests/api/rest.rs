//! Connector configurations, the repository, the server itself.

use crate::service::{Service, text};
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use shale_server::catalog::{TaskRow, now};
use std::time::{Duration, Instant};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_is_made_tested_changed_and_deleted() {
    let service = Service::start().await;
    let order = json!({ "id": Uuid::now_v7(), "name": "second", "kind": "local", "settings": { "cpus": 2 } });
    let made = service.post("/connectors", order.clone()).await.expect(201);
    assert_eq!(service.post("/connectors", order.clone()).await.expect(201), made, "repeated");
    let mut other = order.clone();
    other["name"] = json!("third");
    service.post("/connectors", other).await.refused(409, "exists");
    let path = format!("/connectors/{}", text(&order["id"]));
    let change = json!({ "settings": { "memory_mib": 512, "cpus": null } });
    let changed = service.patch(&path, change).await.expect(200);
    assert_eq!(changed["settings"], json!({ "memory_mib": 512 }), "merged, null removes");
    let tested = service.order(&format!("{path}/test")).await.expect(200);
    assert_eq!(tested["ok"], true, "{tested:#}");
    assert_eq!(service.get("/connectors").await.expect(200)["items"].as_array().unwrap().len(), 2);
    service.delete(&path).await.expect(204);
    service.get(&path).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_cannot_be_is_refused_by_field() {
    let service = Service::start().await;
    let order = |name: &str, kind: &str, settings: serde_json::Value| json!({ "id": Uuid::now_v7(), "name": name, "kind": kind, "settings": settings });
    for (wrong, pointer) in [
        (order("local", "local", json!({})), "/name"),
        (order("a/b", "local", json!({})), "/name"),
        (order("new", "cloud", json!({})), "/kind"),
        (order("new", "local", json!({ "cpus": 0 })), "/settings"),
        (order("new", "local", json!({ "colour": 1 })), "/settings"),
        (order("new", "local", json!("text")), "/settings"),
    ] {
        service.post("/connectors", wrong).await.refused_field(pointer);
    }
    let path = format!("/connectors/{}", service.connector().await);
    service.patch(&path, json!({ "settings": 5 })).await.refused_field("/settings");
    service.patch(&path, json!({ "settings": { "cpus": 1000 } })).await.refused_field("/settings");
    assert_eq!(service.get(&path).await.expect(200)["settings"]["cpus"], 1, "as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_repository_is_shown_checked_and_cleaned() {
    let service = Service::start().await;
    let (layer, version) = service.layer("Debian").await;
    let shown = service.get("/repository").await.expect(200);
    assert_eq!(shown["versions"][0]["id"], json!(version));
    assert_eq!(shown["versions"][0]["name"], "Debian / 1.0");
    assert!(shown["stored_bytes"].as_u64() > Some(8 << 20), "{shown}");
    for order in [json!({}), json!({ "read_data": true })] {
        let task = service.post("/repository/check", order).await.expect(202);
        service.ends(&task, "done").await;
    }
    service.post("/repository/check", json!({ "quickly": true })).await.refused(422, "invalid");
    let gone = service.delete(&format!("/layers/{layer}")).await.expect(202);
    service.ends(&gone, "done").await;
    for order in [json!({ "dry_run": true }), json!({ "grace_hours": 0 }), json!({ "grace_hours": 0 })] {
        let task = service.post("/repository/gc", order).await.expect(202);
        service.ends(&task, "done").await;
    }
    let shown = service.get("/repository").await.expect(200);
    assert_eq!((&shown["versions"], &shown["logical_bytes"]), (&json!([]), &json!(0)));
    assert!(
        shown["stored_bytes"].as_u64() < Some(1 << 20),
        "nothing is deleted in the run that finds it unused: {shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_said_to_be_raw_is_stored_as_it_is_whatever_it_poses_as() {
    let service = Service::start().await;
    let image = service.path("posing.img");
    let mut make = std::process::Command::new("qemu-img");
    make.args(["create", "-q", "-f", "qcow2"]).arg(&image).arg("64M");
    assert!(make.status().unwrap().success());
    let bytes = std::fs::metadata(&image).unwrap().len().next_multiple_of(512);
    for (name, format, size) in [("found", None, 64 << 20), ("said", Some("raw"), bytes)] {
        let (layer, version) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
        let mut order = json!({ "id": layer, "kind": "os", "name": name, "source": { "file": image },
            "version": { "id": version, "name": "1.0" } });
        if let Some(format) = format {
            order["format"] = json!(format);
        }
        let created = service.post("/layers", order).await.expect(201);
        service.ends(&created["task"], "done").await;
        let shown = service.get(&format!("/versions/{version}")).await.expect(200);
        assert_eq!(shown["sizes"]["virtual_bytes"], json!(size), "{name}");
    }
    let order = json!({ "id": uuid::Uuid::now_v7(), "kind": "os", "name": "odd", "source": { "file": image },
        "format": "odd", "version": { "id": uuid::Uuid::now_v7(), "name": "1.0" } });
    service.post("/layers", order).await.refused(422, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_a_repository_that_lost_a_pack_ends_well_and_names_it_and_what_is_affected() {
    let service = Service::start().await;
    service.layer("Debian").await;
    let packs = service.app.world.place.repository().join("packs");
    let mut lost = Vec::new();
    for found in walk(&packs) {
        lost.push(found.file_stem().unwrap().to_string_lossy().into_owned());
        std::fs::remove_file(found).unwrap();
    }
    assert!(!lost.is_empty());
    let task = service.post("/repository/check", json!({})).await.expect(202);
    let task = service.ends(&task, "done").await;
    assert_eq!(task["result"]["sound"], false);
    let report = task["result"]["findings"].to_string();
    assert!(lost.iter().all(|pack| report.contains(pack.as_str())), "{report}");
    assert!(report.contains("Debian / 1.0"), "{report}");
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(walk(&path)),
            false => files.push(path),
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_stays_while_a_task_needs_it_one_that_is_stuck_too() {
    let service = Service::start().await;
    let id = Uuid::now_v7();
    let path = format!("/connectors/{id}");
    let order = json!({ "id": id, "name": "second", "kind": "local", "settings": {} });
    service.post("/connectors", order).await.expect(201);
    let task = TaskRow {
        id: Uuid::now_v7(),
        kind: "publish_image".into(),
        title: "Publish an image.".into(),
        layer_id: None,
        version_id: None,
        input: json!({ "connector_id": null, "boot": id }),
        request: Value::Null,
        created_by: "a test".into(),
        comment: String::new(),
        created_at: now(),
        updated_at: now(),
        ending: None,
        error: None,
        finished_at: None,
    };
    let mut tx = service.app.world.catalog.begin().await.unwrap();
    task.insert(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    for (ending, status) in [(None, 409), (Some("stuck"), 409), (Some("failed"), 204)] {
        let mut tx = service.app.world.catalog.begin().await.unwrap();
        if let Some(ending) = ending {
            TaskRow::reopen(&mut tx, task.id).await.unwrap();
            TaskRow::end(&mut tx, task.id, ending, None).await.unwrap();
        }
        tx.commit().await.unwrap();
        let answer = service.delete(&path).await;
        if status == 409 {
            let problem = answer.refused(409, "not_allowed");
            assert!(text(&problem["detail"]).contains("Publish an image"), "{ending:?}: {problem}");
        } else {
            answer.expect(status);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_is_done_to_its_end_though_nobody_waits_for_the_answer() {
    let service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let path = format!("/layers/{layer}");
    // Nothing can be written meanwhile.
    let held = service.app.world.catalog.begin().await.unwrap();
    let asked = service.patch(&path, json!({ "name": "Renamed" }));
    assert!(tokio::time::timeout(Duration::from_secs(1), asked).await.is_err(), "it waits, and is given up");
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(60);
    while service.get(&path).await.expect(200)["name"] != "Renamed" {
        assert!(Instant::now() < deadline, "it was dropped half-way");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_tells_what_it_is_and_how_it_does() {
    let service = Service::start().await;
    assert_eq!(service.get("/version").await.expect(200)["name"], "shaled");
    let doctor = service.get("/doctor").await.expect(200);
    assert_eq!(doctor["ok"], true, "{doctor:#}");
    for (path, body) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = service.raw(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), body);
    }
    let answer = service.raw(Request::get("/api/openapi.json").body(Body::empty()).unwrap()).await;
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    let served: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(served, serde_json::to_value(shale_server::http::document()).unwrap());
    std::fs::rename(service.app.world.place.repository(), service.path("away")).unwrap();
    let answer = service.raw(Request::get("/readyz").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), 503);
}
