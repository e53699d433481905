//! VMs as records: making, changing and deleting them. Running them is `power`'s, copying them `vm_copy`'s.

use super::power::must_be;
use super::{vbd, vif};
use crate::database::Database;
use crate::failure::{Failure, Reply};
use crate::rpc::{Handler, Request};
use crate::value::{Record, Value};
use uuid::Uuid;

pub(super) const CALLS: &[(&str, Handler)] = &[
    ("VM.create", create),
    ("VM.destroy", destroy),
    ("VM.provision", provision),
    ("VM.set_memory", |request| set_memory(request, &[1; 4])),
    ("VM.set_memory_limits", |request| set_memory(request, &[1, 2, 3, 4])),
    ("VM.set_memory_dynamic_range", |request| set_memory(request, &[0, 0, 1, 2])),
    ("VM.set_memory_static_range", |request| set_memory(request, &[1, 2, 0, 0])),
];

fn create(request: &Request) -> Reply {
    let Value::Map(record) = request.value(0) else { return Err(Failure::internal("no record")) };
    let mut db = request.pool.db();
    Ok(Value::String(add(&mut db, record)))
}

/// Adds a halted VM.
pub fn add(db: &mut Database, mut record: Record) -> String {
    let metrics = db.insert("VM_metrics", Record::new());
    let own = [
        ("power_state", "Halted".into()),
        ("memory_overhead", Value::Int(12_582_912)),
        ("actions_after_softreboot", "soft_reboot".into()),
        ("metrics", Value::String(metrics)),
        ("domid", Value::Int(-1)),
        ("HVM_shadow_multiplier", Value::Float(1.0)),
    ];
    record.extend(own.map(|(name, value)| (name.to_owned(), value)));
    // What was not said follows from what was.
    let is_hvm = record.get("HVM_boot_policy").is_some_and(|policy| !policy.text().is_empty());
    let unsaid = |kind: Option<&Value>| kind.is_none_or(|kind| ["", "unspecified"].contains(&kind.text()));
    if unsaid(record.get("domain_type")) {
        record.insert("domain_type".to_owned(), if is_hvm { "hvm" } else { "pv" }.into());
    }
    if is_hvm {
        record.entry("hardware_platform_version".to_owned()).or_insert(Value::Int(2));
    }
    // From this the addresses of its interfaces are made.
    if let Value::Map(other) =
        record.entry("other_config".to_owned()).or_insert_with(|| Value::Map(Record::new()))
    {
        other.insert("mac_seed".to_owned(), Value::String(Uuid::new_v4().to_string()));
    }
    let vm = db.insert("VM", record);
    allow(db, &vm);
    vm
}

/// Notes which operations the VM's state allows.
pub fn allow(db: &mut Database, vm: &str) {
    let is_template = db.field("VM", vm, "is_a_template").is_ok_and(Value::is_true);
    let operations = match db.text("VM", vm, "power_state").unwrap_or_default().as_str() {
        "Running" => {
            "sysprep metadata_export changing_dynamic_range hard_reboot hard_shutdown pause snapshot"
        }
        "Paused" => "metadata_export changing_dynamic_range hard_reboot hard_shutdown unpause snapshot",
        _ if is_template => {
            "destroy metadata_export export changing_NVRAM changing_shadow_memory changing_static_range \
             changing_dynamic_range migrate_send provision copy clone"
        }
        _ => {
            "create_vtpm destroy metadata_export export make_into_template changing_NVRAM changing_shadow_memory \
             changing_static_range changing_dynamic_range migrate_send start_on start copy clone snapshot"
        }
    };
    let _ = db.set("VM", vm, "allowed_operations", Value::strings(operations.split(' '))); // the VM was just read
}

fn provision(request: &Request) -> Reply {
    let (vm, mut db) = (request.text(0), request.pool.db());
    must_be(&db, vm, &["halted"])?;
    let mut other = db.field("VM", vm, "other_config")?.clone();
    if let Value::Map(members) = &mut other {
        members.remove("disks");
    }
    db.set("VM", vm, "other_config", other)?;
    db.set("VM", vm, "is_a_template", false)?;
    allow(&mut db, vm);
    Ok(Value::Void)
}

fn destroy(request: &Request) -> Reply {
    let (vm, mut db) = (request.text(0), request.pool.db());
    must_be(&db, vm, &["halted", "suspended"])?;
    if db.field("VM", vm, "is_control_domain")?.is_true() {
        return Err(Failure::not_allowed("a control domain cannot be destroyed"));
    }
    if db.field("VM", vm, "is_default_template")?.is_true() {
        return Err(Failure::new("VM_CANNOT_DELETE_DEFAULT_TEMPLATE", [vm]));
    }
    remove(&mut db, vm);
    Ok(Value::Void)
}

/// Removes a VM with its devices, but not its disks.
pub(super) fn remove(db: &mut Database, vm: &str) {
    db.with("VBD", "VM", vm).iter().for_each(|device| vbd::remove(db, device));
    db.with("VIF", "VM", vm).iter().for_each(|device| vif::remove(db, device));
    db.with("console", "VM", vm).iter().for_each(|console| db.remove("console", console));
    for (class, field) in [("VM_metrics", "metrics"), ("VM_guest_metrics", "guest_metrics")] {
        let metrics = db.text("VM", vm, field).unwrap_or_default();
        db.remove(class, &metrics);
    }
    db.remove("VM", vm);
}

/// Sets the four sizes of memory, each from the parameter of this number; 0 leaves one as it is.
fn set_memory(request: &Request, from: &[usize; 4]) -> Reply {
    let fields = ["memory_static_min", "memory_static_max", "memory_dynamic_min", "memory_dynamic_max"];
    let (vm, mut db) = (request.text(0), request.pool.db());
    must_be(&db, vm, &["halted"])?;
    for (field, parameter) in fields.into_iter().zip(from).filter(|(_, parameter)| **parameter > 0) {
        db.set("VM", vm, field, request.int(*parameter))?;
    }
    Ok(Value::Void)
}
