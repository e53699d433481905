//! The packaging disk: a clone of the base disk, grown, with a snapshot of how it was when it was made. An image's disk is the
//! same without snapshot.
//!
//! ```text
//!   base disk ──clone──▶ disk ──resize──▶ ──partition table moved──▶ ──CBT on──▶ ──snapshot──▶ ready
//! ```

use serde_json::json;
use shale_disk::{Watch, table};

use super::base::{self, UnderWay};
use super::belongings::{self, Belongings};
use super::labels::Purpose;
use super::pool::Pool;
use super::record::{self, Map, Vdi, Vm};
use super::sparse::Plan;
use super::{cleanup, fault, labels, place, prove, transfer};
use crate::{Error, ErrorKind, MachineSpec, Origin, Result, Tag};

/// What is there for a tag.
#[derive(Default)]
pub(super) struct Disks {
    /// The packaging disk, whole or not.
    pub disk: Option<(String, Vdi)>,
    /// The disk as it was made, if the storage had room for a snapshot.
    pub reference: Option<(String, Vdi)>,
}

impl Disks {
    /// The packaging disk, if it is whole.
    pub fn whole(&self) -> Option<&(String, Vdi)> {
        self.disk.as_ref().filter(|(_, vdi)| labels::is_ready(&vdi.other_config))
    }

    /// The disks that carry this tag.
    pub fn of(pool: &Pool, tag: &Tag) -> Result<Self> {
        let seen = Belongings::seen(pool)?;
        let machines = seen.machines();
        let is_it = |vm: &Vm| !vm.is_a_snapshot && labels::is_ready(&vm.other_config);
        let machine = machines.iter().find(|(_, vm, found)| found == tag && is_it(vm));
        let disk = match machine {
            Some((_, vm, _)) => {
                let boots = belongings::boot_disk(pool, vm)?;
                boots.filter(|at| seen.disks.get(at).is_some_and(|v| labels::has_tag(&v.other_config, tag)))
            }
            None => the_only(&seen, tag)?,
        };
        // Snapshots that people take of the machine carry the same marks, but not this one.
        let is_reference = |vdi: &Vdi| {
            vdi.is_a_snapshot
                && labels::is_ready(&vdi.other_config)
                && vdi.other_config.contains_key(labels::REFERENCE)
        };
        let mut tagged = seen.packaging_disks().into_iter().filter(|(_, _, found)| found == tag);
        let reference = tagged.find(|(_, vdi, _)| is_reference(vdi));
        Ok(Self {
            reference: reference.map(|(reference, vdi, _)| (reference.to_owned(), vdi.clone())),
            disk: disk.and_then(|at| seen.disks.get(&at).cloned().map(|vdi| (at, vdi))),
        })
    }
}

/// The packaging disk while there is no machine that tells which one it is.
fn the_only(seen: &Belongings, tag: &Tag) -> Result<Option<String>> {
    let is_it = |vdi: &Vdi| !vdi.is_a_snapshot && !vdi.other_config.contains_key(labels::CD);
    let tagged = seen.packaging_disks().into_iter().filter(|(_, vdi, found)| found == tag && is_it(vdi));
    let mut tagged: Vec<&str> = tagged.map(|(reference, _, _)| reference).collect();
    if tagged.len() > 1 {
        let what = format!(
            "{} disks on the storage are marked as the disk of the machine {tag}, since somebody copied it; delete the \
             copies, or cancel and start anew",
            tagged.len()
        );
        return Err(Error::new(ErrorKind::Damaged, what));
    }
    Ok(tagged.pop().map(str::to_owned))
}

/// The size that was asked for when the disk was made: the storage may have made it larger.
pub(super) fn asked_size(vdi: &Vdi) -> u64 {
    vdi.other_config.get(labels::SIZE).and_then(|text| text.parse().ok()).unwrap_or_else(|| vdi.size())
}

/// What disk is wanted.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Whose it is.
    pub tag: &'a Tag,
    /// Of what size, for which machine.
    pub spec: &'a MachineSpec,
    /// What for.
    pub purpose: Purpose,
}

/// Makes sure that the packaging disk, or an image's, is there. Answers how it was made.
pub(super) fn ensure(
    pool: &Pool,
    under_way: &UnderWay,
    wanted: Wanted,
    origin: &Origin,
    watch: Watch,
) -> Result<String> {
    let Wanted { tag, spec, .. } = wanted;
    if watch(0).is_break() {
        return Err(base::stopped());
    }
    if spec.disk_size < origin.disk.size() {
        let (size, least) = (spec.disk_size, origin.disk.size());
        let what = format!("a disk of {size} bytes is too small for an origin of {least} bytes");
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    let there = Disks::of(pool, tag)?;
    if let Some((_, vdi)) = there.whole() {
        return match asked_size(vdi) {
            size if size == spec.disk_size => Ok("The disk was there already.".into()),
            size => {
                let what = format!(
                    "the disk of the machine {tag} was made with {size} bytes, not {}",
                    spec.disk_size
                );
                Err(Error::new(ErrorKind::Unsupported, what))
            }
        };
    }
    // What does not fit is told before anything is sent.
    place::check_firmware(&place::template(pool)?.record, spec.firmware)?;
    let sr = place::storage(pool)?;
    if there.disk.is_some() {
        // Half made: nothing of it can be trusted.
        cleanup::remove(pool, tag)?;
    }
    // Held until the clone is there, so that the base disk is not let go of in between.
    let _turn = under_way.enter(&origin.id, watch)?;
    let marks = marks(pool, tag, spec, labels::MAKING)?;
    let cloned = || -> Result<(String, String)> {
        let base = base::ensure(pool, under_way, tag, &sr, origin, watch)?;
        Ok((base::marked_clone(pool, under_way, &base.vdi, &marks)?, base.how))
    };
    let (disk, how) = match cloned() {
        // Base disks may be deleted at any time: without, it is sent.
        Err(e) if fault::is_gone(&e) => cloned()?,
        other => other?,
    };
    let made = finish(pool, wanted, origin, &disk, watch);
    if made.is_err() {
        // What stays now is removed by the next try, or by the undoing of the job.
        let _ = cleanup::remove(pool, tag);
    }
    made.map(|()| how)
}

fn finish(pool: &Pool, wanted: Wanted, origin: &Origin, disk: &str, watch: Watch) -> Result<()> {
    let Wanted { tag, spec, purpose } = wanted;
    pool.call("VDI.set_name_label", &[json!(disk), json!(spec.name)])?;
    pool.call("VDI.set_name_description", &[json!(disk), json!(purpose.of_disk())])?;
    pool.call("VDI.set_tags", &[json!(disk), json!(purpose.tags())])?;
    let size = |disk: &str| {
        pool.call("VDI.get_record", &[json!(disk)]).and_then(record::one::<Vdi>).map(|v| v.size())
    };
    if size(disk)? < spec.disk_size {
        let wanted = json!(spec.disk_size.to_string());
        cleanup::when_free(|| pool.run("VDI.resize", &[json!(disk), wanted.clone()]))?;
        if size(disk)? < spec.disk_size {
            return Err(Error::new(
                ErrorKind::Io,
                "the storage made a disk that is smaller than was asked for",
            ));
        }
    }
    let growth = table::growth(origin.disk, spec.disk_size)
        .map_err(|e| Error::disk("the partition table cannot be moved to the end of the larger disk", e))?;
    let plan = Plan::of(&growth, true)?;
    if !plan.runs.is_empty() {
        cleanup::when_free(|| {
            transfer::import(pool, disk, tag, plan.length(), watch, |mut to| {
                plan.send(&growth, &mut to, &|_| watch(0))
            })
        })?;
        prove::equal(pool, tag, disk, &growth, &plan, watch)?;
    }
    if purpose == Purpose::Packaging {
        note_the_beginning(pool, tag, spec, disk)?;
    }
    let marks = marks(pool, tag, spec, labels::READY)?;
    pool.call("VDI.set_other_config", &[json!(disk), json!(marks)]).map(drop)
}

/// Changed block tracking, and a snapshot: both are only there to make finalizing quick. Without, the whole disk is read.
fn note_the_beginning(pool: &Pool, tag: &Tag, spec: &MachineSpec, disk: &str) -> Result<()> {
    let _ = pool.run("VDI.enable_cbt", &[json!(disk)]);
    if let Ok(snapshot) = cleanup::when_free(|| pool.run("VDI.snapshot", &[json!(disk), json!({})])) {
        let mut marks = marks(pool, tag, spec, labels::READY)?;
        marks.insert(labels::REFERENCE.into(), "true".into());
        pool.call("VDI.set_other_config", &[json!(snapshot), json!(marks)])?;
    }
    Ok(())
}

fn marks(pool: &Pool, tag: &Tag, spec: &MachineSpec, state: &str) -> Result<Map> {
    let mut marks = labels::owned(&pool.owner()?);
    marks.insert(labels::TAG.into(), tag.to_string());
    marks.insert(labels::STATE.into(), state.into());
    marks.insert(labels::SIZE.into(), spec.disk_size.to_string());
    Ok(marks)
}
