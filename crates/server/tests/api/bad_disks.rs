//! Disks that lie, are cut off, lead in circles or change while they are read: an import says what is wrong and
//! leaves catalog and repository as they were.

use crate::service::{Service, content, new_layer, run, text};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Imports a disk that cannot be; what the task says.
async fn refused(service: &Service, disk: &Path) -> String {
    let before = service.holdings().await;
    let order = new_layer("bad", disk);
    let made = service.post("/layers", order).await.expect(201);
    let task = service.ends(&made["task"], "failed").await;
    assert_eq!(service.holdings().await, before, "as before: {task:#}");
    let error = text(&task["error"]);
    assert!(!error.starts_with(char::is_lowercase) && error.ends_with('.') && error.len() > 20, "{error}");
    error
}

#[track_caller]
fn says(error: &str, words: &[&str]) {
    let lower = error.to_lowercase();
    assert!(words.iter().any(|word| lower.contains(word)), "{words:?} expected in: {error}");
}

/// A good qcow2 with data in it.
fn qcow2(service: &Service, name: &str) -> PathBuf {
    let raw = service.disk("good.raw", 77);
    let path = service.path(name);
    run("qemu-img", &["convert", "-f", "raw", "-O", "qcow2", raw.to_str().unwrap(), path.to_str().unwrap()]);
    path
}

fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, offset).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_and_a_disk_without_bytes_are_refused() {
    let service = Service::start().await;
    let empty = service.path("empty.raw");
    File::create(&empty).unwrap();
    says(&refused(&service, &empty).await, &["empty", "no bytes", "0 bytes"]);
    let zero = service.path("zero.qcow2");
    run("qemu-img", &["create", "-q", "-f", "qcow2", zero.to_str().unwrap(), "0"]);
    says(&refused(&service, &zero).await, &["empty", "no bytes", "0 bytes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_disk_is_refused_in_every_format() {
    let service = Service::start().await;
    let raw = service.disk("good.raw", 77);
    for (format, options) in [
        ("qcow2", ""),
        ("vpc", "subformat=dynamic"),
        ("vhdx", "subformat=dynamic"),
        ("vmdk", "subformat=monolithicSparse"),
        ("vmdk", "subformat=streamOptimized"),
    ] {
        let path = service.path("cut");
        let mut arguments = vec!["convert", "-f", "raw", "-O", format];
        if !options.is_empty() {
            arguments.extend(["-o", options]);
        }
        arguments.extend([raw.to_str().unwrap(), path.to_str().unwrap()]);
        run("qemu-img", &arguments);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        says(&refused(&service, &path).await, &["truncated", "beyond", "cut", "end", "footer", "short"]);
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_headers_are_refused_without_the_memory_they_ask_for() {
    let service = Service::start().await;
    // Offsets of a qcow2 header: docs/interop/qcow2.rst of QEMU.
    for (name, offset, bytes) in [
        ("size", 24, &u64::MAX.to_be_bytes()[..]),
        ("cluster_bits", 20, &60u32.to_be_bytes()[..]),
        ("l1_size", 36, &0u32.to_be_bytes()[..]),
        ("l1_table_offset", 40, &(1u64 << 60).to_be_bytes()[..]),
        ("incompatible features", 72, &(1u64 << 40).to_be_bytes()[..]),
        ("version", 4, &9u32.to_be_bytes()[..]),
    ] {
        let path = qcow2(&service, "absurd.qcow2");
        overwrite(&path, offset, bytes);
        let error = refused(&service, &path).await;
        assert!(error.contains("absurd.qcow2") || error.to_lowercase().contains("qcow2"), "{name}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_table_is_refused() {
    let service = Service::start().await;
    let path = qcow2(&service, "corrupt.qcow2");
    let mut l1 = [0; 8];
    let file = File::open(&path).unwrap();
    file.read_exact_at(&mut l1, 40).unwrap();
    let table = u64::from_be_bytes(l1);
    overwrite(&path, table, &((1u64 << 63) | (1 << 50)).to_be_bytes());
    says(&refused(&service, &path).await, &["beyond", "corrupt", "outside", "not valid", "truncated"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_backing_files_that_is_a_circle_or_broken_is_refused() {
    let service = Service::start().await;
    let (a, b) = (service.path("a.qcow2"), service.path("b.qcow2"));
    let (a_name, b_name) = (a.to_str().unwrap(), b.to_str().unwrap());
    run("qemu-img", &["create", "-q", "-f", "qcow2", b_name, "8M"]);
    run("qemu-img", &["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", b_name, a_name]);
    run("qemu-img", &["rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", a_name, b_name]);
    says(&refused(&service, &a).await, &["itself", "circle", "loop", "cycle"]);
    fs::remove_file(&b).unwrap();
    says(&refused(&service, &a).await, &["b.qcow2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_disk_is_refused_by_name() {
    let service = Service::start().await;
    let path = service.path("secret.qcow2");
    let options = "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10";
    let secret = "secret,id=key,data=open-sesame";
    let create = || {
        let mut command = Command::new("qemu-img");
        command.args(["create", "-q", "--object", secret, "-f", "qcow2", "-o", options]).arg(&path).arg("8M");
        command.status().unwrap().success()
    };
    // It times its own key derivation, and gives up where the host's clock of CPU time does not move meanwhile.
    assert!((0..50).any(|_| create()), "qemu-img made no encrypted disk");
    says(&refused(&service, &path).await, &["encrypted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_changes_while_it_is_read_is_refused() {
    let service = Service::start().await;
    let path = service.path("live.raw");
    fs::write(&path, content(5, 64 << 20)).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (path, stop) = (path.clone(), stop.clone());
        move || {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            let mut value = 0u64;
            while !stop.load(Ordering::Relaxed) {
                value += 1;
                file.write_all_at(&value.to_le_bytes(), 4096).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let made = service.post("/layers", new_layer("live", &path)).await.expect(201);
    let task = service.settled(&made["task"]["id"]).await;
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(task["state"], "failed", "{task:#}");
    let error = text(&task["error"]);
    says(&error, &["was written to while it was read"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_failed_leaves_its_name_free() {
    let service = Service::start().await;
    let path = service.path("late.raw");
    File::create(&path).unwrap();
    refused(&service, &path).await;
    fs::write(&path, content(1, 1 << 20)).unwrap();
    let made = service.post("/layers", new_layer("bad", &path)).await.expect(201);
    let task: Value = service.ends(&made["task"], "done").await;
    assert_eq!(task["result"]["virtual_bytes"], 1 << 20);
}
