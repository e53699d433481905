//! A server in this process, on a data directory of its own, asked as clients ask it. Machines are real ones.

use crate::schema;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Extension;
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use shale_model::Role;
use shale_server::app::App;
use shale_server::place::Place;
use shale_server::requests::{Actor, Identity};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tower::ServiceExt;
use uuid::Uuid;

/// The API's base.
pub const V1: &str = "/api/v1";

/// A server.
pub struct Service {
    pub app: App,
    pub router: Router,
    pub folder: TempDir,
}

/// An answer; `json` is null where the body is none.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub bytes: Bytes,
    pub json: Value,
}

impl Reply {
    /// The answer, if its status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self.json
    }

    /// The problem, if the status and code are these.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        problem
    }

    /// The text of a refusal of this one field.
    #[track_caller]
    pub fn refused_field(self, pointer: &str) -> String {
        let problem = self.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        problem["detail"].as_str().unwrap().to_owned()
    }
}

impl Service {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self::start_on(folder, &data).await
    }

    /// A server with its data in `data`; `folder` lives as long as it does.
    pub async fn start_on(folder: TempDir, data: &Path) -> Self {
        let place = Place::hold(data).unwrap();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_shaled"));
        let app = App::open(place, program, Box::new(shale_connector::open)).await.unwrap();
        app.engine.launch_open().await.unwrap();
        let router = shale_server::http::router(app.clone()).layer(Extension(Actor::host("a test")));
        let service = Self { app, router, folder };
        let connector = service.connector().await;
        let small = json!({ "settings": { "memory_mib": 128, "cpus": 1, "accelerator": "tcg", "forward_ssh": false } });
        service.patch(&format!("/connectors/{connector}"), small).await.expect(200);
        service
    }

    /// From now on, who asks is somebody with this role.
    pub fn become_one(&mut self, name: &str, role: Role) {
        let actor = Actor { name: name.into(), role, identity: Identity::Token(Uuid::nil()) };
        self.router = shale_server::http::router(self.app.clone()).layer(Extension(actor));
    }

    /// Sends a request as it is, with the answer's body unread.
    pub async fn raw(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a request below `/api/v1` and holds the answer against the contract.
    pub async fn send(&self, method: &str, path: &str, kind: &str, body: impl Into<Body>) -> Reply {
        self.send_with(method, path, kind, &[], body).await
    }

    /// The same with more headers.
    pub async fn send_with(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let path = format!("{V1}{path}");
        let mut request = Request::builder().method(method).uri(&path).header("content-type", kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.raw(request.body(body.into()).unwrap()).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let kind = headers.get("content-type").map(|kind| kind.to_str().unwrap()).unwrap_or_default();
        if let Err(why) = schema::check(method, &path, status, kind, &bytes) {
            panic!("{method} {path}: {status} {why}\n{}", String::from_utf8_lossy(&bytes));
        }
        if status >= 400 {
            assert_eq!(kind, "application/problem+json", "{method} {path}");
        }
        assert!(headers.contains_key("x-request-id"));
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        Reply { status, headers, bytes, json }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "application/json", Body::empty()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, "application/json", body.to_string()).await
    }

    /// A request that needs no body.
    pub async fn order(&self, path: &str) -> Reply {
        self.send("POST", path, "application/json", Body::empty()).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send("PATCH", path, "application/json", body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, "application/json", Body::empty()).await
    }

    /// The id of the connector that a new server has.
    pub async fn connector(&self) -> String {
        let list = self.get("/connectors").await.expect(200);
        list["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// A file in the folder of this test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A small raw disk; `seed` makes its content its own.
    pub fn disk(&self, name: &str, seed: u32) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content(seed, 8 << 20)).unwrap();
        path
    }

    /// The task `id`, once it has ended or asks for somebody.
    pub async fn settled(&self, id: &Value) -> Value {
        self.get(&format!("/tasks/{}?wait=300", id.as_str().unwrap())).await.expect(200)
    }

    /// How many tasks of this kind there are, open or ended: of one list, as one may end between two.
    pub async fn tasks(&self, kind: &str) -> usize {
        let tasks = self.get("/tasks?limit=1000").await.expect(200);
        tasks["items"].as_array().unwrap().iter().filter(|one| one["kind"] == kind).count()
    }

    /// Waits until a task is in this state.
    #[track_caller]
    pub fn ends<'a>(&'a self, task: &'a Value, state: &'a str) -> impl Future<Output = Value> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let ended = self.settled(&task["id"]).await;
            assert_eq!(ended["state"], state, "{caller}: {ended:#}");
            ended
        }
    }

    /// A layer made from a small disk: its id and its version's.
    pub async fn layer(&self, name: &str) -> (String, String) {
        let disk = self.disk(&format!("{name}.raw"), name.len() as u32 + 1);
        let order = new_layer(name, &disk);
        let made = self.post("/layers", order.clone()).await.expect(201);
        self.ends(&made["task"], "done").await;
        (text(&order["id"]), text(&order["version"]["id"]))
    }

    /// The body that adds a version.
    pub async fn new_version(&self, name: &str) -> Value {
        json!({
            "id": Uuid::now_v7(),
            "name": name,
            "max_layer_size_gib": 1,
            "connector_id": self.connector().await,
            "packaging_disk": { "file_name": "patch" },
        })
    }

    /// A version whose machine is on and waits for a person: its id and its task.
    pub async fn version_at_work(&self, layer: &str, name: &str) -> (String, Value) {
        let order = self.new_version(name).await;
        let added = self.post(&format!("/layers/{layer}/versions"), order.clone()).await.expect(201);
        let task = self.ends(&added["task"], "action_required").await;
        (text(&order["id"]), task)
    }

    /// Writes into a machine's disk as its guest would; the machine must be off.
    pub async fn write_in_overlay(&self, version: &str, pattern: u8, offset: &str, length: &str) {
        let overlay = self.overlay(version).await;
        let image = json!({
            "driver": "qcow2", "backing": null, "file": { "driver": "file", "filename": overlay },
        });
        let command = format!("write -P {pattern} {offset} {length}");
        run("qemu-io", &["-c", &command, &format!("json:{image}")]);
    }

    pub async fn overlay(&self, version: &str) -> PathBuf {
        let connector = Uuid::parse_str(&self.connector().await).unwrap();
        self.app.world.place.connector(connector).join(version).join("overlay.qcow2")
    }

    /// A version's machine, once its platform has said how it stands: where the host is busy, it may not say so in time.
    pub async fn machine(&self, version: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(240);
        loop {
            let machine = self.get(&format!("/machines/{version}")).await.expect(200);
            if machine["power"] != "unknown" {
                return machine;
            }
            assert!(Instant::now() < deadline, "{machine:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn power_off(&self, version: &str) {
        let answer = self.order(&format!("/machines/{version}/power_off")).await.expect(200);
        assert!(answer["power"] == "off" || answer["power"] == "unknown", "{answer:#}");
        assert_eq!(self.machine(version).await["power"], "off");
    }

    /// How much the catalog and the repository hold, to be compared with later.
    pub async fn holdings(&self) -> Value {
        let repository = self.get("/repository").await.expect(200);
        json!({
            "layers": self.get("/layers").await.expect(200)["items"],
            "stored": repository["stored_bytes"],
            "versions": repository["versions"],
        })
    }
}

impl Drop for Service {
    /// No machine outlives its test, also one that failed.
    fn drop(&mut self) {
        remove_machines(self.app.world.place.root());
    }
}

/// Removes the machines of a server that does not run any more.
pub fn remove_machines(data: &Path) {
    for entry in std::fs::read_dir(data.join("connectors")).into_iter().flatten().flatten() {
        let Ok(local) = shale_connector::open("local", &json!({}), &entry.path()) else { continue };
        for tag in local.inventory().unwrap_or_default() {
            let _ = local.remove(&tag);
        }
    }
}

/// The body that makes a layer from a disk.
pub fn new_layer(name: &str, disk: &Path) -> Value {
    json!({
        "id": Uuid::now_v7(),
        "kind": "os",
        "name": name,
        "version": { "id": Uuid::now_v7(), "name": "1.0" },
        "source": { "file": disk },
    })
}

/// Bytes that do not compress to nothing and differ with `seed`.
pub fn content(seed: u32, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed) | 1 << 40;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    });
    words.flat_map(u32::to_le_bytes).take(length).collect()
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Runs a program that must succeed.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("{program} cannot be run: {e}"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    told
}
