//! The catalog: layers, versions, connectors, tasks, users and the audit, in SQLite.
//!
//! ```text
//!   layers ◀── versions ──▶ connectors          tasks ◀── task_events       audit
//!   users ◀── sessions    tokens
//!                 └── a packaging machine is no row: it is what a connector finds by the version's id
//! ```
//!
//! One file, WAL, `synchronous=FULL`: what a commit returned for is on the disk. Writers begin with
//! `BEGIN IMMEDIATE`, so that what a transaction read still holds when it writes.

mod audit;
mod compositions;
mod connectors;
mod images;
mod layer_list;
mod layers;
mod natural;
mod schedules;
mod sessions;
mod tasks;
mod templates;
mod tokens;
mod uploads;
mod users;
mod versions;

pub use audit::{NewAudit, list as audit_entries};
pub use compositions::CompositionRow;
pub use connectors::ConnectorRow;
pub use images::{ImageFilter, ImageRow};
pub use layer_list::{LayerFilter, LayerSums, ListedLayer};
pub use layers::{Belonging, LayerRow};
pub use schedules::ScheduleRow;
pub use sessions::{LONGEST, SessionRow};
pub use tasks::{TaskFilter, TaskRow};
pub use templates::{TemplateFilter, TemplateRow};
pub use tokens::TokenRow;
pub use uploads::UploadRow;
pub use users::UserRow;
pub use versions::{Finished, VersionMark, VersionRow};

use crate::error::{Error, Result};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};
use std::path::Path;
use std::time::Duration;

/// An open transaction. Dropped without `commit`, it never happened.
pub type Tx = Transaction<'static, Sqlite>;

/// The open catalog; clones share it.
#[derive(Clone)]
pub struct Catalog {
    pool: SqlitePool,
}

impl Catalog {
    /// Opens the catalog in `file`, makes it where there is none, and brings it to this release's tables. A catalog
    /// of a newer release is refused.
    pub async fn open(file: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .collation(natural::BY_NUMBER, natural::compare)
            .busy_timeout(Duration::from_secs(20));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.map_err(|e| {
            Error::unavailable(format!("the catalog {} cannot be opened", file.display())).because(e)
        })?;
        sqlx::migrate!("./migrations").run(&pool).await.map_err(|e| {
            let text = format!("the catalog {} does not fit this release of Shale", file.display());
            Error::unavailable(text).because(e)
        })?;
        Ok(Self { pool })
    }

    /// Begins a transaction that writes.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Begins a transaction that only reads: one consistent state, and no waiting for writers.
    pub async fn read(&self) -> Result<Tx> {
        Ok(self.pool.begin().await?)
    }
}

/// The time now, as the catalog writes it: RFC 3339, UTC, milliseconds.
pub fn now() -> String {
    moment(jiff::Timestamp::now())
}

/// A moment as the catalog writes it: such texts are in the order of time.
pub fn moment(at: jiff::Timestamp) -> String {
    format!("{at:.3}")
}

/// A page of rows by key: `after` is the key of the last row seen (a place, not an offset, so that rows made or
/// deleted meanwhile neither repeat nor hide others).
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Key of the last row seen.
    pub after: Option<String>,
    /// Rows wanted, at most 1,000.
    pub limit: i64,
}

impl Window {
    /// All that fits one answer.
    pub const MOST: i64 = 1000;

    /// The first rows, as many as one answer takes.
    pub fn all() -> Self {
        Self { after: None, limit: Self::MOST }
    }
}
