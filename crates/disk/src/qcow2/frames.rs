//! Compressed images out of zstd frames that exist already: nothing is unpacked, nothing packed again.
//!
//! ```text
//!   header … L2 tables │ clusters that do not compress, whole │ frames, one right after the other │ zeros to the cluster's end
//! ```

use std::sync::Arc;

use super::export::{CLUSTER, L2_ENTRIES, Layout};
use super::{COMPRESSED, COPIED};
use crate::error::corrupt;
use crate::export::tell;
use crate::pipeline::{default_threads, ordered};
use crate::plan::{Piece, Runs};
use crate::{Disk, Result, Sink, Watch};

/// How a 64 KiB cluster is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Not at all: it reads as zero.
    Hole,
    /// As a zstd frame of `len` bytes (less than 64 KiB) that unpacks to exactly 64 KiB.
    Compressed {
        /// Bytes of the frame.
        len: u32,
    },
    /// As 64 KiB of plain bytes.
    Raw,
}

/// The stored frames of a disk, by 64 KiB cluster. The disk's last cluster is a whole one too, filled up with zeros.
pub trait Frames: Sync {
    /// How `cluster` is stored. Asked once for each cluster, from several threads.
    fn frame(&self, cluster: u64) -> Result<Frame>;

    /// Puts the stored bytes of `cluster` into `buf`, replacing what is there: the frame, or 64 KiB of plain bytes.
    fn read_frame(&self, cluster: u64, buf: &mut Vec<u8>) -> Result<()>;

    /// The first cluster from `cluster` on that may not be a hole. A chance to skip long holes.
    fn skip_holes(&self, cluster: u64) -> Result<u64> {
        Ok(cluster)
    }

    /// Appends the stored bytes of some clusters to `buf`, in order. A chance to read them in one go.
    fn read_frames(&self, clusters: &[u64], buf: &mut Vec<u8>) -> Result<()> {
        let mut one = Vec::new();
        for cluster in clusters {
            self.read_frame(*cluster, &mut one)?;
            buf.extend_from_slice(&one);
        }
        Ok(())
    }
}

/// Clusters whose frames are asked for together, and bytes of frames read together.
const ASK: u64 = 1024;
const BATCH: u64 = 2 << 20;

/// Writes a version 3 image of `size` bytes with zstd clusters. `watch` is told bytes of the disk (64 KiB for each
/// cluster written). Memory: 8 bytes for each cluster that is stored.
pub fn export_frames(size: u64, frames: &dyn Frames, sink: &mut dyn Sink, watch: Watch) -> Result<()> {
    let index = Index::of(size, frames)?;
    index.head()?.try_for_each(|piece| match piece? {
        Piece::Bytes(bytes) => sink.data(&bytes),
        Piece::Zeros(length) => sink.zeros(length),
        Piece::Copy { .. } => Ok(()),
    })?;
    // First what must be aligned, then what need not be.
    for kind in [Stored::is_raw as fn(&Stored) -> bool, |s| !s.is_raw()] {
        let wanted = index.stored.iter().copied().filter(kind);
        ordered(
            default_threads(),
            batches(wanted),
            |batch| read(frames, batch),
            |(bytes, clusters)| {
                sink.data(&bytes)?;
                tell(watch, clusters * CLUSTER)
            },
        )?;
    }
    sink.zeros(index.padding())?;
    sink.finish()
}

/// A cluster and the length it is stored in: `cluster << 17 | length`, as there may be millions.
#[derive(Clone, Copy, Debug)]
struct Stored(u64);

impl Stored {
    fn new(cluster: u64, length: u64) -> Self {
        Self(cluster << 17 | length)
    }
    fn cluster(&self) -> u64 {
        self.0 >> 17
    }
    fn length(&self) -> u64 {
        self.0 & 0x1_ffff
    }
    fn is_raw(&self) -> bool {
        self.length() == CLUSTER
    }
}

/// All that is stored, in order.
struct Index {
    size: u64,
    stored: Arc<Vec<Stored>>,
    raw: u64,
    packed_bytes: u64,
}

impl Index {
    fn of(size: u64, frames: &dyn Frames) -> Result<Self> {
        let mut stored = Vec::new();
        let clusters = size.div_ceil(CLUSTER);
        let mut next = 0;
        let ranges = std::iter::from_fn(|| {
            let first = match frames.skip_holes(next) {
                Ok(first) => first.min(clusters),
                Err(e) => return Some(Err(e)),
            };
            next = (first + ASK).min(clusters);
            (first < clusters).then_some(Ok(first..next))
        });
        ordered(
            default_threads(),
            ranges,
            |range| ask(frames, range),
            |part: Vec<Stored>| {
                stored.extend(part);
                Ok(())
            },
        )?;
        let raw = stored.iter().filter(|s| s.is_raw()).count() as u64;
        let all: u64 = stored.iter().map(Stored::length).sum();
        Ok(Self { size, stored: Arc::new(stored), raw, packed_bytes: all - raw * CLUSTER })
    }

    fn padding(&self) -> u64 {
        self.packed_bytes.next_multiple_of(CLUSTER) - self.packed_bytes
    }

    fn head(&self) -> Result<impl Iterator<Item = Result<Piece>> + use<>> {
        let mut groups: Vec<u64> = self.stored.iter().map(|s| s.cluster() / L2_ENTRIES).collect();
        groups.dedup();
        let packed_clusters = self.packed_bytes.div_ceil(CLUSTER);
        let layout = Layout::new(self.size, groups.len() as u64, self.raw + packed_clusters)?;
        let first_packed = layout.first_data() + self.raw;
        let refcounts = self.refcounts();
        let head = layout.head(true, &groups, move |cluster| match cluster.checked_sub(first_packed) {
            None => 1,
            Some(packed) => refcounts[packed as usize],
        })?;
        let tables = Tables {
            stored: self.stored.clone(),
            at: 0,
            raw: layout.first_data() * CLUSTER,
            packed: first_packed * CLUSTER,
        };
        Ok(head.chain(tables.map(|table| Ok(Piece::Bytes(table)))))
    }

    /// How many frames touch each cluster of the last part.
    fn refcounts(&self) -> Vec<u16> {
        let mut counts = vec![0; self.packed_bytes.div_ceil(CLUSTER) as usize];
        let mut at = 0;
        for stored in self.stored.iter().filter(|s| !s.is_raw()) {
            let end = at + stored.length();
            for count in &mut counts[(at / CLUSTER) as usize..=((end - 1) / CLUSTER) as usize] {
                *count += 1; // a frame has at least 9 bytes: never more than 7,282
            }
            at = end;
        }
        counts
    }
}

/// The L2 tables, made one by one.
struct Tables {
    stored: Arc<Vec<Stored>>,
    at: usize,
    /// Where the next plain cluster, the next frame go.
    raw: u64,
    packed: u64,
}

impl Iterator for Tables {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let group = self.stored.get(self.at)?.cluster() / L2_ENTRIES;
        let mut table = vec![0; CLUSTER as usize];
        while let Some(stored) = self.stored.get(self.at).filter(|s| s.cluster() / L2_ENTRIES == group) {
            let length = stored.length();
            let entry = if stored.is_raw() {
                self.raw += CLUSTER;
                (self.raw - CLUSTER) | COPIED
            } else {
                let sectors = (self.packed + length - 1) / 512 - self.packed / 512;
                self.packed += length;
                (self.packed - length) | sectors << 54 | COMPRESSED
            };
            let place = (stored.cluster() % L2_ENTRIES) as usize * 8;
            crate::field::put(&mut table, place, &entry.to_be_bytes());
            self.at += 1;
        }
        Some(table)
    }
}

fn ask(frames: &dyn Frames, range: std::ops::Range<u64>) -> Result<Vec<Stored>> {
    let mut stored = Vec::new();
    for cluster in range {
        match frames.frame(cluster)? {
            Frame::Hole => {}
            Frame::Raw => stored.push(Stored::new(cluster, CLUSTER)),
            Frame::Compressed { len } if (9..CLUSTER).contains(&u64::from(len)) => {
                stored.push(Stored::new(cluster, u64::from(len)));
            }
            Frame::Compressed { len } => {
                return Err(corrupt(format!("cluster {cluster} is said to be a frame of {len} bytes")));
            }
        }
    }
    Ok(stored)
}

fn batches(stored: impl Iterator<Item = Stored>) -> impl Iterator<Item = Result<Vec<Stored>>> {
    let mut stored = stored.peekable();
    std::iter::from_fn(move || {
        let mut batch = vec![stored.next()?];
        let mut bytes = batch[0].length();
        while let Some(more) = stored.next_if(|s| bytes + s.length() <= BATCH) {
            bytes += more.length();
            batch.push(more);
        }
        Some(Ok(batch))
    })
}

fn read(frames: &dyn Frames, batch: Vec<Stored>) -> Result<(Vec<u8>, u64)> {
    let expected: u64 = batch.iter().map(Stored::length).sum();
    let clusters: Vec<u64> = batch.iter().map(Stored::cluster).collect();
    let mut bytes = Vec::with_capacity(expected as usize);
    frames.read_frames(&clusters, &mut bytes)?;
    if bytes.len() as u64 != expected {
        return Err(corrupt(format!(
            "clusters {}… are {} bytes long, not {expected} as was said before",
            clusters[0],
            bytes.len()
        )));
    }
    Ok((bytes, clusters.len() as u64))
}

/// Frames of a disk that has none: each cluster is packed when asked for, once for its length and once for its bytes,
/// as an image written in order needs all lengths first.
pub(crate) struct Packing<'a> {
    disk: &'a dyn Disk,
    runs: Runs,
}

/// zstd's level: as fast as the disk.
const LEVEL: i32 = 1;

impl<'a> Packing<'a> {
    pub fn new(disk: &'a dyn Disk) -> Result<Self> {
        Ok(Self { disk, runs: Runs::of(disk, CLUSTER)? })
    }

    fn content(&self, cluster: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; CLUSTER as usize];
        let offset = cluster * CLUSTER;
        let there = CLUSTER.min(self.disk.size() - offset) as usize;
        self.disk.read_at(&mut bytes[..there], offset)?;
        Ok(bytes)
    }

    /// The frame, or the bytes themselves where packing gains nothing.
    fn packed(&self, cluster: u64) -> Result<Vec<u8>> {
        let bytes = self.content(cluster)?;
        let frame = zstd::bulk::compress(&bytes, LEVEL)
            .map_err(|e| crate::Error::io(format!("cannot compress cluster {cluster}"), e))?;
        Ok(if (frame.len() as u64) < CLUSTER { frame } else { bytes })
    }
}

impl Frames for Packing<'_> {
    fn frame(&self, cluster: u64) -> Result<Frame> {
        if self.runs.within(cluster, cluster + 1).next().is_none() {
            return Ok(Frame::Hole);
        }
        let length = self.packed(cluster)?.len() as u64;
        Ok(if length == CLUSTER { Frame::Raw } else { Frame::Compressed { len: length as u32 } })
    }

    fn read_frame(&self, cluster: u64, buf: &mut Vec<u8>) -> Result<()> {
        *buf = self.packed(cluster)?;
        Ok(())
    }

    fn skip_holes(&self, cluster: u64) -> Result<u64> {
        Ok(self.runs.within(cluster, u64::MAX).next().map_or(u64::MAX, |(found, _)| found))
    }
}
