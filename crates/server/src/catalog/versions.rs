//! Versions in the catalog.

use super::compositions::{ids, ids_text};
use super::{LayerRow, Tx, Window, now};
use crate::error::{Error, Result};
use shale_connector::Firmware;
use shale_model::{VersionEvent, VersionState};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
use uuid::Uuid;

/// One version.
#[derive(Clone, Debug)]
pub struct VersionRow {
    /// Id; also the id in the repository, and the tag of its packaging machine.
    pub id: Uuid,
    /// Its layer.
    pub layer_id: Uuid,
    /// Unique in the layer.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Where it is in its life.
    pub state: VersionState,
    /// What it was made from.
    pub base_version_id: Option<Uuid>,
    /// The OS version that its packaging machine ran, of a platform or app layer.
    pub os_version_id: Option<Uuid>,
    /// The platform layer's version that its packaging machine had.
    pub platform_version_id: Option<Uuid>,
    /// Versions of app layers that its packaging machine had, and that are to be there with it.
    pub prerequisites: Vec<Uuid>,
    /// Where its packaging machine runs, or ran.
    pub connector_id: Option<Uuid>,
    /// That machine's name.
    pub machine_name: Option<String>,
    /// `bios` or `uefi`.
    pub firmware: String,
    /// The disk's size as the guest sees it; 0 while an import has not looked yet.
    pub virtual_bytes: u64,
    /// Data in it, once deployable.
    pub logical_bytes: Option<u64>,
    /// What it added to the repository, once deployable.
    pub added_bytes: Option<u64>,
    /// Digest of its disk, hex, once deployable.
    pub digest: Option<String>,
    /// When it was asked for.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// As much of a version as the rules about its layer need.
#[derive(Clone, Copy, Debug)]
pub struct VersionMark {
    /// Id.
    pub id: Uuid,
    /// Its layer.
    pub layer_id: Uuid,
    /// Where it is in its life.
    pub state: VersionState,
}

impl From<&VersionRow> for VersionMark {
    fn from(row: &VersionRow) -> Self {
        Self { id: row.id, layer_id: row.layer_id, state: row.state }
    }
}

/// What is known of a version when it is complete.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Finished {
    /// The disk's size.
    pub virtual_bytes: u64,
    /// Data in it.
    pub logical_bytes: u64,
    /// What it added to the repository.
    pub added_bytes: u64,
    /// Digest of its disk, hex.
    pub digest: String,
    /// `bios` or `uefi`.
    pub firmware: String,
}

const COLUMNS: &str = "SELECT id, layer_id, name, description, state, base_version_id, os_version_id, \
                       platform_version_id, prerequisites, connector_id, machine_name, \
                       firmware, virtual_bytes, logical_bytes, added_bytes, digest, created_at, updated_at FROM versions";

/// Two constant pieces as one statement: nothing from outside is ever part of SQL text.
pub(super) fn sql(head: &'static str, tail: &'static str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("{head}{tail}"))
}

/// How many ids are asked for at once: databases bound the values of a statement.
pub(super) const AT_ONCE: usize = 500;

/// Goes on with `head`, these ids, and a closing bracket.
pub(super) fn push_ids(query: &mut QueryBuilder<Sqlite>, head: &'static str, ids: &[Uuid]) {
    query.push(head);
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(id.to_string());
    }
    query.push(")");
}

/// A column that holds a UUID.
pub(super) fn id(row: &SqliteRow, column: &str) -> Result<Uuid> {
    let text: String = row.try_get(column)?;
    Uuid::parse_str(&text)
        .map_err(|e| Error::internal(format!("the catalog holds a bad id {text:?}")).because(e))
}

/// A column that may hold a UUID.
pub(super) fn maybe_id(row: &SqliteRow, column: &str) -> Result<Option<Uuid>> {
    let text: Option<String> = row.try_get(column)?;
    Ok(text.and_then(|text| Uuid::parse_str(&text).ok()))
}

fn bytes(row: &SqliteRow, column: &str) -> Result<Option<u64>> {
    let value: Option<i64> = row.try_get(column)?;
    Ok(value.map(|value| value.max(0) as u64))
}

/// A column that holds a state.
pub(super) fn state(row: &SqliteRow, column: &str) -> Result<VersionState> {
    let state: String = row.try_get(column)?;
    VersionState::parse(&state)
        .ok_or_else(|| Error::internal(format!("the catalog holds an unknown state {state:?}")))
}

fn mark(row: &SqliteRow) -> Result<VersionMark> {
    Ok(VersionMark { id: id(row, "id")?, layer_id: id(row, "layer_id")?, state: state(row, "state")? })
}

fn row(row: SqliteRow) -> Result<VersionRow> {
    Ok(VersionRow {
        id: id(&row, "id")?,
        layer_id: id(&row, "layer_id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        state: state(&row, "state")?,
        base_version_id: maybe_id(&row, "base_version_id")?,
        os_version_id: maybe_id(&row, "os_version_id")?,
        platform_version_id: maybe_id(&row, "platform_version_id")?,
        prerequisites: ids(row.try_get("prerequisites")?)?,
        connector_id: maybe_id(&row, "connector_id")?,
        machine_name: row.try_get("machine_name")?,
        firmware: row.try_get("firmware")?,
        virtual_bytes: bytes(&row, "virtual_bytes")?.unwrap_or(0),
        logical_bytes: bytes(&row, "logical_bytes")?,
        added_bytes: bytes(&row, "added_bytes")?,
        digest: row.try_get("digest")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

impl VersionRow {
    /// `layer / version`, as people know it.
    pub fn name_in(&self, layer: &LayerRow) -> String {
        format!("{} / {}", layer.name, self.name)
    }

    /// What its disk starts by.
    pub fn starts_by(&self) -> Firmware {
        if self.firmware == "uefi" { Firmware::Uefi } else { Firmware::Bios }
    }

    /// Adds it. A taken name is an error of the database: look first.
    pub async fn insert(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query(
            "INSERT INTO versions (id, layer_id, name, description, state, base_version_id, connector_id, \
             machine_name, firmware, virtual_bytes, created_at, updated_at, os_version_id, platform_version_id, \
             prerequisites) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(self.id.to_string())
        .bind(self.layer_id.to_string())
        .bind(&self.name)
        .bind(&self.description)
        .bind(self.state.as_str())
        .bind(self.base_version_id.map(|id| id.to_string()))
        .bind(self.connector_id.map(|id| id.to_string()))
        .bind(&self.machine_name)
        .bind(&self.firmware)
        .bind(self.virtual_bytes as i64)
        .bind(&self.created_at)
        .bind(&self.updated_at)
        .bind(self.os_version_id.map(|id| id.to_string()))
        .bind(self.platform_version_id.map(|id| id.to_string()))
        .bind(ids_text(&self.prerequisites))
        .execute(&mut **tx)
        .await?;
        LayerRow::touch(tx, self.layer_id).await
    }

    /// Writes name and description.
    pub async fn update(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query("UPDATE versions SET name = $2, description = $3, updated_at = $4 WHERE id = $1")
            .bind(self.id.to_string())
            .bind(&self.name)
            .bind(&self.description)
            .bind(now())
            .execute(&mut **tx)
            .await?;
        LayerRow::touch(tx, self.layer_id).await
    }

    /// The version with this id.
    pub async fn get(tx: &mut Tx, id: Uuid) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " WHERE id = $1");
        sqlx::query(query).bind(id.to_string()).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// The versions with these ids, in no certain order; those that are not there are left out.
    pub async fn with_ids(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Self>> {
        let mut found = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE) {
            let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
            push_ids(&mut query, " WHERE id IN (", some);
            let rows = query.build().fetch_all(&mut **tx).await?;
            found.extend(rows.into_iter().map(row).collect::<Result<Vec<_>>>()?);
        }
        Ok(found)
    }

    /// The newest deployable version of each of these layers that has one.
    pub async fn newest_deployable(tx: &mut Tx, layers: &[Uuid]) -> Result<Vec<Self>> {
        let mut found = Vec::with_capacity(layers.len());
        for some in layers.chunks(AT_ONCE) {
            let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
            query.push(" WHERE id IN (SELECT MAX(id) FROM versions WHERE state = 'deployable'");
            push_ids(&mut query, " AND layer_id IN (", some);
            query.push(" GROUP BY layer_id)");
            let rows = query.build().fetch_all(&mut **tx).await?;
            found.extend(rows.into_iter().map(row).collect::<Result<Vec<_>>>()?);
        }
        Ok(found)
    }

    /// A layer's versions by id, that is, oldest first.
    pub async fn of_layer(tx: &mut Tx, layer: Uuid, window: &Window) -> Result<Vec<Self>> {
        let query = sql(COLUMNS, " WHERE layer_id = $1 AND id > $2 ORDER BY id LIMIT $3");
        let rows = sqlx::query(query)
            .bind(layer.to_string())
            .bind(window.after.clone().unwrap_or_default())
            .bind(window.limit)
            .fetch_all(&mut **tx)
            .await?;
        rows.into_iter().map(row).collect()
    }

    /// When the newest version of this layer was asked for.
    pub async fn newest_at(tx: &mut Tx, layer: Uuid) -> Result<Option<String>> {
        let query = sqlx::query_scalar("SELECT MAX(created_at) FROM versions WHERE layer_id = $1");
        Ok(query.bind(layer.to_string()).fetch_one(&mut **tx).await?)
    }

    /// The marks of all versions of this layer, oldest first.
    pub async fn marks(tx: &mut Tx, layer: Uuid) -> Result<Vec<VersionMark>> {
        let query = "SELECT layer_id, id, state FROM versions WHERE layer_id = $1 ORDER BY id";
        let rows = sqlx::query(query).bind(layer.to_string()).fetch_all(&mut **tx).await?;
        rows.iter().map(mark).collect()
    }

    /// The marks of those that are among these.
    pub async fn among(tx: &mut Tx, ids: impl IntoIterator<Item = Uuid>) -> Result<Vec<VersionMark>> {
        let mut query =
            QueryBuilder::<Sqlite>::new("SELECT layer_id, id, state FROM versions WHERE id IN (''");
        for id in ids {
            query.push(", ").push_bind(id.to_string());
        }
        query.push(") ORDER BY id");
        query.build().fetch_all(&mut **tx).await?.iter().map(mark).collect()
    }

    /// Versions that may have a packaging machine: those being made on a connector.
    pub async fn with_machine(tx: &mut Tx) -> Result<Vec<Self>> {
        let query = sql(
            COLUMNS,
            " WHERE connector_id IS NOT NULL AND state IN ('editing', 'finalizable', 'finalizing') ORDER BY id",
        );
        let rows = sqlx::query(query).fetch_all(&mut **tx).await?;
        rows.into_iter().map(row).collect()
    }

    /// Versions that need others to be there, as `layer / version`, with what they need.
    pub async fn with_needs(tx: &mut Tx) -> Result<Vec<(String, Vec<Uuid>)>> {
        let query = "SELECT l.name || ' / ' || v.name AS name, v.prerequisites FROM versions v \
                     JOIN layers l ON l.id = v.layer_id WHERE v.prerequisites <> '[]' ORDER BY v.id";
        let rows = sqlx::query(query).fetch_all(&mut **tx).await?;
        rows.iter().map(|row| Ok((row.try_get("name")?, ids(row.try_get("prerequisites")?)?))).collect()
    }

    /// The ids of all versions.
    pub async fn ids(tx: &mut Tx) -> Result<Vec<Uuid>> {
        let rows = sqlx::query("SELECT id FROM versions").fetch_all(&mut **tx).await?;
        rows.iter().map(|row| id(row, "id")).collect()
    }

    /// Lets `event` happen to the version and writes the state that follows. Answers the new state.
    pub async fn happen(tx: &mut Tx, id: Uuid, event: VersionEvent) -> Result<VersionState> {
        let version = Self::get(tx, id).await?.ok_or_else(|| Error::not_found("version", id))?;
        let state = version.state.after(event).map_err(|refusal| Error::not_allowed(refusal.to_string()))?;
        Self::write_state(tx, &version, state).await?;
        Ok(state)
    }

    /// Puts back a state that an undone task had changed.
    pub async fn put_back(tx: &mut Tx, id: Uuid, state: VersionState) -> Result<()> {
        match Self::get(tx, id).await? {
            Some(version) => Self::write_state(tx, &version, state).await,
            None => Ok(()),
        }
    }

    async fn write_state(tx: &mut Tx, version: &Self, state: VersionState) -> Result<()> {
        sqlx::query("UPDATE versions SET state = $2, updated_at = $3 WHERE id = $1")
            .bind(version.id.to_string())
            .bind(state.as_str())
            .bind(now())
            .execute(&mut **tx)
            .await?;
        LayerRow::touch(tx, version.layer_id).await
    }

    /// Makes it deployable with all that is known of it.
    pub async fn finish(tx: &mut Tx, id: Uuid, facts: &Finished) -> Result<()> {
        sqlx::query(
            "UPDATE versions SET virtual_bytes = $2, logical_bytes = $3, added_bytes = $4, digest = $5, firmware = $6 \
             WHERE id = $1",
        )
        .bind(id.to_string())
        .bind(facts.virtual_bytes as i64)
        .bind(facts.logical_bytes as i64)
        .bind(facts.added_bytes as i64)
        .bind(&facts.digest)
        .bind(&facts.firmware)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Removes it; one that is not there is fine.
    pub async fn delete(tx: &mut Tx, id: Uuid) -> Result<()> {
        if let Some(version) = Self::get(tx, id).await? {
            sqlx::query("DELETE FROM versions WHERE id = $1").bind(id.to_string()).execute(&mut **tx).await?;
            LayerRow::touch(tx, version.layer_id).await?;
        }
        Ok(())
    }
}
