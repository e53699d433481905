//! Faults, and the steps and the journal that they happen to.

use super::Crash;
use crate::decide::{OnFailure, Rule};
use crate::event::{Event, Retry};
use crate::journal::{Journal, JournalError, MemoryJournal};
use crate::runner::{CancelAnswer, Runner};
use crate::step::{Context, Outcome, Step, StepError};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Which of a step's two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`Step::run`].
    Run,
    /// [`Step::undo`].
    Undo,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The call fails before it has any effect.
    ErrorBefore(Retry),
    /// The effect is there and the reply is lost.
    ErrorAfter(Retry),
    /// The process dies after the try was recorded, before its effect.
    CrashBefore,
    /// The process dies after the effect, before the outcome is recorded.
    CrashAfter,
    /// The call panics after its effect.
    Panic,
    /// Somebody cancels as the step begins; the step can see it.
    CancelBefore,
    /// Somebody cancels when the effect is there, before the outcome is recorded.
    CancelAfter,
    /// Somebody cancels while the step waits for a person.
    CancelWaiting,
    /// A signal that nothing waits for is sent to the runner, and one is in the log.
    StraySignal,
    /// The beginning of the try cannot be recorded.
    StartNotRecorded,
    /// The outcome cannot be recorded.
    OutcomeNotRecorded,
    /// The outcome is recorded, and the journal says it is not.
    OutcomeReplyLost,
}

/// One thing that goes wrong at one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The step.
    pub step: &'static str,
    /// Which of its calls.
    pub call: Call,
    /// At which call of that sort: 1 is the first.
    pub nth: u32,
    /// What.
    pub what: What,
}

impl Fault {
    /// Whether it makes a task turn back that could have gone on.
    pub(super) fn turns_back(&self) -> bool {
        use What::*;
        let cancel = matches!(self.what, CancelBefore | CancelAfter | CancelWaiting);
        cancel || self.call == Call::Run && self.is_for_good()
    }

    pub(super) fn is_for_good(&self) -> bool {
        matches!(self.what, What::ErrorBefore(Retry::Never) | What::ErrorAfter(Retry::Never))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, call, nth, what } = self;
        write!(f, "{what:?} at {call:?} {nth} of '{step}'")
    }
}

/// What was really called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trace {
    /// A call of the step with this index.
    Called(Call, usize),
    /// A cancel was honoured, in the middle of a try of the step with this index, or between tries.
    Canceled { during: Option<usize> },
    /// One question was answered twice, or an answer was taken that nobody had asked for.
    StrayAnswerTaken,
}

/// Where in a try a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Call,
    Start,
    Outcome,
    Wait,
}

fn place(what: What) -> Place {
    match what {
        What::StartNotRecorded => Place::Start,
        What::OutcomeNotRecorded | What::OutcomeReplyLost => Place::Outcome,
        What::CancelWaiting => Place::Wait,
        _ => Place::Call,
    }
}

/// The faults of one scenario, and what has happened in it so far.
pub(super) struct Plan {
    task: String,
    rules: Vec<Rule>,
    state: Mutex<PlanState>,
}

#[derive(Default)]
struct PlanState {
    to_come: Vec<Fault>,
    fired: Vec<Fault>,
    counts: HashMap<(&'static str, Call, Place), u32>,
    trace: Vec<Trace>,
    waited: Vec<&'static str>,
    runner: Weak<Runner>,
    stray: bool,
}

impl Plan {
    pub fn new(faults: &[Fault], task: &str, rules: Vec<Rule>) -> Self {
        let state = PlanState { to_come: faults.to_vec(), ..PlanState::default() };
        Self { task: task.to_owned(), rules, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, PlanState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn bind(&self, runner: &Arc<Runner>) {
        self.state().runner = Arc::downgrade(runner);
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub fn trace(&self) -> Vec<Trace> {
        self.state().trace.clone()
    }

    pub fn fired(&self) -> Vec<Fault> {
        self.state().fired.clone()
    }

    pub fn waited(&self) -> Vec<&'static str> {
        self.state().waited.clone()
    }

    pub fn note_cancel(&self, during: Option<usize>) {
        self.state().trace.push(Trace::Canceled { during });
    }

    pub fn note_second_answer(&self) {
        self.state().trace.push(Trace::StrayAnswerTaken);
    }

    /// The step whose question is open was recorded last.
    pub fn cancel_while_waiting(&self) -> bool {
        let step = self.state().waited.last().copied();
        step.is_some_and(|step| !self.take(step, Call::Run, Place::Wait).is_empty())
    }

    /// Counts one more arrival at a place and takes the faults that strike there.
    fn take(&self, step: &'static str, call: Call, at: Place) -> Vec<What> {
        let mut state = self.state();
        let count = state.counts.entry((step, call, at)).or_default();
        *count += 1;
        let nth = *count;
        let strikes = |f: &Fault| f.step == step && f.call == call && f.nth == nth && place(f.what) == at;
        let (now, later) = std::mem::take(&mut state.to_come).into_iter().partition(strikes);
        state.to_come = later;
        let now: Vec<Fault> = now;
        state.fired.extend(&now);
        now.into_iter().map(|f| f.what).collect()
    }

    fn index(&self, step: &str) -> Option<usize> {
        self.rules.iter().position(|rule| rule.name == step)
    }

    fn called(&self, call: Call, step: &str) {
        let index = self.index(step);
        self.state().trace.extend(index.map(|index| Trace::Called(call, index)));
    }

    /// Cancels from outside, as a request would, while `step` is tried.
    fn cancel(&self, step: &str) {
        let runner = self.state().runner.upgrade();
        let answer = runner.map(|runner| runner.cancel(&self.task, &self.rules, "sweep"));
        if let Some(Ok(CancelAnswer::Honoured)) = answer {
            self.note_cancel(self.index(step));
        }
    }

    fn stray_signal(&self) {
        let runner = self.state().runner.upgrade();
        let taken = runner.map(|runner| runner.signal(&self.task, &self.rules, "stray", Value::Null));
        let mut state = self.state();
        if let Some(Ok(())) = taken {
            state.trace.push(Trace::StrayAnswerTaken);
        }
        state.stray = true;
    }
}

/// A step around which faults happen.
pub(super) struct FaultyStep<W: ?Sized> {
    pub inner: Box<dyn Step<W>>,
    pub plan: Arc<Plan>,
}

impl<W: ?Sized> FaultyStep<W> {
    /// The call, with the faults that strike before and after its effect.
    fn call<T>(&self, call: Call, effect: impl FnOnce() -> Result<T, StepError>) -> Result<T, StepError> {
        let name = self.inner.name();
        let faults = self.plan.take(name, call, Place::Call);
        for what in &faults {
            match what {
                What::CancelBefore => self.plan.cancel(name),
                What::StraySignal => self.plan.stray_signal(),
                What::CrashBefore => resume_unwind(Box::new(Crash)),
                What::ErrorBefore(retry) => return Err(injected(*retry)),
                _ => {}
            }
        }
        self.plan.called(call, name);
        let result = effect();
        for what in &faults {
            match what {
                What::CancelAfter => self.plan.cancel(name),
                What::CrashAfter => resume_unwind(Box::new(Crash)),
                // Not `panic!`: nobody needs to read about it on standard error thousands of times.
                What::Panic => resume_unwind(Box::new("a panic of the sweep")),
                What::ErrorAfter(retry) => return Err(injected(*retry)),
                _ => {}
            }
        }
        result
    }
}

fn injected(retry: Retry) -> StepError {
    StepError::new("A fault of the sweep.", retry)
}

impl<W: ?Sized> Step<W> for FaultyStep<W> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn run(&self, world: &W, cx: &Context) -> Result<Outcome, StepError> {
        self.call(Call::Run, || self.inner.run(world, cx))
    }

    fn undo(&self, world: &W, cx: &Context) -> Result<(), StepError> {
        self.call(Call::Undo, || self.inner.undo(world, cx))
    }

    fn last_word(&self) -> bool {
        self.inner.last_word()
    }

    fn tries(&self) -> u32 {
        self.inner.tries()
    }

    fn undo_tries(&self) -> u32 {
        self.inner.undo_tries()
    }

    fn on_failure(&self) -> OnFailure {
        self.inner.on_failure()
    }

    fn ask(&self, world: &W, cx: &Context, why: &str) -> Value {
        self.inner.ask(world, cx, why)
    }
}

/// A journal in memory to which faults happen.
pub(super) struct FaultyJournal {
    pub inner: MemoryJournal,
    pub plan: Arc<Plan>,
}

impl Journal for FaultyJournal {
    fn append(&self, task: &str, event: &Event) -> Result<(), JournalError> {
        let refused = || Err(JournalError::new("A fault of the sweep."));
        let (step, call, at) = match event {
            Event::Started { step, .. } => (step, Call::Run, Place::Start),
            Event::UndoStarted { step, .. } => (step, Call::Undo, Place::Start),
            Event::Done { step, .. } | Event::Failed { step, .. } | Event::Waiting { step, .. } => {
                (step, Call::Run, Place::Outcome)
            }
            Event::UndoDone { step } | Event::UndoFailed { step, .. } => (step, Call::Undo, Place::Outcome),
            Event::Progressed { .. } | Event::Signaled { .. } | Event::CancelAsked { .. } => {
                return self.inner.append(task, event);
            }
        };
        let Some(rule) = self.plan.rules.iter().find(|rule| rule.name == step) else {
            return self.inner.append(task, event);
        };
        let faults = self.plan.take(rule.name, call, at);
        if faults.iter().any(|what| matches!(what, What::StartNotRecorded | What::OutcomeNotRecorded)) {
            return refused();
        }
        if std::mem::take(&mut self.plan.state().stray) {
            self.inner.append(task, &Event::Signaled { signal: "stray".into(), data: Value::Null })?;
        }
        self.inner.append(task, event)?;
        if let Event::Waiting { .. } = event {
            self.plan.state().waited.push(rule.name);
        }
        if faults.contains(&What::OutcomeReplyLost) { refused() } else { Ok(()) }
    }

    fn log(&self, task: &str) -> Result<Vec<Event>, JournalError> {
        self.inner.log(task)
    }
}
