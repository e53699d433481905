//! Full disks: in the repository while importing and while finalizing, and where machines are kept. Nothing is lost,
//! and once there is room it goes on.

use crate::service::{Service, content, new_layer, run, text};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A small file system in memory; gone when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf, size: &str) -> Self {
        assert!(rustix::process::geteuid().is_root(), "this test mounts a small file system: run it as root");
        std::fs::create_dir_all(&at).unwrap();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs", at.to_str().unwrap()]);
        Self(at)
    }

    fn grow(&self, size: &str) {
        run("mount", &["-o", &format!("remount,size={size}"), self.0.to_str().unwrap()]);
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A server with one folder of its data directory on a small file system.
async fn cramped(part: &str, size: &str) -> (Service, Small) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let small = Small::mount(data.join(part), size);
    (Service::start_on(folder, &data).await, small)
}

/// Fills a file system to the last byte.
fn fill(folder: &Path) -> PathBuf {
    let ballast = folder.join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    let e = std::io::copy(&mut std::io::repeat(1), &mut file).unwrap_err();
    assert_eq!(e.kind(), std::io::ErrorKind::StorageFull);
    ballast
}

fn tells_of_no_room(text: &str) {
    let lower = text.to_lowercase();
    assert!(["full", "no space", "no room"].iter().any(|word| lower.contains(word)), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_does_not_fit_fails_leaves_nothing_and_may_be_repeated() {
    let (service, small) = cramped("repository", "24m").await;
    service.layer("first").await;
    let before = service.holdings().await;
    let disk = service.path("big.raw");
    std::fs::write(&disk, content(9, 40 << 20)).unwrap();
    let made = service.post("/layers", new_layer("big", &disk)).await.expect(201);
    let task = service.ends(&made["task"], "failed").await;
    tells_of_no_room(task["error"].as_str().unwrap());
    assert_eq!(service.holdings().await, before);
    small.grow("100m");
    let made = service.post("/layers", new_layer("big", &disk)).await.expect(201);
    service.ends(&made["task"], "done").await;
    let check = service.post("/repository/check", json!({ "read_data": true })).await.expect(202);
    service.ends(&check, "done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalize_that_does_not_fit_keeps_the_work_and_succeeds_once_there_is_room() {
    let (service, small) = cramped("repository", "24m").await;
    let (layer, _) = service.layer("Debian").await;
    let (version, task) = service.version_at_work(&layer, "1.1").await;
    service.power_off(&version).await;
    let written = service.path("written");
    std::fs::write(&written, content(3, 32 << 20)).unwrap();
    let overlay = service.overlay(&version).await;
    let image =
        json!({ "driver": "qcow2", "backing": null, "file": { "driver": "file", "filename": overlay } });
    let command = format!("write -s {} 64M 32M", written.display());
    run("qemu-io", &["-c", &command, &format!("json:{image}")]);

    service.order(&format!("/versions/{version}/finalize")).await.expect(202);
    let asked = service.ends(&task, "action_required").await;
    tells_of_no_room(asked["needs"]["problem"].as_str().unwrap());
    assert_eq!(asked["needs"]["machine_id"], json!(version));
    let machine = service.machine(&version).await;
    assert_eq!(machine["power"], "off");
    let shown = service.get(&format!("/versions/{version}")).await.expect(200);
    assert_eq!(shown["state"], "finalizable");

    small.grow("200m");
    service.order(&format!("/versions/{version}/finalize")).await.expect(202);
    service.ends(&task, "done").await;
    let target = service.path("out.raw");
    let order = json!({ "format": "raw", "path": target });
    let export = service.post(&format!("/versions/{version}/export"), order).await.expect(202);
    service.ends(&export, "done").await;
    let exported = std::fs::read(&target).unwrap();
    assert!(exported[64 << 20..96 << 20] == content(3, 32 << 20), "the work is all there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_finds_no_room_fails_and_the_layer_is_free_again() {
    let (service, small) = cramped("connectors", "4m").await;
    let (layer, _) = service.layer("Debian").await;
    let ballast = fill(&small.0);
    let order = service.new_version("1.1").await;
    let added = service.post(&format!("/layers/{layer}/versions"), order.clone()).await.expect(201);
    let task = service.ends(&added["task"], "failed").await;
    tells_of_no_room(task["error"].as_str().unwrap());
    service.get(&format!("/versions/{}", text(&order["id"]))).await.refused(404, "not_found");
    std::fs::remove_file(ballast).unwrap();
    service.version_at_work(&layer, "1.1").await;
    // Before the disk that its machine lies on.
    drop(service);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlay_that_ran_full_keeps_what_was_written_before() {
    let (service, small) = cramped("connectors", "4m").await;
    let (layer, _) = service.layer("Debian").await;
    let (version, task) = service.version_at_work(&layer, "1.1").await;
    service.power_off(&version).await;
    service.write_in_overlay(&version, 0x11, "0", "64k").await;
    let overlay = service.overlay(&version).await;
    let image =
        json!({ "driver": "qcow2", "backing": null, "file": { "driver": "file", "filename": overlay } });
    let guest = std::process::Command::new("qemu-io")
        .args(["-c", "write -P 0x22 1M 16M", &format!("json:{image}")])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&guest.stdout).into_owned() + &String::from_utf8_lossy(&guest.stderr);
    assert!(told.contains("No space left"), "{told}");
    let machine = service.machine(&version).await;
    assert_eq!(machine["power"], "off");
    service.order(&format!("/versions/{version}/finalize")).await.expect(202);
    service.ends(&task, "done").await;
    let disk = service.get(&format!("/versions/{version}/disk?format=raw")).await;
    assert!(disk.bytes[..64 << 10].iter().all(|byte| *byte == 0x11));
    assert!(
        disk.bytes[64 << 10..128 << 10] == content("Debian".len() as u32 + 1, 8 << 20)[64 << 10..128 << 10]
    );
    drop(small);
}
