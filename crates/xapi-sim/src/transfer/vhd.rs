//! VHD, as XenServer's own `vhd-tool` writes and reads it.
//!
//! ```text
//!   footer copy │ header │ (room for the parent's name) │ block table at 2048 │ { bitmap, block of 2 MiB } … │ footer
//! ```
//!
//! All numbers are big-endian. The layout is that of recorded exports, byte by byte: maker "caml", no times of its own,
//! every bit of every bitmap set, so that 2 MiB are the smallest difference that a delta can tell.

use std::io::{Read, Write};

use shale_disk::vhd::VhdStream;
use shale_disk::{Content, Disk, Error, ErrorKind, Result, Watch, extents};
use uuid::Uuid;

use super::{tell, unwritable};
use crate::storage;

const SECTOR: u64 = 512;
/// Bytes of a block, and of the bitmap before it: a bit for each of its sectors.
const BLOCK: u64 = 2 << 20;
const BITMAP: u64 = BLOCK / SECTOR / 8;
const FOOTER: usize = 512;
const HEADER: usize = 1024;
const TABLE_OFFSET: u64 = 2048;
const ABSENT: u32 = u32::MAX;
/// Kinds of disks, as the footer has them.
const DYNAMIC: u32 = 3;
const DIFFERENCING: u32 = 4;

/// Writes what a dynamic or differencing VHD holds over what the VDI holds; what the VHD does not hold stays. Its
/// parent's name does not matter. Answers the bytes of the stream up to the last block: what follows is not read.
pub fn import_vhd(input: &mut dyn Read, vdi: &storage::Writer, watch: Watch) -> Result<u64> {
    let mut stream = VhdStream::new(input)?;
    let (mut piece, mut told) = (Vec::new(), 0);
    while let Some(offset) = stream.next_piece(&mut piece)? {
        vdi.write_at(&piece, offset)?;
        tell(watch, stream.position() - told)?;
        told = stream.position();
    }
    tell(watch, stream.position() - told)?;
    Ok(stream.position())
}

/// What a delta is relative to.
#[derive(Clone, Debug)]
pub struct Parent {
    /// Its identity.
    pub uuid: Uuid,
    /// The path of its file on the server, which is of no use to anybody.
    pub path: String,
    /// When it was last written, in seconds since the year 2000.
    pub modified: u32,
}

/// An export that is ready to be sent.
pub struct VhdExport<'a> {
    disk: &'a dyn Disk,
    /// All before the first block.
    front: Vec<u8>,
    footer: [u8; FOOTER],
    /// The blocks to send, in order.
    blocks: Vec<u64>,
}

impl<'a> VhdExport<'a> {
    /// The whole disk: every block of which anything is allocated.
    pub fn full(disk: &'a dyn Disk, uuid: Uuid) -> Result<Self> {
        let mut blocks = Vec::new();
        for extent in extents(disk) {
            let extent = extent?;
            if extent.content == Content::Data {
                let first = blocks.last().map_or(0, |last| last + 1).max(extent.offset / BLOCK);
                blocks.extend(first..(extent.offset + extent.length).div_ceil(BLOCK));
            }
        }
        Self::new(disk, uuid, None, blocks)
    }

    /// The blocks that differ from a parent, by a bitmap from [`storage::Repository::changed_blocks`].
    pub fn delta(disk: &'a dyn Disk, uuid: Uuid, parent: &Parent, changed: &[u8]) -> Result<Self> {
        let bytes = (BLOCK / storage::BLOCK / 8) as usize;
        let blocks = changed.chunks(bytes).zip(0..).filter(|(bits, _)| bits.iter().any(|bits| *bits != 0));
        Self::new(disk, uuid, Some(parent), blocks.map(|(_, block)| block).collect())
    }

    fn new(disk: &'a dyn Disk, uuid: Uuid, parent: Option<&Parent>, blocks: Vec<u64>) -> Result<Self> {
        if disk.size() > storage::MAX_SIZE {
            let what = format!("a disk of {} bytes is too large for VHD", disk.size());
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let kind = if parent.is_some() { DIFFERENCING } else { DYNAMIC };
        let footer = footer(disk.size(), kind, uuid);
        let entries = disk.size().div_ceil(BLOCK);
        let mut front = footer.to_vec();
        front.extend(header(entries as u32, parent));
        front.resize(TABLE_OFFSET as usize, 0);
        front.extend(table(entries, &blocks));
        Ok(Self { disk, front, footer, blocks })
    }

    /// How many bytes will be sent.
    pub fn length(&self) -> u64 {
        (self.front.len() + FOOTER) as u64 + self.blocks.len() as u64 * (BITMAP + BLOCK)
    }

    /// Sends everything.
    pub fn send(&self, output: &mut dyn Write, watch: Watch) -> Result<()> {
        let mut send = |bytes: &[u8]| {
            output.write_all(bytes).map_err(unwritable)?;
            tell(watch, bytes.len() as u64)
        };
        send(&self.front)?;
        let mut block = vec![0xff; (BITMAP + BLOCK) as usize];
        for number in &self.blocks {
            let offset = number * BLOCK;
            let inside = (self.disk.size() - offset).min(BLOCK);
            let (data, beyond) = block[BITMAP as usize..].split_at_mut(inside as usize);
            self.disk.read_at(data, offset)?;
            beyond.fill(0);
            send(&block)?;
        }
        send(&self.footer)?;
        output.flush().map_err(unwritable)
    }
}

/// Where each block will lie, in sectors.
fn table(entries: u64, blocks: &[u64]) -> Vec<u8> {
    let length = (entries * 4).next_multiple_of(SECTOR);
    let mut table = vec![0xff; length as usize];
    for entry in table.chunks_exact_mut(4) {
        entry.copy_from_slice(&ABSENT.to_be_bytes());
    }
    let first = (TABLE_OFFSET + length) / SECTOR;
    for (block, rank) in blocks.iter().zip(0..) {
        let place = first + rank * (BITMAP + BLOCK) / SECTOR; // below 2^32, since the size is limited
        put(&mut table, *block as usize * 4, &(place as u32).to_be_bytes());
    }
    table
}

fn footer(size: u64, kind: u32, uuid: Uuid) -> [u8; FOOTER] {
    let mut b = [0; FOOTER];
    put(&mut b, 0, b"conectix");
    put(&mut b, 8, &2u32.to_be_bytes()); // features: a bit that is always set
    put(&mut b, 12, &0x0001_0000u32.to_be_bytes());
    put(&mut b, 16, &(FOOTER as u64).to_be_bytes()); // where the header is
    put(&mut b, 28, b"caml");
    put(&mut b, 32, &1u32.to_be_bytes());
    put(&mut b, 40, &size.to_be_bytes());
    put(&mut b, 48, &size.to_be_bytes());
    put(&mut b, 56, &geometry(size / SECTOR));
    put(&mut b, 60, &kind.to_be_bytes());
    put(&mut b, 68, uuid.as_bytes());
    let sum = checksum(&b);
    put(&mut b, 64, &sum);
    b
}

fn header(entries: u32, parent: Option<&Parent>) -> [u8; HEADER] {
    let mut h = [0; HEADER];
    put(&mut h, 0, b"cxsparse");
    put(&mut h, 8, &u64::MAX.to_be_bytes());
    put(&mut h, 16, &TABLE_OFFSET.to_be_bytes());
    put(&mut h, 24, &0x0001_0000u32.to_be_bytes());
    put(&mut h, 28, &entries.to_be_bytes());
    put(&mut h, 32, &(BLOCK as u32).to_be_bytes());
    if let Some(parent) = parent {
        put(&mut h, 40, parent.uuid.as_bytes());
        put(&mut h, 56, &parent.modified.to_be_bytes());
        for (unit, at) in parent.path.encode_utf16().take(256).zip((64..).step_by(2)) {
            put(&mut h, at, &unit.to_be_bytes());
        }
        // Says where the name lies as a URL; the real tool leaves that place empty, too.
        put(&mut h, 576, b"MacX");
        put(&mut h, 580, &1u32.to_be_bytes()); // sectors
        put(&mut h, 584, &("file://".len() as u32 + parent.path.len() as u32).to_be_bytes());
        put(&mut h, 592, &((FOOTER + HEADER) as u64).to_be_bytes());
    }
    let sum = checksum(&h);
    put(&mut h, 36, &sum);
    h
}

/// Writes at a place of a header under construction.
fn put(header: &mut [u8], at: usize, value: &[u8]) {
    header[at..at + value.len()].copy_from_slice(value);
}

/// One's complement of the sum of all bytes; the checksum itself is still zero.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    (!bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>()).to_be_bytes()
}

/// Cylinders, heads and sectors per track, as the appendix of Microsoft's specification has them.
fn geometry(sectors: u64) -> [u8; 4] {
    let total = sectors.min(65535 * 16 * 255);
    let (per_track, heads, tracks) = if total >= 65535 * 16 * 63 {
        (255, 16, total / 255)
    } else {
        let heads = (total / 17).div_ceil(1024).max(4);
        match total / 17 {
            tracks if tracks < heads * 1024 && heads <= 16 => (17, heads, tracks),
            _ if total / 31 < 16 * 1024 => (31, 16, total / 31),
            _ => (63, 16, total / 63),
        }
    };
    let [high, low] = ((tracks / heads) as u16).to_be_bytes();
    [high, low, heads as u8, per_track as u8]
}
