//! A layered image in the pool: a machine that was never started, with a disk of its own.
//!
//! ```text
//!   disk ──▶ machine ──▶ what else carries the tag goes ──▶ marked as an image: whole, and the administrator's
//! ```
//!
//! Until the mark it is like a packaging machine: found by its tag, made anew where it is half made, removed by the sweep. After
//! it, only who published it removes it, and [`claimed`] tells what somebody made of it since.

use serde_json::json;
use shale_disk::Watch;

use super::base::UnderWay;
use super::belongings::{self, Belongings};
use super::labels::{self, Purpose};
use super::pool::{Pool, held};
use super::record::{self, Vm};
use super::{cleanup, disk, fault, machine};
use crate::{MachineSpec, Origin, Published, Result, Tag};

/// Makes sure that the image is there, whole.
pub(super) fn publish(
    pool: &Pool,
    under_way: &UnderWay,
    tag: &Tag,
    spec: &MachineSpec,
    origin: &Origin,
    watch: Watch,
) -> Result<Published> {
    let known = machine::find(pool, tag)?.filter(|(_, vm)| labels::is_image(&vm.other_config));
    let (image, how) = match known {
        Some((_, vm)) => (vm, "It was in the pool already.".to_owned()),
        None => {
            let wanted = disk::Wanted { tag, spec, purpose: Purpose::Image };
            let how = disk::ensure(pool, under_way, wanted, origin, watch)?;
            machine::ensure(pool, tag, spec, Purpose::Image)?;
            let (reference, vm) = machine::existing(pool, tag)?;
            tidy_beside(pool, &Belongings::seen(pool)?, &reference, &vm, tag)?;
            let now = json!(labels::now().to_string());
            let marked = pool.call("VM.add_to_other_config", &[json!(reference), json!(labels::IMAGE), now]);
            marked.map(drop).or_else(|e| match fault::code(&e) {
                "MAP_DUPLICATE_KEY" => Ok(()),
                _ => Err(e),
            })?;
            (vm, how)
        }
    };
    // Nobody waits for what happens to it.
    held(&pool.machines).remove(tag);
    Ok(Published { how, place: place_of(pool, &image)? })
}

fn place_of(pool: &Pool, vm: &Vm) -> Result<String> {
    let disk = match belongings::boot_disk(pool, vm)? {
        Some(disk) => Some(record::one::<record::Vdi>(pool.call("VDI.get_record", &[json!(disk)])?)?),
        None => None,
    };
    Ok(machine::whereabouts(pool, vm, disk.as_ref().map(|vdi| vdi.sr.as_str())))
}

/// Takes away what carries the tag of a whole image and is not the image: what a repeated or lost call left. Answers what went.
pub(super) fn tidy(pool: &Pool, seen: &Belongings) -> Result<Vec<String>> {
    let mut gone = Vec::new();
    for (reference, vm, tag) in seen.images() {
        gone.extend(tidy_beside(pool, seen, reference, vm, &tag)?);
    }
    Ok(gone)
}

fn tidy_beside(pool: &Pool, seen: &Belongings, image: &str, vm: &Vm, tag: &Tag) -> Result<Vec<String>> {
    cleanup::end_transfers(pool, tag)?;
    let mut gone = Vec::new();
    let of_tag = |found: &Tag| found == tag;
    for (reference, other, _) in seen.machines().into_iter().filter(|(_, _, found)| of_tag(found)) {
        // Snapshots of the image are somebody's.
        if reference != image && other.snapshot_of != image {
            cleanup::destroy_machine(pool, reference, other)?;
            gone.push(format!("'{}', left while '{}' was published", other.name_label, vm.name_label));
        }
    }
    for (reference, vdi, _) in seen.packaging_disks().into_iter().filter(|(_, _, found)| of_tag(found)) {
        // A whole one is the image's, or a copy that somebody made of it.
        if !labels::is_ready(&vdi.other_config) {
            cleanup::destroy_disk(pool, reference)?;
            gone.push(format!("the disk '{}', left while it was published", vdi.name_label));
        }
    }
    Ok(gone)
}

/// What somebody did with an image since it was published.
pub(super) fn claimed(pool: &Pool, tag: &Tag) -> Result<Option<String>> {
    let seen = Belongings::seen(pool)?;
    let Some((reference, vm)) = seen.published(tag) else { return Ok(None) };
    let name = &vm.name_label;
    Ok(if vm.is_a_template {
        Some(format!("'{name}' was made a template"))
    } else if machine::was_powered_on(pool, vm) {
        Some(format!("'{name}' was started"))
    } else if seen.has_snapshots(reference) {
        Some(format!("'{name}' has snapshots"))
    } else {
        None
    })
}
