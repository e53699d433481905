//! Who is signed in, users, and tokens for programs.

use crate::Action;
use crate::ServerInfo;
use serde::{Deserialize, Serialize};
use shale_model::Role;
use utoipa::ToSchema;
use uuid::Uuid;

/// Who asks, and what they need to go on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Whether the server has no administrator yet: `POST /setup` makes the first.
    pub setup_needed: bool,
    /// Who is signed in, if anybody is.
    pub user: Option<SignedIn>,
    /// What every request but GET and HEAD must repeat in the header `X-Shale-CSRF`; only with a cookie.
    pub csrf: Option<String>,
    /// When the session ends if nothing more is asked (RFC 3339).
    pub expires_at: Option<String>,
    /// Which server this is.
    pub server: ServerInfo,
    /// What who is signed in may do that is no action of one thing, by the names of the operations: `create_layer`,
    /// `create_connector`, …; and `name_server_files`. Empty when nobody is.
    pub actions: Vec<Action>,
    /// Number of the newest event: `GET /events?after=` it tells of every change to what is read from here on. Only for
    /// who is signed in.
    pub newest_event: Option<i64>,
}

/// Who is signed in: a user, a token, or this host's administrator (with an id of zeros).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SignedIn {
    /// Id.
    pub id: Uuid,
    /// Name.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// Make the first administrator.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUp {
    /// The code that the server printed when it started.
    pub code: String,
    /// The administrator's name.
    pub name: String,
    /// At least 12 characters.
    pub password: String,
}

/// The code that makes the first administrator.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SetupCode {
    /// The code, such as `K7QF-2MZP`.
    pub code: String,
    /// Until when it is taken (RFC 3339).
    pub expires_at: String,
}

/// Sign in.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The user's name, in whatever case.
    pub name: String,
    /// The password.
    pub password: String,
}

/// Change one's own password. Other sessions of the user end.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The password so far.
    pub old_password: String,
    /// The new one: at least 12 characters.
    pub new_password: String,
}

/// Somebody who may sign in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Id.
    pub id: Uuid,
    /// Unique, in whatever case.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// When they were made.
    pub created_at: String,
    /// When they last signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_login_at: Option<String>,
    /// What may be done with them now.
    pub actions: Vec<Action>,
}

/// Make a user.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Made by the client (UUIDv7).
    pub id: Uuid,
    /// 1 to 100 characters, unique.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// At least 12 characters.
    pub password: String,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// Change a user; what is left out stays. A new password ends their sessions.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditUser {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New role; it counts from the next request on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// New password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// A token for programs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Id.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// What may be done with it.
    pub role: Role,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: String,
    /// From when on it is refused (RFC 3339).
    pub expires_at: String,
    /// When it was last shown, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// What may be done with it now.
    pub actions: Vec<Action>,
}

/// Make a token.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Made by the client (UUIDv7). The same request again is refused: the secret is shown once.
    pub id: Uuid,
    /// 1 to 100 characters, unique.
    pub name: String,
    /// What may be done with it.
    pub role: Role,
    /// From when on it is refused (RFC 3339): at most 366 days from now.
    pub expires_at: String,
    /// Kept in the audit.
    #[serde(default)]
    pub comment: String,
}

/// A token that was made, with its secret: it is shown this once.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenCreated {
    /// The token.
    pub token: Token,
    /// What to send as `Authorization: Bearer …`.
    pub secret: String,
}
