//! The whole job, on the real program, with real machines, while the program is killed at random moments and started
//! again: what was asked for is there as a whole or not at all, and in the end nothing is left.

mod cancel;
mod server;

use serde_json::{Value, json};
use server::{Server, kill, make_disk, wait_for};
use std::fs;
use std::process::Command;
use std::time::Duration;
use uuid::Uuid;

/// Random moments. The seed is printed; give it as `SHALE_KILL_SEED` to have the same moments again.
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        let given = std::env::var("SHALE_KILL_SEED").ok();
        let seed = given.map_or_else(|| Uuid::new_v4().as_u64_pair().0, |seed| seed.parse().unwrap());
        println!("SHALE_KILL_SEED={seed}");
        Self(seed | 1)
    }

    /// Sleeps for up to so many milliseconds.
    fn pass(&mut self, most: u64) {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        std::thread::sleep(Duration::from_millis(self.0 % most));
    }
}

/// One request: method, path, body.
type Order<'a> = (&'a str, &'a str, &'a Value);

/// Asks, and kills the server in the next moments, whether or not it has answered.
fn killed_when_asked(server: &mut Server, moments: &mut Moments, (method, path, body): Order) {
    let sent = server.post(method, path, body);
    moments.pass(100);
    server.restart();
    drop(sent);
}

/// Asks (or has asked already), waits until the task is at `step`, and kills the server at some moment of the
/// following milliseconds. (The second and third try of a step begin after pauses of one and two seconds.)
fn killed_at(server: &mut Server, moments: &mut Moments, step: &str, most: u64, (method, path, body): Order) {
    let _ = server.send(method, path, body);
    server.wait_for_step(step);
    moments.pass(most);
    server.restart();
}

/// The whole flow's ids.
struct Ids {
    layer: Uuid,
    first: Uuid,
    second: Uuid,
}

#[test]
fn the_whole_job_survives_a_server_that_is_killed_again_and_again() {
    let mut moments = Moments::new();
    let mut server = Server::start();
    let ids = Ids { layer: Uuid::now_v7(), first: Uuid::now_v7(), second: Uuid::now_v7() };
    import(&mut server, &mut moments, &ids);
    add_version(&mut server, &mut moments, &ids);
    finalize(&mut server, &mut moments, &ids);
    export(&mut server, &mut moments, &ids);
    delete(&mut server, &mut moments, &ids);
    server.check_nothing_is_left();
    assert_eq!(server.get("/repository")["versions"], json!([]));
    let cut_off = server.cut_off();
    println!("cut off: {cut_off:?}");
    assert!(cut_off.contains(&"store".to_owned()), "no kill struck: {cut_off:?}");
}

fn import(server: &mut Server, moments: &mut Moments, ids: &Ids) {
    let disk = make_disk(server, 150);
    let order = json!({
        "id": ids.layer, "kind": "os", "name": "Tiny", "drop_free_space": false,
        "version": { "id": ids.first, "name": "1.0" }, "source": { "file": disk },
    });
    killed_when_asked(server, moments, ("POST", "/layers", &order));
    for most in [30, 1500, 3000] {
        killed_at(server, moments, "store", most, ("POST", "/layers", &order));
    }
    // Asked once more, it is the same task: it goes on by itself.
    server.done("POST", "/layers", order);
    assert_eq!(server.state(ids.first).as_deref(), Some("deployable"));
    server.check_all();
    server.check_nothing_is_left();
}

fn add_version(server: &mut Server, moments: &mut Moments, ids: &Ids) {
    let order = json!({
        "id": ids.second, "name": "1.1", "connector_id": server.connector(), "max_layer_size_gib": 2,
        "packaging_disk": { "file_name": "tiny" },
    });
    let path = format!("/layers/{}/versions", ids.layer);
    killed_when_asked(server, moments, ("POST", &path, &order));
    for (step, most) in [("disk", 50), ("machine", 100), ("power_on", 200)] {
        killed_at(server, moments, step, most, ("POST", &path, &order));
    }
    let task = server.settled(&server.ask("POST", &path, order)["task"]);
    assert_eq!(task["state"], "action_required", "{task:#}\n{}", server.story());
    let machine = server.machines();
    assert_eq!(machine.len(), 1, "{}", server.story());
    for _ in 0..2 {
        moments.pass(1000);
        server.restart();
        let seen = server.machine(ids.second);
        assert_eq!(seen["power"], "running", "{seen:#}\n{}", server.story());
        assert_eq!(server.machines(), machine, "it runs on, across the kill");
        assert_eq!(server.settle()[0]["state"], "action_required");
    }
    let export = server.exports();
    assert_eq!(export.len(), 1, "{}", server.story());
    kill(export[0]);
    // The guest stands still until its disk is served again, which nobody asks for; a quick one is off already.
    wait_for("the process that serves the disk, or the end of the machine", server, || {
        let again = server.exports().iter().any(|pid| *pid != export[0]);
        (again || server.machines().is_empty()).then_some(())
    });
}

fn finalize(server: &mut Server, moments: &mut Moments, ids: &Ids) {
    wait_for("the guest to power off", server, || {
        (server.get(&format!("/machines/{}", ids.second))["power"] == "off").then_some(())
    });
    let path = format!("/versions/{}/finalize", ids.second);
    killed_when_asked(server, moments, ("POST", &path, &Value::Null));
    for most in [100, 1500] {
        server.exports().into_iter().for_each(kill);
        killed_at(server, moments, "take", most, ("POST", &path, &Value::Null));
    }
    // Killed before the order was noted, the task still waits; killed in all its tries, it asks again.
    wait_for("the version", server, || {
        let waits = server.settle().iter().any(|task| task["state"] == "action_required");
        if waits {
            server.ask("POST", &path, Value::Null);
        }
        (!waits).then_some(())
    });
    assert_eq!(server.state(ids.second).as_deref(), Some("deployable"), "{}", server.story());
    server.check_all();
    server.check_nothing_is_left();
    let added = server.get(&format!("/versions/{}", ids.second))["sizes"]["logical_bytes"].as_u64().unwrap();
    let base = server.get(&format!("/versions/{}", ids.first))["sizes"]["logical_bytes"].as_u64().unwrap();
    assert!(added > base + (40 << 20), "what the guest wrote is in it: {added} bytes, {base} before");
}

fn export(server: &mut Server, moments: &mut Moments, ids: &Ids) {
    let image = server.path("out/image.raw");
    let order = json!({ "format": "raw", "path": image });
    let path = format!("/versions/{}/export", ids.first);
    for n in 0..3 {
        match n {
            0 => killed_when_asked(server, moments, ("POST", &path, &order)),
            1 => killed_at(server, moments, "write", 100, ("POST", &path, &order)),
            _ => drop(server.done("POST", &path, order.clone())),
        }
        server.settle();
        server.check_nothing_is_left();
        if image.exists() {
            let same = Command::new("cmp").arg(&image).arg(server.path("disk.raw")).status().unwrap();
            assert!(same.success(), "{}", server.story());
            break;
        }
    }
    assert!(image.exists(), "{}", server.story());
    fs::remove_file(image).unwrap();
}

fn delete(server: &mut Server, moments: &mut Moments, ids: &Ids) {
    let version = format!("/versions/{}", ids.second);
    killed_when_asked(server, moments, ("DELETE", &version, &Value::Null));
    server.settle();
    server.check_all();
    if let Some(state) = server.state(ids.second) {
        assert_eq!(state, "deployable", "asked too late, or not at all: {}", server.story());
        server.done("DELETE", &version, Value::Null);
    }
    let layer = format!("/layers/{}", ids.layer);
    killed_when_asked(server, moments, ("DELETE", &layer, &Value::Null));
    server.settle();
    server.check_all();
    if server.state(ids.first).is_some() {
        server.done("DELETE", &layer, Value::Null);
    }
}
