//! A server that answers canned replies in order and remembers what it was asked, on a unix socket or over TLS.

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use tempfile::TempDir;

/// One reply.
pub enum Reply {
    /// A status and a JSON body.
    Json(u16, Value),
    /// Bytes as they are, headers and all; then the connection is closed.
    Raw(Vec<u8>),
    /// The connection is closed without a word.
    Nothing,
    /// No answer, and the connection stays open.
    Silence,
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET /api/v1/…`
    pub line: String,
    /// Header lines, in lower case.
    pub headers: Vec<String>,
    /// The body, or null.
    pub body: Value,
}

type Asked = Arc<(Mutex<Vec<Request>>, Condvar)>;

/// The server, with a folder for the test.
pub struct Server {
    pub dir: TempDir,
    /// What `--server` gets.
    pub url: String,
    asked: Asked,
}

impl Server {
    /// Answers `replies` in order on a unix socket.
    pub fn start(replies: Vec<Reply>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shaled.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let asked = Asked::default();
        let seen = asked.clone();
        thread::spawn(move || {
            for reply in replies {
                answer(listener.accept().unwrap().0, reply, &seen);
            }
        });
        Self { dir, url: format!("unix:{}", path.display()), asked }
    }

    /// Answers `replies` in order over TLS, with a certificate of its own in `cert.pem`.
    pub fn start_tls(replies: Vec<Reply>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        std::fs::write(dir.path().join("cert.pem"), key.cert.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![key.cert.der().clone()],
                PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()).into(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let (asked, config) = (Asked::default(), Arc::new(config));
        let seen = asked.clone();
        thread::spawn(move || {
            for reply in replies {
                let session = ServerConnection::new(config.clone()).unwrap();
                answer(StreamOwned::new(session, listener.accept().unwrap().0), reply, &seen);
            }
        });
        Self { dir, url, asked }
    }

    /// A path in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `shale` for this server, with nothing else in its environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = shale(&[&["--server", &self.url], args].concat());
        command.current_dir(self.dir.path());
        command
    }

    /// Runs `shale` for this server.
    pub fn run(&self, args: &[&str]) -> Run {
        Run::from(self.command(args).output().unwrap())
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.0.lock().unwrap().clone()
    }

    /// The request lines so far, without what they share.
    pub fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|request| request.line.replace("/api/v1", "")).collect()
    }

    /// Returns when `count` requests have come.
    pub fn wait_for(&self, count: usize) {
        let (asked, changed) = &*self.asked;
        drop(changed.wait_while(asked.lock().unwrap(), |asked| asked.len() < count).unwrap());
    }
}

/// Makes a program by copying what `from` holds. Another process does it: this one starts processes in other threads, which have
/// its open files until they run their programs, and a program that somebody has open for writing cannot be run.
pub fn install(from: &Path, program: &Path) {
    let installed = Command::new("install").args(["-m", "755"]).args([from, program]).status();
    assert!(installed.unwrap().success());
}

/// A program that is a script.
pub fn install_script(text: &str, program: &Path) {
    let script = program.with_extension("text");
    std::fs::write(&script, text).unwrap();
    install(&script, program);
    std::fs::remove_file(script).unwrap();
}

/// `shale` with an empty environment.
pub fn shale(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shale"));
    command.args(args).env_clear().env("TZ", "UTC").stdin(Stdio::null());
    command
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            exit: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// stdout as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// Reads a request, remembers it, replies. A client that refuses the certificate asks nothing.
fn answer(stream: impl Read + Write + Send + 'static, reply: Reply, asked: &Asked) {
    let mut stream = BufReader::new(stream);
    let Some(request) = read(&mut stream) else { return };
    asked.0.lock().unwrap().push(request);
    asked.1.notify_all();
    let stream = stream.get_mut();
    match reply {
        Reply::Json(status, body) => {
            let kind = if status < 400 { "application/json" } else { "application/problem+json" };
            let text = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                text.len()
            );
            stream.write_all((head + &text).as_bytes()).unwrap();
        }
        Reply::Raw(bytes) => stream.write_all(&bytes).unwrap(),
        Reply::Nothing => {}
        Reply::Silence => loop {
            thread::park();
        },
    }
    // What the client did not wait for is no business of the test.
    let _ = stream.flush();
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut request = Request::default();
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    request.line = line.trim_end().strip_suffix(" HTTP/1.1")?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).ok()?;
        let header = line.trim_end().to_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(text) = header.strip_prefix("content-length: ") {
            length = text.parse().ok()?;
        }
        request.headers.push(header);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    request.body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(request)
}

/// `application/problem+json`.
pub fn problem(status: u16, code: &str, more: Value) -> Reply {
    let mut body = json!({
        "type": format!("urn:shale:problem:{code}"), "title": "Title", "status": status, "code": code,
        "detail": format!("Something is {code}."),
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Reply::Json(status, body)
}

/// An id that ends in `n`.
pub fn id(n: u32) -> String {
    format!("01938f2e-7b1c-7c3a-9d55-{n:012}")
}

/// A page with all there is.
pub fn page(items: Value) -> Reply {
    Reply::Json(200, json!({ "items": items }))
}

pub fn layer(n: u32, name: &str) -> Value {
    json!({
        "id": id(n), "kind": "os", "name": name, "description": "", "exclusions": "", "created_at": "2026-11-22T16:00:00Z",
        "updated_at": "2026-11-22T16:00:00Z", "version_count": 1, "old_versions": [], "used_by": [], "actions": [],
        "sizes": { "logical_bytes": 0, "added_bytes": 0 },
    })
}

pub fn version(n: u32, name: &str, state: &str) -> Value {
    json!({
        "id": id(n), "layer_id": id(1), "layer_name": "Debian GNU", "name": name, "description": "", "state": state,
        "firmware": "uefi", "created_at": "2026-11-22T16:00:00Z", "updated_at": "2026-11-22T16:00:00Z",
        "used_by": [], "actions": [{ "name": "finalize", "allowed": false, "reason": "The machine runs." }],
    })
}

pub fn machine(n: u32, name: &str, power: &str) -> Value {
    json!({
        "id": id(n), "name": name, "layer_id": id(1), "layer_name": "Debian GNU", "version_name": "12.1",
        "connector_id": id(9), "connector_name": "local", "place": "this host", "power": power, "actions": [],
    })
}

pub fn connector(n: u32, name: &str) -> Value {
    json!({
        "id": id(n), "name": name, "kind": "local", "settings": {"memory_mib": 2048},
        "created_at": "2026-11-22T16:00:00Z", "updated_at": "2026-11-22T16:00:00Z", "actions": [],
    })
}

pub fn task(n: u32, state: &str, steps: Value) -> Value {
    json!({
        "id": id(n), "kind": "add_version", "title": "Adding Version to Operating System Layer 'Debian GNU'.",
        "state": state, "steps": steps, "version_id": id(2), "created_by": "root", "comment": "",
        "created_at": "2026-11-22T16:00:00Z", "updated_at": "2026-11-22T16:00:00Z", "actions": [],
    })
}
