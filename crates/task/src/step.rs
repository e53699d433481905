//! What tasks are made of: steps, what a step is told, and how it answers.

use crate::decide::{OnFailure, Rule};
use crate::event::Retry;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::error::Error;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

/// One step of a task, over a world `W`: everything it acts on.
///
/// A try may die at any moment and its reply may be lost, so `run` means *ensure* and `undo` means *make absent*: both
/// find what is there by a tag made from [`Context::task`], never by something they remember.
pub trait Step<W: ?Sized>: Send + Sync {
    /// Unique in its kind; the key of the step in the log.
    fn name(&self) -> &'static str;

    /// Makes the step's effect be there, whatever part of it is there already.
    fn run(&self, world: &W, cx: &Context) -> Result<Outcome, StepError>;

    /// Makes the step's effect be absent, whatever part of it is there. Nothing there is a success.
    fn undo(&self, world: &W, cx: &Context) -> Result<(), StepError>;

    /// Whether this step is the point of no return (the commit).
    fn last_word(&self) -> bool {
        false
    }

    /// Failed tries in a row after which the step has failed for good.
    fn tries(&self) -> u32 {
        5
    }

    /// Failed tries in a row after which the undo is given up and the task is stuck.
    fn undo_tries(&self) -> u32 {
        8
    }

    /// What to do when the step has failed for good.
    fn on_failure(&self) -> OnFailure {
        OnFailure::Undo
    }

    /// What a person must do when the step has failed for good with `why` and [`Step::on_failure`] is
    /// [`OnFailure::Ask`]. Called where a try would be; must not fail.
    fn ask(&self, _world: &W, _cx: &Context, why: &str) -> Value {
        json!({ "text": why })
    }
}

/// How a try of a step ended well.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The effect is there. The value is for later steps and for undos.
    Done(Value),
    /// A person must do something first (the value says what); then the step is run anew. Undoes nothing.
    Wait(Value),
}

/// Why a try failed. `Display` is the text for people; the cause is in `source`, never repeated in the text.
#[derive(Debug)]
pub struct StepError {
    why: String,
    retry: Retry,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StepError {
    /// A failure; `why` says what happened, to what, and what to do.
    pub fn new(why: impl Into<String>, retry: Retry) -> Self {
        Self { why: why.into(), retry, source: None }
    }

    /// A failure that may pass.
    pub fn later(why: impl Into<String>) -> Self {
        Self::new(why, Retry::Later)
    }

    /// A failure that another try would only repeat.
    pub fn never(why: impl Into<String>) -> Self {
        Self::new(why, Retry::Never)
    }

    /// A failure after which nobody is asked, whatever [`Step::on_failure`] says: the task turns back.
    pub fn turn_back(why: impl Into<String>) -> Self {
        Self::new(why, Retry::TurnBack)
    }

    /// The step saw [`Context::canceled`] (or a watch's `Break`) and stopped.
    pub fn stopped() -> Self {
        Self::new("It was stopped because the task was cancelled.", Retry::Later)
    }

    /// Adds the cause.
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The text for people.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        self.retry
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl Error for StepError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|e| e.as_ref() as _)
    }
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The step.
    pub step: String,
    /// Bytes done in this try.
    pub done_bytes: u64,
    /// Bytes in all, when known.
    pub total_bytes: Option<u64>,
    /// What it is doing, when the step said so.
    pub note: Option<String>,
}

/// What the runner offers a step while it runs.
pub(crate) trait Link: Sync {
    fn canceled(&self) -> bool;
    fn progressed(&self, progress: Progress);
}

/// What a step is told.
pub struct Context<'a> {
    pub(crate) task: &'a str,
    pub(crate) step: &'static str,
    pub(crate) input: &'a Value,
    pub(crate) outputs: &'a [(&'a str, &'a Value)],
    pub(crate) attempt: u32,
    pub(crate) signal: Option<(&'a str, &'a Value)>,
    pub(crate) link: &'a dyn Link,
}

impl Context<'_> {
    /// The task's id: what everything it makes is tagged with.
    pub fn task(&self) -> &str {
        self.task
    }

    /// What the task was asked to do.
    pub fn input(&self) -> &Value {
        self.input
    }

    /// The input as `T`. That it is not a `T` is an error for good.
    pub fn input_as<T: DeserializeOwned>(&self) -> Result<T, StepError> {
        T::deserialize(self.input).map_err(|e| {
            StepError::never("This version of the program cannot read what the task was asked.").because(e)
        })
    }

    /// The output of a step that is done. An undo must not rely on it: the step may have died before.
    pub fn output(&self, step: &str) -> Option<&Value> {
        self.outputs.iter().rev().find(|(name, _)| *name == step).map(|(_, value)| *value)
    }

    /// The output of the earlier step `step` as `T`. That it is not there, or not a `T`, is an error for good.
    pub fn output_as<T: DeserializeOwned>(&self, step: &str) -> Result<T, StepError> {
        let unreadable = || {
            StepError::never(format!("This version of the program cannot read what the step '{step}' made."))
        };
        let value = self.output(step).ok_or_else(unreadable)?;
        T::deserialize(value).map_err(|e| unreadable().because(e))
    }

    /// Which try in a row this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The latest answer to this step, name and data, if it has waited. `None` in an undo.
    pub fn signal(&self) -> Option<(&str, &Value)> {
        self.signal
    }

    /// Whether to stop now with [`StepError::stopped`]. Never in an undo.
    pub fn canceled(&self) -> bool {
        self.link.canceled()
    }

    /// A watch for long work: told how many *more* bytes are done, it reports progress and answers `Break` when the
    /// task is cancelled. `total` is the work in bytes, when known.
    pub fn watch(&self, total: Option<u64>) -> impl Fn(u64) -> ControlFlow<()> + Sync + '_ {
        self.watch_until(move || total)
    }

    /// As [`Context::watch`], where how much work there is becomes known only on the way.
    pub fn watch_until<'a>(
        &'a self,
        total: impl Fn() -> Option<u64> + Sync + 'a,
    ) -> impl Fn(u64) -> ControlFlow<()> + Sync + 'a {
        let done = AtomicU64::new(0);
        move |more| {
            let done_bytes = done.fetch_add(more, Ordering::Relaxed).saturating_add(more);
            self.link.progressed(Progress {
                step: self.step.into(),
                done_bytes,
                total_bytes: total(),
                note: None,
            });
            if self.canceled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }

    /// Says what the step is doing, in a short sentence for people.
    pub fn note(&self, note: &str) {
        self.link.progressed(Progress {
            step: self.step.into(),
            done_bytes: 0,
            total_bytes: None,
            note: Some(note.into()),
        });
    }
}

/// A kind of task: its steps, in order.
pub struct Kind<W: ?Sized> {
    name: &'static str,
    steps: Vec<Box<dyn Step<W>>>,
}

impl<W: ?Sized> Kind<W> {
    /// A kind of task. Panics when two steps have one name: the log could not tell them apart.
    pub fn new(name: &'static str, steps: Vec<Box<dyn Step<W>>>) -> Self {
        for (i, step) in steps.iter().enumerate() {
            let twice = steps[..i].iter().any(|other| other.name() == step.name());
            assert!(!twice, "the task kind '{name}' has two steps named '{}'", step.name());
        }
        Self { name, steps }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its steps.
    pub fn steps(&self) -> &[Box<dyn Step<W>>] {
        &self.steps
    }

    /// The same steps, to be taken apart and wrapped (see [`crate::sweep`]).
    pub fn into_steps(self) -> Vec<Box<dyn Step<W>>> {
        self.steps
    }

    /// What the decision must know of them.
    pub fn rules(&self) -> Vec<Rule> {
        let rule = |step: &dyn Step<W>| Rule {
            name: step.name(),
            tries: step.tries(),
            undo_tries: step.undo_tries(),
            last_word: step.last_word(),
            on_failure: step.on_failure(),
        };
        self.steps.iter().map(|step| rule(step.as_ref())).collect()
    }
}
