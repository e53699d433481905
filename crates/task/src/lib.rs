//! Durable tasks: a log, a pure decision, a runner. Knows nothing about what a task is about.
//!
//! A task is a line of named steps. Its log is the only truth: "running" is derived, never stored, and a task goes on
//! after a crash as if nothing had been. It ends with all of its effects there, or none, or [`Ending::Stuck`], which
//! says what is left.
//!
//! ```text
//!            Started            Done (next step)                      Done (last step)
//!   ready ──────────▶ trying ─────────────────────▶ ready … ───────────────────────────▶ end: done
//!     ▲                │ ▲ │
//!     │ Signaled       │ │ │ Failed(later), or the process died: a pause, then Started(attempt + 1)
//!     │                │ └─┘
//!   waiting ◀──────────┤ Waiting: a person is needed; no thread waits, nothing is undone, tries start again at 1
//!     │                │
//!     │ CancelAsked    │ Failed(never), tries used up, CancelAsked      (OnFailure::Ask: waiting instead)
//!     ▼                ▼
//!   turning back: every step that ever began, the last first
//!     undo ── UndoStarted ─▶ trying ── UndoDone ─▶ undo of the step before … ─▶ end: failed or canceled
//!       ▲                      │ ▲ │
//!       │ Signaled("retry")    │ └─┘ UndoFailed(later), or the process died
//!       │                      ▼
//!     end: stuck  ◀── UndoFailed(never), tries used up
//! ```
//!
//! - A try is recorded before it begins, so undo covers what may have happened, not only what was seen to happen.
//! - The step that is the **last word** (the commit) is the point of no return. A cancel asked for after it was tried
//!   is recorded and not honoured, unless it waits. Steps behind it (tidying up) are tried again and again, never
//!   undone; one that fails for good leaves the task stuck, with what is still to do.
//! - A signal while nothing waits is refused by [`Runner::signal`]; one found in a log all the same changes nothing.
//! - A log that makes no sense, or names a step this build does not know, is never guessed at: stuck, with the reason.

mod decide;
mod event;
mod journal;
mod runner;
mod state;
mod step;
pub mod sweep;

pub use decide::{Ending, Next, OnFailure, RETRY, Rule, next};
pub use event::{Event, Retry};
pub use journal::{Journal, JournalError, MemoryJournal};
pub use runner::{CancelAnswer, Clock, Drive, Observer, Runner, SignalError, WallClock};
pub use state::{State, StepState, StepSummary, Summary, state, summary};
pub use step::{Context, Kind, Outcome, Progress, Step, StepError};
