//! A running server's parts, put together.

use crate::access::Access;
use crate::catalog::{Catalog, ConnectorRow, VersionRow, now};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::feed::Feed;
use crate::place::Place;
use crate::tls::Tls;
use crate::world::{OpenConnector, World};
use shale_store::Repository;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// Name of the connector configuration that a new catalog begins with.
const LOCAL: &str = "local";

/// A running server; clones share it.
#[derive(Clone)]
pub struct App {
    /// What tasks act on.
    pub world: Arc<World>,
    /// What runs them.
    pub engine: Arc<Engine>,
    /// What tells watchers.
    pub feed: Arc<Feed>,
    /// What lets people in.
    pub access: Arc<Access>,
    /// What HTTPS shows.
    pub tls: Arc<Tls>,
    /// Held while a CD is made.
    pub cds: Arc<tokio::sync::Mutex<()>>,
}

impl App {
    /// Opens everything in a data directory. No task runs yet. `program` is started to serve disks to machines.
    pub async fn open(place: Place, program: PathBuf, open_connector: OpenConnector) -> Result<Self> {
        let catalog = Catalog::open(&place.catalog()).await?;
        first_connector(&catalog).await?;
        // A catalog that knows versions belongs to a repository: an empty one in its place would hide a disk that is
        // not mounted.
        let mut tx = catalog.read().await?;
        let is_new = VersionRow::ids(&mut tx).await?.is_empty();
        drop(tx);
        let open = if is_new { Repository::open_or_create } else { Repository::open };
        let repository = open(place.repository()).map_err(|e| {
            Error::unavailable(format!("The repository {} cannot be opened.", place.repository().display()))
                .because(e)
        })?;
        let world = Arc::new(World::new(catalog, repository, Arc::new(place), program, open_connector)?);
        let feed = world.feed.clone();
        let engine = Engine::new(world.clone());
        Ok(Self { world, engine, feed, access: Arc::default(), tls: Arc::default(), cds: Arc::default() })
    }
}

/// A new catalog has a connector to this host, so that a newcomer can begin at once.
async fn first_connector(catalog: &Catalog) -> Result<()> {
    let mut tx = catalog.begin().await?;
    let untouched: bool = sqlx::query_scalar(
        "SELECT NOT EXISTS (SELECT 1 FROM audit) AND NOT EXISTS (SELECT 1 FROM connectors)",
    )
    .fetch_one(&mut *tx)
    .await?;
    if untouched {
        let row = ConnectorRow {
            id: Uuid::now_v7(),
            name: LOCAL.into(),
            kind: "local".into(),
            settings: serde_json::json!({}),
            created_at: now(),
            updated_at: now(),
        };
        row.insert(&mut tx).await?;
    }
    Ok(tx.commit().await?)
}
