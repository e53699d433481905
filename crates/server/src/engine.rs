//! Runs tasks: a thread for each that has something to do, none for those that wait or have ended.
//!
//! ```text
//!   launch ─▶ thread: Runner::drive ─┬─▶ waiting: the thread ends; finalize, cancel, retry launch it again
//!                                    ├─▶ ended: the row is closed
//!                                    └─▶ the catalog failed: tried again after a pause
//! ```

use crate::catalog::{Catalog, TaskRow};
use crate::error::{Error, Result, chain};
use crate::feed::Feed;
use crate::jobs;
use crate::world::World;
use shale_task::{
    CancelAnswer, Drive, Ending, Event, Journal, JournalError, Kind, Observer, Progress, Runner, SignalError,
    Summary, WallClock, summary,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use uuid::Uuid;

/// Pause before a task is driven again after the catalog failed.
const PAUSE: Duration = Duration::from_secs(5);
/// Most often that a task's progress is told.
const TELL: Duration = Duration::from_millis(250);

/// Task logs in the catalog.
struct CatalogJournal {
    catalog: Catalog,
    runtime: Handle,
}

fn task_id(task: &str) -> std::result::Result<Uuid, JournalError> {
    Uuid::parse_str(task).map_err(|e| JournalError::new("The task has no proper id.").because(e))
}

impl Journal for CatalogJournal {
    fn append(&self, task: &str, event: &Event) -> std::result::Result<(), JournalError> {
        let id = task_id(task)?;
        let appended: Result<()> = self.runtime.block_on(async {
            let mut tx = self.catalog.begin().await?;
            TaskRow::append(&mut tx, id, event).await?;
            Ok(tx.commit().await?)
        });
        appended.map_err(|e| JournalError::new("The task's log cannot be written.").because(e))
    }

    fn log(&self, task: &str) -> std::result::Result<Vec<Event>, JournalError> {
        let id = task_id(task)?;
        let log: Result<Vec<Event>> = self.runtime.block_on(async {
            let mut tx = self.catalog.read().await?;
            TaskRow::log(&mut tx, id).await
        });
        log.map_err(|e| JournalError::new("The task's log cannot be read.").because(e))
    }
}

/// How far a running step is, with its pace.
#[derive(Clone)]
struct Pace {
    progress: Progress,
    /// The last note of the step, which progress in bytes does not wipe out.
    note: Option<String>,
    since: Instant,
    base: u64,
    told: Instant,
}

impl Pace {
    /// Bytes per second, smoothed over some seconds by moving the base along.
    fn rate(&self) -> Option<u64> {
        let seconds = self.since.elapsed().as_secs_f64();
        (seconds > 0.5)
            .then(|| ((self.progress.done_bytes.saturating_sub(self.base)) as f64 / seconds) as u64)
    }
}

/// Takes progress in, tells watchers.
struct Teller {
    feed: Arc<Feed>,
    paces: Mutex<HashMap<String, Pace>>,
}

impl Teller {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Pace>> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, task: &str) {
        if let Ok(id) = Uuid::parse_str(task) {
            self.feed.publish("task", id, false);
        }
    }
}

impl Observer for Teller {
    fn progressed(&self, task: &str, progress: &Progress) {
        let now = Instant::now();
        let mut paces = self.lock();
        let known = paces.get(task).filter(|pace| pace.progress.step == progress.step);
        let mut pace = match known {
            Some(pace) => pace.clone(),
            None => Pace {
                progress: progress.clone(),
                note: None,
                since: now,
                base: progress.done_bytes,
                told: now - TELL,
            },
        };
        if progress.note.is_some() {
            pace.note.clone_from(&progress.note);
        } else {
            pace.progress = progress.clone();
        }
        if now - pace.since > Duration::from_secs(10) {
            let rate = pace.rate().unwrap_or(0);
            pace.since = now - Duration::from_secs(2);
            pace.base = pace.progress.done_bytes.saturating_sub(rate * 2);
        }
        let tell = now - pace.told >= TELL;
        if tell {
            pace.told = now;
        }
        paces.insert(task.to_owned(), pace);
        drop(paces);
        if tell {
            self.publish(task);
        }
    }

    fn logged(&self, task: &str, _: &Event) {
        self.publish(task);
    }

    fn failed(&self, task: &str, step: &str, error: &shale_task::StepError) {
        tracing::warn!(task, step, error = chain(error), "a step failed");
    }
}

/// The running tasks.
pub struct Engine {
    world: Arc<World>,
    kinds: HashMap<&'static str, Kind<World>>,
    runner: Runner,
    teller: Arc<Teller>,
}

impl Engine {
    /// An engine over `world` that knows all kinds of tasks. Nothing runs yet: see [`Engine::launch_open`].
    pub fn new(world: Arc<World>) -> Arc<Self> {
        let journal = CatalogJournal { catalog: world.catalog.clone(), runtime: Handle::current() };
        let teller = Arc::new(Teller { feed: world.feed.clone(), paces: Mutex::default() });
        let runner = Runner::new(Arc::new(journal), Arc::new(WallClock), teller.clone());
        let kinds = jobs::kinds().into_iter().map(|kind| (kind.name(), kind)).collect();
        Arc::new(Self { world, kinds, runner, teller })
    }

    /// Goes on with every task that has not ended: after a start.
    pub async fn launch_open(self: &Arc<Self>) -> Result<()> {
        let mut tx = self.world.catalog.read().await?;
        for task in TaskRow::open(&mut tx).await? {
            self.launch(task);
        }
        Ok(())
    }

    /// Drives a task in a thread of its own, as far as it goes.
    pub fn launch(self: &Arc<Self>, task: TaskRow) {
        let engine = self.clone();
        let name = format!("task-{}", &task.id.to_string()[24..]);
        let spawned = std::thread::Builder::new().name(name).spawn(move || engine.drive(&task));
        if let Err(error) = spawned {
            // It stays open in the catalog and goes on at the next start, or when somebody asks.
            tracing::error!(%error, "no thread for a task");
        }
    }

    fn drive(&self, task: &TaskRow) {
        let id = task.id.to_string();
        let Some(kind) = self.kinds.get(task.kind.as_str()) else {
            let text = format!("This release of Shale knows no task of the kind '{}'.", task.kind);
            return self.end(task, "stuck", Some(text));
        };
        let ended = loop {
            match self.runner.drive(&id, kind, &self.world, &task.input) {
                // The thread that drives it already sees whatever was asked.
                Ok(Drive::Busy) => return,
                Ok(Drive::Waiting(_)) => break None,
                Ok(Drive::Ended(ending)) => break Some(told(ending)),
                Err(error) => {
                    tracing::error!(task = id, error = chain(&error), "a task's log failed; trying again");
                    std::thread::sleep(PAUSE);
                }
            }
        };
        self.teller.lock().remove(&id);
        match ended {
            Some((ending, error)) => self.end(task, ending, error),
            None => self.changed(task),
        }
    }

    /// Notes the end in the task's row; it is in the log already. A layer stays claimed until it is noted.
    fn end(&self, task: &TaskRow, ending: &str, error: Option<String>) {
        let end = || -> Result<()> {
            self.world.wait(async {
                let mut tx = self.world.catalog.begin().await?;
                TaskRow::end(&mut tx, task.id, ending, error.as_deref()).await?;
                Ok(tx.commit().await?)
            })
        };
        while let Err(error) = end() {
            tracing::error!(task = %task.id, error = chain(&error), "a task's end could not be noted; trying again");
            std::thread::sleep(PAUSE);
        }
        self.tell(task, |noun| jobs::is_gone(task, ending, noun));
    }

    /// Tells watchers of everything that a task may have changed, before it has ended.
    pub fn changed(&self, task: &TaskRow) {
        self.tell(task, |_| false);
    }

    fn tell(&self, task: &TaskRow, is_gone: impl Fn(&str) -> bool) {
        for (noun, id) in jobs::objects(task) {
            self.world.feed.publish(noun, id, is_gone(noun));
        }
        // Last, so that who sees a task end has been told of all it did.
        self.world.feed.publish("task", task.id, false);
    }

    /// What a task's log says of it now.
    pub fn summary(&self, task: &TaskRow, log: &[Event]) -> Option<Summary> {
        let kind = self.kinds.get(task.kind.as_str())?;
        Some(summary(&kind.rules(), log, self.runner.is_running(&task.id.to_string())))
    }

    /// How far the running step of a task is.
    pub fn progress(&self, task: Uuid) -> Option<(shale_api::Progress, Option<String>)> {
        let paces = self.teller.lock();
        let pace = paces.get(&task.to_string())?;
        let rate = pace.rate();
        let left = pace.progress.total_bytes.map(|total| total.saturating_sub(pace.progress.done_bytes));
        let eta = rate.filter(|rate| *rate > 0).zip(left).map(|(rate, left)| left.div_ceil(rate));
        let progress = shale_api::Progress {
            step: pace.progress.step.clone(),
            done_bytes: pace.progress.done_bytes,
            total_bytes: pace.progress.total_bytes,
            rate_bytes: rate,
            eta_seconds: eta,
        };
        Some((progress, pace.note.clone()))
    }

    /// Asks to cancel a task. For a thread that may block.
    pub fn cancel(self: &Arc<Self>, task: TaskRow, by: &str) -> Result<()> {
        let answer = self.runner.cancel(&task.id.to_string(), &self.kind(&task)?.rules(), by);
        match answer.map_err(log_error)? {
            CancelAnswer::Honoured | CancelAnswer::AlreadyUndoing => {
                self.launch(task);
                Ok(())
            }
            CancelAnswer::TooLate => {
                Err(Error::not_allowed("The task is about to end: it is too late to cancel it."))
            }
            CancelAnswer::Ended => Err(Error::not_allowed("The task has ended: there is nothing to cancel.")),
        }
    }

    /// Answers a task that waits. For a thread that may block.
    pub fn signal(self: &Arc<Self>, task: TaskRow, signal: &str, data: serde_json::Value) -> Result<()> {
        let rules = self.kind(&task)?.rules();
        let answered = self.runner.signal(&task.id.to_string(), &rules, signal, data);
        self.answered(task, answered)
    }

    /// Tries a stuck task again. For a thread that may block.
    pub fn retry(self: &Arc<Self>, task: TaskRow) -> Result<()> {
        let rules = self.kind(&task)?.rules();
        // Opened before the log says so: cut off in between, it is a stuck task that the next start closes again.
        let reopened: Result<()> = self.world.wait(async {
            let mut tx = self.world.catalog.begin().await?;
            TaskRow::reopen(&mut tx, task.id).await?;
            Ok(tx.commit().await?)
        });
        reopened?;
        let answered = self.runner.retry(&task.id.to_string(), &rules);
        if answered.is_err() {
            self.launch(task.clone());
        }
        self.answered(task, answered)
    }

    fn answered(self: &Arc<Self>, task: TaskRow, answer: std::result::Result<(), SignalError>) -> Result<()> {
        match answer {
            Ok(()) => {
                self.launch(task);
                Ok(())
            }
            Err(error @ SignalError::NotWaiting(_)) => Err(Error::not_allowed(error.to_string())),
            Err(SignalError::Journal(error)) => Err(log_error(error)),
        }
    }

    fn kind(&self, task: &TaskRow) -> Result<&Kind<World>> {
        self.kinds.get(task.kind.as_str()).ok_or_else(|| {
            Error::unsupported(format!("This release of Shale knows no task of the kind '{}'.", task.kind))
        })
    }
}

fn log_error(error: JournalError) -> Error {
    Error::unavailable("The task's log could not be used.").because(error)
}

/// An ending as it is kept in the task's row.
fn told(ending: Ending) -> (&'static str, Option<String>) {
    match ending {
        Ending::Done => ("done", None),
        Ending::Failed { why } => ("failed", Some(why)),
        Ending::Canceled => ("canceled", None),
        Ending::Stuck { why, left } => {
            ("stuck", Some(format!("{why} Left to do or to remove: {}.", left.join(", "))))
        }
    }
}
