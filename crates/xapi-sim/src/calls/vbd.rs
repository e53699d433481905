//! Virtual block devices: which disk is which device of which VM.

use super::{power, vdi};
use crate::database::Database;
use crate::failure::{Failure, Reply};
use crate::rpc::{Handler, Request};
use crate::value::{NULL, Record, Value};

/// Devices a VM may have.
const DEVICES: usize = 255;

pub(super) const CALLS: &[(&str, Handler)] = &[
    ("VBD.create", create),
    ("VBD.destroy", destroy),
    ("VBD.plug", plug),
    ("VBD.unplug", unplug),
    ("VBD.unplug_force", unplug),
    ("VBD.insert", insert),
    ("VBD.eject", eject),
    ("VM.get_allowed_VBD_devices", get_allowed_devices),
];

fn free_devices(db: &Database, vm: &str) -> Reply<Vec<String>> {
    super::free_devices(db, vm, ("VBD", "userdevice"), DEVICES)
}

fn get_allowed_devices(request: &Request) -> Reply {
    free_devices(&request.pool.db(), request.text(0)).map(Value::strings)
}

fn create(request: &Request) -> Reply {
    let Value::Map(record) = request.value(0) else { return Err(Failure::internal("no record")) };
    add(&mut request.pool.db(), record).map(Value::String)
}

/// Adds a device to a VM.
pub(super) fn add(db: &mut Database, mut record: Record) -> Reply<String> {
    let text = |record: &Record, field: &str| record.get(field).map_or(NULL, Value::text).to_owned();
    let (vm, disk, device) = (text(&record, "VM"), text(&record, "VDI"), text(&record, "userdevice"));
    let is_empty = record.get("empty").is_some_and(Value::is_true);
    db.get("VM", &vm)?;
    if !is_empty {
        db.get("VDI", &disk)?;
    }
    if !is_empty && text(&record, "type") == "CD" {
        must_be_iso(db, &disk)?;
    }
    if is_empty && text(&record, "type") != "CD" {
        return Err(Failure::new("VBD_NOT_REMOVABLE_MEDIA", [NULL]));
    }
    let free = free_devices(db, &vm)?;
    let device = match device.as_str() {
        "autodetect" => free.first().cloned().unwrap_or_default(),
        _ => device,
    };
    if device.parse::<usize>().is_ok_and(|device| device >= DEVICES) {
        return Err(Failure::new("INVALID_DEVICE", [&device]));
    }
    if !free.contains(&device) {
        return Err(Failure::new("DEVICE_ALREADY_EXISTS", [&device]));
    }
    let metrics = db.insert("VBD_metrics", Record::new());
    record.extend([
        ("userdevice".to_owned(), Value::String(device)),
        ("currently_attached".to_owned(), false.into()),
        ("metrics".to_owned(), Value::String(metrics)),
        ("allowed_operations".to_owned(), Value::strings(["attach"])),
    ]);
    Ok(db.insert("VBD", record))
}

fn destroy(request: &Request) -> Reply {
    let (vbd, mut db) = (request.text(0), request.pool.db());
    if db.field("VBD", vbd, "currently_attached")?.is_true() {
        let vm = db.text("VBD", vbd, "VM")?;
        let (vbd, vm) = (db.text("VBD", vbd, "uuid")?, db.text("VM", &vm, "uuid")?);
        return Err(Failure::not_allowed(&format!("VBD '{vbd}' still attached to '{vm}'")));
    }
    remove(&mut db, vbd);
    Ok(Value::Void)
}

/// Removes a device with what belongs to it.
pub(super) fn remove(db: &mut Database, vbd: &str) {
    let metrics = db.text("VBD", vbd, "metrics").unwrap_or_default();
    db.remove("VBD_metrics", &metrics);
    db.remove("VBD", vbd);
}

/// Notes that a device is attached, or no longer.
pub(super) fn set_attached(db: &mut Database, vbd: &str, attached: bool) -> Reply<()> {
    db.set("VBD", vbd, "currently_attached", attached)?;
    let device = if attached { device_name(&db.text("VBD", vbd, "userdevice")?) } else { String::new() };
    db.set("VBD", vbd, "device", device)?;
    let operations = if attached { ["unplug", "unplug_force"].as_slice() } else { &["attach"] };
    db.set("VBD", vbd, "allowed_operations", Value::strings(operations.iter().copied()))?;
    let disk = db.text("VBD", vbd, "VDI")?;
    if disk == NULL { Ok(()) } else { vdi::allow(db, &disk) }
}

/// `xvda` and so on, as a guest with drivers sees it.
fn device_name(userdevice: &str) -> String {
    let number: u8 = userdevice.parse().unwrap_or_default();
    let letter = |number: u8| char::from(b'a' + number % 26);
    if number < 26 {
        return format!("xvd{}", letter(number));
    }
    format!("xvd{}{}", letter(number / 26 - 1), letter(number))
}

fn plug(request: &Request) -> Reply {
    let vbd = request.text(0);
    let vm = request.pool.db().text("VBD", vbd, "VM")?;
    power::must_be(&request.pool.db(), &vm, &["running"])?;
    // A real process would need its disk plugged in too, which nothing here asks for.
    if request.pool.config.machines {
        return Err(Failure::new("VM_MISSING_PV_DRIVERS", [&vm]));
    }
    let mut db = request.pool.db();
    if db.field("VBD", vbd, "currently_attached")?.is_true() {
        return Err(Failure::new("DEVICE_ALREADY_ATTACHED", [vbd]));
    }
    power::may_attach(&db, vbd)?;
    set_attached(&mut db, vbd, true).map(|()| Value::Void)
}

fn unplug(request: &Request) -> Reply {
    let vbd = request.text(0);
    let vm = request.pool.db().text("VBD", vbd, "VM")?;
    let is_guest = !request.pool.db().field("VM", &vm, "is_control_domain")?.is_true();
    if is_guest && request.pool.config.machines {
        return Err(Failure::new("VM_MISSING_PV_DRIVERS", [&vm]));
    }
    let mut db = request.pool.db();
    if !db.field("VBD", vbd, "currently_attached")?.is_true() {
        return Err(Failure::new("DEVICE_ALREADY_DETACHED", [vbd]));
    }
    set_attached(&mut db, vbd, false).map(|()| Value::Void)
}

fn insert(request: &Request) -> Reply {
    let (vbd, disk) = (request.text(0), request.text(1));
    let vm = must_be_cd(&request.pool.db(), vbd)?;
    if !request.pool.db().field("VBD", vbd, "empty")?.is_true() {
        return Err(Failure::new("VBD_NOT_EMPTY", [vbd]));
    }
    must_be_iso(&request.pool.db(), disk)?;
    let medium = vdi::Disk::find(&request.pool, disk)?;
    power::change_medium(&request.pool, &vm, Some(medium.repository.path(medium.uuid)))?;
    let mut db = request.pool.db();
    db.set("VBD", vbd, "VDI", disk)?;
    db.set("VBD", vbd, "empty", false).map(|()| Value::Void)
}

fn eject(request: &Request) -> Reply {
    let vbd = request.text(0);
    let vm = must_be_cd(&request.pool.db(), vbd)?;
    if request.pool.db().field("VBD", vbd, "empty")?.is_true() {
        return Err(Failure::new("VBD_IS_EMPTY", [vbd]));
    }
    power::change_medium(&request.pool, &vm, None)?;
    let mut db = request.pool.db();
    let disk = db.text("VBD", vbd, "VDI")?;
    db.set("VBD", vbd, "VDI", NULL)?;
    db.set("VBD", vbd, "empty", true)?;
    vdi::allow(&mut db, &disk).map(|()| Value::Void)
}

/// Fails unless the disk lies in storage of CDs: no other goes into a drive.
fn must_be_iso(db: &Database, disk: &str) -> Reply<()> {
    let content = db.text("SR", &db.text("VDI", disk, "SR")?, "content_type")?;
    if content == "iso" { Ok(()) } else { Err(Failure::new("VDI_IS_NOT_ISO", [disk, &content])) }
}

/// The VM of a CD drive.
fn must_be_cd(db: &Database, vbd: &str) -> Reply<String> {
    match db.text("VBD", vbd, "type")?.as_str() {
        "CD" => db.text("VBD", vbd, "VM"),
        _ => Err(Failure::new("VBD_NOT_REMOVABLE_MEDIA", [vbd])),
    }
}
