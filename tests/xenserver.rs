//! The whole job in a XenServer pool, by command line: `shale`, `shaled`, and `xapi-sim` in place of the pool. The guest is
//! a real one: it boots in the pool, changes its disk, powers itself off, and its new version boots again.

use serde_json::{Value, json};
use shale_tests::tiny_system::{self, ROOT_OFFSET};
use shale_tests::{Desk, program};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A boot takes some 10 s where guests are translated and the host is otherwise idle.
const PATIENCE: Duration = Duration::from_secs(300);

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

    /// Takes away the storage for CDs: machines are given theirs as a disk that they cannot write.
    fn without_isos(&self) {
        let (srs, pbds) = (self.all("SR"), self.all("PBD"));
        let session = self.call("session.login_with_password", json!(["root", "password"]));
        for (pbd, record) in pbds.as_object().unwrap() {
            if srs[record["SR"].as_str().unwrap()]["content_type"] == "iso" {
                self.call("PBD.unplug", json!([session, pbd]));
            }
        }
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

    /// The records of a class by reference.
    fn all(&self, class: &str) -> Value {
        let session = self.call("session.login_with_password", json!(["root", "password"]));
        let records = self.call(&format!("{class}.get_all_records"), json!([session]));
        self.call("session.logout", json!([session]));
        records
    }

    /// The reference and the record of the VM with this name.
    fn vm(&self, name: &str) -> Option<(String, Value)> {
        let all = self.all("VM");
        let found = all.as_object().unwrap().iter().find(|(_, vm)| vm["name_label"] == name);
        found.map(|(reference, vm)| (reference.clone(), vm.clone()))
    }

    /// Starts a VM as its administrator, and waits until the guest has powered itself off.
    fn runs_once(&self, name: &str) {
        let (vm, _) = self.vm(name).unwrap();
        let session = self.call("session.login_with_password", json!(["root", "password"]));
        self.call("VM.start", json!([session, vm, false, false]));
        self.call("session.logout", json!([session]));
        let deadline = Instant::now() + PATIENCE;
        while self.vm(name).unwrap().1["power_state"] != "Halted" {
            assert!(Instant::now() < deadline, "the guest did not power itself off");
            std::thread::sleep(Duration::from_millis(250));
        }
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

/// A tiny disk that says which system it is, as layers want it.
fn tiny_system(desk: &Desk) -> String {
    let disk = tiny_disk(desk);
    let release = desk.path("os-release");
    std::fs::write(&release, "ID=tiny\n").unwrap();
    let root = format!("{disk}?offset={ROOT_OFFSET}");
    for command in ["mkdir usr", "mkdir etc", &format!("write {release} etc/os-release")] {
        Command::new("debugfs").args(["-w", "-R", command, &root]).output().unwrap();
    }
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

/// The root file system of a tiny disk, as a file.
fn root_of(desk: &Desk, disk: &str) -> String {
    let root = desk.path("root.img");
    let skip = format!("skip={}", ROOT_OFFSET >> 20);
    let cut = ["bs=1M", &skip, "conv=sparse", "status=none"];
    let input = [format!("if={disk}"), format!("of={root}")];
    assert!(Command::new("dd").args(input).args(cut).status().unwrap().success());
    root
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
    let root = root_of(&desk, &out);
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

#[test]
fn a_template_is_published_to_a_pool_boots_there_and_its_image_goes_unless_somebody_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::start(folder.path().to_str().unwrap());
    pool.offer_nbd();
    let desk = desk_of(&pool);
    desk.ends(0, &["layer", "import", "Tiny", "--version", "1.0", "--file", &tiny_system(&desk)]);
    desk.ends(0, &["template", "create", "Desk", "--os", "Tiny", "--connector", "pool", "--size", "1"]);
    let publish = || {
        let image = desk.json(&["image", "publish", "Desk"])["image"].clone();
        let name = image["name"].as_str().unwrap().to_owned();
        let (_, vm) = pool.vm(&name).expect("it is called as the image");
        assert_eq!((&vm["power_state"], &vm["is_a_template"]), (&json!("Halted"), &json!(false)));
        assert!(image["report"]["platform"]["place"].as_str().unwrap().contains("Shared storage"), "{image}");
        (name, image["report"]["platform"]["text"].as_str().unwrap().to_owned())
    };
    let (first, how) = publish();
    assert!(how.contains("were sent"), "{how}");
    // Other settings of the same pool lose nothing; in another pool it would not be found.
    desk.ends(0, &["connector", "edit", "pool", "--set", "base_disk_cache_gib=50"]);
    let (second, how) = publish();
    assert!(how.contains("nothing was sent"), "{how}");

    pool.runs_once(&first);
    let vbds = pool.all("VBD");
    let (vm, _) = pool.vm(&first).unwrap();
    let boots = |vbd: &&Value| vbd["VM"] == vm.as_str() && vbd["type"] == "Disk";
    let disk = vbds.as_object().unwrap().values().find(boots).unwrap()["VDI"].as_str().unwrap().to_owned();
    let uuid = pool.all("VDI")[&disk]["uuid"].as_str().unwrap().to_owned();
    let file = Command::new("find").arg(folder.path()).args(["-name", &format!("{uuid}*")]).output().unwrap();
    let file = String::from_utf8(file.stdout).unwrap().trim().to_owned();
    let root = root_of(&desk, &file);
    assert_eq!(file_text(&root, "/data/first"), "patched in boot 1\n", "it booted there");

    let told = desk.ends(5, &["image", "delete", &first]);
    assert!(told.err.contains("was started") && told.err.contains("keep"), "{}", told.err);
    desk.ends(0, &["image", "delete", &first, "--keep-machine"]);
    desk.ends(0, &["image", "delete", &second]);
    assert!(pool.vm(&second).is_none(), "it went with its image");
    assert!(pool.vm(&first).is_some(), "it is somebody's");
    desk.ends(0, &["image", "publish", "Desk", "--no-upload"]);
    assert_eq!(pool.holds()["vms"], json!([first]));
}

#[test]
fn a_script_makes_a_version_in_a_pool_and_what_it_printed_is_read_from_the_disk_once_the_machine_is_off() {
    tiny_system::build_tool();
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::start(folder.path().to_str().unwrap());
    pool.offer_nbd();
    // The small guest has no module for the drive that the pool's machines have.
    pool.without_isos();
    let empty = pool.holds();
    let desk = desk_of(&pool);
    desk.ends(0, &["layer", "import", "Tiny", "--version", "1.0", "--file", &tiny_system::disk(&desk)]);
    let (script, attached) = (desk.path("setup.sh"), desk.path("data.txt"));
    std::fs::write(&attached, "attached\n").unwrap();
    let add = |version: &str, text: &str, more: &[&str]| {
        std::fs::write(&script, text).unwrap();
        let add =
            ["version", "add", "Tiny", version, "--connector", "pool", "--disk", "night", "--size", "1"];
        let told = desk
            .shale(&[&add[..], &["--script", &script, "--attach", &attached, "-o", "json"], more].concat());
        let answer: Value = serde_json::from_str(&told.out).unwrap_or_else(|e| panic!("{e}: {told:#?}"));
        (told.exit, answer["task"].clone())
    };

    // A pool has no port that it could be followed on. It wants no restart: a warm one of a guest that is translated takes too long.
    let text = "echo hello from pass $SHALE_PASS\ncp data.txt /data/from-script\nsleep 5\n";
    let (_, task) = add("1.1", text, &["--no-wait"]);
    let task = task["id"].as_str().unwrap().to_owned();
    let deadline = Instant::now() + PATIENCE;
    let mut is_told = false;
    let done = loop {
        let shown = desk.json(&["task", "show", &task]);
        if !["pending", "running"].contains(&shown["state"].as_str().unwrap()) {
            break shown;
        }
        let check = desk.shale(&["machine", "check", "Tiny", "1.1"]);
        is_told |= check.exit == 5 && check.out.contains("has no channel");
        assert!(Instant::now() < deadline, "it is not done: {shown:#}");
        std::thread::sleep(Duration::from_millis(250));
    };
    let told = desk.ends(0, &["task", "output", &task]).out;
    assert_eq!(done["state"], "done", "{done:#}\n{told}");
    assert!(is_told, "while it runs, it is said that it cannot be asked");
    for said in ["hello from pass 1", "ended well, and nothing is outstanding"] {
        assert!(told.contains(said), "'{said}' is not in: {told}");
    }
    let out = desk.path("out.raw");
    desk.ends(0, &["version", "export", "Tiny", "1.1", "--format", "raw", "--to", &out]);
    assert_eq!(file_text(&root_of(&desk, &out), "/data/from-script"), "attached\n");
    assert_eq!(pool.holds()["vms"], empty["vms"], "its machine is gone");

    // One that fails powers its machine off: nothing else tells that it is over.
    let (exit, task) = add("1.2", "echo it goes wrong now\nexit 7\n", &[]);
    assert_eq!((exit, &task["state"]), (7, &json!("action_required")), "{task:#}");
    assert!(task["needs"]["problem"].as_str().unwrap().contains("exit code 7"), "{task:#}");
    assert!(task["needs"]["output"].as_str().unwrap().contains("it goes wrong now"), "{task:#}");
    assert_eq!(desk.json(&["machine", "show", "Tiny", "1.2"])["power"], "off");
}
