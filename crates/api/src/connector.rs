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
    /// A kind of platform, see `/connector-kinds`.
    pub kind: String,
    /// The kind's own settings, without secrets: those are write-only.
    pub settings: serde_json::Value,
    /// Names of the secrets that are set.
    #[serde(default)]
    #[schema(required = true)]
    pub secrets: Vec<String>,
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
    /// A kind of platform, see `/connector-kinds`.
    pub kind: String,
    /// The kind's own settings, see `/connector-kinds`.
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
    /// A setting that would mend it, to be set only after a person has said yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

/// A setting that mends what a check found.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Fix {
    /// What the person is asked.
    pub question: String,
    /// The setting.
    pub field: String,
    /// Its value.
    pub value: String,
}

/// Settings to be tried before they are stored.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TryConnector {
    /// The configuration whose secrets are used where `settings` leaves them out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector_id: Option<Uuid>,
    /// A kind of platform, see `/connector-kinds`.
    pub kind: String,
    /// The kind's own settings, whole.
    #[serde(default)]
    pub settings: serde_json::Value,
}

/// Something on the platform that a setting may name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Choice {
    /// The setting it is for.
    pub field: String,
    /// What to write there.
    pub value: String,
    /// What people call it.
    pub label: String,
    /// What helps to choose.
    pub detail: String,
}

/// A kind of platform and what it wants to be told.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConnectorKind {
    /// As it stands in configurations.
    pub kind: String,
    /// For people.
    pub label: String,
    /// Whether images can be published to connectors of this kind.
    #[serde(default)]
    pub takes_images: bool,
    /// Whether images can be booted and checked on connectors of this kind.
    #[serde(default)]
    pub boots_images: bool,
    /// Its settings, in the order to ask for them.
    pub fields: Vec<ConnectorField>,
}

/// One setting of a kind of connector.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConnectorField {
    /// Key in the settings.
    pub name: String,
    /// For people.
    pub label: String,
    /// What is written there.
    pub input: FieldInput,
    /// The values there are, where `input` is `one_of`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Whether it must be given.
    pub required: bool,
    /// What it is when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What it does and where to find it.
    pub help: String,
}

/// What is written into a setting.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum FieldInput {
    /// A line of text.
    Text,
    /// A line of text that is never shown again.
    Secret,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Flag,
    /// One of the options.
    OneOf,
    /// One of those that `/connectors/choices` finds; may also be typed.
    Found,
}
