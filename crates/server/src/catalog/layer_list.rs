//! Lists of layers: which, in which order, page by page.
//!
//! ```text
//!   a layer's place in a list:  KEY:ID     what it is sorted by, then its id: two layers never share a place
//! ```
//!
//! A layer's versions are summed up here, for lists and for a single layer alike: what is filtered and sorted by is what the
//! layer's view shows.

use super::layers::{COLUMNS, row};
use super::versions::{maybe_id, state};
use super::{LayerRow, Tx, Window};
use crate::error::{Error, Result};
use shale_api::LayerSort;
use shale_model::{LayerKind, VersionState};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
use uuid::Uuid;

/// Which layers, in which order.
#[derive(Clone, Debug, Default)]
pub struct LayerFilter {
    /// Only this kind.
    pub kind: Option<LayerKind>,
    /// Only the one with this name.
    pub name: Option<String>,
    /// Only those with this in their name or description, letters from A to Z in whatever case.
    pub text: Option<String>,
    /// Only those whose newest version is in this state.
    pub state: Option<VersionState>,
    /// By what they are sorted.
    pub sort: LayerSort,
    /// The greatest first.
    pub descending: bool,
}

/// What a layer's versions add up to.
#[derive(Clone, Debug)]
pub struct LayerSums {
    /// How many there are.
    pub versions: u32,
    /// How many of them are deployable.
    pub deployable: u32,
    /// The one that was made last, whatever its state: name and state.
    pub newest: Option<(String, VersionState)>,
    /// The newest that is deployable.
    pub newest_deployable: Option<Uuid>,
    /// Data in that one; 0 where there is none.
    pub logical_bytes: u64,
    /// What all of them added to the repository.
    pub added_bytes: u64,
}

/// A layer, its sums, and its place in the list.
pub struct ListedLayer {
    /// The layer.
    pub layer: LayerRow,
    /// What its versions add up to.
    pub sums: LayerSums,
    /// What the next page comes after.
    pub place: String,
}

/// What is read of the sums.
const SUMS: &str = "COALESCE(v.version_count, 0) AS version_count, COALESCE(v.deployables, 0) AS deployables, \
     n.name AS newest_name, n.state AS newest_state, d.id AS deployable_id, \
     COALESCE(d.logical_bytes, 0) AS logical_bytes, COALESCE(v.added_bytes, 0) AS added_bytes";
/// Every layer with its sums, its newest version, and its newest deployable version. Ids tell ages.
const VERSIONS: &str = " FROM layers l LEFT JOIN (SELECT layer_id AS of_layer, COUNT(*) AS version_count, \
     SUM(added_bytes) AS added_bytes, COUNT(CASE WHEN state = 'deployable' THEN id END) AS deployables, \
     MAX(id) AS newest, MAX(CASE WHEN state = 'deployable' THEN id END) AS deployable \
     FROM versions GROUP BY layer_id) v ON v.of_layer = l.id LEFT JOIN versions n ON n.id = v.newest \
     LEFT JOIN versions d ON d.id = v.deployable";

fn sums(row: &SqliteRow) -> Result<LayerSums> {
    let number = |column: &str| row.try_get::<i64, _>(column).map(|number| number.max(0) as u64);
    let newest: Option<String> = row.try_get("newest_name")?;
    let state = match newest {
        Some(_) => Some(state(row, "newest_state")?),
        None => None,
    };
    Ok(LayerSums {
        versions: number("version_count")? as u32,
        deployable: number("deployables")? as u32,
        newest: newest.zip(state),
        newest_deployable: maybe_id(row, "deployable_id")?,
        logical_bytes: number("logical_bytes")?,
        added_bytes: number("added_bytes")?,
    })
}

impl LayerSums {
    /// What the versions of this layer add up to; `None` where there is no such layer.
    pub async fn of(tx: &mut Tx, layer: Uuid) -> Result<Option<Self>> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
        query.push(SUMS).push(VERSIONS).push(" WHERE l.id = ").push_bind(layer.to_string());
        query.build().fetch_optional(&mut **tx).await?.map(|row| sums(&row)).transpose()
    }
}

/// What a list is sorted by, in SQL. Texts are compared as texts, all others as numbers.
fn key(sort: LayerSort) -> &'static str {
    match sort {
        LayerSort::CreatedAt => "l.created_at",
        LayerSort::UpdatedAt => "l.updated_at",
        LayerSort::Name => "lower(l.name)",
        LayerSort::VersionCount => "COALESCE(v.version_count, 0)",
        LayerSort::AddedBytes => "COALESCE(v.added_bytes, 0)",
        LayerSort::LogicalBytes => "COALESCE(d.logical_bytes, 0)",
    }
}

/// How two of it are compared.
fn collation(sort: LayerSort) -> &'static str {
    match sort {
        LayerSort::Name => " COLLATE by_number",
        _ => "",
    }
}

fn is_number(sort: LayerSort) -> bool {
    matches!(sort, LayerSort::VersionCount | LayerSort::AddedBytes | LayerSort::LogicalBytes)
}

impl LayerFilter {
    /// The layers in this window.
    pub async fn list(&self, tx: &mut Tx, window: &Window) -> Result<Vec<ListedLayer>> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM (");
        query
            .push(COLUMNS)
            .push(", ")
            .push(SUMS)
            .push(", ")
            .push(key(self.sort))
            .push(" AS sort_key")
            .push(VERSIONS);
        self.conditions(&mut query);
        query.push(") AS listed");
        if let Some(place) = &window.after {
            self.after(&mut query, place)?;
        }
        let order = if self.descending { " DESC" } else { "" };
        query.push(" ORDER BY sort_key").push(collation(self.sort)).push(order).push(", id").push(order);
        query.push(" LIMIT ").push_bind(window.limit);
        let rows = query.build().fetch_all(&mut **tx).await?;
        let listed = rows.into_iter().map(|found| {
            let key = match is_number(self.sort) {
                true => found.try_get::<i64, _>("sort_key")?.to_string(),
                false => found.try_get("sort_key")?,
            };
            let sums = sums(&found)?;
            let layer = row(found)?;
            Ok(ListedLayer { place: format!("{key}:{}", layer.id), sums, layer })
        });
        listed.collect()
    }

    fn conditions(&self, query: &mut QueryBuilder<Sqlite>) {
        query.push(" WHERE 1 = 1");
        if let Some(kind) = self.kind {
            query.push(" AND l.kind = ").push_bind(kind.as_str());
        }
        if let Some(name) = &self.name {
            query.push(" AND l.name = ").push_bind(name.clone());
        }
        if let Some(text) = &self.text {
            let literal = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            query.push(" AND lower(l.name || ' ' || l.description) LIKE lower(");
            query.push_bind(format!("%{literal}%")).push(") ESCAPE '\\'");
        }
        if let Some(state) = self.state {
            query.push(" AND n.state = ").push_bind(state.as_str());
        }
    }

    fn after(&self, query: &mut QueryBuilder<Sqlite>, place: &str) -> Result<()> {
        let unknown = || Error::field("/page_token", "The page token is not one of this list.");
        let (key, id) = place.rsplit_once(':').ok_or_else(unknown)?;
        query.push(" WHERE (sort_key").push(collation(self.sort)).push(", id) ");
        query.push(if self.descending { "< (" } else { "> (" });
        if is_number(self.sort) {
            query.push_bind(key.parse::<i64>().map_err(|_| unknown())?);
        } else {
            query.push_bind(key.to_owned());
        }
        query.push(", ").push_bind(id.to_owned()).push(")");
        Ok(())
    }
}
