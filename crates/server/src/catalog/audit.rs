//! The audit: who did what, when, with which comment. Only ever added to.

use super::{Tx, Window, now};
use crate::error::Result;
use shale_api::AuditEntry;
use sqlx::Row;
use uuid::Uuid;

/// An entry to be added.
pub struct NewAudit<'a> {
    /// Who.
    pub who: &'a str,
    /// What: `add_version`, `finalize`, …
    pub action: &'a str,
    /// `layer`, `version`, `connector`, `task`, `repository`.
    pub object_kind: &'a str,
    /// Which.
    pub object_id: Uuid,
    /// Its name now.
    pub object_name: &'a str,
    /// The comment given.
    pub comment: &'a str,
}

impl NewAudit<'_> {
    /// Adds it.
    pub async fn insert(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query(
            "INSERT INTO audit (at, who, action, object_kind, object_id, object_name, comment) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(now())
        .bind(self.who)
        .bind(self.action)
        .bind(self.object_kind)
        .bind(self.object_id.to_string())
        .bind(self.object_name)
        .bind(self.comment)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// Entries, newest first; `window.after` is the `seq` of the last one seen.
pub async fn list(tx: &mut Tx, window: &Window) -> Result<Vec<AuditEntry>> {
    let before = window.after.as_deref().and_then(|seq| seq.parse().ok()).unwrap_or(i64::MAX);
    let rows = sqlx::query(
        "SELECT seq, at, who, action, object_kind, object_id, object_name, comment FROM audit \
         WHERE seq < $1 ORDER BY seq DESC LIMIT $2",
    )
    .bind(before)
    .bind(window.limit)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(AuditEntry {
                seq: row.try_get("seq")?,
                at: row.try_get("at")?,
                who: row.try_get("who")?,
                action: row.try_get("action")?,
                object_kind: row.try_get("object_kind")?,
                object_id: super::versions::id(row, "object_id")?,
                object_name: row.try_get("object_name")?,
                comment: row.try_get("comment")?,
            })
        })
        .collect()
}
