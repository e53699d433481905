//! Layers in the catalog.

use super::versions::{AT_ONCE, id, maybe_id, push_ids, sql};
use super::{Tx, now};
use crate::error::Result;
use shale_api::{OldVersions, Retention};
use shale_model::LayerKind;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
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
    /// The OS layer that a platform or app layer belongs to.
    pub os_layer_id: Option<Uuid>,
    /// Patterns of what is never in its versions, besides those of Shale (TOML).
    pub exclusions: String,
    /// What becomes of its old versions by themselves.
    pub retention: Option<Retention>,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// A platform or app layer, and what it belongs to.
#[derive(Clone, Debug)]
pub struct Belonging {
    /// Its id.
    pub id: Uuid,
    /// What it holds.
    pub kind: LayerKind,
    /// Its name.
    pub name: String,
    /// Its OS layer.
    pub os_layer_id: Uuid,
    /// That layer's name.
    pub os_layer_name: String,
}

fn kind_of(row: &SqliteRow) -> Result<LayerKind> {
    let kind: String = row.try_get("kind")?;
    Ok(match kind.as_str() {
        "platform" => LayerKind::Platform,
        "app" => LayerKind::App,
        _ => LayerKind::Os,
    })
}

fn retention(row: &SqliteRow) -> Result<Option<Retention>> {
    let keep: Option<i64> = row.try_get("retention_keep")?;
    let old_versions =
        if row.try_get("retention_deletes")? { OldVersions::Delete } else { OldVersions::Propose };
    let keep = keep.map(|keep| u32::try_from(keep).unwrap_or(u32::MAX));
    Ok(keep.map(|keep| Retention { keep, old_versions }))
}

/// What is read of a layer `l`.
pub(super) const COLUMNS: &str = "SELECT l.id, l.kind, l.name, l.description, l.os_layer_id, l.exclusions, l.retention_keep, \
                                  l.retention_deletes, l.created_at, l.updated_at";

pub(super) fn row(row: SqliteRow) -> Result<LayerRow> {
    Ok(LayerRow {
        id: id(&row, "id")?,
        kind: kind_of(&row)?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        os_layer_id: maybe_id(&row, "os_layer_id")?,
        exclusions: row.try_get("exclusions")?,
        retention: retention(&row)?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

impl LayerRow {
    /// What app layers are ordered by: the newer one wins over the older.
    pub fn age(&self) -> (&str, Uuid) {
        (&self.created_at, self.id)
    }

    /// The layer that a version belongs to; `None`: there is no such version.
    pub async fn of_version(tx: &mut Tx, version: Uuid) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " FROM layers l JOIN versions v ON v.layer_id = l.id WHERE v.id = $1");
        sqlx::query(query).bind(version.to_string()).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// Adds it, without a retention. A taken name is an error of the database: look first.
    pub async fn insert(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query(
            "INSERT INTO layers (id, kind, name, description, os_layer_id, exclusions, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(self.id.to_string())
        .bind(self.kind.as_str())
        .bind(&self.name)
        .bind(&self.description)
        .bind(self.os_layer_id.map(|id| id.to_string()))
        .bind(&self.exclusions)
        .bind(&self.created_at)
        .bind(&self.updated_at)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Writes name, description, exclusions and retention.
    pub async fn update(&self, tx: &mut Tx) -> Result<()> {
        let deletes = self.retention.is_some_and(|rule| rule.old_versions == OldVersions::Delete);
        sqlx::query(
            "UPDATE layers SET name = $2, description = $3, exclusions = $4, retention_keep = $5, \
             retention_deletes = $6, updated_at = $7 WHERE id = $1",
        )
        .bind(self.id.to_string())
        .bind(&self.name)
        .bind(&self.description)
        .bind(&self.exclusions)
        .bind(self.retention.map(|rule| i64::from(rule.keep)))
        .bind(deletes)
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

    /// The layers with these ids, in no certain order; those that are not there are left out.
    pub async fn with_ids(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Self>> {
        let mut found = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE) {
            let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
            push_ids(&mut query, " FROM layers l WHERE l.id IN (", some);
            let rows = query.build().fetch_all(&mut **tx).await?;
            found.extend(rows.into_iter().map(row).collect::<Result<Vec<_>>>()?);
        }
        Ok(found)
    }

    /// Those whose old versions the server deletes by itself.
    pub async fn deleting(tx: &mut Tx) -> Result<Vec<Self>> {
        let query = sql(COLUMNS, " FROM layers l WHERE retention_keep IS NOT NULL AND retention_deletes");
        sqlx::query(query).fetch_all(&mut **tx).await?.into_iter().map(row).collect()
    }

    /// All platform and app layers with their OS layers.
    pub async fn belonging(tx: &mut Tx) -> Result<Vec<Belonging>> {
        let query = "SELECT l.id, l.kind, l.name, l.os_layer_id, o.name AS os_name FROM layers l \
                     JOIN layers o ON o.id = l.os_layer_id ORDER BY l.created_at, l.id";
        let rows = sqlx::query(query).fetch_all(&mut **tx).await?;
        let one = |row: &SqliteRow| {
            Ok(Belonging {
                id: id(row, "id")?,
                kind: kind_of(row)?,
                name: row.try_get("name")?,
                os_layer_id: id(row, "os_layer_id")?,
                os_layer_name: row.try_get("os_name")?,
            })
        };
        rows.iter().map(one).collect()
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
        sqlx::query("DELETE FROM schedules WHERE layer_id = $1")
            .bind(id.to_string())
            .execute(&mut **tx)
            .await?;
        sqlx::query("DELETE FROM versions WHERE layer_id = $1")
            .bind(id.to_string())
            .execute(&mut **tx)
            .await?;
        sqlx::query("DELETE FROM layers WHERE id = $1").bind(id.to_string()).execute(&mut **tx).await?;
        Ok(())
    }
}
