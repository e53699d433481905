//! What a machine changed on its disk: the best way that the pool offers, and the next one when that fails.
//!
//! ```text
//!   1  changed blocks (CBT) + NBD     64 KiB of each change travel
//!   2  VHD, what differs from the snapshot     2 MiB of each change
//!   3  VHD, whole                              all that holds data
//!   4  raw, whole                              everything
//! ```
//!
//! All is fetched before anything is said, so that a way that fails in its midst is followed by the next, and never by a
//! half.

use std::io::Read;

use serde_json::json;
use shale_disk::vhd::VhdStream;
use shale_disk::{Content, Watch};

use super::base::stopped;
use super::disk::Disks;
use super::pool::Pool;
use super::record::Vdi;
use super::spool::{Spool, Spooled};
use super::transfer::{self, Export};
use super::{bitmap, cleanup, machine, nbd};
use crate::{Changes, Error, ErrorKind, Result, Tag};

/// Largest disk that a host can send as a VHD.
pub(super) const LARGEST_VHD: u64 = 2040 << 30;

/// Storage rounds disks up by less than this.
const ROUNDED_UP: u64 = 64 << 20;

/// How changes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ChangedBlocks,
    Difference,
    Vhd,
    Raw,
}

impl Way {
    /// For people.
    fn name(self) -> &'static str {
        match self {
            Self::ChangedBlocks => "its changed blocks by NBD",
            Self::Difference => "what differs from its snapshot as a VHD",
            Self::Vhd => "the whole disk as a VHD",
            Self::Raw => "the whole disk",
        }
    }
}

/// What decides on the ways.
#[derive(Clone, Copy, Debug)]
struct Facts {
    /// The snapshot of the disk as it was made is there.
    has_reference: bool,
    /// Changed blocks are tracked.
    tracks_changes: bool,
    /// A network of the pool serves disks by NBD.
    has_nbd: bool,
    /// A VHD can be as large.
    fits_vhd: bool,
}

/// The ways that can be tried, best first; why better ones are not among them.
fn ways(facts: Facts) -> (Vec<Way>, Vec<&'static str>) {
    let (mut ways, mut why) = (Vec::new(), Vec::new());
    if !facts.has_reference {
        why.push("there is no snapshot of the disk as it was made");
    } else {
        match (facts.tracks_changes, facts.has_nbd) {
            (true, true) => ways.push(Way::ChangedBlocks),
            (false, _) => why.push("changed blocks are not tracked (CBT)"),
            (true, false) => why.push("no network of the pool has the purpose 'nbd'"),
        }
    }
    if !facts.fits_vhd {
        why.push("the disk is too large for a VHD");
    } else {
        if facts.has_reference {
            ways.push(Way::Difference);
        }
        ways.push(Way::Vhd);
    }
    ways.push(Way::Raw);
    (ways, why)
}

/// Reads what the machine changed.
pub(super) fn open(pool: &Pool, tag: &Tag, watch: Watch) -> Result<Changes> {
    let disks = machine::off(pool, tag)?;
    let Some(found @ (disk, vdi)) = disks.whole() else { return Err(machine::absent(tag)) };
    let places = if vdi.cbt_enabled { nbd::places(pool, disk).unwrap_or_default() } else { Vec::new() };
    let facts = Facts {
        has_reference: disks.reference.is_some(),
        tracks_changes: vdi.cbt_enabled,
        has_nbd: !places.is_empty(),
        fits_vhd: vdi.size() <= LARGEST_VHD,
    };
    let (ways, missing) = ways(facts);
    let mut why: Vec<String> = missing.into_iter().map(str::to_owned).collect();
    let mut last = None;
    for way in ways {
        if watch(0).is_break() {
            return Err(stopped());
        }
        match fetch(pool, tag, &disks, found, way, watch) {
            Ok(spooled) => {
                // What was read while somebody started the machine is of no use.
                machine::off(pool, tag)?;
                if spooled.is_past_end() {
                    return Err(past_end(&vdi.name_label, machine::disk_size(&disks)));
                }
                return Ok(Changes { disk: Box::new(spooled), how: sentence(way, &why) });
            }
            Err(e) if matches!(e.kind(), ErrorKind::Stopped | ErrorKind::Full) => return Err(e),
            Err(e) => {
                why.push(format!("reading {} failed: {e}", way.name()));
                last = Some(e);
            }
        }
    }
    let what = format!("the disk of the machine cannot be read: {}", why.join("; "));
    let kind = last.as_ref().map_or(ErrorKind::Io, Error::kind);
    Err(Error::new(kind, what))
}

/// Storage rounds disks up, and a guest that spreads to the very end cannot be cut without breaking it.
fn past_end(name: &str, size: u64) -> Error {
    let what = format!(
        "the guest of '{name}' wrote past the {size} bytes that its disk was to have: the storage rounded them up; start \
         anew with a max layer size in whole GiB"
    );
    Error::new(ErrorKind::Unsupported, what)
}

fn sentence(way: Way, why: &[String]) -> String {
    match why {
        [] => format!("Read were {}.", way.name()),
        why => format!("Read was {}, since {}.", way.name(), why.join("; ")),
    }
}

fn fetch(
    pool: &Pool,
    tag: &Tag,
    disks: &Disks,
    disk: &(String, Vdi),
    way: Way,
    watch: Watch,
) -> Result<Spooled> {
    let size = machine::disk_size(disks);
    let reference = disks.reference.as_ref().map(|(reference, _)| reference.as_str());
    cleanup::when_free(|| match way {
        Way::ChangedBlocks => by_changed_blocks(pool, disk, reference.unwrap_or_default(), size, watch),
        Way::Difference => by_vhd(pool, tag, &disk.0, reference, size, watch),
        Way::Vhd => by_vhd(pool, tag, &disk.0, None, size, watch),
        Way::Raw => by_raw(pool, tag, &disk.0, size, watch),
    })
}

fn by_changed_blocks(
    pool: &Pool,
    disk: &(String, Vdi),
    reference: &str,
    size: u64,
    watch: Watch,
) -> Result<Spooled> {
    let (disk, vdi) = disk;
    let text = pool.call("VDI.list_changed_blocks", &[json!(reference), json!(disk)])?;
    let changed = bitmap::changed(text.as_str().unwrap_or_default(), vdi.size())?;
    let expected = changed.iter().map(|(_, length)| length).sum();
    let mut spool = Spool::new(pool.memory.folder()?, size, expected)?;
    // Where it is served is asked for anew: its name holds the session.
    nbd::read_all(&nbd::places(pool, disk)?, &changed, |offset, bytes| {
        told(watch, bytes.len())?;
        spool.put(offset, bytes)
    })?;
    Ok(spool.finish(Content::Hole))
}

fn by_vhd(
    pool: &Pool,
    tag: &Tag,
    disk: &str,
    base: Option<&str>,
    size: u64,
    watch: Watch,
) -> Result<Spooled> {
    let what = Export { vdi: disk, format: "vhd", base, whole: true };
    transfer::export(pool, what, tag, watch, |from| {
        let broken = |e| Error::new(ErrorKind::Io, "the pool sent a disk that is not whole").with_source(e);
        let mut stream = VhdStream::new(from).map_err(broken)?;
        if stream.size() < size {
            let what = format!("the pool sent a disk of {} bytes instead of {size}", stream.size());
            return Err(Error::new(ErrorKind::Io, what));
        }
        let rest = missing_blocks(base.is_some(), stream.is_differencing())?;
        let expected = stream.blocks() * stream.block_size();
        let mut spool = Spool::new(pool.memory.folder()?, size, expected)?;
        let mut bytes = Vec::new();
        while let Some(offset) = stream.next_piece(&mut bytes).map_err(broken)? {
            told(watch, bytes.len())?;
            spool.put(offset, &bytes)?;
        }
        stream.finish().map_err(broken)?;
        Ok(spool.finish(rest))
    })
}

/// What the blocks are that a VHD lacks: empty in a whole disk, as they were in a difference. The VHD itself tells which
/// it is: a host may send the whole disk although a difference was asked for.
fn missing_blocks(asked_for_difference: bool, is_difference: bool) -> Result<Content> {
    match (asked_for_difference, is_difference) {
        (true, true) => Ok(Content::Hole),
        (_, false) => Ok(Content::Zero),
        (false, true) => Err(Error::new(
            ErrorKind::Io,
            "the pool sent what differs from some other disk, not the whole disk",
        )),
    }
}

fn by_raw(pool: &Pool, tag: &Tag, disk: &str, size: u64, watch: Watch) -> Result<Spooled> {
    let what = Export { vdi: disk, format: "raw", base: None, whole: true };
    transfer::export(pool, what, tag, watch, |from| {
        // How much of it is empty is not known beforehand: the server's disk tells when it is full.
        let mut spool = Spool::new(pool.memory.folder()?, size, 0)?;
        let mut bytes = vec![0; 1 << 20];
        let mut at = 0;
        loop {
            let read = fill(from, &mut bytes)?;
            told(watch, read)?;
            spool.put(at, &bytes[..read])?;
            at += read as u64;
            // The storage may have rounded the disk up; more than that is no disk.
            if at > size + ROUNDED_UP {
                return Err(Error::new(ErrorKind::Io, "the pool sent something after the end of a disk"));
            }
            if read < bytes.len() {
                break;
            }
        }
        if at < size || !at.is_multiple_of(512) {
            return Err(Error::new(ErrorKind::Io, "the pool sent a disk that broke off"));
        }
        Ok(spool.finish(Content::Zero))
    })
}

/// Reads as much as there is, up to the length of `bytes`.
fn fill(from: &mut dyn Read, bytes: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match from.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io("the connection broke while a disk was read", e)),
        }
    }
    Ok(filled)
}

fn told(watch: Watch, more: usize) -> Result<()> {
    if watch(more as u64).is_break() { Err(stopped()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_way_that_the_pool_offers_comes_first_and_what_it_lacks_is_told() {
        use Way::{ChangedBlocks, Difference, Raw, Vhd};
        let all = Facts { has_reference: true, tracks_changes: true, has_nbd: true, fits_vhd: true };
        let table: [(Facts, &[Way], usize); 6] = [
            (all, &[ChangedBlocks, Difference, Vhd, Raw], 0),
            (Facts { tracks_changes: false, ..all }, &[Difference, Vhd, Raw], 1),
            (Facts { has_nbd: false, ..all }, &[Difference, Vhd, Raw], 1),
            (Facts { fits_vhd: false, ..all }, &[ChangedBlocks, Raw], 1),
            (Facts { has_reference: false, ..all }, &[Vhd, Raw], 1),
            (Facts { has_reference: false, fits_vhd: false, ..all }, &[Raw], 2),
        ];
        for (facts, expected, reasons) in table {
            let (ways, why) = ways(facts);
            assert_eq!((ways.as_slice(), why.len()), (expected, reasons), "{facts:?}");
        }
    }

    #[test]
    fn a_vhd_that_was_sent_tells_itself_whether_it_is_whole() {
        assert_eq!(missing_blocks(true, true).unwrap(), Content::Hole);
        assert_eq!(missing_blocks(true, false).unwrap(), Content::Zero);
        assert_eq!(missing_blocks(false, false).unwrap(), Content::Zero);
        assert_eq!(missing_blocks(false, true).unwrap_err().kind(), ErrorKind::Io);
    }

    #[test]
    fn the_sentence_tells_the_way_and_why_it_is_no_better() {
        assert_eq!(sentence(Way::ChangedBlocks, &[]), "Read were its changed blocks by NBD.");
        let why = ["changed blocks are not tracked (CBT)".to_owned()];
        let expected =
            "Read was what differs from its snapshot as a VHD, since changed blocks are not tracked (CBT).";
        assert_eq!(sentence(Way::Difference, &why), expected);
    }
}
