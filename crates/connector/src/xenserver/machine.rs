//! The packaging machine, or an image: a copy of the template with the disk.
//!
//! ```text
//!   template ──clone, under a name that tells the tag──▶ marked ──▶ named, tagged, sized ──▶ disk ──▶ ready
//! ```
//!
//! One that is not marked as ready is taken away and made anew: it never ran.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use super::disk::{self, Disks};
use super::labels::Purpose;
use super::pool::{Pool, held};
use super::record::{self, Map, NOTHING, Task, Vm, VmMetrics};
use super::{belongings, cd, cleanup, fault, labels, place};
use crate::{Error, ErrorKind, MachineSpec, Observed, Power, Result, Tag};

/// How long a guest's refusal to shut down may take to be told.
const REFUSAL: Duration = Duration::from_secs(5);
/// When a machine that was never started was last started.
const NEVER: &str = "19700101T00:00:00Z";

/// What a machine is called until it is marked.
fn provisional_name(owner: &Tag, tag: &Tag) -> String {
    format!("shale {owner} {tag}")
}

/// The tag of a machine of ours. Copies of our machines, and templates that people made of them, are theirs.
pub(super) fn tag_of(vm: &Vm, owner: &Tag) -> Option<Tag> {
    let config = &vm.other_config;
    if vm.is_a_snapshot || vm.is_a_template && labels::is_ready(config) {
        return None;
    }
    if labels::is_owned(config, owner) {
        return labels::tag(config).filter(|_| labels::is_itself(config, &vm.uuid));
    }
    Tag::parse(vm.name_label.strip_prefix(&format!("shale {owner} "))?).ok()
}

/// All machines with this tag, whole or not.
pub(super) fn all_of(pool: &Pool, tag: &Tag) -> Result<Vec<(String, Vm)>> {
    let owner = pool.owner()?;
    let all: BTreeMap<String, Vm> = record::all(pool.call("VM.get_all_records", &[])?)?;
    Ok(all.into_iter().filter(|(_, vm)| tag_of(vm, &owner).as_ref() == Some(tag)).collect())
}

/// The machine with this tag, whole.
pub(super) fn find(pool: &Pool, tag: &Tag) -> Result<Option<(String, Vm)>> {
    let owner = pool.owner()?;
    let is_it = |vm: &Vm| tag_of(vm, &owner).as_ref() == Some(tag) && labels::is_ready(&vm.other_config);
    let known = held(&pool.machines).get(tag).cloned();
    if let Some(reference) = known {
        match pool.call("VM.get_record", &[json!(reference)]).and_then(record::one::<Vm>) {
            Ok(vm) if is_it(&vm) => return Ok(Some((reference, vm))),
            Err(e) if !fault::is_gone(&e) => return Err(e),
            _ => drop(held(&pool.machines).remove(tag)),
        }
    }
    let found = all_of(pool, tag)?.into_iter().find(|(_, vm)| is_it(vm));
    if let Some((reference, _)) = &found {
        held(&pool.machines).insert(tag.clone(), reference.clone());
    }
    Ok(found)
}

/// The machine with this tag, which must be there.
pub(super) fn existing(pool: &Pool, tag: &Tag) -> Result<(String, Vm)> {
    find(pool, tag)?.ok_or_else(|| absent(tag))
}

pub(super) fn absent(tag: &Tag) -> Error {
    Error::new(ErrorKind::Absent, format!("there is no machine {tag} in the pool"))
}

/// Makes sure that the machine is there.
pub(super) fn ensure(pool: &Pool, tag: &Tag, spec: &MachineSpec, purpose: Purpose) -> Result<()> {
    let disks = Disks::of(pool, tag)?;
    let Some((disk, _)) = disks.whole() else {
        return Err(Error::new(
            ErrorKind::Absent,
            format!("the disk of the machine '{}' is not there", spec.name),
        ));
    };
    if find(pool, tag)?.is_some() {
        return Ok(());
    }
    for (reference, vm) in all_of(pool, tag)? {
        cleanup::destroy_machine(pool, &reference, &vm)?;
    }
    let template = place::template(pool)?;
    place::check_firmware(&template.record, spec.firmware)?;
    let owner = pool.owner()?;
    let name = provisional_name(&owner, tag);
    let vm = pool.run("VM.clone", &[json!(template.reference), json!(name)])?;
    let mut marks = inherited(&template.record.other_config);
    marks.extend(labels::owned(&owner));
    marks.insert(labels::TAG.into(), tag.to_string());
    marks.insert(labels::STATE.into(), labels::MAKING.into());
    let made: Vm = record::one(pool.call("VM.get_record", &[json!(vm)])?)?;
    marks.insert(labels::SELF.into(), made.uuid);
    pool.call("VM.set_other_config", &[json!(vm), json!(marks)])?;
    dress(pool, &vm, &template.record, spec, purpose)?;
    if purpose == Purpose::Packaging {
        size(pool, &vm, &template.record)?;
    }
    let vbd = json!({
        "VM": vm, "VDI": disk, "userdevice": "0", "bootable": true, "mode": "RW", "type": "Disk",
        "unpluggable": false, "empty": false, "other_config": { "owner": "true" },
        "qos_algorithm_type": "", "qos_algorithm_params": {},
    });
    pool.call("VBD.create", &[vbd])?;
    marks.insert(labels::STATE.into(), labels::READY.into());
    pool.call("VM.set_other_config", &[json!(vm), json!(marks)])?;
    held(&pool.machines).insert(tag.clone(), vm);
    Ok(())
}

/// What a machine has of its template: its folder in XenCenter, say; but not disks to be made, nor marks of ours.
fn inherited(template: &Map) -> Map {
    let not = ["disks", "install-methods", "default_template", "linux_template"];
    let kept = template.iter().filter(|(key, _)| !not.contains(&key.as_str()) && !key.starts_with("shale:"));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Makes a machine of the template's copy.
fn dress(pool: &Pool, vm: &str, template: &Vm, spec: &MachineSpec, purpose: Purpose) -> Result<()> {
    let set = |field: &str, value: serde_json::Value| {
        pool.call(&format!("VM.set_{field}"), &[json!(vm), value]).map(drop)
    };
    pool.run("VM.provision", &[json!(vm)])?;
    set("is_a_template", json!(false))?;
    set("name_label", json!(spec.name))?;
    set("name_description", json!(purpose.of_machine()))?;
    let mut tags = template.tags.clone();
    tags.extend(purpose.tags().map(str::to_owned));
    tags.sort();
    tags.dedup();
    set("tags", json!(tags))?;
    set("HVM_boot_params", json!(boots_from_disk(&template.boot_params)))
}

/// Memory and CPUs of packaging machines, as the settings say. Images have their template's.
fn size(pool: &Pool, vm: &str, template: &Vm) -> Result<()> {
    let set = |field: &str, value: serde_json::Value| {
        pool.call(&format!("VM.set_{field}"), &[json!(vm), value]).map(drop)
    };
    let cpus = i64::from(pool.settings.cpus);
    if cpus > 0 {
        // At no moment may more be wanted at the start than there can be.
        let order = if cpus > template.cpus {
            ["VCPUs_max", "VCPUs_at_startup"]
        } else {
            ["VCPUs_at_startup", "VCPUs_max"]
        };
        order.into_iter().try_for_each(|field| set(field, json!(cpus.to_string())))?;
    }
    if pool.settings.memory_mib > 0 {
        let memory = i64::from(pool.settings.memory_mib) << 20;
        let least = template.memory_static_min.min(memory).to_string();
        let all = json!(memory.to_string());
        pool.call("VM.set_memory_limits", &[json!(vm), json!(least), all.clone(), all.clone(), all])?;
    }
    Ok(())
}

/// Boots from the disk first, whatever else the template would try.
fn boots_from_disk(params: &Map) -> Map {
    let mut params = params.clone();
    let order = params.get("order").cloned().unwrap_or_default();
    let rest: String = order.chars().filter(|device| *device != 'c').collect();
    params.insert("order".into(), format!("c{rest}"));
    params
}

/// Makes sure that the machine runs.
pub(super) fn power_on(pool: &Pool, tag: &Tag) -> Result<()> {
    let (reference, vm) = existing(pool, tag)?;
    let vm_ref = json!(reference);
    let done = match vm.power_state.as_str() {
        "Running" => return Ok(()),
        "Paused" => pool.run("VM.unpause", &[vm_ref]),
        "Suspended" => pool.run("VM.resume", &[vm_ref, json!(false), json!(false)]),
        _ => {
            if !vm.other_config.contains_key(labels::POWERED_ON) {
                let now = json!(labels::now().to_string());
                let marked =
                    pool.call("VM.add_to_other_config", &[vm_ref.clone(), json!(labels::POWERED_ON), now]);
                marked
                    .map(drop)
                    .or_else(|e| if fault::code(&e) == "MAP_DUPLICATE_KEY" { Ok(()) } else { Err(e) })?;
            }
            cleanup::when_free(|| pool.run("VM.start", &[vm_ref.clone(), json!(false), json!(false)]))
        }
    };
    match done {
        // Somebody else was quicker.
        Err(e)
            if fault::code(&e) == "VM_BAD_POWER_STATE" && existing(pool, tag)?.1.power_state == "Running" =>
        {
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Asks the guest to shut down. `VM.shutdown` would cut the power when the guest does not hear.
pub(super) fn shut_down(pool: &Pool, tag: &Tag) -> Result<()> {
    let (reference, vm) = existing(pool, tag)?;
    if vm.power_state == "Halted" {
        return Ok(());
    }
    let task = pool.call("Async.VM.clean_shutdown", &[json!(reference)])?;
    let deadline = Instant::now() + REFUSAL;
    loop {
        // A task that is gone has done its work.
        let Ok(seen) =
            pool.call("task.get_record", std::slice::from_ref(&task)).and_then(record::one::<Task>)
        else {
            return Ok(());
        };
        if seen.status != "pending" {
            let _ = pool.call("task.destroy", &[task]);
            if seen.status != "failure" || existing(pool, tag)?.1.power_state == "Halted" {
                return Ok(());
            }
            return Err(super::pool::fault_of_task("VM.clean_shutdown", &seen.error_info));
        }
        if Instant::now() > deadline {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Makes sure that the machine is off.
pub(super) fn power_off(pool: &Pool, tag: &Tag) -> Result<()> {
    match find(pool, tag)? {
        Some((reference, vm)) if vm.power_state != "Halted" => cut(pool, &reference),
        _ => Ok(()),
    }
}

/// Cuts the power.
pub(super) fn cut(pool: &Pool, reference: &str) -> Result<()> {
    match pool.run("VM.hard_shutdown", &[json!(reference)]) {
        Err(e) if fault::code(&e) == "VM_BAD_POWER_STATE" || fault::is_gone(&e) => Ok(()),
        other => other.map(drop),
    }
}

/// How the machine stands.
pub(super) fn observe(pool: &Pool, tag: &Tag) -> Result<Observed> {
    let Some((_, vm)) = find(pool, tag)? else { return Ok(Observed::absent()) };
    let vdi = match belongings::boot_disk(pool, &vm)? {
        Some(disk) => {
            match pool.call("VDI.get_record", &[json!(disk)]).and_then(record::one::<record::Vdi>) {
                Ok(vdi) => Some(vdi),
                Err(e) if fault::is_gone(&e) => None,
                Err(e) => return Err(e),
            }
        }
        None => None,
    };
    let (power, mut detail) = match vm.power_state.as_str() {
        "Running" => (Power::Running, None),
        "Paused" => (Power::Paused, Some("it was paused in the pool; power it on to let it go on")),
        "Suspended" => (Power::Paused, Some("it was suspended in the pool; power it on to let it go on")),
        _ => (Power::Off, None),
    };
    if vdi.is_none() {
        detail = Some("its disk was deleted, and with it all that was changed; cancel and start anew");
    }
    Ok(Observed {
        power,
        was_powered_on: was_powered_on(pool, &vm),
        detail: detail.map(str::to_owned),
        name: vm.name_label.clone(),
        place: whereabouts(pool, &vm, vdi.as_ref().map(|vdi| vdi.sr.as_str())),
        has_screen: power == Power::Running,
        changed_bytes: vdi.map_or(0, |vdi| vdi.physical_utilisation.max(0).unsigned_abs()),
        cd: cd::told(&vm),
        ..Observed::absent()
    })
}

/// Whether it was ever on: started by us, or by somebody else.
pub(super) fn was_powered_on(pool: &Pool, vm: &Vm) -> bool {
    if vm.power_state != "Halted" || vm.other_config.contains_key(labels::POWERED_ON) {
        return true;
    }
    if vm.metrics.is_empty() || vm.metrics == NOTHING {
        return false;
    }
    let metrics = pool.call("VM_metrics.get_record", &[json!(vm.metrics)]).and_then(record::one::<VmMetrics>);
    metrics.is_ok_and(|metrics| !metrics.start_time.is_empty() && metrics.start_time != NEVER)
}

pub(super) fn whereabouts(pool: &Pool, vm: &Vm, sr: Option<&str>) -> String {
    let mut parts = vec![format!("pool at {}", pool.configured().host)];
    if !vm.resident_on.is_empty() && vm.resident_on != NOTHING {
        parts.push(format!("host '{}'", pool.name_of("host", &vm.resident_on)));
    }
    if let Some(sr) = sr {
        parts.push(format!("storage '{}'", pool.name_of("SR", sr)));
    }
    parts.join(", ")
}

/// The machine and its disks, off, for reading.
pub(super) fn off(pool: &Pool, tag: &Tag) -> Result<Disks> {
    let found = find(pool, tag)?;
    let disks = Disks::of(pool, tag)?;
    if let Some((_, vm)) = &found
        && vm.power_state != "Halted"
    {
        let what = format!("the machine '{}' is on; shut it down first", vm.name_label);
        return Err(Error::new(ErrorKind::Busy, what));
    }
    match (disks.whole(), found) {
        (Some(_), _) => Ok(disks),
        (None, None) => Err(absent(tag)),
        (None, Some((_, vm))) => {
            let what = format!(
                "the disk of the machine '{}' was deleted, and with it all that was changed; cancel and start anew",
                vm.name_label
            );
            Err(Error::new(ErrorKind::Damaged, what))
        }
    }
}

/// The size of a machine's disk, as it was asked for.
pub(super) fn disk_size(disks: &Disks) -> u64 {
    disks.disk.as_ref().map_or(0, |(_, vdi)| disk::asked_size(vdi))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Map {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_machine_inherits_its_folder_but_neither_disks_to_be_made_nor_marks() {
        let template = map(&[
            ("folder", "/Lab"),
            ("disks", "<provision/>"),
            ("shale:tag", "x"),
            ("default_template", "true"),
        ]);
        assert_eq!(inherited(&template), map(&[("folder", "/Lab")]));
    }

    #[test]
    fn a_machine_boots_from_its_disk_first_and_keeps_its_firmware() {
        let table = [("ndc", "cnd"), ("cd", "cd"), ("", "c")];
        for (order, expected) in table {
            let params = boots_from_disk(&map(&[("order", order), ("firmware", "uefi")]));
            assert_eq!(params, map(&[("order", expected), ("firmware", "uefi")]), "{order}");
        }
    }

    #[test]
    fn a_machine_is_known_by_its_mark_or_its_first_name_and_a_template_made_of_it_is_not_ours() {
        let owner = Tag::parse("0198b2c4-0000-7000-8000-00000000000a").unwrap();
        let tag = Tag::parse("0198b2c4-0000-7000-8000-00000000000b").unwrap();
        let marked = map(&[
            (labels::OWNER, owner.as_str()),
            (labels::TAG, tag.as_str()),
            (labels::STATE, labels::READY),
            (labels::SELF, "u1"),
        ]);
        let vm = Vm { uuid: "u1".into(), other_config: marked, ..Vm::default() };
        assert_eq!(tag_of(&vm, &owner), Some(tag.clone()));
        assert_eq!(tag_of(&vm, &tag), None, "another server's");
        assert_eq!(tag_of(&Vm { is_a_template: true, ..vm.clone() }, &owner), None);
        assert_eq!(tag_of(&Vm { uuid: "u2".into(), ..vm }, &owner), None, "a copy");
        let new = Vm { name_label: provisional_name(&owner, &tag), is_a_template: true, ..Vm::default() };
        assert_eq!(tag_of(&new, &owner), Some(tag));
        assert_eq!(tag_of(&Vm { name_label: "shale".into(), ..Vm::default() }, &owner), None);
    }
}
