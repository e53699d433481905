//! The two doors of a server process, the socket and HTTPS, asked with curl; and who holds a data directory.

use crate::process::{Process, curl};
use crate::service::text;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn https_wants_the_token_and_the_socket_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Process::start(&data);
    let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for secret in ["token", "shaled.sock", "tls/key.pem"] {
        assert_eq!(mode(secret), 0o600, "{secret}");
    }
    let cert = data.join("tls/cert.pem");
    let cert = cert.to_str().unwrap();
    let told = crate::service::run("openssl", &["x509", "-noout", "-fingerprint", "-sha256", "-in", cert]);
    assert_eq!(told.trim().split('=').nth(1), Some(server.fingerprint.as_str()));
    let layers = format!("{}/api/v1/layers", server.address);
    let token = std::fs::read_to_string(data.join("token")).unwrap();
    for wrong in [
        None,
        Some("Bearer wrong".to_owned()),
        Some(format!("Basic {token}")),
        Some(format!("Bearer {token}x")),
    ] {
        let header = format!("Authorization: {}", wrong.clone().unwrap_or_default());
        let (status, head, body) = curl(&["--cacert", cert, "-H", &header, &layers]);
        assert_eq!(status, 401, "{wrong:?}");
        assert!(head.contains("www-authenticate: bearer"), "{head}");
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["code"], "unauthenticated");
        assert!(!body.contains(&token));
    }
    let header = format!("Authorization: Bearer {token}");
    let (status, _, body) = curl(&["--cacert", cert, "-H", &header, &layers]);
    assert_eq!((status, body.as_str()), (200, "{\"items\":[]}"));
    for open in ["healthz", "readyz"] {
        let (status, ..) = curl(&["--cacert", cert, &format!("{}/{open}", server.address)]);
        assert_eq!(status, 200, "{open}");
    }
    let (status, ..) = curl(&["--cacert", cert, &format!("{}/api/openapi.json", server.address)]);
    assert_eq!(status, 401, "the document names no secret, but nobody else's business either");
    let socket = data.join("shaled.sock");
    let (status, ..) = curl(&["--unix-socket", socket.to_str().unwrap(), "http://localhost/api/v1/layers"]);
    assert_eq!(status, 200);
}

#[test]
fn a_second_server_on_a_data_directory_is_refused_and_the_first_serves_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Process::start(&data);
    let second = Command::new(env!("CARGO_BIN_EXE_shaled"))
        .args(["serve", "--listen", "none", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(!second.status.success());
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains("Another server runs on the data directory"), "{told}");
    let socket = data.join("shaled.sock");
    let (status, _, body) =
        curl(&["--unix-socket", socket.to_str().unwrap(), "http://localhost/api/v1/connectors"]);
    assert_eq!(status, 200);
    let list: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(text(&list["items"][0]["name"]), "local");
    drop(server);
    // One that was killed holds nothing, and its socket is no obstacle.
    let next = Process::start(&data);
    let (status, ..) =
        curl(&["--unix-socket", socket.to_str().unwrap(), "http://localhost/api/v1/connectors"]);
    assert_eq!(status, 200);
    drop(next);
}
