//! `shale layer`.

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::packaging;
use crate::resolve;
use crate::table::{Cell, Sheet, Table};
use crate::terminal::{Terminal, View, actions, word};
use crate::units;
use crate::upload;
use crate::wait::{Waiting, conclude, follow, follow_and_print};
use clap::{Subcommand, ValueEnum};
use shale_api::{
    Comment, EditLayer, ImportSource, Layer, LayerCreated, LayerKind, NewLayer, NewVersion, OldVersions,
    Retention, Task, Version,
};
use std::path::PathBuf;
use uuid::Uuid;

/// The verbs of `shale layer`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the layers
    List {
        /// Only this kind: os, platform, app
        #[arg(long)]
        kind: Option<String>,
    },
    /// Show a layer, its versions and what can be done with it now
    Show {
        /// Name or id
        layer: String,
    },
    /// Make an OS layer out of a disk, on the server or sent to it
    Import(Import),
    /// App layers
    App {
        #[command(subcommand)]
        verb: packaging::Verb,
    },
    /// Platform layers: tools and drivers of a platform
    Platform {
        #[command(subcommand)]
        verb: packaging::Verb,
    },
    /// Change a layer's name, description, exclusions or retention
    Edit(Edit),
    /// Delete a layer with all its versions
    Delete {
        /// Name or id
        layer: String,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
        #[command(flatten)]
        waiting: Waiting,
    },
}

/// What `shale layer edit` takes.
#[derive(Debug, clap::Args)]
pub struct Edit {
    /// Name or id
    layer: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// New description
    #[arg(long)]
    description: Option<String>,
    /// File with patterns of what is never part of its versions (TOML; platform and app layers)
    #[arg(long, value_name = "FILE")]
    exclusions: Option<PathBuf>,
    /// Retention: so many of the newest versions stay, and all that something uses; 0: no retention
    #[arg(long, value_name = "NUMBER")]
    keep: Option<u32>,
    /// What becomes of versions that the retention does not keep
    #[arg(long, value_enum)]
    old_versions: Option<Old>,
    /// Why; kept in the audit
    #[arg(long, default_value = "")]
    comment: String,
}

/// What becomes of versions that a retention does not keep.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Old {
    /// They are named with the layer, for you to delete
    Propose,
    /// The server deletes them by itself
    Delete,
}

/// What `shale layer import` takes.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The new layer's name
    name: String,
    /// Its first version
    #[arg(long, value_name = "NAME")]
    version: String,
    /// The disk on the server: raw, qcow2, VHD, VHDX, VMDK or OVA, recognised by content
    #[arg(long, value_name = "PATH", required_unless_present = "upload")]
    file: Option<String>,
    /// The disk on this computer: it is sent to the server first; the same command again goes on where it broke off
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    upload: Option<PathBuf>,
    /// What the disk is, instead of finding out: say raw for a raw disk from a guest that you do not trust
    #[arg(long)]
    format: Option<String>,
    /// The layer's description
    #[arg(long, default_value = "")]
    description: String,
    /// The version's description
    #[arg(long, default_value = "")]
    version_description: String,
    /// Store blocks as well that the disk's file systems say are free
    #[arg(long)]
    keep_free_space: bool,
    /// Why; kept in the audit
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    waiting: Waiting,
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    match verb {
        Verb::List { kind } => {
            let query: Vec<(&str, &str)> = kind.iter().map(|kind| ("kind", kind.as_str())).collect();
            terminal.list::<Layer>(&client.list("/layers", &query, None)?)?;
        }
        Verb::Show { layer } => show(&resolve::layer(client, &layer)?, client, terminal)?,
        Verb::Import(import) => return run_import(import, client, terminal),
        Verb::App { verb } => return packaging::run(LayerKind::App, verb, client, terminal),
        Verb::Platform { verb } => return packaging::run(LayerKind::Platform, verb, client, terminal),
        Verb::Edit(edit) => {
            let layer = resolve::layer(client, &edit.layer)?;
            let edited = client.patch(&format!("/layers/{}", layer.id), &changes(edit, &layer)?)?;
            terminal.object::<Layer>(&edited)?;
        }
        Verb::Delete { layer, comment, waiting } => {
            let id = resolve::layer(client, &layer)?.id;
            let task: Task = client.delete(&format!("/layers/{id}"), &Comment { comment })?;
            return follow_and_print(client, terminal, task, waiting);
        }
    }
    Ok(Exit::Ok)
}

fn changes(edit: Edit, layer: &Layer) -> Result<EditLayer, Failure> {
    let has_rule = edit.keep.is_some() || edit.old_versions.is_some();
    if edit.name.is_none() && edit.description.is_none() && edit.exclusions.is_none() && !has_rule {
        let text = "Nothing to change: give --name, --description, --exclusions, --keep or --old-versions.";
        return Err(Failure::usage(text));
    }
    let before = layer.retention;
    let retention = match edit.keep.or(before.map(|rule| rule.keep)).filter(|_| has_rule) {
        None if has_rule => return Err(Failure::usage("Give --keep, too: the layer has no retention yet.")),
        None => None,
        Some(keep) => {
            let old_versions = match edit.old_versions {
                Some(Old::Propose) => OldVersions::Propose,
                Some(Old::Delete) => OldVersions::Delete,
                None => before.map(|rule| rule.old_versions).unwrap_or_default(),
            };
            Some(Retention { keep, old_versions })
        }
    };
    Ok(EditLayer {
        name: edit.name,
        description: edit.description,
        exclusions: edit.exclusions.map(|path| packaging::patterns(&path)).transpose()?,
        retention,
        comment: edit.comment,
    })
}

fn show(layer: &Layer, client: &Client, terminal: &Terminal) -> Result<(), Failure> {
    if !terminal.for_people() {
        return terminal.object(layer);
    }
    let versions: Vec<Version> = client.list(&format!("/layers/{}/versions", layer.id), &[], None)?;
    let mut table = Table::new(Version::COLUMNS);
    versions.iter().for_each(|version| table.row(version.row()));
    terminal.answer(layer, layer, |layer| {
        sheet(layer).part("Versions", table).part("What can be done", actions(&layer.actions))
    })
}

fn run_import(import: Import, client: &Client, terminal: &Terminal) -> Outcome {
    let source = match (&import.file, &import.upload) {
        (Some(file), _) => ImportSource::File(path_on_server(client, file)?),
        (None, Some(file)) => ImportSource::Upload(upload::send(client, terminal, file)?.id),
        (None, None) => return Err(Failure::usage("Say where the disk is: --file or --upload.")),
    };
    let request = NewLayer {
        id: Uuid::now_v7(),
        kind: LayerKind::Os,
        name: import.name,
        description: import.description,
        version: NewVersion {
            id: Uuid::now_v7(),
            name: import.version,
            description: import.version_description,
        },
        source: Some(source),
        packaging: None,
        exclusions: String::new(),
        format: import.format,
        drop_free_space: !import.keep_free_space,
        comment: import.comment,
    };
    let created: LayerCreated = client.create("/layers", &request)?;
    self::created(created, &request.version, import.waiting, client, terminal)
}

/// Follows the task that makes a layer, and shows both.
pub fn created(
    created: LayerCreated,
    version: &NewVersion,
    waiting: Waiting,
    client: &Client,
    terminal: &Terminal,
) -> Outcome {
    let (task, exit) = follow(client, terminal, created.task, waiting)?;
    // After a failed task the layer is gone again: what was made is still shown.
    let layer = client.get(&format!("/layers/{}", created.layer.id)).unwrap_or(created.layer);
    let created = LayerCreated { layer, task };
    terminal.answer(&created, &created.layer, |created| {
        sheet(&created.layer)
            .with("Version", format!("{} ({})", version.name, version.id))
            .with("Task", format!("{} ({})", created.task.state, created.task.id))
            .maybe("Result", crate::task::result_line(&created.task))
    })?;
    conclude(client, terminal, &created.task, exit)
}

/// A path on the server. What is relative can only be meant on this computer.
pub fn path_on_server(client: &Client, path: &str) -> Result<String, Failure> {
    if !client.is_here() || path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let absolute =
        std::path::absolute(path).map_err(|e| Failure::io(format!("cannot use the path '{path}'"), &e))?;
    absolute.into_os_string().into_string().map_err(|path| {
        Failure::usage(format!("The path '{}' is not UTF-8: rename it first.", path.to_string_lossy()))
    })
}

impl View for Layer {
    const COLUMNS: &'static [&'static str] = &["NAME", "KIND", "VERSIONS", "CHANGED", "TASK", "DESCRIPTION"];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.name.clone().into(),
            word(&self.kind).into(),
            self.version_count.to_string().into(),
            units::time(&self.updated_at).into(),
            self.task_id.map(|id| id.to_string()).unwrap_or_default().into(),
            self.description.clone().into(),
        ]
    }

    fn sheet(&self) -> Sheet {
        sheet(self).part("What can be done", actions(&self.actions))
    }
}

fn sheet(layer: &Layer) -> Sheet {
    Sheet::default()
        .with("Layer", layer.name.clone())
        .with("Id", layer.id.to_string())
        .with("Kind", word(&layer.kind))
        .maybe("OS layer", layer.os_layer_name.clone())
        .with("Description", layer.description.clone())
        .with("Made", units::time(&layer.created_at))
        .with("Changed", units::time(&layer.updated_at))
        .maybe("Retention", layer.retention.map(retention))
        .maybe("Old versions", old_versions(layer))
        .maybe("At work", layer.task_id.map(|id| format!("task {id}")))
}

fn retention(rule: Retention) -> String {
    let fate = match rule.old_versions {
        OldVersions::Propose => "proposed",
        OldVersions::Delete => "deleted",
    };
    format!("the {} newest stay, and what something uses; older ones are {fate}", rule.keep)
}

/// What its retention does not keep.
fn old_versions(layer: &Layer) -> Option<String> {
    let names: Vec<&str> = layer.old_versions.iter().map(|version| version.name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
