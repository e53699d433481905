//! Errors on the wire: RFC 9457 `application/problem+json` with a stable code.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What kind of answer this is. Scripts may rely on it; texts may change.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request is malformed, or a field breaks a rule (`errors` says which).
    Invalid,
    /// No or wrong credentials.
    Unauthenticated,
    /// Signed in, but not with a role that may do this, or without the session's `X-Shale-CSRF`.
    Forbidden,
    /// Asked too often: wait as many seconds as `Retry-After` says.
    TooMany,
    /// What was sent does not go on where the server is; `received` says where that is.
    Conflict,
    /// No such object.
    NotFound,
    /// The id was used for something else.
    Exists,
    /// The object is not in a state that allows this (its `actions` say why).
    NotAllowed,
    /// Another task works on the same layer; `task_id` names it.
    Busy,
    /// A feature that this release does not have.
    Unsupported,
    /// The platform, the disk or the repository did not do what was asked; may work later.
    Unavailable,
    /// A bug in Shale: please report it with the `request_id`.
    Internal,
}

impl Code {
    /// The HTTP status that goes with the code.
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid => 422,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::TooMany => 429,
            Self::NotFound => 404,
            Self::Exists | Self::NotAllowed | Self::Busy | Self::Conflict => 409,
            Self::Unsupported => 501,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }

    /// A short title, the same for every problem of this code.
    pub fn title(self) -> &'static str {
        match self {
            Self::Invalid => "The request is not valid",
            Self::Unauthenticated => "Not signed in",
            Self::Forbidden => "Not for this role",
            Self::TooMany => "Too many requests",
            Self::Conflict => "Does not go on there",
            Self::NotFound => "Not found",
            Self::Exists => "Exists already",
            Self::NotAllowed => "Not allowed now",
            Self::Busy => "Another task is at work",
            Self::Unsupported => "Not supported",
            Self::Unavailable => "Not available now",
            Self::Internal => "Internal error",
        }
    }
}

/// An error answer (`application/problem+json`).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:shale:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short, the same for every problem of this code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code.
    pub code: Code,
    /// What happened, to what, and what to do, for a person.
    pub detail: String,
    /// Fields that broke a rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The task that stands in the way (`busy`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<uuid::Uuid>,
    /// How many bytes of an upload are there (`conflict`): send the next from there on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// Names this answer in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A field that broke a rule.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the request, such as `/version/name`.
    pub pointer: String,
    /// What is wrong with it and what would be right.
    pub detail: String,
}
