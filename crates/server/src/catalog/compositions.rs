//! Compositions in the catalog: which disks were put together, of what, and when they were last of use.

use super::versions::id;
use super::{Tx, now};
use crate::error::{Error, Result};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

/// One disk that was put together, kept in the repository under the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompositionRow {
    /// Id; follows from what it is made of.
    pub id: Uuid,
    /// The versions in it, the OS version first.
    pub parts: Vec<Uuid>,
    /// Bytes of the disk.
    pub disk_size: u64,
    /// When a task last began to use it.
    pub used_at: String,
}

/// A list of ids, as a column holds it.
pub(super) fn ids(text: &str) -> Result<Vec<Uuid>> {
    serde_json::from_str(text).map_err(|e| Error::internal("the catalog holds a bad list of ids").because(e))
}

/// The column that holds a list of ids.
pub(super) fn ids_text(ids: &[Uuid]) -> String {
    serde_json::json!(ids).to_string()
}

fn row(row: SqliteRow) -> Result<CompositionRow> {
    let disk_size: i64 = row.try_get("disk_size")?;
    Ok(CompositionRow {
        id: id(&row, "id")?,
        parts: ids(row.try_get("parts")?)?,
        disk_size: disk_size.max(0) as u64,
        used_at: row.try_get("used_at")?,
    })
}

impl CompositionRow {
    /// Notes that a composition is (about to be) in the repository, and is used now.
    pub async fn used(tx: &mut Tx, id: Uuid, parts: &[Uuid], disk_size: u64) -> Result<()> {
        sqlx::query(
            "INSERT INTO compositions (id, parts, disk_size, created_at, used_at) VALUES ($1, $2, $3, $4, $4) \
             ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at",
        )
        .bind(id.to_string())
        .bind(ids_text(parts))
        .bind(disk_size as i64)
        .bind(now())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// All there are.
    pub async fn list(tx: &mut Tx) -> Result<Vec<Self>> {
        let query = "SELECT id, parts, disk_size, used_at FROM compositions ORDER BY used_at";
        sqlx::query(query).fetch_all(&mut **tx).await?.into_iter().map(row).collect()
    }

    /// The one with this id.
    pub async fn get(tx: &mut Tx, id: Uuid) -> Result<Option<Self>> {
        let query = "SELECT id, parts, disk_size, used_at FROM compositions WHERE id = $1";
        sqlx::query(query).bind(id.to_string()).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// Forgets it; one that is not there is fine.
    pub async fn delete(tx: &mut Tx, id: Uuid) -> Result<()> {
        sqlx::query("DELETE FROM compositions WHERE id = $1").bind(id.to_string()).execute(&mut **tx).await?;
        Ok(())
    }
}
