//! Looks after machines that people work in.
//!
//! For each connector that has a machine, a thread waits for the platform to say that something changed, looks at the
//! machines, and tells those who watch. A look also mends: the process that a local machine reads its disk through is
//! started again when it died, so somebody must look, also when no client asks.
//!
//! ```text
//!   every few seconds: which connectors have machines? ─▶ a watcher each ─▶ await_change ─▶ look ─▶ feed "machine"
//!                                                              ▲             │ no machine left: the watcher ends
//!                                                              └─────────────┘
//! ```

use crate::app::App;
use crate::catalog::{ConnectorRow, VersionRow};
use crate::error::{Error, Result, chain};
use shale_connector::{Observed, Power, Tag};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// Longest time between two looks at a machine where the platform tells of no change.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause after a platform did not answer.
const PAUSE: Duration = Duration::from_secs(15);
/// How soon a connector that got its first machine is watched.
const ROUNDS: Duration = Duration::from_secs(3);

/// The connectors that have a watcher.
type Watched = Arc<Mutex<HashSet<Uuid>>>;

/// Sees to it that machines are looked after, until the server ends.
pub async fn forever(app: App) {
    let watched = Watched::default();
    loop {
        match with_machines(&app).await {
            Ok(connectors) => {
                for id in connectors {
                    if lock(&watched).insert(id) {
                        watch(&app, id, watched.clone());
                    }
                }
            }
            Err(error) => tracing::warn!(error = chain(&error), "machines could not be looked after"),
        }
        tokio::time::sleep(ROUNDS).await;
    }
}

fn lock(watched: &Watched) -> std::sync::MutexGuard<'_, HashSet<Uuid>> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn with_machines(app: &App) -> Result<HashSet<Uuid>> {
    let mut tx = app.world.catalog.read().await?;
    Ok(VersionRow::with_machine(&mut tx).await?.iter().filter_map(|version| version.connector_id).collect())
}

/// Starts the watcher of one connector: a thread of its own, since a platform may keep it waiting for long.
fn watch(app: &App, id: Uuid, watched: Watched) {
    let app = app.clone();
    let guard = Unwatch { watched, id };
    std::thread::spawn(move || {
        let _guard = guard;
        let mut seen = HashMap::new();
        loop {
            match look(&app, id, &mut seen) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(connector = %id, error = chain(&error), "machines could not be looked at");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    });
}

/// Lets the connector be watched anew once its watcher has ended, however that was.
struct Unwatch {
    watched: Watched,
    id: Uuid,
}

impl Drop for Unwatch {
    fn drop(&mut self) {
        lock(&self.watched).remove(&self.id);
    }
}

/// What a watcher compares: what people see of a machine.
type Look = (Power, Option<String>, bool);

/// Looks at all machines of a connector, then waits until something may have changed. `false` when none is left.
pub fn look(app: &App, connector: Uuid, seen: &mut HashMap<Uuid, Look>) -> Result<bool> {
    let world = &app.world;
    let (machines, row) = world.wait(async {
        let mut tx = world.catalog.read().await?;
        let machines = VersionRow::with_machine(&mut tx).await?;
        Ok::<_, Error>((machines, ConnectorRow::get(&mut tx, connector).await?))
    })?;
    let ids: Vec<Uuid> =
        machines.iter().filter(|version| version.connector_id == Some(connector)).map(|v| v.id).collect();
    let (Some(row), false) = (row, ids.is_empty()) else { return Ok(false) };
    let platform = world.connector(&row)?;
    for id in ids {
        match Tag::parse(&id.to_string()).and_then(|tag| platform.observe(&tag)) {
            Ok(Observed { power, detail, has_screen, .. }) => {
                let now = (power, detail, has_screen);
                if seen.insert(id, now.clone()).is_some_and(|before| before != now) {
                    app.feed.publish("machine", id, now.0 == Power::Absent);
                    app.feed.publish("version", id, false);
                }
            }
            Err(error) => {
                tracing::warn!(version = %id, error = chain(&error), "a machine could not be looked at");
            }
        }
    }
    let waited = platform.await_change(PATIENCE);
    waited.map_err(|e| {
        Error::unavailable(format!("The connector '{}' tells no changes.", row.name)).because(e)
    })?;
    Ok(true)
}
