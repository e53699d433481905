//! Layered images in the catalog.

use super::templates::containing;
use super::versions::{id, maybe_id, sql};
use super::{Tx, Window, now};
use crate::error::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shale_api::{ImagePart, ImageReport};
use shale_model::ImageState;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::collections::HashMap;
use std::path::PathBuf;
use uuid::Uuid;

/// One layered image.
#[derive(Clone, Debug)]
pub struct ImageRow {
    /// Id; also the tag of the machine that tries whether it boots.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// The template it was published from, which may be gone.
    pub template_id: Uuid,
    /// That template's name then.
    pub template_name: String,
    /// The task that publishes it.
    pub task_id: Uuid,
    /// Its disk in the repository.
    pub composition_id: Uuid,
    /// What it is made of, the OS version first.
    pub parts: Vec<ImagePart>,
    /// A disk format's name.
    pub format: String,
    /// Where on this host it was written, if it was.
    pub path: Option<PathBuf>,
    /// The connector configuration that it was published to, if it was; that may be gone.
    pub connector_id: Option<Uuid>,
    /// `bios` or `uefi`.
    pub firmware: String,
    /// Bytes of its disk.
    pub disk_size: u64,
    /// Where it is in its life.
    pub state: ImageState,
    /// What was found out while it was made.
    pub report: ImageReport,
    /// When it was asked for.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// Which images a list wants.
#[derive(Clone, Debug, Default)]
pub struct ImageFilter {
    /// Only the one with this name.
    pub name: Option<String>,
    /// Only those with this in their name, letters from A to Z in whatever case.
    pub text: Option<String>,
    /// Only those of this template.
    pub template_id: Option<Uuid>,
}

const COLUMNS: &str = "SELECT id, name, template_id, template_name, task_id, composition_id, parts, format, path, \
                       firmware, disk_size, state, report, created_at, updated_at, connector_id FROM images";

fn read<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text)
        .map_err(|e| Error::internal(format!("the catalog holds an unreadable image ({column})")).because(e))
}

fn written(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal("an image cannot be written down").because(e))
}

fn row(row: SqliteRow) -> Result<ImageRow> {
    let disk_size: i64 = row.try_get("disk_size")?;
    let (state, path): (String, Option<String>) = (row.try_get("state")?, row.try_get("path")?);
    Ok(ImageRow {
        id: id(&row, "id")?,
        name: row.try_get("name")?,
        template_id: id(&row, "template_id")?,
        template_name: row.try_get("template_name")?,
        task_id: id(&row, "task_id")?,
        composition_id: id(&row, "composition_id")?,
        parts: read(&row, "parts")?,
        format: row.try_get("format")?,
        path: path.map(PathBuf::from),
        connector_id: maybe_id(&row, "connector_id")?,
        firmware: row.try_get("firmware")?,
        disk_size: disk_size.max(0) as u64,
        state: ImageState::parse(&state)
            .ok_or_else(|| Error::internal(format!("the catalog holds an unknown state {state:?}")))?,
        report: read(&row, "report")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

impl ImageRow {
    /// Adds it. A taken name is an error of the database: look first.
    pub async fn insert(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query(
            "INSERT INTO images (id, name, template_id, template_name, task_id, composition_id, parts, format, path, \
             firmware, disk_size, state, report, created_at, updated_at, connector_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, $15)",
        )
        .bind(self.id.to_string())
        .bind(&self.name)
        .bind(self.template_id.to_string())
        .bind(&self.template_name)
        .bind(self.task_id.to_string())
        .bind(self.composition_id.to_string())
        .bind(written(&self.parts)?)
        .bind(&self.format)
        .bind(self.path.as_ref().map(|path| path.to_string_lossy().into_owned()))
        .bind(&self.firmware)
        .bind(self.disk_size as i64)
        .bind(self.state.as_str())
        .bind(written(&self.report)?)
        .bind(&self.created_at)
        .bind(self.connector_id.map(|id| id.to_string()))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Makes it published, with what was found out.
    pub async fn finish(tx: &mut Tx, id: Uuid, report: &ImageReport) -> Result<()> {
        sqlx::query("UPDATE images SET state = $2, report = $3, updated_at = $4 WHERE id = $1")
            .bind(id.to_string())
            .bind(ImageState::Published.as_str())
            .bind(written(report)?)
            .bind(now())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The image with this id.
    pub async fn get(tx: &mut Tx, id: Uuid) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " WHERE id = $1");
        sqlx::query(query).bind(id.to_string()).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// The names of images that begin so.
    pub async fn names(tx: &mut Tx, beginning: &str) -> Result<Vec<String>> {
        let query = sqlx::query_scalar("SELECT name FROM images WHERE substr(name, 1, length($1)) = $1");
        Ok(query.bind(beginning).fetch_all(&mut **tx).await?)
    }

    /// Images, newest first; `window.after` is the id of the last one seen.
    pub async fn list(tx: &mut Tx, filter: &ImageFilter, window: &Window) -> Result<Vec<Self>> {
        let query = sql(
            COLUMNS,
            " WHERE ($1 = '' OR id < $1) AND ($2 = '' OR name = $2) AND lower(name) LIKE lower($3) ESCAPE '\\' \
             AND ($4 = '' OR template_id = $4) ORDER BY id DESC LIMIT $5",
        );
        let rows = sqlx::query(query)
            .bind(window.after.clone().unwrap_or_default())
            .bind(filter.name.clone().unwrap_or_default())
            .bind(containing(filter.text.as_deref().unwrap_or_default()))
            .bind(filter.template_id.map(|id| id.to_string()).unwrap_or_default())
            .bind(window.limit)
            .fetch_all(&mut **tx)
            .await?;
        rows.into_iter().map(row).collect()
    }

    /// The compositions that images are.
    pub async fn compositions(tx: &mut Tx) -> Result<Vec<Uuid>> {
        let rows = sqlx::query("SELECT DISTINCT composition_id FROM images").fetch_all(&mut **tx).await?;
        rows.iter().map(|row| id(row, "composition_id")).collect()
    }

    /// The compositions that images are, each with the name of one.
    pub async fn by_composition(tx: &mut Tx) -> Result<HashMap<Uuid, String>> {
        let rows = sqlx::query("SELECT composition_id, name FROM images").fetch_all(&mut **tx).await?;
        rows.iter().map(|row| Ok((id(row, "composition_id")?, row.try_get("name")?))).collect()
    }

    /// Removes it; one that is not there is fine.
    pub async fn delete(tx: &mut Tx, id: Uuid) -> Result<()> {
        sqlx::query("DELETE FROM images WHERE id = $1").bind(id.to_string()).execute(&mut **tx).await?;
        Ok(())
    }
}
