//! A machine's CD: files that Shale gives it, its own tool among them.
//!
//! ```text
//!   an ISO storage repository that takes new disks? ─yes─▶ a disk there, inserted in the machine's CD drive
//!     └no, or it did not take it ───────────────────────▶ a disk beside the machine's, attached read-only
//! ```
//!
//! A pool inserts only what lies in an ISO storage repository; Linux reads the CD from a disk as well, Windows does not.
//! The new one is whole before the old one goes. All carry the machine's tag and go with it.

use std::path::Path;

use serde_json::{Value, json};
use shale_disk::{Disk, FileDisk, Watch};

use super::belongings::Belongings;
use super::pool::Pool;
use super::record::{self, Map, NOTHING, Vbd, Vm};
use super::sparse::Plan;
use super::{cleanup, fault, labels, machine, place, prove, transfer};
use crate::{Error, ErrorKind, Result, Tag};

/// How a machine has its CD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In its CD drive.
    Drive,
    /// As a disk that it cannot write.
    Disk,
}

impl Way {
    /// As it is marked on the machine.
    fn as_str(self) -> &'static str {
        match self {
            Self::Drive => "drive",
            Self::Disk => "disk",
        }
    }
}

/// How the machine has its CD, for people; `None`: it has none of ours.
pub(super) fn told(vm: &Vm) -> Option<String> {
    match vm.other_config.get(labels::CD)?.as_str() {
        "drive" => Some("in its CD drive".into()),
        _ => Some(
            "as a second, read-only disk, since the pool has no ISO storage repository that takes new images: Linux \
             mounts it by its label SHALE-TOOLS, Windows does not read it"
                .into(),
        ),
    }
}

/// Puts an image into the machine's drive in place of what is in it, or takes that out.
pub(super) fn set(pool: &Pool, tag: &Tag, image: Option<&Path>, watch: Watch) -> Result<()> {
    let (reference, vm) = machine::existing(pool, tag)?;
    let Some(image) = image else {
        take_out(pool, &vm, &Belongings::seen(pool)?.cds(tag))?;
        return mark(pool, &reference, None);
    };
    let disk = FileDisk::open(image).map_err(|e| Error::disk("the image of the CD cannot be read", e))?;
    let in_drive = match place::iso_storage(pool)? {
        Some(sr) => made(pool, tag, &vm, &sr, Way::Drive, &disk, watch).and_then(|new| {
            // What is in the drive, ours or not, makes room.
            empty_drives(pool, &vm)?;
            insert(pool, &reference, &vm, &new).map(|()| new)
        }),
        None => Err(Error::new(ErrorKind::Unsupported, "the pool has no ISO storage repository for it")),
    };
    let (new, way) = match in_drive {
        Ok(new) => (new, Way::Drive),
        Err(e) if matches!(e.kind(), ErrorKind::Stopped | ErrorKind::Timeout) => return Err(e),
        Err(e) if vm.power_state != "Halted" => return Err(while_on(&vm, e)),
        Err(_) => {
            let sr = place::storage(pool)?.reference;
            let new = made(pool, tag, &vm, &sr, Way::Disk, &disk, watch)?;
            pool.call("VBD.create", &[device(&reference, &new, Way::Disk)])?;
            (new, Way::Disk)
        }
    };
    // With the old one goes what was left by a try that failed.
    let mut old = Belongings::seen(pool)?.cds(tag);
    old.retain(|vdi| *vdi != new);
    take_out(pool, &vm, &old)?;
    mark(pool, &reference, Some(way))
}

fn while_on(vm: &Vm, e: Error) -> Error {
    let what = format!(
        "the CD of the machine '{}' could not be inserted, and as a disk it is attached only while the machine is off; shut \
         it down first",
        vm.name_label
    );
    Error::new(ErrorKind::Busy, what).with_source(e)
}

/// The image as a disk on a storage repository, whole.
fn made(
    pool: &Pool,
    tag: &Tag,
    vm: &Vm,
    sr: &str,
    way: Way,
    disk: &dyn Disk,
    watch: Watch,
) -> Result<String> {
    let record = json!({
        // For people: the file in an ISO storage repository is named by the disk's UUID.
        "name_label": format!("SHALE-TOOLS {tag}.iso"),
        "name_description": format!("Files for the machine '{}'. Made by Shale, which also deletes it.", vm.name_label),
        "SR": sr,
        "virtual_size": disk.size().to_string(),
        "type": "user",
        "sharable": false,
        "read_only": false,
        "other_config": marks(pool, tag, way, labels::MAKING)?,
        "xenstore_data": {},
        "sm_config": {},
        "tags": labels::Purpose::Packaging.tags(),
    });
    let vdi = pool.run("VDI.create", &[record])?;
    let sent = || -> Result<()> {
        let plan = Plan::of(disk, true)?;
        cleanup::when_free(|| {
            transfer::import(pool, &vdi, tag, plan.length(), watch, |mut to| plan.send(disk, &mut to, watch))
        })?;
        prove::equal(pool, tag, &vdi, disk, &plan, watch)?;
        let marks = marks(pool, tag, way, labels::READY)?;
        pool.call("VDI.set_other_config", &[json!(vdi), json!(marks)]).map(drop)
    };
    match sent() {
        Ok(()) => Ok(vdi),
        Err(e) => {
            // What stays now goes with the next CD, or with the machine.
            let _ = cleanup::destroy_disk(pool, &vdi);
            Err(e)
        }
    }
}

fn marks(pool: &Pool, tag: &Tag, way: Way, state: &str) -> Result<Map> {
    let mut marks = labels::owned(&pool.owner()?);
    marks.insert(labels::TAG.into(), tag.to_string());
    marks.insert(labels::CD.into(), way.as_str().into());
    marks.insert(labels::STATE.into(), state.into());
    Ok(marks)
}

fn device(vm: &str, vdi: &str, way: Way) -> Value {
    json!({
        "VM": vm, "VDI": vdi, "userdevice": "autodetect", "bootable": false, "mode": "RO",
        "type": if way == Way::Drive { "CD" } else { "Disk" }, "unpluggable": true, "empty": false,
        "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {},
    })
}

/// The machine's devices, by reference.
fn devices(pool: &Pool, vm: &Vm) -> Result<Vec<(String, Vbd)>> {
    let one = |vbd: &String| Ok((vbd.clone(), record::one(pool.call("VBD.get_record", &[json!(vbd)])?)?));
    vm.vbds.iter().map(one).collect()
}

fn empty_drives(pool: &Pool, vm: &Vm) -> Result<()> {
    for (vbd, seen) in devices(pool, vm)? {
        if seen.kind == "CD" && seen.vdi != NOTHING {
            eject(pool, &vbd)?;
        }
    }
    Ok(())
}

fn eject(pool: &Pool, vbd: &str) -> Result<()> {
    match pool.run("VBD.eject", &[json!(vbd)]) {
        Err(e) if fault::code(&e) == "VBD_IS_EMPTY" || fault::is_gone(&e) => Ok(()),
        other => other.map(drop),
    }
}

/// Inserts a disk in the machine's drive. A machine without one gets one, which a guest that is on sees when it is next
/// powered on.
fn insert(pool: &Pool, reference: &str, vm: &Vm, vdi: &str) -> Result<()> {
    match devices(pool, vm)?.into_iter().find(|(_, seen)| seen.kind == "CD") {
        Some((vbd, _)) => pool.run("VBD.insert", &[json!(vbd), json!(vdi)]).map(drop),
        None => pool.call("VBD.create", &[device(reference, vdi, Way::Drive)]).map(drop),
    }
}

/// Takes away CDs of ours that the machine had.
fn take_out(pool: &Pool, vm: &Vm, old: &[String]) -> Result<()> {
    for (vbd, seen) in devices(pool, vm)?.into_iter().filter(|(_, seen)| old.contains(&seen.vdi)) {
        match seen.kind.as_str() {
            "CD" => eject(pool, &vbd)?,
            _ if vm.power_state != "Halted" => {
                let e = Error::new(ErrorKind::Busy, "the machine has it as a disk");
                return Err(while_on(vm, e));
            }
            _ => drop(pool.call("VBD.destroy", &[json!(vbd)])?),
        }
    }
    old.iter().try_for_each(|vdi| cleanup::destroy_disk(pool, vdi))
}

/// Notes on the machine how it has its CD.
fn mark(pool: &Pool, reference: &str, way: Option<Way>) -> Result<()> {
    pool.call("VM.remove_from_other_config", &[json!(reference), json!(labels::CD)])?;
    match way {
        Some(way) => {
            let mark = [json!(reference), json!(labels::CD), json!(way.as_str())];
            pool.call("VM.add_to_other_config", &mark).map(drop)
        }
        None => Ok(()),
    }
}
