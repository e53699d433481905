//! Writing an image in order: all tables first, since all places are known from the extents alone.
//!
//! ```text
//!   header │ refcount table │ refcount blocks │ L1 table │ L2 tables that have entries │ clusters
//! ```

use super::header::Written;
use super::{CLUSTER_BITS, COPIED, MAX_L1_BYTES};
use crate::error::unsupported;
use crate::plan::{Piece, Plan, Runs};
use crate::{Disk, Result};

pub(super) const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Entries of an L2 table, refcounts in a refcount block.
pub(super) const L2_ENTRIES: u64 = CLUSTER / 8;
const REFCOUNTS: u64 = CLUSTER / 2;

/// Where everything is, in clusters.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub size: u64,
    pub refcount_table: u64,
    pub refcount_blocks: u64,
    pub l1: u64,
    pub l2_tables: u64,
    pub data: u64,
}

impl Layout {
    /// For a disk of `size` bytes with so many L2 tables and clusters of data.
    pub fn new(size: u64, l2_tables: u64, data: u64) -> Result<Self> {
        let l1 = (size.div_ceil(CLUSTER * L2_ENTRIES) * 8).div_ceil(CLUSTER);
        if l1 * CLUSTER > MAX_L1_BYTES {
            return Err(unsupported(format!("a disk of {size} bytes is too large for qcow2")));
        }
        let mut layout = Self { size, refcount_table: 1, refcount_blocks: 1, l1, l2_tables, data };
        // Refcounts count their own clusters too: grow until they suffice.
        loop {
            let blocks = layout.clusters().div_ceil(REFCOUNTS);
            let table = (blocks * 8).div_ceil(CLUSTER);
            if (blocks, table) == (layout.refcount_blocks, layout.refcount_table) {
                return Ok(layout);
            }
            (layout.refcount_blocks, layout.refcount_table) = (blocks, table);
        }
    }

    pub fn clusters(&self) -> u64 {
        self.first_data() + self.data
    }

    fn first_block(&self) -> u64 {
        1 + self.refcount_table
    }

    fn first_l1(&self) -> u64 {
        self.first_block() + self.refcount_blocks
    }

    fn first_l2(&self) -> u64 {
        self.first_l1() + self.l1
    }

    pub fn first_data(&self) -> u64 {
        self.first_l2() + self.l2_tables
    }

    /// Header, refcounts and L1 table. `refcount` tells how often a cluster is used; `groups` which L2 tables exist.
    pub fn head<F: Fn(u64) -> u16>(
        &self,
        zstd: bool,
        groups: &[u64],
        refcount: F,
    ) -> Result<impl Iterator<Item = Result<Piece>> + use<F>> {
        let header = Written {
            size: self.size,
            l1_offset: self.first_l1() * CLUSTER,
            l1_entries: self.size.div_ceil(CLUSTER * L2_ENTRIES) as u32,
            refcount_offset: CLUSTER,
            refcount_clusters: self.refcount_table as u32,
            zstd,
            backing: None,
        };
        let mut front = header.encode()?;
        for block in 0..self.refcount_blocks {
            front.extend(((self.first_block() + block) * CLUSTER).to_be_bytes());
        }
        front.resize(((1 + self.refcount_table) * CLUSTER) as usize, 0);
        let total = self.clusters();
        let blocks = (0..self.refcount_blocks).map(move |block| {
            let first = block * REFCOUNTS;
            let used = (first..total.min(first + REFCOUNTS)).flat_map(|c| refcount(c).to_be_bytes());
            let mut bytes: Vec<u8> = used.collect();
            bytes.resize(CLUSTER as usize, 0);
            Ok(Piece::Bytes(bytes))
        });
        let mut l1 = vec![0; (self.l1 * CLUSTER) as usize];
        for (index, group) in (0u64..).zip(groups) {
            let place = ((self.first_l2() + index) * CLUSTER) | COPIED;
            crate::field::put(&mut l1, *group as usize * 8, &place.to_be_bytes());
        }
        Ok(std::iter::once(Ok(Piece::Bytes(front))).chain(blocks).chain([Ok(Piece::Bytes(l1))]))
    }
}

/// The pieces of an image with plain clusters.
pub(crate) fn plan(disk: &dyn Disk) -> Result<Plan<'_>> {
    let runs = Runs::of(disk, CLUSTER)?;
    let groups = runs.groups(L2_ENTRIES);
    let layout = Layout::new(disk.size(), groups.len() as u64, runs.total)?;
    let head = layout.head(false, &groups, |_| 1)?;
    let first = layout.first_data();
    let length = layout.clusters() * CLUSTER;
    let runs = std::sync::Arc::new(runs);
    let tables = groups.into_iter().map({
        let runs = runs.clone();
        move |group| {
            let mut table = vec![0; CLUSTER as usize];
            for (cluster, rank) in runs.within(group * L2_ENTRIES, (group + 1) * L2_ENTRIES) {
                let entry = ((first + rank) * CLUSTER) | COPIED;
                crate::field::put(&mut table, (cluster % L2_ENTRIES) as usize * 8, &entry.to_be_bytes());
            }
            Ok(Piece::Bytes(table))
        }
    });
    Ok(Plan { length, pieces: Box::new(head.chain(tables).chain(Runs::into_contents(runs, disk))) })
}
