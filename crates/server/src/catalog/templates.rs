//! Image templates in the catalog.

use super::compositions::{ids, ids_text};
use super::versions::{id, maybe_id, sql};
use super::{Tx, Window, now};
use crate::error::Result;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

/// One image template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateRow {
    /// Id.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The OS version below.
    pub os_version_id: Uuid,
    /// The platform version above all.
    pub platform_version_id: Option<Uuid>,
    /// App versions, in no order: the layers' ages order them.
    pub app_versions: Vec<Uuid>,
    /// Where its images are meant to run.
    pub connector_id: Option<Uuid>,
    /// What an image's file is called, without extension; empty: as the image.
    pub disk_name: String,
    /// A disk format's name.
    pub format: String,
    /// Bytes of the image's disk.
    pub disk_size: u64,
    /// Whether what makes a machine itself is taken out.
    pub generalize: bool,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// Which templates a list wants.
#[derive(Clone, Debug, Default)]
pub struct TemplateFilter {
    /// Only the one with this name.
    pub name: Option<String>,
    /// Only those with this in their name or description, letters from A to Z in whatever case.
    pub text: Option<String>,
}

const COLUMNS: &str = "SELECT id, name, description, os_version_id, platform_version_id, app_versions, connector_id, \
                       disk_name, format, disk_size, generalize, created_at, updated_at FROM templates";

fn row(row: SqliteRow) -> Result<TemplateRow> {
    let disk_size: i64 = row.try_get("disk_size")?;
    Ok(TemplateRow {
        id: id(&row, "id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        os_version_id: id(&row, "os_version_id")?,
        platform_version_id: maybe_id(&row, "platform_version_id")?,
        app_versions: ids(row.try_get("app_versions")?)?,
        connector_id: maybe_id(&row, "connector_id")?,
        disk_name: row.try_get("disk_name")?,
        format: row.try_get("format")?,
        disk_size: disk_size.max(0) as u64,
        generalize: row.try_get("generalize")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// A text as a part of a pattern for LIKE, with `\` as the escape.
pub(super) fn containing(text: &str) -> String {
    let literal = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{literal}%")
}

impl TemplateRow {
    /// The versions in it, in no certain order.
    pub fn parts(&self) -> impl Iterator<Item = Uuid> {
        std::iter::once(self.os_version_id)
            .chain(self.app_versions.iter().copied())
            .chain(self.platform_version_id)
    }

    /// Adds it. A taken name is an error of the database: look first.
    pub async fn insert(&self, tx: &mut Tx) -> Result<()> {
        let query = sqlx::query(
            "INSERT INTO templates (id, name, description, os_version_id, platform_version_id, app_versions, \
             connector_id, disk_name, format, disk_size, generalize, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)",
        );
        self.bind(query).bind(&self.created_at).execute(&mut **tx).await?;
        Ok(())
    }

    /// Writes everything that can change.
    pub async fn update(&self, tx: &mut Tx) -> Result<()> {
        let query = sqlx::query(
            "UPDATE templates SET name = $2, description = $3, os_version_id = $4, platform_version_id = $5, \
             app_versions = $6, connector_id = $7, disk_name = $8, format = $9, disk_size = $10, generalize = $11, \
             updated_at = $12 WHERE id = $1",
        );
        self.bind(query).bind(now()).execute(&mut **tx).await?;
        Ok(())
    }

    /// The first eleven values of a statement.
    fn bind<'q>(
        &self,
        query: sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
        query
            .bind(self.id.to_string())
            .bind(self.name.clone())
            .bind(self.description.clone())
            .bind(self.os_version_id.to_string())
            .bind(self.platform_version_id.map(|id| id.to_string()))
            .bind(ids_text(&self.app_versions))
            .bind(self.connector_id.map(|id| id.to_string()))
            .bind(self.disk_name.clone())
            .bind(self.format.clone())
            .bind(self.disk_size as i64)
            .bind(self.generalize)
    }

    /// The template with this id.
    pub async fn get(tx: &mut Tx, id: Uuid) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " WHERE id = $1");
        sqlx::query(query).bind(id.to_string()).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// The template with this name.
    pub async fn by_name(tx: &mut Tx, name: &str) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " WHERE name = $1");
        sqlx::query(query).bind(name).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// Templates by id, that is, oldest first; `window.after` is the id of the last one seen.
    pub async fn list(tx: &mut Tx, filter: &TemplateFilter, window: &Window) -> Result<Vec<Self>> {
        let query = sql(
            COLUMNS,
            " WHERE id > $1 AND ($2 = '' OR name = $2) \
             AND lower(name || ' ' || description) LIKE lower($3) ESCAPE '\\' ORDER BY id LIMIT $4",
        );
        let rows = sqlx::query(query)
            .bind(window.after.clone().unwrap_or_default())
            .bind(filter.name.clone().unwrap_or_default())
            .bind(containing(filter.text.as_deref().unwrap_or_default()))
            .bind(window.limit)
            .fetch_all(&mut **tx)
            .await?;
        rows.into_iter().map(row).collect()
    }

    /// All there are. There are few.
    pub async fn all(tx: &mut Tx) -> Result<Vec<Self>> {
        let rows = sqlx::query(sql(COLUMNS, " ORDER BY id")).fetch_all(&mut **tx).await?;
        rows.into_iter().map(row).collect()
    }

    /// Removes it; one that is not there is fine.
    pub async fn delete(tx: &mut Tx, id: Uuid) -> Result<()> {
        sqlx::query("DELETE FROM templates WHERE id = $1").bind(id.to_string()).execute(&mut **tx).await?;
        Ok(())
    }
}
