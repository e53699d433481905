//! A disk that is larger than its operating system: the volume of the system takes the room behind it.
//!
//! ```text
//!   [ ESP │ system, its file system        │ free …………… ]
//!   [ ESP │ system ……………………………………………………………………………………………… ]      partition entry · zeros · file system · its end
//! ```
//!
//! The disk has been made larger before ([`shale_disk::table::grown`]). Only room right behind the volume is taken: where
//! another partition lies there, everything stays as it is, and the answer says so. What is written follows from how the
//! file system describes itself, not from how much room is added.

use std::ops::Range;
use std::sync::Arc;

use shale_disk::table::{Kind, Limit, Partition, RECOVERY, Type, enlarged, partitions};
use shale_disk::{Content, Disk, Result};

use crate::changes::Changes;
use crate::files::{Files, Program};
use crate::os;

/// Less room than this is not worth a change: file systems leave some at their end.
const LEAST: u64 = 1 << 20;
/// A file system may leave this much of its partition unused: no more than one group of blocks.
const ROUNDING: u64 = 256 << 20;
/// Bytes that are looked at at once.
const STROKE: u64 = 1 << 20;
/// The recovery environment of Windows, by an MBR.
const RECOVERY_BYTE: Type = Type::Byte(0x27);

/// What became of the volume of the operating system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grown {
    /// Its bytes of the disk now.
    pub range: Range<u64>,
    /// Bytes of its file system before.
    pub before: u64,
    /// Bytes of its file system now; the same where it could not grow.
    pub after: u64,
    /// A sentence that says how large it is, and what keeps it from being larger.
    pub text: String,
}

/// Grows the volume of the operating system on the disk that `changes` shows. After an error `changes` is to be thrown away.
pub fn os_volume(program: &Program, changes: Arc<Changes>) -> Result<Grown> {
    let disk: Arc<dyn Disk> = Arc::new(changes.disk());
    let os = os::os_volume(program, &disk)?;
    let (range, limit) = grow_partition(&changes, &disk, os.range)?;
    let files = Files::open(program, disk.clone(), range.clone())?;
    let before = files.bytes();
    files.close()?;
    let end = range.start.saturating_add(before);
    if end.saturating_add(LEAST) > range.end {
        return Ok(Grown { text: told(before, before, &range, &limit), range, before, after: before });
    }
    clear(&changes, &*disk, end..range.end)?;
    let mut files = Files::open_to_write(program, changes, range.clone())?;
    let after = files.grow()?;
    files.close()?;
    Ok(Grown { text: told(before, after, &range, &limit), range, before, after })
}

/// Where the volume lies once its partition is as large as it can be; a file system without a table has the whole disk.
fn grow_partition(changes: &Changes, disk: &dyn Disk, range: Range<u64>) -> Result<(Range<u64>, Limit)> {
    if partitions(disk)?.kind == Kind::None {
        return Ok((range, Limit::Disk));
    }
    let enlarged = enlarged(disk, range.start)?;
    for (at, bytes) in &enlarged.writes {
        changes.write_at(bytes, *at)?;
    }
    Ok((range.start..range.start + enlarged.length, enlarged.limit))
}

/// Makes `range` read as zero: what lies there belongs to nobody, such as the backup of the table of the smaller disk.
fn clear(changes: &Changes, disk: &dyn Disk, range: Range<u64>) -> Result<()> {
    let mut buffer = vec![0; STROKE as usize];
    let mut at = range.start;
    while at < range.end {
        let extent = disk.extent_at(at)?;
        let end = (at + extent.length).min(range.end);
        if extent.content == Content::Data {
            for at in (at..end).step_by(STROKE as usize) {
                let part = &mut buffer[..(end - at).min(STROKE) as usize];
                disk.read_at(part, at)?;
                if part.iter().any(|byte| *byte != 0) {
                    part.fill(0);
                    changes.write_at(part, at)?;
                }
            }
        }
        at = end;
    }
    Ok(())
}

fn told(before: u64, after: u64, range: &Range<u64>, limit: &Limit) -> String {
    let volume = "the volume of the operating system";
    let done = match before == after {
        true => format!("{volume} stays as large as it was, {}", size(after)),
        false => format!("{volume} grew from {} to {}", size(before), size(after)),
    };
    let why = if after.saturating_add(ROUNDING) < range.end - range.start {
        Some(format!(
            "its file system was made to become no larger, though its partition has {}",
            size(range.end - range.start)
        ))
    } else {
        held(limit)
    };
    match why {
        Some(why) => format!("{done}: {why}"),
        None => done,
    }
}

/// What keeps it from being larger, but for the end of the disk.
fn held(limit: &Limit) -> Option<String> {
    match limit {
        Limit::Disk => None,
        Limit::Partition(next) => Some(format!(
            "{} lies behind it, and what the disk has behind that stays free; remove that partition in a new version of \
             the OS layer to use it",
            named(next)
        )),
        Limit::Mbr => Some("the disk has an MBR, which knows nothing behind 2 TiB".to_owned()),
        Limit::Logical => Some("it is a logical partition, and those are not enlarged".to_owned()),
    }
}

fn named(partition: &Partition) -> String {
    let what = match partition.kind {
        Type::Guid(RECOVERY) | RECOVERY_BYTE => "a recovery partition",
        _ => "a partition",
    };
    match partition.name.escape_debug().to_string() {
        name if name.is_empty() => format!("{what} (number {})", partition.index),
        name => format!("{what} (number {}, '{name}')", partition.index),
    }
}

/// In GiB, or MiB where that says more.
fn size(bytes: u64) -> String {
    match bytes {
        0x4000_0000.. => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}
