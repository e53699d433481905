//! Versions that scripts make, as they are asked for; schedules, which ask by themselves. What a script does in a
//! machine is `tests/unattended.rs` of the project: here the disks hold no system, so that a task ends before there is a machine.

use crate::examined::build_tool;
use crate::service::{Service, text};
use crate::templates::Bench;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shale_model::{Role, VersionState};
use shale_server::requests;
use uuid::Uuid;

/// What makes a version, with a script that does nothing.
fn unattended() -> Value {
    json!({ "script": { "name": "setup.sh", "text": "true" } })
}

async fn upload(service: &Service, name: &str) -> String {
    let id = Uuid::now_v7().to_string();
    service.post("/uploads", json!({ "id": id, "name": name, "size": 4 })).await.expect(201);
    let path = format!("/uploads/{id}");
    let offset = [("upload-offset", "0")];
    service.send_with("PATCH", &path, "application/octet-stream", &offset, "data").await.expect(200);
    id
}

async fn schedule(service: &Service, layer: &str, name: &str, when: &str) -> Value {
    json!({
        "id": Uuid::now_v7(), "name": name, "when": when, "time_zone": "Europe/Berlin", "layer_id": layer,
        "version": {
            "name": "patched {date}", "max_layer_size_gib": 1, "connector_id": service.connector().await,
            "packaging_disk": { "file_name": "night" }, "unattended": unattended(),
        },
    })
}

/// An action of a view.
fn action(view: &Value, name: &str) -> Value {
    let found = view["actions"].as_array().unwrap().iter().find(|action| action["name"] == name);
    found.unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_could_not_be_run_is_refused_where_it_is_wrong() {
    build_tool("linux");
    let service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let path = format!("/layers/{layer}/versions");
    let order = service.new_version("1.1").await;
    for (field, wrong, pointer) in [
        ("script", json!({ "name": "../setup.sh", "text": "true" }), "/unattended/script/name"),
        ("script", json!({ "name": "setup.sh", "text": " \n" }), "/unattended/script/text"),
        ("script", json!({ "name": "setup.sh", "text": "#".repeat(300_000) }), "/unattended/script/text"),
        ("script", json!({ "name": "shale-run.json", "text": "true" }), "/unattended/upload_ids"),
        ("script", json!({ "name": "n".repeat(80), "text": "true" }), "/unattended/upload_ids"),
        ("time_limit_minutes", json!(0), "/unattended/time_limit_minutes"),
        ("time_limit_minutes", json!(10_081), "/unattended/time_limit_minutes"),
        ("upload_ids", json!([Uuid::now_v7()]), "/unattended/upload_ids"),
    ] {
        let mut order = order.clone();
        order["unattended"] = unattended();
        order["unattended"][field] = wrong;
        service.post(&path, order).await.refused_field(pointer);
    }
    let mut twice = order.clone();
    twice["unattended"] = unattended();
    twice["unattended"]["upload_ids"] = json!([upload(&service, "Setup.SH").await]);
    let why = service.post(&path, twice).await.refused_field("/unattended/upload_ids");
    assert!(why.contains("Two files"), "{why}");
    assert_eq!(
        service.get(&path).await.expect(200)["items"].as_array().unwrap().len(),
        1,
        "nothing was made"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_a_system_that_starts_scripts_fails_the_task_and_nothing_is_left() {
    build_tool("linux");
    let bench = Bench::start().await;
    let service = &bench.service;
    let file = upload(service, "app.deb").await;
    let mut order = service.new_version("12.2").await;
    order["unattended"] = unattended();
    order["unattended"]["upload_ids"] = json!([file]);
    let path = format!("/layers/{}/versions", bench.os_layer);
    let added = service.post(&path, order.clone()).await.expect(201);
    let task = service.ends(&added["task"], "failed").await;
    assert!(text(&task["error"]).contains("has no systemd"), "{task:#}");
    service.get(&format!("/uploads/{file}")).await.refused(404, "not_found");
    let output = service.get(&format!("/tasks/{}/output", text(&task["id"]))).await.expect(200);
    assert_eq!(output, json!({ "text": "", "next": 0, "is_complete": true }));
    assert!(!service.app.world.place.kit(serde_json::from_value(order["id"].clone()).unwrap()).exists());
    service.get(&format!("/tasks/{}/output", Uuid::now_v7())).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_runs_once_when_it_is_due_and_says_what_became_of_it() {
    build_tool("linux");
    let service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let mut order = schedule(&service, &layer, "Patch Tuesday", "every Second TUESDAY 22:00").await;
    order["version"]["unattended"]["upload_ids"] = json!([upload(&service, "app.deb").await]);
    let made = service.post("/schedules", order.clone()).await.expect(201);
    assert_eq!(made["when"], "every second tuesday 22:00");
    assert_eq!(made["files"], json!(["app.deb"]));
    assert_eq!(made["version"]["unattended"]["upload_ids"], Value::Null, "they are used up");
    assert_eq!(service.post("/schedules", order).await.expect(201)["id"], made["id"], "repeated");
    let path = format!("/schedules/{}", text(&made["id"]));

    let due: Timestamp = text(&made["next_run_at"]).parse().unwrap();
    requests::run_due(&service.app, due - SignedDuration::from_secs(1)).await.unwrap();
    assert_eq!(service.get(&path).await.expect(200)["last"], Value::Null, "it is not due yet");
    for _ in 0..2 {
        requests::run_due(&service.app, due).await.unwrap();
    }
    assert_eq!(service.tasks("add_version").await, 1, "it is run once");
    let seen = service.get(&path).await.expect(200);
    let task = json!({ "id": seen["last"]["task_id"] });
    let task = service.ends(&task, "failed").await;
    assert_eq!(task["created_by"], "schedule 'Patch Tuesday'");
    let seen = service.get(&path).await.expect(200);
    assert_eq!((&seen["last"]["outcome"], &seen["last"]["at"]), (&json!("failed"), &made["next_run_at"]));
    let next: Timestamp = text(&seen["next_run_at"]).parse().unwrap();
    assert!(next > due + SignedDuration::from_hours(24 * 27), "{seen:#}");

    let late = next + SignedDuration::from_mins(61);
    requests::run_due(&service.app, late).await.unwrap();
    let seen = service.get(&path).await.expect(200);
    assert_eq!(seen["last"]["outcome"], "missed");
    assert!(text(&seen["last"]["text"]).contains("61 minutes"), "{seen:#}");
    assert!(text(&seen["next_run_at"]).parse::<Timestamp>().unwrap() > late);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_begun_before_the_server_ended_is_found_and_not_begun_again() {
    build_tool("linux");
    let service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let order = schedule(&service, &layer, "Nightly", "every day 02:00").await;
    let made = service.post("/schedules", order).await.expect(201);
    let due: Timestamp = text(&made["next_run_at"]).parse().unwrap();
    requests::run_due(&service.app, due).await.unwrap();
    let path = format!("/schedules/{}", text(&made["id"]));
    let begun = service.get(&path).await.expect(200)["last"]["task_id"].clone();
    // As a catalog is in which the run was begun and not noted.
    let mut tx = service.app.world.catalog.begin().await.unwrap();
    let id = Uuid::parse_str(made["id"].as_str().unwrap()).unwrap();
    let mut row = shale_server::catalog::ScheduleRow::get(&mut tx, id).await.unwrap().unwrap();
    row.next_run_at = Some(text(&made["next_run_at"]));
    (row.last_at, row.last_version_id) = (None, None);
    row.write(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    requests::run_due(&service.app, due).await.unwrap();
    assert_eq!(service.get(&path).await.expect(200)["last"]["task_id"], begun);
    service.ends(&json!({ "id": begun }), "failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_changed_disabled_and_deleted_and_its_words_are_checked() {
    build_tool("linux");
    let service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let order = schedule(&service, &layer, "Nightly", "every day 02:00").await;
    for (field, wrong, pointer) in [
        ("when", json!("every other tuesday 22:00"), "/when"),
        ("time_zone", json!("Mars/Olympus"), "/time_zone"),
        ("layer_id", json!(Uuid::now_v7()), "/layer_id"),
        ("name", json!(""), "/name"),
    ] {
        let mut order = order.clone();
        order[field] = wrong;
        service.post("/schedules", order).await.refused_field(pointer);
    }
    let made = service.post("/schedules", order.clone()).await.expect(201);
    let mut other = order.clone();
    other["id"] = json!(Uuid::now_v7());
    service.post("/schedules", other).await.refused_field("/name");
    let path = format!("/schedules/{}", text(&made["id"]));
    let edited =
        service.patch(&path, json!({ "enabled": false, "name": "Weekly", "when": "every sunday 3:00" }));
    let edited = edited.await.expect(200);
    assert_eq!((&edited["next_run_at"], &edited["when"]), (&Value::Null, &json!("every sunday 03:00")));
    requests::run_due(&service.app, Timestamp::now() + SignedDuration::from_hours(24 * 8)).await.unwrap();
    assert_eq!(service.get(&path).await.expect(200)["last"], Value::Null, "it is disabled");

    // A person is at work on the layer: who runs it now is told so.
    let (version, task) = service.version_at_work(&layer, "by hand").await;
    let run = json!({ "id": Uuid::now_v7() });
    let problem = service.post(&format!("{path}/run"), run.clone()).await;
    assert!(problem.status == 409 || problem.status == 422, "{}", problem.json);
    let action = action(&service.get(&path).await.expect(200), "run");
    assert!(text(&action["reason"]).contains("busy with the task"), "{action}");
    service.order(&format!("/tasks/{}/cancel", text(&task["id"]))).await.expect(202);
    service.ends(&task, "canceled").await;
    service.get(&format!("/versions/{version}")).await.refused(404, "not_found");
    let begun = service.post(&format!("{path}/run"), run.clone()).await.expect(201);
    assert_eq!(begun["version"]["id"], run["id"]);
    service.ends(&begun["task"], "failed").await;
    service.post(&format!("{path}/run"), run).await.refused(409, "exists");
    assert_eq!(service.get("/schedules").await.expect(200)["items"][0]["last"]["outcome"], "failed");

    service.delete(&path).await.expect(204);
    service.get(&path).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_schedule_names_stays_until_it_is_deleted() {
    build_tool("linux");
    let service = Service::start().await;
    let (layer, version) = service.layer("Debian").await;
    let (other, base) = service.layer("Base").await;
    let id = Uuid::now_v7();
    let local = json!({ "id": id, "name": "night", "kind": "local", "settings": {} });
    service.post("/connectors", local).await.expect(201);
    let mut order = schedule(&service, &layer, "Nightly", "every day 02:00").await;
    order["version"]["connector_id"] = json!(id);
    order["version"]["prerequisite_version_ids"] = json!([base]);
    let made = service.post("/schedules", order).await.expect(201);
    let named = [
        format!("/connectors/{id}"),
        format!("/versions/{base}"),
        format!("/layers/{other}"),
        format!("/layers/{layer}"),
    ];
    for path in &named {
        let refused = service.delete(path).await.refused(409, "not_allowed");
        assert!(text(&refused["detail"]).contains("the schedule 'Nightly'"), "{path}: {refused}");
        let shown = action(&service.get(path).await.expect(200), "delete");
        assert_eq!(shown["reason"], refused["detail"], "{path}");
    }
    assert_eq!(
        action(&service.get(&format!("/versions/{version}")).await.expect(200), "delete")["allowed"],
        true
    );
    service.delete(&format!("/schedules/{}", text(&made["id"]))).await.expect(204);
    service.delete(&named[0]).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_cannot_be_read_or_run_does_not_keep_the_others() {
    build_tool("linux");
    let service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let damaged = schedule(&service, &layer, "Damaged", "every day 02:00").await;
    let damaged = service.post("/schedules", damaged).await.expect(201);
    let order = schedule(&service, &layer, "Nightly", "every day 02:00").await;
    let made = service.post("/schedules", order).await.expect(201);
    let mut tx = service.app.world.catalog.begin().await.unwrap();
    let sql = "UPDATE schedules SET version = '{\"of\":\"nobody\"}' WHERE id = $1";
    sqlx::query(sql).bind(text(&damaged["id"])).execute(&mut *tx).await.unwrap();
    // As a catalog is from before connectors were held by schedules.
    let id = Uuid::parse_str(&text(&made["id"])).unwrap();
    let mut row = shale_server::catalog::ScheduleRow::get(&mut tx, id).await.unwrap().unwrap();
    row.version.as_mut().unwrap().connector_id = Uuid::now_v7();
    row.write(&mut tx).await.unwrap();
    tx.commit().await.unwrap();

    let due: Timestamp = text(&made["next_run_at"]).parse().unwrap();
    requests::run_due(&service.app, due).await.unwrap();
    let path = format!("/schedules/{id}");
    let last = service.get(&path).await.expect(200)["last"].clone();
    assert_eq!(last["outcome"], "refused", "{last:#}");
    assert!(text(&last["text"]).contains("no such connector configuration"), "{last:#}");
    service.patch(&path, json!({ "name": "Weekly" })).await.refused_field("/version/connector_id");
    let off = service.patch(&path, json!({ "enabled": false })).await.expect(200);
    assert_eq!(off["enabled"], false);

    // It hides none behind it, says what it is, and can be got rid of.
    let page = service.get("/schedules?limit=1").await.expect(200);
    let seen = page["items"][0].clone();
    assert_eq!((&seen["name"], &seen["version"]), (&json!("Damaged"), &Value::Null), "{page:#}");
    let next = format!("/schedules?limit=1&page_token={}", text(&page["next_page_token"]));
    assert_eq!(service.get(&next).await.expect(200)["items"][0]["name"], "Nightly");
    let run = action(&seen, "run");
    assert!(!run["allowed"].as_bool().unwrap() && text(&run["reason"]).contains("cannot be read"), "{run}");
    assert_eq!((&seen["last"]["outcome"], &seen["last"]["text"].is_string()), (&json!("refused"), &true));
    assert_ne!(seen["next_run_at"], damaged["next_run_at"], "it is not due again until its next time");
    let path = format!("/schedules/{}", text(&damaged["id"]));
    service.patch(&path, json!({ "name": "Odd" })).await.refused_field("/version");
    service.post(&format!("{path}/run"), json!({ "id": Uuid::now_v7() })).await.refused(409, "not_allowed");
    let off = service.patch(&path, json!({ "name": "Odd", "enabled": false })).await.expect(200);
    assert_eq!((&off["name"], &off["version"]), (&json!("Odd"), &Value::Null));
    service.delete(&path).await.expect(204);
    assert_eq!(service.get("/schedules").await.expect(200)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_asked_for_again_is_answered_as_the_first_whatever_the_schedule_says_by_then() {
    build_tool("linux");
    let service = Service::start().await;
    let (layer, version) = service.layer("Debian").await;
    let order = schedule(&service, &layer, "Nightly", "every day 02:00").await;
    let made = service.post("/schedules", order.clone()).await.expect(201);
    let path = format!("/schedules/{}", text(&made["id"]));
    let run = json!({ "id": Uuid::now_v7() });
    let first = service.post(&format!("{path}/run"), run.clone()).await.expect(201);
    service.ends(&first["task"], "failed").await;
    // As if the disk had had a system that starts scripts, and the version were there; no later one can be made from it.
    let mut tx = service.app.world.catalog.begin().await.unwrap();
    let version = Uuid::parse_str(&version).unwrap();
    let mut row = shale_server::catalog::VersionRow::get(&mut tx, version).await.unwrap().unwrap();
    (row.id, row.name) =
        (serde_json::from_value(run["id"].clone()).unwrap(), text(&first["version"]["name"]));
    row.state = VersionState::Broken;
    row.insert(&mut tx).await.unwrap();
    tx.commit().await.unwrap();

    let mut version = order["version"].clone();
    version["name"] = json!("other {date}");
    version["unattended"]["script"]["text"] = json!("false");
    let edit = json!({ "name": "Weekly", "enabled": false, "version": version });
    service.patch(&path, edit).await.expect(200);
    let again = service.post(&format!("{path}/run"), run.clone()).await.expect(201);
    assert_eq!(again["version"]["id"], run["id"]);
    assert_eq!(again["version"]["name"], first["version"]["name"]);
    assert_eq!(again["task"]["id"], first["task"]["id"]);

    // A later run stays the last one, and the id is no other schedule's.
    let later = json!({ "id": Uuid::now_v7() });
    let later = service.post(&format!("{path}/run"), later).await.expect(201);
    service.post(&format!("{path}/run"), run.clone()).await.expect(201);
    assert_eq!(service.get(&path).await.expect(200)["last"]["task_id"], later["task"]["id"]);
    let mut other = order;
    (other["id"], other["name"]) = (json!(Uuid::now_v7()), json!("Other"));
    let other = service.post("/schedules", other).await.expect(201);
    let other = format!("/schedules/{}/run", text(&other["id"]));
    service.post(&other, run).await.refused(409, "exists");
    service.ends(&later["task"], "failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_schedules_and_is_told_that_they_may_not_run_them() {
    build_tool("linux");
    let mut service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let order = schedule(&service, &layer, "Nightly", "every day 02:00").await;
    let made = service.post("/schedules", order).await.expect(201);
    let path = format!("/schedules/{}", text(&made["id"]));
    for (role, may) in [(Role::Reader, false), (Role::Editor, true)] {
        service.become_one("eve", role);
        let seen = service.get(&path).await.expect(200);
        for name in ["run", "edit", "delete"] {
            assert_eq!(action(&seen, name)["allowed"], may, "{name} as {role}");
        }
    }
}
