//! Tokens for programs in the catalog.

use super::users::role;
use super::versions::{id, sql};
use super::{Tx, now};
use crate::error::Result;
use shale_model::Role;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

/// One token.
#[derive(Clone)]
pub struct TokenRow {
    /// Id.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// What may be done with it.
    pub role: Role,
    /// SHA-256 of its secret, hex.
    pub digest: String,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: String,
    /// From when on it is refused.
    pub expires_at: String,
    /// When it was last shown, to the minute.
    pub last_used_at: Option<String>,
}

const COLUMNS: &str =
    "SELECT id, name, role, digest, created_by, created_at, expires_at, last_used_at FROM tokens";

fn row(row: SqliteRow) -> Result<TokenRow> {
    Ok(TokenRow {
        id: id(&row, "id")?,
        name: row.try_get("name")?,
        role: role(&row)?,
        digest: row.try_get("digest")?,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        last_used_at: row.try_get("last_used_at")?,
    })
}

impl TokenRow {
    /// Adds it. A taken name is an error of the database: look first.
    pub async fn insert(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query(
            "INSERT INTO tokens (id, name, role, digest, created_by, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(self.id.to_string())
        .bind(&self.name)
        .bind(self.role.as_str())
        .bind(&self.digest)
        .bind(&self.created_by)
        .bind(&self.created_at)
        .bind(&self.expires_at)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// The token with this id.
    pub async fn get(tx: &mut Tx, id: Uuid) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " WHERE id = $1");
        sqlx::query(query).bind(id.to_string()).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// The token whose secret has this digest, unless it has expired.
    pub async fn by_digest(tx: &mut Tx, digest: &str) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " WHERE digest = $1 AND expires_at > $2");
        let found = sqlx::query(query).bind(digest).bind(now()).fetch_optional(&mut **tx).await?;
        found.map(row).transpose()
    }

    /// All, by name.
    pub async fn list(tx: &mut Tx) -> Result<Vec<Self>> {
        let rows =
            sqlx::query(sql(COLUMNS, " ORDER BY name COLLATE by_number, id")).fetch_all(&mut **tx).await?;
        rows.into_iter().map(row).collect()
    }

    /// Notes that it was shown.
    pub async fn touch(tx: &mut Tx, id: Uuid) -> Result<()> {
        let sql = "UPDATE tokens SET last_used_at = $2 WHERE id = $1";
        sqlx::query(sql).bind(id.to_string()).bind(now()).execute(&mut **tx).await?;
        Ok(())
    }

    /// Removes it.
    pub async fn delete(tx: &mut Tx, id: Uuid) -> Result<()> {
        sqlx::query("DELETE FROM tokens WHERE id = $1").bind(id.to_string()).execute(&mut **tx).await?;
        Ok(())
    }
}
