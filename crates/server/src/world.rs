//! What the steps of tasks act on: catalog, repository, connectors.

use crate::catalog::{Catalog, ConnectorRow, now};
use crate::composition::{Composing, Previews};
use crate::error::{Error, Result, chain};
use crate::feed::Feed;
use crate::place::Place;
use crate::secrets::Secrets;
use crate::tools::Tools;
use shale_connector::{Connector, ServeCommand};
use shale_store::{NewVersion, Repository, Saved, Source};
use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Makes connectors from their stored settings: kind, settings, the connector's own folder on this host.
pub type OpenConnector =
    Box<dyn Fn(&str, &serde_json::Value, &Path) -> shale_connector::Result<Box<dyn Connector>> + Send + Sync>;

/// Everything a step may touch. Steps are synchronous; [`World::wait`] is their way to the catalog.
pub struct World {
    /// Layers, versions, connectors, tasks.
    pub catalog: Catalog,
    /// What versions are made of.
    pub repository: Repository,
    /// The data directory.
    pub place: Arc<Place>,
    /// This program, to be started as the process that serves a disk.
    pub program: PathBuf,
    /// Threads that one import or export may use: four for each processor, as most wait for a disk.
    pub threads: usize,
    /// What packaging machines get from us.
    pub tools: Tools,
    /// What opens the secrets of connector configurations.
    pub secrets: Secrets,
    /// Who puts which disk together.
    pub composing: Composing,
    /// The plan that was told last.
    pub previews: Previews,
    /// What tells watchers.
    pub feed: Arc<Feed>,
    open_connector: OpenConnector,
    /// Those in use, by configuration: a platform's sessions, and what is known of its machines, are kept. One whose
    /// settings have changed is opened anew.
    connectors: Mutex<HashMap<Uuid, Opened>>,
    runtime: tokio::runtime::Handle,
}

/// A connector and what it was made from.
struct Opened {
    kind: String,
    settings: serde_json::Value,
    connector: Arc<dyn Connector>,
}

impl World {
    /// A world of these parts. Must be called within the runtime that answers for the catalog.
    pub fn new(
        catalog: Catalog,
        repository: Repository,
        place: Arc<Place>,
        program: PathBuf,
        open_connector: OpenConnector,
    ) -> Result<Self> {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let threads = (4 * processors).clamp(8, 32);
        let runtime = tokio::runtime::Handle::current();
        let secrets = Secrets::load(&place.seal_key())?;
        let connectors = Mutex::default();
        let tools = Tools::beside(&program);
        Ok(Self {
            catalog,
            repository,
            place,
            program,
            threads,
            secrets,
            tools,
            composing: Composing::default(),
            previews: Previews::default(),
            feed: Arc::default(),
            open_connector,
            connectors,
            runtime,
        })
    }

    /// Waits for something asynchronous, from a thread that is not the runtime's.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// The connector of a configuration.
    pub fn connector(&self, row: &ConnectorRow) -> Result<Arc<dyn Connector>> {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = connectors.get(&row.id)
            && (&opened.kind, &opened.settings) == (&row.kind, &row.settings)
        {
            return Ok(opened.connector.clone());
        }
        let connector: Arc<dyn Connector> = self.open_connector(row, &self.place.connector(row.id))?.into();
        let (kind, settings) = (row.kind.clone(), row.settings.clone());
        let old = connectors.insert(row.id, Opened { kind, settings, connector: connector.clone() });
        drop(connectors);
        if let Some(old) = old {
            old.connector.disconnect();
        }
        Ok(connector)
    }

    /// A connector of its own of a configuration, stored or not.
    /// `folder` is what it may keep on this host.
    pub fn open_connector(&self, row: &ConnectorRow, folder: &Path) -> Result<Box<dyn Connector>> {
        let settings = self.secrets.open(row.id, &row.kind, &row.settings)?;
        (self.open_connector)(&row.kind, &settings, folder).map_err(|e| {
            Error::unavailable(format!("The connector '{}' cannot be used: {}.", row.name, chain(&e)))
        })
    }

    /// Ends the sessions of all connectors: the server ends.
    pub fn disconnect(&self) {
        let opened = std::mem::take(&mut *self.connectors.lock().unwrap_or_else(PoisonError::into_inner));
        for Opened { connector, .. } in opened.into_values() {
            connector.disconnect();
        }
    }

    /// Lets go of the connector of a configuration that was deleted, and of all that it kept: on its platform, as far as
    /// that answers, and on this host.
    pub fn forget_connector(&self, row: &ConnectorRow) {
        if let Ok(connector) = self.connector(row) {
            match connector.trim(&|_| false) {
                Ok(gone) if gone.is_empty() => {}
                Ok(gone) => tracing::info!(?gone, "let go of what a deleted connector kept on its platform"),
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(
                        connector = row.name,
                        error,
                        "what it kept on its platform may be left there"
                    );
                }
            }
            let is_empty = connector.inventory().is_ok_and(|tags| tags.is_empty());
            connector.disconnect();
            if is_empty {
                let _ = std::fs::remove_dir_all(self.place.connector(row.id)); // it may have kept nothing
            }
        }
        self.connectors.lock().unwrap_or_else(PoisonError::into_inner).remove(&row.id);
    }

    /// The connector of the configuration `id`, looked up now. For steps.
    pub fn connector_by_id(&self, id: Uuid) -> Result<Arc<dyn Connector>> {
        let row = self.wait(async {
            let mut tx = self.catalog.read().await?;
            ConnectorRow::get(&mut tx, id).await
        })?;
        self.connector(&row.ok_or_else(|| Error::not_found("connector configuration", id))?)
    }

    /// Stores `source` in the repository as `id`; blocks that it leaves to its parent are `parent`'s.
    pub fn save(
        &self,
        id: Uuid,
        parent: Option<Uuid>,
        source: &dyn Source,
        watch: shale_store::Watch,
    ) -> shale_store::Result<Saved> {
        let new = NewVersion {
            id: id.into(),
            parent: parent.map(Into::into),
            size: source.size(),
            created: now(),
            threads: self.threads,
        };
        self.repository.save(new, source, watch)
    }

    /// The program that knows file systems: it lies beside this one.
    pub fn files_program(&self) -> shale_volume::files::Program {
        shale_volume::files::Program::at(self.program.with_file_name("shale-files"))
    }

    /// The command that serves `version`, as a disk of `size` bytes, to a packaging machine.
    pub fn serve_command(&self, version: Uuid, size: u64) -> ServeCommand {
        let repository = self.repository.directory().to_string_lossy().into_owned();
        let args =
            ["export-disk", "--repository", &repository, "--version-id", &version.to_string(), "--size"];
        let args = args.iter().map(|arg| (*arg).to_owned()).chain([size.to_string()]).collect();
        ServeCommand { program: self.program.clone(), args }
    }
}
