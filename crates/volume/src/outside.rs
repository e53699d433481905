//! What changed on a disk outside one of its volumes.

use std::ops::Range;

use shale_disk::{Content, Disk, Result, Watch};

use crate::changes::PAGE;
use crate::diff::told;
use crate::known::{Known, Volume, volumes};

/// Bytes that are compared at once.
const STROKE: u64 = 1 << 20;

/// Of some ranges of a disk, those that are in `volume`, counted from its first byte.
pub(crate) fn inside(changed: &[Range<u64>], volume: &Range<u64>) -> Vec<Range<u64>> {
    let cut = |range: &Range<u64>| range.start.max(volume.start)..range.end.min(volume.end);
    let cut = changed.iter().map(cut).filter(|range| range.start < range.end);
    cut.map(|range| range.start - volume.start..range.end - volume.start).collect()
}

/// Where two disks differ outside `volume`, in pages, of what may differ. Calls `found` with each stretch and what `now` has
/// there.
pub(crate) fn differing(
    base: &dyn Disk,
    now: &dyn Disk,
    changed: &[Range<u64>],
    volume: &Range<u64>,
    watch: Watch,
    mut found: impl FnMut(Range<u64>, &[u8]) -> Result<()>,
) -> Result<()> {
    let end = base.size().min(now.size());
    let (mut a, mut b) = (vec![0; STROKE as usize], vec![0; STROKE as usize]);
    for range in changed {
        for part in [range.start..range.end.min(volume.start), range.start.max(volume.end)..range.end] {
            let (mut at, end) = (part.start - part.start % PAGE, part.end.min(end));
            while at < end {
                let next = end.min(at + STROKE);
                let Some(length) = data(base, now, at, next)? else {
                    at = next;
                    continue;
                };
                told(watch, length)?;
                let (a, b) = (&mut a[..length as usize], &mut b[..length as usize]);
                base.read_at(a, at)?;
                now.read_at(b, at)?;
                for (page, (a, b)) in a.chunks(PAGE as usize).zip(b.chunks(PAGE as usize)).enumerate() {
                    if a != b {
                        let start = at + page as u64 * PAGE;
                        found(start..start + b.len() as u64, b)?;
                    }
                }
                at += length;
            }
        }
    }
    Ok(())
}

/// How much from `at` on must be read; `None`: nothing up to `end`, since neither disk has data there.
fn data(base: &dyn Disk, now: &dyn Disk, at: u64, end: u64) -> Result<Option<u64>> {
    for disk in [base, now] {
        let extent = disk.extent_at(at)?;
        if extent.content == Content::Data || extent.length < end - at {
            return Ok(Some(end - at));
        }
    }
    Ok(None)
}

/// A place of a disk.
pub(crate) struct Place {
    /// For people.
    pub text: String,
    /// `None`: it is in no partition.
    pub volume: Option<Volume>,
}

/// The places of a disk outside `volume` that differ: partitions, and what is outside of them. Swap is nothing that anybody would
/// miss.
pub(crate) fn places(
    base: &dyn Disk,
    now: &dyn Disk,
    changed: &[Range<u64>],
    volume: &Range<u64>,
    watch: Watch,
) -> Result<Vec<Place>> {
    let volumes = volumes(now)?;
    let mut places: Vec<(usize, Place)> = Vec::new();
    differing(base, now, changed, volume, watch, |range, _| {
        let holder = volumes.iter().position(|volume| volume.range.contains(&range.start));
        let (number, text) = match holder {
            Some(at) if volumes[at].known == Known::Swap => return Ok(()),
            Some(at) => (at + 1, format!("partition {} ({})", at + 1, volumes[at].known)),
            None => (0, "the disk outside its partitions (partition table, boot loader)".to_owned()),
        };
        if !places.iter().any(|(known, _)| *known == number) {
            places.push((number, Place { text, volume: holder.map(|at| volumes[at].clone()) }));
        }
        Ok(())
    })?;
    places.sort_by_key(|(number, _)| *number);
    Ok(places.into_iter().map(|(_, place)| place).collect())
}
