//! Files sent in parts: taken up after a cut and after a restart, bounded by the disk, imported, and cleared away.

use crate::process::{Process, curl};
use crate::service::{Service, content, text};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use uuid::Uuid;

async fn append(service: &Service, id: &str, offset: usize, part: &[u8]) -> crate::service::Reply {
    let path = format!("/uploads/{id}");
    let offset = offset.to_string();
    service
        .send_with("PATCH", &path, "application/octet-stream", &[("upload-offset", &offset)], part.to_vec())
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_becomes_a_layer_and_is_gone_then() {
    let service = Service::start().await;
    let data = content(7, 3 << 20);
    let id = Uuid::now_v7().to_string();
    let order = json!({ "id": id, "name": "disk.raw", "size": data.len() });
    let begun = service.post("/uploads", order.clone()).await.expect(201);
    assert_eq!((&begun["received"], &begun["size"]), (&json!(0), &json!(data.len())));
    assert_eq!(service.post("/uploads", order).await.expect(201)["id"], begun["id"], "repeated");
    let layer = json!({ "id": Uuid::now_v7(), "kind": "os", "name": "Sent", "source": { "upload": id },
        "version": { "id": Uuid::now_v7(), "name": "1.0" } });
    let early = service.post("/layers", layer.clone()).await.refused_field("/source/upload");
    assert!(early.contains("send the rest first"), "{early}");

    let half = data.len() / 2;
    assert_eq!(append(&service, &id, 0, &data[..half]).await.expect(200)["received"], json!(half));
    for wrong in [0, half - 1, half + 1] {
        let problem = append(&service, &id, wrong, b"x").await.refused(409, "conflict");
        assert_eq!(problem["received"], json!(half));
    }
    let beyond = [&data[half..], b"x"].concat();
    append(&service, &id, half, &beyond).await.refused(413, "invalid");
    let received =
        service.get(&format!("/uploads/{id}")).await.expect(200)["received"].as_u64().unwrap() as usize;
    assert!((half..data.len()).contains(&received), "{received}");
    let done = append(&service, &id, received, &data[received..]).await.expect(200);
    assert_eq!(done["received"], json!(data.len()));
    append(&service, &id, data.len(), b"x").await.refused(409, "conflict");

    let made = service.post("/layers", layer.clone()).await.expect(201);
    service.ends(&made["task"], "done").await;
    service.get(&format!("/uploads/{id}")).await.refused(404, "not_found");
    assert_eq!(std::fs::read_dir(service.app.world.place.uploads()).unwrap().count(), 0);
    let disk = service.get(&format!("/versions/{}/disk?format=raw", text(&layer["version"]["id"]))).await;
    assert!(disk.bytes[..] == data[..], "what was sent is what is stored");
    assert_eq!(
        service.post("/layers", layer).await.expect(201)["task"]["id"],
        made["task"]["id"],
        "repeated"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_import_fails_is_there_for_another_try() {
    let service = Service::start().await;
    let id = Uuid::now_v7().to_string();
    let data = b"QFI\xfb\x00\x00\x00\x03 this poses as qcow2 and is none".repeat(40);
    service.post("/uploads", json!({ "id": id, "name": "odd", "size": data.len() })).await.expect(201);
    append(&service, &id, 0, &data).await.expect(200);
    let layer = json!({ "id": Uuid::now_v7(), "kind": "os", "name": "Odd", "source": { "upload": id },
        "version": { "id": Uuid::now_v7(), "name": "1.0" } });
    let made = service.post("/layers", layer).await.expect(201);
    service.ends(&made["task"], "failed").await;
    let left = service.get(&format!("/uploads/{id}")).await.expect(200);
    let usable = left["actions"].as_array().unwrap().iter().find(|action| action["name"] == "use").unwrap();
    assert_eq!(usable["allowed"], true);
    service.delete(&format!("/uploads/{id}")).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_on_the_disk_or_is_no_file_is_refused_before_it_is_sent() {
    let service = Service::start().await;
    let order = |name: &str, size: Value| json!({ "id": Uuid::now_v7(), "name": name, "size": size });
    let problem = service.post("/uploads", order("big.vhd", json!(1u64 << 60))).await.refused(507, "invalid");
    assert!(text(&problem["detail"]).contains("make room"), "{problem}");
    for (name, size, pointer) in [
        ("../x", json!(1), "/name"),
        ("", json!(1), "/name"),
        ("a:b", json!(1), "/name"),
        ("empty", json!(0), "/size"),
    ] {
        service.post("/uploads", order(name, size)).await.refused_field(pointer);
    }
    service.post("/uploads", order("negative", json!(-1))).await.refused(422, "invalid");
    assert_eq!(service.get("/uploads").await.expect(200)["items"], json!([]));
    let id = Uuid::now_v7();
    service.post("/uploads", json!({ "id": id, "name": "a", "size": 4 })).await.expect(201);
    let path = format!("/uploads/{id}");
    service.send("PATCH", &path, "application/octet-stream", "abcd").await.refused(422, "invalid");
    service.send("PATCH", &path, "application/json", "{}").await.refused(415, "invalid");
}

fn received(server: &Process, id: &str) -> usize {
    let token = format!("Authorization: Bearer {}", server.token());
    let view = server.ask("GET", &format!("/uploads/{id}"), &[&token], None).expect(200);
    view["received"].as_u64().unwrap() as usize
}

/// Sends a file from `offset` on; curl reads it from `path`.
fn send(server: &Process, id: &str, offset: usize, path: &Path) -> u16 {
    let token = format!("Authorization: Bearer {}", server.token());
    let (url, offset) =
        (format!("{}/api/v1/uploads/{id}", server.address), format!("Upload-Offset: {offset}"));
    let data = format!("@{}", path.display());
    let kind = "Content-Type: application/octet-stream";
    let cert = server.certificate();
    let all = [
        "--cacert",
        &cert,
        "--request",
        "PATCH",
        "-H",
        &token,
        "-H",
        &offset,
        "-H",
        kind,
        "--data-binary",
        &data,
        &url,
    ];
    curl(&all).0
}

#[test]
fn an_upload_goes_on_after_a_cut_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Process::start(&data);
    let bytes = content(9, 6 << 20);
    let id = Uuid::now_v7().to_string();
    let token = format!("Authorization: Bearer {}", server.token());
    let order = json!({ "id": id, "name": "disk.raw", "size": bytes.len() });
    server.ask("POST", "/uploads", &[&token], Some(&order)).expect(201);

    // A request that says it sends 3 MiB and breaks off after two and a bit.
    let head = format!(
        "PATCH /api/v1/uploads/{id} HTTP/1.1\r\nHost: localhost\r\n{token}\r\nUpload-Offset: 0\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        3 << 20
    );
    let mut cut = std::process::Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", server.address.trim_start_matches("https://")])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut pipe = cut.stdin.take().unwrap();
    pipe.write_all(head.as_bytes()).unwrap();
    pipe.write_all(&bytes[..(2 << 20) + 12345]).unwrap();
    pipe.flush().unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(240);
    while received(&server, &id) == 0 && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    cut.kill().unwrap();
    cut.wait().unwrap();
    drop(pipe);
    let part = folder.path().join("part");
    let mut at = received(&server, &id);
    assert!(at > 0 && at <= (2 << 20) + 12345, "{at}");
    // It may still be writing what came before the cut: the offset that is told then is the right one.
    let middle = 4 << 20;
    loop {
        std::fs::write(&part, &bytes[at..middle]).unwrap();
        match send(&server, &id, at, &part) {
            200 => break,
            409 => at = received(&server, &id),
            other => panic!("{other}"),
        }
    }
    drop(server);

    let server = Process::start(&data);
    assert_eq!(received(&server, &id), middle);
    std::fs::write(&part, &bytes[middle..]).unwrap();
    assert_eq!(send(&server, &id, middle, &part), 200);
    assert!(std::fs::read(data.join("uploads").join(&id)).unwrap() == bytes);
    drop(server);

    // Two days later, and with a file that belongs to nothing.
    let old = "UPDATE uploads SET updated_at = '2020-01-01T00:00:00.000Z'";
    crate::service::run("sqlite3", &[data.join("catalog.db").to_str().unwrap(), old]);
    std::fs::write(data.join("uploads").join(Uuid::now_v7().to_string()), b"left").unwrap();
    let server = Process::start(&data);
    let token = format!("Authorization: Bearer {}", server.token());
    let until = std::time::Instant::now() + std::time::Duration::from_secs(240);
    while std::fs::read_dir(data.join("uploads")).unwrap().count() > 0 && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    server.ask("GET", &format!("/uploads/{id}"), &[&token], None).refused(404, "not_found");
    assert_eq!(std::fs::read_dir(data.join("uploads")).unwrap().count(), 0);
}
