//! `shale layer app create` and `shale layer platform create`: layers that are made in packaging machines.

use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::resolve;
use crate::terminal::Terminal;
use crate::wait::Waiting;
use clap::Subcommand;
use shale_api::{LayerCreated, LayerKind, NewLayer, NewVersion, Packaging, PackagingDisk};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// What can be done with layers of one of these kinds only.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a layer: set up a packaging machine to make its first version in
    Create(Create),
}

/// Where a version is worked on.
#[derive(Clone, Debug, clap::Args)]
pub struct Workplace {
    /// Connector configuration that says where the packaging machine runs: name or id
    #[arg(long, value_name = "CONNECTOR")]
    connector: String,
    /// File name of the packaging disk; the machine is named after it
    #[arg(long, value_name = "FILENAME")]
    disk: String,
    /// Format of the packaging disk; the connector's own when left out
    #[arg(long)]
    format: Option<String>,
}

impl Workplace {
    /// The id of its connector.
    pub fn connector(&self, client: &Client) -> Result<Uuid, Failure> {
        Ok(resolve::connector(client, &self.connector)?.id)
    }

    /// Its packaging disk.
    pub fn packaging_disk(&self) -> PackagingDisk {
        PackagingDisk { file_name: self.disk.clone(), format: self.format.clone() }
    }
}

/// What creating takes.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The new layer's name
    name: String,
    /// Its first version
    #[arg(long, value_name = "NAME")]
    version: String,
    /// OS layer that the machine runs, as LAYER (its newest deployable version), LAYER/VERSION or a version's id
    #[arg(long, value_name = "LAYER[/VERSION]")]
    os: String,
    #[command(flatten)]
    workplace: Workplace,
    /// Max layer size in GiB, thin: how large the packaging disk is; 100, or the OS version's size when that is larger
    #[arg(long, value_name = "GIB")]
    size: Option<u32>,
    /// Platform layer that the machine has besides (app layers)
    #[arg(long, value_name = "LAYER[/VERSION]")]
    platform: Option<String>,
    /// App layer that must be there first; may be given several times (app layers)
    #[arg(long = "with", value_name = "LAYER[/VERSION]")]
    prerequisites: Vec<String>,
    /// File with patterns of what is never part of the layer, besides what Shale leaves out (TOML)
    #[arg(long, value_name = "FILE")]
    exclusions: Option<PathBuf>,
    /// The layer's description
    #[arg(long, default_value = "")]
    description: String,
    /// The version's description
    #[arg(long, default_value = "")]
    version_description: String,
    /// Why; kept in the audit
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    waiting: Waiting,
}

/// Carries out a verb on layers of this kind.
pub fn run(kind: LayerKind, verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    let Verb::Create(create) = verb;
    let request = request(kind, &create, client)?;
    let created: LayerCreated = client.create("/layers", &request)?;
    crate::layer::created(created, &request.version, create.waiting, client, terminal)
}

/// The patterns in a file.
pub fn patterns(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| Failure::io(format!("cannot read '{}'", path.display()), &e))
}

fn request(kind: LayerKind, create: &Create, client: &Client) -> Result<NewLayer, Failure> {
    let packaging = Packaging {
        os_version_id: resolve::version_of(client, &create.os, LayerKind::Os)?.id,
        connector_id: create.workplace.connector(client)?,
        max_layer_size_gib: create.size,
        platform_version_id: resolve::wanted(client, create.platform.as_deref(), LayerKind::Platform)?,
        prerequisite_version_ids: resolve::apps(client, &create.prerequisites)?,
        packaging_disk: create.workplace.packaging_disk(),
    };
    let exclusions = create.exclusions.as_deref().map(patterns);
    Ok(NewLayer {
        id: Uuid::now_v7(),
        kind,
        name: create.name.clone(),
        description: create.description.clone(),
        version: NewVersion {
            id: Uuid::now_v7(),
            name: create.version.clone(),
            description: create.version_description.clone(),
        },
        source: None,
        packaging: Some(packaging),
        exclusions: exclusions.transpose()?.unwrap_or_default(),
        format: None,
        drop_free_space: true,
        comment: create.comment.clone(),
    })
}
