//! Versions that are made without a person.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A script that makes a version without a person: the packaging machine runs it, is restarted where that is needed, shut down
/// and finalized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unattended {
    /// The script.
    pub script: Script,
    /// Uploads that are complete: files that lie beside the script. They are used up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upload_ids: Vec<Uuid>,
    /// What becomes of the machine when it fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Minutes after which it has failed, 1 to 10,080 (a week); 240 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit_minutes: Option<u32>,
}

/// A script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Its file name: `setup.sh`. With `.ps1`, `.cmd` or `.bat` at its end it is for Windows, else for Linux.
    pub name: String,
    /// What it says; at most 256 KiB.
    pub text: String,
}

/// What becomes of a machine whose unattended run failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It stays, and the task waits for a person.
    #[default]
    Keep,
    /// It is deleted, and the task has failed.
    Discard,
}

/// What the script of a task printed, and what happened around it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TaskOutput {
    /// The text from the place asked for on, at most 256 KiB.
    pub text: String,
    /// The place to ask for next.
    pub next: u64,
    /// Whether nothing more will come.
    pub is_complete: bool,
}
