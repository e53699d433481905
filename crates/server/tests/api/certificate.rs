//! The certificate, replaced while connections are open.

use crate::process::Process;
use crate::service::run;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// A certificate for this host and its key; `until` is the year in which it ends.
fn made(until: i32) -> (String, String) {
    let mut wanted = rcgen::CertificateParams::new(vec!["127.0.0.1".into(), "shale.example".into()]).unwrap();
    wanted.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    (wanted.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// The fingerprint of what a new connection is shown.
fn shown(server: &Process) -> String {
    let address = server.address.trim_start_matches("https://");
    let command = format!(
        "openssl s_client -connect {address} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256"
    );
    run("sh", &["-c", &command]).trim().split('=').nth(1).unwrap().to_owned()
}

#[test]
fn a_certificate_is_replaced_while_a_connection_is_open_and_stays_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Process::start(&data);
    let token = format!("Authorization: Bearer {}", server.token());
    let put = |server: &Process, certificate: &str, key: &str| {
        let order = json!({ "certificate": certificate, "key": key, "comment": "yearly" });
        server.ask("PUT", "/certificate", &[&token], Some(&order))
    };
    let first = server.ask("GET", "/certificate", &[&token], None).expect(200);
    assert_eq!((&first["fingerprint"], &first["self_made"]), (&json!(server.fingerprint), &json!(true)));
    assert_eq!(shown(&server), server.fingerprint);
    assert_eq!(first.get("warning"), None);

    // A stream that is open all the while; asked for from long ago, it says at once that something was missed.
    let mut stream = Command::new("curl")
        .args([
            "--silent",
            "--no-buffer",
            "--cacert",
            &server.certificate(),
            "--header",
            &token,
            "--header",
            "Last-Event-ID: 1",
        ])
        .arg(format!("{}/api/v1/events?kinds=connector", server.address))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(stream.stdout.take().unwrap()).lines();
    let mut told = || lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("data:")).unwrap();
    assert!(told().contains("reset"));

    let (certificate, key) = made(4096);
    let (_, other) = made(4096);
    for (certificate, key, pointer) in
        [(certificate.as_str(), other.as_str(), "/key"), ("no certificate", &key, "/certificate")]
    {
        let problem = put(&server, certificate, key).refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer);
        assert_eq!(shown(&server), server.fingerprint, "as before");
    }
    let second = put(&server, &certificate, &key).expect(200);
    assert_eq!(second["names"], json!(["127.0.0.1", "shale.example"]));
    assert_eq!(json!(shown(&server)), second["fingerprint"], "without a restart");
    assert_ne!(second["fingerprint"], first["fingerprint"]);

    let order = json!({ "id": uuid::Uuid::now_v7(), "name": "told", "kind": "local" });
    server.ask("POST", "/connectors", &[&token], Some(&order)).expect(201);
    let told = told();
    assert!(told.contains(order["id"].as_str().unwrap()), "{told}");
    stream.kill().unwrap();
    stream.wait().unwrap();
    let audit = server.ask("GET", "/audit", &[&token], None).expect(200).to_string();
    assert!(audit.contains("replace_certificate") && audit.contains("yearly") && !audit.contains("PRIVATE"));
    let key_file = std::fs::read_to_string(data.join("tls/key.pem")).unwrap();
    assert_eq!(key_file, key, "the old key is gone");

    let (old, old_key) = made(2020);
    let expired: Value = put(&server, &old, &old_key).expect(200);
    assert!(expired["warning"].as_str().unwrap().starts_with("It expired on 2020-01-01"), "{expired}");
    put_again(&server, &certificate, &key);
    drop(server);
    let server = Process::start(&data);
    assert_eq!(json!(server.fingerprint), second["fingerprint"]);
}

/// Puts a certificate where the one that is shown is over, which curl would not talk to: over the socket.
fn put_again(server: &Process, certificate: &str, key: &str) {
    let socket = server.data().join("shaled.sock");
    let order = json!({ "certificate": certificate, "key": key }).to_string();
    let (status, _, body) = crate::process::curl(&[
        "--unix-socket",
        socket.to_str().unwrap(),
        "--request",
        "PUT",
        "--header",
        "Content-Type: application/json",
        "--data-binary",
        &order,
        "http://localhost/api/v1/certificate",
    ]);
    assert_eq!(status, 200, "{body}");
}
