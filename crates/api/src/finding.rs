//! What is outstanding in a packaging machine: found by Shutdown For Finalize inside it, or by the server on its disk.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Whether a finding stands in the way of finalizing.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is taken while it is there, unless that is said with a reason.
    Blocks,
    /// Worth knowing.
    Warns,
}

/// What makes a finding go away.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Time: something runs in the machine and will end.
    Wait,
    /// A restart of the machine.
    Restart,
    /// Something that a person does.
    Act,
}

/// Something that is outstanding.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, PartialEq, Eq)]
pub struct Finding {
    /// What, for programs: `reboot_pending`, … (`docs/formats/integrity-report.md` lists them).
    pub code: String,
    /// Whether it stands in the way.
    pub severity: Severity,
    /// What makes it go away.
    pub remedy: Remedy,
    /// What is outstanding: one sentence.
    pub message: String,
    /// What to do about it.
    pub advice: String,
    /// What it was seen by: files, keys, partitions.
    pub details: Vec<String>,
}

/// What a check of a packaging machine came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// Nothing stands in the way of finalizing.
    Clean,
    /// Something does.
    Blocked,
    /// The machine's disk cannot be looked at now.
    Unknown,
}

/// A packaging machine, checked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MachineCheck {
    /// The machine: the id of the version that is made in it.
    pub machine_id: Uuid,
    /// When it was checked.
    pub checked_at: String,
    /// What that came to.
    pub result: CheckResult,
    /// The same, in a sentence.
    pub text: String,
    /// What is outstanding, gravest first.
    pub findings: Vec<Finding>,
}

/// Finalize a version.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinalizeVersion {
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
    /// Take it even though something is outstanding. For approvers and administrators.
    #[serde(default)]
    pub anyway: bool,
    /// Why, when it is taken anyway. Kept in the audit and in the task.
    #[serde(default)]
    pub reason: String,
}
