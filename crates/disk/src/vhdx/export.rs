//! Writing a dynamic VHDX in order.

use super::*;
use crate::error::unsupported;
use crate::field::put;
use crate::plan::{Piece, Plan, Runs, part};
use crate::{Disk, Result};
use std::sync::Arc;

const LOG_AT: u64 = MIB;
const METADATA_AT: u64 = 2 * MIB;
const TABLE_AT: u64 = 3 * MIB;
const LOGICAL: u64 = 512;
const FULLY_PRESENT: u64 = 6;
/// Bytes of a metadata item's values, behind the table's 64 KiB.
const ITEMS_AT: u32 = 64 << 10;

/// Only blocks with data. Small blocks for common sizes, so that little is stored beside the data.
pub(crate) fn plan(disk: &dyn Disk) -> Result<Plan<'_>> {
    let size = disk.size();
    if size > MAX_SIZE {
        return Err(unsupported(format!("a disk of {size} bytes is too large for VHDX (64 TiB)")));
    }
    let block = if size <= 4 << 40 { 2 * MIB } else { 32 * MIB };
    let ratio = chunk_ratio(block, LOGICAL);
    let blocks = size.div_ceil(block);
    let entries = blocks + (blocks - 1) / ratio;
    let table_length = (entries * 8).next_multiple_of(MIB);
    let first = TABLE_AT + table_length;

    let runs = Arc::new(Runs::of(disk, block)?);
    let mut table = vec![0; table_length as usize];
    for (index, rank) in runs.within(0, blocks) {
        let entry = (first + rank * block) | FULLY_PRESENT;
        put(&mut table, (index + index / ratio) as usize * 8, &entry.to_le_bytes());
    }
    let length = first + runs.total * block;
    let front = [
        Ok(Piece::Bytes(front(table_length))),
        Ok(Piece::Zeros(MIB)), // the log, empty
        Ok(Piece::Bytes(metadata(size, block))),
        Ok(Piece::Zeros(MIB - u64::from(ITEMS_AT) * 2)),
        Ok(Piece::Bytes(table)),
    ];
    let data = Runs::into_blocks(runs).flat_map(move |b| part(disk, b * block, (b + 1) * block));
    Ok(Plan { length, pieces: Box::new(front.into_iter().chain(data)) })
}

/// The first MiB: file type, two headers, two region tables.
fn front(table_length: u64) -> Vec<u8> {
    let mut b = vec![0; MIB as usize];
    put(&mut b, 0, &SIGNATURE);
    let creator: Vec<u8> = "Shale".encode_utf16().flat_map(u16::to_le_bytes).collect();
    put(&mut b, 8, &creator);
    let (file, data) = (Uuid::new_v4(), Uuid::new_v4());
    for (sequence, at) in (1u64..).zip(HEADERS) {
        let mut h = [0; HEADER];
        put(&mut h, 0, b"head");
        put(&mut h, 8, &sequence.to_le_bytes());
        put(&mut h, 16, &file.to_bytes_le());
        put(&mut h, 32, &data.to_bytes_le());
        put(&mut h, 66, &1u16.to_le_bytes());
        put(&mut h, 68, &(MIB as u32).to_le_bytes());
        put(&mut h, 72, &LOG_AT.to_le_bytes());
        let sum = checksum(&h);
        put(&mut h, 4, &sum.to_le_bytes());
        put(&mut b, at as usize, &h);
    }
    let mut t = vec![0; TABLE];
    put(&mut t, 0, b"regi");
    put(&mut t, 8, &2u32.to_le_bytes());
    let regions = [(REGION_BLOCK_TABLE, TABLE_AT, table_length), (REGION_METADATA, METADATA_AT, MIB)];
    for (at, (id, offset, length)) in (16..).step_by(32).zip(regions) {
        put(&mut t, at, &id.to_bytes_le());
        put(&mut t, at + 16, &offset.to_le_bytes());
        put(&mut t, at + 24, &(length as u32).to_le_bytes());
        put(&mut t, at + 28, &1u32.to_le_bytes());
    }
    let sum = checksum(&t);
    put(&mut t, 4, &sum.to_le_bytes());
    for at in REGION_TABLES {
        put(&mut b, at as usize, &t);
    }
    b
}

/// The metadata table and its items.
fn metadata(size: u64, block: u64) -> Vec<u8> {
    const REQUIRED: u32 = 4;
    const OF_THE_DISK: u32 = 2;
    let mut b = vec![0; ITEMS_AT as usize * 2];
    put(&mut b, 0, b"metadata");
    let items: [(Uuid, u32, Vec<u8>); 5] = [
        (FILE_PARAMETERS, REQUIRED, block.to_le_bytes().to_vec()), // u32 size, u32 flags: none
        (VIRTUAL_SIZE, REQUIRED | OF_THE_DISK, size.to_le_bytes().to_vec()),
        (DISK_ID, REQUIRED | OF_THE_DISK, Uuid::new_v4().to_bytes_le().to_vec()),
        (LOGICAL_SECTOR, REQUIRED | OF_THE_DISK, 512u32.to_le_bytes().to_vec()),
        (PHYSICAL_SECTOR, REQUIRED | OF_THE_DISK, 4096u32.to_le_bytes().to_vec()),
    ];
    put(&mut b, 10, &(items.len() as u16).to_le_bytes());
    let mut value_at = ITEMS_AT;
    for (at, (id, flags, value)) in (32..).step_by(32).zip(items) {
        put(&mut b, at, &id.to_bytes_le());
        put(&mut b, at + 16, &value_at.to_le_bytes());
        put(&mut b, at + 20, &(value.len() as u32).to_le_bytes());
        put(&mut b, at + 24, &flags.to_le_bytes());
        put(&mut b, value_at as usize, &value);
        value_at += value.len() as u32;
    }
    b
}
