//! A server process with HTTPS on a free port, asked with curl: cookies and certificates as they are outside.

use crate::schema;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server process.
pub struct Process {
    child: Child,
    /// `https://127.0.0.1:port`
    pub address: String,
    /// SHA-256 of its certificate, as it printed it.
    pub fingerprint: String,
    /// The code that makes the first administrator, if it printed one.
    pub setup_code: Option<String>,
    data: PathBuf,
}

impl Process {
    pub fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_shaled"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut found = (None, None, None);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        for line in lines {
            let value = || line.get(17..).and_then(|rest| rest.split_whitespace().next()).map(str::to_owned);
            match line.get(..17).map(str::trim) {
                Some("console") => found.0 = value(),
                Some("set-up code") => found.1 = value(),
                Some("certificate") => {
                    found.2 = line.rsplit(' ').next().map(str::to_owned);
                    break;
                }
                _ => {}
            }
        }
        let (address, setup_code, fingerprint) = found;
        let address = address.expect("the server says where it is").trim_end_matches('/').to_owned();
        let fingerprint = fingerprint.expect("the server says what its certificate is");
        Self { child, address, fingerprint, setup_code, data: data.to_owned() }
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its certificate's file.
    pub fn certificate(&self) -> String {
        self.data.join("tls/cert.pem").to_str().unwrap().to_owned()
    }

    /// The token in its data directory.
    pub fn token(&self) -> String {
        std::fs::read_to_string(self.data.join("token")).unwrap()
    }

    /// Asks as nobody; `with` are headers such as `Cookie: …`.
    pub fn ask(&self, method: &str, path: &str, with: &[&str], body: Option<&Value>) -> Told {
        let path = if path.starts_with("/api") { path.to_owned() } else { format!("/api/v1{path}") };
        let (url, cert) = (format!("{}{path}", self.address), self.certificate());
        let body = body.map(Value::to_string);
        let mut arguments = vec!["--cacert", &cert, "--request", method, &url];
        if with.iter().any(|header| header.starts_with("Upgrade:")) {
            arguments.push("--http1.1");
        }
        for header in with {
            arguments.extend(["--header", header]);
        }
        if let Some(body) = &body {
            arguments.extend(["--header", "Content-Type: application/json", "--data-binary", body]);
        }
        let (status, head, body) = curl(&arguments);
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
        if let Err(why) = schema::check(method, &path, status, kind, body.as_bytes()) {
            panic!("{method} {path}: {status} {why}\n{body}");
        }
        Told { status, head, json: serde_json::from_str(&body).unwrap_or_default() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        crate::service::remove_machines(&self.data);
    }
}

/// What a server answered.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    /// The headers, in lower case.
    pub head: String,
    pub json: Value,
}

impl Told {
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json
    }

    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem}");
        problem
    }
}

/// What curl gets: status, headers, body.
pub fn curl(arguments: &[&str]) -> (u16, String, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let answer = String::from_utf8(output.stdout).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase().replace('\r', ""), body.to_owned())
}
