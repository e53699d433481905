//! What is kept with a layer or a schedule and done by itself: what the commands send, and what they leave as it is.

use super::server::{Reply, Server, id, layer, page};
use serde_json::{Value, json};

fn with_retention(keep: u32, old_versions: &str) -> Value {
    let mut layer = layer(1, "a");
    layer["retention"] = json!({ "keep": keep, "old_versions": old_versions });
    layer["old_versions"] = json!([{ "id": id(7), "name": "12.2" }, { "id": id(6), "name": "12.1" }]);
    layer
}

#[test]
fn a_retention_is_given_changed_in_part_and_taken_away() {
    for (before, words, sent) in [
        (layer(1, "a"), &["--keep", "3"][..], json!({ "keep": 3, "old_versions": "propose" })),
        (
            layer(1, "a"),
            &["--keep", "3", "--old-versions", "delete"],
            json!({ "keep": 3, "old_versions": "delete" }),
        ),
        (with_retention(3, "delete"), &["--keep", "5"], json!({ "keep": 5, "old_versions": "delete" })),
        (
            with_retention(3, "delete"),
            &["--old-versions", "propose"],
            json!({ "keep": 3, "old_versions": "propose" }),
        ),
        (with_retention(3, "propose"), &["--keep", "0"], json!({ "keep": 0, "old_versions": "propose" })),
        (with_retention(3, "propose"), &["--name", "b"], Value::Null),
    ] {
        let server =
            Server::start(vec![Reply::Json(200, before), Reply::Json(200, with_retention(3, "propose"))]);
        let run = server.run(&[&["layer", "edit", &id(1)], words].concat());
        assert_eq!(run.exit, 0, "{words:?}: {run:?}");
        assert_eq!(server.asked()[1].body["retention"], sent, "{words:?}");
        assert!(run.out.contains("older ones are proposed") && run.out.contains("12.2, 12.1"), "{}", run.out);
    }
    let server = Server::start(vec![Reply::Json(200, layer(1, "a"))]);
    let run = server.run(&["layer", "edit", &id(1), "--old-versions", "delete"]);
    assert!(run.exit == 2 && run.err.contains("--keep"), "{run:?}");
}

#[test]
fn pruning_without_a_number_leaves_it_to_the_layers_retention() {
    let pruned = json!({ "versions": [], "freed_bytes": 0 });
    let server = Server::start(vec![Reply::Json(200, layer(1, "a")), Reply::Json(200, pruned)]);
    assert_eq!(server.run(&["version", "prune", &id(1)]).exit, 0);
    assert_eq!(server.asked()[1].body, json!({ "delete": false, "comment": "" }));
}

fn schedule() -> Value {
    json!({
        "id": id(5), "name": "nightly", "when": "every day 02:00", "time_zone": "UTC", "enabled": true, "layer_id": id(1),
        "layer_name": "a", "files": [], "created_by": "root", "created_at": "2026-11-22T16:00:00Z",
        "updated_at": "2026-11-22T16:00:00Z", "actions": [],
        "version": {
            "name": "{date}", "connector_id": id(9), "packaging_disk": { "file_name": "night" },
            "unattended": {
                "script": { "name": "setup.sh", "text": "true" }, "on_failure": "discard", "time_limit_minutes": 30,
            },
        },
    })
}

#[test]
fn another_script_of_a_schedule_keeps_what_becomes_of_its_machine_and_its_time_limit() {
    for (words, on_failure, minutes) in [
        (&[][..], "discard", 30),
        (&["--on-failure", "keep"], "keep", 30),
        (&["--time-limit", "60"], "discard", 60),
    ] {
        let server = Server::start(vec![page(json!([schedule()])), Reply::Json(200, schedule())]);
        std::fs::write(server.path("other.sh"), "exit 0\n").unwrap();
        let run = server.run(&[&["schedule", "edit", "nightly", "--script", "other.sh"], words].concat());
        assert_eq!(run.exit, 0, "{words:?}: {run:?}");
        let sent = server.asked()[1].body["version"]["unattended"].clone();
        assert_eq!(sent["script"], json!({ "name": "other.sh", "text": "exit 0\n" }));
        assert_eq!((&sent["on_failure"], &sent["time_limit_minutes"]), (&json!(on_failure), &json!(minutes)));
    }
}
