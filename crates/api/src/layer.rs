//! Layers and their versions.

use crate::{Action, OldVersion, Retention, Task};
use serde::{Deserialize, Serialize};
use shale_model::{LayerKind, VersionState};
use utoipa::ToSchema;
use uuid::Uuid;

/// A layer: a named thing that has versions.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Layer {
    /// Id.
    pub id: Uuid,
    /// `os`, `platform` or `app`.
    pub kind: LayerKind,
    /// Unique among layers of its kind.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The OS layer that a platform or app layer belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_layer_id: Option<Uuid>,
    /// That layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_layer_name: Option<String>,
    /// Patterns of what is never in its versions, besides those of Shale (TOML; platform and app layers).
    pub exclusions: String,
    /// What becomes of its old versions by themselves; nothing where there is no such rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Versions that its retention does not keep, the newest first: proposed, or about to be deleted.
    pub old_versions: Vec<OldVersion>,
    /// When it was made.
    pub created_at: String,
    /// When it, or one of its versions, last changed.
    pub updated_at: String,
    /// How many versions it has, whatever their state.
    pub version_count: u32,
    /// Name of the version that was made last, whatever its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_version: Option<String>,
    /// The state of that version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<VersionState>,
    /// The newest deployable version: the default base of the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_deployable: Option<Uuid>,
    /// How big it is.
    pub sizes: LayerSizes,
    /// The open task on this layer, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<Uuid>,
    /// What uses it or one of its versions now, each with its article: `the packaging machine 'X'`.
    pub used_by: Vec<String>,
    /// What may be done with it now.
    pub actions: Vec<Action>,
}

/// How big a layer is, in bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct LayerSizes {
    /// Data (not holes) in its newest deployable version; 0 where none is.
    pub logical_bytes: u64,
    /// What making its versions added to the repository, compressed.
    pub added_bytes: u64,
}

/// What a list of layers is sorted by; those that are equal, by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LayerSort {
    /// When they were made.
    #[default]
    CreatedAt,
    /// When they, or one of their versions, last changed.
    UpdatedAt,
    /// Their names, letters from A to Z in whatever case, numbers by their value: 9 before 10.
    Name,
    /// How many versions they have.
    VersionCount,
    /// Data in their newest deployable version.
    LogicalBytes,
    /// What their versions added to the repository.
    AddedBytes,
}

/// Create a layer: an OS layer from a disk (its first version is deployable when the task is done), a platform or app layer
/// in a packaging machine.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLayer {
    /// Made by the client (UUIDv7); repeating the request is safe.
    pub id: Uuid,
    /// `os`, `platform` or `app`.
    pub kind: LayerKind,
    /// 1 to 100 characters, unique.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Its first version.
    pub version: NewVersion,
    /// Where the disk comes from; required for an OS layer, and only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ImportSource>,
    /// Where and on what it is made; required for a platform or app layer, and only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packaging: Option<Packaging>,
    /// Patterns of what is never in its versions, besides those of Shale (TOML; platform and app layers).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub exclusions: String,
    /// What the disk is, as a format's name, instead of finding out. Say `raw` for a raw disk from a guest that is not
    /// trusted: it could pose as another format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Do not store blocks that the disk's file systems say are free (default true).
    #[serde(default = "yes")]
    pub drop_free_space: bool,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

fn yes() -> bool {
    true
}

/// Where and on what the first version of a platform or app layer is made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Packaging {
    /// The OS version that the packaging machine runs. The layer belongs to its OS layer.
    pub os_version_id: Uuid,
    /// Connector configuration: where the packaging machine runs.
    pub connector_id: Uuid,
    /// Max Layer Size in GiB, thin: the packaging disk's size; 100 when left out (or the OS version's size when that is
    /// larger).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_layer_size_gib: Option<u32>,
    /// Platform layer version with tools and drivers (app layers): the machine has it, the layer does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_version_id: Option<Uuid>,
    /// Versions of app layers that must be there first: the machine has them, the layer does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prerequisite_version_ids: Vec<Uuid>,
    /// The packaging disk.
    pub packaging_disk: PackagingDisk,
}

/// Name and description of a version to be made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVersion {
    /// Made by the client (UUIDv7).
    pub id: Uuid,
    /// 1 to 100 characters, unique in the layer.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
}

/// Where an imported disk comes from.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ImportSource {
    /// An absolute path on the server: raw, qcow2, VHD, VHDX, VMDK or OVA, recognised by content.
    File(String),
    /// The id of an upload that is complete; it is used up by the import.
    Upload(Uuid),
}

/// A layer that is being made, and the task that makes it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LayerCreated {
    /// The layer, its first version still `editing`.
    pub layer: Layer,
    /// The import.
    pub task: Task,
}

/// Change a layer's properties; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditLayer {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// New patterns of what is never in its versions (TOML; platform and app layers).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusions: Option<String>,
    /// What becomes of its old versions from now on; with `keep` 0, nothing by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// One immutable state of a layer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Id.
    pub id: Uuid,
    /// The layer it belongs to.
    pub layer_id: Uuid,
    /// That layer's name.
    pub layer_name: String,
    /// Unique in the layer.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Where it is in its life.
    pub state: VersionState,
    /// The version it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_version_id: Option<Uuid>,
    /// The OS version that its packaging machine ran (platform and app layers).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_version_id: Option<Uuid>,
    /// The platform layer's version that its packaging machine had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_version_id: Option<Uuid>,
    /// Versions of app layers that must be there with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prerequisite_version_ids: Vec<Uuid>,
    /// Sizes, once it is deployable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<VersionSizes>,
    /// BLAKE3 over the whole version, hex, once it is deployable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// `bios` or `uefi`: what the disk boots with.
    #[schema(schema_with = crate::words::firmware)]
    pub firmware: String,
    /// When it was asked for.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// The open task that makes, checks or deletes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<Uuid>,
    /// Its packaging machine, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<Uuid>,
    /// What uses it now, each with its article: `the packaging machine 'X'`. Versions made from it do not: they are whole.
    pub used_by: Vec<String>,
    /// What may be done with it now.
    pub actions: Vec<Action>,
}

/// How big a version is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct VersionSizes {
    /// What the guest sees as its disk.
    pub virtual_bytes: u64,
    /// Data in it (not holes).
    pub logical_bytes: u64,
    /// What making it added to the repository, compressed.
    pub added_bytes: u64,
}

/// Add a version to a layer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddVersion {
    /// Made by the client (UUIDv7); repeating the request is safe.
    pub id: Uuid,
    /// Version: required, 1 to 100 characters, unique in the layer.
    pub name: String,
    /// Version Description.
    #[serde(default)]
    pub description: String,
    /// Max Layer Size in GiB, thin; 100 when left out (or the base version's size when that is larger).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_layer_size_gib: Option<u32>,
    /// Base version; the newest deployable one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_version_id: Option<Uuid>,
    /// The OS version that the packaging machine runs (platform and app layers); the newest deployable one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version_id: Option<Uuid>,
    /// Versions of app layers that must be there first (app layers); the base version's when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prerequisite_version_ids: Option<Vec<Uuid>>,
    /// Connector configuration: where the packaging machine runs.
    pub connector_id: Uuid,
    /// Platform layer version with tools and drivers: the machine has it, the new version does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_version_id: Option<Uuid>,
    /// The packaging disk.
    pub packaging_disk: PackagingDisk,
    /// A script that makes it, in place of a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unattended: Option<crate::Unattended>,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// The temporary disk that the version is made on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PackagingDisk {
    /// Required: a file name; the machine is named after it.
    pub file_name: String,
    /// Disk format; the connector's own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

/// A version that is being made, and the task that makes it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct VersionCreated {
    /// The version, `editing`.
    pub version: Version,
    /// The task that makes it.
    pub task: Task,
}

/// Change a version's name or description; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditVersion {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// Write a version to a disk image on the server.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportVersion {
    /// `raw`, `vhd`, `vhd-fixed`, `vhdx`, `vmdk`, `vmdk-stream`, `qcow2`, `qcow2-compressed`.
    #[schema(schema_with = crate::words::disk_format)]
    pub format: String,
    /// Absolute path on the server. It must not exist, unless `overwrite`.
    pub path: String,
    /// Replace a file that exists.
    #[serde(default)]
    pub overwrite: bool,
}

/// A comment for the audit, where a request needs nothing else.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Comment {
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}
