//! Networks.

use crate::failure::{Failure, Reply};
use crate::rpc::{Handler, Request};
use crate::value::Value;

pub(super) const CALLS: &[(&str, Handler)] = &[
    ("network.create", create),
    ("network.destroy", destroy),
    ("network.add_purpose", add_purpose),
    ("network.remove_purpose", remove_purpose),
];

fn create(request: &Request) -> Reply {
    let Value::Map(mut record) = request.value(0) else { return Err(Failure::internal("no record")) };
    let mut db = request.pool.db();
    let bridge = format!("xapi{}", db.all("network").count());
    record.entry("bridge".to_owned()).or_insert(Value::String(bridge));
    Ok(Value::String(db.insert("network", record)))
}

fn destroy(request: &Request) -> Reply {
    let (network, mut db) = (request.text(0), request.pool.db());
    let vifs = db.field("network", network, "VIFs")?.items().to_vec();
    if !vifs.is_empty() {
        let used: Vec<_> = vifs.iter().map(Value::text).collect();
        return Err(Failure::new("NETWORK_CONTAINS_VIF", [&used.join(",")]));
    }
    db.remove("network", network);
    Ok(Value::Void)
}

fn add_purpose(request: &Request) -> Reply {
    let (network, purpose) = (request.text(0), request.value(1));
    let mut db = request.pool.db();
    let mut purposes = db.field("network", network, "purpose")?.items().to_vec();
    // NBD is served with or without TLS in the whole pool, never both.
    let other = if purpose.text() == "nbd" { "insecure_nbd" } else { "nbd" };
    let mixed = db.all("network").any(|(_, network)| {
        network.get("purpose").is_some_and(|purposes| purposes.items().contains(&Value::string(other)))
    });
    if mixed {
        return Err(Failure::new("NETWORK_INCOMPATIBLE_PURPOSES", [other, purpose.text()]));
    }
    if purposes.contains(&purpose) {
        return Ok(Value::Void);
    }
    purposes.push(purpose);
    db.set("network", network, "purpose", Value::Set(purposes)).map(|()| Value::Void)
}

fn remove_purpose(request: &Request) -> Reply {
    let (network, mut db) = (request.text(0), request.pool.db());
    let mut purposes = db.field("network", network, "purpose")?.items().to_vec();
    purposes.retain(|purpose| *purpose != request.value(1));
    db.set("network", network, "purpose", Value::Set(purposes)).map(|()| Value::Void)
}
