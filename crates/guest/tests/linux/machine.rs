//! A prepared machine, and the program run on it.

use rustix::fs::{FlockOperation, fcntl_lock};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const REPORT: &str = "/var/lib/shutdown-for-finalize/integrity.json";

/// A folder that is taken for a machine's `/`.
pub struct Machine(tempfile::TempDir);

/// How a run of the program ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub output: String,
    pub errors: String,
}

/// A run of the program that goes on.
pub struct Running {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    read: String,
}

impl Machine {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder().join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    /// A program of the machine: a shell script that first notes how it was called.
    pub fn program(&self, name: &str, script: &str) {
        let path = format!("/usr/bin/{name}");
        let (calls, text) = (self.path("/calls"), self.path("/text"));
        self.write("/text", &format!("#!/bin/sh\necho \"{name} $*\" >> '{}'\n{script}\n", calls.display()));
        // Another process makes it: this one starts processes in other threads, which have its open files until they run
        // their programs, and a program that somebody has open for writing cannot be run.
        let mut install = Command::new("install");
        install.args(["-D", "-m", "755"]).args([&text, &self.path(&path)]);
        assert!(install.status().unwrap().success());
        self.remove("/text");
    }

    /// systemd, with these jobs and failed units.
    pub fn systemd(&self, jobs: &str, failed: &str) {
        self.write("/run/systemd/system/.keep", "");
        self.program(
            "systemctl",
            &format!(
                "case $1 in list-jobs) cat <<'E'\n{jobs}\nE\n;; list-units) cat <<'E'\n{failed}\nE\n;; esac"
            ),
        );
    }

    /// How the machine's programs were called, one after the other.
    pub fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("/calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// Holds a lock as package managers do, until it is dropped.
    pub fn lock(&self, path: &str) -> File {
        self.write(path, "");
        let file = File::options().write(true).open(self.path(path)).unwrap();
        fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        file
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shutdown-for-finalize"));
        command.arg(format!("--root={}", self.folder().display())).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, words: &[&str]) -> Run {
        let ended = self.command(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run { code: ended.status.code().unwrap(), output: text(ended.stdout), errors: text(ended.stderr) }
    }

    pub fn start(&self, words: &[&str]) -> Running {
        let mut child = self.command(words).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Running { child, output, read: String::new() }
    }

    pub fn has_report(&self) -> bool {
        self.path(REPORT).exists()
    }

    pub fn report(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path(REPORT)).unwrap()).unwrap()
    }

    /// What a check finds: codes with their details.
    #[track_caller]
    pub fn found(&self) -> Vec<(String, String)> {
        let run = self.run(&["--check"]);
        assert!([0, 1, 5, 6].contains(&run.code), "{run:?}");
        let report = self.report();
        let findings = report["findings"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let details =
            |value: &Value| value.as_array().unwrap().iter().map(text).collect::<Vec<_>>().join("; ");
        findings.iter().map(|one| (text(&one["code"]), details(&one["details"]))).collect()
    }
}

impl Running {
    /// Reads on until a line is this one.
    pub fn until(&mut self, line: &str) {
        while !self.read.lines().any(|read| read == line) {
            assert!(self.output.read_line(&mut self.read).unwrap() > 0, "it ended before: {}", self.read);
        }
    }

    pub fn end(mut self) -> Run {
        self.output.read_to_string(&mut self.read).unwrap();
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        Run { code: self.child.wait().unwrap().code().unwrap(), output: self.read, errors }
    }
}
