//! What a kind of connector wants to be told, as data: so that API, CLI and console can ask for it, explain it and keep
//! its secrets without knowing the kind.

use serde::Serialize;

/// One setting of a kind of connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Key in the settings' JSON object.
    pub name: &'static str,
    /// For people: "User name".
    pub label: &'static str,
    /// What is written there.
    pub input: Input,
    /// Whether it must be given.
    pub required: bool,
    /// What it is when left out, as people would write it.
    pub default: Option<&'static str>,
    /// One or two sentences on what it does and where to find it.
    pub help: &'static str,
}

/// What is written into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "of")]
pub enum Input {
    /// A line of text.
    Text,
    /// A line of text that is written only, and never shown again.
    Secret,
    /// A whole number.
    Number,
    /// Yes or no.
    Flag,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// One of those that [`crate::Connector::choices`] finds on the platform; may also be typed.
    Found,
}

/// Something on the platform that a setting may name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The setting it is for: [`Field::name`].
    pub field: &'static str,
    /// What to write there.
    pub value: String,
    /// What people call it.
    pub label: String,
    /// What helps to choose: free space, networks, firmware.
    pub detail: String,
}
