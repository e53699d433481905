//! Publishing image templates, and deleting what they became.

use super::packaging::stamp;
use super::templates::get;
use super::versions::exportable;
use super::{Actor, NewTask, asked_for, audit, json, permitted, rule, server_file_of};
use crate::app::App;
use crate::catalog::{ConnectorRow, ImageRow, TaskRow, Tx, now};
use crate::error::{Error, Result};
use crate::jobs::{PublishInput, reserved};
use crate::template::Template;
use crate::view;
use crate::world::World;
use shale_api::{DeleteImage, ImageCreated, ImagePart, ImageReport, PublishImage};
use shale_connector::{Tag, boots_images};
use shale_disk::Format;
use shale_model::{ImageFacts, ImageState, image_name, message};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Publishes a template: its versions become one disk.
pub async fn publish_image(app: &App, actor: &Actor, id: Uuid, order: PublishImage) -> Result<ImageCreated> {
    let stamp = stamp(app).await?;
    let mut tx = app.world.catalog.begin().await?;
    if let Some(task) = repeated(&mut tx, id, &order).await? {
        drop(tx);
        return created(app, order.image_id, task).await;
    }
    rule("/comment", shale_model::comment(&order.comment))?;
    let row = get(&mut tx, id).await?;
    let template = Template::read(&mut tx, row).await?;
    permitted(&template.facts().actions(), "publish")?;
    let chosen = chosen(&mut tx, &order, &template).await?;
    let connector = sent_to(&order, chosen.as_ref())?;
    let boot =
        if order.boot_and_check { Some(booted_on(&mut tx, &order, chosen.as_ref()).await?) } else { None };
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
        composition: template.composition(stamp.as_deref())?,
        format: template.row.format.clone(),
        path,
        firmware: template.os.version.starts_by(),
        boot,
        connector_id: connector.map(|row| row.id),
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
        connector_id: input.connector_id,
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
    let task = asked_for(app, task).await?;
    let mut tx = app.world.catalog.read().await?;
    let row = ImageRow::get(&mut tx, image).await?;
    let row = row.ok_or_else(|| Error::not_found("layered image", image))?;
    Ok(ImageCreated { image: view::image(row), task })
}

/// The connector that the request names, or else the template.
async fn chosen(tx: &mut Tx, order: &PublishImage, template: &Template) -> Result<Option<ConnectorRow>> {
    match order.connector_id.or(template.row.connector_id) {
        Some(id) => named(tx, id, "/connector_id").await.map(Some),
        None => Ok(None),
    }
}

async fn named(tx: &mut Tx, id: Uuid, pointer: &str) -> Result<ConnectorRow> {
    let row = ConnectorRow::get(tx, id).await?;
    row.ok_or_else(|| Error::field(pointer, "There is no such connector configuration."))
}

/// The connector that an image is sent to, if it is.
fn sent_to<'a>(order: &PublishImage, chosen: Option<&'a ConnectorRow>) -> Result<Option<&'a ConnectorRow>> {
    let taking = chosen.filter(|row| shale_connector::takes_images(&row.kind));
    match (order.upload, taking) {
        (Some(true), None) => {
            let text = "No connector is named that takes images: name one of a XenServer pool.";
            Err(Error::field("/connector_id", text))
        }
        (Some(false), _) => Ok(None),
        _ => Ok(taking),
    }
}

/// Where an image is tried whether it boots.
async fn booted_on(tx: &mut Tx, order: &PublishImage, chosen: Option<&ConnectorRow>) -> Result<Uuid> {
    const FIELD: &str = "/boot_connector_id";
    if let Some(id) = order.boot_connector_id {
        let row = named(tx, id, FIELD).await?;
        if boots_images(&row.kind) {
            return Ok(id);
        }
        let text = format!(
            "The connector '{}' is of the kind {}: boot and check needs one of the kind local.",
            row.name, row.kind
        );
        return Err(Error::field(FIELD, text));
    }
    if let Some(row) = chosen.filter(|row| boots_images(&row.kind)) {
        return Ok(row.id);
    }
    let all = ConnectorRow::list(tx).await?;
    match all.iter().filter(|row| boots_images(&row.kind)).collect::<Vec<_>>()[..] {
        [only] => Ok(only.id),
        _ => {
            let text = "Say on which connector the image is to be booted: one of the kind local.";
            Err(Error::field(FIELD, text))
        }
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

/// Deletes a layered image, with its machine on a platform unless that is to be kept. A file that it was written to stays; its
/// disk in the repository goes when nothing else needs it.
pub async fn delete_image(app: &App, actor: &Actor, id: Uuid, order: DeleteImage) -> Result<()> {
    rule("/comment", shale_model::comment(&order.comment))?;
    let mut tx = app.world.catalog.read().await?;
    let row = deletable(&mut tx, id).await?;
    let connector = match row.connector_id.filter(|_| !order.keep_machine) {
        // With its configuration, the way to the platform is gone.
        Some(connector) => ConnectorRow::get(&mut tx, connector).await?,
        None => None,
    };
    drop(tx);
    if let Some(connector) = connector {
        let world = app.world.clone();
        let removed = tokio::task::spawn_blocking(move || remove_machine(&world, &connector, id));
        removed.await.map_err(|e| Error::internal("deleting an image failed").because(e))??;
    }
    let mut tx = app.world.catalog.begin().await?;
    deletable(&mut tx, id).await?;
    ImageRow::delete(&mut tx, id).await?;
    audit(&mut tx, actor, "delete_image", ("image", id, &row.name), &order.comment).await?;
    tx.commit().await?;
    app.feed.publish("image", id, true);
    Ok(())
}

async fn deletable(tx: &mut Tx, id: Uuid) -> Result<ImageRow> {
    let row = ImageRow::get(tx, id).await?.ok_or_else(|| Error::not_found("layered image", id))?;
    let facts = ImageFacts { name: row.name.clone(), state: row.state };
    permitted(&facts.actions(), "delete")?;
    Ok(row)
}

/// Removes an image from its platform, unless somebody uses it there.
fn remove_machine(world: &World, connector: &ConnectorRow, id: Uuid) -> Result<()> {
    let unavailable = |e| {
        let text = format!(
            "The platform of the connector '{}' did not delete the image: try again, or keep the machine there.",
            connector.name
        );
        Error::unavailable(text).because(e)
    };
    let platform = world.connector(connector)?;
    let tag = Tag::parse(&id.to_string()).map_err(unavailable)?;
    if let Some(why) = platform.claimed(&tag).map_err(unavailable)? {
        let text = format!(
            "{why} on the platform of the connector '{}', so that it may be in use: keep the machine there, and delete it on \
             the platform when nobody needs it any more.",
            connector.name
        );
        return Err(Error::not_allowed(text));
    }
    platform.remove(&tag).map_err(unavailable)
}
