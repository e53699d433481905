//! Tasks, events and the audit.

use crate::{Action, Finding};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A long operation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// Id.
    pub id: Uuid,
    /// `import_os_layer`, `add_version`, `export_version`, `verify_version`, `delete_version`, `delete_layer`,
    /// `check_repository`, `collect_garbage`.
    pub kind: String,
    /// What it does, such as `Adding Version to Operating System Layer 'Win2022'.`
    pub title: String,
    /// `pending`, `running`, `action_required`, `canceling`, `done`, `failed`, `canceled`, `stuck`.
    #[schema(schema_with = crate::words::task_state)]
    pub state: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Progress of the step that runs now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What a person must do, while the state is `action_required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// What was outstanding in the packaging machine when its disk was last examined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Why it failed, or what is left, when it did not end well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it found or made, once done (a check's report, an export's path and size, …).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// The layer it works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_id: Option<Uuid>,
    /// The version it works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<Uuid>,
    /// Who asked.
    pub created_by: String,
    /// The comment given with the request.
    pub comment: String,
    /// When it was asked for.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// What may be done with it now.
    pub actions: Vec<Action>,
}

impl Task {
    /// Whether it has ended, well or not.
    pub fn ended(&self) -> bool {
        matches!(self.state.as_str(), "done" | "failed" | "canceled" | "stuck")
    }
}

/// One step of a task.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// `pending`, `running`, `waiting`, `done`, `failed`, `undoing`, `undone`.
    #[schema(schema_with = crate::words::step_state)]
    pub state: String,
    /// The latest note or error text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How far a step is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// The step.
    pub step: String,
    /// Bytes done.
    pub done_bytes: u64,
    /// Bytes in all, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// Bytes per second over the last seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_bytes: Option<u64>,
    /// Seconds to go, when that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
}

/// What a person must do before the task goes on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Needs {
    /// The instruction, for a person.
    pub text: String,
    /// The machine it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<Uuid>,
    /// Why it could not go on, when finalize was tried and refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The end of what a script printed that did not end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// What can be done: `finalize`, `finalize_anyway`, `cancel`, `power_on`, …
    pub actions: Vec<String>,
}

/// One entry of a task's log, as it was written.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TaskLogEntry {
    /// Position in the log.
    pub seq: i64,
    /// When.
    pub at: String,
    /// The event (`docs/formats/task-log.md`).
    pub event: serde_json::Value,
}

/// Something changed (server-sent events). `id:` of the stream is `seq`; come back with `Last-Event-ID`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Position in the stream.
    pub seq: i64,
    /// What changed: `task`, `layer`, `version` and so on; `reset` when the gap is too old to fill: read all again. Of `user` and
    /// `token`, who is no administrator is told only of themselves.
    #[schema(schema_with = crate::words::event_kind)]
    pub kind: String,
    /// The object's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// `deleted`: it is gone. `changed`: look again; also while it is being deleted. The same may be told more than once.
    #[schema(schema_with = crate::words::change)]
    pub change: String,
    /// The object itself, for tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
}

/// Who did what, when, with which comment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Position.
    pub seq: i64,
    /// When.
    pub at: String,
    /// Who.
    pub who: String,
    /// What, such as `add_version`.
    pub action: String,
    /// The kind of object.
    pub object_kind: String,
    /// The object.
    pub object_id: Uuid,
    /// The object's name at that time.
    pub object_name: String,
    /// The comment given.
    pub comment: String,
}
