//! Making, changing and deleting image templates, and telling what publishing one would come to.

use super::packaging::stamp;
use super::{Actor, audit, permitted, rule};
use crate::app::App;
use crate::catalog::{ConnectorRow, TaskRow, TemplateRow, Tx, now};
use crate::error::{Error, Result};
use crate::template::Template as Whole;
use shale_api::{
    CloneTemplate, EditTemplate, NewTemplate, Page, Plan, PlanConflict, PlanLayer, PlanPath, PlanWarning,
    Template, TemplateDisk,
};
use shale_disk::Format;
use shale_volume::compose::{Action, Preview};
use std::ops::ControlFlow;
use std::sync::Arc;
use uuid::Uuid;

/// Format of an image's disk when nobody says one.
const FORMAT: Format = Format::Qcow2;
/// Conflicts and warnings that a plan tells, each.
const TOLD: usize = 1000;

/// Makes an image template.
pub async fn create_template(app: &App, actor: &Actor, new: NewTemplate) -> Result<Template> {
    let mut tx = app.world.catalog.begin().await?;
    let wanted = TemplateRow {
        id: new.id,
        name: new.name,
        description: new.description,
        os_version_id: new.os_version_id,
        platform_version_id: new.platform_version_id,
        app_versions: new.app_version_ids,
        connector_id: new.connector_id,
        disk_name: String::new(),
        format: String::new(),
        disk_size: 0,
        generalize: generalized(new.generalize.as_deref())?,
        created_at: now(),
        updated_at: now(),
    };
    let whole = checked(&mut tx, wanted, Some(new.disk)).await?;
    insert(app, actor, tx, whole, "create_template", &new.comment).await
}

/// Makes an image template like another one.
pub async fn clone_template(app: &App, actor: &Actor, of: Uuid, new: CloneTemplate) -> Result<Template> {
    let mut tx = app.world.catalog.begin().await?;
    let (id, name, at) = (new.id, new.name, now());
    let row = TemplateRow { id, name, created_at: at.clone(), updated_at: at, ..get(&mut tx, of).await? };
    let whole = Whole::read(&mut tx, row).await?;
    insert(app, actor, tx, whole, "clone_template", &new.comment).await
}

/// Adds a template, unless the same request did before.
async fn insert(
    app: &App,
    actor: &Actor,
    mut tx: Tx,
    whole: Whole,
    action: &str,
    comment: &str,
) -> Result<Template> {
    let row = &whole.row;
    if let Some(known) = TemplateRow::get(&mut tx, row.id).await? {
        let same = TemplateRow {
            created_at: known.created_at.clone(),
            updated_at: known.updated_at.clone(),
            ..row.clone()
        };
        if same != known {
            return Err(Error::exists(format!("The id {} belongs to another image template.", known.id)));
        }
        return view(&mut tx, known).await;
    }
    named(&mut tx, row).await?;
    row.insert(&mut tx).await?;
    audit(&mut tx, actor, action, ("template", row.id, &row.name), comment).await?;
    finish(app, tx, row.clone()).await
}

/// Changes an image template. Images that were published of it stay as they are.
pub async fn edit_template(app: &App, actor: &Actor, id: Uuid, edit: EditTemplate) -> Result<Template> {
    let mut tx = app.world.catalog.begin().await?;
    let mut row = get(&mut tx, id).await?;
    row.name = edit.name.unwrap_or(row.name);
    row.description = edit.description.unwrap_or(row.description);
    row.os_version_id = edit.os_version_id.unwrap_or(row.os_version_id);
    row.app_versions = edit.app_version_ids.unwrap_or(row.app_versions);
    row.platform_version_id = edit.platform_version_id.unwrap_or(row.platform_version_id);
    row.connector_id = edit.connector_id.unwrap_or(row.connector_id);
    if edit.generalize.is_some() {
        row.generalize = generalized(edit.generalize.as_deref())?;
    }
    let whole = checked(&mut tx, row, edit.disk).await?;
    named(&mut tx, &whole.row).await?;
    whole.row.update(&mut tx).await?;
    audit(&mut tx, actor, "edit_template", ("template", id, &whole.row.name), &edit.comment).await?;
    finish(app, tx, whole.row).await
}

/// Moves every part of a template to its newest deployable version.
pub async fn update_template(app: &App, actor: &Actor, id: Uuid, comment: &str) -> Result<Template> {
    let mut tx = app.world.catalog.begin().await?;
    let row = get(&mut tx, id).await?;
    let whole = Whole::read(&mut tx, row).await?;
    permitted(&whole.facts().actions(), "update")?;
    let row = whole.updated();
    Whole::read(&mut tx, row.clone()).await?.check()?;
    row.update(&mut tx).await?;
    audit(&mut tx, actor, "update_template", ("template", id, &row.name), comment).await?;
    finish(app, tx, row).await
}

/// Deletes an image template. Images that were published of it stay.
pub async fn delete_template(app: &App, actor: &Actor, id: Uuid, comment: &str) -> Result<()> {
    let mut tx = app.world.catalog.begin().await?;
    let row = get(&mut tx, id).await?;
    TemplateRow::delete(&mut tx, id).await?;
    audit(&mut tx, actor, "delete_template", ("template", id, &row.name), comment).await?;
    tx.commit().await?;
    app.feed.publish("template", id, true);
    Ok(())
}

/// What publishing a template would come to: the paths that fit `search`, from behind the path `after` on, `limit` of them
/// and the one that follows.
pub async fn plan(app: &App, id: Uuid, search: String, after: String, limit: usize) -> Result<Plan> {
    let stamp = stamp(app).await?;
    let mut tx = app.world.catalog.read().await?;
    let row = get(&mut tx, id).await?;
    let whole = Whole::read(&mut tx, row).await?;
    permitted(&whole.facts().actions(), "publish")?;
    let wanted = whole.composition(stamp.as_deref())?;
    drop(tx);
    let world = app.world.clone();
    let made = tokio::task::spawn_blocking(move || {
        let preview = world.previews.of(&world, &wanted, &|_| ControlFlow::Continue(()))?;
        let is_composed = world.repository.version(wanted.id.into()).is_ok();
        let layers = wanted.layers.iter().map(|part| part.version_id).collect();
        let paths = preview.find(&search, &after).take(limit).map(path).collect();
        Ok(told(wanted.id, is_composed, layers, &preview, paths))
    });
    made.await.map_err(|e| Error::internal("making a plan failed").because(e))?
}

fn told(
    composition_id: Uuid,
    is_composed: bool,
    versions: Vec<Uuid>,
    preview: &Arc<Preview>,
    paths: Vec<PlanPath>,
) -> Plan {
    let layers = versions.into_iter().zip(&preview.layers).map(|(version_id, share)| PlanLayer {
        version_id,
        name: share.name.clone(),
        entries: share.entries,
        wins: share.wins,
        bytes: share.bytes,
        written_bytes: share.written,
    });
    let conflicts = preview.conflicts.iter().take(TOLD).map(|clash| PlanConflict {
        path: clash.path.clone(),
        winner: clash.winner,
        loser: clash.loser,
        text: clash.text.clone(),
    });
    let warnings = preview.warnings.iter().take(TOLD).map(|warning| PlanWarning {
        path: warning.path.clone(),
        layer: warning.layer,
        text: warning.text.clone(),
    });
    Plan {
        composition_id,
        is_composed,
        layers: layers.collect(),
        path_count: preview.entries.len() as u64,
        conflict_count: preview.conflicts.len() as u64,
        conflicts: conflicts.collect(),
        warnings: warnings.collect(),
        paths: Page { items: paths, next_page_token: None },
    }
}

fn path(line: &shale_volume::compose::Line) -> PlanPath {
    let action = match line.action {
        Action::Added => "added",
        Action::Replaced => "replaced",
        Action::Described => "described",
        Action::Merged => "merged",
        Action::Removed => "removed",
    };
    PlanPath {
        path: line.path.clone(),
        action: action.into(),
        layers: line.layers.clone(),
        bytes: line.bytes,
    }
}

pub(super) async fn get(tx: &mut Tx, id: Uuid) -> Result<TemplateRow> {
    TemplateRow::get(tx, id).await?.ok_or_else(|| Error::not_found("image template", id))
}

fn generalized(word: Option<&str>) -> Result<bool> {
    match word {
        None | Some("none") => Ok(false),
        Some("generalize") => Ok(true),
        Some(other) => {
            Err(Error::field("/generalize", format!("'{other}' is not known: choose none or generalize.")))
        }
    }
}

/// A name that no other template has.
async fn named(tx: &mut Tx, row: &TemplateRow) -> Result<()> {
    let taken = TemplateRow::by_name(tx, &row.name).await?.is_some_and(|other| other.id != row.id);
    rule("/name", shale_model::template_name(&row.name, taken))
}

/// A template as it must be, with the disk that is asked for or, without one, with its own, which must have room.
async fn checked(tx: &mut Tx, mut row: TemplateRow, disk: Option<TemplateDisk>) -> Result<Whole> {
    rule("/description", shale_model::description(&row.description))?;
    if let Some(id) = row.connector_id
        && ConnectorRow::get(tx, id).await?.is_none()
    {
        return Err(Error::field("/connector_id", "There is no such connector configuration."));
    }
    let mut whole = Whole::read(tx, row.clone()).await?;
    whole.check()?;
    let os_bytes = whole.os.version.virtual_bytes;
    match disk {
        Some(disk) => {
            let format = disk.format.unwrap_or_else(|| FORMAT.to_string());
            let format: Format =
                format.parse().map_err(|e: shale_disk::Error| Error::field("/disk/format", e))?;
            row.format = format.to_string();
            row.disk_name = disk.file_name.unwrap_or_default();
            if !row.disk_name.is_empty() {
                rule("/disk/file_name", shale_model::file_name(&row.disk_name))?;
            }
            row.disk_size = shale_model::image_size(disk.size_gib, os_bytes)
                .map_err(|invalid| Error::field("/disk/size_gib", invalid))?;
        }
        None => row.disk_size = row.disk_size.max(os_bytes),
    }
    whole.row = row;
    Ok(whole)
}

async fn view(tx: &mut Tx, row: TemplateRow) -> Result<Template> {
    let open = TaskRow::open(tx).await?;
    Ok(Whole::read(tx, row).await?.view(&open))
}

async fn finish(app: &App, mut tx: Tx, row: TemplateRow) -> Result<Template> {
    let template = view(&mut tx, row).await?;
    tx.commit().await?;
    app.feed.publish("template", template.id, false);
    Ok(template)
}
