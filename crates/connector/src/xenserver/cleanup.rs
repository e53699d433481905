//! Taking away what was made: machines, disks, snapshots, tasks; and base disks that are not worth their space.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::json;

use super::base::{self, UnderWay};
use super::belongings::Belongings;
use super::pool::Pool;
use super::record::{self, Vdi, Vm};
use super::{fault, image, machine, task};
use crate::{Result, Tag};

/// How long a disk that is in use is waited for: a host lets go of one some seconds after a transfer.
const IN_USE: Duration = Duration::from_secs(30);
/// Pause before the next look.
const PAUSE: Duration = Duration::from_millis(500);

/// Does something again as long as what it needs is in use, for a while.
pub(super) fn when_free<T>(mut action: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + IN_USE;
    loop {
        match action() {
            Err(e) if fault::is_in_use(&e) && Instant::now() < deadline => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
}

/// Waits until no control domain has the disk: each keeps it for some seconds after a transfer. One that keeps it for
/// longer is told of by what comes next.
pub(super) fn await_detached(pool: &Pool, vdi: &str) -> Result<()> {
    let deadline = Instant::now() + IN_USE;
    loop {
        let seen: Vdi = record::one(pool.call("VDI.get_record", &[json!(vdi)])?)?;
        if seen.vbds.is_empty() || Instant::now() > deadline {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

/// `Ok` also when it was gone already.
fn or_gone(done: Result<String>) -> Result<()> {
    match done {
        Err(e) if fault::is_gone(&e) => Ok(()),
        other => other.map(drop),
    }
}

/// Makes sure that a disk is gone.
pub(super) fn destroy_disk(pool: &Pool, vdi: &str) -> Result<()> {
    or_gone(when_free(|| pool.run("VDI.destroy", &[json!(vdi)])))
}

/// Makes sure that a machine is off and gone; its disks stay.
pub(super) fn destroy_machine(pool: &Pool, reference: &str, vm: &Vm) -> Result<()> {
    if vm.power_state != "Halted" {
        machine::cut(pool, reference)?;
    }
    or_gone(when_free(|| pool.run("VM.destroy", &[json!(reference)])))
}

/// Makes sure that nothing of ours carries the tag: first what uses disks, then snapshots, then disks. Copies that people
/// made stay.
pub(super) fn remove(pool: &Pool, tag: &Tag) -> Result<()> {
    end_transfers(pool, tag)?;
    let seen = Belongings::seen(pool)?;
    // Snapshots are told by their machine, so they go before it.
    for (reference, vm, _) in seen.machines().into_iter().filter(|(_, _, found)| found == tag) {
        destroy_machine(pool, reference, vm)?;
    }
    let mut disks = seen.packaging_disks().into_iter().filter(|(_, _, found)| found == tag);
    disks.try_for_each(|(reference, _, _)| destroy_disk(pool, reference))
}

/// Takes away the tasks of transfers for a tag.
pub(super) fn end_transfers(pool: &Pool, tag: &Tag) -> Result<()> {
    for (reference, _) in task::ours(pool)?.into_iter().filter(|(_, found)| found == tag) {
        // A transfer that cannot be stopped now ends by itself when its connection does.
        let _ = pool.call("task.cancel", &[json!(reference)]);
        let _ = pool.call("task.destroy", &[json!(reference)]);
    }
    Ok(())
}

/// Every tag of ours that something on the pool carries, but for images that are whole.
pub(super) fn inventory(pool: &Pool) -> Result<Vec<Tag>> {
    let mut tags: BTreeSet<Tag> = task::ours(pool)?.into_iter().map(|(_, tag)| tag).collect();
    let seen = Belongings::seen(pool)?;
    tags.extend(seen.machines().into_iter().map(|(_, _, tag)| tag));
    tags.extend(seen.packaging_disks().into_iter().map(|(_, _, tag)| tag));
    for (_, _, image) in seen.images() {
        tags.remove(&image);
    }
    Ok(tags.into_iter().collect())
}

/// Lets go of base disks: of origins that nobody knows any more, leftovers, and those over `room` bytes, least
/// recently used first.
pub(super) fn trim(
    pool: &Pool,
    under_way: &UnderWay,
    room: u64,
    known: &dyn Fn(&Tag) -> bool,
) -> Result<Vec<String>> {
    task::sweep(pool)?;
    let _cloning = under_way.cloning();
    let mut ours = Belongings::seen(pool)?;
    let mut gone = image::tidy(pool, &ours)?;
    base::leave_to_others(pool, &mut ours);
    let disks = ours.disks;
    for (reference, why) in surplus(&disks, room, known, &|origin| under_way.has(origin)) {
        let vdi = &disks[&reference];
        let origin = base::origin_of(vdi);
        let turn = origin.as_ref().map(|origin| under_way.try_enter(origin));
        if matches!(turn, Some(None)) {
            // Somebody has begun to use it since it was looked at.
            continue;
        }
        destroy_disk(pool, &reference)?;
        gone.push(format!("'{}' ({} MiB): {why}", vdi.name_label, base::bytes(vdi) >> 20));
    }
    Ok(gone)
}

/// Which base disks are too much, and why.
fn surplus(
    disks: &BTreeMap<String, Vdi>,
    room: u64,
    known: &dyn Fn(&Tag) -> bool,
    is_being_sent: &dyn Fn(&Tag) -> bool,
) -> Vec<(String, &'static str)> {
    let mut surplus = Vec::new();
    let mut kept: Vec<(&String, &Vdi)> = Vec::new();
    for (reference, vdi) in disks {
        match base::origin_of(vdi) {
            None if base::is_stray_clone(vdi) => {
                surplus.push((reference.clone(), "it was left by a clone that was not finished"));
            }
            None => {}
            Some(origin) if is_being_sent(&origin) => {}
            Some(_) if !base::is_whole(vdi) => {
                surplus.push((
                    reference.clone(),
                    "it was left by an upload that was not finished, or a machine of somebody had it",
                ));
            }
            Some(origin) if !known(&origin) => {
                surplus.push((reference.clone(), "the version that it is for is gone"));
            }
            Some(_) => kept.push((reference, vdi)),
        }
    }
    kept.sort_by_key(|(_, vdi)| std::cmp::Reverse(base::used(vdi)));
    let mut sum = 0u64;
    for (reference, vdi) in kept {
        sum = sum.saturating_add(base::bytes(vdi));
        if sum > room || room == 0 {
            surplus.push((reference.clone(), "base disks may not take more space"));
        }
    }
    surplus
}

#[cfg(test)]
mod tests {
    use super::super::labels;
    use super::*;

    #[test]
    fn base_disks_go_when_nobody_knows_them_when_unfinished_and_the_longest_unused_when_too_many() {
        let id = |n: u32| format!("0198b2c4-0000-7000-8000-{n:012}");
        let disk = |n: u32, state: &str, used: &str| {
            let uuid = format!("u{n}");
            let marks = [
                (labels::BASE, id(n)),
                (labels::STATE, state.into()),
                (labels::SELF, uuid.clone()),
                (labels::USED, used.into()),
                // A clone of another: the storage tells of little.
                (labels::BYTES, "10".into()),
            ];
            let other_config = marks.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            (format!("r{n}"), Vdi { uuid, other_config, physical_utilisation: 1, ..Vdi::default() })
        };
        let disks = BTreeMap::from([
            disk(1, labels::READY, "100"),
            disk(2, labels::READY, "300"),
            disk(3, labels::READY, "200"),
            disk(4, labels::MAKING, "400"),
            disk(5, labels::READY, "400"),
            disk(6, labels::MAKING, "400"),
        ]);
        let surplus = |room| {
            let known = |tag: &Tag| tag.as_str() != id(5);
            let being_sent = |tag: &Tag| tag.as_str() == id(6);
            let found = surplus(&disks, room, &known, &being_sent);
            found.into_iter().map(|(reference, _)| reference).collect::<Vec<_>>()
        };
        assert_eq!(surplus(30), ["r4", "r5"]);
        assert_eq!(surplus(20), ["r4", "r5", "r1"]);
        assert_eq!(surplus(0), ["r4", "r5", "r2", "r3", "r1"]);
    }
}
