//! Measures what the console waits for, on a server with 1,000 layers of 20 versions and 5,000 tasks: the answers of its
//! lists, and how soon 200 consoles know of a change. `scripts/bench console` runs it.
//!
//! ```text
//!   console_bench FOLDER SHALED
//! ```
//!
//! Lines of figures go to stdout, divided by tabs: name, figure, unit, basis, sense, limit.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shale_model::{LayerKind, VersionState};
use shale_server::app::App;
use shale_server::catalog::{LayerRow, TaskRow, Tx, VersionRow, now};
use shale_server::place::Place;
use shale_task::Event;
use uuid::Uuid;

const LAYERS: u32 = 1000;
const VERSIONS: u32 = 20;
const TASKS: u32 = 5000;
const CONSOLES: usize = 200;
/// Changes that the consoles are told of.
const CHANGES: usize = 50;
/// How often each list is asked for; the worst answer counts.
const ROUNDS: usize = 20;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, program] = &words[..] else { panic!("usage: console_bench FOLDER SHALED") };
    let data = Path::new(folder).join("data");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let layer = runtime.block_on(fill(&data));
    runtime.shutdown_background();
    let server = Server::start(&data, Path::new(program));
    lists(&server, layer);
    consoles(&server);
}

fn figure(name: &str, figure: f64, limit: f64) {
    println!("{name}\t{figure:.1}\tms\t1\t<=\t{limit}");
}

// --- a full catalog ---

async fn fill(data: &Path) -> Uuid {
    let place = Place::hold(data).expect("an empty folder");
    let app =
        App::open(place, PathBuf::from("/nowhere"), Box::new(shale_connector::open)).await.expect("it opens");
    let mut tx = app.world.catalog.begin().await.expect("a transaction");
    let mut some = Uuid::nil();
    for n in 0..LAYERS {
        some = layer(&mut tx, n).await;
    }
    for n in 0..TASKS {
        task(&mut tx, n, some).await;
    }
    tx.commit().await.expect("it is kept");
    some
}

async fn layer(tx: &mut Tx, n: u32) -> Uuid {
    let id = Uuid::now_v7();
    let row = LayerRow {
        id,
        kind: LayerKind::Os,
        name: format!("Layer {n:04}"),
        os_layer_id: None,
        exclusions: String::new(),
        retention: None,
        description: "A server of the second floor, patched monthly.".into(),
        created_at: now(),
        updated_at: now(),
    };
    row.insert(tx).await.expect("a layer");
    let mut base = None;
    for v in 0..VERSIONS {
        let version = Uuid::now_v7();
        let row = VersionRow {
            id: version,
            layer_id: id,
            name: format!("1.{v}"),
            os_version_id: None,
            platform_version_id: None,
            prerequisites: Vec::new(),
            description: "Updates of the month.".into(),
            state: VersionState::Deployable,
            base_version_id: base,
            connector_id: None,
            machine_name: None,
            firmware: "bios".into(),
            virtual_bytes: 100 << 30,
            logical_bytes: Some(12 << 30),
            added_bytes: Some(300 << 20),
            digest: Some("5a".repeat(32)),
            created_at: now(),
            updated_at: now(),
        };
        row.insert(tx).await.expect("a version");
        base = Some(version);
    }
    id
}

async fn task(tx: &mut Tx, n: u32, layer: Uuid) {
    let row = TaskRow {
        id: Uuid::now_v7(),
        kind: "add_version".into(),
        title: format!("Adding Version to Operating System Layer 'Layer {n:04}'."),
        layer_id: Some(layer),
        version_id: None,
        input: json!({ "machine_name": format!("patch-{n}") }),
        request: json!({ "name": format!("1.{n}") }),
        created_by: "ada".into(),
        comment: "monthly".into(),
        created_at: now(),
        updated_at: now(),
        ending: None,
        error: None,
        finished_at: None,
    };
    row.insert(tx).await.expect("a task");
    for step in ["reserve", "disk", "machine", "power_on", "take", "commit", "clear"] {
        let started = Event::Started { step: step.into(), attempt: 1 };
        let done = Event::Done { step: step.into(), output: json!({ "note": "Done as it should be." }) };
        for event in [started, done] {
            TaskRow::append(tx, row.id, &event).await.expect("an entry");
        }
    }
    TaskRow::end(tx, row.id, "done", None).await.expect("its end");
}

// --- the server ---

struct Server {
    process: Child,
    socket: PathBuf,
}

impl Server {
    fn start(data: &Path, program: &Path) -> Self {
        let process = Command::new(program)
            .args(["serve", "--listen", "none", "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("shaled starts");
        let server = Self { process, socket: data.join("shaled.sock") };
        let begun = Instant::now();
        while UnixStream::connect(&server.socket).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn request(&self, method: &str, path: &str, body: &Value, close: bool) -> UnixStream {
        let mut stream = UnixStream::connect(&self.socket).expect("it listens");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let end = if close { "connection: close\r\n" } else { "" };
        write!(
            stream,
            "{method} /api/v1{path} HTTP/1.1\r\nhost: shale\r\n{end}content-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("it takes requests");
        stream
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> String {
        let mut answer = String::new();
        self.request(method, path, body, true).read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 2"), "{method} {path}: {}", &answer[..answer.len().min(400)]);
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// --- lists ---

fn lists(server: &Server, layer: Uuid) {
    let first = |path: &str| {
        let answer = server.ask("GET", path, &Value::Null);
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let json_at = body.find('{').expect("an object");
        let end = body.rfind('}').expect("an object");
        serde_json::from_str::<Value>(&body[json_at..=end]).ok()
    };
    // A server that has just started reads its catalog for the first time.
    server.ask("GET", "/layers?limit=1", &Value::Null);
    let next = first("/tasks?limit=100").and_then(|page| page["next_page_token"].as_str().map(str::to_owned));
    let mut paths = vec![
        ("layers, 100 of 1,000".to_owned(), "/layers?limit=100".to_owned()),
        ("layers, all 1,000".to_owned(), "/layers?limit=1000".to_owned()),
        (
            "layers, 200 by size, of those that are deployable".to_owned(),
            "/layers?limit=200&sort=logical_bytes&descending=true&state=deployable".to_owned(),
        ),
        ("layers, those with a word in their text".to_owned(), "/layers?limit=200&text=0042".to_owned()),
        ("versions of a layer, 20".to_owned(), format!("/layers/{layer}/versions")),
        ("tasks, 100 of 5,000".to_owned(), "/tasks?limit=100".to_owned()),
        ("tasks that are open".to_owned(), "/tasks?state=open".to_owned()),
        ("audit, 100".to_owned(), "/audit?limit=100".to_owned()),
    ];
    paths.extend(
        next.map(|token| ("tasks, the next 100".to_owned(), format!("/tasks?limit=100&page_token={token}"))),
    );
    for (name, path) in paths {
        let worst = (0..ROUNDS).map(|_| {
            let begun = Instant::now();
            server.ask("GET", &path, &Value::Null);
            begun.elapsed().as_secs_f64() * 1000.0
        });
        figure(&format!("list: {name}, the slowest of {ROUNDS}"), worst.fold(0.0, f64::max), 100.0);
    }
}

// --- consoles ---

/// Watches all events; tells when each arrives.
fn watch(server: &Server, console: usize, tell: Sender<(usize, Instant)>, ready: Sender<()>) {
    let stream = server.request("GET", "/events", &Value::Null, false);
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("200 OK")));
        let _ = ready.send(());
        for line in lines.filter(|line| line.starts_with("data:") && line.contains("\"connector\"")) {
            let _ = line;
            if tell.send((console, Instant::now())).is_err() {
                return;
            }
        }
    });
}

fn consoles(server: &Server) {
    let (tell, told): (_, Receiver<(usize, Instant)>) = channel();
    let (ready, readied) = channel();
    for console in 0..CONSOLES {
        watch(server, console, tell.clone(), ready.clone());
    }
    for _ in 0..CONSOLES {
        readied.recv_timeout(Duration::from_secs(30)).expect("every console watches");
    }
    std::thread::sleep(Duration::from_millis(500));
    let list = server.ask("GET", "/connectors", &Value::Null);
    let id = list
        .split("\"id\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a connector")
        .to_owned();
    let (mut slowest, mut missed) = (0f64, 0);
    for n in 0..CHANGES {
        let begun = Instant::now();
        server.ask("PATCH", &format!("/connectors/{id}"), &json!({ "settings": { "memory_mib": 1024 + n } }));
        for _ in 0..CONSOLES {
            match told.recv_timeout(Duration::from_secs(10)) {
                Ok((_, at)) => slowest = slowest.max((at - begun).as_secs_f64() * 1000.0),
                Err(_) => missed += 1,
            }
        }
    }
    figure(&format!("{CONSOLES} consoles, {CHANGES} changes: the slowest event"), slowest, 1000.0);
    println!("{CONSOLES} consoles, {CHANGES} changes: events missed\t{missed}\tevents\t1\t<=\t0");
}
