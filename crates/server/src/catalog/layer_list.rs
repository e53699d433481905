//! Lists of layers: which, in which order, page by page.
//!
//! ```text
//!   a layer's place in a list:  KEY:ID     what it is sorted by, then its id: two layers never share a place
//! ```
//!
//! What is filtered and sorted by is what the layer's view shows: the state of its newest version, the data in its newest
//! deployable version, the sum of what its versions added.

use super::layers::{COLUMNS, row};
use super::{LayerRow, Tx, Window};
use crate::error::{Error, Result};
use shale_api::LayerSort;
use shale_model::{LayerKind, VersionState};
use sqlx::{QueryBuilder, Row, Sqlite};

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

/// A layer and its place in the list.
pub struct ListedLayer {
    /// The layer.
    pub layer: LayerRow,
    /// What the next page comes after.
    pub place: String,
}

/// Every layer with what its versions add up to.
const VERSIONS: &str = " FROM layers l LEFT JOIN (SELECT layer_id AS of_layer, COUNT(*) AS version_count, \
     SUM(added_bytes) AS added_bytes, MAX(id) AS newest, MAX(CASE WHEN state = 'deployable' THEN id END) AS deployable \
     FROM versions GROUP BY layer_id) v ON v.of_layer = l.id";

/// What a list is sorted by, in SQL. Texts are compared as texts, all others as numbers.
fn key(sort: LayerSort) -> &'static str {
    match sort {
        LayerSort::CreatedAt => "l.created_at",
        LayerSort::UpdatedAt => "l.updated_at",
        LayerSort::Name => "lower(l.name)",
        LayerSort::VersionCount => "COALESCE(v.version_count, 0)",
        LayerSort::AddedBytes => "COALESCE(v.added_bytes, 0)",
        LayerSort::LogicalBytes => {
            "COALESCE((SELECT logical_bytes FROM versions WHERE id = v.deployable), 0)"
        }
    }
}

fn is_number(sort: LayerSort) -> bool {
    matches!(sort, LayerSort::VersionCount | LayerSort::AddedBytes | LayerSort::LogicalBytes)
}

impl LayerFilter {
    /// The layers in this window.
    pub async fn list(&self, tx: &mut Tx, window: &Window) -> Result<Vec<ListedLayer>> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM (");
        query.push(COLUMNS).push(", ").push(key(self.sort)).push(" AS sort_key").push(VERSIONS);
        self.conditions(&mut query);
        query.push(") AS listed");
        if let Some(place) = &window.after {
            self.after(&mut query, place)?;
        }
        let order = if self.descending { " DESC" } else { "" };
        query.push(" ORDER BY sort_key").push(order).push(", id").push(order);
        query.push(" LIMIT ").push_bind(window.limit);
        let rows = query.build().fetch_all(&mut **tx).await?;
        let listed = rows.into_iter().map(|found| {
            let key = match is_number(self.sort) {
                true => found.try_get::<i64, _>("sort_key")?.to_string(),
                false => found.try_get("sort_key")?,
            };
            let layer = row(found)?;
            Ok(ListedLayer { place: format!("{key}:{}", layer.id), layer })
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
            query.push(" AND (SELECT state FROM versions WHERE id = v.newest) = ").push_bind(state.as_str());
        }
    }

    fn after(&self, query: &mut QueryBuilder<Sqlite>, place: &str) -> Result<()> {
        let unknown = || Error::field("/page_token", "The page token is not one of this list.");
        let (key, id) = place.rsplit_once(':').ok_or_else(unknown)?;
        query.push(" WHERE (sort_key, id) ").push(if self.descending { "< (" } else { "> (" });
        if is_number(self.sort) {
            query.push_bind(key.parse::<i64>().map_err(|_| unknown())?);
        } else {
            query.push_bind(key.to_owned());
        }
        query.push(", ").push_bind(id.to_owned()).push(")");
        Ok(())
    }
}
