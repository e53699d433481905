//! Image templates: what a layered image is made of, and what publishing one would come to.

use crate::{Action, Page};
use serde::{Deserialize, Deserializer, Serialize};
use shale_model::{TemplateState, VersionState};
use utoipa::ToSchema;
use uuid::Uuid;

/// An image template: an OS version, app and platform versions on it, and the disk that they become.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Template {
    /// Id.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The OS version below.
    pub os: TemplatePart,
    /// App versions, the lowest priority first: the newer a layer, the higher its priority.
    pub apps: Vec<TemplatePart>,
    /// The platform version above all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<TemplatePart>,
    /// Where its images are meant to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector_id: Option<Uuid>,
    /// That connector configuration's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector_name: Option<String>,
    /// The layered image's disk.
    pub disk: TemplateDisk,
    /// Bytes of that disk.
    pub disk_bytes: u64,
    /// Whether what makes a machine itself is taken out: `none`, `generalize`.
    #[schema(schema_with = crate::words::generalize)]
    pub generalize: String,
    /// Whether it can be published now.
    pub state: TemplateState,
    /// Why not, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
    /// Whether a newer deployable version exists of one of its parts.
    pub has_newer: bool,
    /// Data of all its parts, in bytes: an image takes no more, and less where parts replace each other's files.
    pub estimate_bytes: u64,
    /// Open tasks that publish it.
    pub task_ids: Vec<Uuid>,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// What may be done with it now.
    pub actions: Vec<Action>,
}

/// A version in a template.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TemplatePart {
    /// The version.
    pub version_id: Uuid,
    /// Its name.
    pub version_name: String,
    /// Its layer.
    pub layer_id: Uuid,
    /// That layer's name.
    pub layer_name: String,
    /// The version's state.
    pub state: VersionState,
    /// Data in it.
    pub logical_bytes: u64,
    /// The newest deployable version of its layer, if that is a newer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer: Option<NewerVersion>,
}

/// A version that a part could be updated to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewerVersion {
    /// Which.
    pub version_id: Uuid,
    /// Its name.
    pub version_name: String,
}

/// The disk of a layered image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateDisk {
    /// What the file is called, without an extension; the image's name when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// `raw`, `vhd`, `vhd-fixed`, `vhdx`, `vmdk`, `vmdk-stream`, `qcow2`, `qcow2-compressed`; qcow2 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::words::disk_format)]
    pub format: Option<String>,
    /// Size in GiB, thin; 100 when left out, or the OS version's size when that is larger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_gib: Option<u32>,
}

/// Create an image template.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTemplate {
    /// Made by the client (UUIDv7); repeating the request is safe.
    pub id: Uuid,
    /// 1 to 100 characters, unique.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// A deployable version of an OS layer.
    pub os_version_id: Uuid,
    /// Deployable versions of app layers of that OS layer, in any order, one of each layer.
    #[serde(default)]
    pub app_version_ids: Vec<Uuid>,
    /// A deployable version of a platform layer of that OS layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_version_id: Option<Uuid>,
    /// Where its images are meant to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector_id: Option<Uuid>,
    /// The layered image's disk.
    #[serde(default)]
    pub disk: TemplateDisk,
    /// `none` or `generalize`: whether what makes a machine itself (its id, its keys) is taken out; `none` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::words::generalize)]
    pub generalize: Option<String>,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// Change an image template; what is left out stays. Images that were published of it stay as they are.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditTemplate {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Another OS version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version_id: Option<Uuid>,
    /// All app versions that it has then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version_ids: Option<Vec<Uuid>>,
    /// Another platform version; null: none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub platform_version_id: Option<Option<Uuid>>,
    /// Another connector configuration; null: none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub connector_id: Option<Option<Uuid>>,
    /// The whole disk anew; a size or format that is left out is the default's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<TemplateDisk>,
    /// `none` or `generalize`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::words::generalize)]
    pub generalize: Option<String>,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// Tells a null that was given from a field that was left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Make an image template like another one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloneTemplate {
    /// Made by the client (UUIDv7); repeating the request is safe.
    pub id: Uuid,
    /// The new one's name.
    pub name: String,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// What publishing a template would make of its OS version, told before a byte is written.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Which disk it is: equal plans make one disk, and one that was made before is used again.
    pub composition_id: Uuid,
    /// Whether that disk was put together before.
    pub is_composed: bool,
    /// What each layer brings, the lowest priority first.
    pub layers: Vec<PlanLayer>,
    /// How many paths change in all.
    pub path_count: u64,
    /// How many conflicts there are in all.
    pub conflict_count: u64,
    /// Where layers stand against each other, at most 1,000, by path.
    pub conflicts: Vec<PlanConflict>,
    /// What else a person should know, at most 1,000.
    pub warnings: Vec<PlanWarning>,
    /// Paths that change and fit the search, in the order of their bytes.
    pub paths: Page<PlanPath>,
}

/// A layer's part in a plan.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlanLayer {
    /// The version.
    pub version_id: Uuid,
    /// `layer / version`.
    pub name: String,
    /// Paths it says something of.
    pub entries: u64,
    /// Paths where it wins, alone or among those that are put together.
    pub wins: u64,
    /// Bytes of content it would write alone.
    pub bytes: u64,
    /// Bytes of content that are written of it.
    pub written_bytes: u64,
}

/// A path where layers stand against each other.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlanConflict {
    /// From the root.
    pub path: String,
    /// Whose change is made: a place in `layers`; none: what the operating system has stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<usize>,
    /// Whose change is not made: a place in `layers`; none: the operating system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loser: Option<usize>,
    /// A sentence that names both.
    pub text: String,
}

/// What a person should know, though nothing is lost.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlanWarning {
    /// From the root; none: it is about no certain path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Which layer it is about: a place in `layers`; none: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// A sentence.
    pub text: String,
}

/// What happens at a path.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlanPath {
    /// From the root.
    pub path: String,
    /// `added`, `replaced`, `described` (only its metadata changes), `merged` (put together record by record), `removed`.
    #[schema(schema_with = crate::words::plan_action)]
    pub action: String,
    /// Whose changes are made: places in `layers`, one, or several for a file that is put together.
    pub layers: Vec<usize>,
    /// Bytes of content that are written.
    pub bytes: u64,
}
