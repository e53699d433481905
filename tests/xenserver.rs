//! The whole job in a XenServer pool, by command line: `shale`, `shaled`, and `xapi-sim` in place of the pool. The guest is
//! a real one: it boots in the pool, changes its disk, powers itself off, and its new version boots again.

use serde_json::{Value, json};
use shale_tests::{Desk, program};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A boot takes some 10 s where guests are translated and the host is otherwise idle.
const PATIENCE: Duration = Duration::from_secs(300);
/// Where the tiny disk's file system begins, see its maker.
const ROOT_OFFSET: u64 = 10 << 20;

/// A pool that is not there.
struct Pool {
    process: Child,
    /// `host:port` of its HTTP and of its HTTPS.
    http: String,
    https: String,
}

impl Pool {
    fn start(state: &str) -> Self {
        let mut process = Command::new(program("xapi-sim"))
            .args(["--listen", "127.0.0.1:0", "--tls", "0", "--state", state])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (mut http, mut https) = (String::new(), String::new());
        for line in lines {
            for word in line.split_whitespace() {
                match word.split_once("://") {
                    Some(("http", address)) if http.is_empty() => http = address.trim_end_matches('/').into(),
                    Some(("https", address)) if https.is_empty() => {
                        https = address.trim_end_matches('/').into()
                    }
                    _ => {}
                }
            }
            if !http.is_empty() && !https.is_empty() {
                break;
            }
        }
        assert!(!https.is_empty(), "the simulator says where it is");
        Self { process, http, https }
    }

    /// Calls the pool itself, by JSON-RPC.
    fn call(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let mut stream = TcpStream::connect(&self.http).unwrap();
        let head = "POST /jsonrpc HTTP/1.1\r\nhost: pool\r\nconnection: close\r\ncontent-length:";
        write!(stream, "{head} {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(answer["error"], Value::Null, "{method}: {answer}");
        answer["result"].clone()
    }

    /// Gives its network the purpose that changed blocks are read for.
    fn offer_nbd(&self) {
        let session = self.call("session.login_with_password", json!(["root", "password"]));
        let networks = self.call("network.get_all", json!([session]));
        self.call("network.add_purpose", json!([session, networks[0], "nbd"]));
        self.call("session.logout", json!([session]));
    }

    /// What the pool holds that is not its own: names of VMs, and how many disks and tasks there are.
    fn holds(&self) -> Value {
        let session = self.call("session.login_with_password", json!(["root", "password"]));
        let all = |class: &str| {
            let records = self.call(&format!("{class}.get_all_records"), json!([session]));
            records.as_object().unwrap().values().cloned().collect::<Vec<Value>>()
        };
        let is_ours = |vm: &&Value| vm["is_a_template"] == false && vm["is_control_domain"] == false;
        let vms: Vec<Value> = all("VM").iter().filter(is_ours).map(|vm| vm["name_label"].clone()).collect();
        let vdis: Vec<Value> = all("VDI").iter().map(|vdi| vdi["name_label"].clone()).collect();
        let tasks: Vec<Value> = all("task").iter().map(|task| task["name_label"].clone()).collect();
        self.call("session.logout", json!([session]));
        json!({ "vms": vms, "vdis": vdis, "tasks": tasks })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A disk that changes itself in its first boot, and again, differently, in its second.
fn tiny_disk(desk: &Desk) -> String {
    let run = desk.folder.path().join("run");
    std::fs::create_dir(&run).unwrap();
    let first = "echo 'patched in boot 1' >data/first\nsync\ntouch /tmp/off\n";
    let second = "cat data/first >data/second\necho 'and in boot 2' >>data/second\nsync\ntouch /tmp/off\n";
    std::fs::write(run.join("1"), first).unwrap();
    std::fs::write(run.join("2"), second).unwrap();
    let disk = desk.path("tiny.raw");
    let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest/make-tiny-disk.sh");
    assert!(Command::new(maker).arg(&disk).arg("bios").arg(&run).status().unwrap().success());
    disk
}

/// A desk whose connector `pool` is trusted and works.
fn desk_of(pool: &Pool) -> Desk {
    let desk = Desk::new();
    std::fs::write(desk.path("password"), "password\n").unwrap();
    let address = format!("address={}", pool.https);
    let password = format!("password={}", desk.path("password"));
    let add = [
        "connector",
        "add",
        "pool",
        "--kind",
        "xenserver",
        "--set",
        &address,
        "--set",
        "user=root",
        "--set-file",
        &password,
        "--set",
        "template=Packaging (BIOS)",
        "--set",
        "storage_repository=Shared storage",
    ];
    let told = desk.ends(0, &add);
    assert!(told.err.contains("certificate"), "nothing vouches for its certificate: {told:#?}");
    let test: Value =
        serde_json::from_str(&desk.ends(1, &["connector", "test", "pool", "-o", "json"]).out).unwrap();
    let fix = test["checks"].as_array().unwrap().iter().find_map(|check| check.get("fix")).expect("a fix");
    let pin = format!("{}={}", fix["field"].as_str().unwrap(), fix["value"].as_str().unwrap());
    desk.ends(0, &["connector", "edit", "pool", "--set", &pin]);
    let told = desk.ends(0, &["connector", "test", "pool"]);
    assert!(told.out.contains("CBT"), "it says what ways of transfer there are: {}", told.out);
    let shown = desk.ends(0, &["connector", "show", "pool", "-o", "json"]).out;
    assert!(!shown.contains("\"password\": \"password\"") && shown.contains("\"secrets\""), "{shown}");
    desk
}

/// Adds a version, waits until its guest has powered itself off, finalizes it. Answers the notes of its steps.
fn patch(desk: &Desk, version: &str) -> String {
    let told = desk.ends(
        7,
        &[
            "version",
            "add",
            "Tiny",
            version,
            "--connector",
            "pool",
            "--disk",
            "patch",
            "--size",
            "1",
            "--comment",
            "monthly",
        ],
    );
    assert!(told.out.contains("'patch-2"), "the machine is named in quotes: {}", told.out);
    let deadline = Instant::now() + PATIENCE;
    while desk.json(&["machine", "show", "Tiny", version])["power"] != "off" {
        assert!(Instant::now() < deadline, "the guest did not power itself off");
        std::thread::sleep(Duration::from_millis(250));
    }
    let task = desk.json(&["task", "list"])[0]["id"].as_str().unwrap().to_owned();
    desk.ends(0, &["version", "finalize", "Tiny", version]);
    let steps = desk.json(&["task", "show", &task])["steps"].clone();
    steps.as_array().unwrap().iter().filter_map(|step| step["note"].as_str()).collect::<Vec<_>>().join("\n")
}

fn file_text(image: &str, path: &str) -> String {
    let out = Command::new("debugfs").args(["-R", &format!("cat {path}"), image]).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn a_layer_is_patched_twice_in_a_pool_and_the_pool_is_left_as_it_was_but_for_base_disks() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::start(folder.path().to_str().unwrap());
    pool.offer_nbd();
    let empty = pool.holds();
    let desk = desk_of(&pool);
    desk.ends(0, &["layer", "import", "Tiny", "--version", "1.0", "--file", &tiny_disk(&desk)]);

    let notes = patch(&desk, "1.1");
    assert!(notes.contains("base disk") && notes.contains("NBD"), "{notes}");
    let notes = patch(&desk, "1.2");
    assert!(notes.contains("differ from an older base disk"), "{notes}");

    let left = pool.holds();
    assert_eq!((&left["vms"], &left["tasks"]), (&empty["vms"], &empty["tasks"]), "{left}");
    let disks: Vec<&str> = left["vdis"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(disks.iter().all(|name| name.starts_with("Shale base ")) && disks.len() == 2, "{disks:?}");

    let out = desk.path("out.raw");
    desk.ends(0, &["version", "export", "Tiny", "1.2", "--format", "raw", "--to", &out]);
    let root = desk.path("root.img");
    let skip = format!("skip={}", ROOT_OFFSET >> 20);
    let cut = ["bs=1M", &skip, "conv=sparse", "status=none"];
    let input = [format!("if={out}"), format!("of={root}")];
    assert!(Command::new("dd").args(input).args(cut).status().unwrap().success());
    assert_eq!(file_text(&root, "/data/second"), "patched in boot 1\nand in boot 2\n");
    assert_eq!(file_text(&root, "/boots"), "2\n");
    let check = Command::new("e2fsck").arg("-fn").arg(&root).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));

    // Nobody needs base disks any more; they go a moment later.
    desk.ends(0, &["connector", "delete", "pool"]);
    let deadline = Instant::now() + PATIENCE;
    while pool.holds() != empty {
        assert!(Instant::now() < deadline, "the pool still holds {}", pool.holds());
        std::thread::sleep(Duration::from_millis(100));
    }
}
