//! Connector configurations: stored values that tell how to reach a platform.

use crate::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// One set of stored values for a kind of platform.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Connector {
    /// Id.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// `local`.
    pub kind: String,
    /// The kind's own settings. Secrets are write-only and never shown.
    pub settings: serde_json::Value,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// What may be done with it now.
    pub actions: Vec<Action>,
}

/// Make a connector configuration.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConnector {
    /// Made by the client (UUIDv7); repeating the request is safe.
    pub id: Uuid,
    /// 1 to 100 characters, unique.
    pub name: String,
    /// `local`.
    pub kind: String,
    /// The kind's own settings; `local`: `memory_mib`, `cpus`, `accelerator` (`auto`, `kvm`, `tcg`), `forward_ssh`.
    #[serde(default)]
    pub settings: serde_json::Value,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// Change a connector configuration; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditConnector {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Settings to replace (merge-patch: `null` removes a key).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<serde_json::Value>,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// The answer of a connector's test, line by line.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConnectorTest {
    /// Whether everything that is needed works.
    pub ok: bool,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// How one check ended.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// Works.
    Ok,
    /// Works, but something should be known.
    Warning,
    /// Does not work.
    Failed,
}

/// One line of a test.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// What was found.
    pub detail: String,
    /// What to do about it, when there is something to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
