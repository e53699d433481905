//! Making, changing, trying and deleting connector configurations.

use super::{Actor, audit, permitted, rule};
use crate::app::App;
use crate::catalog::{ConnectorRow, Tx, VersionRow, now};
use crate::error::{Error, Result};
use crate::secrets::{same_recipient, with_stored};
use crate::view::Scene;
use serde_json::{Value, json};
use shale_api::{Connector, EditConnector, NewConnector, TryConnector};
use shale_connector::{Observed, Power, Tag};
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
    let mut tx = app.world.catalog.begin().await?;
    let mut row = get(&mut tx, id).await?;
    let old = row.clone();
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
        row.settings = app.world.secrets.seal(id, &row.kind, row.settings)?;
        same_recipient(&row.kind, &row.settings, &old.settings)?;
    } else if edit.settings.is_some() {
        return Err(Error::field("/settings", "Settings are a JSON object."));
    }
    check(app, &mut tx, &row).await?;
    let machines = VersionRow::with_machine(&mut tx).await?;
    let machines = machines.into_iter().filter(|version| version.connector_id == Some(id));
    still_there(app, &old, &row, machines.map(|version| version.id).collect()).await?;
    row.update(&mut tx).await?;
    audit(&mut tx, actor, "edit_connector", ("connector", id, &row.name), &edit.comment).await?;
    finish(app, tx, row).await
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

/// Refuses settings by which machines would be lost: another pool, another host.
async fn still_there(app: &App, old: &ConnectorRow, new: &ConnectorRow, machines: Vec<Uuid>) -> Result<()> {
    if old.settings == new.settings || machines.is_empty() {
        return Ok(());
    }
    let (world, old, new) = (app.world.clone(), old.clone(), new.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let before = world.connector(&old)?;
        let trial = world.place.trial()?;
        // On this host, a connector's folder is where its machines are.
        let folder = if new.kind == "local" { world.place.connector(new.id) } else { trial.0.clone() };
        let after = world.open_connector(&new, &folder)?;
        let is_gone = |id: &Uuid| {
            let Ok(tag) = Tag::parse(&id.to_string()) else { return false };
            let there =
                |seen: shale_connector::Result<Observed>| seen.map(|seen| seen.power != Power::Absent);
            // Where one of them does not answer, nothing is known.
            matches!((there(before.observe(&tag)), there(after.observe(&tag))), (Ok(true), Ok(false)))
        };
        let lost = machines.iter().any(is_gone);
        after.disconnect();
        Ok::<bool, Error>(lost)
    });
    match looked.await.map_err(|e| Error::internal("looking for machines failed").because(e))?? {
        false => Ok(()),
        true => {
            let text = "With these settings, packaging machines of this connector could not be found any more: finalize \
                        or cancel their versions first, or make another connector.";
            Err(Error::not_allowed(text))
        }
    }
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
