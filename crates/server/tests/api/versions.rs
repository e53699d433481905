//! Versions and their machines: adding, finalizing, cancelling, exporting, verifying, deleting, and all refusals.

use crate::service::{Service, content, run, text};
use serde_json::{Value, json};
use uuid::Uuid;

/// Whether a view says that something may be done.
fn allowed(view: &Value, action: &str) -> bool {
    let actions = view["actions"].as_array().unwrap();
    let found =
        actions.iter().find(|a| a["name"] == action).unwrap_or_else(|| panic!("no {action} in {view}"));
    let allowed = found["allowed"].as_bool().unwrap();
    assert_eq!(allowed, found.get("reason").is_none(), "{found}: a refusal has a reason");
    allowed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_made_in_its_machine_and_holds_what_was_written_there() {
    let service = Service::start().await;
    let (layer, base) = service.layer("Debian").await;
    let (version, task) = service.version_at_work(&layer, "1.1").await;
    let machine = service.machine(&version).await;
    let name = text(&machine["name"]);
    assert!(name.starts_with("patch-20") && name.len() == "patch-".len() + 23, "{name}");
    assert_eq!(machine["power"], "running");
    let needs = text(&task["needs"]["text"]);
    assert!(needs.contains(&format!("'{name}'")) && needs.contains(&text(&machine["place"])), "{needs}");
    assert_eq!(task["needs"]["machine_id"], json!(version));
    service.get(&format!("/machines/{version}/serial")).await.expect(200);

    let shown = service.get(&format!("/versions/{version}")).await.expect(200);
    assert!(!allowed(&shown, "finalize") && allowed(&shown, "cancel"), "{shown}");
    let problem = service.order(&format!("/versions/{version}/finalize")).await.refused(409, "not_allowed");
    assert!(text(&problem["detail"]).contains(&name), "{problem}");
    assert!(!allowed(&machine, "power_on") && allowed(&machine, "power_off"));
    service.order(&format!("/machines/{version}/power_on")).await.refused(409, "not_allowed");
    service.power_off(&version).await;
    service.order(&format!("/machines/{version}/power_off")).await.refused(409, "not_allowed");
    service.order(&format!("/machines/{version}/shut_down")).await.refused(409, "not_allowed");

    service.write_in_overlay(&version, 0x5a, "1M", "128k").await;
    let shown = service.get(&format!("/versions/{version}")).await.expect(200);
    assert!(allowed(&shown, "finalize"), "{shown}");
    let task = service.order(&format!("/versions/{version}/finalize")).await.expect(202);
    let task = service.ends(&task, "done").await;
    assert_eq!(task["result"]["virtual_bytes"], 1 << 30);
    service.get(&format!("/machines/{version}")).await.refused(404, "not_found");
    assert!(!service.overlay(&version).await.exists(), "the machine is gone");
    let shown = service.get(&format!("/versions/{version}")).await.expect(200);
    assert_eq!((&shown["state"], &shown["base_version_id"]), (&json!("deployable"), &json!(base)));

    let target = service.path("out.raw");
    let order = json!({ "format": "raw", "path": target });
    let export = service.post(&format!("/versions/{version}/export"), order).await.expect(202);
    service.ends(&export, "done").await;
    let mut expected = content("Debian".len() as u32 + 1, 8 << 20);
    expected[1 << 20..(1 << 20) + (128 << 10)].fill(0x5a);
    let exported = std::fs::read(&target).unwrap();
    assert_eq!(exported.len(), 1 << 30);
    assert!(exported[..8 << 20] == expected && exported[8 << 20..].iter().all(|byte| *byte == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_add_a_version_is_refused_by_field() {
    let service = Service::start().await;
    let (layer, base) = service.layer("Debian").await;
    let path = format!("/layers/{layer}/versions");
    let order = service.new_version("1.1").await;
    let changed = |pointer: &str, value: Value| {
        let mut order = order.clone();
        *order.pointer_mut(pointer).unwrap() = value;
        order
    };
    for name in ["", "../x", "a/b", "a\u{0}", &"x".repeat(101), "1.0"] {
        service.post(&path, changed("/name", json!(name))).await.refused_field("/name");
    }
    for name in
        ["", "../x", "a/b", "..", "a\u{0}", "NUL", "com1.vhd", "a:b", ".hidden", "it's", &"x".repeat(101)]
    {
        let order = changed("/packaging_disk/file_name", json!(name));
        service.post(&path, order).await.refused_field("/packaging_disk/file_name");
    }
    let added = |field: &str, value: Value| {
        let mut order = order.clone();
        order[field] = value;
        order
    };
    let nobody = Uuid::now_v7();
    service.post(&path, changed("/connector_id", json!(nobody))).await.refused_field("/connector_id");
    service.post(&path, added("base_version_id", json!(nobody))).await.refused_field("/base_version_id");
    for size in [0, 1 << 20] {
        service
            .post(&path, changed("/max_layer_size_gib", json!(size)))
            .await
            .refused_field("/max_layer_size_gib");
    }
    let mut wrong = order.clone();
    wrong["packaging_disk"]["format"] = json!("vhd");
    service.post(&path, wrong).await.refused_field("/packaging_disk/format");
    let wrong = added("platform_version_id", json!(base));
    let told = service.post(&path, wrong).await.refused_field("/platform_version_id");
    assert!(told.contains("of a layer of the kind platform"), "{told}");
    assert_eq!(service.get("/machines").await.expect(200)["items"], json!([]));
    assert_eq!(service.get(&format!("/layers/{layer}")).await.expect(200)["version_count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_may_not_be_smaller_than_its_base() {
    let service = Service::start().await;
    let big = service.path("big.raw");
    std::fs::File::create(&big).unwrap().set_len(3 << 30).unwrap();
    let order = crate::service::new_layer("Big", &big);
    let made = service.post("/layers", order.clone()).await.expect(201);
    service.ends(&made["task"], "done").await;
    let new = service.new_version("1.1").await;
    let path = format!("/layers/{}/versions", text(&order["id"]));
    let told = service.post(&path, new).await.refused_field("/max_layer_size_gib");
    assert!(told.contains('3'), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_version_is_made_its_layer_and_base_are_taken_and_cancelling_leaves_nothing() {
    let service = Service::start().await;
    let (layer, base) = service.layer("Debian").await;
    let before = service.holdings().await;
    let order = service.new_version("1.1").await;
    let path = format!("/layers/{layer}/versions");
    let added = service.post(&path, order.clone()).await.expect(201);
    let again = service.post(&path, order.clone()).await.expect(201);
    assert_eq!(added["task"]["id"], again["task"]["id"], "a repeated request is the same request");
    let mut other = order.clone();
    other["name"] = json!("1.2");
    service.post(&path, other).await.refused(409, "exists");
    let task = service.ends(&added["task"], "action_required").await;
    let version = text(&order["id"]);

    let busy = service.post(&path, service.new_version("1.2").await).await.refused(409, "busy");
    assert_eq!(busy["task_id"], task["id"]);
    assert!(text(&busy["detail"]).contains(text(&task["title"]).trim_end_matches('.')), "{busy}");
    let shown = service.get(&format!("/layers/{layer}")).await.expect(200);
    assert!(!allowed(&shown, "add_version") && !allowed(&shown, "delete") && allowed(&shown, "edit"));
    service.delete(&format!("/layers/{layer}")).await.refused(409, "busy");
    let shown = service.get(&format!("/versions/{base}")).await.expect(200);
    assert!(!allowed(&shown, "delete") && allowed(&shown, "export") && allowed(&shown, "verify"));
    let problem = service.delete(&format!("/versions/{base}")).await.refused(409, "not_allowed");
    assert!(text(&problem["detail"]).contains("packaging machine 'patch-"), "{problem}");
    let shown = service.get(&format!("/versions/{version}")).await.expect(200);
    for refused in ["add_version", "export", "verify", "delete"] {
        assert!(!allowed(&shown, refused), "{refused}");
    }
    service.delete(&format!("/versions/{version}")).await.refused(409, "not_allowed");
    service.order(&format!("/versions/{version}/verify")).await.refused(409, "not_allowed");
    service.get(&format!("/versions/{version}/disk?format=raw")).await.refused(409, "not_allowed");
    let connector = service.connector().await;
    let shown = service.get(&format!("/connectors/{connector}")).await.expect(200);
    assert!(!allowed(&shown, "delete"));
    service.delete(&format!("/connectors/{connector}")).await.refused(409, "not_allowed");

    let id = text(&task["id"]);
    assert!(allowed(&task, "cancel") && !allowed(&task, "retry"));
    service.order(&format!("/tasks/{id}/retry")).await.refused(409, "not_allowed");
    service.post(&format!("/tasks/{id}/cancel"), json!({ "comment": "not now" })).await.expect(202);
    let ended = service.ends(&task, "canceled").await;
    assert!(!allowed(&ended, "cancel"));
    service.order(&format!("/tasks/{id}/cancel")).await.refused(409, "not_allowed");
    service.get(&format!("/versions/{version}")).await.refused(404, "not_found");
    let problem = service.post(&path, order).await.refused(409, "exists");
    assert!(text(&problem["detail"]).contains("another id"), "{problem}");
    assert!(!service.overlay(&version).await.parent().unwrap().exists(), "its folder is gone");
    let mut after = service.holdings().await;
    after["layers"][0]["updated_at"] = before["layers"][0]["updated_at"].clone();
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_layers_have_machines_at_once_and_each_keeps_its_own_changes() {
    let service = Service::start().await;
    let (one, _) = service.layer("one").await;
    let (three, _) = service.layer("three").await;
    let ((a, _), (b, _)) =
        tokio::join!(service.version_at_work(&one, "1.1"), service.version_at_work(&three, "1.1"));
    assert_eq!(service.get("/machines").await.expect(200)["items"].as_array().unwrap().len(), 2);
    for (version, pattern) in [(&a, 0xaa), (&b, 0xbb)] {
        service.power_off(version).await;
        service.write_in_overlay(version, pattern, "64k", "64k").await;
    }
    for (version, pattern) in [(&a, 0xaa), (&b, 0xbb)] {
        let task = service.order(&format!("/versions/{version}/finalize")).await.expect(202);
        service.ends(&task, "done").await;
        let disk = service.get(&format!("/versions/{version}/disk?format=raw")).await;
        assert_eq!(disk.status, 200);
        assert!(disk.bytes[64 << 10..128 << 10].iter().all(|byte| *byte == pattern));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_finalize_at_once_one_does() {
    let service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let (version, task) = service.version_at_work(&layer, "1.1").await;
    service.power_off(&version).await;
    service.write_in_overlay(&version, 1, "0", "4M").await;
    let path = format!("/versions/{version}/finalize");
    let (a, b, c) = tokio::join!(service.order(&path), service.order(&path), service.order(&path));
    let statuses = [a.status, b.status, c.status];
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 2, "{statuses:?}");
    service.ends(&task, "done").await;
    service.order(&path).await.refused(409, "not_allowed");
    let audit = service.get("/audit").await.expect(200);
    let finalized =
        audit["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == "finalize").count();
    assert_eq!(finalized, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlay_that_was_deleted_is_told_and_the_work_can_only_be_given_up() {
    let service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let (version, task) = service.version_at_work(&layer, "1.1").await;
    service.power_off(&version).await;
    std::fs::remove_file(service.overlay(&version).await).unwrap();
    service.order(&format!("/versions/{version}/finalize")).await.expect(202);
    let asked = service.ends(&task, "action_required").await;
    let problem = text(&asked["needs"]["problem"]);
    assert!(problem.contains("was deleted") && problem.contains("overlay.qcow2"), "{problem}");
    let machine = service.machine(&version).await;
    assert!(text(&machine["detail"]).contains("was deleted"), "{machine}");
    service.order(&format!("/tasks/{}/cancel", text(&task["id"]))).await.expect(202);
    service.ends(&task, "canceled").await;
    assert_eq!(service.get(&format!("/layers/{layer}")).await.expect(200)["version_count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_exported_in_every_format_and_never_over_a_file_unasked() {
    let service = Service::start().await;
    let (_, version) = service.layer("Debian").await;
    let path = format!("/versions/{version}/export");
    let raw = service.path("Debian.raw");
    let raw = raw.to_str().unwrap();
    for (format, judged) in [
        ("raw", "raw"),
        ("vhd", "vpc"),
        ("vhd-fixed", "vpc"),
        ("vhdx", "vhdx"),
        ("vmdk", "vmdk"),
        ("vmdk-stream", "vmdk"),
        ("qcow2", "qcow2"),
        ("qcow2-compressed", "qcow2"),
    ] {
        let target = service.path(&format!("out.{format}"));
        let task = service.post(&path, json!({ "format": format, "path": target })).await.expect(202);
        let task = service.ends(&task, "done").await;
        assert_eq!(task["result"]["path"], json!(target));
        run("qemu-img", &["compare", "-f", "raw", "-F", judged, raw, target.to_str().unwrap()]);
        let download = service.get(&format!("/versions/{version}/disk?format={format}")).await;
        assert_eq!(download.status, 200, "{format}");
        let name = download.headers["content-disposition"].to_str().unwrap();
        assert!(name.starts_with("attachment; filename=\"Debian-1.0."), "{name}");
        let sent = service.path("sent");
        std::fs::write(&sent, &download.bytes).unwrap();
        run("qemu-img", &["compare", "-f", "raw", "-F", judged, raw, sent.to_str().unwrap()]);
    }
    let target = service.path("out.raw");
    let again = json!({ "format": "raw", "path": target });
    assert!(service.post(&path, again).await.refused_field("/path").contains("exists"));
    let task =
        service.post(&path, json!({ "format": "raw", "path": target, "overwrite": true })).await.expect(202);
    service.ends(&task, "done").await;
    let folder = service.folder.path().to_owned();
    for wrong in
        ["out.raw".into(), folder.clone(), folder.join("missing/out.raw"), "/".into(), folder.join("..")]
    {
        service.post(&path, json!({ "format": "raw", "path": wrong })).await.refused_field("/path");
    }
    let wrong = json!({ "format": "floppy", "path": service.path("new") });
    service.post(&path, wrong).await.refused_field("/format");
    service.get(&format!("/versions/{version}/disk?format=floppy")).await.refused_field("/format");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_renamed_verified_rolled_back_to_and_deleted() {
    let service = Service::start().await;
    let (layer, first) = service.layer("Debian").await;
    let (second, _) = service.version_at_work(&layer, "1.1").await;
    let renamed = json!({ "name": "1.1 final", "description": "while in work" });
    service.patch(&format!("/versions/{second}"), renamed).await.expect(200);
    service.power_off(&second).await;
    service.write_in_overlay(&second, 7, "2M", "64k").await;
    let task = service.order(&format!("/versions/{second}/finalize")).await.expect(202);
    service.ends(&task, "done").await;
    let taken = json!({ "name": "1.0" });
    service.patch(&format!("/versions/{second}"), taken).await.refused_field("/name");
    service.patch(&format!("/versions/{second}"), json!({ "name": "a/b" })).await.refused_field("/name");

    let verify = service
        .post(&format!("/versions/{second}/verify"), json!({ "comment": "monthly" }))
        .await
        .expect(202);
    service.ends(&verify, "done").await;
    let audit = service.get("/audit?limit=1").await.expect(200);
    assert_eq!(
        (&audit["items"][0]["action"], &audit["items"][0]["comment"]),
        (&json!("verify_version"), &json!("monthly"))
    );

    // From the older one, which is how one goes back.
    let mut order = service.new_version("1.2").await;
    order["base_version_id"] = json!(first);
    let added = service.post(&format!("/layers/{layer}/versions"), order.clone()).await.expect(201);
    let task = service.ends(&added["task"], "action_required").await;
    let third = text(&order["id"]);
    service.power_off(&third).await;
    service.order(&format!("/versions/{third}/finalize")).await.expect(202);
    service.ends(&task, "done").await;
    let disk = service.get(&format!("/versions/{third}/disk?format=raw")).await;
    assert!(
        disk.bytes[..8 << 20] == content("Debian".len() as u32 + 1, 8 << 20),
        "as the first version, not the second"
    );

    let task = service.delete(&format!("/versions/{second}")).await.expect(202);
    service.ends(&task, "done").await;
    let list = service.get(&format!("/layers/{layer}/versions")).await.expect(200);
    let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|v| text(&v["name"])).collect();
    assert_eq!(names, ["1.0", "1.2"]);
    service.delete(&format!("/versions/{second}")).await.refused(404, "not_found");
}
