//! Clones, copies and snapshots of VMs: the record, the devices, and a copy of each disk.

use super::power::must_be;
use super::vdi::{self, Copy};
use super::{vbd, vif, vm};
use crate::failure::Reply;
use crate::rpc::{Handler, Request};
use crate::value::{Record, Value};
use std::ops::ControlFlow;

pub(super) const CALLS: &[(&str, Handler)] = &[
    ("VM.clone", |request| copy(request, &Way::Clone)),
    ("VM.copy", |request| copy(request, &Way::Copy(request.text(2).to_owned()))),
    ("VM.snapshot", |request| copy(request, &Way::Snapshot)),
];

enum Way {
    Clone,
    /// In this SR; in that of each disk if it is the null reference.
    Copy(String),
    Snapshot,
}

fn copy(request: &Request, way: &Way) -> Reply {
    let (original, name) = (request.text(0), request.text(1));
    let (mut record, devices, interfaces) = {
        let db = request.pool.db();
        match way {
            Way::Snapshot => must_be(&db, original, &["halted", "running", "suspended", "paused"])?,
            _ => must_be(&db, original, &["halted", "suspended"])?,
        }
        let records = |class: &str| {
            let all = db.all(class).filter(|(_, device)| device.get("VM").map(Value::text) == Some(original));
            all.map(|(_, device)| device.clone()).collect::<Vec<_>>()
        };
        (db.get("VM", original)?.clone(), records("VBD"), records("VIF"))
    };
    reset(
        &mut record,
        &["uuid", "VBDs", "VIFs", "consoles", "snapshots", "children", "resident_on", "guest_metrics"],
    );
    let is_snapshot = matches!(way, Way::Snapshot);
    let original_name = record.insert("name_label".to_owned(), name.into()).unwrap_or(Value::Void);
    remember_template(&mut record, original_name.text());
    record.insert("is_default_template".to_owned(), false.into());
    record.insert("is_a_snapshot".to_owned(), is_snapshot.into());
    if is_snapshot {
        record.insert("is_a_template".to_owned(), true.into());
        record.insert("snapshot_of".to_owned(), original.into());
        record.insert("snapshot_time".to_owned(), Value::Time(request.pool.clock.now()));
    } else {
        reset(&mut record, &["snapshot_of", "snapshot_time"]);
    }
    let made = vm::add(&mut request.pool.db(), record);
    let copied = copy_devices(request, way, &made, devices, interfaces);
    if copied.is_err() {
        vm::remove(&mut request.pool.db(), &made);
    }
    copied.map(|()| Value::String(made))
}

/// A VM made of a template says of which.
fn remember_template(record: &mut Record, name: &str) {
    let is_template = record.get("is_a_template").is_some_and(Value::is_true);
    if let Some(Value::Map(other)) = record.get_mut("other_config").filter(|_| is_template) {
        other.insert("base_template_name".to_owned(), name.into());
    }
}

/// Leaves fields to their defaults.
fn reset(record: &mut Record, fields: &[&str]) {
    fields.iter().for_each(|field| drop(record.remove(*field)));
}

fn copy_devices(
    request: &Request,
    way: &Way,
    vm: &str,
    devices: Vec<Record>,
    interfaces: Vec<Record>,
) -> Reply<()> {
    for mut device in devices {
        reset(&mut device, &["uuid", "device", "metrics", "allowed_operations"]);
        let (disk, kind) = (text(&device, "VDI"), text(&device, "type"));
        let is_empty = device.get("empty").is_some_and(Value::is_true);
        if kind != "CD" && !is_empty {
            device.insert("VDI".to_owned(), Value::String(copy_disk(request, way, &disk)?));
        }
        device.insert("VM".to_owned(), vm.into());
        vbd::add(&mut request.pool.db(), device)?;
    }
    for mut interface in interfaces {
        reset(&mut interface, &["uuid", "metrics", "allowed_operations", "runtime_properties"]);
        // A copy is another machine: it must not answer to the addresses of the first.
        interface.insert("MAC".to_owned(), "".into());
        interface.insert("VM".to_owned(), vm.into());
        vif::add(&mut request.pool.db(), interface)?;
    }
    Ok(())
}

fn copy_disk(request: &Request, way: &Way, disk: &str) -> Reply<String> {
    let watch = |_: u64| match request.progress(0.0) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    };
    match way {
        Way::Clone => vdi::copy_of(&request.pool, disk, Copy::Clone, &watch),
        Way::Snapshot => vdi::copy_of(&request.pool, disk, Copy::Snapshot, &watch),
        Way::Copy(sr) => vdi::copy_to(request, disk, sr),
    }
}

fn text(record: &Record, field: &str) -> String {
    record.get(field).map_or("", Value::text).to_owned()
}
