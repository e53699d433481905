//! The work in an unattended machine, which is a script's: followed, in the place of a person's, by the step `work` of
//! [`super::add_version`].
//!
//! ```text
//!   look: is it on? what is new on its port? ─▶ output, kept ─┐
//!     ▲                                                       │ not over; off, to be restarted: powered on
//!     └───────────────────────── a moment ────────────────────┘
//!                                                             │ ended well, and off ─▶ examined and taken
//!                                                             └ failed, off without an end, too long ─▶ keep:    asks a person
//!                                                                                                       discard: turns back
//! ```
//!
//! What the machine told is read from its beginning again after a restart of the server: the port's log has all of it. Where
//! there is no port, the record is read from the disk, once the machine is off.

use super::OrFail;
use super::add_version::Bench;
use crate::starter;
use crate::stored::seen;
use crate::story::{Ended, Story};
use crate::world::World;
use serde::{Deserialize, Serialize};
use shale_connector::{Observed, Power};
use shale_disk::Disk;
use shale_guest::script::Outcome;
use shale_model::message;
use shale_task::{Context, Retry, StepError};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Between two looks.
const ROUND: Duration = Duration::from_millis(500);
/// After something that could not be done now.
const PAUSE: Duration = Duration::from_secs(5);
/// Most that is read at once.
const PART: u64 = 1 << 20;
/// A machine that told nothing for so long has no program that would.
const SILENCE: jiff::SignedDuration = jiff::SignedDuration::from_mins(30);

/// Why a run has failed whose machine is off and does not say why.
const OFF: &str = "The machine went off before its script had ended, or never began it.";

/// What a task must know of its script. The rest is on the machine's CD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The script's name.
    pub script: String,
    /// A machine in which it failed is deleted.
    pub discard: bool,
    /// Minutes after which it has failed.
    pub minutes: u32,
}

/// How the script's work ended.
pub(super) enum Work {
    /// Well: the machine is off, and waits for nobody.
    Done,
    /// Not well.
    Failed {
        /// Why, in a sentence or two.
        why: String,
        /// The end of what it printed.
        output: String,
    },
}

/// Follows the machine until its script is over.
pub(super) fn follow(world: &World, cx: &Context, bench: &Bench, run: &Run) -> Result<Work, StepError> {
    let output = Output::begin(world.place.run_output(bench.input.version_id)).or_fail()?;
    let mut watched = Watched { story: Story::default(), from: 0, output };
    let began = began(cx);
    loop {
        if cx.canceled() {
            return Err(StepError::stopped());
        }
        let look = match bench.connector.observe(&bench.tag) {
            Ok(seen) => {
                watched.read(&seen).or_fail()?;
                watched.look(world, cx, bench, &seen)?
            }
            Err(_) => {
                Look::Later("The platform does not say how the machine stands; it is asked again.".into())
            }
        };
        let (over, trouble) = match look {
            Look::Over(work) => (Some(work), None),
            Look::Later(text) => (None, Some(text)),
            Look::On => (None, None),
        };
        if let Some(over) = over.or_else(|| too_long(began, run, &watched.story, bench)) {
            watched.output.finish().or_fail()?;
            return Ok(over);
        }
        if let Some(line) = trouble.as_deref().or(watched.story.last_line()) {
            cx.note(line);
        }
        let mut rest = if trouble.is_some() { PAUSE } else { ROUND };
        while !rest.is_zero() && !cx.canceled() {
            std::thread::sleep(ROUND.min(rest));
            rest = rest.saturating_sub(ROUND);
        }
    }
}

/// When the machine was powered on.
fn began(cx: &Context) -> jiff::Timestamp {
    let at = cx.output("power_on").and_then(|output| output["at"].as_str()?.parse().ok());
    at.unwrap_or_else(jiff::Timestamp::now)
}

fn too_long(began: jiff::Timestamp, run: &Run, story: &Story, bench: &Bench) -> Option<Work> {
    let passed = jiff::Timestamp::now().duration_since(began);
    let why = if passed >= jiff::SignedDuration::from_mins(run.minutes.into()) {
        format!("It did not end within {} minutes.", run.minutes)
    } else if bench.connector.has_port() && !story.began && passed >= SILENCE {
        format!(
            "Nothing was heard of it within {} minutes: look at the machine's screen whether it has started.",
            SILENCE.as_mins()
        )
    } else {
        return None;
    };
    Some(Work::Failed { why, output: story.tail().to_owned() })
}

/// What one look at the machine says.
enum Look {
    /// The work goes on.
    On,
    /// Something cannot be done now, and is tried again: what, for people.
    Later(String),
    /// The work has ended.
    Over(Work),
}

/// What is followed.
struct Watched {
    story: Story,
    /// Where in the port's log.
    from: u64,
    output: Output,
}

impl Watched {
    /// Reads what is new on the port.
    fn read(&mut self, seen: &Observed) -> io::Result<()> {
        let Some(log) = &seen.port_log else { return Ok(()) };
        loop {
            let bytes = part(log, &mut self.from)?;
            if bytes.is_empty() {
                return self.output.put(&self.story);
            }
            self.story.take(&bytes);
        }
    }

    /// How it ended, if the machine says so or is off.
    fn look(
        &mut self,
        world: &World,
        cx: &Context,
        bench: &Bench,
        seen: &Observed,
    ) -> Result<Look, StepError> {
        let is_off = match seen.power {
            Power::Running | Power::Paused => false,
            Power::Off => true,
            Power::Absent => return Ok(self.failed("The machine is gone.")),
        };
        if is_off && self.story.ended.is_none() {
            // What it told last may have been written since this was looked at; and without a port all is on the disk.
            self.read(seen).or_fail()?;
            if self.story.ended.is_none() && !self.story.restarting {
                if let Err(error) = self.read_disk(world, bench) {
                    return self.later(cx, &format!("{OFF} Its disk cannot be read"), &error);
                }
                self.output.put(&self.story).or_fail()?;
            }
        }
        if is_off && self.story.restarting && self.story.ended.is_none() {
            let started: Result<(), StepError> = bench.connector.power_on(&bench.tag).or_fail();
            return match started {
                Ok(()) => Ok(Look::On),
                Err(error) => self.later(cx, "The machine cannot be started again", &error),
            };
        }
        Ok(match &self.story.ended {
            Some(Ended { outcome: Outcome::Failed, text }) => self.failed(text),
            Some(Ended { outcome: Outcome::Done, .. }) if is_off => Look::Over(Work::Done),
            None if is_off => self.failed(OFF),
            _ => Look::On,
        })
    }

    /// What cannot be done now is tried again with the next look, until the time is over; what never can be has failed.
    fn later(&self, cx: &Context, what: &str, error: &StepError) -> Result<Look, StepError> {
        if cx.canceled() {
            return Err(StepError::stopped());
        }
        if error.retry() != Retry::Later {
            return Ok(self.failed(&format!("{what}: {}", error.why())));
        }
        Ok(Look::Later(format!("{what}; it is tried again. {}", error.why())))
    }

    fn failed(&self, why: &str) -> Look {
        Look::Over(Work::Failed { why: why.to_owned(), output: self.story.tail().to_owned() })
    }

    /// Takes the story from the record on the disk, if that is there and tells more.
    fn read_disk(&mut self, world: &World, bench: &Bench) -> Result<(), StepError> {
        let go_on = |_| std::ops::ControlFlow::Continue(());
        let changes: Arc<dyn Disk> =
            Arc::from(bench.connector.open_changes(&bench.tag, &go_on).or_fail()?.disk);
        let base = world.repository.version(bench.input.base_version_id.into()).or_fail()?;
        let (now, _) = seen(changes, base, bench.input.disk_size).or_fail()?;
        if let Some(record) = starter::record(&world.files_program(), &now).or_fail()? {
            let mut story = Story::default();
            story.take(&record);
            if story.text().len() > self.story.text().len() {
                self.story = story;
            }
        }
        Ok(())
    }
}

/// What a file has from `from` on, at most [`PART`]; moves `from` on. A file that is shorter was emptied, and begins anew.
fn part(path: &Path, from: &mut u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    if file.metadata()?.len() < *from {
        *from = 0;
    }
    file.seek(SeekFrom::Start(*from))?;
    let mut bytes = Vec::new();
    file.take(PART).read_to_end(&mut bytes)?;
    *from += bytes.len() as u64;
    Ok(bytes)
}

/// The text that is kept: a file that grows.
struct Output {
    path: PathBuf,
    file: File,
    length: usize,
}

impl Output {
    /// An empty one: what was told is told again.
    fn begin(path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        Ok(Self { file: File::create(&path)?, path, length: 0 })
    }

    /// Writes what the story has beyond what is there. The story may be another one, from the disk.
    fn put(&mut self, story: &Story) -> io::Result<()> {
        let text = story.text().as_bytes();
        if text.len() < self.length {
            *self = Self::begin(self.path.clone())?;
        }
        self.file.write_all(&text[self.length..])?;
        self.length = text.len();
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// What a person reads of a script that failed in a machine that stays.
pub(super) fn needs(
    mut waits: serde_json::Value,
    machine: &str,
    why: &str,
    output: &str,
) -> serde_json::Value {
    waits["text"] = message::script_failed(machine).into();
    waits["problem"] = why.into();
    waits["output"] = output.into();
    waits
}

impl<T> OrFail<T> for io::Result<T> {
    fn or_fail(self) -> Result<T, StepError> {
        self.map_err(|e| {
            super::fail(
                &crate::error::Error::unavailable("The output of a script cannot be kept").because(e),
                false,
                true,
            )
        })
    }
}
