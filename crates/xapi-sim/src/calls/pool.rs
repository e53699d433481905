//! The pool: who coordinates it, who belongs to it.

use crate::failure::{Failure, Reply};
use crate::pool::Pool;
use crate::rpc::{Handler, Request};
use crate::value::Value;

pub(super) const CALLS: &[(&str, Handler)] = &[
    ("pool.designate_new_master", designate_new_master),
    ("pool.eject", eject_by_call),
    ("pool.sync_database", nothing),
];

fn nothing(_: &Request) -> Reply {
    Ok(Value::Void)
}

fn designate_new_master(request: &Request) -> Reply {
    let host = request.text(0);
    request.pool.db().get("host", host)?;
    if request.pool.is_down(host) {
        return Err(Failure::new("HOST_OFFLINE", [host]));
    }
    appoint(&request.pool, host);
    Ok(Value::Void)
}

fn eject_by_call(request: &Request) -> Reply {
    eject(&request.pool, request.text(0)).map(|()| Value::Void)
}

/// Makes a host the coordinator. All sessions end: the new one knows none of them.
fn appoint(pool: &Pool, host: &str) {
    let (reference, _) = pool.coordinator();
    let mut db = pool.db();
    let _ = db.set("pool", &reference, "master", host); // there is always a pool
    let sessions: Vec<_> = db.all("session").map(|(session, _)| session.to_owned()).collect();
    sessions.iter().for_each(|session| db.remove("session", session));
}

/// The coordinator vanishes and the first other host that answers takes over, if there is one.
pub fn fail_over(pool: &Pool) {
    let (_, lost) = pool.coordinator();
    let hosts: Vec<_> = pool.db().all("host").map(|(host, _)| host.to_owned()).collect();
    let next = hosts.into_iter().find(|host| *host != lost && !pool.is_down(host));
    if let Some(next) = next {
        appoint(pool, &next);
    }
    pool.set_down(&lost, true);
}

/// A host leaves the pool, with what is plugged into it. It is not heard of again.
pub fn eject(pool: &Pool, host: &str) -> Reply<()> {
    let (_, coordinator) = pool.coordinator();
    {
        let mut db = pool.db();
        db.get("host", host)?;
        if host == coordinator {
            return Err(Failure::new("HOST_CANNOT_DESTROY_SELF", [host]));
        }
        for (class, field) in [("PBD", "host"), ("PIF", "host"), ("VM", "resident_on")] {
            db.with(class, field, host).iter().for_each(|object| db.remove(class, object));
        }
        db.remove("host", host);
    }
    pool.set_down(host, true);
    Ok(())
}
