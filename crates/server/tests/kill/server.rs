//! The real program on a data directory of its own: started, killed, started again, asked by its socket.

use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// For whatever must happen: a guest's boot takes a minute where guests are translated and the host is busy.
const PATIENCE: Duration = Duration::from_secs(240);
/// Bytes of a log's end that a failure shows.
const TAIL: usize = 6000;

pub struct Server {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

/// The command lines of the processes on this host, with their ids.
fn processes() -> Vec<(u32, String)> {
    let ids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let line = |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).map(|line| line.replace_zeros());
    ids.filter_map(|pid| Some((pid, line(&pid).ok()?))).filter(|(_, line)| !line.is_empty()).collect()
}

/// A command line as one text.
trait ReplaceZeros {
    fn replace_zeros(self) -> String;
}

impl ReplaceZeros for Vec<u8> {
    fn replace_zeros(self) -> String {
        String::from_utf8_lossy(&self).replace('\0', " ")
    }
}

/// Kills one process at once.
pub fn kill(pid: u32) {
    // It may have ended by itself.
    let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
}

fn tail(path: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    text.chars().skip(text.chars().count().saturating_sub(TAIL)).collect()
}

/// Waits until `look` answers something.
pub fn wait_for<T>(what: &str, server: &Server, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}\n{}", server.story());
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Server {
    /// A running server whose machines are small.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        let mut server = Self { folder, child: None };
        server.launch();
        let settings = json!({ "memory_mib": 128, "cpus": 1, "accelerator": "tcg" });
        let connector = server.connector();
        server.ask("PATCH", &format!("/connectors/{connector}"), json!({ "settings": settings }));
        server
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data directory.
    fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Starts the program and waits until it answers.
    pub fn launch(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_shaled"));
        command.arg("serve").arg("--data").arg(self.data()).args(["--listen", "none"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        wait_for("the server's answer", self, || self.send("GET", "/tasks", &Value::Null).ok());
    }

    /// Ends the program without a warning.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn restart(&mut self) {
        self.kill();
        self.launch();
    }

    /// What a failure tells.
    pub fn story(&self) -> String {
        let mut story = format!("--- the server's log:\n{}", tail(&self.path("log")));
        for (pid, line) in self.processes() {
            story.push_str(&format!("--- process {pid}: {line}\n"));
        }
        for machine in self.machine_folders() {
            story.push_str(&format!("--- serial log:\n{}\n", tail(&machine.join("serial.log"))));
        }
        story
    }

    /// Writes a request and does not wait for the answer.
    pub fn post(&self, method: &str, path: &str, body: &Value) -> std::io::Result<UnixStream> {
        let mut stream = UnixStream::connect(self.data().join("shaled.sock"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        write!(
            stream,
            "{method} /api/v1{path} HTTP/1.1\r\nhost: shale\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        Ok(stream)
    }

    /// Status and body of the answer; an error when the server went away.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, Value)> {
        let mut answer = Vec::new();
        self.post(method, path, body)?.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let cut = || std::io::Error::other("the answer was cut off");
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(cut)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
        Ok((status, serde_json::from_str(body).unwrap_or_default()))
    }

    /// The body of an answer that must be a good one.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        match self.send(method, path, &body) {
            Ok((200..=299, answer)) => answer,
            other => panic!("{method} {path}: {other:?}\n{}", self.story()),
        }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.ask("GET", path, Value::Null)
    }

    #[track_caller]
    fn items(&self, path: &str) -> Vec<Value> {
        self.get(path)["items"].as_array().unwrap().clone()
    }

    /// A version's machine, once its platform has said how it stands: where the host is busy, it may not say so in time.
    pub fn machine(&self, version: Uuid) -> Value {
        let path = format!("/machines/{version}");
        wait_for("how a machine stands", self, || {
            Some(self.get(&path)).filter(|machine| machine["power"] != "unknown")
        })
    }

    pub fn connector(&self) -> String {
        self.items("/connectors")[0]["id"].as_str().unwrap().to_owned()
    }

    /// The task, once it has ended or needs a person.
    pub fn settled(&self, task: &Value) -> Value {
        let path = format!("/tasks/{}?wait=10", task["id"].as_str().unwrap());
        wait_for("the end of a task", self, || {
            let task = self.get(&path);
            let rests = ["done", "failed", "canceled", "stuck", "action_required"];
            rests.contains(&task["state"].as_str().unwrap()).then_some(task)
        })
    }

    /// Waits until a task is at this step, or none is at work.
    pub fn wait_for_step(&self, step: &str) {
        wait_for(step, self, || {
            let open = self.items("/tasks?state=open");
            let at = |s: &Value| s["name"] == step && s["state"] == "running";
            let there = open.iter().any(|task| task["steps"].as_array().unwrap().iter().any(at));
            (there || open.iter().all(|task| task["state"] == "action_required")).then_some(())
        });
    }

    /// Waits until every task has ended or needs a person.
    pub fn settle(&self) -> Vec<Value> {
        self.items("/tasks?limit=1000").iter().map(|task| self.settled(task)).collect()
    }

    /// Asks for a task and waits until it is done.
    #[track_caller]
    pub fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.ask(method, path, body);
        let task = self.settled(answer.get("task").unwrap_or(&answer));
        assert_eq!(task["state"], "done", "{method} {path}: {task:#}\n{}", self.story());
        task
    }

    pub fn versions(&self) -> Vec<Value> {
        let layers = self.items("/layers");
        layers
            .iter()
            .flat_map(|l| self.items(&format!("/layers/{}/versions", l["id"].as_str().unwrap())))
            .collect()
    }

    /// The state of a version; none when there is no such version.
    pub fn state(&self, version: Uuid) -> Option<String> {
        let versions = self.versions();
        let found = versions.iter().find(|v| v["id"] == version.to_string());
        found.map(|version| version["state"].as_str().unwrap().to_owned())
    }

    /// The processes that have to do with this server, but for itself.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let data = self.data().to_str().unwrap().to_owned();
        let ours = |(_, line): &(u32, String)| line.contains(&data) && !line.contains(" serve --data ");
        processes().into_iter().filter(ours).collect()
    }

    /// The machines among them.
    pub fn machines(&self) -> Vec<u32> {
        self.processes()
            .into_iter()
            .filter(|(_, line)| line.contains("qemu-system"))
            .map(|(pid, _)| pid)
            .collect()
    }

    /// The processes that serve disks to machines.
    pub fn exports(&self) -> Vec<u32> {
        self.processes()
            .into_iter()
            .filter(|(_, line)| line.contains(" export-disk "))
            .map(|(pid, _)| pid)
            .collect()
    }

    /// The folders of machines.
    pub fn machine_folders(&self) -> Vec<PathBuf> {
        let below =
            |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let connectors: Vec<PathBuf> = below(&self.data().join("connectors")).collect();
        connectors.iter().flat_map(|connector| below(connector)).filter(|path| path.is_dir()).collect()
    }

    /// The steps whose tries a kill has cut off, oldest first.
    pub fn cut_off(&self) -> Vec<String> {
        let mut steps = Vec::new();
        for task in self.items("/tasks?limit=1000").iter().rev() {
            let log = self.items(&format!("/tasks/{}/log?limit=1000", task["id"].as_str().unwrap()));
            let again = |entry: &&Value| entry["event"]["attempt"].as_u64() > Some(1);
            let step = |entry: &Value| entry["event"]["step"].as_str().unwrap().to_owned();
            steps.extend(log.iter().filter(again).map(step));
        }
        steps
    }

    /// What must hold whenever all tasks rest: versions are whole, or a task makes them; nothing in the repository is
    /// unknown to the catalog; the repository is sound.
    pub fn check_all(&self) {
        for version in self.versions() {
            let id = version["id"].as_str().unwrap();
            match version["state"].as_str().unwrap() {
                "deployable" => drop(self.done("POST", &format!("/versions/{id}/verify"), Value::Null)),
                _ => assert!(version["task_id"].is_string(), "nothing makes {version:#}\n{}", self.story()),
            }
        }
        let stored = self.get("/repository");
        for version in stored["versions"].as_array().unwrap() {
            assert_ne!(version["name"], "", "stored, and in no catalog: {version:#}\n{}", self.story());
        }
        let checked = self.done("POST", "/repository/check", json!({ "read_data": true }));
        assert_eq!(checked["result"]["sound"], true, "{checked:#}");
    }

    /// What must hold when no version is being made: no process, no machine, no half-written file is left.
    pub fn check_nothing_is_left(&self) {
        assert_eq!(self.processes(), [], "{}", self.story());
        assert_eq!(self.machine_folders(), [] as [PathBuf; 0], "{}", self.story());
        let files = fs::read_dir(self.path("out")).unwrap().map(|entry| entry.unwrap().file_name());
        let parts: Vec<_> = files.filter(|name| name.to_str().unwrap().ends_with(".part")).collect();
        assert!(parts.is_empty(), "{parts:?}");
    }
}

impl Drop for Server {
    /// Leaves nothing running, also when the test has failed.
    fn drop(&mut self) {
        self.kill();
        for (pid, _) in self.processes() {
            kill(pid);
        }
    }
}

/// A disk that boots and, the first time, writes 48 MiB that do not compress and powers off. Beside its partitions it
/// has `beside` MiB of such data.
pub fn make_disk(server: &Server, beside: u64) -> PathBuf {
    let run = server.path("run");
    fs::create_dir(&run).unwrap();
    let script = "dd if=/dev/urandom of=data/new bs=1M count=48\nsync\ntouch /tmp/off\n";
    fs::write(run.join("1"), script).unwrap();
    let disk = server.path("disk.raw");
    let maker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guest/make-tiny-disk.sh");
    let made = Command::new(maker).arg(&disk).arg("bios").arg(&run).status().unwrap();
    assert!(made.success());
    if beside > 0 {
        let put = format!("if=/dev/urandom of={} bs=1M count={beside} seek=200 conv=notrunc", disk.display());
        let put = Command::new("dd").args(put.split(' ')).stderr(Stdio::null()).status().unwrap();
        assert!(put.success());
        fs::File::options().write(true).open(&disk).unwrap().set_len(1 << 30).unwrap();
    }
    disk
}
