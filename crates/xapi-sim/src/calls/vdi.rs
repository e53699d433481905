//! Virtual disks: making, copying, changing and deleting them. What lies in them is `storage`'s.

use super::{power, sr};
use crate::database::Database;
use crate::failure::{Failure, Reply};
use crate::pool::Pool;
use crate::rpc::{Handler, Request};
use crate::storage::Repository;
use crate::value::{NULL, Record, Value};
use std::ops::ControlFlow;
use std::sync::Arc;
use uuid::Uuid;

pub(super) const CALLS: &[(&str, Handler)] = &[
    ("VDI.create", create),
    ("VDI.snapshot", |request| copy_within(request, Copy::Snapshot)),
    ("VDI.clone", |request| copy_within(request, Copy::Clone)),
    ("VDI.copy", copy),
    ("VDI.resize", resize),
    ("VDI.resize_online", resize),
    ("VDI.destroy", destroy),
    ("VDI.forget", destroy),
    ("VDI.update", |request| request.pool.db().get("VDI", request.text(0)).map(|_| Value::Void)),
];

/// A disk and where its data lie.
pub struct Disk {
    /// Its reference.
    pub vdi: String,
    /// Its identity, and the name of its data.
    pub uuid: Uuid,
    /// The reference of its SR.
    pub sr: String,
    /// The storage of its SR.
    pub repository: Arc<Repository>,
}

impl Disk {
    /// The disk of this reference.
    pub fn find(pool: &Pool, vdi: &str) -> Reply<Self> {
        let db = pool.db();
        let (uuid, sr) = (db.text("VDI", vdi, "uuid")?, db.text("VDI", vdi, "SR")?);
        drop(db);
        let uuid = Uuid::parse_str(&uuid).map_err(|_| Failure::new("UUID_INVALID", ["VDI", &uuid]))?;
        Ok(Self { vdi: vdi.to_owned(), uuid, repository: pool.repository(&sr)?, sr })
    }
}

/// Who has the disk attached: for each, whether it may write.
pub fn attachments(db: &Database, vdi: &str) -> Vec<bool> {
    let vbds = db.with("VBD", "VDI", vdi);
    let attached = vbds.iter().filter_map(|vbd| db.get("VBD", vbd).ok());
    let attached = attached.filter(|vbd| vbd.get("currently_attached").is_some_and(Value::is_true));
    attached.map(|vbd| vbd.get("mode").map(Value::text) == Some("RW")).collect()
}

/// Fails if the disk's data were destroyed.
pub fn must_have_data(db: &Database, vdi: &str) -> Reply<()> {
    match db.text("VDI", vdi, "type")?.as_str() {
        "cbt_metadata" => Err(Failure::new("VDI_INCOMPATIBLE_TYPE", [vdi, "cbt_metadata"])),
        _ => Ok(()),
    }
}

/// Fails if anybody has the disk attached.
pub fn must_be_free(db: &Database, vdi: &str, operation: &str) -> Reply<()> {
    if attachments(db, vdi).is_empty() { Ok(()) } else { Err(Failure::new("VDI_IN_USE", [vdi, operation])) }
}

/// Notes which operations the disk's state allows.
pub fn allow(db: &mut Database, vdi: &str) -> Reply<()> {
    let operations: &[&str] = if db.text("VDI", vdi, "type")? == "cbt_metadata" {
        &["forget", "update", "destroy"]
    } else if attachments(db, vdi).is_empty() {
        &["copy", "clone", "resize_online", "forget", "update", "resize", "snapshot", "destroy"]
    } else {
        &["clone", "snapshot"]
    };
    db.set("VDI", vdi, "allowed_operations", Value::strings(operations.iter().copied()))
}

fn create(request: &Request) -> Reply {
    let Value::Map(record) = request.value(0) else { return Err(Failure::internal("no record")) };
    let sr = record.get("SR").map_or(NULL, Value::text).to_owned();
    let size = record.get("virtual_size").map_or(0, Value::int);
    make(&request.pool, &sr, size, record).map(Value::String)
}

/// Makes an empty disk with these fields.
pub fn make(pool: &Pool, sr: &str, size: i64, mut record: Record) -> Reply<String> {
    pool.db().get("SR", sr)?;
    let invalid = || Failure::new("SR_BACKEND_FAILURE_79", ["", "VDI Invalid size", ""]);
    let size = u64::try_from(size).map_err(|_| invalid())?;
    let uuid = Uuid::new_v4();
    let size = pool.repository(sr)?.create(uuid, size).map_err(|e| sr::failure(&e))?;
    record.insert("virtual_size".to_owned(), Value::Int(i64::try_from(size).map_err(|_| invalid())?));
    record.insert("SR".to_owned(), Value::string(sr));
    let vdi = add(pool, uuid, record)?;
    sr::refresh(pool, sr)?;
    Ok(vdi)
}

/// Adds a disk, whose data are there, to the database.
fn add(pool: &Pool, uuid: Uuid, mut record: Record) -> Reply<String> {
    let own = [
        ("uuid", Value::String(uuid.to_string())),
        ("location", Value::String(uuid.to_string())),
        ("managed", true.into()),
        ("on_boot", "persist".into()),
        ("parent", Value::null()),
        ("metadata_of_pool", "".into()),
        ("VBDs", Value::Set(Vec::new())),
        ("snapshots", Value::Set(Vec::new())),
        ("crash_dumps", Value::Set(Vec::new())),
        ("current_operations", Value::Map(Record::new())),
    ];
    record.extend(own.map(|(name, value)| (name.to_owned(), value)));
    let mut db = pool.db();
    let vdi = db.insert("VDI", record);
    allow(&mut db, &vdi)?;
    Ok(vdi)
}

/// What a copy of a disk is to its original.
#[derive(Clone, Copy, PartialEq)]
pub enum Copy {
    /// It remembers what the original was.
    Snapshot,
    /// It is a disk of its own.
    Clone,
}

fn copy_within(request: &Request, kind: Copy) -> Reply {
    copy_of(&request.pool, request.text(0), kind, &|_| {
        if request.progress(0.0).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .map(Value::String)
}

/// Makes a snapshot or a clone of a disk, in its SR. A machine that runs off the disk is held meanwhile.
pub fn copy_of(pool: &Pool, vdi: &str, kind: Copy, watch: shale_disk::Watch) -> Reply<String> {
    let disk = Disk::find(pool, vdi)?;
    must_have_data(&pool.db(), vdi)?;
    let mut record = pool.db().get("VDI", vdi)?.clone();
    let uuid = Uuid::new_v4();
    let held = power::hold(pool, vdi);
    let copied = match kind {
        Copy::Snapshot => disk.repository.snapshot(disk.uuid, uuid, watch),
        Copy::Clone => disk.repository.clone_to(disk.uuid, uuid, watch),
    };
    drop(held);
    copied.map_err(|e| sr::failure(&e))?;
    let is_snapshot = kind == Copy::Snapshot;
    record.insert("is_a_snapshot".to_owned(), is_snapshot.into());
    record.insert("snapshot_of".to_owned(), Value::string(if is_snapshot { vdi } else { NULL }));
    if is_snapshot {
        record.insert("snapshot_time".to_owned(), Value::Time(pool.clock.now()));
    } else {
        record.insert("cbt_enabled".to_owned(), false.into());
        record.remove("snapshot_time");
    }
    let copy = add(pool, uuid, record)?;
    sr::refresh(pool, &disk.sr)?;
    Ok(copy)
}

fn copy(request: &Request) -> Reply {
    let (source, into) = (request.text(0), request.text(3));
    if into != NULL {
        // Only the difference would be written into an existing disk; nobody here needs it.
        return Err(Failure::new("NOT_IMPLEMENTED", ["VDI.copy into_vdi"]));
    }
    copy_to(request, source, request.text(1)).map(Value::String)
}

/// Makes a full copy of a disk in any SR; in its own if none is said.
pub fn copy_to(request: &Request, vdi: &str, sr: &str) -> Reply<String> {
    let pool = &request.pool;
    let disk = Disk::find(pool, vdi)?;
    let sr = if sr == NULL { disk.sr.as_str() } else { sr };
    let mut record = pool.db().get("VDI", vdi)?.clone();
    must_have_data(&pool.db(), vdi)?;
    must_not_be_written(&pool.db(), vdi)?;
    let uuid = Uuid::new_v4();
    let watch = |_: u64| match request.progress(0.0) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    };
    let copied = pool.repository(sr)?.copy_from(&disk.repository, disk.uuid, uuid, &watch);
    copied.map_err(|e| sr::failure(&e))?;
    record.extend([("SR".to_owned(), Value::string(sr)), ("cbt_enabled".to_owned(), false.into())]);
    record.extend([("is_a_snapshot".to_owned(), false.into()), ("snapshot_of".to_owned(), Value::null())]);
    let copy = add(pool, uuid, record)?;
    sr::refresh(pool, sr)?;
    Ok(copy)
}

fn must_not_be_written(db: &Database, vdi: &str) -> Reply<()> {
    if attachments(db, vdi).contains(&true) { Err(Failure::new("VDI_IN_USE", [vdi, "copy"])) } else { Ok(()) }
}

fn resize(request: &Request) -> Reply {
    let disk = Disk::find(&request.pool, request.text(0))?;
    must_be_free(&request.pool.db(), &disk.vdi, "resize")?;
    let size = u64::try_from(request.int(1)).unwrap_or(0);
    let size = disk.repository.resize(disk.uuid, size).map_err(|e| sr::failure(&e))?;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    request.pool.db().set("VDI", &disk.vdi, "virtual_size", size)?;
    sr::refresh(&request.pool, &disk.sr)?;
    Ok(Value::Void)
}

fn destroy(request: &Request) -> Reply {
    let disk = Disk::find(&request.pool, request.text(0))?;
    {
        let mut db = request.pool.db();
        must_be_free(&db, &disk.vdi, "destroy")?;
        db.with("VBD", "VDI", &disk.vdi).iter().for_each(|vbd| db.remove("VBD", vbd));
        db.remove("VDI", &disk.vdi);
    }
    disk.repository.destroy(disk.uuid).map_err(|e| sr::failure(&e))?;
    sr::refresh(&request.pool, &disk.sr)?;
    Ok(Value::Void)
}
