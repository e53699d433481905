//! The template and the storage that the settings name.

use std::collections::BTreeMap;

use serde_json::json;

use super::pool::Pool;
use super::record::{self, Pbd, Sr, Vbd, Vm};
use crate::{Error, ErrorKind, Firmware, Result};

/// Something found by what the settings name.
#[derive(Debug)]
pub(super) struct Found<T> {
    /// Its reference.
    pub reference: String,
    /// What it is.
    pub record: T,
    /// Whether the name differs in upper and lower case.
    pub by_other_case: bool,
}

/// Whether something with this UUID and this name is meant.
type Test<'a> = &'a dyn Fn(&str, &str) -> bool;

/// The one of `all` that is named: by UUID, by its name, by its name in other case.
pub(super) fn named<T>(
    what: &str,
    wanted: &str,
    all: BTreeMap<String, T>,
    names: impl Fn(&T) -> (&str, &str),
) -> Result<Found<T>> {
    let wrong = |what: String| Err(Error::new(ErrorKind::Unsupported, what));
    if wanted.is_empty() {
        return wrong(format!("no {what} is chosen; choose one in the connector's settings"));
    }
    let lower = wanted.to_lowercase();
    let tests: [Test; 3] =
        [&|uuid, _| uuid.eq_ignore_ascii_case(wanted), &|_, name| name == wanted, &|_, name| {
            name.to_lowercase() == lower
        }];
    for (index, test) in tests.iter().enumerate() {
        let is_it = |record: &T| {
            let (uuid, name) = names(record);
            test(uuid, name)
        };
        let matching: Vec<&String> =
            all.iter().filter(|(_, r)| is_it(r)).map(|(reference, _)| reference).collect();
        match matching[..] {
            [] => {}
            [one] => {
                let reference = one.clone();
                let found = all.into_iter().find(|(r, _)| *r == reference).map(|(_, record)| record);
                let Some(record) = found else { break };
                return Ok(Found { reference, record, by_other_case: index == 2 });
            }
            _ => {
                let uuids: Vec<&str> = matching.iter().map(|r| names(&all[*r]).0).collect();
                let uuids = uuids.join(", ");
                return wrong(format!(
                    "more than one {what} is called '{wanted}'; give the UUID, one of: {uuids}"
                ));
            }
        }
    }
    wrong(format!("there is no {what} '{wanted}'"))
}

/// The storage repositories that can hold disks, and whether a host is attached to each.
pub(super) fn storages(pool: &Pool) -> Result<BTreeMap<String, (Sr, bool)>> {
    let all: BTreeMap<String, Sr> = record::all(pool.call("SR.get_all_records", &[])?)?;
    let pbds: BTreeMap<String, Pbd> = record::all(pool.call("PBD.get_all_records", &[])?)?;
    let attached = |sr: &str| pbds.values().any(|pbd| pbd.sr == sr && pbd.currently_attached);
    let holds_disks =
        |sr: &Sr| !matches!(sr.kind.as_str(), "iso" | "udev" | "udev-cd") && sr.content_type != "iso";
    let kept = all.into_iter().filter(|(_, sr)| holds_disks(sr));
    Ok(kept.map(|(reference, sr)| (reference.clone(), (sr, attached(&reference)))).collect())
}

/// The storage repository of the settings, which must be attached.
pub(super) fn storage(pool: &Pool) -> Result<Found<Sr>> {
    let wanted = &pool.settings.storage_repository;
    let found = named("storage repository", wanted, storages(pool)?, |(sr, _)| (&sr.uuid, &sr.name_label))?;
    let Found { reference, record: (record, attached), by_other_case } = found;
    if attached {
        return Ok(Found { reference, record, by_other_case });
    }
    let what =
        format!("the storage repository '{}' is attached to no host; repair or plug it", record.name_label);
    Err(Error::new(ErrorKind::Io, what))
}

/// An ISO storage repository that takes new images and that every host sees; not the one with the pool's own tools.
pub(super) fn iso_storage(pool: &Pool) -> Result<Option<String>> {
    let all: BTreeMap<String, Sr> = record::all(pool.call("SR.get_all_records", &[])?)?;
    let pbds: BTreeMap<String, Pbd> = record::all(pool.call("PBD.get_all_records", &[])?)?;
    let is_seen_by_all = |sr: &str| {
        let mut of_sr = pbds.values().filter(|pbd| pbd.sr == sr).peekable();
        of_sr.peek().is_some() && of_sr.all(|pbd| pbd.currently_attached)
    };
    let takes_images = |sr: &Sr| {
        let operations = &sr.allowed_operations;
        sr.content_type == "iso"
            && sr.shared
            && !sr.is_tools_sr
            && operations.iter().any(|o| o == "vdi_create")
    };
    let mut found: Vec<_> =
        all.into_iter().filter(|(reference, sr)| takes_images(sr) && is_seen_by_all(reference)).collect();
    // Always the same one.
    found.sort_by(|(_, a), (_, b)| a.uuid.cmp(&b.uuid));
    Ok(found.into_iter().next().map(|(reference, _)| reference))
}

/// The pool's own templates: not those that every pool has.
pub(super) fn templates(pool: &Pool) -> Result<BTreeMap<String, Vm>> {
    let all: BTreeMap<String, Vm> = record::all(pool.call("VM.get_all_records", &[])?)?;
    let is_own = |vm: &Vm| {
        let comes_with_it =
            vm.is_default_template || vm.other_config.get("default_template").is_some_and(|v| v == "true");
        vm.is_a_template
            && !vm.is_a_snapshot
            && !comes_with_it
            && !vm.other_config.contains_key(super::labels::OWNER)
    };
    Ok(all.into_iter().filter(|(_, vm)| is_own(vm)).collect())
}

/// The template of the settings, which must fit for packaging machines.
pub(super) fn template(pool: &Pool) -> Result<Found<Vm>> {
    let wanted = &pool.settings.template;
    let found =
        named("template", wanted, templates(pool)?, |vm| (&vm.uuid, &vm.name_label)).map_err(|e| {
            let what = format!("{e}; only templates of your own count, not those that every pool has");
            if e.to_string().starts_with("there is no") { Error::new(e.kind(), what) } else { e }
        })?;
    fits(&found.record, &disks(pool, &found.record)?)?;
    Ok(found)
}

/// The disks of a machine or template: its VBDs that hold one.
pub(super) fn disks(pool: &Pool, vm: &Vm) -> Result<Vec<Vbd>> {
    let mut disks = Vec::new();
    for vbd in &vm.vbds {
        let vbd: Vbd = record::one(pool.call("VBD.get_record", &[json!(vbd)])?)?;
        if vbd.kind == "Disk" {
            disks.push(vbd);
        }
    }
    Ok(disks)
}

/// Whether a template can be used.
fn fits(template: &Vm, disks: &[Vbd]) -> Result<()> {
    let name = &template.name_label;
    let wrong = |what: String| Err(Error::new(ErrorKind::Unsupported, what));
    if !disks.is_empty() {
        return wrong(format!(
            "the template '{name}' has a disk; make one without: the machine's disk comes from here"
        ));
    }
    if template.vifs.is_empty() {
        return wrong(format!("the template '{name}' has no network interface; add one"));
    }
    if template.boot_policy.is_empty() {
        return wrong(format!(
            "the template '{name}' is for paravirtual guests; make one from 'Other install media'"
        ));
    }
    Ok(())
}

/// The firmware that a template starts machines by.
pub(super) fn firmware(template: &Vm) -> Firmware {
    match template.boot_params.get("firmware").map(String::as_str) {
        Some("uefi") => Firmware::Uefi,
        _ => Firmware::Bios,
    }
}

/// Refuses a template that starts machines by another firmware than the disk needs.
pub(super) fn check_firmware(template: &Vm, wanted: Firmware) -> Result<()> {
    let is = firmware(template);
    if is == wanted {
        return Ok(());
    }
    let name = |firmware| if firmware == Firmware::Uefi { "UEFI" } else { "BIOS" };
    let what = format!(
        "the template '{}' starts machines by {}, and the layer's disk needs {}; choose a template with that firmware",
        template.name_label,
        name(is),
        name(wanted)
    );
    Err(Error::new(ErrorKind::Unsupported, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srs(names: &[(&str, &str)]) -> BTreeMap<String, Sr> {
        let sr = |(uuid, name): &(&str, &str)| {
            let sr = Sr { uuid: (*uuid).into(), name_label: (*name).into(), ..Sr::default() };
            (format!("ref-{uuid}"), sr)
        };
        names.iter().map(sr).collect()
    }

    #[test]
    fn a_name_is_matched_exactly_first_then_in_other_case_and_never_by_guess() {
        let all = || srs(&[("u1", "Fast"), ("u2", "fast"), ("u3", "Slow"), ("u4", "Twin"), ("u5", "Twin")]);
        let find = |wanted: &str| named("storage", wanted, all(), |sr| (&sr.uuid, &sr.name_label));
        let table = [
            ("Fast", "ref-u1", false),
            ("fast", "ref-u2", false),
            ("SLOW", "ref-u3", true),
            ("u4", "ref-u4", false),
        ];
        for (wanted, reference, by_other_case) in table {
            let found = find(wanted).unwrap();
            assert_eq!(
                (found.reference.as_str(), found.by_other_case),
                (reference, by_other_case),
                "{wanted}"
            );
        }
        let twins = find("Twin").unwrap_err().to_string();
        assert!(twins.contains("u4, u5"), "{twins}");
        for bad in ["", "None", "FAST"] {
            assert_eq!(find(bad).unwrap_err().kind(), ErrorKind::Unsupported, "{bad}");
        }
    }

    #[test]
    fn a_template_without_firmware_is_a_bios_one_and_another_is_refused_by_name() {
        let mut template = Vm { name_label: "T".into(), ..Vm::default() };
        assert!(check_firmware(&template, Firmware::Bios).is_ok());
        let refused = check_firmware(&template, Firmware::Uefi).unwrap_err().to_string();
        assert!(refused.contains("BIOS") && refused.contains("UEFI"), "{refused}");
        template.boot_params.insert("firmware".into(), "uefi".into());
        assert!(check_firmware(&template, Firmware::Uefi).is_ok());
    }

    #[test]
    fn a_template_needs_a_network_and_no_disk() {
        let good = Vm { vifs: vec!["v".into()], boot_policy: "BIOS order".into(), ..Vm::default() };
        assert!(fits(&good, &[]).is_ok());
        assert!(fits(&good, &[Vbd::default()]).is_err());
        assert!(fits(&Vm { vifs: vec![], ..good.clone() }, &[]).is_err());
        assert!(fits(&Vm { boot_policy: String::new(), ..good }, &[]).is_err());
    }
}
