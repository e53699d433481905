//! Files on their way to the server.

use crate::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A file on its way to the server: sent in parts, and taken up again where it broke off. One that gets nothing for 48
/// hours is deleted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    /// Id.
    pub id: Uuid,
    /// The file's name.
    pub name: String,
    /// Its length.
    pub size: u64,
    /// How much of it is there.
    pub received: u64,
    /// When it was begun.
    pub created_at: String,
    /// When something last came.
    pub updated_at: String,
    /// What may be done with it now.
    pub actions: Vec<Action>,
}

/// Begin an upload.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUpload {
    /// Made by the client (UUIDv7); repeating the request is safe.
    pub id: Uuid,
    /// A file name, without folders.
    pub name: String,
    /// The file's length in bytes.
    pub size: u64,
}
