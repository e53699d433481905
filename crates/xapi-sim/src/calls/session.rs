//! Logging in and out.

use crate::clock::seconds;
use crate::config::User;
use crate::facts::{Facts, Role};
use crate::failure::{Failure, Reply};
use crate::pool::Pool;
use crate::rpc::{Handler, Request, permission};
use crate::value::{NULL, Record, Value};
use std::thread;

/// Most sessions of one originator: the oldest give way.
const MOST: usize = 500;
/// How long a session may be idle, in seconds.
const IDLE_FOR: i64 = 24 * 60 * 60;

pub(super) const CALLS: &[(&str, Handler)] = &[
    ("session.login_with_password", login_with_password),
    ("session.slave_local_login_with_password", login_with_password),
    ("session.logout", logout),
    ("session.local_logout", logout),
];

fn login_with_password(request: &Request) -> Reply {
    let originator = if request.arguments.len() > 3 { request.text(3) } else { "" };
    login(&request.pool, &request.caller.host, request.text(0), request.text(1), originator)
        .map(Value::String)
}

/// Makes a session for who knows a password.
pub fn login(pool: &Pool, host: &str, name: &str, password: &str, originator: &str) -> Reply<String> {
    let user = pool.config.users.iter().find(|user| user.name == name && user.password == password);
    let Some(user) = user else {
        thread::sleep(pool.config.login_delay);
        return Err(Failure::new("SESSION_AUTHENTICATION_FAILED", [name, "Authentication failure"]));
    };
    let now = Value::Time(pool.clock.now());
    let mut db = pool.db();
    let subject = db.with("subject", "subject_identifier", name).pop();
    let rights = if subject.is_some() { rights(user) } else { Vec::new() };
    let mut same: Vec<_> =
        db.all("session").filter(|(_, s)| s.get("originator").map(Value::text) == Some(originator)).collect();
    same.sort_by_key(|(_, session)| session.get("last_active").map_or("", Value::text));
    if let Some((oldest, _)) = same.first().filter(|_| same.len() >= MOST) {
        let oldest = (*oldest).to_owned();
        db.remove("session", &oldest);
    }
    let session = [
        ("this_host", Value::string(host)),
        ("last_active", now.clone()),
        ("validation_time", now),
        ("is_local_superuser", Value::Bool(subject.is_none())),
        ("auth_user_name", name.into()),
        ("auth_user_sid", if subject.is_some() { name.into() } else { "".into() }),
        ("subject", Value::String(subject.unwrap_or_else(|| NULL.to_owned()))),
        ("rbac_permissions", Value::strings(rights)),
        ("originator", originator.into()),
    ];
    Ok(db.insert("session", session.map(|(name, value)| (name.to_owned(), value)).into()))
}

/// The rights of a user, as a session lists them: every method that the role may call.
fn rights(user: &User) -> Vec<String> {
    let classes = Facts::get().classes.values();
    let messages = classes.flat_map(|class| class.messages.values().map(move |message| (class, message)));
    let allowed = messages.filter(|(_, message)| message.role.unwrap_or(Role::ReadOnly) <= user.role);
    allowed.map(|(class, message)| permission(&format!("{}.{}", class.name, message.name))).collect()
}

/// Ends sessions that were not used for too long, and notes that this one is.
pub fn use_of(pool: &Pool, session: &str) {
    let now = pool.clock.seconds();
    let mut db = pool.db();
    let idle =
        |session: &Record| now - seconds(session.get("last_active").map_or("", Value::text)) > IDLE_FOR;
    let over: Vec<_> =
        db.all("session").filter(|(_, s)| idle(s)).map(|(session, _)| session.to_owned()).collect();
    over.iter().for_each(|session| db.remove("session", session));
    db.note("session", session, "last_active", Value::Time(pool.clock.now()));
}

fn logout(request: &Request) -> Reply {
    request.pool.db().remove("session", &request.caller.session);
    Ok(Value::Void)
}
