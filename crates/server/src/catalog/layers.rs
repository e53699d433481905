//! Layers in the catalog.

use super::versions::{id, sql};
use super::{Tx, now};
use crate::error::Result;
use shale_model::LayerKind;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

/// One layer.
#[derive(Clone, Debug)]
pub struct LayerRow {
    /// Id.
    pub id: Uuid,
    /// What it holds.
    pub kind: LayerKind,
    /// Unique among its kind.
    pub name: String,
    /// Free text.
    pub description: String,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// What is read of a layer `l`.
pub(super) const COLUMNS: &str = "SELECT l.id, l.kind, l.name, l.description, l.created_at, l.updated_at";

pub(super) fn row(row: SqliteRow) -> Result<LayerRow> {
    let kind: String = row.try_get("kind")?;
    Ok(LayerRow {
        id: id(&row, "id")?,
        kind: match kind.as_str() {
            "platform" => LayerKind::Platform,
            "app" => LayerKind::App,
            _ => LayerKind::Os,
        },
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

impl LayerRow {
    /// Adds it. A taken name is an error of the database: look first.
    pub async fn insert(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query(
            "INSERT INTO layers (id, kind, name, description, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.id.to_string())
        .bind(self.kind.as_str())
        .bind(&self.name)
        .bind(&self.description)
        .bind(&self.created_at)
        .bind(&self.updated_at)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Writes name and description.
    pub async fn update(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query("UPDATE layers SET name = $2, description = $3, updated_at = $4 WHERE id = $1")
            .bind(self.id.to_string())
            .bind(&self.name)
            .bind(&self.description)
            .bind(now())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The layer with this id.
    pub async fn get(tx: &mut Tx, id: Uuid) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " FROM layers l WHERE id = $1");
        sqlx::query(query).bind(id.to_string()).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// The layer of this kind with this name.
    pub async fn by_name(tx: &mut Tx, kind: LayerKind, name: &str) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " FROM layers l WHERE kind = $1 AND name = $2");
        let found = sqlx::query(query).bind(kind.as_str()).bind(name).fetch_optional(&mut **tx).await?;
        found.map(row).transpose()
    }

    /// Notes that something in the layer changed.
    pub async fn touch(tx: &mut Tx, id: Uuid) -> Result<()> {
        let sql = "UPDATE layers SET updated_at = $2 WHERE id = $1";
        sqlx::query(sql).bind(id.to_string()).bind(now()).execute(&mut **tx).await?;
        Ok(())
    }

    /// Removes it and all its versions' rows; one that is not there is fine.
    pub async fn delete(tx: &mut Tx, id: Uuid) -> Result<()> {
        sqlx::query("DELETE FROM versions WHERE layer_id = $1")
            .bind(id.to_string())
            .execute(&mut **tx)
            .await?;
        sqlx::query("DELETE FROM layers WHERE id = $1").bind(id.to_string()).execute(&mut **tx).await?;
        Ok(())
    }
}
