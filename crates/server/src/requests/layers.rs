//! Making, changing and deleting layers.

use super::packaging::{Wanted, stamp};
use super::retention::keepable;
use super::uploads::usable;
use super::{Actor, NewTask, asked_for, audit, json, launched, layer_free, permitted, rule, server_file_of};
use crate::app::App;
use crate::catalog::{LayerRow, TaskRow, Tx, UploadRow, VersionRow, now};
use crate::error::{Error, Result};
use crate::jobs::{DeleteLayerInput, Doomed, ImportInput, reserved};
use crate::view::Scene;
use shale_api::{EditLayer, ImportSource, Layer, LayerCreated, LayerKind, NewLayer, Task, VersionState};
use shale_model::{VersionEvent, message};
use shale_volume::exclude::{Exclusions, Family};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Creates a layer: an OS layer from a disk, a platform or app layer in a packaging machine.
pub async fn create_layer(app: &App, actor: &Actor, new: NewLayer) -> Result<LayerCreated> {
    let tools = stamp(app).await?;
    let mut tx = app.world.catalog.begin().await?;
    if let Some(task) = repeated(&mut tx, &new).await? {
        drop(tx);
        return created(app, new.id, task).await;
    }
    names(&mut tx, &new).await?;
    let (task, upload) = match new.kind {
        LayerKind::Os => import(app, &mut tx, actor, &new).await?,
        LayerKind::Platform | LayerKind::App => (package(&mut tx, actor, &new, tools).await?, None),
    };
    audit(&mut tx, actor, "create_layer", ("layer", new.id, &new.name), &new.comment).await?;
    tx.commit().await?;
    if let Some(upload) = upload {
        app.feed.publish("upload", upload, false);
    }
    created(app, new.id, task).await
}

/// Names and texts, which all kinds have.
async fn names(tx: &mut Tx, new: &NewLayer) -> Result<()> {
    rule("/description", shale_model::description(&new.description))?;
    rule("/version/name", shale_model::version_name(&new.version.name, false))?;
    rule("/version/description", shale_model::description(&new.version.description))?;
    let taken = LayerRow::by_name(tx, new.kind, &new.name).await?.is_some();
    rule("/name", shale_model::layer_name(&new.name, taken))?;
    if VersionRow::get(tx, new.version.id).await?.is_some() {
        return Err(Error::exists(format!("The id {} belongs to another version.", new.version.id)));
    }
    exclusions(new.kind, &new.exclusions)
}

/// Refuses exclusions that would not be understood when a version is made.
fn exclusions(kind: LayerKind, text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    if kind == LayerKind::Os {
        let text = "An OS layer's versions are whole disks: nothing is excluded from them.";
        return Err(Error::field("/exclusions", text));
    }
    for family in [Family::Linux, Family::Windows] {
        Exclusions::default().with(family, text).map_err(|e| Error::field("/exclusions", e))?;
    }
    Ok(())
}

/// The task that makes an OS layer from a disk, and the upload that it uses up.
async fn import(app: &App, tx: &mut Tx, actor: &Actor, new: &NewLayer) -> Result<(TaskRow, Option<Uuid>)> {
    if new.packaging.is_some() {
        return Err(Error::field("/packaging", "An OS layer is made from a disk: leave this out."));
    }
    let (file, upload) = match &new.source {
        None => return Err(Error::field("/source", "An OS layer is made from a disk: say where it is.")),
        Some(ImportSource::File(file)) => {
            server_file_of(actor)?;
            (importable(file)?, None)
        }
        Some(ImportSource::Upload(id)) => (usable(app, tx, *id, "/source/upload").await?, Some(*id)),
    };
    if let Some(name) = &new.format {
        super::format(name)?;
    }
    layer_row(new, None).insert(tx).await?;
    importing(new).insert(tx).await?;
    let input = ImportInput {
        layer_id: new.id,
        version_id: new.version.id,
        file,
        upload_id: upload,
        format: new.format.clone(),
        drop_free_space: new.drop_free_space,
    };
    let task = creating("import_os_layer", actor, new, json(&input)?)?.insert(tx, &reserved()).await?;
    if let Some(upload) = upload {
        UploadRow::claim(tx, upload, Some(task.id)).await?;
    }
    Ok((task, upload))
}

/// The task that makes a platform or app layer in a packaging machine.
async fn package(tx: &mut Tx, actor: &Actor, new: &NewLayer, tools: Option<String>) -> Result<TaskRow> {
    let Some(packaging) = &new.packaging else {
        let text =
            "A platform or app layer is made in a packaging machine: say where, and on which OS version.";
        return Err(Error::field("/packaging", text));
    };
    if new.source.is_some() {
        return Err(Error::field("/source", "Only an OS layer is made from a disk: leave this out."));
    }
    let os = VersionRow::get(tx, packaging.os_version_id).await?;
    let os = os.ok_or_else(|| Error::field("/packaging/os_version_id", "There is no such OS version."))?;
    let layer = layer_row(new, Some(os.layer_id));
    let wanted = Wanted {
        at: "/packaging",
        layer: &layer,
        new_layer: true,
        version: (new.version.id, &new.version.name, &new.version.description),
        base: None,
        os_version_id: Some(os.id),
        platform_version_id: packaging.platform_version_id,
        prerequisites: &packaging.prerequisite_version_ids,
        connector_id: packaging.connector_id,
        gib: packaging.max_layer_size_gib,
        disk: &packaging.packaging_disk,
        script: None,
        tools,
    };
    let (version, input) = wanted.prepared(tx).await?;
    layer.insert(tx).await?;
    version.insert(tx).await?;
    creating("add_version", actor, new, json(&input)?)?.insert(tx, &reserved()).await
}

fn creating<'a>(
    kind: &'static str,
    actor: &'a Actor,
    new: &'a NewLayer,
    input: serde_json::Value,
) -> Result<NewTask<'a>> {
    Ok(NewTask {
        kind,
        title: message::creating_layer(new.kind, &new.name),
        layer_id: Some(new.id),
        version_id: Some(new.version.id),
        input,
        request: json(new)?,
        actor,
        comment: &new.comment,
    })
}

fn layer_row(new: &NewLayer, os_layer_id: Option<Uuid>) -> LayerRow {
    let at = now();
    LayerRow {
        id: new.id,
        kind: new.kind,
        name: new.name.clone(),
        description: new.description.clone(),
        os_layer_id,
        exclusions: new.exclusions.clone(),
        retention: None,
        created_at: at.clone(),
        updated_at: at,
    }
}

/// An OS layer's first version, of whose disk nothing is known yet.
fn importing(new: &NewLayer) -> VersionRow {
    let at = now();
    VersionRow {
        id: new.version.id,
        layer_id: new.id,
        name: new.version.name.clone(),
        description: new.version.description.clone(),
        state: VersionState::Editing,
        base_version_id: None,
        os_version_id: None,
        platform_version_id: None,
        prerequisites: Vec::new(),
        connector_id: None,
        machine_name: None,
        firmware: "bios".into(),
        virtual_bytes: 0,
        logical_bytes: None,
        added_bytes: None,
        digest: None,
        created_at: at.clone(),
        updated_at: at,
    }
}

/// The task of the same request, when that was made before. Looked for in the transaction that would make it: of
/// two that come at once, the second finds the first's.
async fn repeated(tx: &mut Tx, new: &NewLayer) -> Result<Option<TaskRow>> {
    let task = TaskRow::that_made(tx, new.version.id).await?;
    match (task, LayerRow::get(tx, new.id).await?) {
        (Some(task), Some(_)) if task.request == json(new)? => Ok(Some(task)),
        (_, Some(_)) => Err(Error::exists(format!("The id {} belongs to another layer.", new.id))),
        (Some(_), None) => Err(super::versions::given_up(new.version.id)),
        (None, None) => Ok(None),
    }
}

async fn created(app: &App, layer: Uuid, task: TaskRow) -> Result<LayerCreated> {
    let mut tx = app.world.catalog.read().await?;
    let scene = Scene::read(&mut tx).await?;
    let row = LayerRow::get(&mut tx, layer).await?.ok_or_else(|| Error::not_found("layer", layer))?;
    let layer = scene.layer(&mut tx, row).await?;
    drop(tx);
    let task = asked_for(app, task).await?;
    Ok(LayerCreated { layer, task })
}

/// A path that may be imported: an absolute one, to a file.
fn importable(file: &str) -> Result<PathBuf> {
    let path = Path::new(file);
    if !path.is_absolute() {
        return Err(Error::field("/source/file", "The path of the disk must be absolute, on the server."));
    }
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() || is_block_device(&found) => Ok(path.to_owned()),
        Ok(_) => Err(Error::field("/source/file", format!("{file} is not a disk image: it is not a file."))),
        Err(e) => Err(Error::field("/source/file", format!("{file} cannot be read on the server: {e}."))),
    }
}

fn is_block_device(found: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    found.file_type().is_block_device()
}

/// Changes a layer's name, description, exclusions or retention.
pub async fn edit_layer(app: &App, actor: &Actor, id: Uuid, edit: EditLayer) -> Result<Layer> {
    let mut tx = app.world.catalog.begin().await?;
    let mut row = LayerRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("layer", id))?;
    if let Some(name) = edit.name {
        let taken = LayerRow::by_name(&mut tx, row.kind, &name).await?.is_some_and(|other| other.id != id);
        rule("/name", shale_model::layer_name(&name, taken))?;
        row.name = name;
    }
    if let Some(description) = edit.description {
        rule("/description", shale_model::description(&description))?;
        row.description = description;
    }
    if let Some(text) = edit.exclusions {
        exclusions(row.kind, &text)?;
        row.exclusions = text;
    }
    if let Some(rule) = edit.retention {
        row.retention = Some(rule).filter(|rule| rule.keep > 0);
        row.retention.map_or(Ok(()), |rule| keepable("/retention/keep", rule.keep))?;
    }
    row.update(&mut tx).await?;
    audit(&mut tx, actor, "edit_layer", ("layer", id, &row.name), &edit.comment).await?;
    let scene = Scene::read(&mut tx).await?;
    let layer = scene.layer(&mut tx, row).await?;
    tx.commit().await?;
    app.feed.publish("layer", id, false);
    Ok(layer)
}

/// Deletes a layer with all its versions.
pub async fn delete_layer(app: &App, actor: &Actor, id: Uuid, comment: &str) -> Result<Task> {
    let mut tx = app.world.catalog.begin().await?;
    let row = LayerRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("layer", id))?;
    let scene = Scene::read(&mut tx).await?;
    layer_free(&scene.open, id, &row.name)?;
    let versions = VersionRow::marks(&mut tx, id).await?;
    permitted(&scene.layer_facts(&row, &versions).actions(), "delete")?;
    let doomed = versions.iter().map(|version| Doomed { id: version.id, state: version.state }).collect();
    for version in &versions {
        VersionRow::happen(&mut tx, version.id, VersionEvent::DeleteAsked).await?;
    }
    let task = NewTask {
        kind: "delete_layer",
        title: message::deleting_layer(row.kind, &row.name),
        layer_id: Some(id),
        version_id: None,
        input: json(&DeleteLayerInput { layer_id: id, versions: doomed })?,
        request: serde_json::Value::Null,
        actor,
        comment,
    };
    let task = task.insert(&mut tx, &reserved()).await?;
    audit(&mut tx, actor, "delete_layer", ("layer", id, &row.name), comment).await?;
    tx.commit().await?;
    launched(app, task).await
}
