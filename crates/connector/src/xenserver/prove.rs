//! Proof that what was sent is there: a host says that all went well before it has read anything, and when a connection
//! ended early.
//!
//! ```text
//!   size ─▶ NBD? ─yes─▶ the first, the last and some bytes in between of what was sent
//!             └no─▶ VHD export: its block table tells which blocks hold data at all; then the first blocks themselves
//! ```

use std::io::Read;
use std::ops::Range;

use serde_json::json;
use shale_disk::vhd::VhdStream;
use shale_disk::{Disk, Watch};

use super::changes::LARGEST_VHD;
use super::cleanup;
use super::nbd;
use super::pool::Pool;
use super::record::{self, NbdPlace, Vdi};
use super::sparse::{Plan, Run};
use super::transfer::{self, Export};
use crate::{Error, ErrorKind, Result, Tag};

/// Bytes that are compared at each place.
const SAMPLE: u64 = 64 << 10;
/// Places that are compared, at most.
const SAMPLES: u64 = 64;
/// Bytes that are compared of an export, which cannot be entered in the middle.
const COMPARED: u64 = 32 << 20;

/// Makes sure that the disk holds what `plan` sent of `disk`. Answers how, in a sentence.
///
/// A disk that differs is an error that passes: what was sent is removed, and sent anew with the next try.
pub(super) fn equal(
    pool: &Pool,
    tag: &Tag,
    vdi: &str,
    disk: &dyn Disk,
    plan: &Plan,
    watch: Watch,
) -> Result<String> {
    by_best_way(pool, tag, vdi, disk, plan, watch).map_err(|e| match e.kind() {
        ErrorKind::Damaged => Error::new(ErrorKind::Io, e.to_string()),
        _ => e,
    })
}

/// Makes sure, as far as a sample by NBD tells, that a disk that was proven once still holds what `disk` does. Where there
/// is no NBD, it is believed.
pub(super) fn still_equal(pool: &Pool, vdi: &str, disk: &dyn Disk, watch: Watch) -> Result<()> {
    let places = nbd::places(pool, vdi).unwrap_or_default();
    if places.is_empty() {
        return Ok(());
    }
    let plan = Plan::of(disk, false)?;
    match cleanup::when_free(|| by_nbd(&places, disk, &plan, watch)) {
        Err(e) if matches!(e.kind(), ErrorKind::Damaged | ErrorKind::Stopped) => Err(e),
        _ => Ok(()),
    }
}

/// Compares by NBD if there is NBD, else by an export. Of the kind `Damaged` is that a disk differs, and nothing else.
fn by_best_way(
    pool: &Pool,
    tag: &Tag,
    vdi: &str,
    disk: &dyn Disk,
    plan: &Plan,
    watch: Watch,
) -> Result<String> {
    let seen: Vdi = record::one(pool.call("VDI.get_record", &[json!(vdi)])?)?;
    if seen.size() < disk.size() {
        return Err(differs(&format!("it has {} bytes instead of {}", seen.size(), disk.size())));
    }
    if plan.runs.is_empty() {
        return Ok("Nothing had to be compared.".into());
    }
    if let Ok(places) = nbd::places(pool, vdi)
        && !places.is_empty()
    {
        match cleanup::when_free(|| by_nbd(&places, disk, plan, watch)) {
            // NBD that does not work proves nothing; a disk that differs does.
            Err(e) if e.kind() == ErrorKind::Damaged || e.kind() == ErrorKind::Stopped => return Err(e),
            Err(_) => {}
            Ok(said) => return Ok(said),
        }
    }
    if disk.size() > LARGEST_VHD {
        return cleanup::when_free(|| by_raw(pool, tag, vdi, disk, plan, watch));
    }
    cleanup::when_free(|| by_export(pool, tag, vdi, disk, plan, watch))
}

fn by_nbd(places: &[NbdPlace], disk: &dyn Disk, plan: &Plan, watch: Watch) -> Result<String> {
    let mut reader = nbd::Reader::open(places)?;
    if reader.size() < disk.size() {
        return Err(differs(&format!("it has {} bytes instead of {}", reader.size(), disk.size())));
    }
    let samples = samples(&plan.runs);
    let mut different = None;
    reader.read(&samples, |offset, bytes| {
        if watch(0).is_break() {
            return Err(shale_disk::Error::new(shale_disk::ErrorKind::Stopped, "stopped as asked"));
        }
        let mut own = vec![0; bytes.len()];
        disk.read_at(&mut own, offset)?;
        if own != bytes {
            different.get_or_insert(offset);
        }
        Ok(())
    })?;
    match different {
        Some(offset) => Err(differs(&format!("the bytes at {offset} are others"))),
        None => Ok(format!("Proven by reading {} places back.", samples.len())),
    }
}

fn by_export(
    pool: &Pool,
    tag: &Tag,
    vdi: &str,
    disk: &dyn Disk,
    plan: &Plan,
    watch: Watch,
) -> Result<String> {
    let what = Export { vdi, format: "vhd", base: None, whole: false };
    transfer::export(pool, what, tag, watch, |from| {
        let stream = VhdStream::new(from).map_err(unread)?;
        if stream.size() < disk.size() {
            return Err(differs(&format!("it has {} bytes instead of {}", stream.size(), disk.size())));
        }
        let mut present: Vec<u64> = stream.waiting().collect();
        present.sort_unstable();
        blocks_hold_data(&present, stream.block_size(), disk, plan, watch)?;
        let compared = compare(stream, disk, plan, watch)?;
        Ok(format!("Proven by its block table and by reading {} MiB back.", compared >> 20))
    })
}

fn compare(mut stream: VhdStream<&mut dyn Read>, disk: &dyn Disk, plan: &Plan, watch: Watch) -> Result<u64> {
    let (mut compared, mut bytes) = (0, Vec::new());
    while compared < COMPARED {
        if watch(0).is_break() {
            return Err(super::base::stopped());
        }
        let Some(offset) = stream.next_piece(&mut bytes).map_err(unread)? else {
            stream.finish().map_err(unread)?;
            break;
        };
        compared += same(disk, plan, offset, &bytes)?;
    }
    Ok(compared)
}

fn unread(e: shale_disk::Error) -> Error {
    // Not of the kind that the disk crate tells: the way here may be what is broken, and the disk whole.
    Error::new(ErrorKind::Io, "the disk that was sent cannot be read back").with_source(e)
}

/// Too large for a VHD: its beginning only, as it comes.
fn by_raw(pool: &Pool, tag: &Tag, vdi: &str, disk: &dyn Disk, plan: &Plan, watch: Watch) -> Result<String> {
    let what = Export { vdi, format: "raw", base: None, whole: false };
    transfer::export(pool, what, tag, watch, |from| {
        let (mut at, mut bytes) = (0, vec![0; 1 << 20]);
        while at < COMPARED {
            from.read_exact(&mut bytes).map_err(|e| Error::io("the disk cannot be read back", e))?;
            same(disk, plan, at, &bytes)?;
            at += bytes.len() as u64;
        }
        Ok(format!(
            "Its first {} MiB were read back; it is too large to be proven further without NBD.",
            at >> 20
        ))
    })
}

/// Compares what was sent among `bytes` at `offset`. Answers how many were compared.
fn same(disk: &dyn Disk, plan: &Plan, offset: u64, bytes: &[u8]) -> Result<u64> {
    let end = (offset + bytes.len() as u64).min(disk.size());
    let mut compared = 0;
    for run in within(&plan.runs, offset, end) {
        let mut own = vec![0; (run.end - run.start) as usize];
        let read = disk.read_at(&mut own, run.start);
        read.map_err(|e| Error::disk("the disk that was sent cannot be read", e))?;
        let start = (run.start - offset) as usize;
        if own != bytes[start..start + own.len()] {
            return Err(differs(&format!("the bytes from {} on are others", run.start)));
        }
        compared += own.len() as u64;
    }
    Ok(compared)
}

/// Makes sure that each block in which something else than zeros was sent is there. A short upload is found by this.
fn blocks_hold_data(present: &[u64], block: u64, disk: &dyn Disk, plan: &Plan, watch: Watch) -> Result<()> {
    let is_present = |index: u64| present.binary_search(&index).is_ok();
    let mut bytes = vec![0; 256 << 10];
    let mut index = 0;
    for run in &plan.runs {
        index = index.max(run.start / block);
        while index * block < run.end {
            if !is_present(index) {
                let (mut at, end) = (run.start.max(index * block), run.end.min((index + 1) * block));
                while at < end {
                    if watch(0).is_break() {
                        return Err(super::base::stopped());
                    }
                    let part = &mut bytes[..(end - at).min(256 << 10) as usize];
                    let read = disk.read_at(part, at);
                    read.map_err(|e| Error::disk("the disk that was sent cannot be read", e))?;
                    if part.iter().any(|b| *b != 0) {
                        return Err(differs(&format!("nothing is there from {at} on")));
                    }
                    at += part.len() as u64;
                }
            }
            index += 1;
        }
        // The block in which this run ends may also be that of the next.
        index = run.end / block;
    }
    Ok(())
}

/// What of the runs lies in `start..end`.
fn within(runs: &[Run], start: u64, end: u64) -> impl Iterator<Item = Run> + '_ {
    let first = runs.partition_point(|run| run.end <= start);
    let there = runs[first..].iter().take_while(move |run| run.start < end);
    there.map(move |run| Run { start: run.start.max(start), end: run.end.min(end) })
}

/// Places to compare: the first and the last bytes that were sent, and others evenly in between.
fn samples(runs: &[Run]) -> Vec<Range<u64>> {
    let total: u64 = runs.iter().map(|run| run.end - run.start).sum();
    let last = total.saturating_sub(SAMPLE);
    let mut places: Vec<u64> =
        (0..SAMPLES).map(|i| (u128::from(last) * u128::from(i) / u128::from(SAMPLES - 1)) as u64).collect();
    places.dedup();
    let mut samples: Vec<Range<u64>> = Vec::new();
    let runs_end = runs.last();
    let (mut before, mut runs) = (0, runs.iter().peekable());
    for place in places {
        while let Some(run) = runs.next_if(|run| before + (run.end - run.start) <= place) {
            before += run.end - run.start;
        }
        let Some(run) = runs.peek() else { break };
        let start = run.start + (place - before);
        let start = start.max(samples.last().map_or(0, |sample| sample.end));
        let end = (start + SAMPLE).min(run.end);
        if start < end {
            samples.push(start..end);
        }
    }
    // The end of all is where a short upload shows.
    if let Some(run) = runs_end {
        let start =
            run.end.saturating_sub(SAMPLE).max(run.start).max(samples.last().map_or(0, |sample| sample.end));
        if start < run.end {
            samples.push(start..run.end);
        }
    }
    samples
}

fn differs(how: &str) -> Error {
    Error::new(
        ErrorKind::Damaged,
        format!("what the pool took is not the disk that was sent: {how}; it is sent anew when tried again"),
    )
}

#[cfg(test)]
mod tests {
    use shale_disk::Memory;

    use super::*;

    fn runs(runs: &[(u64, u64)]) -> Vec<Run> {
        runs.iter().map(|(start, end)| Run { start: *start, end: *end }).collect()
    }

    #[test]
    fn samples_begin_at_the_first_byte_end_at_the_last_and_stay_within_what_was_sent() {
        let table: [&[(u64, u64)]; 4] = [
            &[(512, 1024)],
            &[(0, 100 << 20)],
            &[(0, 512), (1 << 30, (1 << 30) + 512)],
            &[(4096, 70000), (1 << 20, 64 << 20)],
        ];
        for given in table {
            let given = runs(given);
            let samples = samples(&given);
            assert_eq!(samples.first().unwrap().start, given[0].start);
            assert_eq!(samples.last().unwrap().end, given.last().unwrap().end);
            for sample in &samples {
                assert!(
                    given.iter().any(|run| run.start <= sample.start && sample.end <= run.end),
                    "{sample:?}"
                );
            }
            assert!(samples.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
        assert!(samples(&[]).is_empty());
    }

    #[test]
    fn a_block_that_is_missing_is_found_unless_it_was_zero_anyway() {
        const BLOCK: u64 = 2 << 20;
        let mut bytes = vec![0; 3 * BLOCK as usize];
        bytes[BLOCK as usize + 5] = 1;
        let disk = Memory(bytes);
        let plan = Plan { runs: runs(&[(0, 1024), (4096, 3 * BLOCK)]) };
        let go_on = |_: u64| std::ops::ControlFlow::Continue(());
        assert!(blocks_hold_data(&[1], BLOCK, &disk, &plan, &go_on).is_ok());
        let missing = blocks_hold_data(&[0, 2], BLOCK, &disk, &plan, &go_on).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Damaged);
    }

    #[test]
    fn only_what_was_sent_is_compared() {
        let disk = Memory(vec![1; 4096]);
        let plan = Plan { runs: runs(&[(512, 1024), (2048, 4096)]) };
        let mut there = vec![9; 4096];
        there[512..1024].fill(1);
        there[2048..].fill(1);
        assert_eq!(same(&disk, &plan, 0, &there).unwrap(), 512 + 2048);
        assert_eq!(same(&disk, &plan, 1024, &there[1024..2048]).unwrap(), 0);
        there[4095] = 0;
        assert_eq!(same(&disk, &plan, 0, &there).unwrap_err().kind(), ErrorKind::Damaged);
    }
}
