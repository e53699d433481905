//! The dull loop that carries decisions out.
//!
//! ```text
//!   drive: ┌─▶ lock ─ read log ─ next ─ append Started ─ unlock ─▶ run the step ─▶ append its outcome ─┐
//!          └──────────────────────────────────────────────────────────────────────────────────────────┘
//!   cancel, signal, retry:  lock ─ read log ─ may it be? ─ append ─ unlock
//! ```
//!
//! One lock orders decisions and what people ask for: a cancel is either before the next step in the log, and that
//! step never begins, or behind it. No lock is held while a step runs.

use crate::decide::{Ending, Next, RETRY, Replay, Rule};
use crate::event::{Event, Retry};
use crate::journal::{Journal, JournalError};
use crate::state::{State, state};
use crate::step::{Context, Kind, Link, Outcome, Progress, Step, StepError};
use crate::sweep::Crash;
use serde_json::Value;
use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lets time pass between tries.
pub trait Clock: Send + Sync {
    /// Returns after `d`, or soon after `until` answers true.
    fn sleep(&self, d: Duration, until: &dyn Fn() -> bool);
}

/// The clock on the wall.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn sleep(&self, d: Duration, until: &dyn Fn() -> bool) {
        const SLICE: Duration = Duration::from_millis(100);
        let mut left = d;
        while !left.is_zero() && !until() {
            let slice = left.min(SLICE);
            std::thread::sleep(slice);
            left -= slice;
        }
    }
}

/// Is told what happens, after it is durable. Must be quick, and must not call the runner.
pub trait Observer: Send + Sync {
    /// A running step reports. As often as the step likes; not in the log.
    fn progressed(&self, _task: &str, _progress: &Progress) {}

    /// An event was appended.
    fn logged(&self, _task: &str, _event: &Event) {}

    /// A try failed: the whole error, whose cause is not in the log.
    fn failed(&self, _task: &str, _step: &str, _error: &StepError) {}
}

/// An observer that looks away.
impl Observer for () {}

/// How a drive ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Drive {
    /// The task waits for a person; drive it again after a signal or a cancel. The value says what is needed.
    Waiting(Value),
    /// The task is over.
    Ended(Ending),
    /// Somebody else drives it now.
    Busy,
}

/// What became of the wish to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAnswer {
    /// The task turns back. A task that waits must be driven to do so.
    Honoured,
    /// It is being undone already, because of a cancel or a failure.
    AlreadyUndoing,
    /// The point of no return has been passed. The log keeps that it was asked.
    TooLate,
    /// The task is over.
    Ended,
}

/// A signal that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The task does not wait for one: nothing was recorded.
    #[error("The task does not wait for an answer now: it is {0}.")]
    NotWaiting(State),
    /// The log could not be read or written.
    #[error("The task's log could not be used.")]
    Journal(#[from] JournalError),
}

/// Drives tasks: one runner for each journal, shared by all threads.
pub struct Runner {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    /// The tasks that are driven now, each with its cancel flag. Also the lock of all decisions.
    driven: Mutex<HashMap<String, Arc<AtomicBool>>>,
    /// The same tasks for those who only look. Never locked while the journal works: a look waits for nobody, also
    /// where who looks holds what the journal waits for.
    running: Mutex<HashSet<String>>,
}

type Driven<'a> = MutexGuard<'a, HashMap<String, Arc<AtomicBool>>>;

/// What one look at the log leads to.
enum Turn {
    Act { next: Next, log: Vec<Event> },
    Rest(Duration, Next),
    Leave(Drive),
}

impl Runner {
    /// A runner over `journal`.
    pub fn new(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>, observer: Arc<dyn Observer>) -> Self {
        Self { journal, clock, observer, driven: Mutex::default(), running: Mutex::default() }
    }

    /// Takes `task` as far as it goes without a person, in this thread. Call it for every task that is neither
    /// waiting nor ended: when it is made, after a signal, a cancel or a retry, and after a restart.
    ///
    /// A panic in a step is a failed try. An error of the journal comes back: what is durable is durable, drive the
    /// task again later.
    pub fn drive<W: ?Sized>(
        &self,
        task: &str,
        kind: &Kind<W>,
        world: &W,
        input: &Value,
    ) -> Result<Drive, JournalError> {
        let Some(seat) = Seat::take(self, task) else { return Ok(Drive::Busy) };
        let rules = kind.rules();
        let mut rested = None;
        loop {
            match self.turn(&seat, &rules, rested.take())? {
                Turn::Leave(drive) => return Ok(drive),
                Turn::Rest(pause, next) => {
                    let forward = matches!(next, Next::Run { .. });
                    self.clock.sleep(pause, &|| forward && seat.canceled());
                    rested = Some(next);
                }
                Turn::Act { next, log } => self.act(&seat, kind, world, input, &next, &log)?,
            }
        }
    }

    /// Asks to cancel. A step that runs sees it in [`Context::canceled`].
    pub fn cancel(&self, task: &str, rules: &[Rule], by: &str) -> Result<CancelAnswer, JournalError> {
        let driven = self.lock();
        let log = self.journal.log(task)?;
        let replay = Replay::new(rules, &log);
        let over = !driven.contains_key(task) && matches!(replay.next(), Next::End(_));
        if over || replay.broken.is_some() {
            return Ok(CancelAnswer::Ended);
        }
        if replay.canceled || replay.back.is_some() {
            return Ok(CancelAnswer::AlreadyUndoing);
        }
        self.append_locked(&driven, task, &Event::CancelAsked { by: by.to_owned() })?;
        if !replay.cancelable() {
            return Ok(CancelAnswer::TooLate);
        }
        if let Some(flag) = driven.get(task) {
            flag.store(true, Ordering::SeqCst);
        }
        Ok(CancelAnswer::Honoured)
    }

    /// Answers a task that waits; drive it afterwards. A signal that nothing waits for is refused and not recorded,
    /// so that a second click does not answer the task's next question.
    pub fn signal(&self, task: &str, rules: &[Rule], signal: &str, data: Value) -> Result<(), SignalError> {
        self.answer(task, rules, signal, data, |next, _| matches!(next, Next::Wait { .. }))
    }

    /// Makes a stuck task try again where it stopped; drive it afterwards.
    pub fn retry(&self, task: &str, rules: &[Rule]) -> Result<(), SignalError> {
        // The last try may be under way still: its log looks as if it had died.
        let stuck = |next: &Next, running: bool| !running && matches!(next, Next::End(Ending::Stuck { .. }));
        self.answer(task, rules, RETRY, Value::Null, stuck)
    }

    fn answer(
        &self,
        task: &str,
        rules: &[Rule],
        signal: &str,
        data: Value,
        fits: impl Fn(&Next, bool) -> bool,
    ) -> Result<(), SignalError> {
        let driven = self.lock();
        let log = self.journal.log(task)?;
        let replay = Replay::new(rules, &log);
        let running = driven.contains_key(task);
        if replay.broken.is_some() || !fits(&replay.next(), running) {
            return Err(SignalError::NotWaiting(state(rules, &log, running)));
        }
        self.append_locked(&driven, task, &Event::Signaled { signal: signal.to_owned(), data })?;
        Ok(())
    }

    /// Whether a thread drives `task` now.
    pub fn is_running(&self, task: &str) -> bool {
        self.running().contains(task)
    }

    fn running(&self) -> MutexGuard<'_, HashSet<String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, driven: &mut Driven<'_>, task: &str) {
        driven.remove(task);
        self.running().remove(task);
    }

    fn lock(&self) -> Driven<'_> {
        // The map is whole between any two statements that change it, so a panic elsewhere does not spoil it.
        self.driven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, task: &str, event: &Event) -> Result<(), JournalError> {
        self.append_locked(&self.lock(), task, event)
    }

    fn append_locked(&self, _lock: &Driven<'_>, task: &str, event: &Event) -> Result<(), JournalError> {
        self.journal.append(task, event)?;
        self.observer.logged(task, event);
        Ok(())
    }

    /// Decides, and records that a try begins before it does.
    fn turn(&self, seat: &Seat, rules: &[Rule], rested: Option<Next>) -> Result<Turn, JournalError> {
        let mut driven = self.lock();
        let log = self.journal.log(seat.task)?;
        let replay = Replay::new(rules, &log);
        let next = replay.next();
        let begin = match &next {
            Next::Wait { .. } | Next::End(_) => {
                // Left under the lock: whoever answers from now on finds the task free and drives it.
                self.leave(&mut driven, seat.task);
                return Ok(Turn::Leave(match next {
                    Next::End(ending) => Drive::Ended(ending),
                    _ => Drive::Waiting(replay.needs().cloned().unwrap_or_default()),
                }));
            }
            Next::Ask { .. } => return Ok(Turn::Act { next, log }),
            Next::Run { attempt, .. } | Next::Undo { attempt, .. }
                if *attempt > 1 && rested.as_ref() != Some(&next) =>
            {
                return Ok(Turn::Rest(pause_before(*attempt), next));
            }
            Next::Run { step, attempt } => {
                Event::Started { step: rules[*step].name.to_owned(), attempt: *attempt }
            }
            Next::Undo { step, attempt } => {
                Event::UndoStarted { step: rules[*step].name.to_owned(), attempt: *attempt }
            }
        };
        self.append_locked(&driven, seat.task, &begin)?;
        Ok(Turn::Act { next, log })
    }

    /// Does what was decided and records what came of it. `log` is the log before the try.
    fn act<W: ?Sized>(
        &self,
        seat: &Seat,
        kind: &Kind<W>,
        world: &W,
        input: &Value,
        next: &Next,
        log: &[Event],
    ) -> Result<(), JournalError> {
        let rules = kind.rules();
        let replay = Replay::new(&rules, log);
        let (index, attempt, undo) = match next {
            Next::Run { step, attempt } => (*step, *attempt, false),
            Next::Undo { step, attempt } => (*step, *attempt, true),
            Next::Ask { step, .. } => (*step, 1, false),
            Next::Wait { .. } | Next::End(_) => return Ok(()),
        };
        let step = kind.steps()[index].as_ref();
        let live = Live { runner: self, seat, undo, tenth: AtomicU64::new(0) };
        let cx = Context {
            task: seat.task,
            step: step.name(),
            input,
            outputs: &replay.outputs,
            attempt,
            signal: replay.signal.filter(|_| !undo),
            link: &live,
        };
        let event = match next {
            Next::Ask { why, .. } => {
                // Asking must not fail: if it panics, the reason alone must do.
                let ask = catch(|| Ok(step.ask(world, &cx, why)));
                let needs = ask.unwrap_or_else(|_| serde_json::json!({ "text": why }));
                Event::Waiting { step: step.name().to_owned(), needs }
            }
            _ if undo => self.undo(seat, step, world, &cx),
            _ => self.run(seat, step, world, &cx),
        };
        self.append(seat.task, &event)
    }

    fn run<W: ?Sized>(&self, seat: &Seat, step: &dyn Step<W>, world: &W, cx: &Context) -> Event {
        let name = step.name().to_owned();
        match catch(|| step.run(world, cx)) {
            Ok(Outcome::Done(output)) => Event::Done { step: name, output },
            Ok(Outcome::Wait(needs)) => Event::Waiting { step: name, needs },
            Err(error) => {
                self.observer.failed(seat.task, &name, &error);
                Event::Failed { step: name, why: error.why().to_owned(), retry: error.retry() }
            }
        }
    }

    fn undo<W: ?Sized>(&self, seat: &Seat, step: &dyn Step<W>, world: &W, cx: &Context) -> Event {
        let name = step.name().to_owned();
        match catch(|| step.undo(world, cx)) {
            Ok(()) => Event::UndoDone { step: name },
            Err(error) => {
                self.observer.failed(seat.task, &name, &error);
                Event::UndoFailed { step: name, why: error.why().to_owned(), retry: error.retry() }
            }
        }
    }
}

/// 1, 2, 4, … seconds, at most a minute.
fn pause_before(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.saturating_sub(2).min(6)).min(Duration::from_secs(60))
}

/// A step's panic is a failed try: what it left half-done is for its next try, or its undo, to find.
fn catch<T>(call: impl FnOnce() -> Result<T, StepError>) -> Result<T, StepError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        if payload.is::<Crash>() {
            resume_unwind(payload);
        }
        let said = panic_text(payload.as_ref());
        Err(StepError::new(format!("The program met a bug in itself: {said}."), Retry::Later))
    })
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it says no more".into())
}

/// The right to drive a task; given back when dropped.
struct Seat<'a> {
    runner: &'a Runner,
    task: &'a str,
    cancel: Arc<AtomicBool>,
}

impl<'a> Seat<'a> {
    fn take(runner: &'a Runner, task: &'a str) -> Option<Self> {
        let mut driven = runner.lock();
        if driven.contains_key(task) {
            return None;
        }
        let cancel = Arc::new(AtomicBool::new(false));
        driven.insert(task.to_owned(), cancel.clone());
        runner.running().insert(task.to_owned());
        Some(Self { runner, task, cancel })
    }

    fn canceled(&self) -> bool {
        self.cancel.load(Ordering::SeqCst)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut driven = self.runner.lock();
        // After a `Leave` another drive may have the seat already.
        if driven.get(self.task).is_some_and(|flag| Arc::ptr_eq(flag, &self.cancel)) {
            self.runner.leave(&mut driven, self.task);
        }
    }
}

/// What a running step sees of its runner.
struct Live<'a> {
    runner: &'a Runner,
    seat: &'a Seat<'a>,
    undo: bool,
    /// Tenths of the work already in the log.
    tenth: AtomicU64,
}

impl Link for Live<'_> {
    fn canceled(&self) -> bool {
        !self.undo && self.seat.canceled()
    }

    fn progressed(&self, progress: Progress) {
        self.runner.observer.progressed(self.seat.task, &progress);
        let Some(total) = progress.total_bytes.filter(|total| *total > 0) else { return };
        let tenth = progress.done_bytes.saturating_mul(10) / total;
        if tenth > self.tenth.fetch_max(tenth, Ordering::Relaxed) && tenth <= 10 {
            let Progress { step, done_bytes, total_bytes, note } = progress;
            let event = Event::Progressed { step, done_bytes, total_bytes, note };
            // Decides nothing, so its loss is no failure; a journal that fails will say so at the outcome.
            let _ = self.runner.append(self.seat.task, &event);
        }
    }
}
