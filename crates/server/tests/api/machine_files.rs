//! Files given to a machine, read by the guest in it from its CD.

use crate::service::{Service, content, new_layer, text};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A complete upload.
async fn upload(service: &Service, name: &str, bytes: &[u8]) -> String {
    let id = Uuid::now_v7().to_string();
    service.post("/uploads", json!({ "id": id, "name": name, "size": bytes.len() })).await.expect(201);
    let path = format!("/uploads/{id}");
    let kind = "application/octet-stream";
    service.send_with("PATCH", &path, kind, &[("upload-offset", "0")], bytes.to_vec()).await.expect(200);
    id
}

async fn put(service: &Service, machine: &str, ids: &[&str]) -> crate::service::Reply {
    let body = json!({ "upload_ids": ids }).to_string();
    service.send("PUT", &format!("/machines/{machine}/files"), "application/json", body).await
}

async fn listed(service: &Service, machine: &str) -> Value {
    let list = service.get(&format!("/machines/{machine}/files")).await.expect(200);
    let item = |item: &Value| json!([item["name"], item["size"]]);
    list["items"].as_array().unwrap().iter().map(item).collect()
}

/// A disk that boots by itself and has a shell on its port 22.
fn tiny_disk(folder: &Path) -> std::path::PathBuf {
    let disk = folder.join("tiny.raw");
    let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guest/make-tiny-disk.sh");
    assert!(std::process::Command::new(maker).arg(&disk).arg("bios").status().unwrap().success());
    disk
}

/// Waits until the guest has said "ready" so many times.
async fn wait_ready(service: &Service, machine: &str, times: usize) {
    let deadline = Instant::now() + Duration::from_secs(240);
    loop {
        let log = service.get(&format!("/machines/{machine}/serial")).await;
        let log = String::from_utf8_lossy(&log.bytes).into_owned();
        if log.matches("tiny guest: ready").count() >= times {
            return;
        }
        assert!(Instant::now() < deadline, "the guest is not ready:\n{log}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What a command in the guest says.
async fn ask(service: &Service, machine: &str, command: &str) -> String {
    let view = service.machine(machine).await;
    let (address, command) = (text(&view["ssh"]), format!("{command}; exit\n"));
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        stream.write_all(command.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    asked.await.unwrap()
}

/// Loads what the guest needs for a CD, mounts what is in the drive, and says what is on it. Where nothing polls the drive,
/// the first access after a change only tells the guest of it.
const LOOK: &str = "modprobe -a ata_piix sr_mod isofs nls_utf8; mkdir -p /mnt; umount /mnt 2>/dev/null; for i in 1 2 3; do \
                    mount -t iso9660 -o ro,iocharset=utf8 /dev/sr0 /mnt && break; sleep 1; done; \
                    echo /mnt/* && cat /mnt/*.txt && md5sum < /mnt/big.bin";

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_reads_the_files_it_is_given_while_it_runs_and_after_it_was_off() {
    let service = Service::start().await;
    let connector = service.connector().await;
    let settings = json!({ "settings": { "memory_mib": 256, "forward_ssh": true } });
    service.patch(&format!("/connectors/{connector}"), settings).await.expect(200);
    let order = new_layer("Tiny", &tiny_disk(service.folder.path()));
    let made = service.post("/layers", order.clone()).await.expect(201);
    service.ends(&made["task"], "done").await;
    let (machine, task) = service.version_at_work(&text(&order["id"]), "1.1").await;
    wait_ready(&service, &machine, 1).await;
    assert_eq!(listed(&service, &machine).await, json!([]));
    let empty = ask(&service, &machine, LOOK).await;
    assert!(!empty.contains("readme"), "{empty}");

    let big = content(3, 3 << 20);
    std::fs::write(service.path("big"), &big).unwrap();
    let sum = crate::service::run("md5sum", &[service.path("big").to_str().unwrap()]);
    let sum = sum.split_whitespace().next().unwrap();
    let first = upload(&service, "readme für dich.txt", b"Hello from the first file.\n").await;
    let second = upload(&service, "big.bin", &big).await;
    let view = put(&service, &machine, &[&first, &second]).await.expect(200);
    assert_eq!(view["id"], json!(machine));
    assert_eq!(
        listed(&service, &machine).await,
        json!([["readme für dich.txt", 27], ["big.bin", big.len()]])
    );
    let seen = ask(&service, &machine, LOOK).await;
    assert!(seen.contains("readme für dich.txt") && seen.contains("Hello from the first file."), "{seen}");
    assert!(seen.contains(sum), "{seen}");
    service.get(&format!("/uploads/{first}")).await.refused(404, "not_found");

    // One more, the big one kept, the first left out; the guest holds the old CD mounted meanwhile.
    let third = upload(&service, "more.txt", b"More.\n").await;
    put(&service, &machine, &[&second, &third]).await.expect(200);
    let seen = ask(&service, &machine, LOOK).await;
    assert!(seen.contains("More.") && seen.contains(sum) && !seen.contains("first file"), "{seen}");

    service.power_off(&machine).await;
    service.order(&format!("/machines/{machine}/power_on")).await.expect(200);
    wait_ready(&service, &machine, 2).await;
    let seen = ask(&service, &machine, LOOK).await;
    assert!(seen.contains("More.") && seen.contains(sum), "it is in the drive after a power cycle: {seen}");

    put(&service, &machine, &[]).await.expect(200);
    assert_eq!(listed(&service, &machine).await, json!([]));
    let seen = ask(&service, &machine, LOOK).await;
    assert!(!seen.contains("More."), "{seen}");

    let fourth = upload(&service, "last.txt", b"Last.\n").await;
    put(&service, &machine, &[&fourth]).await.expect(200);
    service.post(&format!("/tasks/{}/cancel", text(&task["id"])), json!({})).await.expect(202);
    service.ends(&task, "canceled").await;
    service.get(&format!("/machines/{machine}/files")).await.refused(404, "not_found");
    assert_eq!(std::fs::read_dir(service.app.world.place.cds()).unwrap().count(), 0, "gone with the machine");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_go_on_a_cd_is_refused_and_nothing_changes() {
    let service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let (machine, _) = service.version_at_work(&layer, "1.1").await;
    let nothing = Uuid::now_v7().to_string();
    put(&service, &machine, &[&nothing]).await.refused_field("/upload_ids");
    let (one, two) = (upload(&service, "a.txt", b"1").await, upload(&service, "A.TXT", b"2").await);
    let why = put(&service, &machine, &[&one, &two]).await.refused_field("/upload_ids");
    assert!(why.contains("Two files"), "{why}");
    put(&service, &nothing, &[&one]).await.refused(404, "not_found");
    service.get(&format!("/uploads/{one}")).await.expect(200);
    put(&service, &machine, &[&one]).await.expect(200);
    assert_eq!(listed(&service, &machine).await, json!([["a.txt", 1]]));
}
