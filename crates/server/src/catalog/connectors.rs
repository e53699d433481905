//! Connector configurations in the catalog.

use super::versions::{id, sql};
use super::{Tx, now};
use crate::error::{Error, Result};
use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

/// One connector configuration.
#[derive(Clone, Debug)]
pub struct ConnectorRow {
    /// Id.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// Which platform.
    pub kind: String,
    /// The kind's settings, a JSON object.
    pub settings: Value,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

const COLUMNS: &str = "SELECT id, name, kind, settings, created_at, updated_at FROM connectors";

fn row(row: SqliteRow) -> Result<ConnectorRow> {
    let settings: String = row.try_get("settings")?;
    Ok(ConnectorRow {
        id: id(&row, "id")?,
        name: row.try_get("name")?,
        kind: row.try_get("kind")?,
        settings: serde_json::from_str(&settings)
            .map_err(|e| Error::internal("the catalog holds unreadable connector settings").because(e))?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

impl ConnectorRow {
    /// Adds it. A taken name is an error of the database: look first.
    pub async fn insert(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query(
            "INSERT INTO connectors (id, name, kind, settings, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.id.to_string())
        .bind(&self.name)
        .bind(&self.kind)
        .bind(self.settings.to_string())
        .bind(&self.created_at)
        .bind(&self.updated_at)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Writes name and settings.
    pub async fn update(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query("UPDATE connectors SET name = $2, settings = $3, updated_at = $4 WHERE id = $1")
            .bind(self.id.to_string())
            .bind(&self.name)
            .bind(self.settings.to_string())
            .bind(now())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The connector with this id.
    pub async fn get(tx: &mut Tx, id: Uuid) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " WHERE id = $1");
        sqlx::query(query).bind(id.to_string()).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// All, by name. There are few.
    pub async fn list(tx: &mut Tx) -> Result<Vec<Self>> {
        let rows = sqlx::query(sql(COLUMNS, " ORDER BY name COLLATE by_number")).fetch_all(&mut **tx).await?;
        rows.into_iter().map(row).collect()
    }

    /// Removes it from the catalog and from the versions that were made on it.
    pub async fn delete(tx: &mut Tx, id: Uuid) -> Result<()> {
        sqlx::query("UPDATE versions SET connector_id = NULL WHERE connector_id = $1")
            .bind(id.to_string())
            .execute(&mut **tx)
            .await?;
        sqlx::query("DELETE FROM connectors WHERE id = $1").bind(id.to_string()).execute(&mut **tx).await?;
        Ok(())
    }
}
