//! Where the repository and disks meet: a stored version as a disk, and disks as what is to be stored.

use shale_connector::Firmware;
use shale_disk::qcow2::{Frame, Frames};
use shale_disk::{Content, Disk, Error, ErrorKind, Extent, Layered, Result, table};
use shale_store::{BLOCK, Source, SourceError, Version, What};
use shale_volume::{Masked, free};
use std::ops::Range;
use std::sync::Arc;

/// A version of the repository as a disk.
pub struct StoredDisk(pub Version);

fn store_error(error: shale_store::Error) -> Error {
    let kind = match error.kind() {
        shale_store::ErrorKind::Full => ErrorKind::Full,
        shale_store::ErrorKind::Stopped => ErrorKind::Stopped,
        shale_store::ErrorKind::Io | shale_store::ErrorKind::Busy => ErrorKind::Io,
        shale_store::ErrorKind::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Corrupt,
    };
    Error::new(kind, "the repository did not give what was stored").with_source(error)
}

impl Disk for StoredDisk {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.0.read_at(buf, offset).map_err(store_error)
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        let (length, data) = self.0.extent_at(offset).map_err(store_error)?;
        Ok(Extent { offset, length, content: if data { Content::Data } else { Content::Hole } })
    }
}

/// What differs in a version's disk from another's, told by their maps alone: a hole is what both have.
pub struct Differing {
    disk: StoredDisk,
    other: Version,
}

impl Differing {
    /// What differs in `disk` from `other`; `None` where `other` is larger, and so no disk to start from.
    pub fn new(disk: Version, other: Version) -> Option<Self> {
        (other.size() <= disk.size()).then(|| Self { disk: StoredDisk(disk), other })
    }
}

impl Disk for Differing {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.disk.read_at(buf, offset)
    }

    fn extent_at(&self, offset: u64) -> Result<Extent> {
        let (length, differs) = self.disk.0.differs_at(&self.other, offset).map_err(store_error)?;
        if !differs {
            return Ok(Extent { offset, length, content: Content::Hole });
        }
        let whole = self.disk.extent_at(offset)?;
        let content = if whole.content == Content::Data { Content::Data } else { Content::Zero };
        Ok(Extent { offset, length: length.min(whole.length), content })
    }
}

/// A version of the repository as the frames it is stored in, which a compressed qcow2 takes as they are.
pub struct StoredFrames(pub Version);

impl Frames for StoredFrames {
    fn frame(&self, cluster: u64) -> Result<Frame> {
        Ok(match self.0.frame(cluster).map_err(store_error)? {
            None => Frame::Hole,
            Some(info) if info.raw => Frame::Raw,
            Some(info) => Frame::Compressed { len: info.length },
        })
    }

    fn read_frame(&self, cluster: u64, buf: &mut Vec<u8>) -> Result<()> {
        self.0.read_frame(cluster, buf).map(drop).map_err(store_error)
    }

    fn skip_holes(&self, cluster: u64) -> Result<u64> {
        let offset = cluster * BLOCK as u64;
        if offset >= self.0.size() {
            return Ok(cluster);
        }
        let (length, data) = self.0.extent_at(offset).map_err(store_error)?;
        Ok(if data { cluster } else { cluster + length.div_ceil(BLOCK as u64) })
    }
}

/// The firmware a disk starts with, as far as its partition table tells.
pub fn firmware_of(disk: &dyn Disk) -> Firmware {
    match table::partitions(disk).map(|table| table.firmware()) {
        Ok(Some(table::Firmware::Uefi)) => Firmware::Uefi,
        _ => Firmware::Bios,
    }
}

/// What a disk's file systems say is free, in whole blocks, and a sentence about it for people. Blocks that are free
/// in part are kept as they are: most often the repository has them already.
fn free_space(disk: &dyn Disk) -> Result<(Vec<Range<u64>>, String)> {
    let found = free::disk(disk)?;
    let known = found.iter().filter(|free| free.unknown.is_none());
    let ranges: Vec<_> = known.flat_map(|free| free.whole_blocks(BLOCK as u64)).collect();
    let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    let mut text = match bytes {
        0 => "No free space is known.".to_owned(),
        _ => format!("{:.1} GiB of free space left out.", bytes as f64 / (1u64 << 30) as f64),
    };
    for free in &found {
        if let (Some(kind), Some(why)) = (free.kind, &free.unknown) {
            text.push_str(&format!(" All of a file system ({kind}) is kept: {why}."));
        }
    }
    Ok((ranges, text))
}

/// A whole disk, to be stored as it is, but for what its file systems say is free.
pub struct Imported {
    disk: Masked<Arc<dyn Disk>>,
}

impl Imported {
    /// `disk`, with its free space left out if `drop_free_space`; and a sentence about that.
    pub fn new(disk: Arc<dyn Disk>, drop_free_space: bool) -> Result<(Self, String)> {
        let (ranges, note) = match drop_free_space {
            true => free_space(disk.as_ref())?,
            false => (Vec::new(), "Free space is kept as it is.".into()),
        };
        Ok((Self { disk: Masked::new(disk, ranges) }, note))
    }
}

impl Source for Imported {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn extent_at(&self, offset: u64) -> std::result::Result<(u64, What), SourceError> {
        let extent = self.disk.extent_at(offset)?;
        Ok((extent.length, if extent.content == Content::Data { What::Data } else { What::Zero }))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        Ok(self.disk.read_at(buf, offset)?)
    }
}

/// A packaging machine's disk of `size` bytes as it is now, and as it began: `changes` over `base`, and that alone, grown.
pub fn seen(changes: Arc<dyn Disk>, base: Version, size: u64) -> Result<(Arc<dyn Disk>, Arc<dyn Disk>)> {
    if changes.size() != size {
        let text = format!(
            "the packaging disk is {} bytes, not {size}: it is not the one that was made for this version",
            changes.size()
        );
        return Err(Error::new(ErrorKind::Changed, text));
    }
    let base = shale_disk::table::grown(Arc::new(StoredDisk(base)), size)?;
    Ok((Arc::new(Layered::new(changes, base.clone())), base))
}

/// A packaging machine's disk: what it changed, over the version it started from.
///
/// ```text
///   changes   ██··░░··█          █ data  ░ zero  · nothing: as the machine saw its base
///   base      ▓▓▓▓▓▓▓▓ · ·       the version, grown: GPT moved to the new end, which is no change of the guest's
///   stored    █▓▓  ▓▓▓█  ▓       first and last blocks are read whenever the disk grew
/// ```
pub struct Changed {
    changes: Arc<dyn Disk>,
    /// What the guest saw: changes over the grown base.
    seen: Masked<Arc<dyn Disk>>,
    /// Where the table of a grown disk may differ from the base's without the guest having written there.
    edges: Vec<Range<u64>>,
}

/// Bytes at a disk's start, and at its old and new end, that a moved partition table touches.
const EDGE: u64 = 1 << 20;

impl Changed {
    /// `changes` over `base`, on a disk of `size` bytes; and a sentence about free space left out.
    pub fn new(changes: Box<dyn Disk>, base: Version, size: u64) -> Result<(Self, String)> {
        let old = base.size();
        let changes: Arc<dyn Disk> = Arc::from(changes);
        let (seen, _) = seen(changes.clone(), base, size)?;
        let (ranges, note) = free_space(seen.as_ref())?;
        let mut edges = Vec::new();
        if size != old {
            edges.extend([0..EDGE.min(size), old.saturating_sub(EDGE)..old, size.saturating_sub(EDGE)..size]);
        }
        Ok((Self { changes, seen: Masked::new(seen, ranges), edges }, note))
    }

    /// The edge that `offset` is in, or the next one: its end or its start.
    fn edge(&self, offset: u64) -> (bool, u64) {
        if let Some(inside) = self.edges.iter().find(|edge| edge.contains(&offset)) {
            return (true, inside.end);
        }
        let next = self.edges.iter().map(|edge| edge.start).filter(|start| *start > offset).min();
        (false, next.unwrap_or(self.changes.size()))
    }
}

impl Source for Changed {
    fn size(&self) -> u64 {
        self.changes.size()
    }

    fn extent_at(&self, offset: u64) -> std::result::Result<(u64, What), SourceError> {
        let (at_edge, until) = self.edge(offset);
        let changed = self.changes.extent_at(offset)?;
        if changed.content == Content::Hole && !at_edge {
            return Ok((changed.length.min(until - offset), What::Parent));
        }
        let seen = self.seen.extent_at(offset)?;
        let length = changed.length.min(seen.length).min(until - offset);
        Ok((length, if seen.content == Content::Data { What::Data } else { What::Zero }))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
        Ok(self.seen.read_at(buf, offset)?)
    }
}
