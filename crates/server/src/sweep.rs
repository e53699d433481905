//! The sweep: removes what belongs to nobody.
//!
//! Whatever Shale makes on a platform or in the repository carries the id of a version. What carries an id that no row
//! and no open task has, was left by something that no undo could see: it is removed, and said in the log. There is no
//! input: a timer, a start and an ended task all do the same.

use crate::catalog::{ConnectorRow, TaskRow, VersionRow};
use crate::error::{Error, Result, chain};
use crate::world::World;
use shale_connector::Connector;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Time between two sweeps.
const EVERY: Duration = Duration::from_secs(600);

/// What a sweep removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Machines, by the version they were for.
    pub machines: Vec<Uuid>,
    /// Versions in the repository that the catalog does not know.
    pub versions: Vec<Uuid>,
}

/// Sweeps now and again, until the server ends.
pub async fn forever(world: Arc<World>) {
    loop {
        let swept = {
            let world = world.clone();
            tokio::task::spawn_blocking(move || sweep(&world)).await
        };
        match swept {
            Ok(Ok(swept)) if swept == Swept::default() => {}
            Ok(Ok(swept)) => tracing::warn!(?swept, "removed what belonged to nobody"),
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "the sweep could not see everything"),
            Err(error) => tracing::error!(%error, "the sweep died"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Sweeps once. What is there is listed first and the catalog read after that: something made in between has its row
/// already, since rows come first.
pub fn sweep(world: &World) -> Result<Swept> {
    let connectors = world.wait(async {
        let mut tx = world.catalog.read().await?;
        ConnectorRow::list(&mut tx).await
    })?;
    let mut machines = Vec::new();
    for row in &connectors {
        // One platform that does not answer keeps nobody from sweeping the others.
        let listed = world.connector(row).and_then(|connector| {
            let tags = connector.inventory();
            let tags =
                tags.map_err(|e| Error::unavailable("The platform did not say what it has.").because(e))?;
            Ok((Arc::<dyn Connector>::from(connector), tags))
        });
        match listed {
            Ok((connector, tags)) => machines.extend(tags.into_iter().map(|tag| (connector.clone(), tag))),
            Err(error) => tracing::warn!(connector = row.name, error = chain(&error), "no inventory"),
        }
    }
    let stored = world.repository.versions();
    let (working, known) = world.wait(async {
        let mut tx = world.catalog.read().await?;
        let working = TaskRow::open(&mut tx).await?.into_iter().filter_map(|task| task.version_id);
        let working: HashSet<Uuid> = working.collect();
        let known: HashSet<Uuid> = VersionRow::ids(&mut tx).await?.into_iter().collect();
        Ok::<_, crate::error::Error>((working, known))
    })?;
    let mut swept = Swept::default();
    for (connector, tag) in machines {
        let Ok(id) = Uuid::parse_str(tag.as_str()) else { continue };
        if working.contains(&id) {
            continue;
        }
        match connector.remove(&tag) {
            Ok(()) => swept.machines.push(id),
            Err(error) => {
                tracing::warn!(%tag, error = chain(&error), "a machine that belongs to nobody stays")
            }
        }
    }
    match stored {
        Ok(stored) => {
            for version in stored {
                let id: Uuid = version.id.into();
                if !working.contains(&id) && !known.contains(&id) {
                    match world.repository.remove_version(version.id) {
                        Ok(()) => swept.versions.push(id),
                        Err(error) => tracing::warn!(%id, error = chain(&error), "an unknown version stays"),
                    }
                }
            }
        }
        Err(error) => tracing::warn!(error = chain(&error), "the repository's versions cannot be listed"),
    }
    Ok(swept)
}
