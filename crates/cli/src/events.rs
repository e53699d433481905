//! `shale events`: what changes, as it happens. A stream that breaks is taken up after the last event seen.

use crate::client::{Client, with_query};
use crate::failure::{Exit, Failure, Outcome};
use crate::sse::Parser;
use crate::table::{Cell, Sheet};
use crate::terminal::{Terminal, View};
use shale_api::Event;
use std::io::Read;
use std::thread::sleep;
use std::time::Duration;

/// The longest pause before the stream is opened again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What `shale events` takes.
#[derive(Debug, clap::Args)]
pub struct Watch {
    /// Only these kinds: task, layer, version, connector, template, image, machine, schedule, upload, user, token
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<String>,
    /// Stop after this many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

/// Where a stream stands.
struct Stream {
    /// The last event's id.
    last: Option<String>,
    /// How many more are wanted.
    left: Option<u64>,
}

/// Prints events until enough were seen, or for ever.
pub fn run(watch: &Watch, client: &Client, terminal: &Terminal) -> Outcome {
    let kinds = watch.kind.join(",");
    let query: Vec<(&str, &str)> = if kinds.is_empty() { Vec::new() } else { vec![("kinds", &kinds)] };
    let path = with_query("/events", &query);
    let mut stream = Stream { last: None, left: watch.count };
    let mut pause = Duration::ZERO;
    let mut connected = false;
    loop {
        match stream.read(&path, client, terminal) {
            Ok(true) => return Ok(Exit::Ok),
            Ok(false) => {
                connected = true;
                pause = Duration::from_millis(500);
            }
            // The first connection must work; later ones may have to wait for the server.
            Err(failure) if connected && failure.unreachable => {
                pause = (pause * 2).clamp(Duration::from_secs(1), LONGEST_PAUSE);
                terminal.note(&format!("{}; trying again", failure.text));
            }
            Err(failure) => return Err(failure),
        }
        sleep(pause);
    }
}

impl Stream {
    /// Prints what comes until the stream ends (`false`) or enough was seen (`true`).
    fn read(&mut self, path: &str, client: &Client, terminal: &Terminal) -> Result<bool, Failure> {
        if self.left == Some(0) {
            return Ok(true);
        }
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(self.last.as_deref().map(|last| ("last-event-id", last)));
        let mut body = client.open(path, &headers)?.into_body().into_reader();
        let mut parser = Parser::default();
        let mut buffer = [0; 8192];
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) | Err(_) => return Ok(false),
                Ok(n) => n,
            };
            for message in parser.feed(&buffer[..n])? {
                let event: Event = serde_json::from_str(&message.data).map_err(|e| {
                    Failure::new(
                        Exit::Failed,
                        format!("the server sent an event that is not understood: {e}"),
                    )
                })?;
                terminal.stream(&event)?;
                self.last = message.id.or(self.last.take());
                if let Some(left) = &mut self.left {
                    *left -= 1;
                    if *left == 0 {
                        return Ok(true);
                    }
                }
            }
        }
    }
}

impl View for Event {
    const COLUMNS: &'static [&'static str] = &["SEQ", "KIND", "ID", "CHANGE", "WHAT"];

    fn id(&self) -> String {
        self.id.map(|id| id.to_string()).unwrap_or_default()
    }

    fn name(&self) -> String {
        format!("{} {}", self.kind, self.id())
    }

    fn row(&self) -> Vec<Cell> {
        let what =
            self.task.as_ref().map(|task| format!("{}: {}", task.title.trim_end_matches('.'), task.state));
        vec![
            self.seq.to_string().into(),
            self.kind.clone().into(),
            self.id().into(),
            self.change.clone().into(),
            what.unwrap_or_default().into(),
        ]
    }

    fn sheet(&self) -> Sheet {
        Sheet::default().with("Event", self.name())
    }
}
