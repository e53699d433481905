//! The repository, and what the server says about itself.

use crate::Check;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What the repository holds.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Repository {
    /// Where it is.
    pub place: String,
    /// Room left there.
    pub free_bytes: u64,
    /// Data of all versions, as if each stood alone.
    pub logical_bytes: u64,
    /// Different data among them, before compression.
    pub unique_bytes: u64,
    /// What is stored.
    pub stored_bytes: u64,
    /// Stored only for disks that were put together for packaging machines and templates, and are no image: they are made again when
    /// they are needed, and go by themselves.
    pub put_together_bytes: u64,
    /// By version and image.
    pub versions: Vec<RepositoryVersion>,
}

/// A version's or image's share of the repository.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RepositoryVersion {
    /// The version; of an image, what it was put together as.
    pub id: Uuid,
    /// `layer / version`, the image's name, or empty when the catalog does not know it.
    pub name: String,
    /// Data in it.
    pub logical_bytes: u64,
    /// Stored only for it: what deleting it would free.
    pub unique_stored_bytes: u64,
}

/// Check the repository.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRepository {
    /// Read and hash every block, not only the structure.
    #[serde(default)]
    pub read_data: bool,
}

/// Collect what no version needs any more.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectGarbage {
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Hours that something must have been unused before it is deleted; 23 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_hours: Option<u32>,
}

/// What the server finds when it looks at itself and its host.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Doctor {
    /// Whether everything that is needed works.
    pub ok: bool,
    /// Line by line.
    pub checks: Vec<Check>,
}

/// Which server this is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ServerInfo {
    /// `shaled`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The API's version.
    pub api: String,
}
