//! Image templates and layered images on the command line: what is asked of the server, what is printed, how it ends.

use crate::server::{Reply, Server, id, page, problem, task};
use serde_json::{Value, json};
use std::fs;

const NOW: &str = "2026-11-22T16:00:00Z";

fn part(n: u32, layer: &str, version: &str, newer: Option<&str>) -> Value {
    let newer = newer.map(|name| json!({"version_id": id(n + 1), "version_name": name}));
    let mut part = json!({
        "version_id": id(n), "version_name": version, "layer_id": id(n + 50), "layer_name": layer,
        "state": "deployable", "logical_bytes": 1 << 20,
    });
    part.as_object_mut().unwrap().extend(newer.map(|newer| ("newer".to_owned(), newer)));
    part
}

fn template(n: u32, name: &str) -> Value {
    json!({
        "id": id(n), "name": name, "description": "", "os": part(60, "Debian", "12.1", Some("12.2")),
        "apps": [part(70, "Editor", "1.0", None)], "disk": {"format": "vhdx", "size_gib": 60},
        "disk_bytes": 60u64 << 30, "generalize": "none", "state": "publishable", "has_newer": true,
        "estimate_bytes": 2 << 20, "task_ids": [], "created_at": NOW, "updated_at": NOW, "actions": [],
    })
}

fn image(n: u32, template: &str, report: Value) -> Value {
    json!({
        "id": id(n), "name": format!("{template}-2026-11-22_16-00-00"), "template_id": id(1),
        "template_name": template, "state": "published", "parts": [], "composition_id": id(90), "format": "vhdx",
        "disk_bytes": 60u64 << 30, "firmware": "uefi", "report": report, "task_id": id(n + 20), "created_at": NOW,
        "updated_at": NOW, "actions": [],
    })
}

/// What publishing `template` answers: the image, and its task, which just began.
fn begun(n: u32, template: &str) -> Reply {
    let steps = json!([{"name": "compose", "state": "pending"}]);
    Reply::Json(201, json!({"image": image(n, template, json!({})), "task": task(n + 20, "pending", steps)}))
}

fn ended(n: u32, state: &str, error: Option<&str>) -> Reply {
    let mut task = task(n + 20, state, json!([{"name": "compose", "state": state}]));
    task["title"] = json!("Publishing Layered Image.");
    task["error"] = json!(error);
    Reply::Json(200, task)
}

#[test]
fn several_templates_are_published_at_once_and_those_that_were_not_are_named() {
    let down =
        json!({"boot": {"came_up": false, "seconds": 900, "text": "The guest was not up after 15 minutes."}});
    let server = Server::start(vec![
        page(json!([template(1, "desk")])),
        page(json!([template(2, "lab")])),
        page(json!([template(3, "kiosk")])),
        page(json!([template(4, "desk 2")])),
        begun(11, "desk"),
        begun(12, "lab"),
        problem(409, "not_allowed", json!({})),
        begun(14, "desk 2"),
        // A round: the answer of the first is waited for.
        ended(11, "running", None),
        ended(12, "failed", Some("the disk is full")),
        ended(14, "running", None),
        ended(11, "done", None),
        ended(14, "done", None),
        Reply::Json(200, image(11, "desk", json!({}))),
        problem(404, "not_found", json!({})),
        Reply::Json(200, image(14, "desk 2", down)),
    ]);
    let publish = ["image", "publish", "desk", "lab", "kiosk", "desk 2", "-o", "json"];
    let run = server.run(&[&publish[..], &["--no-upload", "--comment", "patches"]].concat());
    assert_eq!(run.exit, 6, "of the first that went wrong: {run:?}");
    let names: Vec<Value> =
        run.json().as_array().unwrap().iter().map(|one| one["image"]["template_name"].clone()).collect();
    assert_eq!(names, ["desk", "lab", "desk 2"]);
    for line in [
        "desk: [1/1] compose: running\n",
        "lab: [1/1] compose: failed\n",
        "error: lab: Publishing Layered Image failed: the disk is full\n",
        "error: kiosk: Something is not_allowed.\n",
        "error: desk 2: The guest was not up after 15 minutes.\n",
        "error: 3 of 4 image templates did not become an image as asked: 'lab', 'kiosk', 'desk 2'.\n",
    ] {
        assert!(run.err.contains(line), "{line} is not in\n{}", run.err);
    }
    let asked = server.asked();
    let polls: Vec<String> = server.lines()[8..13].to_vec();
    let poll = |n: u32, hold: u32| format!("GET /tasks/{}?wait={hold}", id(n + 20));
    assert_eq!(polls, [poll(11, 1), poll(12, 0), poll(14, 0), poll(11, 1), poll(14, 0)]);
    let orders: Vec<&Value> = asked[4..8].iter().map(|request| &request.body).collect();
    for order in &orders {
        assert_eq!((&order["upload"], &order["comment"]), (&json!(false), &json!("patches")));
    }
    let mut ids: Vec<&str> = orders.iter().map(|order| order["image_id"].as_str().unwrap()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 4, "each image has an id of its own");
}

#[test]
fn nothing_is_published_when_one_of_the_names_is_wrong_or_said_twice() {
    let server = Server::start(vec![page(json!([template(1, "desk")])), page(json!([]))]);
    let run = server.run(&["image", "publish", "desk", "dekk"]);
    assert_eq!(run.exit, 4, "{run:?}");
    assert_eq!(server.lines(), ["GET /templates?name=desk", "GET /templates?name=dekk"]);

    let server =
        Server::start(vec![page(json!([template(1, "desk")])), Reply::Json(200, template(1, "desk"))]);
    let run = server.run(&["image", "publish", "desk", &id(1)]);
    assert_eq!(run.exit, 2, "{run:?}");
    assert!(run.err.contains("The image template 'desk' is named twice."), "{}", run.err);
}

#[test]
fn one_template_that_is_published_is_answered_with_its_image_and_its_task() {
    let server = Server::start(vec![
        page(json!([template(1, "desk")])),
        begun(11, "desk"),
        ended(11, "done", None),
        Reply::Json(200, image(11, "desk", json!({}))),
    ]);
    let run = server.run(&["image", "publish", "desk", "-o", "json"]);
    assert_eq!((run.exit, run.json()["task"]["state"].as_str()), (0, Some("done")), "{run:?}");
    assert_eq!(run.err, "[1/1] compose: done\n", "one task needs no name before its lines");
}

#[test]
fn a_template_is_moved_to_the_newest_versions_in_one_request() {
    let mut newest = template(1, "desk");
    newest["os"] = part(61, "Debian", "12.2", None);
    let server = Server::start(vec![page(json!([template(1, "desk")])), Reply::Json(200, newest)]);
    let run = server.run(&["template", "update", "desk", "--comment", "patches"]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert!(run.out.contains("Debian / 12.2") && !run.out.contains("newer"), "{}", run.out);
    assert_eq!(server.lines()[1], format!("POST /templates/{}/update", id(1)));
    assert_eq!(server.asked()[1].body, json!({"comment": "patches"}));
}

#[test]
fn what_is_newer_than_a_template_is_told_when_it_is_shown() {
    let server = Server::start(vec![page(json!([template(1, "desk")]))]);
    let run = server.run(&["template", "show", "desk"]);
    assert!(run.out.contains("Debian / 12.1 (newer: 12.2)"), "{}", run.out);
}

#[test]
fn an_edit_says_only_what_changes_and_what_is_taken_out_as_nothing() {
    let server =
        Server::start(vec![page(json!([template(1, "desk")])), Reply::Json(200, template(1, "desk 2"))]);
    let run = server.run(&[
        "template",
        "edit",
        "desk",
        "--name",
        "desk 2",
        "--no-platform",
        "--no-apps",
        "--size",
        "80",
    ]);
    assert_eq!(run.exit, 0, "{run:?}");
    assert_eq!(server.lines()[1], format!("PATCH /templates/{}", id(1)));
    assert_eq!(
        server.asked()[1].body,
        json!({
            "name": "desk 2", "app_version_ids": [], "platform_version_id": null,
            "disk": {"format": "vhdx", "size_gib": 80}, "comment": "",
        })
    );
}

#[test]
fn a_clone_is_asked_for_under_an_id_of_its_own() {
    let server =
        Server::start(vec![page(json!([template(1, "desk")])), Reply::Json(201, template(2, "lab"))]);
    let run = server.run(&["template", "clone", "desk", "lab", "-o", "name"]);
    assert_eq!((run.exit, run.out.as_str()), (0, "lab\n"), "{run:?}");
    assert_eq!(server.lines()[1], format!("POST /templates/{}/clone", id(1)));
    let body = &server.asked()[1].body;
    assert_eq!(body["name"], "lab");
    assert_ne!(body["id"], json!(id(1)));
}

#[test]
fn an_image_is_downloaded_in_its_own_format_or_in_the_one_that_is_asked_for() {
    let data = b"disk".repeat(50_000);
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", data.len());
    let disk = || Reply::Raw([head.as_bytes(), &data].concat());
    let found = || Reply::Json(200, image(11, "desk", json!({})));
    let server = Server::start(vec![found(), disk(), found(), disk()]);
    let own = server.run(&["image", "download", &id(11), "-O", "desk.vhdx"]);
    assert_eq!(own.exit, 0, "{own:?}");
    assert_eq!(fs::read(server.path("desk.vhdx")).unwrap(), data);
    let other = server.run(&["image", "download", &id(11), "-O", "desk.vmdk", "--format", "vmdk-stream"]);
    assert_eq!(other.exit, 0, "{other:?}");
    let lines = server.lines();
    assert_eq!(lines[1], format!("GET /images/{}/disk?format=vhdx", id(11)));
    assert_eq!(lines[3], format!("GET /images/{}/disk?format=vmdk%2Dstream", id(11)));
}

#[test]
fn completions_and_the_manual_know_every_verb_of_templates_and_images() {
    let server = Server::start(Vec::new());
    let script = server.run(&["completion", "bash"]).out;
    let manual = include_str!("../../../../docs/cli.md");
    for (noun, verbs) in [
        ("template", &["list", "show", "create", "edit", "clone", "update", "plan", "delete"][..]),
        ("image", &["list", "show", "publish", "download", "delete"][..]),
    ] {
        let help = server.run(&[noun, "--help"]).out;
        for verb in verbs {
            assert!(
                script.contains(&format!("shale__subcmd__{noun}__subcmd__{verb}")),
                "{noun} {verb}: completion"
            );
            assert!(help.contains(&format!("\n  {verb} ")), "{noun} {verb}: help");
            assert!(manual.contains(&format!("$ shale {noun} {verb}")), "{noun} {verb}: manual");
        }
    }
}
