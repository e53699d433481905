//! Hosts.

use crate::failure::{Failure, Reply};
use crate::pool::Pool;
use crate::rpc::{Handler, Request};
use crate::value::{NULL, Value};

pub(super) const CALLS: &[(&str, Handler)] = &[
    ("host.get_servertime", get_servertime),
    ("host.get_server_localtime", get_servertime),
    ("host.enable", |request| set_enabled(request, true)),
    ("host.disable", |request| set_enabled(request, false)),
    ("host.list_methods", |_| Ok(Value::strings(crate::rpc::served()))),
];

fn get_servertime(request: &Request) -> Reply {
    request.pool.db().get("host", request.text(0))?;
    Ok(Value::Time(request.pool.clock.now()))
}

fn set_enabled(request: &Request, enabled: bool) -> Reply {
    request.pool.db().set("host", request.text(0), "enabled", enabled).map(|()| Value::Void)
}

/// Whether the host answers and has the SR plugged in.
pub fn sees(pool: &Pool, host: &str, sr: &str) -> bool {
    let db = pool.db();
    let plugged = db.with("PBD", "SR", sr).into_iter().filter(|pbd| {
        db.text("PBD", pbd, "host").is_ok_and(|of| of == host)
            && db.field("PBD", pbd, "currently_attached").is_ok_and(Value::is_true)
    });
    let plugged = plugged.count() > 0;
    drop(db);
    plugged && !pool.is_down(host)
}

/// A host that sees all these SRs: the one wished for if it does, else the coordinator, else any.
pub fn choose(pool: &Pool, wished: &str, srs: &[String]) -> Reply<String> {
    let (_, coordinator) = pool.coordinator();
    let mut hosts = vec![wished.to_owned(), coordinator];
    hosts.extend(pool.db().all("host").map(|(host, _)| host.to_owned()));
    let fits = |host: &String| {
        let enabled = pool.db().field("host", host, "enabled").is_ok_and(Value::is_true);
        enabled && !pool.is_down(host) && srs.iter().all(|sr| sees(pool, host, sr))
    };
    let found = hosts.into_iter().filter(|host| host != NULL).find(fits);
    found.ok_or_else(|| Failure::new("NO_HOSTS_AVAILABLE", []))
}
