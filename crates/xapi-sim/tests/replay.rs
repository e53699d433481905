//! Judged by recordings of a real server: the same requests must give the same answers, once references, UUIDs, instants
//! and event tokens stand for each other. What is left out, and why, is a table.

mod replay_support;
mod wire;

use flate2::read::GzDecoder;
use replay_support::{Names, decode, shape};
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use xapi_sim::{Config, Sim};

const FILES: [&str; 5] =
    ["01-session-and-protocol", "02-inventory", "03-vdi", "04-vm-lifecycle-events", "05-transfer"];

/// How an exchange is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// All of it.
    Exact,
    /// Fields and their types: the pool is another one.
    Shape,
    /// All but the words that the server's own parser finds for it.
    Page,
    /// Only what it does, which later exchanges show: the recording has no answer.
    Unanswered,
    /// Not sent at all.
    Out,
}

/// What is not compared in full: file, first and last exchange, way, reason.
const EXCEPTIONS: &[(usize, usize, usize, Way, &str)] = &[
    (0, 17, 17, Way::Page, "the words of a parser"),
    (0, 21, 21, Way::Page, "the words of a parser"),
    (0, 24, 25, Way::Page, "the words of a parser"),
    (0, 26, 27, Way::Shape, "the recorded pool had one host"),
    (1, 26, 28, Way::Shape, "the recorded pool had other VMs"),
    (1, 34, 35, Way::Shape, "the simulator serves less: a test of its own"),
    (1, 36, 36, Way::Shape, "the recorded pool had one host"),
    (2, 8, 9, Way::Unanswered, "the stand-in for a storage manager took any size"),
    (2, 18, 18, Way::Unanswered, "the stand-in for a storage manager shrank disks"),
    (2, 25, 30, Way::Shape, "the size was shrunk"),
    (3, 0, 0, Way::Shape, "what the recorded pool was made of"),
    (3, 16, 16, Way::Shape, "how far the start was by then"),
    (3, 36, 37, Way::Unanswered, "the hypervisor's simulator cannot pause"),
    (3, 40, 40, Way::Shape, "the address of the recorded host"),
    (3, 41, 41, Way::Out, "the stand-in for a storage manager let a disk be read that a VM writes"),
    (3, 45, 46, Way::Out, "and written"),
    (3, 49, 50, Way::Unanswered, "the hypervisor's simulator cannot start a VM paused"),
    (3, 64, 64, Way::Shape, "the order of snapshots, and what disks take up"),
    (4, 57, 58, Way::Out, "the recorded storage had no VHDs"),
    (3, 24, 26, Way::Shape, "other objects of the pool"),
    (3, 27, 29, Way::Shape, "other objects of the pool"),
    (1, 0, 25, Way::Shape, "what the recorded pool was made of"),
    (1, 39, 39, Way::Out, "only its length was recorded"),
    (4, 22, 22, Way::Unanswered, "the server waited for the missing terminator until the client gave up"),
    (4, 25, 25, Way::Unanswered, "the same"),
    (4, 33, 33, Way::Unanswered, "the answer was lost with the connection"),
    (4, 39, 39, Way::Unanswered, "the connection was reset without an answer"),
    (4, 45, 45, Way::Unanswered, "the server waited for the rest of the body until the client gave up"),
];

/// Fields that no record is compared by.
const LEFT_OUT: &[&str] = &[
    // Of the recorded server's hardware, and what its hypervisor's simulator pretended.
    "bios_strings",
    "domid",
    "generation_id",
    "guest_metrics",
    "debug_info:cancel_points_seen",
];

fn golden(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut bytes = Vec::new();
    let file = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The disk that the recordings send.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; 16 << 20];
    disk[..5].copy_from_slice(b"HELLO");
    disk[5 << 20..(5 << 20) + 4096].fill(0xa5);
    let end = disk.len();
    disk[end - 512..].fill(b'Z');
    disk
}

/// The same in the server's own chunks, with or without the last.
fn chunks(ended: bool) -> Vec<u8> {
    let (disk, mut chunks) = (disk(), Vec::new());
    for (offset, length) in [(0, 65_536), (5 << 20, 4096), (disk.len() - 512, 512)] {
        chunks.extend((offset as u64).to_le_bytes());
        chunks.extend((length as u32).to_le_bytes());
        chunks.extend(&disk[offset..offset + length]);
    }
    chunks.extend([0; 12].iter().take(if ended { 12 } else { 0 }));
    chunks
}

/// The bytes a recording stands for. Long ones are recorded by their length.
fn body(recorded: &str) -> Vec<u8> {
    let Some(told) = recorded.strip_prefix('<').filter(|told| told.contains(" bytes sha256 ")) else {
        return recorded.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect(); // latin1
    };
    match told.split(' ').next().unwrap() {
        "16777216" => disk(),
        "70192" => chunks(true),
        "70180" => chunks(false),
        "6296064" => golden("../disk/tests/golden/full16MiB.vhd.gz"),
        other => panic!("a body of {other} bytes"),
    }
}

struct Replay {
    sim: Sim,
    names: Names,
    found: Vec<String>,
}

impl Replay {
    /// Sends one request and compares; notes what differs.
    fn exchange(&mut self, label: &str, exchange: &Value, way: Way) {
        let request = &exchange["request"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let method = text(&request["method"]);
        let path = self.path(&method, &text(&request["path"]));
        let recorded = text(&request["body"]);
        let sent = if recorded.starts_with("<1")
            || recorded.starts_with("<6")
            || recorded.starts_with("<7")
            || method == "PUT"
        {
            body(&recorded)
        } else {
            self.names.now(&recorded).into_bytes()
        };
        if label.contains(" task.get_") {
            self.wait_for_task(&String::from_utf8_lossy(&sent));
        }
        let headers = request["headers"].as_object().unwrap().iter().map(|(name, value)| {
            // A call is as long as its names are now; how much of an upload was promised is what is tested.
            let own = name == "Content-Length" && method == "POST";
            (name.clone(), if own { sent.len().to_string() } else { self.names.now(value.as_str().unwrap()) })
        });
        let headers: Vec<_> = headers.collect();
        let now = wire::send(&self.sim.url(), &method, &path, &headers, &sent);
        if way == Way::Unanswered {
            return;
        }
        let Some(now) = now else { return self.found.push(format!("{label}: no answer")) };
        let old = &exchange["response"];
        let wanted = (old["status"].as_u64().unwrap(), text(&old["reason"]));
        if wanted != (u64::from(now.status), now.reason.clone()) {
            self.found.push(format!("{label}: recorded {wanted:?}, now {} {}", now.status, now.reason));
        }
        self.headers(label, &old["headers"], &now.headers);
        self.body(label, &text(&old["body"]), &now.body, way);
    }

    /// The path as it is now. Tasks were made by calls that were not recorded.
    fn path(&mut self, method: &str, recorded: &str) -> String {
        let plain = recorded.replace("%3A", ":");
        if let Some((_, task)) = plain.split_once("task_id=OpaqueRef:")
            && !self.names.known.contains_key(task)
        {
            let client = wire::Client { address: self.sim.url(), session: self.session() };
            let label = if method == "PUT" { "imp" } else { "exp" };
            let made = client.text("task.create", serde_json::json!([label, ""]));
            self.names.known.insert(task.to_owned(), made.replace("OpaqueRef:", ""));
        }
        self.names.now(&plain)
    }

    /// The recorded client asked for a task once it had ended; the last reference of its call is the task.
    fn wait_for_task(&self, call: &str) {
        let client = wire::Client { address: self.sim.url(), session: self.session() };
        let task = &call[call.rfind("OpaqueRef:").unwrap()..];
        client.ended(task.split('<').next().unwrap());
    }

    fn session(&self) -> String {
        // The session of the second exchange, which most others use.
        format!("OpaqueRef:{}", self.names.known["62fecfad-f7f1-ce1e-fd36-29bf7610cd3b"])
    }

    fn headers(&mut self, label: &str, old: &Value, now: &[(String, String)]) {
        let old = old.as_array().unwrap().iter().map(|header| (header[0].clone(), header[1].clone()));
        let now = now.iter().map(|(name, value)| (Value::from(name.as_str()), Value::from(value.as_str())));
        // Lengths are compared with the bodies.
        let plain = |headers: Vec<(Value, Value)>| {
            let kept = headers.into_iter().filter(|(name, _)| name != "content-length");
            Value::Array(kept.map(|(name, value)| Value::Array(vec![name, value])).collect())
        };
        let (old, now) = (plain(old.collect()), plain(now.collect()));
        let differ = self.names.differences("headers", &old, &now, &[]);
        self.found.extend(differ.into_iter().map(|what| format!("{label}: {what}")));
    }

    fn body(&mut self, label: &str, old: &str, now: &[u8], way: Way) {
        if let Some((_, told)) = old.rsplit_once("...<") {
            let wanted = match told.split(' ').next().unwrap() {
                "3151360" => golden("../disk/tests/golden/full16MiB.tar.gz"),
                // A VHD has a UUID of its own: its bytes are compared where VHDs are written.
                "6296064" if now.len() == 6_296_064 => return,
                _ => disk(),
            };
            if now != wanted {
                self.found.push(format!("{label}: another disk came back, of {} bytes", now.len()));
            }
            return;
        }
        let now = decode(&String::from_utf8_lossy(now));
        let differ = match way {
            Way::Shape => shape("", &decode(old), &now),
            Way::Page => {
                let start =
                    |page: &Value| page.as_str().unwrap().split("Additional").next().unwrap().to_owned();
                let (old, now) = (start(&decode(old)), start(&now));
                if old == now { Vec::new() } else { vec![format!("recorded {old}, now {now}")] }
            }
            _ => self.names.differences("", &decode(old), &now, LEFT_OUT),
        };
        self.found.extend(differ.into_iter().map(|what| format!("{label}: {what}")));
    }
}

#[test]
fn every_method_served_is_one_that_the_real_server_lists() {
    let listed: Value = serde_json::from_slice(&golden("tests/recordings/02-inventory.json.gz")).unwrap();
    let listed =
        listed["exchanges"].as_array().unwrap().iter().find(|e| e["label"] == "jsonrpc2 system.listMethods");
    let listed = decode(listed.unwrap()["response"]["body"].as_str().unwrap());
    let listed = listed["result"].as_array().unwrap();
    // Newer than the recorded server, or listed by none.
    let known = ["system.listMethods"];
    let served = xapi_sim::rpc::served();
    let unknown = served
        .iter()
        .filter(|name| !known.contains(&name.as_str()) && !listed.contains(&Value::from(name.as_str())));
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(served.len() > 300);
}

#[test]
fn the_answers_are_those_of_a_real_server() {
    let state = tempfile::tempdir().unwrap();
    let mut config = Config::new(state.path());
    config.users.iter_mut().for_each(|user| user.password = "xapilab".to_owned());
    let sim = Sim::start(config).unwrap();
    let mut replay = Replay { names: Names::default(), found: Vec::new(), sim };
    // The one SR of the recorded pool.
    let sr = replay.sim.shared_sr().replace("OpaqueRef:", "");
    replay.names.known.insert("52912fd5-65b9-9c1c-f7e4-769130e58604".to_owned(), sr);
    let (mut exact, mut all) = (0, 0);
    for (file, name) in FILES.iter().enumerate() {
        let text = String::from_utf8(golden(&format!("tests/recordings/{name}.json.gz"))).unwrap();
        let recording: Value = serde_json::from_str(&text).unwrap();
        for (number, exchange) in recording["exchanges"].as_array().unwrap().iter().enumerate() {
            let exception = EXCEPTIONS
                .iter()
                .find(|(of, first, last, ..)| *of == file && (*first..=*last).contains(&number));
            let way = exception.map_or(Way::Exact, |(.., way, _)| *way);
            all += 1;
            exact += usize::from(way == Way::Exact);
            if way != Way::Out {
                let label = format!("{} {number} {}", &name[..2], exchange["label"].as_str().unwrap());
                replay.exchange(&label, exchange, way);
            }
        }
    }
    println!("{exact} of {all} exchanges compared in full");
    assert!(replay.found.is_empty(), "{}", replay.found.join("\n"));
}
