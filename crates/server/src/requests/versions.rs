//! Adding, finalizing, changing, checking, exporting and deleting versions; commanding their machines.

use super::packaging::{Wanted, stamp};
use super::unattended;
use super::{Actor, NewTask, asked_for, audit, json, launched, layer_free, permitted, rule, server_file_of};
use crate::app::App;
use crate::catalog::{ConnectorRow, LayerRow, TaskRow, Tx, VersionMark, VersionRow, Window};
use crate::error::{Error, Result};
use crate::jobs::{DeleteVersionInput, Doomed, ExportInput, FINALIZE, FinalizeOrder, VerifyInput, reserved};
use crate::kit::Attached;
use crate::starter::family_of;
use crate::view::{self, Scene};
use serde_json::Value;
use shale_api::{
    AddVersion, EditVersion, ExportVersion, FinalizeVersion, Machine, Task, Version, VersionCreated,
    VersionState,
};
use shale_connector::{Connector, Tag};
use shale_disk::Format;
use shale_model::{MachineFacts, VersionEvent, message};
use std::path::PathBuf;
use uuid::Uuid;

/// Adds a version to a layer: makes its packaging machine and waits for a person.
pub async fn add_version(app: &App, actor: &Actor, layer: Uuid, new: AddVersion) -> Result<VersionCreated> {
    add_version_with(app, actor, layer, new, None).await
}

/// What a schedule adds to a version that it asks for.
pub(super) struct Scheduled {
    /// What was asked for, in place of all that the schedule says: a repetition asks for the same.
    pub request: Value,
    /// Files that lie beside the script, besides the uploads that it names.
    pub files: Vec<Attached>,
}

/// The same, by a schedule or by none.
pub(super) async fn add_version_with(
    app: &App,
    actor: &Actor,
    layer: Uuid,
    new: AddVersion,
    schedule: Option<Scheduled>,
) -> Result<VersionCreated> {
    let (request, kept) = match schedule {
        Some(schedule) => (schedule.request, schedule.files),
        None => (json(&new)?, Vec::new()),
    };
    let (tools, prepared) = (stamp(app).await?, unattended::prepare(app, &new, kept).await?);
    let mut tx = app.world.catalog.begin().await?;
    if let Some(task) = repeated(&mut tx, layer, (new.id, &request)).await? {
        drop(tx);
        return created(app, new.id, task).await;
    }
    rule("/description", shale_model::description(&new.description))?;
    let row = LayerRow::get(&mut tx, layer).await?.ok_or_else(|| Error::not_found("layer", layer))?;
    let scene = Scene::read(&mut tx).await?;
    layer_free(&scene.open, layer, &row.name)?;
    let all = Window { after: None, limit: i64::MAX };
    let versions = VersionRow::of_layer(&mut tx, layer, &all).await?;
    let marks: Vec<VersionMark> = versions.iter().map(VersionMark::from).collect();
    permitted(&scene.layer_facts(&row, &marks).actions(), "add_version")?;
    let taken = versions.iter().any(|version| version.name == new.name);
    rule("/name", shale_model::version_name(&new.name, taken))?;
    let base = base_of(&new, &versions)?;
    let prerequisites = new.prerequisite_version_ids.as_ref().unwrap_or(&base.prerequisites);
    let wanted = Wanted {
        at: "",
        layer: &row,
        new_layer: false,
        version: (new.id, &new.name, &new.description),
        base: Some(base),
        os_version_id: new.os_version_id,
        platform_version_id: new.platform_version_id,
        prerequisites,
        connector_id: new.connector_id,
        gib: new.max_layer_size_gib,
        disk: &new.packaging_disk,
        script: new.unattended.as_ref().map(|unattended| family_of(&unattended.script.name)),
        tools,
    };
    let (version, mut input) = wanted.prepared(&mut tx).await?;
    input.unattended = unattended::put(app, &mut tx, &new, prepared).await?;
    version.insert(&mut tx).await?;
    let task = NewTask {
        kind: "add_version",
        title: message::adding_version(row.kind, &row.name),
        layer_id: Some(layer),
        version_id: Some(new.id),
        input: json(&input)?,
        request,
        actor,
        comment: &new.comment,
    };
    let task = task.insert(&mut tx, &reserved()).await?;
    let name = version.name_in(&row);
    audit(&mut tx, actor, "add_version", ("version", new.id, &name), &new.comment).await?;
    tx.commit().await?;
    if let Some(unattended) = &new.unattended {
        unattended::forget(app, &unattended.upload_ids);
    }
    created(app, new.id, task).await
}

fn base_of<'a>(new: &AddVersion, versions: &'a [VersionRow]) -> Result<&'a VersionRow> {
    let wanted = match new.base_version_id {
        Some(id) => Some(id),
        None => shale_model::default_base(versions.iter().map(|v| (v.id, v.state))),
    };
    let base = versions.iter().find(|version| Some(version.id) == wanted);
    match base {
        Some(base) if base.state == VersionState::Deployable => Ok(base),
        Some(base) => {
            let text = format!("The version '{}' is {}: choose a deployable one.", base.name, base.state);
            Err(Error::field("/base_version_id", text))
        }
        None => Err(Error::field("/base_version_id", "The layer has no such version.")),
    }
}

/// The task of the same request, when that was made before. Looked for in the transaction that would make it: of
/// two that come at once, the second finds the first's.
async fn repeated(tx: &mut Tx, layer: Uuid, (id, request): (Uuid, &Value)) -> Result<Option<TaskRow>> {
    match (VersionRow::get(tx, id).await?, TaskRow::that_made(tx, id).await?) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(given_up(id)),
        (Some(version), Some(task)) if version.layer_id == layer && task.request == *request => {
            Ok(Some(task))
        }
        _ => Err(Error::exists(format!("The id {id} belongs to another version."))),
    }
}

/// Why an id is not given to a version again: what its task left, and what is asked of it, goes by that id.
pub(super) fn given_up(id: Uuid) -> Error {
    Error::exists(format!("The version with the id {id} was given up or deleted: ask under another id."))
}

/// A version that was asked for, and the task that makes it.
pub(super) async fn created(app: &App, id: Uuid, task: TaskRow) -> Result<VersionCreated> {
    let version = get(app, id).await?;
    let task = asked_for(app, task).await?;
    Ok(VersionCreated { version, task })
}

async fn get(app: &App, id: Uuid) -> Result<Version> {
    let mut tx = app.world.catalog.read().await?;
    let row = found(&mut tx, id).await?.0;
    let scene = Scene::read(&mut tx).await?;
    scene.version(app, &mut tx, row).await
}

async fn found(tx: &mut Tx, id: Uuid) -> Result<(VersionRow, LayerRow)> {
    let version = VersionRow::get(tx, id).await?.ok_or_else(|| Error::not_found("version", id))?;
    let layer = LayerRow::get(tx, version.layer_id).await?;
    let layer = layer.ok_or_else(|| Error::not_found("layer", version.layer_id))?;
    Ok((version, layer))
}

/// Ends the work in the packaging machine, looks at what is outstanding there, and takes what was changed.
pub async fn finalize(app: &App, actor: &Actor, id: Uuid, wanted: FinalizeVersion) -> Result<Task> {
    let action = if wanted.anyway { "finalize_anyway" } else { "finalize" };
    if wanted.anyway {
        shale_model::may_finalize_anyway(actor.role).map_err(Error::forbidden)?;
        if wanted.reason.trim().is_empty() {
            return Err(Error::field(
                "/reason",
                "Say why it is finalized although something is outstanding.",
            ));
        }
    }
    rule("/reason", shale_model::comment(&wanted.reason))?;
    let mut tx = app.world.catalog.read().await?;
    let (version, layer) = found(&mut tx, id).await?;
    let scene = Scene::read(&mut tx).await?;
    let power = view::power_of(&view::observe(app, &mut tx, &version).await?);
    permitted(&scene.version_facts(&layer, &version, Some(power), None).actions(), action)?;
    let task = scene.maker(id).cloned().ok_or_else(|| Error::not_allowed("No task makes this version."))?;
    drop(tx);
    rule("/comment", shale_model::comment(&wanted.comment))?;
    let (engine, waiting) = (app.engine.clone(), task.clone());
    let comment = if wanted.anyway { wanted.reason.clone() } else { wanted.comment };
    let order =
        json(&FinalizeOrder { anyway: wanted.anyway, reason: wanted.reason, by: actor.name.clone() })?;
    tokio::task::spawn_blocking(move || engine.signal(waiting, FINALIZE, order))
        .await
        .map_err(|e| Error::internal("finalize failed to start").because(e))??;
    let mut tx = app.world.catalog.begin().await?;
    let name = version.name_in(&layer);
    audit(&mut tx, actor, action, ("version", id, &name), &comment).await?;
    tx.commit().await?;
    app.engine.changed(&task);
    let mut tx = app.world.catalog.read().await?;
    view::task(app, &mut tx, task).await
}

/// Changes a version's name or description.
pub async fn edit_version(app: &App, actor: &Actor, id: Uuid, edit: EditVersion) -> Result<Version> {
    let mut tx = app.world.catalog.begin().await?;
    let (mut version, layer) = found(&mut tx, id).await?;
    let scene = Scene::read(&mut tx).await?;
    permitted(&scene.version_facts(&layer, &version, None, None).actions(), "edit")?;
    if let Some(name) = edit.name {
        let all = Window { after: None, limit: i64::MAX };
        let others = VersionRow::of_layer(&mut tx, layer.id, &all).await?;
        let taken = others.iter().any(|other| other.name == name && other.id != id);
        rule("/name", shale_model::version_name(&name, taken))?;
        version.name = name;
    }
    if let Some(description) = edit.description {
        rule("/description", shale_model::description(&description))?;
        version.description = description;
    }
    version.update(&mut tx).await?;
    let name = version.name_in(&layer);
    audit(&mut tx, actor, "edit_version", ("version", id, &name), &edit.comment).await?;
    tx.commit().await?;
    app.feed.publish("version", id, false);
    get(app, id).await
}

/// Deletes a version.
pub async fn delete_version(app: &App, actor: &Actor, id: Uuid, comment: &str) -> Result<Task> {
    let mut tx = app.world.catalog.begin().await?;
    let (version, layer) = found(&mut tx, id).await?;
    let scene = Scene::read(&mut tx).await?;
    permitted(&scene.version_facts(&layer, &version, None, None).actions(), "delete")?;
    layer_free(&scene.open, layer.id, &layer.name)?;
    VersionRow::happen(&mut tx, id, VersionEvent::DeleteAsked).await?;
    let task = NewTask {
        kind: "delete_version",
        title: message::deleting_version(&layer.name, &version.name),
        layer_id: Some(layer.id),
        version_id: Some(id),
        input: json(&DeleteVersionInput { versions: vec![Doomed { id, state: version.state }] })?,
        request: serde_json::Value::Null,
        actor,
        comment,
    };
    let task = task.insert(&mut tx, &reserved()).await?;
    let name = version.name_in(&layer);
    audit(&mut tx, actor, "delete_version", ("version", id, &name), comment).await?;
    tx.commit().await?;
    launched(app, task).await
}

/// Reads a version again and compares it with its digest.
pub async fn verify_version(app: &App, actor: &Actor, id: Uuid, comment: &str) -> Result<Task> {
    let mut tx = app.world.catalog.begin().await?;
    let (version, layer) = found(&mut tx, id).await?;
    let scene = Scene::read(&mut tx).await?;
    permitted(&scene.version_facts(&layer, &version, None, None).actions(), "verify")?;
    let input = VerifyInput { version_id: id, digest: version.digest.clone().unwrap_or_default() };
    let task = NewTask {
        kind: "verify_version",
        title: message::verifying_version(&layer.name, &version.name),
        layer_id: Some(layer.id),
        version_id: Some(id),
        input: json(&input)?,
        request: serde_json::Value::Null,
        actor,
        comment,
    };
    let task = task.insert(&mut tx, &[]).await?;
    let name = version.name_in(&layer);
    audit(&mut tx, actor, "verify_version", ("version", id, &name), comment).await?;
    tx.commit().await?;
    launched(app, task).await
}

/// Writes a version to a disk image on the server.
pub async fn export_version(app: &App, actor: &Actor, id: Uuid, order: ExportVersion) -> Result<Task> {
    server_file_of(actor)?;
    let mut tx = app.world.catalog.begin().await?;
    let (version, layer) = found(&mut tx, id).await?;
    let scene = Scene::read(&mut tx).await?;
    permitted(&scene.version_facts(&layer, &version, None, None).actions(), "export")?;
    let input = ExportInput {
        version_id: id,
        format: format(&order.format)?.to_string(),
        path: exportable(&order.path, order.overwrite)?,
        overwrite: order.overwrite,
    };
    let task = NewTask {
        kind: "export_version",
        title: message::exporting_version(&layer.name, &version.name),
        layer_id: Some(layer.id),
        version_id: Some(id),
        input: json(&input)?,
        request: json(&order)?,
        actor,
        comment: "",
    };
    let task = task.insert(&mut tx, &[]).await?;
    let name = version.name_in(&layer);
    audit(&mut tx, actor, "export_version", ("version", id, &name), &order.path).await?;
    tx.commit().await?;
    launched(app, task).await
}

/// The disk format named by a client.
pub fn format(name: &str) -> Result<Format> {
    name.parse().map_err(|e: shale_disk::Error| Error::field("/format", e))
}

/// A path that an image may be written to.
pub(super) fn exportable(path: &str, overwrite: bool) -> Result<PathBuf> {
    let wrong = |text: String| Err(Error::field("/path", text));
    let target = PathBuf::from(path);
    let (true, Some(_), Some(folder)) = (target.is_absolute(), target.file_name(), target.parent()) else {
        return wrong("The path must be absolute and end in a file name, on the server.".into());
    };
    if !folder.is_dir() {
        return wrong(format!(
            "The folder {} does not exist on the server: make it first.",
            folder.display()
        ));
    }
    match std::fs::symlink_metadata(&target) {
        Ok(found) if found.is_dir() => wrong(format!("{path} is a folder: add a file name.")),
        Ok(found) if !found.is_file() && !found.is_symlink() => {
            wrong(format!("{path} is no file: images are written to files, not to devices or pipes."))
        }
        Ok(_) if !overwrite => {
            wrong(format!("{path} exists on the server: choose another, or overwrite it."))
        }
        _ => Ok(target),
    }
}

/// What a packaging machine can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineOrder {
    /// Power it on.
    PowerOn,
    /// Ask the guest to shut down.
    ShutDown,
    /// Power it off at once.
    PowerOff,
}

impl MachineOrder {
    fn name(self) -> &'static str {
        match self {
            Self::PowerOn => "power_on",
            Self::ShutDown => "shut_down",
            Self::PowerOff => "power_off",
        }
    }

    fn give(self, connector: &dyn Connector, tag: &Tag) -> shale_connector::Result<()> {
        match self {
            Self::PowerOn => connector.power_on(tag),
            Self::ShutDown => connector.shut_down(tag),
            Self::PowerOff => connector.power_off(tag),
        }
    }
}

/// Tells a version's packaging machine what to do.
pub async fn command_machine(app: &App, actor: &Actor, id: Uuid, order: MachineOrder) -> Result<Machine> {
    let mut tx = app.world.catalog.read().await?;
    let (version, _) = found(&mut tx, id).await?;
    let (Some(name), Some(connector)) = (version.machine_name.clone(), version.connector_id) else {
        return Err(Error::not_found("machine", id));
    };
    let power = view::power_of(&view::observe(app, &mut tx, &version).await?);
    let facts = MachineFacts { name: name.clone(), power, version: version.state, no_cd: None };
    permitted(&facts.actions(), order.name())?;
    let row = ConnectorRow::get(&mut tx, connector).await?;
    let row = row.ok_or_else(|| Error::not_found("connector configuration", connector))?;
    drop(tx);
    let world = app.world.clone();
    let told = tokio::task::spawn_blocking(move || {
        let connector = world.connector(&row)?;
        Tag::parse(&id.to_string()).and_then(|tag| order.give(connector.as_ref(), &tag)).map_err(|e| {
            Error::unavailable(format!("The machine '{name}' did not do what was asked.")).because(e)
        })
    });
    told.await.map_err(|e| Error::internal("commanding a machine failed").because(e))??;
    let mut tx = app.world.catalog.begin().await?;
    let machine_name = version.machine_name.clone().unwrap_or_default();
    audit(&mut tx, actor, order.name(), ("version", id, &machine_name), "").await?;
    tx.commit().await?;
    let mut tx = app.world.catalog.read().await?;
    let scene = Scene::read(&mut tx).await?;
    let machine = scene.machine(app, &mut tx, &version).await?;
    app.feed.publish("version", id, false);
    machine.ok_or_else(|| Error::not_found("machine", id))
}
