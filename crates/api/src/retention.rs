//! Which old versions of a layer go: by its retention, a rule that is kept with it, or because somebody asks.

use crate::Task;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A rule of a layer: what becomes of its old versions. It is looked at whenever a version has become deployable, or is of use no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// So many of the newest deployable versions stay, 1 to 1,000; and all that something uses.
    pub keep: u32,
    /// What becomes of the others.
    #[serde(default)]
    pub old_versions: OldVersions,
}

/// What becomes of versions that a layer's retention does not keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OldVersions {
    /// They are named, with the layer, for somebody to delete.
    #[default]
    Propose,
    /// The server deletes them by itself.
    Delete,
}

/// An old version that its layer's retention does not keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OldVersion {
    /// The version.
    pub id: Uuid,
    /// Its name.
    pub name: String,
}

/// Which versions of a layer go.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneVersions {
    /// So many of the newest deployable versions stay, 1 to 1,000, and all that something uses; what the layer's retention says when
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u32>,
    /// Delete them; else they are only told.
    #[serde(default)]
    pub delete: bool,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// What becomes of the versions of a layer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PrunedVersions {
    /// All of them, newest first.
    pub versions: Vec<PrunedVersion>,
    /// What making those that go had added to the repository. Collecting garbage frees what nothing else needs.
    pub freed_bytes: u64,
    /// The task that deletes them, if that was asked for and there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
}

/// What becomes of a version.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PrunedVersion {
    /// The version.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Whether it goes.
    pub goes: bool,
    /// Why it stays or goes.
    pub reason: String,
    /// What making it added to the repository.
    pub added_bytes: u64,
}
