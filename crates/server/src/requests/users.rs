//! Making, changing and deleting users.

use super::{Actor, audit, permitted, rule};
use crate::app::App;
use crate::catalog::{SessionRow, Tx, UserRow, now};
use crate::error::{Error, Result};
use crate::view;
use shale_api::{EditUser, NewUser, User};
use uuid::Uuid;

/// Makes a user.
pub async fn create_user(app: &App, actor: &Actor, new: NewUser) -> Result<User> {
    rule("/name", shale_model::user_name(&new.name, false))?;
    rule("/password", shale_model::password(&new.password, &new.name))?;
    let mut tx = app.world.catalog.read().await?;
    if let Some(known) = UserRow::get(&mut tx, new.id).await? {
        let hash = known.password.clone();
        drop(tx);
        let same = (&known.name, known.role) == (&new.name, new.role)
            && app.access.passwords.fits(new.password, Some(hash)).await?;
        return match same {
            true => view::user(&mut app.world.catalog.read().await?, known).await,
            false => Err(Error::exists(format!("The id {} belongs to another user.", known.id))),
        };
    }
    drop(tx);
    let password = app.access.passwords.hash(new.password).await?;
    let mut tx = app.world.catalog.begin().await?;
    let taken = UserRow::by_name(&mut tx, &new.name).await?.is_some();
    rule("/name", shale_model::user_name(&new.name, taken))?;
    let row = UserRow {
        id: new.id,
        name: new.name,
        role: new.role,
        password,
        created_at: now(),
        last_login_at: None,
    };
    row.insert(&mut tx).await?;
    audit(&mut tx, actor, "create_user", ("user", row.id, &row.name), &new.comment).await?;
    finish(app, tx, row).await
}

/// Changes a user. What they may do changes with their next request; a new password ends their sessions.
pub async fn edit_user(app: &App, actor: &Actor, id: Uuid, edit: EditUser) -> Result<User> {
    let hash = match &edit.password {
        Some(password) => {
            let name = get(&mut app.world.catalog.read().await?, id).await?.name;
            rule("/password", shale_model::password(password, edit.name.as_deref().unwrap_or(&name)))?;
            Some(app.access.passwords.hash(password.clone()).await?)
        }
        None => None,
    };
    let mut tx = app.world.catalog.begin().await?;
    let mut row = get(&mut tx, id).await?;
    if let Some(name) = edit.name {
        let taken = UserRow::by_name(&mut tx, &name).await?.is_some_and(|other| other.id != id);
        rule("/name", shale_model::user_name(&name, taken))?;
        row.name = name;
    }
    if let Some(role) = edit.role {
        let facts = view::user_facts(&mut tx, &row).await?;
        facts.may_become(role).map_err(|why| Error::field("/role", why))?;
        row.role = role;
    }
    if let Some(hash) = hash {
        row.password = hash;
        SessionRow::end_all(&mut tx, id, None).await?;
    }
    row.update(&mut tx).await?;
    audit(&mut tx, actor, "edit_user", ("user", id, &row.name), &edit.comment).await?;
    finish(app, tx, row).await
}

/// Deletes a user and ends their sessions.
pub async fn delete_user(app: &App, actor: &Actor, id: Uuid, comment: &str) -> Result<()> {
    let mut tx = app.world.catalog.begin().await?;
    let row = get(&mut tx, id).await?;
    permitted(&view::user_facts(&mut tx, &row).await?.actions(), "delete")?;
    UserRow::delete(&mut tx, id).await?;
    audit(&mut tx, actor, "delete_user", ("user", id, &row.name), comment).await?;
    tx.commit().await?;
    app.feed.publish("user", id, true);
    Ok(())
}

async fn get(tx: &mut Tx, id: Uuid) -> Result<UserRow> {
    UserRow::get(tx, id).await?.ok_or_else(|| Error::not_found("user", id))
}

async fn finish(app: &App, mut tx: Tx, row: UserRow) -> Result<User> {
    let view = view::user(&mut tx, row).await?;
    tx.commit().await?;
    app.feed.publish("user", view.id, false);
    Ok(view)
}
