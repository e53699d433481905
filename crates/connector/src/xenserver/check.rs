//! Whether all is there that machines need, line by line, and what there is to choose from.

use std::collections::BTreeMap;

use serde_json::json;

use super::pool::Pool;
use super::record::{self, Host, PoolRecord, SessionRecord, Vif};
use super::trust::Rule;
use super::{fault, labels, nbd, place};
use crate::{Check, Choice, Error, ErrorKind, Firmware, Fix, Outcome, Result};

/// The rights that are needed, as the XenAPI names them: those of all calls that are made, and of transfers.
const RIGHTS: [&str; 38] = [
    "VDI.create",
    "VDI.clone",
    "VDI.resize",
    "VDI.snapshot",
    "VDI.destroy",
    "VDI.set_other_config",
    "VDI.add_to_other_config",
    "VDI.remove_from_other_config",
    "VDI.set_name_label",
    "VDI.set_name_description",
    "VDI.set_tags",
    "VDI.enable_cbt",
    "VDI.list_changed_blocks",
    "VDI.get_nbd_info",
    "VM.clone",
    "VM.provision",
    "VM.remove_from_other_config",
    "VM.set_is_a_template",
    "VM.set_name_label",
    "VM.set_name_description",
    "VM.set_tags",
    "VM.set_other_config",
    "VM.add_to_other_config",
    "VM.set_HVM_boot_params",
    "VM.set_VCPUs_max",
    "VM.set_VCPUs_at_startup",
    "VM.start",
    "VM.resume",
    "VM.unpause",
    "VM.clean_shutdown",
    "VM.hard_shutdown",
    "VM.destroy",
    "VBD.create",
    "VBD.destroy",
    "VBD.eject",
    "VBD.insert",
    "http/put_import_raw_vdi",
    "http/get_export_raw_vdi",
];

fn line(name: &str, outcome: Outcome, detail: impl Into<String>, hint: Option<&str>) -> Check {
    Check { name: name.to_owned(), outcome, detail: detail.into(), hint: hint.map(str::to_owned), fix: None }
}

fn ok(name: &str, detail: impl Into<String>) -> Check {
    line(name, Outcome::Ok, detail, None)
}

fn failed(name: &str, error: &Error) -> Check {
    let cause = std::error::Error::source(error).filter(|_| fault::fault(error).is_none());
    let detail = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    line(name, Outcome::Failed, detail, None)
}

/// All lines; the first that makes the others senseless is the last.
pub(super) fn all(pool: &Pool) -> Vec<Check> {
    let mut lines = Vec::new();
    // What is known of earlier is no answer: the pool is asked by a new connection.
    if let Err(e) = pool.ask_anew() {
        lines.push(not_connected(pool, &e));
        return lines;
    }
    lines.push(ok("reach", format!("'{}' answers", pool.configured().host)));
    lines.push(certificate(pool));
    lines.push(ok("login", format!("as '{}'", pool.settings.user)));
    lines.push(version(pool).unwrap_or_else(|e| failed("version", &e)));
    lines.push(the_pool(pool).unwrap_or_else(|e| failed("pool", &e)));
    lines.push(rights(pool).unwrap_or_else(|e| failed("rights", &e)));
    lines.push(template(pool).unwrap_or_else(|e| failed("template", &e)));
    lines.extend(storage(pool).unwrap_or_else(|e| vec![failed("storage", &e)]));
    lines.push(transfers(pool).unwrap_or_else(|e| failed("transfers", &e)));
    lines
}

/// Why there is no session.
fn not_connected(pool: &Pool, error: &Error) -> Check {
    if fault::code(error) == "SESSION_AUTHENTICATION_FAILED" {
        return failed("login", error);
    }
    let is_certificate = error.kind() == ErrorKind::Unsupported && error.to_string().contains("certificate");
    let Some(seen) = pool.trust.refused().filter(|_| is_certificate) else {
        return failed(if fault::fault(error).is_some() { "login" } else { "reach" }, error);
    };
    let host = &pool.configured().host;
    let question = format!(
        "Is this the certificate of the host '{host}'? SHA-256 {seen}. Compare it on the host's console: openssl x509 \
         -noout -fingerprint -sha256 -in /etc/xensource/xapi-ssl.pem"
    );
    let fix = Fix { question, field: "fingerprint".into(), value: seen.to_string() };
    let hint = "compare the fingerprint on the host, then confirm it";
    Check { fix: Some(fix), ..line("certificate", Outcome::Failed, error.to_string(), Some(hint)) }
}

fn certificate(pool: &Pool) -> Check {
    match pool.trust.passed() {
        None => line(
            "certificate",
            Outcome::Warn,
            "none: the connection is in the clear",
            Some("give an address that begins with https://"),
        ),
        Some(Rule::Pinned) => ok("certificate", "it is the one that was confirmed"),
        Some(Rule::Member) => ok("certificate", "a host of the pool told it, whose own was trusted"),
        Some(Rule::Signed) => ok("certificate", "it is signed by an authority that this server trusts"),
    }
}

fn hosts(pool: &Pool) -> Result<BTreeMap<String, Host>> {
    record::all(pool.call("host.get_all_records", &[])?)
}

fn version(pool: &Pool) -> Result<Check> {
    let hosts = hosts(pool)?;
    let Some(host) = hosts.values().next() else {
        return Ok(line("version", Outcome::Failed, "no host", None));
    };
    let told = |key: &str| host.software_version.get(key).map(String::as_str).unwrap_or_default();
    let product = [told("product_brand"), told("product_version")].join(" ");
    let api = (host.api_major, host.api_minor);
    let detail = format!("{}, XenAPI {}.{}", product.trim(), api.0, api.1);
    // XenServer 7.6: the first that is supported.
    Ok(match api < (2, 10) {
        true => line(
            "version",
            Outcome::Warn,
            detail,
            Some("XenServer 7.6 and later, and XCP-ng 8.2 and later are tried"),
        ),
        false => ok("version", detail),
    })
}

fn the_pool(pool: &Pool) -> Result<Check> {
    let pools: BTreeMap<String, PoolRecord> = record::all(pool.call("pool.get_all_records", &[])?)?;
    let hosts = hosts(pool)?;
    let Some(found) = pools.values().next() else {
        return Ok(line("pool", Outcome::Failed, "no pool", None));
    };
    let master = hosts.get(&found.master).map(|host| host.name_label.as_str()).unwrap_or_default();
    let name = if found.name_label.is_empty() { master } else { &found.name_label };
    Ok(ok("pool", format!("'{name}': {} host(s), coordinator '{master}'", hosts.len())))
}

fn rights(pool: &Pool) -> Result<Check> {
    let session = pool.access()?.session;
    let seen: SessionRecord = record::one(pool.call("session.get_record", &[json!(session)])?)?;
    let missing = missing(&seen, pool.settings.memory_mib > 0);
    if missing.is_empty() {
        return Ok(ok("rights", "all that are needed"));
    }
    let needs_more = missing.contains(&"VM.set_memory_limits") && missing.len() == 1;
    let hint = fault::role_hint(if needs_more { "VM.set_memory_limits" } else { "VM.clone" });
    Ok(line("rights", Outcome::Failed, format!("missing: {}", missing.join(", ")), Some(hint)))
}

/// The rights that a session lacks. Those of the local superuser are not listed.
fn missing(session: &SessionRecord, sets_memory: bool) -> Vec<&'static str> {
    if session.is_local_superuser {
        return Vec::new();
    }
    let has = |right: &str| session.rbac_permissions.iter().any(|has| has.eq_ignore_ascii_case(right));
    // Versions differ in whether they list the right to transfer by HTTP; who may clone disks may do that, too.
    let lists_http = session.rbac_permissions.iter().any(|has| has.starts_with("http/"));
    let wanted = RIGHTS.into_iter().chain(sets_memory.then_some("VM.set_memory_limits"));
    wanted.filter(|right| !has(right) && (lists_http || !right.starts_with("http/"))).collect()
}

fn template(pool: &Pool) -> Result<Check> {
    let found = place::template(pool)?;
    let firmware = if place::firmware(&found.record) == Firmware::Uefi { "UEFI" } else { "BIOS" };
    let detail = format!(
        "'{}': {firmware}, {} network interface(s)",
        found.record.name_label,
        found.record.vifs.len()
    );
    Ok(in_other_case("template", detail, found.by_other_case, &found.record.name_label))
}

fn in_other_case(name: &str, detail: String, is: bool, real: &str) -> Check {
    if is {
        return line(name, Outcome::Warn, detail, Some(&format!("its name is written '{real}'")));
    }
    ok(name, detail)
}

fn storage(pool: &Pool) -> Result<Vec<Check>> {
    let found = place::storage(pool)?;
    let sr = &found.record;
    let shared = if sr.shared { "shared" } else { "of one host" };
    let detail = format!("'{}': {}, {shared}", sr.name_label, sr.kind);
    let space = match sr.free() {
        None => ok("space", "the storage does not tell"),
        Some(free) if free < 20 << 30 => line(
            "space",
            Outcome::Warn,
            format!("{} GiB free", free >> 30),
            Some("a few machines may fill it"),
        ),
        Some(free) => ok("space", format!("{} GiB free", free >> 30)),
    };
    Ok(vec![in_other_case("storage", detail, found.by_other_case, &sr.name_label), space])
}

fn transfers(pool: &Pool) -> Result<Check> {
    let secured = if pool.settings.https_transfers { "HTTPS" } else { "HTTP, in the clear" };
    let others = format!("VHD differences, VHD, raw by {secured}");
    Ok(match nbd::network(pool)? {
        Some((network, _)) => {
            let detail = format!(
                "changed blocks (CBT) by NBD over '{}', if the licence has it; {others}",
                network.name_label
            );
            ok("transfers", detail)
        }
        None => line(
            "transfers",
            Outcome::Warn,
            others,
            Some("give a network the purpose 'nbd' to read changes in blocks of 64 KiB instead of 2 MiB"),
        ),
    })
}

/// Templates and storages to choose from.
pub(super) fn choices(pool: &Pool) -> Result<Vec<Choice>> {
    let mut choices = Vec::new();
    for vm in place::templates(pool)?.into_values() {
        if !place::disks(pool, &vm)?.is_empty()
            || vm.vifs.is_empty()
            || vm.other_config.contains_key(labels::TAG)
        {
            continue;
        }
        let firmware = if place::firmware(&vm) == Firmware::Uefi { "UEFI" } else { "BIOS" };
        let mut networks = Vec::new();
        for vif in &vm.vifs {
            let vif: Vif = record::one(pool.call("VIF.get_record", &[json!(vif)])?)?;
            networks.push(pool.name_of("network", &vif.network));
        }
        let (memory, cpus) = (vm.memory_static_max >> 20, vm.cpus);
        let detail = format!("{firmware}, {memory} MiB, {cpus} CPU(s), network {}", networks.join(", "));
        choices.push(Choice { field: "template", value: vm.uuid, label: vm.name_label, detail });
    }
    for (sr, attached) in place::storages(pool)?.into_values() {
        let free = sr.free().map_or_else(|| "unknown".to_owned(), |free| format!("{} GiB", free >> 30));
        let shared = if sr.shared { "shared" } else { "of one host" };
        let state = if attached { "" } else { ", attached to no host" };
        let detail = format!("{}, {shared}, {free} free{state}", sr.kind);
        choices.push(Choice { field: "storage_repository", value: sr.uuid, label: sr.name_label, detail });
    }
    Ok(choices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_compared_without_case_and_a_superuser_has_them_all() {
        let all: Vec<String> = RIGHTS.iter().map(|right| right.to_lowercase()).collect();
        let session =
            |rbac_permissions: Vec<String>| SessionRecord { rbac_permissions, ..SessionRecord::default() };
        assert!(missing(&session(all.clone()), false).is_empty());
        assert_eq!(missing(&session(all[1..].to_vec()), true), ["VDI.create", "VM.set_memory_limits"]);
        let without_http = all.into_iter().filter(|right| !right.starts_with("http/")).collect();
        assert!(missing(&session(without_http), false).is_empty());
        assert!(
            missing(&SessionRecord { is_local_superuser: true, ..SessionRecord::default() }, true).is_empty()
        );
    }
}
