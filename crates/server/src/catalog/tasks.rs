//! Tasks and their logs in the catalog.

use super::versions::{id, maybe_id, sql};
use super::{Tx, Window, now};
use crate::error::{Error, Result};
use serde_json::Value;
use shale_api::TaskLogEntry;
use shale_task::Event;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

/// One task.
#[derive(Clone, Debug)]
pub struct TaskRow {
    /// Id.
    pub id: Uuid,
    /// Which kind: the name of one of `jobs`.
    pub kind: String,
    /// What it does, for people.
    pub title: String,
    /// The layer it works on.
    pub layer_id: Option<Uuid>,
    /// The version it works on.
    pub version_id: Option<Uuid>,
    /// What the kind's steps need to know.
    pub input: Value,
    /// The body that asked for it.
    pub request: Value,
    /// Who asked.
    pub created_by: String,
    /// The comment given.
    pub comment: String,
    /// When it was asked for.
    pub created_at: String,
    /// When its log last grew.
    pub updated_at: String,
    /// `done`, `failed`, `canceled`, `stuck`; none while it is open.
    pub ending: Option<String>,
    /// Why it did not end well.
    pub error: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
}

/// Which tasks a list wants.
#[derive(Clone, Debug, Default)]
pub struct TaskFilter {
    /// Only open ones (`Some(true)`) or ended ones (`Some(false)`).
    pub open: Option<bool>,
    /// Only those that ended so.
    pub ending: Option<String>,
    /// Only those on this layer.
    pub layer_id: Option<Uuid>,
    /// Only those on this version.
    pub version_id: Option<Uuid>,
}

const COLUMNS: &str = "SELECT id, kind, title, layer_id, version_id, input, request, created_by, comment, created_at, \
                       updated_at, ending, error, finished_at FROM tasks";

fn json(row: &SqliteRow, column: &str) -> Result<Value> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text)
        .map_err(|e| Error::internal(format!("the catalog holds an unreadable task ({column})")).because(e))
}

fn row(row: SqliteRow) -> Result<TaskRow> {
    Ok(TaskRow {
        id: id(&row, "id")?,
        kind: row.try_get("kind")?,
        title: row.try_get("title")?,
        layer_id: maybe_id(&row, "layer_id")?,
        version_id: maybe_id(&row, "version_id")?,
        input: json(&row, "input")?,
        request: json(&row, "request")?,
        created_by: row.try_get("created_by")?,
        comment: row.try_get("comment")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        ending: row.try_get("ending")?,
        error: row.try_get("error")?,
        finished_at: row.try_get("finished_at")?,
    })
}

impl TaskRow {
    /// Whether its input names this id, wherever it does.
    pub fn names(&self, id: Uuid) -> bool {
        fn holds(value: &Value, id: &str) -> bool {
            match value {
                Value::String(text) => text == id,
                Value::Array(items) => items.iter().any(|item| holds(item, id)),
                Value::Object(fields) => fields.values().any(|field| holds(field, id)),
                _ => false,
            }
        }
        holds(&self.input, &id.to_string())
    }

    /// Adds it.
    pub async fn insert(&self, tx: &mut Tx) -> Result<()> {
        sqlx::query(
            "INSERT INTO tasks (id, kind, title, layer_id, version_id, input, request, created_by, comment, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(self.id.to_string())
        .bind(&self.kind)
        .bind(&self.title)
        .bind(self.layer_id.map(|id| id.to_string()))
        .bind(self.version_id.map(|id| id.to_string()))
        .bind(self.input.to_string())
        .bind(self.request.to_string())
        .bind(&self.created_by)
        .bind(&self.comment)
        .bind(&self.created_at)
        .bind(&self.updated_at)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// The task with this id.
    pub async fn get(tx: &mut Tx, id: Uuid) -> Result<Option<Self>> {
        let query = sql(COLUMNS, " WHERE id = $1");
        sqlx::query(query).bind(id.to_string()).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// All tasks that have not ended, oldest first.
    pub async fn open(tx: &mut Tx) -> Result<Vec<Self>> {
        let rows =
            sqlx::query(sql(COLUMNS, " WHERE ending IS NULL ORDER BY id")).fetch_all(&mut **tx).await?;
        rows.into_iter().map(row).collect()
    }

    /// All tasks that are stuck, oldest first: what they left behind is removed by trying again.
    pub async fn stuck(tx: &mut Tx) -> Result<Vec<Self>> {
        let rows =
            sqlx::query(sql(COLUMNS, " WHERE ending = 'stuck' ORDER BY id")).fetch_all(&mut **tx).await?;
        rows.into_iter().map(row).collect()
    }

    /// The versions that tasks have worked on which have ended.
    pub async fn ended_versions(tx: &mut Tx) -> Result<Vec<Uuid>> {
        let sql = "SELECT DISTINCT version_id FROM tasks WHERE ending IS NOT NULL AND version_id IS NOT NULL";
        let rows = sqlx::query(sql).fetch_all(&mut **tx).await?;
        rows.iter().map(|row| id(row, "version_id")).collect()
    }

    /// The task that was asked to make this version. There is one: an id is not given again.
    pub async fn that_made(tx: &mut Tx, version: Uuid) -> Result<Option<Self>> {
        let query = sql(
            COLUMNS,
            " WHERE version_id = $1 AND kind IN ('import_os_layer', 'add_version') ORDER BY id LIMIT 1",
        );
        sqlx::query(query).bind(version.to_string()).fetch_optional(&mut **tx).await?.map(row).transpose()
    }

    /// The last task by which somebody of this name deletes versions of a layer.
    pub async fn last_by_retention(tx: &mut Tx, layer: Uuid) -> Result<Option<Self>> {
        let query = sql(
            COLUMNS,
            " WHERE layer_id = $1 AND kind = 'delete_version' AND json_extract(request, '$.retention') IS NOT NULL \
             ORDER BY id DESC LIMIT 1",
        );
        let found = sqlx::query(query).bind(layer.to_string()).fetch_optional(&mut **tx).await?;
        found.map(row).transpose()
    }

    /// Tasks, newest first; `window.after` is the id of the last one seen.
    pub async fn list(tx: &mut Tx, filter: &TaskFilter, window: &Window) -> Result<Vec<Self>> {
        let query = sql(
            COLUMNS,
            " WHERE ($1 = '' OR id < $1) AND ($2 = 0 OR ending IS NULL) AND ($3 = 0 OR ending IS NOT NULL) \
             AND ($4 = '' OR ending = $4) AND ($5 = '' OR layer_id = $5) AND ($6 = '' OR version_id = $6) \
             ORDER BY id DESC LIMIT $7",
        );
        let rows = sqlx::query(query)
            .bind(window.after.clone().unwrap_or_default())
            .bind(i64::from(filter.open == Some(true)))
            .bind(i64::from(filter.open == Some(false)))
            .bind(filter.ending.clone().unwrap_or_default())
            .bind(filter.layer_id.map(|id| id.to_string()).unwrap_or_default())
            .bind(filter.version_id.map(|id| id.to_string()).unwrap_or_default())
            .bind(window.limit)
            .fetch_all(&mut **tx)
            .await?;
        rows.into_iter().map(row).collect()
    }

    /// Notes how it ended.
    pub async fn end(tx: &mut Tx, id: Uuid, ending: &str, error: Option<&str>) -> Result<()> {
        sqlx::query(
            "UPDATE tasks SET ending = $2, error = $3, finished_at = $4, updated_at = $4 \
             WHERE id = $1 AND ending IS NULL",
        )
        .bind(id.to_string())
        .bind(ending)
        .bind(error)
        .bind(now())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Opens a stuck task again, so that what is left can be tried anew.
    pub async fn reopen(tx: &mut Tx, id: Uuid) -> Result<()> {
        sqlx::query("UPDATE tasks SET ending = NULL, error = NULL, finished_at = NULL WHERE id = $1 AND ending = 'stuck'")
            .bind(id.to_string())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Adds an event to its log.
    pub async fn append(tx: &mut Tx, id: Uuid, event: &Event) -> Result<()> {
        let at = now();
        let text = serde_json::to_string(event)
            .map_err(|e| Error::internal("a task's event cannot be written").because(e))?;
        sqlx::query(
            "INSERT INTO task_events (task_id, seq, at, event) \
             SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3 FROM task_events WHERE task_id = $1",
        )
        .bind(id.to_string())
        .bind(&at)
        .bind(text)
        .execute(&mut **tx)
        .await?;
        let touch = "UPDATE tasks SET updated_at = $2 WHERE id = $1";
        sqlx::query(touch).bind(id.to_string()).bind(&at).execute(&mut **tx).await?;
        Ok(())
    }

    /// Its log, oldest first.
    pub async fn log(tx: &mut Tx, id: Uuid) -> Result<Vec<Event>> {
        let rows = sqlx::query("SELECT event FROM task_events WHERE task_id = $1 ORDER BY seq")
            .bind(id.to_string())
            .fetch_all(&mut **tx)
            .await?;
        rows.iter()
            .map(|row| {
                let text: String = row.try_get("event")?;
                serde_json::from_str(&text)
                    .map_err(|e| Error::internal(format!("the log of task {id} is unreadable")).because(e))
            })
            .collect()
    }

    /// Its log as it was written; `window.after` is the `seq` of the last entry seen.
    pub async fn log_entries(tx: &mut Tx, id: Uuid, window: &Window) -> Result<Vec<TaskLogEntry>> {
        let after: i64 = window.after.as_deref().and_then(|seq| seq.parse().ok()).unwrap_or(0);
        let rows = sqlx::query(
            "SELECT seq, at, event FROM task_events WHERE task_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(id.to_string())
        .bind(after)
        .bind(window.limit)
        .fetch_all(&mut **tx)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(TaskLogEntry {
                    seq: row.try_get("seq")?,
                    at: row.try_get("at")?,
                    event: json(row, "event")?,
                })
            })
            .collect()
    }
}
