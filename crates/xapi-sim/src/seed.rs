//! The pool that an empty state folder becomes: two hosts, their storage, a network, templates, users.

use crate::calls::{add_interface, add_machine};
use crate::config::Config;
use crate::database::Database;
use crate::facts::Role;
use crate::value::{Record, Value};
use std::net::IpAddr;

/// Names that tests and the simulator find things by.
pub mod names {
    /// The hosts, the first coordinator first.
    pub const HOSTS: [&str; 2] = ["host1", "host2"];
    /// The storage that all hosts see.
    pub const SHARED_SR: &str = "Shared storage";
    /// The storage of each host, which only it sees.
    pub const LOCAL_SRS: [&str; 2] = ["Local storage on host1", "Local storage on host2"];
    /// The storage of CDs, which all hosts see.
    pub const ISO_SR: &str = "ISO library";
    /// The network every host is plugged into.
    pub const NETWORK: &str = "Pool-wide network associated with eth0";
    /// A template without disks, with one interface, that boots by BIOS.
    pub const BIOS_TEMPLATE: &str = "Packaging (BIOS)";
    /// The same, by UEFI.
    pub const UEFI_TEMPLATE: &str = "Packaging (UEFI)";
    /// The template that comes with every server.
    pub const OTHER_TEMPLATE: &str = "Other install media";
}

const GIB: i64 = 1 << 30;

fn record<const N: usize>(fields: [(&str, Value); N]) -> Record {
    fields.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Makes the pool.
pub fn seed(config: &Config, now: &str) -> Database {
    let mut db = Database::default();
    let network = db.insert(
        "network",
        record([
            ("name_label", names::NETWORK.into()),
            ("bridge", "xenbr0".into()),
            ("MTU", Value::Int(1500)),
            ("managed", true.into()),
        ]),
    );
    let hosts: Vec<_> = names::HOSTS
        .into_iter()
        .zip(config.hosts)
        .map(|(name, ip)| host(&mut db, name, ip, &network, now))
        .collect();
    let shared = sr(&mut db, names::SHARED_SR, "nfs", true, &hosts, config.sr_size);
    let library = sr(&mut db, names::ISO_SR, "iso", true, &hosts, config.sr_size);
    for (field, value) in [
        ("content_type", Value::string("iso")),
        (
            "allowed_operations",
            Value::strings(["vdi_create", "vdi_destroy", "scan", "update", "plug", "unplug"]),
        ),
    ] {
        let _ = db.set("SR", &library, field, value); // it was just made
    }
    for (name, host) in names::LOCAL_SRS.into_iter().zip(&hosts) {
        sr(&mut db, name, "ext", false, std::slice::from_ref(host), config.sr_size);
    }
    db.insert(
        "pool",
        record([
            ("name_label", "simulated pool".into()),
            ("master", Value::string(hosts.first().cloned().unwrap_or_default())),
            ("default_SR", Value::string(&shared)),
            ("suspend_image_SR", Value::string(&shared)),
            (
                "restrictions",
                Value::string_map([
                    ("restrict_cbt", "false"),
                    ("restrict_rbac", "false"),
                    ("restrict_pooling", "false"),
                ]),
            ),
            ("ha_cluster_stack", "xhad".into()),
            ("coordinator_bias", true.into()),
            (
                "cpu_info",
                Value::string_map([("vendor", "GenuineIntel"), ("cpu_count", "16"), ("socket_count", "2")]),
            ),
        ]),
    );
    for kind in ["nfs", "ext"] {
        storage_manager(&mut db, kind);
    }
    template(&mut db, names::BIOS_TEMPLATE, "bios", &network);
    template(&mut db, names::UEFI_TEMPLATE, "uefi", &network);
    let other = add_machine(&mut db, machine(names::OTHER_TEMPLATE, "bios"));
    let _ = db.set("VM", &other, "is_default_template", true); // it was just made
    users(&mut db, config);
    db
}

fn host(db: &mut Database, name: &str, ip: IpAddr, network: &str, now: &str) -> String {
    let metrics = db.insert(
        "host_metrics",
        record([
            ("live", true.into()),
            ("memory_total", Value::Int(64 * GIB)),
            ("memory_free", Value::Int(56 * GIB)),
            ("last_updated", Value::Time(now.to_owned())),
        ]),
    );
    let versions = [
        ("product_version", "8.4.0"),
        ("product_brand", "XenServer"),
        ("platform_name", "XCP"),
        ("platform_version", "3.4.0"),
        ("xapi", "25.27"),
        ("xen", "4.17.5"),
        ("build_number", "simulated"),
        ("hostname", name),
    ];
    let host = db.insert(
        "host",
        record([
            ("name_label", name.into()),
            ("name_description", "a host that is not there".into()),
            ("hostname", name.into()),
            ("address", Value::String(ip.to_string())),
            ("enabled", true.into()),
            ("API_version_major", Value::Int(2)),
            ("API_version_minor", Value::Int(21)),
            ("API_version_vendor", "XenSource".into()),
            ("software_version", Value::string_map(versions)),
            (
                "capabilities",
                Value::strings(["xen-3.0-x86_64", "hvm-3.0-x86_32", "hvm-3.0-x86_32p", "hvm-3.0-x86_64"]),
            ),
            (
                "cpu_info",
                Value::string_map([
                    ("cpu_count", "8"),
                    ("socket_count", "1"),
                    ("vendor", "GenuineIntel"),
                    ("speed", "2000.0"),
                ]),
            ),
            ("license_params", Value::string_map([("restrict_cbt", "false"), ("restrict_rbac", "false")])),
            ("metrics", Value::String(metrics)),
            ("sched_policy", "credit".into()),
        ]),
    );
    plug_in(db, &host, ip, network);
    let domain = control_domain(db, name, &host);
    let _ = db.set("host", &host, "control_domain", domain); // it was just made
    host
}

/// A host's network card.
fn plug_in(db: &mut Database, host: &str, ip: IpAddr, network: &str) {
    db.insert(
        "PIF",
        record([
            ("device", "eth0".into()),
            ("network", network.into()),
            ("host", host.into()),
            ("MAC", "02:00:00:00:00:01".into()),
            ("MTU", Value::Int(1500)),
            ("VLAN", Value::Int(-1)),
            ("physical", true.into()),
            ("management", true.into()),
            ("currently_attached", true.into()),
            ("ip_configuration_mode", "Static".into()),
            ("IP", Value::String(ip.to_string())),
            ("netmask", "255.0.0.0".into()),
            ("managed", true.into()),
        ]),
    );
}

/// The VM that a host is managed from.
fn control_domain(db: &mut Database, name: &str, host: &str) -> String {
    let mut domain = machine(&format!("Control domain on host: {name}"), "bios");
    domain.extend(record([
        ("is_a_template", false.into()),
        ("is_control_domain", true.into()),
        ("domain_type", "pv".into()),
        ("HVM_boot_policy", "".into()),
        ("HVM_boot_params", Value::Map(Record::new())),
        ("affinity", host.into()),
        ("resident_on", host.into()),
    ]));
    let domain = add_machine(db, domain);
    for (field, value) in [("power_state", Value::string("Running")), ("domid", Value::Int(0))] {
        let _ = db.set("VM", &domain, field, value); // it was just made
    }
    domain
}

fn sr(db: &mut Database, name: &str, kind: &str, shared: bool, hosts: &[String], size: u64) -> String {
    let operations = [
        "vdi_create",
        "vdi_destroy",
        "vdi_snapshot",
        "vdi_clone",
        "vdi_resize",
        "vdi_enable_cbt",
        "vdi_disable_cbt",
        "vdi_data_destroy",
        "vdi_list_changed_blocks",
        "scan",
        "update",
        "plug",
        "unplug",
    ];
    let sr = db.insert(
        "SR",
        record([
            ("name_label", name.into()),
            ("type", kind.into()),
            ("content_type", "user".into()),
            ("shared", shared.into()),
            ("physical_size", Value::Int(i64::try_from(size).unwrap_or(i64::MAX))),
            ("allowed_operations", Value::strings(operations)),
        ]),
    );
    for host in hosts {
        db.insert(
            "PBD",
            record([
                ("host", Value::string(host)),
                ("SR", Value::string(&sr)),
                ("currently_attached", true.into()),
            ]),
        );
    }
    sr
}

fn storage_manager(db: &mut Database, kind: &str) {
    let able = [
        "SR_ATTACH",
        "SR_SCAN",
        "SR_UPDATE",
        "VDI_CREATE",
        "VDI_DELETE",
        "VDI_ATTACH",
        "VDI_DETACH",
        "VDI_CLONE",
        "VDI_SNAPSHOT",
        "VDI_RESIZE",
        "VDI_CONFIG_CBT",
        "THIN_PROVISIONING",
    ];
    db.insert(
        "SM",
        record([
            ("name_label", kind.into()),
            ("type", kind.into()),
            ("vendor", "simulated".into()),
            ("version", "1.0".into()),
            ("required_api_version", "1.0".into()),
            ("capabilities", Value::strings(able)),
            ("features", Value::map(able.map(|name| (name, Value::Int(1))))),
        ]),
    );
}

/// A template without disks.
fn machine(name: &str, firmware: &str) -> Record {
    let memory = || Value::Int(GIB);
    let model = if firmware == "uefi" { "qemu-upstream-uefi" } else { "qemu-upstream-compat" };
    record([
        ("name_label", name.into()),
        ("is_a_template", true.into()),
        ("memory_static_max", memory()),
        ("memory_dynamic_max", memory()),
        ("memory_dynamic_min", memory()),
        ("memory_static_min", Value::Int(GIB / 2)),
        ("VCPUs_max", Value::Int(1)),
        ("VCPUs_at_startup", Value::Int(1)),
        ("actions_after_shutdown", "destroy".into()),
        ("actions_after_reboot", "restart".into()),
        ("actions_after_crash", "restart".into()),
        ("HVM_boot_policy", "BIOS order".into()),
        ("HVM_boot_params", Value::string_map([("order", "cd"), ("firmware", firmware)])),
        (
            "platform",
            Value::string_map([
                ("acpi", "1"),
                ("apic", "true"),
                ("pae", "true"),
                ("viridian", "false"),
                ("device-model", model),
            ]),
        ),
        ("domain_type", "hvm".into()),
        ("hardware_platform_version", Value::Int(2)),
    ])
}

fn template(db: &mut Database, name: &str, firmware: &str, network: &str) {
    let vm = add_machine(db, machine(name, firmware));
    let interface = record([
        ("VM", Value::String(vm)),
        ("network", network.into()),
        ("device", "0".into()),
        ("MAC", "".into()),
        ("MTU", Value::Int(1500)),
    ]);
    let _ = add_interface(db, interface); // its VM and network were just made
}

/// A role for each level, and a subject for everybody but root.
fn users(db: &mut Database, config: &Config) {
    for role in Role::ALL {
        db.insert(
            "role",
            record([("name_label", role.name().into()), ("name_description", role.name().into())]),
        );
    }
    for user in config.users.iter().filter(|user| user.name != "root") {
        let role = db.with("role", "name_label", user.role.name());
        db.insert(
            "subject",
            record([
                ("subject_identifier", Value::string(&user.name)),
                ("other_config", Value::string_map([("subject-name", user.name.as_str())])),
                ("roles", Value::strings(role)),
            ]),
        );
    }
}
