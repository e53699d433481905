//! Publishing image templates, and deleting what they became.

use super::templates::get;
use super::versions::exportable;
use super::{Actor, NewTask, audit, json, launched, permitted, rule, server_file_of};
use crate::app::App;
use crate::catalog::{ConnectorRow, ImageRow, TaskRow, Tx, now};
use crate::error::{Error, Result};
use crate::jobs::{PublishInput, reserved};
use crate::template::Template;
use crate::view;
use shale_api::{ImageCreated, ImagePart, ImageReport, PublishImage};
use shale_connector::Firmware;
use shale_disk::Format;
use shale_model::{ImageFacts, ImageState, image_name, message};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Publishes a template: its versions become one disk.
pub async fn publish_image(app: &App, actor: &Actor, id: Uuid, order: PublishImage) -> Result<ImageCreated> {
    let mut tx = app.world.catalog.begin().await?;
    if let Some(task) = repeated(&mut tx, id, &order).await? {
        drop(tx);
        return created(app, order.image_id, task).await;
    }
    rule("/comment", shale_model::comment(&order.comment))?;
    let row = get(&mut tx, id).await?;
    let template = Template::read(&mut tx, row).await?;
    permitted(&template.facts().actions(), "publish")?;
    let boot = if order.boot_and_check { Some(booted_on(&mut tx, &order, &template).await?) } else { None };
    let time = jiff::Timestamp::now().strftime("%Y-%m-%d_%H-%M-%S").to_string();
    let alike = ImageRow::names(&mut tx, &format!("{}-{time}", template.row.name)).await?;
    let name = image_name(&template.row.name, &time, |name| alike.iter().any(|taken| taken == name));
    let path = match &order.path {
        Some(path) => Some(destination(actor, path, &template, &name)?),
        None => None,
    };
    let input = PublishInput {
        image_id: order.image_id,
        template_id: id,
        name,
        composition: template.composition()?,
        format: template.row.format.clone(),
        path,
        firmware: if template.os.version.firmware == "uefi" { Firmware::Uefi } else { Firmware::Bios },
        boot,
    };
    let task = NewTask {
        kind: "publish_image",
        title: message::publishing_image(&template.row.name),
        layer_id: None,
        version_id: None,
        input: json(&input)?,
        request: json(&order)?,
        actor,
        comment: &order.comment,
    };
    let task = task.insert(&mut tx, &reserved()).await?;
    image_of(&template, &input, &task).insert(&mut tx).await?;
    audit(&mut tx, actor, "publish_image", ("image", input.image_id, &input.name), &order.comment).await?;
    tx.commit().await?;
    created(app, order.image_id, task).await
}

fn image_of(template: &Template, input: &PublishInput, task: &TaskRow) -> ImageRow {
    let at = now();
    ImageRow {
        id: input.image_id,
        name: input.name.clone(),
        template_id: template.row.id,
        template_name: template.row.name.clone(),
        task_id: task.id,
        composition_id: input.composition.id,
        parts: template
            .parts()
            .map(|part| ImagePart { version_id: part.version.id, name: part.name() })
            .collect(),
        format: input.format.clone(),
        path: input.path.clone(),
        firmware: template.os.version.firmware.clone(),
        disk_size: input.composition.disk_size,
        state: ImageState::Publishing,
        report: ImageReport::default(),
        created_at: at.clone(),
        updated_at: at,
    }
}

/// The task of the same request, when that was made before.
async fn repeated(tx: &mut Tx, template: Uuid, order: &PublishImage) -> Result<Option<TaskRow>> {
    let Some(image) = ImageRow::get(tx, order.image_id).await? else { return Ok(None) };
    match TaskRow::get(tx, image.task_id).await? {
        Some(task) if image.template_id == template && task.request == json(order)? => Ok(Some(task)),
        _ => Err(Error::exists(format!("The id {} belongs to another layered image.", order.image_id))),
    }
}

async fn created(app: &App, image: Uuid, task: TaskRow) -> Result<ImageCreated> {
    let task = if task.ending.is_none() {
        launched(app, task).await?
    } else {
        let mut tx = app.world.catalog.read().await?;
        view::task(app, &mut tx, task).await?
    };
    let mut tx = app.world.catalog.read().await?;
    let row = ImageRow::get(&mut tx, image).await?;
    let row = row.ok_or_else(|| Error::not_found("layered image", image))?;
    Ok(ImageCreated { image: view::image(row), task })
}

/// Where an image is tried whether it boots: only on this host a guest's console and ports can be watched.
async fn booted_on(tx: &mut Tx, order: &PublishImage, template: &Template) -> Result<Uuid> {
    let wrong = |text: String| Err(Error::field("/connector_id", text));
    let Some(id) = order.connector_id.or(template.row.connector_id) else {
        return wrong("Say on which connector the image is to be booted: one of the kind local.".into());
    };
    match ConnectorRow::get(tx, id).await? {
        Some(row) if row.kind == "local" => Ok(id),
        Some(row) => wrong(format!(
            "The connector '{}' is of the kind {}: boot and check needs one of the kind local.",
            row.name, row.kind
        )),
        None => wrong("There is no such connector configuration.".into()),
    }
}

/// The file that an image is written to; in a folder it is called as the template says, or as the image.
fn destination(actor: &Actor, path: &str, template: &Template, name: &str) -> Result<PathBuf> {
    server_file_of(actor)?;
    if !Path::new(path).is_dir() {
        return exportable(path, false);
    }
    let format: Format = super::format(&template.row.format)?;
    let stem = if template.row.disk_name.is_empty() { name } else { &template.row.disk_name };
    let file = Path::new(path).join(format!("{stem}.{}", format.extension()));
    exportable(&file.to_string_lossy(), false)
}

/// Deletes a layered image. A file that it was written to stays; its disk in the repository goes when nothing else needs it.
pub async fn delete_image(app: &App, actor: &Actor, id: Uuid, comment: &str) -> Result<()> {
    let mut tx = app.world.catalog.begin().await?;
    let row = ImageRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("layered image", id))?;
    let facts = ImageFacts { name: row.name.clone(), state: row.state };
    permitted(&facts.actions(), "delete")?;
    ImageRow::delete(&mut tx, id).await?;
    audit(&mut tx, actor, "delete_image", ("image", id, &row.name), comment).await?;
    tx.commit().await?;
    app.feed.publish("image", id, true);
    Ok(())
}
