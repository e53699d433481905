//! Cancelled at any step, a new version leaves nothing, also when the server is killed while it clears up.

use crate::Moments;
use crate::server::{Server, make_disk, wait_for};
use serde_json::{Value, json};
use uuid::Uuid;

/// A server with one layer, and what is done with it.
struct Bench {
    server: Server,
    layer: Uuid,
}

impl Bench {
    fn new() -> Self {
        let server = Server::start();
        let (layer, first) = (Uuid::now_v7(), Uuid::now_v7());
        let order = json!({
            "id": layer, "kind": "os", "name": "Tiny",
            "version": { "id": first, "name": "1.0" }, "source": { "file": make_disk(&server, 0) },
        });
        server.done("POST", "/layers", order);
        Self { server, layer }
    }

    /// Asks for a version. Answers its id and its task.
    fn add(&self) -> (Uuid, Value) {
        let id = Uuid::now_v7();
        let order = json!({
            "id": id, "name": "1.1", "connector_id": self.server.connector(), "max_layer_size_gib": 2,
            "packaging_disk": { "file_name": "tiny" },
        });
        let answer = self.server.ask("POST", &format!("/layers/{}/versions", self.layer), order);
        (id, answer["task"].clone())
    }

    /// Cancels, and kills the server while it turns back; once it is over, nothing is left. Answers how it ended.
    fn cancel(&mut self, moments: &mut Moments, version: Uuid, task: &Value) -> String {
        let path = format!("/tasks/{}/cancel", task["id"].as_str().unwrap());
        let (status, answer) = self.server.send("POST", &path, &Value::Null).unwrap();
        moments.pass(100);
        self.server.restart();
        let ended = self.server.settled(task);
        let state = ended["state"].as_str().unwrap().to_owned();
        match status {
            202 => assert_eq!(state, "canceled", "{ended:#}\n{}", self.server.story()),
            // Too late: the result is there, as a whole.
            409 => assert_eq!(state, "done", "{answer:#}\n{ended:#}\n{}", self.server.story()),
            _ => panic!("{status}: {answer:#}\n{}", self.server.story()),
        }
        self.server.check_nothing_is_left();
        self.server.check_all();
        let there = self.server.state(version);
        assert_eq!(there.is_some(), state == "done", "{there:?}\n{}", self.server.story());
        let stored = self.server.get("/repository")["versions"].as_array().unwrap().len();
        assert_eq!(stored, if state == "done" { 2 } else { 1 });
        state
    }
}

#[test]
fn a_version_that_is_cancelled_at_any_step_leaves_nothing() {
    let mut bench = Bench::new();
    let mut moments = Moments::new();
    // While its disk and its machine are made.
    for most in [1, 50, 200, 500] {
        let (version, task) = bench.add();
        moments.pass(most);
        assert_eq!(bench.cancel(&mut moments, version, &task), "canceled");
    }
    // While it waits for a person, its machine running.
    let (version, task) = bench.add();
    let waiting = bench.server.settled(&task);
    assert_eq!(waiting["state"], "action_required", "{waiting:#}\n{}", bench.server.story());
    assert_eq!(bench.server.machines().len(), 1);
    assert_eq!(bench.cancel(&mut moments, version, &task), "canceled");
    // While it is finalized, what the guest has written being read.
    let (version, task) = bench.add();
    bench.server.settled(&task);
    let machine = format!("/machines/{version}");
    wait_for("the guest to power off", &bench.server, || {
        (bench.server.get(&machine)["power"] == "off").then_some(())
    });
    bench.server.ask("POST", &format!("/versions/{version}/finalize"), Value::Null);
    moments.pass(100);
    bench.cancel(&mut moments, version, &task);
}
