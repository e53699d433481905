//! Making, changing, trying and deleting connector configurations.

use super::{Actor, audit, permitted, rule};
use crate::app::App;
use crate::catalog::{ConnectorRow, ImageFilter, ImageRow, Tx, VersionRow, Window, now};
use crate::error::{Error, Result};
use crate::secrets::{same_recipient, with_stored};
use crate::view::Scene;
use serde_json::{Value, json};
use shale_api::{Connector, EditConnector, NewConnector, TryConnector};
use shale_connector::{Power, Tag};
use uuid::Uuid;

/// Makes a connector configuration.
pub async fn create_connector(app: &App, actor: &Actor, new: NewConnector) -> Result<Connector> {
    let secrets = &app.world.secrets;
    let mut tx = app.world.catalog.begin().await?;
    if let Some(known) = ConnectorRow::get(&mut tx, new.id).await? {
        let settings = secrets.open(known.id, &known.kind, &known.settings)?;
        return match (&known.name, &known.kind, &settings) == (&new.name, &new.kind, &object(new.settings)) {
            true => Ok(Scene::read(&mut tx).await?.connector(known)),
            false => Err(Error::exists(format!("The id {} belongs to another connector.", known.id))),
        };
    }
    let at = now();
    let row = ConnectorRow {
        id: new.id,
        settings: secrets.seal(new.id, &new.kind, object(new.settings))?,
        name: new.name,
        kind: new.kind,
        created_at: at.clone(),
        updated_at: at,
    };
    check(app, &mut tx, &row).await?;
    row.insert(&mut tx).await?;
    audit(&mut tx, actor, "create_connector", ("connector", row.id, &row.name), &new.comment).await?;
    finish(app, tx, row).await
}

/// Settings left out are empty ones.
fn object(settings: Value) -> Value {
    if settings.is_null() { json!({}) } else { settings }
}

/// Changes a connector configuration. Machines that run keep what they were started with.
pub async fn edit_connector(app: &App, actor: &Actor, id: Uuid, edit: EditConnector) -> Result<Connector> {
    let comment = edit.comment.clone();
    let mut tx = app.world.catalog.read().await?;
    let old = get(&mut tx, id).await?;
    let row = edited(app, &old, edit)?;
    check(app, &mut tx, &row).await?;
    let there = ours(&mut tx, id).await?;
    drop(tx);
    // Platforms take their time: nobody else waits for them.
    still_there(app, &old, &row, &there).await?;
    let mut tx = app.world.catalog.begin().await?;
    let now = get(&mut tx, id).await?;
    if (&now.name, &now.settings) != (&old.name, &old.settings) || ours(&mut tx, id).await? != there {
        let text = "The connector configuration, or what is made with it, changed meanwhile: look at it, and try again.";
        return Err(Error::not_allowed(text));
    }
    check(app, &mut tx, &row).await?;
    row.update(&mut tx).await?;
    audit(&mut tx, actor, "edit_connector", ("connector", id, &row.name), &comment).await?;
    finish(app, tx, row).await
}

/// What it is with the changes.
fn edited(app: &App, old: &ConnectorRow, edit: EditConnector) -> Result<ConnectorRow> {
    let mut row = old.clone();
    if let Some(name) = edit.name {
        row.name = name;
    }
    if let Some(Value::Object(patch)) = edit.settings {
        let Value::Object(settings) = &mut row.settings else {
            return Err(Error::internal("the catalog holds settings that are no object"));
        };
        for (key, value) in patch {
            match value {
                Value::Null => drop(settings.remove(&key)),
                value => drop(settings.insert(key, value)),
            }
        }
        row.settings = app.world.secrets.seal(row.id, &row.kind, row.settings)?;
        same_recipient(&row.kind, &row.settings, &old.settings)?;
    } else if edit.settings.is_some() {
        return Err(Error::field("/settings", "Settings are a JSON object."));
    }
    Ok(row)
}

/// Deletes a connector configuration that nothing uses.
pub async fn delete_connector(app: &App, actor: &Actor, id: Uuid, comment: &str) -> Result<()> {
    let mut tx = app.world.catalog.begin().await?;
    let row = get(&mut tx, id).await?;
    let scene = Scene::read(&mut tx).await?;
    permitted(&scene.connector_facts(&row).actions(), "delete")?;
    ConnectorRow::delete(&mut tx, id).await?;
    audit(&mut tx, actor, "delete_connector", ("connector", id, &row.name), comment).await?;
    tx.commit().await?;
    let world = app.world.clone();
    // It may have a session to end, over the network.
    tokio::task::spawn_blocking(move || world.forget_connector(&row));
    app.feed.publish("connector", id, true);
    Ok(())
}

/// The configuration that `wanted` would be if it were stored, with the secrets of the one it names.
pub async fn unsaved_connector(app: &App, wanted: TryConnector) -> Result<ConnectorRow> {
    known_kind(&wanted.kind)?;
    let mut settings = object(wanted.settings);
    let mut id = Uuid::now_v7();
    if let Some(stored) = wanted.connector_id {
        let row = get(&mut app.world.catalog.read().await?, stored).await?;
        if row.kind == wanted.kind {
            settings = with_stored(&row.kind, settings, &row.settings);
            same_recipient(&row.kind, &settings, &row.settings)?;
            id = row.id;
        }
    }
    let at = now();
    let name = "not stored yet".into();
    Ok(ConnectorRow { id, name, kind: wanted.kind, settings, created_at: at.clone(), updated_at: at })
}

/// What we have on the platform of a connector, each with what to do before it can be forgotten: machines, and images that are
/// published there or are about to be.
async fn ours(tx: &mut Tx, connector: Uuid) -> Result<Vec<(Uuid, String)>> {
    let machines = VersionRow::with_machine(tx).await?;
    let machines = machines.into_iter().filter(|version| version.connector_id == Some(connector));
    let machine = |version: VersionRow| {
        let name = version.machine_name.unwrap_or_default();
        (version.id, format!("the packaging machine '{name}': finalize or cancel its version first"))
    };
    let all = Window { after: None, limit: i64::MAX };
    let images = ImageRow::list(tx, &ImageFilter::default(), &all).await?;
    let images = images.into_iter().filter(|image| image.connector_id == Some(connector));
    let image = |image: ImageRow| {
        (image.id, format!("the layered image '{}': delete it first, or keep its machine there", image.name))
    };
    Ok(machines.map(machine).chain(images.map(image)).collect())
}

/// Refuses settings by which something of ours would be lost: another pool, another host.
async fn still_there(
    app: &App,
    old: &ConnectorRow,
    new: &ConnectorRow,
    ours: &[(Uuid, String)],
) -> Result<()> {
    if old.settings == new.settings || ours.is_empty() {
        return Ok(());
    }
    let (world, old, new, ours) = (app.world.clone(), old.clone(), new.clone(), ours.to_vec());
    let looked = tokio::task::spawn_blocking(move || {
        let before = world.connector(&old)?;
        let trial = world.place.trial()?;
        // On this host, a connector's folder is where its machines are.
        let folder = if new.kind == "local" { world.place.connector(new.id) } else { trial.0.clone() };
        shale_connector::lend_owner(&new.kind, &world.place.connector(new.id), &folder)
            .map_err(|e| Error::internal("the new settings cannot be tried").because(e))?;
        let after = world.open_connector(&new, &folder)?;
        let lost = lost(before.as_ref(), after.as_ref(), ours);
        after.disconnect();
        Ok::<_, Error>(lost)
    });
    match looked.await.map_err(|e| Error::internal("looking for machines failed").because(e))?? {
        None => Ok(()),
        Some(what) => Err(Error::not_allowed(format!(
            "With these settings, what this connector has could not be found any more, such as {what}, or make another \
             connector."
        ))),
    }
}

/// The first of `ours` that is on the platform before and not after. Once one of them does not answer, nothing is known.
fn lost(
    before: &dyn shale_connector::Connector,
    after: &dyn shale_connector::Connector,
    ours: Vec<(Uuid, String)>,
) -> Option<String> {
    for (id, what) in ours {
        let tag = Tag::parse(&id.to_string()).ok()?;
        if has(before, &tag).ok()? && !has(after, &tag).ok()? {
            return Some(what);
        }
    }
    None
}

/// Whether a platform has something with this tag, whole or half made.
fn has(platform: &dyn shale_connector::Connector, tag: &Tag) -> shale_connector::Result<bool> {
    Ok(platform.observe(tag)?.power != Power::Absent || platform.inventory()?.contains(tag))
}

async fn get(tx: &mut Tx, id: Uuid) -> Result<ConnectorRow> {
    ConnectorRow::get(tx, id).await?.ok_or_else(|| Error::not_found("connector configuration", id))
}

fn known_kind(kind: &str) -> Result<()> {
    if shale_connector::KINDS.contains(&kind) {
        return Ok(());
    }
    let known = shale_connector::KINDS.join(", ");
    Err(Error::field("/kind", format!("There is no connector of the kind '{kind}'; there are: {known}.")))
}

/// Name and settings as they must be.
async fn check(app: &App, tx: &mut Tx, row: &ConnectorRow) -> Result<()> {
    let taken =
        ConnectorRow::list(tx).await?.iter().any(|other| other.name == row.name && other.id != row.id);
    rule("/name", shale_model::connector_name(&row.name, taken))?;
    known_kind(&row.kind)?;
    let opened = app.world.open_connector(row, &app.world.place.connector(row.id));
    opened.map(drop).map_err(|e| Error::field("/settings", crate::error::chain(&e)))
}

async fn finish(app: &App, mut tx: Tx, row: ConnectorRow) -> Result<Connector> {
    let view = Scene::read(&mut tx).await?.connector(row);
    tx.commit().await?;
    app.feed.publish("connector", view.id, false);
    Ok(view)
}
