//! Schedules in the catalog.

use super::versions::{id, maybe_id, sql};
use super::{Tx, Window, now};
use crate::error::{Error, Result, chain};
use shale_api::ScheduledVersion;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

/// One schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRow {
    /// Id.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// When it is due: the words of `timetable`.
    pub when: String,
    /// In this time zone.
    pub time_zone: String,
    /// Whether it runs by itself.
    pub enabled: bool,
    /// The layer that gets the versions.
    pub layer_id: Uuid,
    /// What they are made of.
    pub version: std::result::Result<ScheduledVersion, Unreadable>,
    /// The folder with the files beside the script.
    pub files_id: Uuid,
    /// When it is due next, while it is enabled.
    pub next_run_at: Option<String>,
    /// When the last run was due.
    pub last_at: Option<String>,
    /// The version that it makes or made.
    pub last_version_id: Option<Uuid>,
    /// Why it was not begun.
    pub last_text: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// What a schedule has where this release reads nothing: it is damaged. It stays until it is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// As it is stored.
    text: String,
    /// Why it cannot be read.
    pub why: String,
}

const COLUMNS: &str = "SELECT id, name, timetable, time_zone, enabled, layer_id, version, files_id, next_run_at, last_at, \
                       last_version_id, last_text, created_by, created_at, updated_at FROM schedules";

fn row(row: SqliteRow) -> Result<ScheduleRow> {
    let text: String = row.try_get("version")?;
    let version = serde_json::from_str(&text).map_err(|e| Unreadable { text, why: e.to_string() });
    Ok(ScheduleRow {
        id: id(&row, "id")?,
        name: row.try_get("name")?,
        when: row.try_get("timetable")?,
        time_zone: row.try_get("time_zone")?,
        enabled: row.try_get("enabled")?,
        layer_id: id(&row, "layer_id")?,
        version,
        files_id: id(&row, "files_id")?,
        next_run_at: row.try_get("next_run_at")?,
        last_at: row.try_get("last_at")?,
        last_version_id: maybe_id(&row, "last_version_id")?,
        last_text: row.try_get("last_text")?,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// One whose ids are damaged does not keep the others.
fn readable(rows: Vec<SqliteRow>) -> Vec<ScheduleRow> {
    let read = |found: SqliteRow| {
        row(found).inspect_err(|error| tracing::warn!(error = chain(error), "a schedule is left out")).ok()
    };
    rows.into_iter().filter_map(read).collect()
}

impl ScheduleRow {
    /// The versions that its machines have besides the layer's own, as far as it can be read.
    pub fn parts(&self) -> impl Iterator<Item = Uuid> {
        self.version.iter().flat_map(|version| {
            let apps = version.prerequisite_version_ids.iter().flatten().copied();
            version.os_version_id.into_iter().chain(version.platform_version_id).chain(apps)
        })
    }

    /// Where its machines run, if it can be read.
    pub fn connector_id(&self) -> Option<Uuid> {
        self.version.as_ref().ok().map(|version| version.connector_id)
    }

    /// Adds it, or writes everything of it anew. A taken name is an error of the database: look first.
    pub async fn write(&self, tx: &mut Tx) -> Result<()> {
        let version = match &self.version {
            Ok(version) => serde_json::to_string(version)
                .map_err(|e| Error::internal("a schedule cannot be kept").because(e))?,
            Err(unreadable) => unreadable.text.clone(),
        };
        sqlx::query(
            "INSERT INTO schedules (id, name, timetable, time_zone, enabled, layer_id, version, files_id, \
             next_run_at, last_at, last_version_id, last_text, created_by, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, timetable = excluded.timetable, \
             time_zone = excluded.time_zone, enabled = excluded.enabled, version = excluded.version, \
             files_id = excluded.files_id, next_run_at = excluded.next_run_at, last_at = excluded.last_at, \
             last_version_id = excluded.last_version_id, last_text = excluded.last_text, \
             updated_at = excluded.updated_at",
        )
        .bind(self.id.to_string())
        .bind(&self.name)
        .bind(&self.when)
        .bind(&self.time_zone)
        .bind(self.enabled)
        .bind(self.layer_id.to_string())
        .bind(version)
        .bind(self.files_id.to_string())
        .bind(&self.next_run_at)
        .bind(&self.last_at)
        .bind(self.last_version_id.map(|id| id.to_string()))
        .bind(&self.last_text)
        .bind(&self.created_by)
        .bind(&self.created_at)
        .bind(now())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// The schedule with this id.
    pub async fn get(tx: &mut Tx, id: Uuid) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " WHERE id = $1");
        sqlx::query(query).bind(id.to_string()).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// The schedule with this name.
    pub async fn by_name(tx: &mut Tx, name: &str) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " WHERE name = $1");
        sqlx::query(query).bind(name).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// Schedules by id, that is, oldest first; `window.after` is the id of the last one seen.
    pub async fn list(tx: &mut Tx, window: &Window) -> Result<Vec<Self>> {
        let rows = sqlx::query(sql(COLUMNS, " WHERE id > $1 ORDER BY id LIMIT $2"))
            .bind(window.after.clone().unwrap_or_default())
            .bind(window.limit)
            .fetch_all(&mut **tx)
            .await?;
        Ok(readable(rows))
    }

    /// Those that were due at `at` (RFC 3339, UTC) or before.
    pub async fn due(tx: &mut Tx, at: &str) -> Result<Vec<Self>> {
        let query = sql(COLUMNS, " WHERE enabled AND next_run_at <= $1 ORDER BY next_run_at");
        Ok(readable(sqlx::query(query).bind(at).fetch_all(&mut **tx).await?))
    }

    /// The folders with the files of all schedules.
    pub async fn folders(tx: &mut Tx) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar("SELECT files_id FROM schedules").fetch_all(&mut **tx).await?)
    }

    /// Removes it; one that is not there is fine.
    pub async fn delete(tx: &mut Tx, id: Uuid) -> Result<()> {
        sqlx::query("DELETE FROM schedules WHERE id = $1").bind(id.to_string()).execute(&mut **tx).await?;
        Ok(())
    }
}
