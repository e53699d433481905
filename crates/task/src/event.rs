//! What a task's log holds. The JSON is a stored format: `docs/formats/task-log.md`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether the same try may succeed later without anybody mending something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// It may: try again after a while.
    Later,
    /// It may not: give up at once.
    Never,
    /// It may not, and nobody is to be asked even where the step asks: the task turns back.
    TurnBack,
}

impl Retry {
    /// Whether there is no other try.
    pub fn is_never(self) -> bool {
        self != Self::Later
    }
}

/// One thing that happened to a task. Appended durably before anything acts on it, and never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A try of a step begins. Nothing of the try has happened before this is durable.
    Started {
        /// The step.
        step: String,
        /// 1 for the first try; again 1 after a person answered.
        attempt: u32,
    },
    /// How far a step is. For people: decides nothing, written rarely.
    Progressed {
        /// The step.
        step: String,
        /// Bytes done in this try.
        done_bytes: u64,
        /// Bytes in all, when known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total_bytes: Option<u64>,
        /// What it is doing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A step is done.
    Done {
        /// The step.
        step: String,
        /// What later steps, and undos, need to know of it.
        output: Value,
    },
    /// A try failed. Its effect may be there, wholly, partly or not at all.
    Failed {
        /// The step.
        step: String,
        /// What happened, to what, and what to do: for people.
        why: String,
        /// Whether to try again.
        retry: Retry,
    },
    /// A step needs a person before it can go on. No thread waits.
    Waiting {
        /// The step.
        step: String,
        /// What the person must do.
        needs: Value,
    },
    /// A person (or a program) answered. The step that waits is run anew.
    Signaled {
        /// Which answer.
        signal: String,
        /// What came with it.
        data: Value,
    },
    /// Somebody asked to cancel. Honoured unless the point of no return lies behind it in the log.
    CancelAsked {
        /// Who.
        by: String,
    },
    /// A try to undo a step begins.
    UndoStarted {
        /// The step.
        step: String,
        /// 1 for the first try.
        attempt: u32,
    },
    /// Nothing of the step is left.
    UndoDone {
        /// The step.
        step: String,
    },
    /// A try to undo a step failed.
    UndoFailed {
        /// The step.
        step: String,
        /// What happened, to what, and what to do: for people.
        why: String,
        /// Whether to try again.
        retry: Retry,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Logs are stored for years: a change here needs a new name for the event, not a new meaning.
    #[test]
    fn the_stored_form_of_every_event_is_fixed() {
        let s = || "copy".to_owned();
        for (event, stored) in [
            (
                Event::Started { step: s(), attempt: 1 },
                json!({"event": "started", "step": "copy", "attempt": 1}),
            ),
            (
                Event::Progressed { step: s(), done_bytes: 5, total_bytes: Some(9), note: None },
                json!({"event": "progressed", "step": "copy", "done_bytes": 5, "total_bytes": 9}),
            ),
            (
                Event::Done { step: s(), output: json!({"id": 7}) },
                json!({"event": "done", "step": "copy", "output": {"id": 7}}),
            ),
            (
                Event::Failed { step: s(), why: "no.".into(), retry: Retry::Later },
                json!({"event": "failed", "step": "copy", "why": "no.", "retry": "later"}),
            ),
            (
                Event::Failed { step: s(), why: "no.".into(), retry: Retry::TurnBack },
                json!({"event": "failed", "step": "copy", "why": "no.", "retry": "turn_back"}),
            ),
            (
                Event::Waiting { step: s(), needs: json!({"text": "do it"}) },
                json!({"event": "waiting", "step": "copy", "needs": {"text": "do it"}}),
            ),
            (
                Event::Signaled { signal: "finalize".into(), data: Value::Null },
                json!({"event": "signaled", "signal": "finalize", "data": null}),
            ),
            (Event::CancelAsked { by: "ann".into() }, json!({"event": "cancel_asked", "by": "ann"})),
            (
                Event::UndoStarted { step: s(), attempt: 2 },
                json!({"event": "undo_started", "step": "copy", "attempt": 2}),
            ),
            (Event::UndoDone { step: s() }, json!({"event": "undo_done", "step": "copy"})),
            (
                Event::UndoFailed { step: s(), why: "no.".into(), retry: Retry::Never },
                json!({"event": "undo_failed", "step": "copy", "why": "no.", "retry": "never"}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&event).unwrap(), stored);
            assert_eq!(serde_json::from_value::<Event>(stored).unwrap(), event);
        }
    }
}
