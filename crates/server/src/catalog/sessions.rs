//! Sessions in the catalog: they outlive the server's process.

use super::users::UserRow;
use super::versions::id;
use super::{Tx, moment, now};
use crate::error::Result;
use jiff::{SignedDuration, Timestamp};
use sqlx::Row;
use uuid::Uuid;

/// A session in which nothing is asked for so long ends.
const IDLE: SignedDuration = SignedDuration::from_hours(12);
/// No session lasts longer.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How often it is noted that a session is used: not with every request.
const NOTED: SignedDuration = SignedDuration::from_secs(60);

/// Somebody who signed in with a browser.
#[derive(Clone)]
pub struct SessionRow {
    /// SHA-256 of the cookie's value, hex.
    pub digest: String,
    /// Who.
    pub user_id: Uuid,
    /// Since when.
    pub created_at: String,
    /// When something was last asked in it, to the minute.
    pub seen_at: String,
}

fn ago(time: SignedDuration) -> String {
    moment(Timestamp::now() - time)
}

impl SessionRow {
    /// Begins a session; those that are over go.
    pub async fn begin(tx: &mut Tx, digest: &str, user: Uuid) -> Result<Self> {
        sqlx::query("DELETE FROM sessions WHERE seen_at <= $1 OR created_at <= $2")
            .bind(ago(IDLE))
            .bind(ago(LONGEST))
            .execute(&mut **tx)
            .await?;
        let at = now();
        sqlx::query("INSERT INTO sessions (digest, user_id, created_at, seen_at) VALUES ($1, $2, $3, $3)")
            .bind(digest)
            .bind(user.to_string())
            .bind(&at)
            .execute(&mut **tx)
            .await?;
        Ok(Self { digest: digest.into(), user_id: user, created_at: at.clone(), seen_at: at })
    }

    /// The session with this digest, if it is not over, and whose it is.
    pub async fn get(tx: &mut Tx, digest: &str) -> Result<Option<(Self, UserRow)>> {
        let found = sqlx::query(
            "SELECT digest, user_id, created_at, seen_at FROM sessions \
             WHERE digest = $1 AND seen_at > $2 AND created_at > $3",
        )
        .bind(digest)
        .bind(ago(IDLE))
        .bind(ago(LONGEST))
        .fetch_optional(&mut **tx)
        .await?;
        let Some(row) = found else { return Ok(None) };
        let session = Self {
            digest: row.try_get("digest")?,
            user_id: id(&row, "user_id")?,
            created_at: row.try_get("created_at")?,
            seen_at: row.try_get("seen_at")?,
        };
        let user = UserRow::get(tx, session.user_id).await?;
        Ok(user.map(|user| (session, user)))
    }

    /// Whether its use is to be noted again.
    pub fn is_due(&self) -> bool {
        self.seen_at <= ago(NOTED)
    }

    /// Notes that something was asked in it.
    pub async fn touch(tx: &mut Tx, digest: &str) -> Result<()> {
        let sql = "UPDATE sessions SET seen_at = $2 WHERE digest = $1";
        sqlx::query(sql).bind(digest).bind(now()).execute(&mut **tx).await?;
        Ok(())
    }

    /// When it ends if nothing more is asked.
    pub fn expires_at(&self) -> String {
        let end = |from: &str, after| from.parse::<Timestamp>().map(|from| moment(from + after));
        let (idle, longest) = (end(&self.seen_at, IDLE), end(&self.created_at, LONGEST));
        idle.into_iter().chain(longest).min().unwrap_or_default()
    }

    /// Ends it.
    pub async fn end(tx: &mut Tx, digest: &str) -> Result<()> {
        sqlx::query("DELETE FROM sessions WHERE digest = $1").bind(digest).execute(&mut **tx).await?;
        Ok(())
    }

    /// Ends all sessions of a user but one.
    pub async fn end_all(tx: &mut Tx, user: Uuid, but: Option<&str>) -> Result<()> {
        sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND digest <> $2")
            .bind(user.to_string())
            .bind(but.unwrap_or_default())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }
}
