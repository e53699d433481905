//! Connector configurations: what kinds there are, settings that are tried before they are stored.

use crate::service::Service;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_tells_its_settings_and_takes_the_defaults_that_it_tells() {
    let service = Service::start().await;
    let kinds = service.get("/connector-kinds").await.expect(200);
    let kinds = kinds["items"].as_array().unwrap();
    let names: Vec<&str> = kinds.iter().map(|kind| kind["kind"].as_str().unwrap()).collect();
    assert_eq!(names, shale_connector::KINDS);
    let local = kinds.iter().find(|kind| kind["kind"] == "local").unwrap();
    let mut settings = json!({});
    for field in local["fields"].as_array().unwrap() {
        assert!(field["help"].as_str().unwrap().len() > 20, "{field}");
        let default = field["default"].as_str().unwrap();
        let value = serde_json::from_str(default).unwrap_or(Value::String(default.into()));
        settings[field["name"].as_str().unwrap()] = value;
    }
    let test = service.post("/connectors/test", json!({ "kind": "local", "settings": settings })).await;
    assert_eq!(test.expect(200)["checks"][0]["name"], "QEMU");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_tried_before_they_are_stored_and_leave_nothing() {
    let service = Service::start().await;
    let before = service.get("/connectors").await.expect(200);
    let test = service.post("/connectors/test", json!({ "kind": "local", "settings": {} })).await.expect(200);
    assert_eq!(test["ok"], true, "{test:#}");
    let choices = service.post("/connectors/choices", json!({ "kind": "local" })).await.expect(200);
    assert_eq!(choices["items"], json!([]));
    let refused = json!({ "kind": "local", "settings": { "cpus": 0 } });
    let text = service.post("/connectors/test", refused).await.refused_field("/settings");
    assert!(text.contains("cpus is 0"), "{text}");
    let text = service.post("/connectors/test", json!({ "kind": "cloud" })).await.refused_field("/kind");
    assert!(text.contains("there are: local"), "{text}");
    assert_eq!(service.get("/connectors").await.expect(200), before);
    let kept = std::fs::read_dir(service.app.world.place.root().join("connectors")).unwrap();
    let names: Vec<_> = kept.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with("trial")), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_never_shown_and_goes_to_nobody_it_was_not_given_for() {
    let service = Service::start().await;
    let id = uuid::Uuid::now_v7();
    let settings = json!({
        "address": "xen1.example.com", "user": "root", "password": "s3cret phrase", "template": "Packaging",
        "storage_repository": "Shared",
    });
    let new = json!({ "id": id, "name": "pool", "kind": "xenserver", "settings": settings });
    let made = service.post("/connectors", new.clone()).await.expect(201);
    assert_eq!((&made["secrets"], &made["settings"]["password"]), (&json!(["password"]), &Value::Null));
    assert_eq!(
        service.post("/connectors", new).await.expect(201)["id"],
        json!(id),
        "a repeat is the same request"
    );
    let path = format!("/connectors/{id}");
    assert!(!service.get(&path).await.expect(200).to_string().contains("s3cret"));
    let catalog = std::fs::read(service.app.world.place.catalog()).unwrap();
    assert!(!String::from_utf8_lossy(&catalog).contains("s3cret"), "it is sealed at rest");

    let number = service.patch(&path, json!({ "settings": { "password": 12345678 } })).await;
    assert!(!number.refused_field("/settings/password").contains("12345678"));
    for moved in [json!({ "address": "evil.example.com" }), json!({ "user": "other" })] {
        let text =
            service.patch(&path, json!({ "settings": moved })).await.refused_field("/settings/password");
        assert!(text.contains("again"), "{text}");
    }
    let tried = json!({ "connector_id": id, "kind": "xenserver", "settings": { "address": "evil.example.com", "user": "root" } });
    service.post("/connectors/test", tried).await.refused_field("/settings/password");
    service.patch(&path, json!({ "settings": { "fingerprint": "11:".repeat(31) + "11" } })).await.expect(200);
    let both = json!({ "settings": { "address": "xen2.example.com", "password": "another phrase" } });
    let moved = service.patch(&path, both).await.expect(200);
    assert_eq!(moved["settings"]["address"], "xen2.example.com");
    service.delete(&path).await;
}
