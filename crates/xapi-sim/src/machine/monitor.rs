//! QMP, QEMU's control protocol: one JSON object a line. Source: QEMU's `docs/interop/qmp-spec.txt`, `qapi/*.json`.
//!
//! ```text
//!   QEMU  {"QMP": {"version": …}}                       greeting
//!   we    {"execute": "qmp_capabilities", "id": 0}
//!   QEMU  {"return": {}, "id": 0}                       or {"error": {"desc": …}, "id": 0}
//!   QEMU  {"event": "RESET", "data": {"guest": true}}   at any time
//! ```

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use shale_disk::{Error, ErrorKind, Result};

/// How long QEMU may take to carry out a command.
const PATIENCE: Duration = Duration::from_secs(60);
/// Answers that nobody waits for any more.
const UNCLAIMED: usize = 64;

/// What QEMU says.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    Greeting,
    /// To the command with this number; what was wrong, if anything.
    Answer {
        id: u64,
        refusal: Option<String>,
    },
    /// The machine started again.
    Reset {
        by_guest: bool,
    },
    /// The machine is about to end.
    Shutdown {
        by_guest: bool,
    },
    /// Anything else, which is passed over.
    Other,
}

impl Message {
    fn parse(line: &[u8]) -> Self {
        let Ok(message) = serde_json::from_slice::<Value>(line) else { return Self::Other };
        let by_guest = message["data"]["guest"] == true;
        match (message["event"].as_str(), message["id"].as_u64()) {
            _ if !message["QMP"].is_null() => Self::Greeting,
            (Some("RESET"), _) => Self::Reset { by_guest },
            (Some("SHUTDOWN"), _) => Self::Shutdown { by_guest },
            (None, Some(id)) => {
                Self::Answer { id, refusal: message["error"]["desc"].as_str().map(str::to_owned) }
            }
            _ => Self::Other,
        }
    }
}

/// The way to give commands.
pub(super) struct Monitor {
    line: Mutex<Line>,
}

struct Line {
    input: ChildStdin,
    next_id: u64,
    answers: Receiver<(u64, Option<String>)>,
}

/// Everything that QEMU says, but for answers, which go to [`Monitor`]; ends with the process.
pub(super) struct Messages {
    output: BufReader<ChildStdout>,
    answers: SyncSender<(u64, Option<String>)>,
}

/// Shakes hands with a QEMU that was just started.
pub(super) fn open(input: ChildStdin, output: ChildStdout) -> Result<(Monitor, Messages)> {
    let (answers, answered) = sync_channel(UNCLAIMED);
    let mut messages = Messages { output: BufReader::new(output), answers };
    let mut line = Line { input, next_id: 0, answers: answered };
    let silent = || Error::new(ErrorKind::Io, "QEMU closed its control connection");
    while messages.next_message().ok_or_else(silent)? != Message::Greeting {}
    line.send("qmp_capabilities", &json!({}))?;
    while !matches!(messages.next_message().ok_or_else(silent)?, Message::Answer { .. }) {}
    Ok((Monitor { line: Mutex::new(line) }, messages))
}

impl Messages {
    fn next_message(&mut self) -> Option<Message> {
        let mut line = Vec::new();
        match self.output.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(Message::parse(&line)),
        }
    }
}

impl Iterator for Messages {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        loop {
            match self.next_message()? {
                Message::Answer { id, refusal } => drop(self.answers.try_send((id, refusal))),
                message => return Some(message),
            }
        }
    }
}

impl Monitor {
    /// Has a command carried out.
    pub(super) fn execute(&self, command: &str, arguments: Value) -> Result<()> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let id = line.send(command, &arguments)?;
        loop {
            let (answered, refusal) = line.answers.recv_timeout(PATIENCE).map_err(|e| {
                Error::new(ErrorKind::Io, format!("QEMU does not answer {command}")).with_source(e)
            })?;
            match refusal {
                _ if answered != id => {} // to a command that was given up
                Some(why) => return Err(Error::new(ErrorKind::Io, format!("QEMU refused {command}: {why}"))),
                None => return Ok(()),
            }
        }
    }
}

impl Line {
    /// Sends a command; answers its number.
    fn send(&mut self, command: &str, arguments: &Value) -> Result<u64> {
        let id = self.next_id;
        self.next_id += 1;
        let mut line = json!({ "execute": command, "arguments": arguments, "id": id }).to_string();
        line.push('\n');
        self.input
            .write_all(line.as_bytes())
            .map_err(|e| Error::io(format!("QEMU does not take {command}: the machine is gone"), e))?;
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_and_what_is_not_known_is_passed_over() {
        let table = [
            (r#"{"QMP": {"version": {}, "capabilities": ["oob"]}}"#, Message::Greeting),
            (r#"{"return": {}, "id": 3}"#, Message::Answer { id: 3, refusal: None }),
            (
                r#"{"id": 4, "error": {"class": "GenericError", "desc": "no such thing"}}"#,
                Message::Answer { id: 4, refusal: Some("no such thing".to_owned()) },
            ),
            (
                r#"{"event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}"#,
                Message::Reset { by_guest: true },
            ),
            (
                r#"{"event": "SHUTDOWN", "data": {"guest": false, "reason": "host-qmp-quit"}}"#,
                Message::Shutdown { by_guest: false },
            ),
            (r#"{"event": "RTC_CHANGE", "data": {}}"#, Message::Other),
            ("{\"retu", Message::Other),
            ("[]", Message::Other),
            ("", Message::Other),
        ];
        for (line, message) in table {
            assert_eq!(Message::parse(line.as_bytes()), message, "{line}");
        }
    }
}
