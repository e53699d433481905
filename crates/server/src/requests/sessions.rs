//! Signing in and out, and the first administrator.

use super::{Actor, Identity, audit, rule};
use crate::access::{Key, csrf_of, digest, new_secret};
use crate::app::App;
use crate::catalog::{SessionRow, Tx, UserRow, now};
use crate::error::{Error, Result};
use shale_api::{ChangePassword, SetUp, SignIn};
use shale_model::Role;
use std::net::IpAddr;
use std::time::Instant;
use uuid::Uuid;

/// A session that was just opened.
pub struct Opened {
    /// What goes into the cookie.
    pub secret: String,
    /// Who is signed in by it.
    pub actor: Actor,
}

/// Signs a user in. `from` is where they are, when they are not on this host.
pub async fn sign_in(app: &App, from: Option<IpAddr>, wanted: SignIn) -> Result<Opened> {
    let keys: Vec<Key> = [Key::name(&wanted.name)].into_iter().chain(from.map(Key::address)).collect();
    begin(app, &keys)?;
    let mut tx = app.world.catalog.read().await?;
    let user = UserRow::by_name(&mut tx, &wanted.name).await?;
    drop(tx);
    let hash = user.as_ref().map(|user| user.password.clone());
    let fits = app.access.passwords.fits(bounded(wanted.password), hash.clone()).await?;
    let Some(user) = user.filter(|_| fits) else {
        tracing::info!(from = from.map(|from| from.to_string()), "a sign-in was refused");
        return Err(Error::unauthenticated("Name or password is wrong."));
    };
    app.access.throttle.succeeded(&keys);
    let mut tx = app.world.catalog.begin().await?;
    // Who was deleted or got another password meanwhile is not let in.
    let user = UserRow::get(&mut tx, user.id).await?.filter(|now| Some(&now.password) == hash.as_ref());
    let user = user.ok_or_else(|| Error::unauthenticated("Name or password is wrong."))?;
    let id = user.id;
    let opened = open(&mut tx, user, "sign_in").await?;
    tx.commit().await?;
    app.feed.publish("user", id, false);
    Ok(opened)
}

/// Makes the first administrator and signs them in.
pub async fn set_up(app: &App, from: Option<IpAddr>, wanted: SetUp) -> Result<Opened> {
    let done = || Error::not_allowed("The server has an administrator already: sign in.");
    if UserRow::administrators(&mut app.world.catalog.read().await?).await? > 0 {
        return Err(done());
    }
    begin(app, &from.map(Key::address).into_iter().collect::<Vec<_>>())?;
    if !app.access.is_setup_code(&wanted.code) {
        let text = "The set-up code is wrong or has expired: 'shale setup-code' on the server shows the one that is \
                    taken, and so does starting the server again.";
        return Err(Error::field("/code", text));
    }
    rule("/name", shale_model::user_name(&wanted.name, false))?;
    rule("/password", shale_model::password(&wanted.password, &wanted.name))?;
    let password = app.access.passwords.hash(wanted.password).await?;
    let mut tx = app.world.catalog.begin().await?;
    if UserRow::administrators(&mut tx).await? > 0 {
        return Err(done());
    }
    let taken = UserRow::by_name(&mut tx, &wanted.name).await?.is_some();
    rule("/name", shale_model::user_name(&wanted.name, taken))?;
    let user = UserRow {
        id: Uuid::now_v7(),
        name: wanted.name,
        role: Role::Administrator,
        password,
        created_at: now(),
        last_login_at: None,
    };
    user.insert(&mut tx).await?;
    let id = user.id;
    let opened = open(&mut tx, user, "set_up").await?;
    tx.commit().await?;
    app.access.forget_setup_code();
    app.feed.publish("user", id, false);
    Ok(opened)
}

/// Counts a try, or says how long to wait.
fn begin(app: &App, keys: &[Key]) -> Result<()> {
    let begun = app.access.throttle.begin(keys, Instant::now());
    begun.map_err(|wait| Error::too_many("There were too many wrong tries.", wait))
}

/// A password that is longer than any can be is wrong whatever it is: it need not be hashed whole.
fn bounded(password: String) -> String {
    if password.len() > 1_024 { String::new() } else { password }
}

async fn open(tx: &mut Tx, mut user: UserRow, action: &str) -> Result<Opened> {
    let secret = new_secret()?;
    let session = SessionRow::begin(tx, &digest(&secret), user.id).await?;
    user.last_login_at = Some(now());
    user.update(tx).await?;
    let actor = actor_of(&secret, &session, &user);
    audit(tx, &actor, action, ("user", user.id, &user.name), "").await?;
    Ok(Opened { secret, actor })
}

/// Who asks in a session.
pub fn actor_of(secret: &str, session: &SessionRow, user: &UserRow) -> Actor {
    let identity = Identity::Session {
        user: user.id,
        digest: session.digest.clone(),
        csrf: csrf_of(secret),
        expires_at: session.expires_at(),
    };
    Actor { name: user.name.clone(), role: user.role, identity }
}

/// Ends the session that is asked in; of another identity there is nothing to end.
pub async fn sign_out(app: &App, actor: &Actor) -> Result<()> {
    let Identity::Session { user, digest, .. } = &actor.identity else { return Ok(()) };
    let mut tx = app.world.catalog.begin().await?;
    SessionRow::end(&mut tx, digest).await?;
    audit(&mut tx, actor, "sign_out", ("user", *user, &actor.name), "").await?;
    tx.commit().await?;
    app.feed.publish("user", *user, false);
    Ok(())
}

/// Changes one's own password and ends one's other sessions.
pub async fn change_password(app: &App, actor: &Actor, wanted: ChangePassword) -> Result<()> {
    let Identity::Session { user, digest, .. } = &actor.identity else {
        return Err(Error::not_allowed("Only a user who is signed in has a password to change."));
    };
    let user = UserRow::get(&mut app.world.catalog.read().await?, *user).await?;
    let user = user.ok_or_else(|| Error::unauthenticated("Your account was deleted."))?;
    let keys = [Key::name(&user.name)];
    begin(app, &keys)?;
    let old = user.password.clone();
    if !app.access.passwords.fits(bounded(wanted.old_password), Some(old.clone())).await? {
        return Err(Error::field("/old_password", "This is not your password."));
    }
    app.access.throttle.succeeded(&keys);
    rule("/new_password", shale_model::password(&wanted.new_password, &user.name))?;
    let password = app.access.passwords.hash(wanted.new_password).await?;
    let mut tx = app.world.catalog.begin().await?;
    let now = UserRow::get(&mut tx, user.id).await?.filter(|now| now.password == old);
    let now =
        now.ok_or_else(|| Error::not_allowed("Your password was changed by somebody else meanwhile."))?;
    UserRow { password, ..now }.update(&mut tx).await?;
    SessionRow::end_all(&mut tx, user.id, Some(digest)).await?;
    audit(&mut tx, actor, "change_password", ("user", user.id, &user.name), "").await?;
    tx.commit().await?;
    app.feed.publish("user", user.id, false);
    Ok(())
}
