//! Layered images: what templates became.

use crate::{Action, Task};
use serde::{Deserialize, Serialize};
use shale_model::ImageState;
use utoipa::ToSchema;
use uuid::Uuid;

/// A layered image. It is what its template was when it was published; changing or deleting the template changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Image {
    /// Id.
    pub id: Uuid,
    /// `<template>-<date>_<time>`, in UTC; unique.
    pub name: String,
    /// The template it was published from, which may be gone.
    pub template_id: Uuid,
    /// That template's name then.
    pub template_name: String,
    /// Where it is in its life.
    pub state: ImageState,
    /// What it is made of, the OS version first, the platform version last.
    pub parts: Vec<ImagePart>,
    /// The disk that it is, in the repository. Equal images are one disk.
    pub composition_id: Uuid,
    /// The format it is written and downloaded in, unless another is asked for.
    #[schema(schema_with = crate::words::disk_format)]
    pub format: String,
    /// Bytes of its disk.
    pub disk_bytes: u64,
    /// `bios` or `uefi`.
    #[schema(schema_with = crate::words::firmware)]
    pub firmware: String,
    /// Where on the server it was written, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The connector configuration that it was published to, if it was; that may be gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector_id: Option<Uuid>,
    /// What was found out while it was made.
    pub report: ImageReport,
    /// The task that publishes it, or did.
    pub task_id: Uuid,
    /// When it was asked for.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// What may be done with it now.
    pub actions: Vec<Action>,
}

/// A version in an image, as it was called then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImagePart {
    /// The version, which may be gone.
    pub version_id: Uuid,
    /// `layer / version`.
    pub name: String,
}

/// What was found out while an image was made.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ImageReport {
    /// How its disk came to be, in a sentence.
    #[serde(default)]
    pub note: String,
    /// Where its layers stood against each other, the first of them; the template's plan tells all.
    #[serde(default)]
    pub conflicts: Vec<String>,
    /// What else a person should know, the first of it.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Whether it booted, if that was to be checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<BootReport>,
    /// Where it is on a platform, if it was published to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformReport>,
}

/// A layered image on a platform: a machine there, off, with the image's name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlatformReport {
    /// The connector configuration's name then.
    pub connector_name: String,
    /// Where to find it, for people: pool and storage.
    pub place: String,
    /// How it came there, in a sentence.
    pub text: String,
}

/// Whether an image booted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BootReport {
    /// Whether the guest was seen to be up.
    pub came_up: bool,
    /// Seconds from power on to what was seen.
    pub seconds: u64,
    /// What was seen, in a sentence.
    pub text: String,
}

/// Publish an image template.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishImage {
    /// Id of the image, made by the client (UUIDv7); repeating the request is safe.
    pub image_id: Uuid,
    /// The connector configuration it is published to, if that takes images (`xenserver`), or where it is started (`local`);
    /// the template's when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector_id: Option<Uuid>,
    /// Whether it is published to the connector, where that takes images; `true` when left out. It stays in the repository in
    /// any case, to be downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<bool>,
    /// Absolute path on the server, of a folder or of a file that does not exist yet, where it is written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Start it once, wait until its guest is up, and report.
    #[serde(default)]
    pub boot_and_check: bool,
    /// Where it is started: a connector configuration of the kind `local`. When left out: `connector_id` if it is one, else the
    /// only one that there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_connector_id: Option<Uuid>,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// Delete a layered image.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteImage {
    /// Leave its machine on the platform that it was published to, as the administrator's. Without, it is deleted there, too,
    /// which is refused while somebody uses it.
    #[serde(default)]
    pub keep_machine: bool,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// An image that is being published, and the task that does it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ImageCreated {
    /// The image, `publishing`.
    pub image: Image,
    /// The task.
    pub task: Task,
}
