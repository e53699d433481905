//! Packaging machines.

use crate::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// It runs.
    Running,
    /// It exists and is off.
    Off,
    /// It is not there (yet, or any more).
    Absent,
    /// The platform did not answer.
    Unknown,
}

/// The temporary machine in which a version is made. Its id is the version's id.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Machine {
    /// The id of the version that is made in it.
    pub id: Uuid,
    /// `<disk file name>-yyyy-MM-dd_HH-mm-ss.fff`.
    pub name: String,
    /// The layer.
    pub layer_id: Uuid,
    /// The layer's name.
    pub layer_name: String,
    /// The version's name.
    pub version_name: String,
    /// The connector configuration it runs on.
    pub connector_id: Uuid,
    /// That configuration's name.
    pub connector_name: String,
    /// Where to find it, in the platform's words.
    pub place: String,
    /// Whether it runs.
    pub power: Power,
    /// More about its state, when there is more to say (paused because a disk is full, …).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Host and port that lead to the guest's SSH, when the connector forwards it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
    /// How it has its CD, where the platform has more than one way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cd: Option<String>,
    /// Whether its screen can be opened: `/machines/{id}/screen`.
    #[serde(default)]
    #[schema(required = true)]
    pub has_screen: bool,
    /// Unix socket of its screen (VNC) on the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnc_socket: Option<String>,
    /// File with the serial console's output on the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_log: Option<String>,
    /// What the guest has written so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
    /// The task it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<Uuid>,
    /// What may be done with it now.
    pub actions: Vec<Action>,
}

/// Give a machine files, in place of those it was given before: they appear in it as a read-only CD.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MachineFiles {
    /// Uploads that are complete, and files that are on the CD already; none takes the CD out. An upload is used up.
    pub upload_ids: Vec<Uuid>,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// A file on a machine's CD.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MachineFile {
    /// The id that its upload had: give it again to keep the file.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its length.
    pub size: u64,
}
