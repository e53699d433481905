//! Making and deleting tokens for programs.

use super::{Actor, audit, rule};
use crate::access::{digest, new_token};
use crate::app::App;
use crate::catalog::{TokenRow, moment, now};
use crate::error::{Error, Result};
use crate::view;
use jiff::{SignedDuration, Timestamp};
use shale_api::{NewToken, TokenCreated};
use uuid::Uuid;

/// The longest that a token may be taken.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// Makes a token and answers its secret, which nobody can show again.
pub async fn create_token(app: &App, actor: &Actor, new: NewToken) -> Result<TokenCreated> {
    let expires_at = expiry(&new.expires_at)?;
    let secret = new_token()?;
    let mut tx = app.world.catalog.begin().await?;
    if TokenRow::get(&mut tx, new.id).await?.is_some() {
        let text = "This token was made already, and its secret is shown once: delete it and make another.";
        return Err(Error::exists(text));
    }
    let taken = TokenRow::list(&mut tx).await?.iter().any(|other| other.name == new.name);
    rule("/name", shale_model::token_name(&new.name, taken))?;
    let row = TokenRow {
        id: new.id,
        name: new.name,
        role: new.role,
        digest: digest(&secret),
        created_by: actor.name.clone(),
        created_at: now(),
        expires_at,
        last_used_at: None,
    };
    row.insert(&mut tx).await?;
    audit(&mut tx, actor, "create_token", ("token", row.id, &row.name), &new.comment).await?;
    tx.commit().await?;
    app.feed.publish("token", row.id, false);
    Ok(TokenCreated { token: view::token(row), secret })
}

/// When a token expires, as the catalog writes times.
fn expiry(text: &str) -> Result<String> {
    let wrong = |why: &str| Error::field("/expires_at", why);
    let at: Timestamp = text.parse().map_err(|_| wrong("This is no time such as 2027-01-31T00:00:00Z."))?;
    let now = Timestamp::now();
    match now.checked_add(LONGEST) {
        _ if at <= now => Err(wrong("This is in the past: choose a time to come.")),
        Ok(latest) if at > latest => Err(wrong("A token lasts at most 366 days: choose an earlier time.")),
        _ => Ok(moment(at)),
    }
}

/// Deletes a token: it is refused from now on.
pub async fn delete_token(app: &App, actor: &Actor, id: Uuid, comment: &str) -> Result<()> {
    let mut tx = app.world.catalog.begin().await?;
    let row = TokenRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("token", id))?;
    TokenRow::delete(&mut tx, id).await?;
    audit(&mut tx, actor, "delete_token", ("token", id, &row.name), comment).await?;
    tx.commit().await?;
    app.feed.publish("token", id, true);
    Ok(())
}
