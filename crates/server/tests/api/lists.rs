//! Lists: pages by key, filters, limits.

use crate::service::{Service, new_layer, text};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn pages_neither_repeat_nor_skip_while_layers_come_and_go() {
    let service = Service::start().await;
    let disk = service.disk("a.raw", 1);
    let mut ids = Vec::new();
    for i in 0..5 {
        let order = new_layer(&format!("layer {i}"), &disk);
        let made = service.post("/layers", order.clone()).await.expect(201);
        service.ends(&made["task"], "done").await;
        ids.push(text(&order["id"]));
    }
    let first = service.get("/layers?limit=2").await.expect(200);
    let of = |page: &serde_json::Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| text(&item["id"])).collect()
    };
    assert_eq!(of(&first), ids[..2]);
    // One that was shown goes, one comes: the next page is what it would have been.
    let gone = service.delete(&format!("/layers/{}", ids[0])).await.expect(202);
    service.ends(&gone, "done").await;
    let late = new_layer("late", &disk);
    let made = service.post("/layers", late.clone()).await.expect(201);
    service.ends(&made["task"], "done").await;
    let token = text(&first["next_page_token"]);
    let second = service.get(&format!("/layers?limit=2&page_token={token}")).await.expect(200);
    assert_eq!(of(&second), ids[2..4]);
    let token = text(&second["next_page_token"]);
    let third = service.get(&format!("/layers?limit=2&page_token={token}")).await.expect(200);
    assert_eq!(of(&third), [ids[4].clone(), text(&late["id"])]);
    assert!(third.get("next_page_token").is_none(), "that was all");

    let named = service.get("/layers?name=layer%203").await.expect(200);
    assert_eq!(of(&named), [ids[3].clone()]);
    assert_eq!(of(&service.get("/layers?kind=os").await.expect(200)).len(), 5);
    assert_eq!(service.get("/layers?kind=app").await.expect(200)["items"], json!([]));
    for wrong in ["limit=0", "limit=1001", "limit=-1"] {
        service.get(&format!("/layers?{wrong}")).await.refused_field("/limit");
    }
    service.get("/layers?limit=many").await.refused(422, "invalid");
    service.get("/layers?kind=flower").await.refused(422, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_listed_newest_first_by_state_and_object_with_their_log() {
    let service = Service::start().await;
    let (layer, version) = service.layer("one").await;
    service.layer("two").await;
    let verify = service.order(&format!("/versions/{version}/verify")).await.expect(202);
    let verify = service.ends(&verify, "done").await;
    let all = service.get("/tasks").await.expect(200);
    let kinds: Vec<_> = all["items"].as_array().unwrap().iter().map(|task| text(&task["kind"])).collect();
    assert_eq!(kinds, ["verify_version", "import_os_layer", "import_os_layer"]);
    let count = async |query: &str| {
        service.get(&format!("/tasks?{query}")).await.expect(200)["items"].as_array().unwrap().len()
    };
    assert_eq!(count(&format!("layer_id={layer}")).await, 2);
    assert_eq!(count(&format!("version_id={version}")).await, 2);
    assert_eq!(count("state=done").await, 3);
    assert_eq!(count("state=ended").await, 3);
    assert_eq!(count("state=open").await, 0);
    assert_eq!(count("state=stuck").await, 0);
    service.get("/tasks?state=asleep").await.refused_field("/state");
    let page = service.get("/tasks?limit=1").await.expect(200);
    let token = text(&page["next_page_token"]);
    let next = service.get(&format!("/tasks?limit=1&page_token={token}")).await.expect(200);
    assert_eq!(next["items"][0]["id"], all["items"][1]["id"]);

    let id = text(&verify["id"]);
    let log = service.get(&format!("/tasks/{id}/log")).await.expect(200);
    let seqs: Vec<_> =
        log["items"].as_array().unwrap().iter().map(|entry| entry["seq"].as_i64().unwrap()).collect();
    assert!(seqs.len() >= 2 && seqs.iter().enumerate().all(|(i, seq)| *seq == i as i64 + 1), "{log}");
    let rest = service.get(&format!("/tasks/{id}/log?limit=1&page_token=1")).await.expect(200);
    assert_eq!(rest["items"][0]["seq"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_answers_at_once_when_there_is_nothing_to_wait_for_and_in_time_when_there_is() {
    let service = Service::start().await;
    let (layer, _) = service.layer("one").await;
    let tasks = service.get("/tasks").await.expect(200);
    let done = text(&tasks["items"][0]["id"]);
    let waited = service.get(&format!("/tasks/{done}?wait=300")).await.expect(200);
    assert_eq!(waited["state"], "done");
    let order = service.new_version("1.1").await;
    let added = service.post(&format!("/layers/{layer}/versions"), order).await.expect(201);
    let waited = service.get(&format!("/tasks/{}?wait=300", text(&added["task"]["id"]))).await.expect(200);
    assert_eq!(waited["state"], "action_required", "it needs a person: no reason to wait longer");
    service.get(&format!("/tasks/{done}?wait=soon")).await.refused(422, "invalid");
}

/// The ids of all layers, read in pages of two.
async fn paged(service: &Service, query: &str) -> Vec<serde_json::Value> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = service.get(&format!("/layers?limit=2{query}{token}")).await.expect(200);
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_page_token"].as_str() {
            Some(next) => token = format!("&page_token={}", next.replace(' ', "%20")),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_sorted_and_filtered_by_what_their_views_show() {
    let service = Service::start().await;
    let (beta, _) = service.layer("beta: servers").await;
    for name in ["Alpha", "delta 1.10", "delta 1.9", "Gamma_1"] {
        service.layer(name).await;
    }
    let (version, _) = service.version_at_work(&beta, "1.1").await;
    let names = |layers: &[serde_json::Value]| -> Vec<String> {
        layers.iter().map(|layer| text(&layer["name"])).collect()
    };
    let by_name = paged(&service, "&sort=name").await;
    assert_eq!(names(&by_name), ["Alpha", "beta: servers", "delta 1.9", "delta 1.10", "Gamma_1"]);
    let mut turned = paged(&service, "&sort=name&descending=true").await;
    turned.reverse();
    assert_eq!(turned, by_name);
    for (sort, shown) in [
        ("version_count", "/version_count"),
        ("logical_bytes", "/sizes/logical_bytes"),
        ("added_bytes", "/sizes/added_bytes"),
    ] {
        let sorted = paged(&service, &format!("&sort={sort}&descending=true")).await;
        let keys: Vec<u64> =
            sorted.iter().map(|layer| layer.pointer(shown).unwrap().as_u64().unwrap()).collect();
        assert!(keys.len() == 5 && keys[0] > 0 && keys.is_sorted_by(|a, b| a >= b), "{sort}: {keys:?}");
    }
    assert_eq!(names(&paged(&service, "&sort=updated_at&descending=true").await)[0], "beta: servers");
    let at_work = paged(&service, "&state=finalizable").await;
    assert_eq!(names(&at_work), ["beta: servers"]);
    assert_eq!((&at_work[0]["state"], &at_work[0]["newest_version"]), (&json!("finalizable"), &json!("1.1")));
    assert_eq!(at_work[0]["used_by"].as_array().unwrap().len(), 1, "{}", at_work[0]);
    assert_eq!(paged(&service, "&state=deployable").await.len(), 4);
    assert_eq!(names(&paged(&service, "&text=GAMMA_").await), ["Gamma_1"]);
    assert_eq!(paged(&service, "&text=%25").await, Vec::<serde_json::Value>::new(), "no wildcards");
    for (sort, token) in [("name", "nonsense"), ("added_bytes", "many:0198"), ("version_count", "")] {
        service.get(&format!("/layers?sort={sort}&page_token={token}")).await.refused_field("/page_token");
    }
    service.get("/layers?sort=colour").await.refused(422, "invalid");
    service.power_off(&version).await;
}
