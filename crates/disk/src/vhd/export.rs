//! Writing VHD in order.

use super::footer::{Footer, Kind, LENGTH, checksum};
use super::{ABSENT, MAX_SIZE};
use crate::error::unsupported;
use crate::field::put;
use crate::plan::{Piece, Plan, Runs, part};
use crate::{Disk, Result};
use std::sync::Arc;

/// Bytes of a block, and of the bitmap before it: a bit for each of its sectors.
const BLOCK: u64 = 2 << 20;
const BITMAP: u64 = BLOCK / 512 / 8;
const HEADER_OFFSET: u64 = LENGTH as u64;
const TABLE_OFFSET: u64 = HEADER_OFFSET + 1024;

fn footer(disk: &dyn Disk, kind: Kind) -> Result<[u8; LENGTH]> {
    let size = disk.size();
    if size > MAX_SIZE {
        return Err(unsupported(format!("a disk of {size} bytes is too large for VHD (2040 GiB): use VHDX")));
    }
    let header_offset = if kind == Kind::Fixed { u64::MAX } else { HEADER_OFFSET };
    Ok(Footer { kind, size, header_offset, uuid: uuid::Uuid::new_v4().into_bytes() }.encode())
}

/// The bytes and a footer.
pub(crate) fn plan_fixed(disk: &dyn Disk) -> Result<Plan<'_>> {
    let footer = footer(disk, Kind::Fixed)?;
    let data = part(disk, 0, disk.size());
    Ok(Plan {
        length: disk.size() + LENGTH as u64,
        pieces: Box::new(data.chain([Ok(Piece::Bytes(footer.to_vec()))])),
    })
}

/// Only blocks with data.
pub(crate) fn plan_dynamic(disk: &dyn Disk) -> Result<Plan<'_>> {
    let footer = footer(disk, Kind::Dynamic)?;
    let runs = Arc::new(Runs::of(disk, BLOCK)?);
    let entries = disk.size().div_ceil(BLOCK);
    let table_length = (entries * 4).next_multiple_of(512);
    let first = TABLE_OFFSET + table_length;

    let mut front = footer.to_vec();
    front.extend(header(entries as u32));
    for _ in 0..table_length / 4 {
        front.extend(ABSENT.to_be_bytes());
    }
    for (block, rank) in runs.within(0, entries) {
        let sector = ((first + rank * (BITMAP + BLOCK)) / 512) as u32; // below 2^32: the size is limited
        put(&mut front, (TABLE_OFFSET + block * 4) as usize, &sector.to_be_bytes());
    }
    let length = first + runs.total * (BITMAP + BLOCK) + LENGTH as u64;
    let blocks = Runs::into_blocks(runs).flat_map(move |block| {
        // Every bit is set, as XenServer's own exports have it: the block is whole.
        let bitmap = [Ok(Piece::Bytes(vec![0xff; BITMAP as usize]))];
        bitmap.into_iter().chain(part(disk, block * BLOCK, (block + 1) * BLOCK))
    });
    let pieces =
        [Ok(Piece::Bytes(front))].into_iter().chain(blocks).chain([Ok(Piece::Bytes(footer.to_vec()))]);
    Ok(Plan { length, pieces: Box::new(pieces) })
}

/// The dynamic header.
fn header(entries: u32) -> [u8; 1024] {
    let mut h = [0; 1024];
    put(&mut h, 0, b"cxsparse");
    put(&mut h, 8, &u64::MAX.to_be_bytes());
    put(&mut h, 16, &TABLE_OFFSET.to_be_bytes());
    put(&mut h, 24, &0x0001_0000u32.to_be_bytes());
    put(&mut h, 28, &entries.to_be_bytes());
    put(&mut h, 32, &(BLOCK as u32).to_be_bytes());
    let sum = checksum(&h, 36);
    put(&mut h, 36, &sum.to_be_bytes());
    h
}
