//! A machine's screen through a WebSocket, spoken to as a viewer in a browser does.

use crate::process::Process;
use crate::service::{Service, content, new_layer, text};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};

type Viewer = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Opens the screen of `machine` on a server of its own port.
async fn open(service: &Service, machine: &str) -> Result<Viewer, Error> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = service.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let url = format!("ws://{address}/api/v1/machines/{machine}/screen");
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("binary"));
    let (viewer, answer) = tokio_tungstenite::connect_async(request).await?;
    assert_eq!(answer.headers()["sec-websocket-protocol"], "binary");
    Ok(viewer)
}

/// The next bytes that the screen sends, at least `length`.
async fn read(viewer: &mut Viewer, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        match viewer.next().await.unwrap().unwrap() {
            Message::Binary(more) => bytes.extend(more),
            other => panic!("{other:?}"),
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_gets_the_size_of_the_screen_and_a_picture_and_is_hung_up_on_with_the_machine() {
    let service = Service::start().await;
    let (layer, _) = service.layer("Debian").await;
    let (machine, _) = service.version_at_work(&layer, "1.1").await;
    let view = service.machine(&machine).await;
    assert_eq!(view["has_screen"], true);
    let mut viewer = open(&service, &machine).await.unwrap();

    // RFC 6143: version, security "none", shared; then the size of the screen.
    assert_eq!(read(&mut viewer, 12).await, b"RFB 003.008\n");
    viewer.send(Message::Binary(b"RFB 003.008\n".to_vec().into())).await.unwrap();
    assert_eq!(read(&mut viewer, 2).await, [1, 1]);
    viewer.send(Message::Binary(vec![1].into())).await.unwrap();
    assert_eq!(read(&mut viewer, 4).await, [0; 4]);
    viewer.send(Message::Binary(vec![1].into())).await.unwrap();
    let init = read(&mut viewer, 24).await;
    let (width, height) = (u16::from_be_bytes([init[0], init[1]]), u16::from_be_bytes([init[2], init[3]]));
    assert!(width >= 320 && height >= 200, "{width}×{height}");
    // All of the screen, raw.
    let mut ask = vec![3, 0, 0, 0, 0, 0];
    ask.extend(width.to_be_bytes().iter().chain(&height.to_be_bytes()));
    viewer.send(Message::Binary(ask.into())).await.unwrap();
    assert_eq!(read(&mut viewer, 4).await[0], 0, "an update of the picture");

    service.power_off(&machine).await;
    let end = async { while let Some(Ok(_)) = viewer.next().await {} };
    tokio::time::timeout(std::time::Duration::from_secs(300), end).await.expect("the stream ends");
    let Err(Error::Http(refused)) = open(&service, &machine).await else { panic!("it is off") };
    assert_eq!(refused.status(), 409);
    let view = service.machine(&machine).await;
    assert_eq!(view["has_screen"], false);
}

/// Waits until a task has ended or asks for somebody.
fn settled(server: &Process, token: &str, task: &Value, state: &str) {
    let path = format!("/tasks/{}?wait=300", text(&task["id"]));
    assert_eq!(server.ask("GET", &path, &[token], None).expect(200)["state"], state);
}

#[test]
fn the_screen_opens_by_https_as_a_browser_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(&folder.path().join("data"));
    let token = format!("Authorization: Bearer {}", server.token());
    let disk = folder.path().join("disk.raw");
    std::fs::write(&disk, content(5, 8 << 20)).unwrap();
    let order = new_layer("Debian", &disk);
    let made = server.ask("POST", "/layers", &[&token], Some(&order)).expect(201);
    settled(&server, &token, &made["task"], "done");
    let connector = server.ask("GET", "/connectors", &[&token], None).expect(200)["items"][0]["id"].clone();
    let machine = uuid::Uuid::now_v7();
    let version = json!({ "id": machine, "name": "1.1", "connector_id": connector, "max_layer_size_gib": 1,
        "packaging_disk": { "file_name": "patch" } });
    let path = format!("/layers/{}/versions", text(&order["id"]));
    let added = server.ask("POST", &path, &[&token], Some(&version)).expect(201);
    settled(&server, &token, &added["task"], "action_required");

    // HTTP/1.1 is what a browser chooses for a WebSocket; both are on offer.
    let mut viewer = Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-alpn",
            "http/1.1",
            "-CAfile",
            &server.certificate(),
            "-verify_return_error",
        ])
        .args(["-connect", server.address.trim_start_matches("https://")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ask = format!(
        "GET /api/v1/machines/{machine}/screen HTTP/1.1\r\nHost: localhost\r\n{token}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         Sec-WebSocket-Protocol: binary\r\n\r\n"
    );
    viewer.stdin.as_mut().unwrap().write_all(ask.as_bytes()).unwrap();
    let (mut told, mut byte) = (Vec::new(), [0]);
    while !told.ends_with(b"RFB 003.008\n") && viewer.stdout.as_mut().unwrap().read(&mut byte).unwrap() == 1 {
        told.push(byte[0]);
    }
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(told.starts_with("HTTP/1.1 101 ") && told.ends_with("RFB 003.008\n"), "{told}");
    viewer.kill().unwrap();
    viewer.wait().unwrap();
}
