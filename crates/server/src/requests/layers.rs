//! Making, changing and deleting layers.

use super::uploads::usable;
use super::{Actor, NewTask, audit, json, launched, layer_free, permitted, rule, server_file_of};
use crate::app::App;
use crate::catalog::{LayerRow, TaskRow, Tx, UploadRow, VersionRow, now};
use crate::error::{Error, Result};
use crate::jobs::{DeleteLayerInput, Doomed, ImportInput, reserved};
use crate::view::{self, Scene};
use shale_api::{EditLayer, ImportSource, Layer, LayerCreated, LayerKind, NewLayer, Task, VersionState};
use shale_model::{VersionEvent, message};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Creates an OS layer from a disk.
pub async fn create_layer(app: &App, actor: &Actor, new: NewLayer) -> Result<LayerCreated> {
    let mut tx = app.world.catalog.begin().await?;
    if let Some(task) = repeated(&mut tx, &new).await? {
        drop(tx);
        return created(app, new.id, task).await;
    }
    if new.kind != LayerKind::Os {
        return Err(Error::unsupported(
            "Platform and app layers cannot be made in this release: create an OS layer.",
        ));
    }
    let (file, upload) = match &new.source {
        ImportSource::File(file) => {
            server_file_of(actor)?;
            (importable(file)?, None)
        }
        ImportSource::Upload(id) => (usable(app, &mut tx, *id, "/source/upload").await?, Some(*id)),
    };
    if let Some(name) = &new.format {
        super::format(name)?;
    }
    rule("/description", shale_model::description(&new.description))?;
    rule("/version/name", shale_model::version_name(&new.version.name, false))?;
    rule("/version/description", shale_model::description(&new.version.description))?;
    let taken = LayerRow::by_name(&mut tx, new.kind, &new.name).await?.is_some();
    rule("/name", shale_model::layer_name(&new.name, taken))?;
    if VersionRow::get(&mut tx, new.version.id).await?.is_some() {
        return Err(Error::exists(format!("The id {} belongs to another version.", new.version.id)));
    }
    insert_rows(&mut tx, &new).await?;
    let input = ImportInput {
        layer_id: new.id,
        version_id: new.version.id,
        file,
        upload_id: upload,
        format: new.format.clone(),
        drop_free_space: new.drop_free_space,
    };
    let task = NewTask {
        kind: "import_os_layer",
        title: message::creating_layer(new.kind, &new.name),
        layer_id: Some(new.id),
        version_id: Some(new.version.id),
        input: json(&input)?,
        request: json(&new)?,
        actor,
        comment: &new.comment,
    };
    let task = task.insert(&mut tx, &reserved()).await?;
    if let Some(upload) = upload {
        UploadRow::claim(&mut tx, upload, Some(task.id)).await?;
    }
    audit(&mut tx, actor, "create_layer", ("layer", new.id, &new.name), &new.comment).await?;
    tx.commit().await?;
    if let Some(upload) = upload {
        app.feed.publish("upload", upload, false);
    }
    created(app, new.id, task).await
}

async fn insert_rows(tx: &mut Tx, new: &NewLayer) -> Result<()> {
    let at = now();
    let layer = LayerRow {
        id: new.id,
        kind: new.kind,
        name: new.name.clone(),
        description: new.description.clone(),
        created_at: at.clone(),
        updated_at: at.clone(),
    };
    layer.insert(tx).await?;
    let version = VersionRow {
        id: new.version.id,
        layer_id: new.id,
        name: new.version.name.clone(),
        description: new.version.description.clone(),
        state: VersionState::Editing,
        base_version_id: None,
        connector_id: None,
        machine_name: None,
        firmware: "bios".into(),
        virtual_bytes: 0,
        logical_bytes: None,
        added_bytes: None,
        digest: None,
        created_at: at.clone(),
        updated_at: at,
    };
    version.insert(tx).await
}

/// The task of the same request, when that was made before. Looked for in the transaction that would make it: of
/// two that come at once, the second finds the first's.
async fn repeated(tx: &mut Tx, new: &NewLayer) -> Result<Option<TaskRow>> {
    let task = TaskRow::that_made(tx, new.version.id).await?;
    match (task, LayerRow::get(tx, new.id).await?) {
        (Some(task), Some(_)) if task.request == json(new)? => Ok(Some(task)),
        (_, Some(_)) => Err(Error::exists(format!("The id {} belongs to another layer.", new.id))),
        _ => Ok(None),
    }
}

async fn created(app: &App, layer: Uuid, task: TaskRow) -> Result<LayerCreated> {
    let mut tx = app.world.catalog.read().await?;
    let scene = Scene::read(&mut tx).await?;
    let row = LayerRow::get(&mut tx, layer).await?.ok_or_else(|| Error::not_found("layer", layer))?;
    let layer = scene.layer(&mut tx, row).await?;
    drop(tx);
    let task = if task.ending.is_none() {
        launched(app, task).await?
    } else {
        let mut tx = app.world.catalog.read().await?;
        view::task(app, &mut tx, task).await?
    };
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

/// Changes a layer's name or description.
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
