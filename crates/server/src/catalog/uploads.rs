//! Uploads in the catalog. How much of one is there is the length of its file.

use super::versions::{id, maybe_id, sql};
use super::{Tx, now};
use crate::error::Result;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

/// One upload.
#[derive(Clone, Debug)]
pub struct UploadRow {
    /// Id.
    pub id: Uuid,
    /// The file's name.
    pub name: String,
    /// Its length.
    pub size: u64,
    /// Who sends it.
    pub created_by: String,
    /// When it was begun.
    pub created_at: String,
    /// When something last came.
    pub updated_at: String,
    /// The import that uses it.
    pub task_id: Option<Uuid>,
}

const COLUMNS: &str = "SELECT id, name, size, created_by, created_at, updated_at, task_id FROM uploads";

fn row(row: SqliteRow) -> Result<UploadRow> {
    let size: i64 = row.try_get("size")?;
    Ok(UploadRow {
        id: id(&row, "id")?,
        name: row.try_get("name")?,
        size: size.max(0) as u64,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        task_id: maybe_id(&row, "task_id")?,
    })
}

impl UploadRow {
    /// Adds it.
    pub async fn insert(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query(
            "INSERT INTO uploads (id, name, size, created_by, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $5)",
        )
        .bind(self.id.to_string())
        .bind(&self.name)
        .bind(i64::try_from(self.size).unwrap_or(i64::MAX))
        .bind(&self.created_by)
        .bind(&self.created_at)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// The upload with this id.
    pub async fn get(tx: &mut Tx, id: Uuid) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " WHERE id = $1");
        sqlx::query(query).bind(id.to_string()).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// All, oldest first.
    pub async fn list(tx: &mut Tx) -> Result<Vec<Self>> {
        let rows = sqlx::query(sql(COLUMNS, " ORDER BY id")).fetch_all(&mut **tx).await?;
        rows.into_iter().map(row).collect()
    }

    /// Notes that something came.
    pub async fn touch(tx: &mut Tx, id: Uuid) -> Result<()> {
        let sql = "UPDATE uploads SET updated_at = $2 WHERE id = $1";
        sqlx::query(sql).bind(id.to_string()).bind(now()).execute(&mut **tx).await?;
        Ok(())
    }

    /// Notes which import uses it, or that none does any more.
    pub async fn claim(tx: &mut Tx, id: Uuid, task: Option<Uuid>) -> Result<()> {
        sqlx::query("UPDATE uploads SET task_id = $2, updated_at = $3 WHERE id = $1")
            .bind(id.to_string())
            .bind(task.map(|task| task.to_string()))
            .bind(now())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Removes it from the catalog. Its file is the caller's.
    pub async fn delete(tx: &mut Tx, id: Uuid) -> Result<()> {
        sqlx::query("DELETE FROM uploads WHERE id = $1").bind(id.to_string()).execute(&mut **tx).await?;
        Ok(())
    }
}
