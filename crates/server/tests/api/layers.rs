//! Layers: what a request to make, change or delete one is held to.

use crate::service::{Service, new_layer, text};
use axum::body::Body;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_is_made_shown_changed_and_deleted() {
    let service = Service::start().await;
    let (layer, version) = service.layer("Debian").await;
    let shown = service.get(&format!("/layers/{layer}")).await.expect(200);
    assert_eq!((&shown["version_count"], &shown["newest_deployable"]), (&json!(1), &json!(version)));
    let shown = service.get(&format!("/versions/{version}")).await.expect(200);
    assert_eq!((&shown["state"], &shown["layer_name"]), (&json!("deployable"), &json!("Debian")));
    assert_eq!(shown["sizes"]["virtual_bytes"], 8 << 20);

    let change = json!({ "name": "Debian 12", "description": "servers", "comment": "renamed" });
    let changed = service.patch(&format!("/layers/{layer}"), change).await.expect(200);
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Debian 12"), &json!("servers")));
    let changed = service.patch(&format!("/layers/{layer}"), json!({ "description": "" })).await.expect(200);
    assert_eq!(
        (&changed["name"], &changed["description"]),
        (&json!("Debian 12"), &json!("")),
        "the rest stays"
    );

    let task = service.delete(&format!("/layers/{layer}")).await.expect(202);
    service.ends(&task, "done").await;
    service.get(&format!("/layers/{layer}")).await.refused(404, "not_found");
    service.get(&format!("/versions/{version}")).await.refused(404, "not_found");
    let audit = service.get("/audit?limit=3").await.expect(200);
    let actions: Vec<_> = audit["items"].as_array().unwrap().iter().map(|e| text(&e["action"])).collect();
    assert_eq!(actions, ["delete_layer", "edit_layer", "edit_layer"]);
    assert_eq!(audit["items"][2]["comment"], "renamed");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_break_a_rule_are_refused_by_field_and_nothing_is_made() {
    let service = Service::start().await;
    let disk = service.disk("a.raw", 1);
    let before = service.holdings().await;
    let long = "ä".repeat(101);
    for name in ["", " ", &long, "../x", "a/b", "a\\b", "..", "a\u{0}b", "a\nb", " a", "a\u{202e}b"] {
        service.post("/layers", new_layer(name, &disk)).await.refused_field("/name");
        let mut order = new_layer("fine", &disk);
        order["version"]["name"] = json!(name);
        service.post("/layers", order).await.refused_field("/version/name");
    }
    let mut order = new_layer("fine", &disk);
    order["description"] = json!("x".repeat(2001));
    service.post("/layers", order).await.refused_field("/description");
    let mut order = new_layer("fine", &disk);
    order["comment"] = json!("bell\u{7}");
    service.post("/layers", order).await.refused_field("/comment");
    assert_eq!(service.holdings().await, before);
    assert_eq!(service.get("/tasks").await.expect(200)["items"], json!([]), "no task was begun");
    let longest = "ä".repeat(100);
    let made = service.post("/layers", new_layer(&longest, &disk)).await.expect(201);
    service.ends(&made["task"], "done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_no_file_of_the_server_is_refused_before_anything_begins() {
    let service = Service::start().await;
    let folder = service.folder.path().to_owned();
    let pipe = service.path("pipe");
    crate::service::run("mkfifo", &[pipe.to_str().unwrap()]);
    for (path, told) in [
        ("disk.raw".into(), "absolute"),
        ("../disk.raw".into(), "absolute"),
        (folder.clone(), "not a file"),
        (pipe, "not a file"),
        (folder.join("missing.raw"), "cannot be read"),
        (format!("{}/a\0b", folder.display()).into(), "cannot be read"),
    ] {
        let text = service.post("/layers", new_layer("new", &path)).await.refused_field("/source/file");
        assert!(text.contains(told), "{text}");
    }
    service.get("/layers?name=new").await.expect(200);
    assert_eq!(service.get("/layers").await.expect(200)["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_its_own_answer_and_an_id_is_used_once() {
    let service = Service::start().await;
    let disk = service.disk("a.raw", 1);
    let order = new_layer("Debian", &disk);
    let first = service.post("/layers", order.clone()).await.expect(201);
    let second = service.post("/layers", order.clone()).await.expect(201);
    assert_eq!(first["task"]["id"], second["task"]["id"]);
    service.ends(&first["task"], "done").await;
    let third = service.post("/layers", order.clone()).await.expect(201);
    assert_eq!((&third["task"]["id"], &third["task"]["state"]), (&first["task"]["id"], &json!("done")));

    let mut other = order.clone();
    other["name"] = json!("Other");
    service.post("/layers", other).await.refused(409, "exists");
    let mut other = new_layer("Other", &disk);
    other["version"]["id"] = order["version"]["id"].clone();
    service.post("/layers", other).await.refused(409, "exists");
    let text = service.post("/layers", new_layer("Debian", &disk)).await.refused_field("/name");
    assert!(text.contains("'Debian'"), "{text}");
    assert_eq!(service.get("/layers").await.expect(200)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_twice_at_once_makes_one_layer() {
    let service = Service::start().await;
    let disk = service.disk("a.raw", 1);
    let order = new_layer("Debian", &disk);
    let send = || service.post("/layers", order.clone());
    let (a, b, c) = tokio::join!(send(), send(), send());
    let ids: Vec<Value> = [a, b, c].map(|reply| reply.expect(201)["task"]["id"].clone()).into();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    service.ends(&json!({ "id": ids[0] }), "done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_fit_is_a_problem_with_the_status_http_has_for_it() {
    let service = Service::start().await;
    let disk = service.disk("a.raw", 1);
    let json_type = "application/json";
    service.send("POST", "/layers", json_type, "{ not json").await.refused(400, "invalid");
    service.send("POST", "/layers", json_type, Body::empty()).await.refused(400, "invalid");
    service.send("POST", "/layers", "text/plain", "{}").await.refused(415, "invalid");
    let problem = service.post("/layers", json!({ "name": "x" })).await.refused(422, "invalid");
    assert!(text(&problem["detail"]).contains("missing field"), "{problem}");
    let mut order = new_layer("Debian", &disk);
    order["colour"] = json!("blue");
    let problem = service.post("/layers", order).await.refused(422, "invalid");
    assert!(text(&problem["detail"]).contains("colour"), "{problem}");
    let mut order = new_layer("Debian", &disk);
    order["id"] = json!("seven");
    service.post("/layers", order).await.refused(422, "invalid");
    let mut order = new_layer("Debian", &disk);
    order["description"] = json!("x".repeat(2 << 20));
    service.post("/layers", order).await.refused(413, "invalid");
    service.send("DELETE", "/layers/x", json_type, "{").await.refused(422, "invalid");
    let nobody = Uuid::now_v7();
    let path = format!("/layers/{nobody}");
    service.send("DELETE", &path, json_type, "{").await.refused(400, "invalid");
    service.send("DELETE", &path, json_type, "{\"colour\":1}").await.refused(422, "invalid");
    service.send("DELETE", &path, json_type, "x".repeat(2 << 20)).await.refused(413, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_not_found_everywhere() {
    let service = Service::start().await;
    let id = Uuid::now_v7();
    for path in
        ["layers", "layers/{}/versions", "versions", "machines", "tasks", "tasks/{}/log", "connectors"]
    {
        let path =
            if path.contains("{}") { path.replace("{}", &id.to_string()) } else { format!("{path}/{id}") };
        service.get(&format!("/{path}")).await.refused(404, "not_found");
    }
    service.get(&format!("/versions/{id}/disk?format=raw")).await.refused(404, "not_found");
    service.get(&format!("/machines/{id}/serial")).await.refused(404, "not_found");
    for order in ["finalize", "verify"] {
        service.order(&format!("/versions/{id}/{order}")).await.refused(404, "not_found");
    }
    for order in ["power_on", "shut_down", "power_off"] {
        service.order(&format!("/machines/{id}/{order}")).await.refused(404, "not_found");
    }
    for order in ["cancel", "retry"] {
        service.order(&format!("/tasks/{id}/{order}")).await.refused(404, "not_found");
    }
    for noun in ["layers", "versions", "connectors"] {
        service.delete(&format!("/{noun}/{id}")).await.refused(404, "not_found");
        service.patch(&format!("/{noun}/{id}"), json!({})).await.refused(404, "not_found");
    }
    let order = service.new_version("1.1").await;
    service.post(&format!("/layers/{id}/versions"), order).await.refused(404, "not_found");
    service.get("/nothing").await.refused(404, "not_found");
    service.send("PUT", "/layers", "application/json", "{}").await.refused(405, "invalid");
    service.get("/layers/not-an-id").await.refused(422, "invalid");
}
