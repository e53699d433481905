//! Old versions of a layer: told, deleted when somebody asks, and by the retention that is kept with the layer.

use crate::service::text;
use crate::templates::Bench;
use serde_json::{Value, json};
use shale_server::requests;

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_go_but_for_the_newest_and_those_that_something_uses() {
    let bench = Bench::start().await;
    let service = &bench.service;
    bench.made("Desk").await; // an image template of 12.1
    for name in ["12.2", "12.3", "12.4", "12.5"] {
        bench.os_version(bench.os_layer, name, &[("etc/release", name)]).await;
    }
    let path = format!("/layers/{}/prune", bench.os_layer);
    service.post(&path, json!({ "keep": 0 })).await.refused_field("/keep");
    let why = service.post(&path, json!({})).await.refused_field("/keep");
    assert!(why.contains("has no retention"), "{why}");
    let told = service.post(&path, json!({ "keep": 2 })).await.expect(200);
    let of = |told: &Value| -> Vec<(String, bool)> {
        let versions = told["versions"].as_array().unwrap().iter();
        versions.map(|version| (text(&version["name"]), version["goes"] == true)).collect()
    };
    let expected = [("12.5", false), ("12.4", false), ("12.3", true), ("12.2", true), ("12.1", false)];
    assert_eq!(of(&told), expected.map(|(name, goes)| (name.to_owned(), goes)));
    assert!(text(&told["versions"][4]["reason"]).contains("the image template 'Desk'"), "{told:#}");
    assert_eq!(told["task"], Value::Null);
    let before = service.get(&format!("/layers/{}/versions", bench.os_layer)).await.expect(200);
    assert_eq!(before["items"].as_array().unwrap().len(), 5, "it was only told");

    let gone = service.post(&path, json!({ "keep": 2, "delete": true })).await.expect(200);
    service.ends(&gone["task"], "done").await;
    let told = service.post(&path, json!({ "keep": 2, "delete": true })).await.expect(200);
    let expected = [("12.5", false), ("12.4", false), ("12.1", false)];
    assert_eq!(of(&told), expected.map(|(name, goes)| (name.to_owned(), goes)));
    assert_eq!(told["task"], Value::Null, "nothing goes any more");
}

/// Names of versions in the answer of a list, or of a layer's old ones.
fn names(items: &Value) -> Vec<String> {
    items.as_array().unwrap().iter().map(|version| text(&version["name"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retention_proposes_what_is_old_and_is_changed_and_taken_away() {
    let bench = Bench::start().await;
    let service = &bench.service;
    let path = format!("/layers/{}", bench.os_layer);
    for name in ["12.2", "12.3", "12.4"] {
        bench.os_version(bench.os_layer, name, &[("etc/release", name)]).await;
    }
    assert_eq!(service.get(&path).await.expect(200)["old_versions"], json!([]), "there is no rule");
    for keep in [1001, u32::MAX] {
        let rule = json!({ "retention": { "keep": keep } });
        service.patch(&path, rule).await.refused_field("/retention/keep");
    }
    let edited = service.patch(&path, json!({ "retention": { "keep": 2 }, "comment": "CHG-1" })).await;
    let edited = edited.expect(200);
    assert_eq!(edited["retention"], json!({ "keep": 2, "old_versions": "propose" }));
    assert_eq!(names(&edited["old_versions"]), ["12.2", "12.1"]);
    requests::delete_old(&service.app).await.unwrap();
    assert_eq!(service.get(&path).await.expect(200)["version_count"], 4, "they are only proposed");

    // What is proposed follows what there is, and what is used.
    bench.os_version(bench.os_layer, "12.5", &[("etc/release", "12.5")]).await;
    bench.made("Desk").await; // an image template of 12.1
    let listed = service.get("/layers").await.expect(200);
    assert_eq!(names(&listed["items"][0]["old_versions"]), ["12.3", "12.2"]);
    let told = service.post(&format!("{path}/prune"), json!({})).await.expect(200);
    assert_eq!(told["versions"][2]["reason"], "It is older than the 2 newest, and nothing uses it.");
    let done = service.post(&format!("{path}/prune"), json!({ "delete": true })).await.expect(200);
    service.ends(&done["task"], "done").await;
    let versions = service.get(&format!("{path}/versions")).await.expect(200);
    assert_eq!(names(&versions["items"]).len(), 3);
    let none = service.patch(&path, json!({ "retention": { "keep": 0 } })).await.expect(200);
    assert_eq!((&none["retention"], &none["old_versions"]), (&Value::Null, &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retention_that_deletes_leaves_the_newest_and_what_is_used_and_is_in_the_audit() {
    let bench = Bench::start().await;
    let service = &bench.service;
    let path = format!("/layers/{}", bench.os_layer);
    bench.made("Desk").await; // an image template of 12.1
    for name in ["12.2", "12.3"] {
        bench.os_version(bench.os_layer, name, &[("etc/release", name)]).await;
    }
    let rule = json!({ "retention": { "keep": 1, "old_versions": "delete" } });
    service.patch(&path, rule).await.expect(200);
    let left = async || {
        let open = service.get("/tasks?state=open").await.expect(200);
        for task in open["items"].as_array().unwrap() {
            service.ends(task, "done").await;
        }
        names(&service.get(&format!("{path}/versions")).await.expect(200)["items"])
    };
    for _ in 0..2 {
        requests::delete_old(&service.app).await.unwrap();
    }
    assert_eq!(left().await, ["12.1", "12.3"]);
    let audit = service.get("/audit").await.expect(200);
    let entry = &audit["items"].as_array().unwrap().iter().find(|one| one["action"] == "delete_version");
    let entry = entry.unwrap();
    assert_eq!(text(&entry["who"]), "retention of 'Debian'");
    assert_eq!(entry["comment"], "The layer's retention keeps 1.");

    bench.os_version(bench.os_layer, "12.4", &[("etc/release", "12.4")]).await;
    requests::delete_old(&service.app).await.unwrap();
    assert_eq!(left().await, ["12.1", "12.4"], "12.3 is old once there is a newer one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_by_retention_waits_for_the_layer_and_is_not_begun_again_once_it_was_cancelled() {
    let bench = Bench::start().await;
    let service = &bench.service;
    let path = format!("/layers/{}", bench.os_layer);
    bench.os_version(bench.os_layer, "12.2", &[("etc/release", "12.2")]).await;
    let rule = json!({ "retention": { "keep": 1, "old_versions": "delete" } });
    service.patch(&path, rule).await.expect(200);
    let (_, task) = service.version_at_work(&bench.os_layer.to_string(), "by hand").await;
    requests::delete_old(&service.app).await.unwrap();
    let count = || service.tasks("delete_version");
    assert_eq!(count().await, 0, "a person is at work on the layer");
    service.order(&format!("/tasks/{}/cancel", text(&task["id"]))).await.expect(202);
    service.ends(&task, "canceled").await;

    // As one is that was cancelled before it began.
    requests::delete_old(&service.app).await.unwrap();
    let deletion = service.get("/tasks").await.expect(200)["items"][0].clone();
    service.ends(&deletion, "done").await;
    bench.os_version(bench.os_layer, "12.3", &[("etc/release", "12.3")]).await;
    let canceled = "UPDATE tasks SET ending = 'canceled', created_at = $2 WHERE id = $1";
    bench.sql(canceled, &[text(&deletion["id"]), "2999-01-01T00:00:00.000Z".into()]).await;
    requests::delete_old(&service.app).await.unwrap();
    assert_eq!(count().await, 1, "nothing newer came since it was cancelled");
    assert_eq!(names(&service.get(&path).await.expect(200)["old_versions"]), ["12.2"]);
    bench.sql(canceled, &[text(&deletion["id"]), text(&deletion["created_at"])]).await;
    requests::delete_old(&service.app).await.unwrap();
    assert_eq!(count().await, 2, "12.3 is newer");
}
