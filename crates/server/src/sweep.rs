//! The sweep: removes what belongs to nobody.
//!
//! Whatever Shale makes on a platform or in the repository carries the id of a version. A machine whose version no open
//! task works on, and that is not being made, was left by something that no undo could see: it is removed, and said in
//! the log. A version in the repository goes only if this catalog has seen its task end: one that the catalog never
//! heard of is what an older catalog, put back from a backup, would not know either, and is only told of.

use crate::catalog::{CompositionRow, ConnectorRow, TaskRow, VersionRow};
use crate::error::{Error, Result, chain};
use crate::world::World;
use shale_connector::{Connector, Tag};
use shale_store::VersionInfo;
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
    /// Versions in the repository whose task has ended and whose row is gone.
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

/// What the catalog knows of versions.
struct Known {
    /// Those that open tasks work on.
    working: HashSet<Uuid>,
    /// Those being made: a person may be at work in their machines, even if their task is stuck.
    making: HashSet<Uuid>,
    /// All that have a row, compositions too: what the repository and the platforms have of these stays.
    rows: HashSet<Uuid>,
    /// All that a task has worked on that has ended.
    ended: HashSet<Uuid>,
}

impl Known {
    async fn read(world: &World) -> Result<Self> {
        let mut tx = world.catalog.read().await?;
        let open = TaskRow::open(&mut tx).await?;
        let making = VersionRow::with_machine(&mut tx).await?;
        let compositions = CompositionRow::list(&mut tx).await?.into_iter().map(|row| row.id);
        Ok(Self {
            working: open.into_iter().filter_map(|task| task.version_id).collect(),
            making: making.into_iter().map(|version| version.id).collect(),
            rows: VersionRow::ids(&mut tx).await?.into_iter().chain(compositions).collect(),
            ended: TaskRow::ended_versions(&mut tx).await?.into_iter().collect(),
        })
    }
}

/// Sweeps once. What is there is listed first and the catalog read after that: something made in between has its row
/// already, since rows come first.
pub fn sweep(world: &World) -> Result<Swept> {
    let connectors = world.wait(async {
        let mut tx = world.catalog.read().await?;
        ConnectorRow::list(&mut tx).await
    })?;
    let (mut machines, mut platforms) = (Vec::new(), Vec::new());
    for row in &connectors {
        // One platform that does not answer keeps nobody from sweeping the others.
        let listed = world.connector(row).and_then(|connector| {
            let tags = connector.inventory();
            let tags =
                tags.map_err(|e| Error::unavailable("The platform did not say what it has.").because(e))?;
            Ok((connector, tags))
        });
        match listed {
            Ok((connector, tags)) => {
                machines.extend(tags.into_iter().map(|tag| (connector.clone(), tag)));
                platforms.push(connector);
            }
            Err(error) => tracing::warn!(connector = row.name, error = chain(&error), "no inventory"),
        }
    }
    let stored = world.repository.versions();
    let known = world.wait(Known::read(world))?;
    let mut swept = Swept::default();
    for (connector, tag) in machines {
        let Ok(id) = Uuid::parse_str(tag.as_str()) else { continue };
        if known.working.contains(&id) || known.making.contains(&id) {
            continue;
        }
        match connector.remove(&tag) {
            Ok(()) => swept.machines.push(id),
            Err(error) => {
                tracing::warn!(%tag, error = chain(&error), "a machine that belongs to nobody stays")
            }
        }
    }
    trim(&platforms, &known.rows);
    match stored {
        Ok(stored) => sweep_repository(world, stored, &known, &mut swept),
        Err(error) => tracing::warn!(error = chain(&error), "the repository's versions cannot be listed"),
    }
    Ok(swept)
}

/// Lets platforms go of what they keep of versions that are no more, or beyond what their configurations allow.
fn trim(platforms: &[Arc<dyn Connector>], rows: &HashSet<Uuid>) {
    for platform in platforms {
        let known = |tag: &Tag| Uuid::parse_str(tag.as_str()).is_ok_and(|id| rows.contains(&id));
        match platform.trim(&known) {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => tracing::info!(?gone, "let go of what a platform kept only to be quick"),
            Err(error) => tracing::warn!(error = chain(&error), "a platform could not be trimmed"),
        }
    }
}

fn sweep_repository(world: &World, stored: Vec<VersionInfo>, known: &Known, swept: &mut Swept) {
    for version in stored {
        let id: Uuid = version.id.into();
        if known.working.contains(&id) || known.rows.contains(&id) {
            continue;
        }
        if !known.ended.contains(&id) {
            tracing::warn!(%id, "the repository has a version that this catalog never heard of; it stays");
            continue;
        }
        match world.repository.remove_version(version.id) {
            Ok(()) => swept.versions.push(id),
            Err(error) => {
                tracing::warn!(%id, error = chain(&error), "a version that belongs to nobody stays")
            }
        }
    }
}
