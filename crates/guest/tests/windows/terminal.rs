//! The program at a terminal, where a person presses keys: one that `script` makes, of which Wine makes a console of Windows.

use crate::wine::{PROGRAM, Wine};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

/// A run of the program that goes on.
pub struct Terminal {
    child: Child,
    /// All that was shown, with what moves the cursor.
    shown: String,
}

impl Wine {
    /// Starts the program at a terminal.
    pub fn at_a_terminal(&self, words: &[&str]) -> Terminal {
        let line = format!("stty rows 60 columns 200; exec wine '{PROGRAM}' {}", words.join(" "));
        // One that hangs ends, and fails the test.
        let mut script = Command::new("timeout");
        script.args(["300", "script", "--quiet", "--flush", "--return", "--command", &line, "/dev/null"]);
        let as_ever = self.command(PROGRAM);
        script.envs(as_ever.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.env("TERM", "xterm").env_remove("DISPLAY");
        let child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script is installed");
        Terminal { child, shown: String::new() }
    }
}

impl Terminal {
    /// Waits until a text is shown.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        let mut part = [0; 4096];
        while !self.shown.contains(text) {
            let read = self.child.stdout.as_mut().unwrap().read(&mut part).unwrap();
            assert!(read > 0, "it ended before '{text}': {}", self.shown);
            self.shown += &String::from_utf8_lossy(&part[..read]);
        }
    }

    /// Presses Ctrl-C.
    pub fn press_ctrl_c(&mut self) {
        let keys = self.child.stdin.as_mut().unwrap();
        keys.write_all(b"\x03").unwrap();
        keys.flush().unwrap();
    }

    /// Waits for the end, which must be a good one; answers all that was shown.
    #[track_caller]
    pub fn end(mut self) -> String {
        let mut rest = Vec::new();
        self.child.stdout.as_mut().unwrap().read_to_end(&mut rest).unwrap();
        self.shown += &String::from_utf8_lossy(&rest);
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "{ended}: {}", self.shown);
        self.shown
    }
}
