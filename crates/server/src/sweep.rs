//! The sweep: removes what belongs to nobody.
//!
//! Whatever Shale makes on a platform or in the repository carries the id of a version. A machine whose version no open
//! task works on, and that is not being made, was left by something that no undo could see: it is removed, and said in
//! the log. A version in the repository goes only if this catalog has seen its task end: one that the catalog never
//! heard of is what an older catalog, put back from a backup, would not know either, and is only told of.
//!
//! A composition is kept while a template or an image is it, or an open task names it, and for a while after: what was put
//! together once is wanted again sooner or later. An OS version by itself, with the tools or larger, is kept as long as the version:
//! it takes next to nothing. A composition's row goes last, so that nothing in the repository is without one.

use crate::catalog::{CompositionRow, ConnectorRow, ImageRow, TaskRow, TemplateRow, Tx, VersionRow};
use crate::error::{Error, Result, chain};
use crate::world::World;
use jiff::SignedDuration;
use shale_connector::{Connector, Tag};
use shale_store::VersionInfo;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Time between two sweeps.
const EVERY: Duration = Duration::from_secs(600);

/// How long a composition is kept that nothing is made of.
const UNUSED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What a sweep removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Machines, by the version they were for.
    pub machines: Vec<Uuid>,
    /// Versions in the repository whose task has ended and whose row is gone.
    pub versions: Vec<Uuid>,
    /// Compositions that were of no use for long.
    pub compositions: Vec<Uuid>,
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
    /// Those that open tasks work on, and images that are being published.
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
            working: open.iter().flat_map(|task| task.version_id.into_iter().chain(image_of(task))).collect(),
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
    sweep_compositions(world, &mut swept)?;
    Ok(swept)
}

/// The image that a task publishes, whose machine carries its id.
fn image_of(task: &TaskRow) -> Option<Uuid> {
    Uuid::parse_str(task.input.get("image_id")?.as_str()?).ok()
}

/// Lets compositions go that nothing is made of and that nobody used for long.
fn sweep_compositions(world: &World, swept: &mut Swept) -> Result<()> {
    let unused = world.wait(async { unused_compositions(&mut world.catalog.read().await?).await })?;
    for id in unused {
        // Who is about to use it holds the lock, or waits for it and makes it anew.
        let lock = world.composing.of(id);
        let Ok(_alone) = lock.try_lock() else { continue };
        let still = world.wait(async { unused_compositions(&mut world.catalog.read().await?).await })?;
        if !still.contains(&id) {
            continue;
        }
        if let Err(error) = world.repository.remove_version(id.into()) {
            tracing::warn!(%id, error = chain(&error), "a composition that nothing needs stays");
            continue;
        }
        world.wait(async {
            let mut tx = world.catalog.begin().await?;
            CompositionRow::delete(&mut tx, id).await?;
            Ok::<_, Error>(tx.commit().await?)
        })?;
        swept.compositions.push(id);
    }
    Ok(())
}

/// Compositions that neither a template nor an image is, that no open task names, and that were of no use for long.
async fn unused_compositions(tx: &mut Tx) -> Result<Vec<Uuid>> {
    let (open, templates) = (TaskRow::open(tx).await?, TemplateRow::all(tx).await?);
    let images: HashSet<Uuid> = ImageRow::compositions(tx).await?.into_iter().collect();
    let oldest = jiff::Timestamp::now() - UNUSED;
    // An OS version with nothing but the tools: what a platform has of it is what machines of the next version begin with. One of each
    // is enough for that, the one that was used last.
    let versions: HashSet<Uuid> = VersionRow::ids(tx).await?.into_iter().collect();
    let rows = CompositionRow::list(tx).await?;
    let mut bare: HashMap<Uuid, &CompositionRow> = HashMap::new();
    for row in &rows {
        let [os] = row.parts[..] else { continue };
        let last = bare.entry(os).or_insert(row);
        if row.used_at > last.used_at {
            *last = row;
        }
    }
    let is_bare = |row: &CompositionRow| matches!(row.parts[..], [os] if versions.contains(&os) && bare.get(&os).is_some_and(|last| last.id == row.id));
    let is_unused = |row: &CompositionRow| {
        let parts: HashSet<Uuid> = row.parts.iter().copied().collect();
        let is_of = |template: &TemplateRow| template.parts().collect::<HashSet<Uuid>>() == parts;
        row.used_at.parse::<jiff::Timestamp>().is_ok_and(|used| used < oldest)
            && !images.contains(&row.id)
            && !is_bare(row)
            && !open.iter().any(|task| task.names(row.id))
            && !templates.iter().any(is_of)
    };
    Ok(rows.iter().filter(|row| is_unused(row)).map(|row| row.id).collect())
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
