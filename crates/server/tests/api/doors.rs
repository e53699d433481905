//! The two doors of a server process, the socket and HTTPS, asked with curl; and who holds a data directory.

use crate::service::text;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server process with HTTPS on a free port.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_shaled"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let line =
            lines.into_iter().find(|line| line.contains("https://")).expect("the server says where it is");
        let address = line.split_whitespace().find(|word| word.starts_with("https://")).unwrap();
        Self { child, address: address.trim_end_matches("/api/v1").to_owned() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What curl gets: status, headers, body.
fn curl(arguments: &[&str]) -> (u16, String, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let answer = String::from_utf8(output.stdout).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

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
