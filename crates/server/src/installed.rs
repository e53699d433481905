//! Shutdown For Finalize in the system of a packaging machine: put there before the machine is made, and taken out of what becomes a
//! version.
//!
//! ```text
//!   OS version ── put_into ──▶ (layers put on) ──▶ what the machine starts from
//!   machine's disk ── taken_out ──▶ a version of the OS layer, of the OS version's blocks and what the machine changed
//!   machine's disk ── capture ──▶ a version of another layer: the exclusions name all that is put there
//! ```
//!
//! What a system has at these paths by itself stays, and is never taken out. What we put there once, and could not take out of a
//! version, is known by its time: it is replaced in the next machine, and taken out of its version. docs/decisions/0016 tells why it is
//! done so.

use crate::tools::Tools;
use shale_disk::{Content, Disk, Extent, Layered, Result, extents};
use shale_volume::changes::Changes;
use shale_volume::files::{Moment, Program};
use shale_volume::placed::{Placed, put, take_out};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// What may have been put into a system: files, and folders of ours with all that is in them; and the file whose time tells that it was
/// we who put it there. The tool's report stays: it tells of the version.
const OURS: [(&str, &str); 5] = [
    ("usr/local/bin/shutdown-for-finalize", "usr/local/bin/shutdown-for-finalize"),
    (
        "usr/share/applications/shutdown-for-finalize.desktop",
        "usr/share/applications/shutdown-for-finalize.desktop",
    ),
    ("Program Files/Shale", "Program Files/Shale/shutdown-for-finalize.exe"),
    ("Users/Public/Desktop/Shutdown For Finalize.lnk", "Users/Public/Desktop/Shutdown For Finalize.lnk"),
    (
        "ProgramData/Microsoft/Windows/Start Menu/Programs/Shale",
        "ProgramData/Microsoft/Windows/Start Menu/Programs/Shale/Expedite NGen.lnk",
    ),
];

/// When it is put there, in seconds since 1970: 2026-01-01. What a machine starts from and what its changes are told against are put
/// together at different times, and must not differ in those of our folders.
const WHEN: i64 = 1_767_225_600;

/// Puts the tool, and what starts it from the desktop, into the system that `changes` shows. After an error `changes` is to be thrown
/// away.
pub fn put_into(program: &Program, changes: &Arc<Changes>, tools: &Tools) -> Result<()> {
    put(program, changes, WHEN, |family, changed| {
        let mut things: Vec<Placed> = Vec::new();
        let own = tools.in_system(family);
        for thing in own.map_err(|e| shale_disk::Error::io("Shutdown For Finalize cannot be read", e))? {
            if changed(thing.path)?.is_none_or(is_ours) {
                things.push(thing);
            }
        }
        Ok(things)
    })
}

/// The machine's disk `now` without what was put into it: what differs from `base`, the version without the tool, grown to the same
/// size. `touched` are the ranges, in order and apart, in which they may differ. What is written lies in `folder`.
pub fn taken_out(
    program: &Program,
    (now, base): (Arc<dyn Disk>, Arc<dyn Disk>),
    touched: Vec<Range<u64>>,
    folder: &Path,
) -> Result<Box<dyn Disk>> {
    let ours = put_there(program, base, folder)?;
    rewritten(now, touched, folder, |over| match ours.is_empty() {
        true => Ok(()),
        false => take_out(program, over, &ours).map(drop),
    })
}

/// Of a machine's disk `now` what `touched` names, and what `work` writes over it.
pub fn rewritten(
    now: Arc<dyn Disk>,
    touched: Vec<Range<u64>>,
    folder: &Path,
    work: impl FnOnce(&Arc<Changes>) -> Result<()>,
) -> Result<Box<dyn Disk>> {
    let over = Arc::new(Changes::new(now.clone(), folder)?);
    work(&over)?;
    let mut parts = touched;
    for extent in extents(&*over) {
        let extent = extent?;
        if extent.content != Content::Hole {
            parts.push(extent.offset..extent.offset + extent.length);
        }
    }
    Ok(Box::new(Parts::new(Layered::new(over, now), parts)))
}

/// Whether what changed at this moment is what we put there. No other program is as old to the nanosecond.
fn is_ours(changed: Moment) -> bool {
    changed == Moment { seconds: WHEN, nanoseconds: 0 }
}

/// What was not in the system by itself. A disk whose system cannot be looked into was given nothing.
fn put_there(program: &Program, base: Arc<dyn Disk>, folder: &Path) -> Result<Vec<&'static str>> {
    let mut ours = Vec::new();
    let scratch = Arc::new(Changes::new(base, folder)?);
    let looked = put(program, &scratch, 0, |_, changed| {
        for (path, file) in OURS {
            if changed(path)?.is_none() || changed(file)?.is_some_and(is_ours) {
                ours.push(path);
            }
        }
        Ok(Vec::new())
    });
    match looked {
        Err(e) if e.kind().retry_later() => Err(e),
        Err(_) => Ok(Vec::new()),
        Ok(()) => Ok(ours),
    }
}

/// Parts of a disk, and holes between them.
pub struct Parts<D> {
    disk: D,
    /// By their start; they may touch and overlap.
    parts: Vec<Range<u64>>,
    /// How far the parts up to each reach.
    reach: Vec<u64>,
}

impl<D> Parts<D> {
    /// These parts of `disk`, which may touch and overlap.
    pub fn new(disk: D, mut parts: Vec<Range<u64>>) -> Self {
        parts.sort_by_key(|part| part.start);
        let reach = parts.iter().scan(0, |end: &mut u64, part| {
            *end = part.end.max(*end);
            Some(*end)
        });
        Self { reach: reach.collect(), disk, parts }
    }
}

impl<D: Disk> Disk for Parts<D> {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.disk.read_at(buf, offset)
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        let begun = self.parts.partition_point(|part| part.start <= offset);
        let end = begun.checked_sub(1).map(|last| self.reach[last]).filter(|end| *end > offset);
        let next = self.parts.get(begun).map_or(self.size(), |part| part.start);
        let Some(end) = end else {
            return Ok(Extent { offset, length: next - offset, content: Content::Hole });
        };
        let seen = self.disk.extent_at(offset)?;
        // In a part, what the disk has nothing of is zero, whatever the base has there.
        let content = if seen.content == Content::Data { Content::Data } else { Content::Zero };
        Ok(Extent { offset, length: seen.length.min(end - offset), content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shale_volume::exclude::{Exclusions, Family};

    #[test]
    fn what_may_be_there_is_no_part_of_a_layer() {
        let linux = Exclusions::shipped(Family::Linux).unwrap();
        let windows = Exclusions::shipped(Family::Windows).unwrap();
        for (path, file) in OURS {
            assert!(file.starts_with(path));
            let is_excluded = |exclusions: &Exclusions| {
                exclusions.matches(path.as_bytes(), false) || exclusions.matches(path.as_bytes(), true)
            };
            assert!(is_excluded(&linux) || is_excluded(&windows), "{path}");
        }
    }

    #[test]
    fn parts_of_a_disk_have_holes_between_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        let disk = shale_disk::FileDisk::new(file, folder.path()).unwrap();
        let parts = Parts::new(disk, vec![65536..1 << 20, 4096..12288, 6000..8192]);
        let seen: Vec<_> = extents(&parts).map(|e| e.unwrap()).collect();
        let is_hole = |at: u64| {
            let found = seen.iter().find(|e| (e.offset..e.offset + e.length).contains(&at));
            found.unwrap().content == Content::Hole
        };
        let table = [(0, true), (4096, false), (9000, false), (12288, true), (65535, true), (65536, false)];
        for (at, hole) in table {
            assert_eq!(is_hole(at), hole, "{at}");
        }
    }
}
