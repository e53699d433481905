//! Writing monolithicSparse in order.

use std::sync::Arc;

use super::SECTOR;
use super::header::{DESCRIPTOR_SECTORS, ENTRIES, GRAIN, Header, descriptor};
use crate::error::unsupported;
use crate::plan::{Piece, Plan, Runs};
use crate::{Disk, Result};

/// Sectors of a table.
const TABLE: u64 = ENTRIES * 4 / SECTOR;

/// All tables exist, twice, as VMware makes them; those without entries are zeros that a sparse file does not store.
pub(crate) fn plan_sparse(disk: &dyn Disk) -> Result<Plan<'_>> {
    let capacity = disk.size() / SECTOR;
    let tables = capacity.div_ceil(GRAIN * ENTRIES);
    let directory = (tables * 4).div_ceil(SECTOR);
    let redundant = 1 + DESCRIPTOR_SECTORS;
    let primary = redundant + directory + tables * TABLE;
    let first = (primary + directory + tables * TABLE).next_multiple_of(GRAIN);

    let runs = Arc::new(Runs::of(disk, GRAIN * SECTOR)?);
    let length = (first + runs.total * GRAIN) * SECTOR;
    if length / SECTOR > u64::from(u32::MAX) {
        return Err(unsupported("more than 2 TiB of data do not fit into a VMDK: use another format"));
    }
    let header = Header {
        capacity,
        grain: GRAIN,
        entries: ENTRIES,
        descriptor: (1, DESCRIPTOR_SECTORS),
        redundant_directory: redundant,
        directory: primary,
        overhead: first,
        compressed: false,
        zeroed_grains: false,
    };
    let mut front = header.encode().to_vec();
    front.extend(descriptor(capacity, "monolithicSparse"));
    let groups = Arc::new(runs.groups(ENTRIES));
    let copies = [redundant, primary].into_iter().flat_map({
        let runs = runs.clone();
        move |at| one_copy(at + directory, tables, directory, first, runs.clone(), groups.clone())
    });
    let gap = (first - (primary + directory + tables * TABLE)) * SECTOR;
    let pieces = [Ok(Piece::Bytes(front))]
        .into_iter()
        .chain(copies)
        .chain([Ok(Piece::Zeros(gap))])
        .chain(Runs::into_contents(runs, disk));
    Ok(Plan { length, pieces: Box::new(pieces) })
}

/// A directory and its tables, the first of which is at sector `table`.
fn one_copy(
    table: u64,
    tables: u64,
    directory: u64,
    first: u64,
    runs: Arc<Runs>,
    groups: Arc<Vec<u64>>,
) -> impl Iterator<Item = Result<Piece>> {
    let mut bytes: Vec<u8> = (0..tables).flat_map(|i| ((table + i * TABLE) as u32).to_le_bytes()).collect();
    bytes.resize((directory * SECTOR) as usize, 0);
    let mut next = 0;
    let mut at = 0;
    let body = std::iter::from_fn(move || {
        if next == tables {
            return None;
        }
        let wanted = groups.get(at).copied().unwrap_or(tables);
        if next < wanted {
            let skipped = wanted - next;
            next = wanted;
            return Some(Ok(Piece::Zeros(skipped * TABLE * SECTOR)));
        }
        (next, at) = (next + 1, at + 1);
        Some(Ok(Piece::Bytes(grain_table(&runs, wanted, |rank| (first + rank * GRAIN) as u32))))
    });
    [Ok(Piece::Bytes(bytes))].into_iter().chain(body)
}

/// The table of a group of grains; `place` tells the sector of the grain with a rank.
fn grain_table(runs: &Runs, group: u64, place: impl Fn(u64) -> u32) -> Vec<u8> {
    let mut table = vec![0; (TABLE * SECTOR) as usize];
    for (grain, rank) in runs.within(group * ENTRIES, (group + 1) * ENTRIES) {
        crate::field::put(&mut table, (grain % ENTRIES) as usize * 4, &place(rank).to_le_bytes());
    }
    table
}
