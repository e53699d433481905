//! Making, changing and deleting connector configurations.

use super::{Actor, audit, permitted, rule};
use crate::app::App;
use crate::catalog::{ConnectorRow, Tx, now};
use crate::error::{Error, Result};
use crate::view::Scene;
use serde_json::Value;
use shale_api::{Connector, EditConnector, NewConnector};
use uuid::Uuid;

/// Makes a connector configuration.
pub async fn create_connector(app: &App, actor: &Actor, new: NewConnector) -> Result<Connector> {
    let settings = match new.settings {
        Value::Null => serde_json::json!({}),
        settings => settings,
    };
    let at = now();
    let row = ConnectorRow {
        id: new.id,
        name: new.name,
        kind: new.kind,
        settings,
        created_at: at.clone(),
        updated_at: at,
    };
    let mut tx = app.world.catalog.begin().await?;
    if let Some(known) = ConnectorRow::get(&mut tx, row.id).await? {
        return match known.name == row.name && known.kind == row.kind && known.settings == row.settings {
            true => Ok(Scene::read(&mut tx).await?.connector(known)),
            false => Err(Error::exists(format!("The id {} belongs to another connector.", row.id))),
        };
    }
    check(app, &mut tx, &row).await?;
    row.insert(&mut tx).await?;
    audit(&mut tx, actor, "create_connector", ("connector", row.id, &row.name), &new.comment).await?;
    finish(app, tx, row).await
}

/// Changes a connector configuration. Machines that run keep what they were started with.
pub async fn edit_connector(app: &App, actor: &Actor, id: Uuid, edit: EditConnector) -> Result<Connector> {
    let mut tx = app.world.catalog.begin().await?;
    let mut row = get(&mut tx, id).await?;
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
    } else if edit.settings.is_some() {
        return Err(Error::field("/settings", "Settings are a JSON object."));
    }
    check(app, &mut tx, &row).await?;
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
    app.world.forget_connector(id);
    app.feed.publish("connector", id, true);
    Ok(())
}

async fn get(tx: &mut Tx, id: Uuid) -> Result<ConnectorRow> {
    ConnectorRow::get(tx, id).await?.ok_or_else(|| Error::not_found("connector configuration", id))
}

/// Name and settings as they must be.
async fn check(app: &App, tx: &mut Tx, row: &ConnectorRow) -> Result<()> {
    let taken =
        ConnectorRow::list(tx).await?.iter().any(|other| other.name == row.name && other.id != row.id);
    rule("/name", shale_model::connector_name(&row.name, taken))?;
    if !shale_connector::KINDS.contains(&row.kind.as_str()) {
        let text = format!(
            "There is no connector of the kind '{}'; there are: {}.",
            row.kind,
            shale_connector::KINDS.join(", ")
        );
        return Err(Error::field("/kind", text));
    }
    app.world.open_connector(row).map(drop).map_err(|e| Error::field("/settings", crate::error::chain(&e)))
}

async fn finish(app: &App, mut tx: Tx, row: ConnectorRow) -> Result<Connector> {
    let view = Scene::read(&mut tx).await?.connector(row);
    tx.commit().await?;
    app.feed.publish("connector", view.id, false);
    Ok(view)
}
