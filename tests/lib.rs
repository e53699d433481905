//! Tests of the whole product: `tidy.rs`, what the source keeps to; `transcript.rs`, both programs together;
//! `xenserver.rs`, both with a XenServer that is not there; `machines.rs`, whole jobs in real machines. Here: the programs as a
//! person at a terminal uses them.

pub mod tiny_system;

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A program of the workspace, beside which this test was built.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(program.is_file(), "{} is missing. run: cargo build --workspace", program.display());
    program
}

/// A server with a data directory of its own, and its user.
pub struct Desk {
    /// Where its server keeps its data, in `data`; a test may put files there.
    pub folder: tempfile::TempDir,
    server: Child,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Told {
    /// The exit code.
    pub exit: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Desk {
    /// Starts a server on an empty data directory.
    #[expect(clippy::new_without_default, reason = "it starts a process")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Command::new(program("shaled"))
            .args(["serve", "--listen", "none", "--data"])
            .arg(folder.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("SHALE_SERVER=unix:")), "the server says where it is");
        Self { folder, server }
    }

    /// The path of a file in the desk's folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs `shale` with these words.
    pub fn shale(&self, words: &[&str]) -> Told {
        let output = Command::new(program("shale"))
            .args(words)
            .env_clear()
            .env("SHALE_SERVER", format!("unix:{}", self.path("data/shaled.sock")))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Told { exit: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs `shale`, which must end with this exit code.
    #[track_caller]
    pub fn ends(&self, exit: i32, words: &[&str]) -> Told {
        let told = self.shale(words);
        assert_eq!(told.exit, exit, "shale {words:?}: {told:#?}");
        told
    }

    /// What `shale … -o json` prints.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Value {
        let told = self.ends(0, &[words, &["-o", "json"]].concat());
        serde_json::from_str(&told.out).unwrap_or_else(|e| panic!("{e}: {}", told.out))
    }
}

impl Drop for Desk {
    /// No machine outlives the test: cancelling what is open removes it.
    fn drop(&mut self) {
        let open = self.shale(&["task", "list", "--state", "open", "-q"]);
        for task in open.out.lines() {
            self.shale(&["task", "cancel", task]);
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
