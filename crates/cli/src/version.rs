//! `shale version`.

use crate::client::Client;
use crate::download;
use crate::failure::{Exit, Failure, Outcome};
use crate::layer::path_on_server;
use crate::packaging::Workplace;
use crate::resolve::{self, VersionRef};
use crate::table::{Cell, Sheet};
use crate::terminal::{Terminal, View, actions, word};
use crate::unattended::Script;
use crate::units;
use crate::wait::{Waiting, conclude, follow, follow_and_print};
use clap::Subcommand;
use serde_json::json;
use shale_api::{
    AddVersion, Comment, EditVersion, ExportVersion, FinalizeVersion, LayerKind, Machine, PruneVersions,
    PrunedVersion, PrunedVersions, Task, Version, VersionCreated,
};
use uuid::Uuid;

/// The verbs of `shale version`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List a layer's versions
    List {
        /// Name or id
        layer: String,
    },
    /// Show a version and what can be done with it now
    Show {
        #[command(flatten)]
        version: VersionRef,
    },
    /// Add a version: set up a packaging machine to make it in
    Add(Box<Add>),
    /// Take what changed in the packaging machine, make it the version, delete the machine
    Finalize {
        #[command(flatten)]
        version: VersionRef,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
        /// Take it although something is outstanding in the machine; for approvers
        #[arg(long, requires = "reason")]
        anyway: bool,
        /// Why it is taken anyway; kept in the audit
        #[arg(long, requires = "anyway", value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Change a version's name or description
    Edit {
        #[command(flatten)]
        version: VersionRef,
        /// New name
        #[arg(long)]
        name: Option<String>,
        /// New description
        #[arg(long)]
        description: Option<String>,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Tell which old versions of a layer can go, or delete them
    Prune {
        /// Name or id
        layer: String,
        /// So many of the newest stay, and all that something uses; what the layer's retention says when left out
        #[arg(long, value_name = "NUMBER")]
        keep: Option<u32>,
        /// Delete them; else they are only told
        #[arg(long)]
        delete: bool,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Delete a version that nothing uses
    Delete {
        #[command(flatten)]
        version: VersionRef,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Read a version again and compare it with its digest
    Verify {
        #[command(flatten)]
        version: VersionRef,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Write a version as a bootable disk, on the server or here
    Export(Export),
}

/// What `shale version add` takes.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// The layer's name or id
    layer: String,
    /// The new version's name
    name: String,
    #[command(flatten)]
    workplace: Workplace,
    /// Version to start from: name or id; the newest deployable one when left out
    #[arg(long, value_name = "VERSION")]
    base: Option<String>,
    /// Max layer size in GiB, thin; 100, or the base version's size when that is larger
    #[arg(long, value_name = "GIB")]
    size: Option<u32>,
    /// OS version that the machine runs (platform and app layers); the newest deployable one when left out
    #[arg(long, value_name = "LAYER[/VERSION]")]
    os: Option<String>,
    /// Platform layer with the tools and drivers that are needed: the machine has it, the new version does not
    #[arg(long, value_name = "LAYER[/VERSION]")]
    platform: Option<String>,
    /// App layer that must be there first; may be given several times (app layers); the base version's when left out
    #[arg(long = "with", value_name = "LAYER[/VERSION]")]
    prerequisites: Vec<String>,
    /// The version's description
    #[arg(long, default_value = "")]
    description: String,
    /// Why; kept in the audit
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    unattended: Script,
    #[command(flatten)]
    waiting: Waiting,
}

/// What `shale version export` takes.
#[derive(Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    version: VersionRef,
    /// raw, vhd, vhd-fixed, vhdx, vmdk, vmdk-stream, qcow2, qcow2-compressed
    #[arg(long)]
    format: String,
    /// Write to this path on the server
    #[arg(long, value_name = "PATH", required_unless_present = "download", conflicts_with = "download")]
    to: Option<String>,
    /// Download to this file, or to stdout with `-`
    #[arg(short = 'O', long, value_name = "FILE")]
    download: Option<String>,
    /// Replace a file that exists
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    match verb {
        Verb::List { layer } => {
            let id = resolve::layer(client, &layer)?.id;
            terminal.list::<Version>(&client.list(&format!("/layers/{id}/versions"), &[], None)?)?;
        }
        Verb::Show { version } => terminal.object(&version.find(client)?)?,
        Verb::Add(add) => return run_add(*add, client, terminal),
        Verb::Finalize { version, comment, anyway, reason, waiting } => {
            let id = version.find(client)?.id;
            let wanted = FinalizeVersion { comment, anyway, reason: reason.unwrap_or_default() };
            let task: Task = client.post(&format!("/versions/{id}/finalize"), &wanted)?;
            return follow_and_print(client, terminal, task, waiting);
        }
        Verb::Edit { version, name, description, comment } => {
            if name.is_none() && description.is_none() {
                return Err(Failure::usage("Nothing to change: give --name or --description."));
            }
            let id = version.find(client)?.id;
            let edit = EditVersion { name, description, comment };
            terminal.object::<Version>(&client.patch(&format!("/versions/{id}"), &edit)?)?;
        }
        Verb::Delete { version, comment, waiting } => {
            let id = version.find(client)?.id;
            let task: Task = client.delete(&format!("/versions/{id}"), &Comment { comment })?;
            return follow_and_print(client, terminal, task, waiting);
        }
        Verb::Prune { layer, keep, delete, comment, waiting } => {
            let id = resolve::layer(client, &layer)?.id;
            let order = PruneVersions { keep, delete, comment };
            let pruned: PrunedVersions = client.post(&format!("/layers/{id}/prune"), &order)?;
            if let Some(task) = pruned.task {
                return follow_and_print(client, terminal, task, waiting);
            }
            terminal.list(&pruned.versions)?;
            let added = units::bytes(pruned.freed_bytes);
            terminal.note(&format!("Those that go added {added} to the repository."));
        }
        Verb::Verify { version, waiting } => {
            let id = version.find(client)?.id;
            let task: Task = client.post(&format!("/versions/{id}/verify"), &json!({}))?;
            return follow_and_print(client, terminal, task, waiting);
        }
        Verb::Export(export) => return run_export(export, client, terminal),
    }
    Ok(Exit::Ok)
}

fn run_add(add: Add, client: &Client, terminal: &Terminal) -> Outcome {
    let layer = resolve::layer(client, &add.layer)?;
    let base = add.base.map(|base| resolve::version(client, &layer, &base)).transpose()?;
    let prerequisites = resolve::apps(client, &add.prerequisites)?;
    let request = AddVersion {
        id: Uuid::now_v7(),
        name: add.name,
        description: add.description,
        max_layer_size_gib: add.size,
        base_version_id: base.map(|version| version.id),
        connector_id: add.workplace.connector(client)?,
        os_version_id: resolve::wanted(client, add.os.as_deref(), LayerKind::Os)?,
        platform_version_id: resolve::wanted(client, add.platform.as_deref(), LayerKind::Platform)?,
        prerequisite_version_ids: if prerequisites.is_empty() { None } else { Some(prerequisites) },
        packaging_disk: add.workplace.packaging_disk(),
        unattended: add.unattended.sent(client, terminal, None)?,
        comment: add.comment,
    };
    let created: VersionCreated = client.create(&format!("/layers/{}/versions", layer.id), &request)?;
    let (task, exit) = follow(client, terminal, created.task, add.waiting)?;
    // After a failed or canceled task the version is gone again: what was asked for is still shown.
    let version = client.get(&format!("/versions/{}", created.version.id)).unwrap_or(created.version);
    let machine_id = task.needs.as_ref().and_then(|needs| needs.machine_id);
    let machine = machine_id.and_then(|id| client.get::<Machine>(&format!("/machines/{id}")).ok());
    let created = VersionCreated { version, task };
    terminal.answer(&created, &created.version, |created| {
        Sheet::default()
            .with("Version", created.version.name.clone())
            .with("Id", created.version.id.to_string())
            .maybe("Machine", machine.map(|machine| machine.name))
            .with("Task", created.task.id.to_string())
            .with("State", Cell::state(created.task.state.clone()))
            .maybe("Instruction", created.task.needs.as_ref().map(|needs| needs.text.clone()))
    })?;
    conclude(client, terminal, &created.task, exit)
}

fn run_export(export: Export, client: &Client, terminal: &Terminal) -> Outcome {
    let id = export.version.find(client)?.id;
    if let Some(file) = export.download {
        let path = format!("/versions/{id}/disk");
        return download::disk(client, terminal, &path, &export.format, &file, export.overwrite);
    }
    let to = export.to.ok_or_else(|| Failure::usage("Give --to PATH or -O FILE."))?;
    let request = ExportVersion {
        format: export.format,
        path: path_on_server(client, &to)?,
        overwrite: export.overwrite,
    };
    let task: Task = client.post(&format!("/versions/{id}/export"), &request)?;
    follow_and_print(client, terminal, task, export.waiting)
}

impl View for PrunedVersion {
    const COLUMNS: &'static [&'static str] = &["VERSION", "GOES", "ADDED", "WHY"];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.name.clone().into(),
            if self.goes { "yes" } else { "no" }.to_owned().into(),
            units::bytes(self.added_bytes).into(),
            self.reason.clone().into(),
        ]
    }

    fn sheet(&self) -> Sheet {
        Sheet::default().with("Version", self.name.clone()).with("Why", self.reason.clone())
    }
}

impl View for Version {
    const COLUMNS: &'static [&'static str] = &["VERSION", "STATE", "DISK", "DATA", "ADDED", "MADE", "ID"];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<Cell> {
        let size = |of: fn(&shale_api::VersionSizes) -> u64| -> Cell {
            self.sizes.as_ref().map(|sizes| units::bytes(of(sizes))).unwrap_or_default().into()
        };
        vec![
            self.name.clone().into(),
            Cell::state(word(&self.state)),
            size(|sizes| sizes.virtual_bytes),
            size(|sizes| sizes.logical_bytes),
            size(|sizes| sizes.added_bytes),
            units::time(&self.created_at).into(),
            self.id.to_string().into(),
        ]
    }

    fn sheet(&self) -> Sheet {
        let size = |of: fn(&shale_api::VersionSizes) -> u64| self.sizes.as_ref().map(|s| units::bytes(of(s)));
        Sheet::default()
            .with("Version", self.name.clone())
            .with("Layer", self.layer_name.clone())
            .with("Id", self.id.to_string())
            .with("State", Cell::state(word(&self.state)))
            .with("Description", self.description.clone())
            .maybe("Made from", self.base_version_id.map(|id| id.to_string()))
            .maybe("Disk", size(|sizes| sizes.virtual_bytes))
            .maybe("Data", size(|sizes| sizes.logical_bytes))
            .maybe("Added to the repository", size(|sizes| sizes.added_bytes))
            .with("Firmware", self.firmware.clone())
            .maybe("Digest", self.digest.clone())
            .with("Made", units::time(&self.created_at))
            .with("Changed", units::time(&self.updated_at))
            .maybe("Machine", self.machine_id.map(|id| id.to_string()))
            .maybe("At work", self.task_id.map(|id| format!("task {id}")))
            .part("What can be done", actions(&self.actions))
    }
}
