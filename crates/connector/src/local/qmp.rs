//! QMP, QEMU's control protocol: one JSON object a line on a unix socket.
//!
//! ```text
//!   QEMU  {"QMP": {"version": …}}                     greeting
//!   we    {"execute": "qmp_capabilities", "id": 0}
//!   QEMU  {"return": {}, "id": 0}
//!   we    {"execute": "query-status", "id": 1}
//!   QEMU  {"event": "RTC_CHANGE", …}                  events come at any time and are passed over
//!   QEMU  {"return": {"status": "running"}, "id": 1}  or {"error": {"class": …, "desc": …}, "id": 1}
//! ```
//!
//! QEMU serves one client at a time; another one waits for its greeting until that one leaves, so a connection is
//! made for one question and closed. Source: QEMU's `docs/interop/qmp-spec.txt` and `qapi/*.json`.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Error, ErrorKind, Result};

/// Longest line that is read. `query-block` of a machine with a few disks takes some 10 KiB.
const MAX_LINE: u64 = 1 << 20;

/// A connection in command mode.
pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
    deadline: Instant,
    next_id: u64,
}

#[derive(Deserialize)]
struct Reply {
    id: Option<u64>,
    #[serde(rename = "return")]
    value: Option<Value>,
    error: Option<Refusal>,
    #[serde(rename = "QMP")]
    greeting: Option<Value>,
}

#[derive(Deserialize)]
struct Refusal {
    desc: String,
}

impl Qmp {
    /// Connects and leaves the greeting behind. All that is done with the connection must end within `patience`.
    pub(super) fn connect(socket: &Path, patience: Duration) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .map_err(|e| Error::io(format!("cannot reach QEMU on '{}'", socket.display()), e))?;
        let mut qmp =
            Self { stream: BufReader::new(stream), deadline: Instant::now() + patience, next_id: 0 };
        while qmp.receive()?.greeting.is_none() {}
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Has a command carried out and answers what QEMU returns.
    pub(super) fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let id = self.next_id;
        self.next_id += 1;
        let mut line = json!({ "execute": command, "arguments": arguments, "id": id }).to_string();
        line.push('\n');
        let left = self.time_left()?;
        let stream = self.stream.get_mut();
        stream.set_write_timeout(Some(left)).map_err(|e| io(command, e))?;
        stream.write_all(line.as_bytes()).map_err(|e| io(command, e))?;
        loop {
            let reply = self.receive()?;
            if reply.id != Some(id) {
                continue;
            }
            return match (reply.error, reply.value) {
                (Some(refusal), _) => {
                    let what = format!("QEMU refused {command}: {}", refusal.desc);
                    Err(Error::new(ErrorKind::Io, what))
                }
                (None, value) => Ok(value.unwrap_or(Value::Null)),
            };
        }
    }

    fn receive(&mut self) -> Result<Reply> {
        let mut line = Vec::new();
        // The timeout is per read; a line that comes in drops ends at the deadline plus one of them.
        let left = self.time_left()?;
        self.stream.get_mut().set_read_timeout(Some(left)).map_err(|e| io("an answer", e))?;
        let read = self.stream.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        match read.map_err(|e| io("an answer", e))? {
            0 => Err(Error::new(ErrorKind::Io, "QEMU closed its control connection")),
            _ => serde_json::from_slice(&line)
                .map_err(|e| Error::new(ErrorKind::Io, "QEMU sent what is no QMP message").with_source(e)),
        }
    }

    fn time_left(&self) -> Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::new(
                ErrorKind::Timeout,
                "QEMU did not answer on its control connection in time",
            ));
        }
        Ok(left)
    }
}

fn io(what: &str, source: std::io::Error) -> Error {
    // A socket's timeout shows as WouldBlock.
    let kind = match source.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => ErrorKind::Timeout,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("QEMU's control connection failed at {what}")).with_source(source)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// Answers one connection with these lines, whatever is asked.
    fn answering(lines: &'static [&'static str]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qmp.sock");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for line in lines {
                stream.write_all(line.as_bytes()).unwrap();
                stream.write_all(b"\n").unwrap();
            }
            // Held open until the other side leaves.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        (folder, path)
    }

    const GREETING: &str = r#"{"QMP": {"version": {}, "capabilities": []}}"#;

    #[test]
    fn events_and_answers_to_other_questions_are_passed_over() {
        let (_folder, path) = answering(&[
            GREETING,
            r#"{"return": {}, "id": 0}"#,
            r#"{"event": "POWERDOWN", "timestamp": {}}"#,
            r#"{"return": {"status": "stale"}, "id": 7}"#,
            r#"{"return": {"status": "running"}, "id": 1}"#,
        ]);
        let mut qmp = Qmp::connect(&path, Duration::from_secs(10)).unwrap();
        assert_eq!(qmp.execute("query-status", json!({})).unwrap()["status"], "running");
    }

    #[test]
    fn a_refusal_carries_the_reason_that_qemu_gives() {
        let (_folder, path) = answering(&[
            GREETING,
            r#"{"return": {}, "id": 0}"#,
            r#"{"error": {"class": "GenericError", "desc": "no such thing"}, "id": 1}"#,
        ]);
        let mut qmp = Qmp::connect(&path, Duration::from_secs(10)).unwrap();
        let error = qmp.execute("cont", json!({})).unwrap_err();
        assert_eq!(error.to_string(), "QEMU refused cont: no such thing");
    }

    #[test]
    fn silence_and_nonsense_end_with_an_error() {
        let (_folder, path) = answering(&[]);
        let error = Qmp::connect(&path, Duration::from_millis(50)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let (_folder, path) = answering(&["HTTP/1.1 200 OK"]);
        assert!(Qmp::connect(&path, Duration::from_secs(10)).is_err());
    }
}
