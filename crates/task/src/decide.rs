//! What a task does next: a pure function of its steps and its log.
//!
//! Every decision is made from here, so a task continued after a crash goes exactly the way it would have gone.
//! The log is replayed into a position; an event that cannot follow the ones before it is never guessed at: the task
//! is stuck, and says why.

use crate::event::{Event, Retry};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The signal that makes a stuck task try again where it stopped.
pub const RETRY: &str = "retry";

/// What to do when a step has failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Undo the task.
    Undo,
    /// Ask a person: what is there is worth more than a tidy end (somebody's work in a machine, say).
    Ask,
}

/// What the decision must know of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Unique in the task; the key of the step in the log, so never renamed while tasks are open.
    pub name: &'static str,
    /// Failed tries in a row after which the step has failed for good, at least 1.
    pub tries: u32,
    /// Failed tries in a row after which its undo is given up and the task is stuck, at least 1.
    pub undo_tries: u32,
    /// The point of no return: what comes after it is only ever tried again, never undone.
    pub last_word: bool,
    /// What to do when it has failed for good.
    pub on_failure: OnFailure,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ending", rename_all = "snake_case")]
pub enum Ending {
    /// All steps are done.
    Done,
    /// A step failed for good; nothing is left of the task.
    Failed {
        /// The step's reason.
        why: String,
    },
    /// It was cancelled; nothing is left of the task.
    Canceled,
    /// It can go neither forward nor back. The signal [`RETRY`] lets it try again.
    Stuck {
        /// What stopped it.
        why: String,
        /// Steps whose effects may still be there (or, past the point of no return, that are still to do).
        left: Vec<String>,
    },
}

/// What to do next. Steps are indices into the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try this step.
    Run {
        /// Which.
        step: usize,
        /// 1 for the first try.
        attempt: u32,
    },
    /// Try to undo this step.
    Undo {
        /// Which.
        step: usize,
        /// 1 for the first try.
        attempt: u32,
    },
    /// Record that a person is needed: the step has failed for good and its rule is [`OnFailure::Ask`].
    Ask {
        /// Which.
        step: usize,
        /// The step's reason.
        why: String,
    },
    /// Nothing, until a signal or a cancel comes.
    Wait {
        /// The step that waits.
        step: usize,
    },
    /// Nothing any more.
    End(Ending),
}

/// What to do next for a task whose steps are `steps` and whose log is `log`, when nobody is doing it now.
pub fn next(steps: &[Rule], log: &[Event]) -> Next {
    Replay::new(steps, log).next()
}

/// Where one direction of a step stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Phase {
    /// Not tried since the step's turn came, or since a person answered.
    Ready,
    /// A try began and no outcome is recorded: it runs now, or it died with its process.
    Trying { attempt: u32 },
    /// The latest try failed.
    Failed { attempt: u32, why: String, retry: Retry },
    /// A person is needed (never in an undo).
    Waiting { needs: Value },
}

impl Phase {
    fn tried(&self) -> u32 {
        match self {
            Self::Ready | Self::Waiting { .. } => 0,
            Self::Trying { attempt } | Self::Failed { attempt, .. } => *attempt,
        }
    }

    /// Why there will be no other try, if so. A try that died with its process counts like a failed one: a step
    /// that kills the process must not do so for ever.
    fn for_good(&self, tries: u32) -> Option<String> {
        match self {
            Self::Failed { why, retry, .. } if retry.is_never() => Some(why.clone()),
            Self::Failed { why, attempt, .. } if *attempt >= tries => Some(why.clone()),
            Self::Trying { attempt } if *attempt >= tries => Some(format!(
                "The program ended during try {attempt}, the last one: see its own log for the reason."
            )),
            _ => None,
        }
    }
}

/// A task on its way back.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    /// How the task ends when nothing is left.
    pub cause: Ending,
    /// How many steps are still to be undone; the last of them has its turn.
    pub left: usize,
    /// Where that undo stands.
    pub phase: Phase,
}

/// A log, replayed.
#[derive(Clone, Debug)]
pub(crate) struct Replay<'a> {
    steps: &'a [Rule],
    /// The step whose turn it is; the number of steps when all are done.
    pub at: usize,
    /// How many steps ever began: undo covers all of them.
    pub began: usize,
    /// Where step `at` stands.
    pub phase: Phase,
    /// A cancel was asked for in time.
    pub canceled: bool,
    /// Set from the first undo on.
    pub back: Option<Back>,
    /// Outputs of the steps that are done, in order.
    pub outputs: Vec<(&'a str, &'a Value)>,
    /// The latest answer to the step whose turn it is.
    pub signal: Option<(&'a str, &'a Value)>,
    /// Why the log makes no sense, and what began in it.
    pub broken: Option<(String, Vec<String>)>,
}

impl<'a> Replay<'a> {
    pub fn new(steps: &'a [Rule], log: &'a [Event]) -> Self {
        let mut replay = Self {
            steps,
            at: 0,
            began: 0,
            phase: Phase::Ready,
            canceled: false,
            back: None,
            outputs: Vec::new(),
            signal: None,
            broken: None,
        };
        for (line, event) in log.iter().enumerate() {
            if let Err(why) = replay.apply(event) {
                let why = format!("The task's log makes no sense at entry {}: {why}.", line + 1);
                replay.broken = Some((why, left_behind(log)));
                break;
            }
        }
        replay
    }

    fn apply(&mut self, event: &'a Event) -> Result<(), String> {
        match event {
            Event::Started { step, attempt } => self.started(step, *attempt),
            Event::Progressed { step, .. } => self.index(step).map(drop),
            Event::Done { step, output } => {
                self.trying(step)?;
                self.outputs.push((step, output));
                self.at += 1;
                self.phase = Phase::Ready;
                self.signal = None;
                Ok(())
            }
            Event::Failed { step, why, retry } => {
                let attempt = self.trying(step)?;
                self.phase = Phase::Failed { attempt, why: why.clone(), retry: *retry };
                Ok(())
            }
            Event::Waiting { step, needs } => self.waiting(step, needs),
            Event::Signaled { signal, data } => {
                self.signaled(signal, data);
                Ok(())
            }
            Event::CancelAsked { .. } => {
                self.canceled |= self.cancelable();
                Ok(())
            }
            Event::UndoStarted { step, attempt } => self.undo_started(step, *attempt),
            Event::UndoDone { step } => {
                let (back, _) = self.undoing(step)?;
                back.left -= 1;
                back.phase = Phase::Ready;
                Ok(())
            }
            Event::UndoFailed { step, why, retry } => {
                let (back, attempt) = self.undoing(step)?;
                back.phase = Phase::Failed { attempt, why: why.clone(), retry: *retry };
                Ok(())
            }
        }
    }

    fn index(&self, step: &str) -> Result<usize, String> {
        let found = self.steps.iter().position(|rule| rule.name == step);
        found.ok_or_else(|| format!("this version of the program knows no step '{step}'"))
    }

    fn started(&mut self, step: &str, attempt: u32) -> Result<(), String> {
        if self.index(step)? != self.at || self.canceled || self.back.is_some() {
            return Err(format!("the step '{step}' began when it was not its turn"));
        }
        let is_over = match &self.phase {
            Phase::Waiting { .. } => true,
            Phase::Failed { retry, .. } => retry.is_never(),
            Phase::Ready | Phase::Trying { .. } => false,
        };
        if is_over {
            return Err(format!("the step '{step}' began while it could not"));
        }
        if attempt != self.phase.tried() + 1 {
            return Err(format!("try {attempt} of the step '{step}' follows try {}", self.phase.tried()));
        }
        self.phase = Phase::Trying { attempt };
        self.began = self.at + 1;
        Ok(())
    }

    /// The number of the try of `step` that is under way.
    fn trying(&self, step: &str) -> Result<u32, String> {
        match self.phase {
            Phase::Trying { attempt } if self.index(step)? == self.at && self.back.is_none() => Ok(attempt),
            _ => Err(format!("an outcome of the step '{step}', which was not under way")),
        }
    }

    /// A step may wait after a try that said so, or when its tries are used up.
    fn waiting(&mut self, step: &str, needs: &Value) -> Result<(), String> {
        let tried = matches!(self.phase, Phase::Trying { .. } | Phase::Failed { .. });
        if self.index(step)? != self.at || !tried || self.back.is_some() {
            return Err(format!("the step '{step}' waits, and was not under way"));
        }
        self.phase = Phase::Waiting { needs: needs.clone() };
        Ok(())
    }

    /// A signal that nobody waits for asks for nothing and changes nothing.
    fn signaled(&mut self, signal: &'a str, data: &'a Value) {
        if let Phase::Waiting { .. } = self.phase {
            self.phase = Phase::Ready;
            self.signal = Some((signal, data));
        } else if signal == RETRY && matches!(self.next(), Next::End(Ending::Stuck { .. })) {
            match &mut self.back {
                Some(back) => back.phase = Phase::Ready,
                None => self.phase = Phase::Ready,
            }
        }
    }

    /// Whether a cancel asked for now is honoured.
    pub fn cancelable(&self) -> bool {
        let Some(rule) = self.steps.get(self.at) else { return false };
        // A last word that was tried may have been heard, whatever became of the try. One that waits has said
        // nothing: it gives its word only in a try.
        let spoken = match self.phase {
            Phase::Trying { .. } | Phase::Failed { .. } => rule.last_word,
            Phase::Ready | Phase::Waiting { .. } => false,
        };
        let failed = matches!(self.phase, Phase::Failed { .. })
            && !self.asks(rule)
            && self.phase.for_good(rule.tries).is_some();
        !spoken && !failed && !self.canceled && self.back.is_none() && !self.past_last_word()
    }

    /// Whether a person is asked when the step whose turn it is has failed for good.
    fn asks(&self, rule: &Rule) -> bool {
        rule.on_failure == OnFailure::Ask
            && !matches!(self.phase, Phase::Failed { retry: Retry::TurnBack, .. })
    }

    pub fn past_last_word(&self) -> bool {
        self.steps[..self.at].iter().any(|rule| rule.last_word)
    }

    /// The first undo is what turns a task back. Which caps were in force then is not asked again: another version
    /// of the program may have had others.
    fn undo_started(&mut self, step: &str, attempt: u32) -> Result<(), String> {
        let index = self.index(step)?;
        if self.back.is_none() {
            let cause = match &self.phase {
                _ if self.canceled => Ending::Canceled,
                Phase::Failed { why, .. } if !self.past_last_word() => Ending::Failed { why: why.clone() },
                Phase::Trying { .. } if !self.past_last_word() => {
                    Ending::Failed { why: self.phase.for_good(0).unwrap_or_default() }
                }
                _ => return Err(format!("the step '{step}' is undone without a reason")),
            };
            self.back = Some(Back { cause, left: self.began, phase: Phase::Ready });
        }
        let Some(back) = &mut self.back else { return Ok(()) };
        if back.left != index + 1 {
            return Err(format!("the step '{step}' is undone when it was not its turn"));
        }
        if matches!(back.phase, Phase::Failed { retry, .. } if retry.is_never())
            || attempt != back.phase.tried() + 1
        {
            return Err(format!(
                "try {attempt} to undo the step '{step}' follows try {}",
                back.phase.tried()
            ));
        }
        back.phase = Phase::Trying { attempt };
        Ok(())
    }

    /// The way back and the number of the try to undo `step` that is under way.
    fn undoing(&mut self, step: &str) -> Result<(&mut Back, u32), String> {
        let index = self.index(step)?;
        match &mut self.back {
            Some(back) if back.left == index + 1 => match back.phase {
                Phase::Trying { attempt } => Ok((back, attempt)),
                _ => Err(format!("an outcome of undoing the step '{step}', which was not under way")),
            },
            _ => Err(format!("an outcome of undoing the step '{step}', whose turn it was not")),
        }
    }

    /// What a person must do, while the task waits.
    pub fn needs(&self) -> Option<&Value> {
        match &self.phase {
            Phase::Waiting { needs } => Some(needs),
            _ => None,
        }
    }

    /// Whether the task turned back, or will, because somebody asked.
    pub fn is_cancel(&self) -> bool {
        self.back.as_ref().map_or(self.canceled, |back| back.cause == Ending::Canceled)
    }

    pub fn next(&self) -> Next {
        if let Some((why, left)) = &self.broken {
            return Next::End(Ending::Stuck { why: why.clone(), left: left.clone() });
        }
        if let Some(back) = &self.back {
            return self.next_undo(back);
        }
        if self.canceled {
            return self.turn_back(Ending::Canceled);
        }
        let Some(rule) = self.steps.get(self.at) else { return Next::End(Ending::Done) };
        if let Phase::Waiting { .. } = self.phase {
            return Next::Wait { step: self.at };
        }
        match self.phase.for_good(rule.tries) {
            None => Next::Run { step: self.at, attempt: self.phase.tried() + 1 },
            Some(why) if self.past_last_word() => {
                Next::End(Ending::Stuck { why, left: self.names(self.at..self.steps.len()) })
            }
            Some(why) if self.asks(rule) => Next::Ask { step: self.at, why },
            Some(why) => self.turn_back(Ending::Failed { why }),
        }
    }

    fn turn_back(&self, cause: Ending) -> Next {
        match self.began {
            0 => Next::End(cause),
            began => Next::Undo { step: began - 1, attempt: 1 },
        }
    }

    fn next_undo(&self, back: &Back) -> Next {
        let Some(step) = back.left.checked_sub(1) else { return Next::End(back.cause.clone()) };
        match back.phase.for_good(self.steps[step].undo_tries) {
            None => Next::Undo { step, attempt: back.phase.tried() + 1 },
            // The steps below are left alone: what could not be removed may stand on them.
            Some(why) => Next::End(Ending::Stuck { why, left: self.names(0..back.left) }),
        }
    }

    fn names(&self, range: std::ops::Range<usize>) -> Vec<String> {
        self.steps[range].iter().map(|rule| rule.name.to_owned()).collect()
    }
}

/// The steps that began and were not undone, read from a log that need not make sense.
fn left_behind(log: &[Event]) -> Vec<String> {
    let mut left: Vec<String> = Vec::new();
    for event in log {
        match event {
            Event::Started { step, .. } if !left.contains(step) => left.push(step.clone()),
            Event::UndoDone { step } => left.retain(|name| name != step),
            _ => {}
        }
    }
    left
}
