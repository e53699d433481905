//! Base disks: origins kept on the storage, so that the next machine of a layer starts from a clone.
//!
//! ```text
//!   is it there, whole? ─yes─▶ use it
//!     └no─▶ an older one, of which the difference is known? ─yes─▶ clone that ─┐
//!             └no─▶ new, empty disk ───────────────────────────────────────────┴─▶ send ─▶ prove ─▶ mark as whole
//! ```
//!
//! One that was not marked is a leftover: XenServer cannot tell what of it arrived, so it is removed and sent anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use shale_disk::{Disk, Watch};

use super::belongings::Belongings;
use super::labels;
use super::place::Found;
use super::pool::{Pool, held};
use super::prove;
use super::record::{self, Map, Sr, Vdi};
use super::sparse::Plan;
use super::{cleanup, fault, task, transfer};
use crate::{Error, ErrorKind, Origin, Result, Tag};

/// A base disk that is whole.
pub(super) struct Base {
    /// Its reference.
    pub vdi: String,
    /// What was sent for it now, in a sentence.
    pub how: String,
}

/// Origins that are being sent at this moment: another machine of the same origin waits.
#[derive(Default)]
pub(super) struct UnderWay {
    origins: Mutex<BTreeSet<Tag>>,
    ended: Condvar,
    cloning: Mutex<()>,
}

/// The right to send an origin.
pub(super) struct Turn<'a> {
    under_way: &'a UnderWay,
    origin: Tag,
}

impl UnderWay {
    /// Waits until nobody sends this origin.
    pub fn enter(&self, origin: &Tag, watch: Watch) -> Result<Turn<'_>> {
        let mut origins = held(&self.origins);
        while !origins.insert(origin.clone()) {
            if watch(0).is_break() {
                return Err(stopped());
            }
            let woken = self.ended.wait_timeout(origins, Duration::from_millis(500));
            origins = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(Turn { under_way: self, origin: origin.clone() })
    }

    /// The right to do away with what there is of this origin, unless somebody sends or uses it.
    pub fn try_enter(&self, origin: &Tag) -> Option<Turn<'_>> {
        let is_free = held(&self.origins).insert(origin.clone());
        is_free.then(|| Turn { under_way: self, origin: origin.clone() })
    }

    /// Held from the making of a clone to its marking: in between it looks like a leftover.
    pub fn cloning(&self) -> MutexGuard<'_, ()> {
        held(&self.cloning)
    }

    /// Whether somebody sends this origin.
    pub fn has(&self, origin: &Tag) -> bool {
        held(&self.origins).contains(origin)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        held(&self.under_way.origins).remove(&self.origin);
        self.under_way.ended.notify_all();
    }
}

pub(super) fn stopped() -> Error {
    Error::new(ErrorKind::Stopped, "stopped as asked while the disk was made")
}

/// The origin that a disk is the base disk of, whole or not.
pub(super) fn origin_of(vdi: &Vdi) -> Option<Tag> {
    let is_itself = vdi.other_config.get(labels::SELF).is_none_or(|uuid| *uuid == vdi.uuid);
    if vdi.is_a_snapshot || !is_itself || vdi.other_config.contains_key(labels::TAG) {
        return None;
    }
    Tag::parse(vdi.other_config.get(labels::BASE)?).ok()
}

/// Whether a disk is a whole base disk.
pub(super) fn is_whole(vdi: &Vdi) -> bool {
    origin_of(vdi).is_some()
        && labels::is_ready(&vdi.other_config)
        && vdi.other_config.contains_key(labels::SELF)
}

/// A clone of a base disk of which nothing else is known yet: a crash came before it was marked. Snapshots of base disks,
/// and copies that have a machine or another name, are people's.
pub(super) fn is_stray_clone(vdi: &Vdi) -> bool {
    let config = &vdi.other_config;
    let is_unchanged =
        config.get(labels::BASE).is_some_and(|origin| vdi.name_label == format!("Shale base {origin}"));
    is_unchanged
        && !vdi.is_a_snapshot
        && vdi.vbds.is_empty()
        && !config.contains_key(labels::TAG)
        && origin_of(vdi).is_none()
}

/// Takes base disks out that a machine of somebody has: it may write to them. They are marked, so that they are not
/// trusted later either; once they are free they are leftovers.
pub(super) fn leave_to_others(pool: &Pool, ours: &mut Belongings) {
    let is_taken = |vdi: &Vdi| origin_of(vdi).is_some() && ours.is_held_by_others(vdi);
    let taken: Vec<String> =
        ours.disks.iter().filter(|(_, vdi)| is_taken(vdi)).map(|(at, _)| at.clone()).collect();
    for vdi in taken {
        distrust(pool, &vdi);
        ours.disks.remove(&vdi);
    }
}

fn distrust(pool: &Pool, vdi: &str) {
    // Where it cannot be marked now, it is when it is seen next.
    let _ = pool.call("VDI.remove_from_other_config", &[json!(vdi), json!(labels::STATE)]);
}

/// An error of a disk that was made from an older base disk: if it differs, the older one is what somebody wrote to, and
/// the next try does without.
fn untrusted(pool: &Pool, older: &str, e: Error) -> Error {
    if e.kind() != ErrorKind::Damaged {
        return e;
    }
    distrust(pool, older);
    Error::new(
        ErrorKind::Io,
        "an older base disk was written to by somebody; it is not used when tried again",
    )
    .with_source(e)
}

/// Makes sure that the origin's base disk is on the storage.
pub(super) fn ensure(
    pool: &Pool,
    under_way: &UnderWay,
    tag: &Tag,
    storage: &Found<Sr>,
    origin: &Origin,
    watch: Watch,
) -> Result<Base> {
    let sr = storage.reference.as_str();
    let mut ours = Belongings::seen(pool)?;
    leave_to_others(pool, &mut ours);
    let ours = ours.disks;
    let of_origin =
        || ours.iter().filter(|(_, vdi)| vdi.sr == sr && origin_of(vdi).as_ref() == Some(&origin.id));
    if let Some((vdi, _)) = of_origin().find(|(_, vdi)| is_whole(vdi)) {
        match prove::still_equal(pool, vdi, origin.disk, watch) {
            // Somebody wrote to it: it goes, and is sent anew.
            Err(e) if e.kind() == ErrorKind::Damaged => {}
            other => {
                other?;
                touch(pool, vdi);
                let how = "The disk is a clone of its base disk, which was on the storage already; nothing was sent.";
                return Ok(Base { vdi: vdi.clone(), how: how.into() });
            }
        }
    }
    for (vdi, _) in of_origin() {
        cleanup::destroy_disk(pool, vdi)?;
    }
    let (vdi, plan, how, grown_from) = match older(&ours, sr, origin) {
        Some((older, difference)) => {
            let plan = Plan::of(&*difference, true)?;
            (origin.total)(plan.bytes());
            fits(&storage.record, &plan)?;
            let vdi = clone_of(pool, under_way, older, origin)?;
            let sent = send(pool, tag, &vdi, &*difference, &plan, watch);
            let how = format!("{} MiB that differ from an older base disk were sent.", mib(plan.bytes()));
            (unless_failed(pool, vdi, sent)?, plan, how, Some(older))
        }
        None => {
            let plan = Plan::of(origin.disk, false)?;
            (origin.total)(plan.bytes());
            fits(&storage.record, &plan)?;
            let vdi = empty(pool, sr, origin)?;
            let sent = send(pool, tag, &vdi, origin.disk, &plan, watch);
            let how = format!("{} MiB of data were sent; they stay as a base disk.", mib(plan.bytes()));
            (unless_failed(pool, vdi, sent)?, plan, how, None)
        }
    };
    let proven = prove::equal(pool, tag, &vdi, origin.disk, &plan, watch).and_then(|by| {
        if let Some(older) = grown_from {
            prove::still_equal(pool, &vdi, origin.disk, watch).map_err(|e| untrusted(pool, older, e))?;
        }
        let uuid = one(pool, &vdi)?.uuid;
        let shared = grown_from.and_then(|older| ours.get(older)).map_or(0, bytes);
        let taken = plan.bytes().saturating_add(shared).to_string();
        let whole = [(labels::STATE, labels::READY), (labels::SELF, &uuid), (labels::BYTES, &taken)];
        mark(pool, &vdi, origin, &whole)?;
        Ok(by)
    });
    let by = match proven {
        Ok(by) => by,
        Err(e) => return unless_failed(pool, vdi, Err(e)).map(|vdi| Base { vdi, how }),
    };
    Ok(Base { vdi, how: format!("{how} {by}") })
}

/// Refuses what there is no room for before anything is sent: where space is given out as it is written, a host would
/// only tell of a broken disk.
fn fits(sr: &Sr, plan: &Plan) -> Result<()> {
    match sr.free() {
        Some(free) if free < plan.bytes() => {
            let what = format!(
                "the storage repository '{}' has {} MiB free, and {} MiB are to be sent; make room there, or choose another",
                sr.name_label,
                free >> 20,
                mib(plan.bytes())
            );
            Err(Error::new(ErrorKind::Full, what))
        }
        _ => Ok(()),
    }
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// The disk, or the error after the disk is removed.
fn unless_failed(pool: &Pool, vdi: String, done: Result<()>) -> Result<String> {
    match done {
        Ok(()) => Ok(vdi),
        Err(e) => {
            // What stays now is a leftover that the next try or the next trim removes.
            let _ = cleanup::destroy_disk(pool, &vdi);
            Err(e)
        }
    }
}

/// The base disk last used of which the difference is known.
fn older<'a>(
    ours: &'a BTreeMap<String, Vdi>,
    sr: &str,
    origin: &'a Origin,
) -> Option<(&'a str, Box<dyn Disk + 'a>)> {
    let mut bases: Vec<(&String, &Vdi)> =
        ours.iter().filter(|(_, vdi)| vdi.sr == sr && is_whole(vdi)).collect();
    bases.retain(|(_, vdi)| vdi.size() <= origin.disk.size().next_multiple_of(2 << 20));
    bases.sort_by_key(|(_, vdi)| std::cmp::Reverse(used(vdi)));
    bases
        .into_iter()
        .find_map(|(reference, vdi)| Some((reference.as_str(), (origin.since)(&origin_of(vdi)?)?)))
}

/// When a base disk was last used, in seconds since 1970.
pub(super) fn used(vdi: &Vdi) -> u64 {
    vdi.other_config.get(labels::USED).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Bytes that a base disk takes on the storage, with what it shares.
pub(super) fn bytes(vdi: &Vdi) -> u64 {
    let told = vdi.other_config.get(labels::BYTES).and_then(|text| text.parse().ok());
    told.unwrap_or_else(|| vdi.physical_utilisation.max(0).unsigned_abs())
}

fn touch(pool: &Pool, vdi: &str) {
    // Only the order in which base disks are let go depends on it.
    let _ = pool.call("VDI.remove_from_other_config", &[json!(vdi), json!(labels::USED)]);
    let now = labels::now().to_string();
    let _ = pool.call("VDI.add_to_other_config", &[json!(vdi), json!(labels::USED), json!(now)]);
}

fn one(pool: &Pool, vdi: &str) -> Result<Vdi> {
    record::one(pool.call("VDI.get_record", &[json!(vdi)])?)
}

fn marks(pool: &Pool, origin: &Origin, more: &[(&str, &str)]) -> Result<Map> {
    let mut marks = labels::owned(&pool.owner()?);
    marks.insert(labels::BASE.into(), origin.id.to_string());
    marks.insert(labels::USED.into(), labels::now().to_string());
    marks.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Ok(marks)
}

fn mark(pool: &Pool, vdi: &str, origin: &Origin, more: &[(&str, &str)]) -> Result<()> {
    let marks = marks(pool, origin, more)?;
    pool.call("VDI.set_other_config", &[json!(vdi), json!(marks)]).map(drop)
}

fn name(origin: &Origin) -> String {
    format!("Shale base {}", origin.id)
}

const DESCRIPTION: &str =
    "A base disk kept by Shale so that the next packaging machine is quickly made. It may be deleted.";

fn empty(pool: &Pool, sr: &str, origin: &Origin) -> Result<String> {
    let record = json!({
        "name_label": name(origin),
        "name_description": DESCRIPTION,
        "SR": sr,
        "virtual_size": origin.disk.size().to_string(),
        "type": "user",
        "sharable": false,
        "read_only": false,
        "other_config": marks(pool, origin, &[(labels::STATE, labels::MAKING)])?,
        "xenstore_data": {},
        "sm_config": {},
        "tags": [labels::Purpose::Packaging.tags()[0]],
    });
    let made = pool.run("VDI.create", &[record])?;
    if one(pool, &made)?.size() < origin.disk.size() {
        let what = "the storage made a disk that is smaller than was asked for";
        return unless_failed(pool, made, Err(Error::new(ErrorKind::Io, what)));
    }
    Ok(made)
}

fn clone_of(pool: &Pool, under_way: &UnderWay, older: &str, origin: &Origin) -> Result<String> {
    touch(pool, older);
    let made =
        marked_clone(pool, under_way, older, &marks(pool, origin, &[(labels::STATE, labels::MAKING)])?)?;
    let changed = || -> Result<()> {
        pool.call("VDI.set_name_label", &[json!(made), json!(name(origin))])?;
        if one(pool, &made)?.size() < origin.disk.size() {
            let size: Value = json!(origin.disk.size().to_string());
            cleanup::when_free(|| pool.run("VDI.resize", &[json!(made), size.clone()]))?;
        }
        Ok(())
    };
    let done = changed();
    unless_failed(pool, made.clone(), done)
}

/// A clone that carries `marks` instead of its original's.
pub(super) fn marked_clone(pool: &Pool, under_way: &UnderWay, of: &str, marks: &Map) -> Result<String> {
    let _cloning = under_way.cloning();
    let made = cleanup::when_free(|| pool.run("VDI.clone", &[json!(of), json!({})]))?;
    let marked = pool.call("VDI.set_other_config", &[json!(made), json!(marks)]).map(drop);
    unless_failed(pool, made, marked)
}

fn send(pool: &Pool, tag: &Tag, vdi: &str, disk: &dyn Disk, plan: &Plan, watch: Watch) -> Result<()> {
    let sent = cleanup::when_free(|| {
        transfer::import(pool, vdi, tag, plan.length(), watch, |mut to| plan.send(disk, &mut to, watch))
    });
    match sent {
        // Nobody knows how it ended: the proof tells.
        Err(e) if task::is_lost(&e) => Ok(()),
        Err(e) if fault::code(&e) == "VDI_IO_ERROR" => {
            let what = "the pool could not take the disk whole: its storage failed or is full, or the connection broke";
            Err(Error::new(ErrorKind::Io, what).with_source(e))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "0198b2c4-0000-7000-8000-000000000001";

    fn vdi(marks: &[(&str, &str)]) -> Vdi {
        let other_config = marks.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Vdi { uuid: "u1".into(), name_label: format!("Shale base {ORIGIN}"), other_config, ..Vdi::default() }
    }

    #[test]
    fn a_clone_is_not_taken_for_its_base_disk() {
        let base = [(labels::BASE, ORIGIN), (labels::STATE, labels::READY)];
        let whole = vdi(&[&base[..], &[(labels::SELF, "u1")]].concat());
        assert!(is_whole(&whole) && !is_stray_clone(&whole));
        // As a crash between the clone and its marks leaves it.
        let clone = vdi(&[&base[..], &[(labels::SELF, "another")]].concat());
        assert!(!is_whole(&clone) && is_stray_clone(&clone));
        assert!(!is_stray_clone(&Vdi { is_a_snapshot: true, ..clone.clone() }), "people's");
        assert!(!is_stray_clone(&Vdi { vbds: vec!["v".into()], ..clone.clone() }), "people's");
        assert!(!is_stray_clone(&Vdi { name_label: "mine".into(), ..clone.clone() }), "people's");
        let unfinished = vdi(&[(labels::BASE, ORIGIN), (labels::STATE, labels::MAKING)]);
        assert!(!is_whole(&unfinished) && !is_stray_clone(&unfinished) && origin_of(&unfinished).is_some());
        let packaging = vdi(&[(labels::TAG, ORIGIN)]);
        assert!(!is_whole(&packaging) && !is_stray_clone(&packaging));
        assert!(!is_whole(&Vdi { is_a_snapshot: true, ..whole }));
    }
}
