//! What a packaging machine changed becomes a version, in one of four ways.
//!
//! ```text
//!   OS layer                      what changed on the disk,         over the base version's blocks
//!                                 without our tool, or what started a script
//!   OS layer, platform layer on   the same, without what is the     over the OS version's blocks
//!                                 platform layer's
//!   platform or app layer         files and registry that changed   a delta
//! ```

use super::OrFail;
use super::add_version::Bench;
use super::import::finished;
use crate::catalog::LayerRow;
use crate::composition::Part;
use crate::error::chain;
use crate::installed::{Parts, taken_out};
use crate::starter;
use crate::stored::{Changed, Differing, Imported, StoredDisk, seen};
use crate::world::World;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shale_connector::Changes;
use shale_disk::{Content, Disk, FileDisk, extents};
use shale_model::message;
use shale_store::Source;
use shale_task::{Context, StepError};
use shale_volume::capture;
use shale_volume::without::{States, without};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// What is made of a packaging machine's disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Makes {
    /// A whole disk: the machine ran the OS layer alone.
    #[default]
    Disk,
    /// A whole disk: the machine ran the OS layer with our tool in its system, or what starts a script; the version has neither.
    DiskWithoutTools {
        /// The OS version.
        against: Uuid,
    },
    /// A whole disk, without the platform layer that the machine had.
    DiskWithout {
        /// The OS version alone, as a composition of the same size.
        against: Uuid,
        /// The platform layer's version.
        platform: Part,
    },
    /// A delta.
    Delta {
        /// What the machine had, but for the layer itself: a composition.
        against: Uuid,
    },
}

/// Paths that a task lists of what it left out, and conflicts; more are counted.
const LISTED: usize = 100;

/// Stores what the machine changed as the version that it was made for. Answers what is known of it.
pub(super) fn take(world: &World, cx: &Context, bench: &Bench) -> Result<Value, StepError> {
    let Changes { disk, how } = bench.connector.open_changes(&bench.tag, &cx.watch(None)).or_fail()?;
    let mut result = match &bench.input.makes {
        // So say tasks that were begun when what starts a script was taken out of any disk.
        Makes::Disk if bench.input.unattended.is_some() => {
            disk_without_tools(world, cx, bench, disk, bench.input.base_version_id)?
        }
        Makes::Disk => disk_of(world, cx, bench, disk)?,
        Makes::DiskWithoutTools { against } => disk_without_tools(world, cx, bench, disk, *against)?,
        Makes::DiskWithout { against, platform } => disk_without(world, cx, bench, disk, *against, platform)?,
        Makes::Delta { against } => delta(world, cx, bench, disk, *against)?,
    };
    result["note"] = match result["note"].as_str() {
        Some(note) => format!("{how} {note}").into(),
        None => how.into(),
    };
    Ok(result)
}

fn disk_of(world: &World, cx: &Context, bench: &Bench, changes: Box<dyn Disk>) -> Result<Value, StepError> {
    let base = bench.input.base_version_id;
    let version = world.repository.version(base.into()).or_fail()?;
    let (source, mask_note) = Changed::new(changes, version, bench.input.disk_size).or_fail()?;
    let mut result = save(world, cx, bench, Some(base), &source)?;
    result["free_space"] = mask_note.into();
    Ok(result)
}

fn disk_without_tools(
    world: &World,
    cx: &Context,
    bench: &Bench,
    changes: Box<dyn Disk>,
    against: Uuid,
) -> Result<Value, StepError> {
    let size = bench.input.disk_size;
    let changes: Arc<dyn Disk> = Arc::from(changes);
    let machine = Machine::open(world, bench, changes, against)?;
    let (program, scratch) = (world.files_program(), world.place.scratch());
    let (now, touched) = (machine.now.clone(), machine.touched.clone());
    let by_script = bench.input.unattended.is_some();
    let taken = match by_script {
        true => starter::taken_out(&program, now, touched, &scratch),
        false => {
            let base = Arc::new(StoredDisk(machine.against.clone()));
            let base = shale_disk::table::grown(base, size).or_fail()?;
            taken_out(&program, (now, base), touched, &scratch)
        }
    };
    let (changes, warning) = match taken {
        Ok(changes) => (changes, None),
        // What starts a script is left in no version.
        Err(e) if by_script || e.kind().retry_later() => return Err(e).or_fail(),
        // Its file system was left so that nothing can be written there: finalizing has said so, and somebody wanted it all the same.
        Err(e) => (machine.as_it_is(), Some(message::tools_left(&chain(&e)))),
    };
    let (source, mask_note) = Changed::new(changes, machine.against, size).or_fail()?;
    let mut result = save(world, cx, bench, Some(against), &source)?;
    result["free_space"] = mask_note.into();
    result["warnings"] = json!(warning.into_iter().collect::<Vec<_>>());
    Ok(result)
}

fn disk_without(
    world: &World,
    cx: &Context,
    bench: &Bench,
    changes: Box<dyn Disk>,
    against: Uuid,
    platform: &Part,
) -> Result<Value, StepError> {
    let machine = Machine::open(world, bench, Arc::from(changes), against)?;
    let states = States {
        old: Arc::new(StoredDisk(machine.against.clone())),
        composed: machine.began,
        now: machine.now,
    };
    let platform = platform.open(world).or_fail()?;
    let (program, scratch) = (world.files_program(), world.place.scratch());
    let made =
        without(&program, &states, Some(&machine.touched), &platform, &scratch, &cx.watch(None)).or_fail()?;
    if bench.input.unattended.is_some() {
        starter::take_out(&program, &made.changes).or_fail()?;
    }
    let size = bench.input.disk_size;
    let (source, mask_note) = Changed::new(Box::new(made.changes), machine.against, size).or_fail()?;
    let mut result = save(world, cx, bench, Some(against), &source)?;
    result["free_space"] = mask_note.into();
    result["note"] =
        message::without_platform(&platform.name, made.left_out.len(), made.conflicts.len()).into();
    result["left_out"] = json!(made.left_out.iter().take(LISTED).collect::<Vec<_>>());
    result["conflicts"] = json!(made.conflicts.iter().take(LISTED).collect::<Vec<_>>());
    Ok(result)
}

fn delta(
    world: &World,
    cx: &Context,
    bench: &Bench,
    changes: Box<dyn Disk>,
    against: Uuid,
) -> Result<Value, StepError> {
    let machine = Machine::open(world, bench, Arc::from(changes), against)?;
    let scratch = world.place.scratch();
    let failed = |e| shale_disk::Error::io(format!("no file can be made in {}", scratch.display()), e);
    let file = tempfile::tempfile_in(&scratch).map_err(failed).or_fail()?;
    let copy = file.try_clone().map_err(failed).or_fail()?;
    let exclusions = exclusions(world, bench.input.version_id)?;
    let old: Arc<dyn Disk> = Arc::new(StoredDisk(machine.against));
    let (program, touched) = (world.files_program(), Some(&machine.touched[..]));
    let made = capture::layer_of(&program, old, machine.now, touched, &exclusions, copy, &cx.watch(None))
        .or_fail()?;
    let disk = FileDisk::new(file, Path::new("the layer's files")).or_fail()?;
    let (source, _) = Imported::new(Arc::new(disk), false).or_fail()?;
    let mut result = save(world, cx, bench, None, &source)?;
    result["logical_bytes"] = made.bytes.into();
    result["entries"] = made.entries.into();
    result["excluded"] = made.excluded.into();
    result["note"] = message::captured(made.entries, made.excluded).into();
    result["warnings"] = json!(made.notes.iter().take(LISTED).collect::<Vec<_>>());
    Ok(result)
}

/// The patterns of the layer of a version.
fn exclusions(world: &World, version: Uuid) -> Result<String, StepError> {
    let found: crate::error::Result<_> = world.wait(async {
        let mut tx = world.catalog.read().await?;
        LayerRow::of_version(&mut tx, version).await
    });
    Ok(found.or_fail()?.map(|layer| layer.exclusions).unwrap_or_default())
}

/// A machine's disk, and what it is compared with.
struct Machine {
    /// As it began.
    began: Arc<dyn Disk>,
    /// As it is.
    now: Arc<dyn Disk>,
    against: shale_store::Version,
    /// Where `now` may differ from `against`, in order and apart.
    touched: Vec<Range<u64>>,
}

impl Machine {
    fn open(world: &World, bench: &Bench, changes: Arc<dyn Disk>, against: Uuid) -> Result<Self, StepError> {
        let base = world.repository.version(bench.input.base_version_id.into()).or_fail()?;
        let against = world.repository.version(against.into()).or_fail()?;
        let mut touched = data_of(&changes).or_fail()?;
        if let Some(differing) = Differing::new(base.clone(), against.clone()) {
            touched = joined(touched, data_of(&differing).or_fail()?);
        }
        let (now, began) = seen(changes, base, bench.input.disk_size).or_fail()?;
        Ok(Self { began, now, against, touched })
    }

    /// What differs from what it is compared with.
    fn as_it_is(&self) -> Box<dyn Disk> {
        Box::new(Parts::new(self.now.clone(), self.touched.clone()))
    }
}

/// Where a disk is no hole.
fn data_of(disk: &dyn Disk) -> shale_disk::Result<Vec<Range<u64>>> {
    let mut ranges = Vec::new();
    for extent in extents(disk) {
        let extent = extent?;
        if extent.content != Content::Hole {
            ranges.push(extent.offset..extent.offset + extent.length);
        }
    }
    Ok(joined(ranges, Vec::new()))
}

/// Two lists as one, in order, what touches joined.
fn joined(mut ranges: Vec<Range<u64>>, more: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.extend(more);
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

fn save(
    world: &World,
    cx: &Context,
    bench: &Bench,
    parent: Option<Uuid>,
    source: &dyn Source,
) -> Result<Value, StepError> {
    let id = bench.input.version_id;
    let saved = world.save(id, parent, source, &cx.watch(Some(source.size()))).or_fail()?;
    let mut known = finished(world, id, &saved, bench.input.firmware)?;
    known["changed_blocks"] = (saved.new_blocks + saved.known_blocks).into();
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn ranges_of_two_lists_are_in_order_and_apart() {
        let found = joined(vec![0..4, 10..12], vec![3..6, 12..14, 20..21]);
        assert_eq!(found, [0..6, 10..14, 20..21]);
    }
}
