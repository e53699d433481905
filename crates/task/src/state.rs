//! What a task looks like from outside: derived from its log, never stored.

use crate::decide::{Ending, Next, Phase, Replay, Rule};
use crate::event::Event;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It could go on, and no thread has it yet.
    Pending,
    /// A thread drives it (forward, or back after a failure).
    Running,
    /// A person is needed.
    ActionRequired,
    /// It is undone because somebody asked to cancel.
    Canceling,
    /// It did all.
    Done,
    /// A step failed for good; nothing is left.
    Failed,
    /// It was cancelled; nothing is left.
    Canceled,
    /// It can go neither forward nor back.
    Stuck,
}

impl State {
    /// As it is written in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ActionRequired => "action_required",
            Self::Canceling => "canceling",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Stuck => "stuck",
        }
    }

    /// Whether nothing happens any more by itself.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Canceled | Self::Stuck)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where one step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Its turn has not come (again).
    Pending,
    /// It is tried, or will be tried again.
    Running,
    /// It needs a person.
    Waiting,
    /// Done.
    Done,
    /// It failed for good and is not undone.
    Failed,
    /// It is being undone.
    Undoing,
    /// Nothing is left of it.
    Undone,
}

/// One step in a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepSummary {
    /// Its name.
    pub name: &'static str,
    /// Where it is.
    pub state: StepState,
    /// Why its latest try (or undo) failed, while that is not mended.
    pub why: Option<String>,
    /// What it put out, once it is done.
    pub output: Option<Value>,
}

/// All that a view of a task shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Where the task is.
    pub state: State,
    /// Its steps, in order.
    pub steps: Vec<StepSummary>,
    /// What a person must do; only in [`State::ActionRequired`].
    pub needs: Option<Value>,
    /// How it ended, if it did.
    pub ending: Option<Ending>,
    /// Whether a cancel would be honoured now.
    pub cancelable: bool,
    /// Output of the last step that is done.
    pub result: Option<Value>,
}

/// Where a task is. `running` says whether a thread drives it now.
pub fn state(steps: &[Rule], log: &[Event], running: bool) -> State {
    state_of(&Replay::new(steps, log), running)
}

/// What a view of a task shows. `running` says whether a thread drives it now.
pub fn summary(steps: &[Rule], log: &[Event], running: bool) -> Summary {
    let replay = Replay::new(steps, log);
    let state = state_of(&replay, running);
    let ending = match replay.next() {
        Next::End(ending) if state.is_end() => Some(ending),
        _ => None,
    };
    Summary {
        state,
        steps: (0..steps.len()).map(|i| step_of(&replay, &steps[i], i, state)).collect(),
        needs: replay.needs().filter(|_| state == State::ActionRequired).cloned(),
        cancelable: !state.is_end() && replay.cancelable(),
        result: replay.outputs.last().map(|(_, value)| (*value).clone()),
        ending,
    }
}

fn state_of(replay: &Replay, running: bool) -> State {
    let undoing = replay.canceled || replay.back.is_some();
    match replay.next() {
        // While a thread has it, a try without an outcome is one that goes on.
        Next::End(ending) if !running || replay.broken.is_some() || !under_way(replay) => match ending {
            Ending::Done => State::Done,
            Ending::Failed { .. } => State::Failed,
            Ending::Canceled => State::Canceled,
            Ending::Stuck { .. } => State::Stuck,
        },
        Next::Wait { .. } => State::ActionRequired,
        _ if undoing && replay.is_cancel() => State::Canceling,
        _ if running => State::Running,
        _ => State::Pending,
    }
}

fn under_way(replay: &Replay) -> bool {
    let phase = replay.back.as_ref().map_or(&replay.phase, |back| &back.phase);
    matches!(phase, Phase::Trying { .. })
}

fn step_of(replay: &Replay, rule: &Rule, i: usize, state: State) -> StepSummary {
    let (step, phase) = match &replay.back {
        Some(back) if i < replay.began => {
            let turn = back.left.checked_sub(1);
            let step = match turn {
                Some(turn) if i == turn && state == State::Stuck => StepState::Failed,
                Some(turn) if i == turn => StepState::Undoing,
                Some(turn) if i < turn => forward(replay, i, state),
                _ => StepState::Undone,
            };
            (step, (turn == Some(i)).then_some(&back.phase))
        }
        _ => (forward(replay, i, state), (i == replay.at).then_some(&replay.phase)),
    };
    let why = match phase {
        Some(Phase::Failed { why, .. }) => Some(why.clone()),
        _ => None,
    };
    let put_out = replay.outputs.iter().find(|(name, _)| *name == rule.name);
    let output = put_out.filter(|_| step == StepState::Done).map(|(_, value)| (*value).clone());
    StepSummary { name: rule.name, state: step, why, output }
}

fn forward(replay: &Replay, i: usize, state: State) -> StepState {
    if i != replay.at {
        return if i < replay.at { StepState::Done } else { StepState::Pending };
    }
    match replay.phase {
        Phase::Ready => StepState::Pending,
        Phase::Waiting { .. } => StepState::Waiting,
        Phase::Trying { .. } | Phase::Failed { .. } if state == State::Stuck || replay.back.is_some() => {
            StepState::Failed
        }
        Phase::Trying { .. } | Phase::Failed { .. } => StepState::Running,
    }
}
