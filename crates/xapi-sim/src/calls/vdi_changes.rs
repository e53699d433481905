//! Changed block tracking (CBT), and where a disk can be read by NBD.

use super::vdi::{Disk, allow, attachments, must_be_free};
use super::{host, sr};
use crate::database::Database;
use crate::failure::{Failure, Reply};
use crate::rpc::{Handler, Request};
use crate::value::{NULL, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a snapshot without data says of its content.
const NO_CONTENT: &str = "/No content: this is a cbt_metadata VDI/";

pub(super) const CALLS: &[(&str, Handler)] = &[
    ("VDI.enable_cbt", |request| set_cbt(request, true)),
    ("VDI.disable_cbt", |request| set_cbt(request, false)),
    ("VDI.list_changed_blocks", list_changed_blocks),
    ("VDI.data_destroy", data_destroy),
    ("VDI.get_nbd_info", get_nbd_info),
];

fn set_cbt(request: &Request, enabled: bool) -> Reply {
    let (vdi, mut db) = (request.text(0), request.pool.db());
    if db.field("VDI", vdi, "is_a_snapshot")?.is_true() {
        return Err(Failure::not_allowed(&format!("VDI is a snapshot: {vdi}")));
    }
    db.set("VDI", vdi, "cbt_enabled", enabled).map(|()| Value::Void)
}

fn must_be_tracked(db: &Database, vdi: &str) -> Reply<()> {
    let tracked = db.field("VDI", vdi, "cbt_enabled")?.is_true();
    if tracked { Ok(()) } else { Err(Failure::new("VDI_NO_CBT_METADATA", [vdi])) }
}

/// The disk that a disk or snapshot is a state of.
fn origin(db: &Database, vdi: &str) -> Reply<String> {
    let of = db.text("VDI", vdi, "snapshot_of")?;
    Ok(if of == NULL { vdi.to_owned() } else { of })
}

fn list_changed_blocks(request: &Request) -> Reply {
    let (from, to) = (request.text(0), request.text(1));
    {
        let db = request.pool.db();
        for vdi in [from, to] {
            must_be_tracked(&db, vdi)?;
        }
        if origin(&db, from)? != origin(&db, to)? {
            let text = "Source and target VDI are unrelated";
            return Err(Failure::new("SR_BACKEND_FAILURE_460", ["", text, ""]));
        }
        if !attachments(&db, to).is_empty() {
            return Err(Failure::new("VDI_IN_USE", [to, "list_changed_blocks"]));
        }
    }
    let (old, new) = (Disk::find(&request.pool, from)?, Disk::find(&request.pool, to)?);
    let bitmap = new.repository.changed_blocks(old.uuid, new.uuid).map_err(|e| sr::failure(&e))?;
    Ok(Value::String(STANDARD.encode(bitmap)))
}

fn data_destroy(request: &Request) -> Reply {
    let disk = Disk::find(&request.pool, request.text(0))?;
    let vdi = disk.vdi.as_str();
    {
        let db = request.pool.db();
        if !db.field("VDI", vdi, "is_a_snapshot")?.is_true() {
            return Err(Failure::not_allowed(&format!("VDI is not a snapshot: {vdi}")));
        }
        must_be_tracked(&db, vdi)?;
        must_be_free(&db, vdi, "data_destroy")?;
    }
    disk.repository.destroy_data(disk.uuid).map_err(|e| sr::failure(&e))?;
    let mut db = request.pool.db();
    let mut other = db.field("VDI", vdi, "other_config")?.clone();
    if let Value::Map(members) = &mut other {
        members.insert("content_id".to_owned(), NO_CONTENT.into());
    }
    db.set("VDI", vdi, "other_config", other)?;
    db.set("VDI", vdi, "type", "cbt_metadata")?;
    allow(&mut db, vdi)?;
    drop(db);
    sr::refresh(&request.pool, &disk.sr)?;
    Ok(Value::Void)
}

fn get_nbd_info(request: &Request) -> Reply {
    let disk = Disk::find(&request.pool, request.text(0))?;
    let addresses = {
        let db = request.pool.db();
        let plugged = db.all("PIF").filter(|(_, pif)| {
            let purposes = pif.get("network").and_then(|net| db.field("network", net.text(), "purpose").ok());
            let for_nbd = |purpose: &Value| ["nbd", "insecure_nbd"].contains(&purpose.text());
            purposes.is_some_and(|purposes| purposes.items().iter().any(for_nbd))
        });
        let text =
            |pif: &crate::value::Record, field: &str| pif.get(field).map_or("", Value::text).to_owned();
        plugged.map(|(_, pif)| (text(pif, "host"), text(pif, "IP"))).collect::<Vec<_>>()
    };
    let name = format!("/{}?session_id={}", disk.uuid, request.caller.session);
    let reachable = addresses.into_iter().filter(|(host, _)| host::sees(&request.pool, host, &disk.sr));
    let servers = reachable.filter_map(|(host, ip)| {
        let port = request.pool.addresses.get(&host)?.nbd.port();
        Some(Value::map([
            ("exportname", Value::string(&name)),
            ("port", Value::Int(i64::from(port))),
            ("cert", Value::string(&request.pool.certificate)),
            ("subject", Value::string(&ip)),
            ("address", Value::String(ip)),
        ]))
    });
    Ok(Value::Set(servers.collect()))
}
