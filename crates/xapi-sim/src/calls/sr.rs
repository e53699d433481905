//! Storage repositories, and what their troubles are called.

use crate::failure::{Failure, Reply};
use crate::pool::Pool;
use crate::rpc::{Handler, Request};
use crate::value::Value;
use shale_disk::{Error, ErrorKind};
use uuid::Uuid;

pub(super) const CALLS: &[(&str, Handler)] = &[
    ("SR.scan", scan),
    ("SR.update", scan),
    ("PBD.plug", |request| plug(request, true)),
    ("PBD.unplug", |request| plug(request, false)),
];

fn scan(request: &Request) -> Reply {
    request.pool.db().get("SR", request.text(0))?;
    refresh(&request.pool, request.text(0))?;
    Ok(Value::Void)
}

/// Makes a host see the SR, or no longer.
fn plug(request: &Request, attached: bool) -> Reply {
    let (pbd, mut db) = (request.text(0), request.pool.db());
    let (sr, host) = (db.text("PBD", pbd, "SR")?, db.text("PBD", pbd, "host")?);
    let used = db.with("VDI", "SR", &sr).into_iter().find(|vdi| {
        let vbds = db.with("VBD", "VDI", vdi).into_iter();
        let mut vms = vbds.filter_map(|vbd| db.text("VBD", &vbd, "VM").ok());
        vms.any(|vm| db.text("VM", &vm, "resident_on").is_ok_and(|on| on == host))
    });
    match used {
        Some(vdi) if !attached => Err(Failure::new("VDI_IN_USE", [&vdi, "unplug"])),
        _ => db.set("PBD", pbd, "currently_attached", attached).map(|()| Value::Void),
    }
}

/// The SR has no room.
pub fn full() -> Failure {
    Failure::new("SR_BACKEND_FAILURE_44", ["", "There is insufficient space", ""])
}

/// What the storage manager calls an error.
pub fn failure(error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::Full => full(),
        ErrorKind::Stopped => Failure::new("TASK_CANCELLED", [""]),
        ErrorKind::Unsupported => {
            Failure::new("SR_BACKEND_FAILURE_79", ["", &format!("VDI Invalid size [opterr={error}]"), ""])
        }
        _ => Failure::new("SR_BACKEND_FAILURE_1", ["", &error.to_string(), ""]),
    }
}

/// Notes in the database what the SR and its VDIs take up now.
pub fn refresh(pool: &Pool, sr: &str) -> Reply<()> {
    let repository = pool.repository(sr)?;
    let used = repository.used().map_err(|e| failure(&e))?;
    let mut db = pool.db();
    let vdis: Vec<(String, Uuid, i64)> = db
        .with("VDI", "SR", sr)
        .into_iter()
        .filter_map(|vdi| {
            let uuid = db.text("VDI", &vdi, "uuid").ok()?.parse().ok()?;
            let size = db.field("VDI", &vdi, "virtual_size").ok()?.int();
            Some((vdi, uuid, size))
        })
        .collect();
    for (vdi, uuid, _) in &vdis {
        let used = i64::try_from(repository.used_by(*uuid)).unwrap_or(i64::MAX);
        db.set("VDI", vdi, "physical_utilisation", used)?;
    }
    db.set("SR", sr, "virtual_allocation", vdis.iter().map(|(_, _, size)| size).sum::<i64>())?;
    db.set("SR", sr, "physical_utilisation", i64::try_from(used).unwrap_or(i64::MAX))
}
