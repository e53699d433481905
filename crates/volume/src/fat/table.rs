//! The table of a FAT: for each cluster, which one comes next.
//!
//! ```text
//!   entry   0 free · 2… the next cluster · …7 damaged · …8 to …f the last one       entries 0 and 1 are no clusters
//!   FAT12   two entries in three bytes: 21 43 65 is 0x321, 0x654
//! ```

use std::collections::BTreeSet;

use shale_disk::{Error, ErrorKind, Result};

use super::corrupt;
use super::shape::{Shape, Width};

/// Parts of the table that are written when something in them changed.
pub(super) const PART: usize = 512;

/// All of it, in memory.
pub(super) struct Table {
    width: Width,
    bytes: Vec<u8>,
    clusters: u32,
    /// Numbers of parts.
    changed: BTreeSet<usize>,
    /// No cluster before this one is free.
    lowest: u32,
}

impl Table {
    pub fn new(shape: &Shape, bytes: Vec<u8>) -> Self {
        Self { width: shape.width, bytes, clusters: shape.clusters, changed: BTreeSet::new(), lowest: 2 }
    }

    /// The number that is kept where nothing follows.
    fn end(&self) -> u32 {
        match self.width {
            Width::Twelve => 0xfff,
            Width::Sixteen => 0xffff,
            Width::ThirtyTwo => 0x0fff_ffff,
        }
    }

    fn get(&self, cluster: u32) -> u32 {
        let number = cluster as usize;
        let byte = |at: usize| u32::from(self.bytes.get(at).copied().unwrap_or(0xff));
        match self.width {
            Width::Twelve => {
                let at = number * 3 / 2;
                (byte(at) | byte(at + 1) << 8) >> (number % 2 * 4) & 0xfff
            }
            Width::Sixteen => byte(number * 2) | byte(number * 2 + 1) << 8,
            Width::ThirtyTwo => {
                let at = number * 4;
                (byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24) & 0x0fff_ffff
            }
        }
    }

    fn set(&mut self, cluster: u32, value: u32) {
        let number = cluster as usize;
        let (at, mask, shift) = match self.width {
            Width::Twelve => (number * 3 / 2, 0xfff, number % 2 * 4),
            Width::Sixteen => (number * 2, 0xffff, 0),
            // The upper four bits are nobody's and stay.
            Width::ThirtyTwo => (number * 4, 0x0fff_ffff, 0),
        };
        let length = if self.width == Width::ThirtyTwo { 4 } else { 2 };
        for (index, byte) in self.bytes.iter_mut().enumerate().skip(at).take(length) {
            let bits = 8 * (index - at);
            let (mask, value) = (((mask << shift) >> bits) as u8, ((value << shift) >> bits) as u8);
            *byte = *byte & !mask | value & mask;
            self.changed.insert(index / PART);
        }
    }

    /// Clusters of a chain from `first` on, `most` of them at most. Fewer: the chain ends there.
    pub fn chain(&self, first: u32, most: u64) -> Result<Vec<u32>> {
        let mut chain = Vec::new();
        self.walk(first, most, |cluster| {
            chain.push(cluster);
            Ok(())
        })?;
        Ok(chain)
    }

    /// Calls `visit` with each cluster of a chain from `first` on, of `most` at most, until it fails. Answers how many there are.
    pub fn walk(&self, first: u32, most: u64, mut visit: impl FnMut(u32) -> Result<()>) -> Result<u64> {
        let mut count = 0;
        let mut next = Some(first);
        while let Some(cluster) = next.filter(|_| count < most) {
            if !(2..self.clusters + 2).contains(&cluster) {
                return Err(corrupt("a chain leads to a cluster that is not there"));
            }
            if count > u64::from(self.clusters) {
                return Err(corrupt("a chain leads back into itself"));
            }
            visit(cluster)?;
            count += 1;
            next = match self.get(cluster) {
                0 | 1 => return Err(corrupt("a chain leads to a cluster that is free")),
                value if value == self.end() - 8 => {
                    return Err(corrupt("a chain leads to a damaged cluster"));
                }
                value => Some(value).filter(|value| *value < self.end() - 8),
            };
        }
        Ok(count)
    }

    /// As many free clusters as asked for, the lowest ones, as a chain.
    pub fn allocate(&mut self, count: u64) -> Result<Vec<u32>> {
        let free: Vec<u32> = (self.lowest..self.clusters + 2)
            .filter(|cluster| self.get(*cluster) == 0)
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .collect();
        if (free.len() as u64) < count {
            return Err(Error::new(ErrorKind::Full, "the FAT file system has no room"));
        }
        self.lowest = free.last().map_or(self.lowest, |last| last + 1);
        for (number, cluster) in free.iter().enumerate() {
            let next = free.get(number + 1).copied().unwrap_or(self.end());
            self.set(*cluster, next);
        }
        Ok(free)
    }

    /// Makes what follows `last` of a chain.
    pub fn append(&mut self, last: u32, next: u32) {
        self.set(last, next);
    }

    pub fn release(&mut self, chain: &[u32]) {
        for cluster in chain {
            self.set(*cluster, 0);
            self.lowest = self.lowest.min(*cluster);
        }
    }

    /// How many clusters are free.
    pub fn free(&self) -> u32 {
        (2..self.clusters + 2).filter(|cluster| self.get(*cluster) == 0).count() as u32
    }

    /// The cluster from which on there may be free ones.
    pub fn lowest(&self) -> u32 {
        self.lowest.min(self.clusters + 1)
    }

    /// What changed: offset in the table, and bytes.
    pub fn changed(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.changed.iter().map(|part| {
            let start = part * PART;
            (start as u64, &self.bytes[start..self.bytes.len().min(start + PART)])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fat::Root;
    use proptest::prelude::*;

    fn table(width: Width, clusters: u32) -> Table {
        let shape = Shape {
            width,
            sector: 512,
            cluster: 512,
            clusters,
            tables: vec![512],
            table: 4096,
            root: Root::Chain(2),
            data: 8192,
            information: None,
            in_use: false,
        };
        Table::new(&shape, vec![0; 4096])
    }

    proptest! {
        #[test]
        fn chains_are_found_again_and_never_share_a_cluster(
            width in prop::sample::select(vec![Width::Twelve, Width::Sixteen, Width::ThirtyTwo]),
            steps in prop::collection::vec((any::<prop::sample::Index>(), 1u64..30, any::<bool>()), 1..60),
        ) {
            let mut table = table(width, 300);
            let mut chains: Vec<Vec<u32>> = Vec::new();
            for (index, count, release) in steps {
                if release && !chains.is_empty() {
                    let chain = chains.remove(index.index(chains.len()));
                    table.release(&chain);
                } else if let Ok(chain) = table.allocate(count) {
                    prop_assert_eq!(chain.len() as u64, count);
                    chains.push(chain);
                }
                let mut used: Vec<u32> = chains.iter().flatten().copied().collect();
                used.sort_unstable();
                prop_assert!(used.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert_eq!(table.free(), 300 - used.len() as u32);
                for chain in &chains {
                    prop_assert_eq!(&table.chain(chain[0], u64::MAX).unwrap(), chain);
                }
            }
        }
    }

    #[test]
    fn a_chain_that_leads_into_itself_is_refused() {
        let mut table = table(Width::Sixteen, 300);
        let chain = table.allocate(5).unwrap();
        table.append(chain[4], chain[1]);
        assert!(table.chain(chain[0], u64::MAX).unwrap_err().to_string().contains("back into itself"));
        assert_eq!(table.chain(chain[0], 3).unwrap().len(), 3);
        table.append(chain[4], 5000);
        assert!(table.chain(chain[0], u64::MAX).unwrap_err().to_string().contains("not there"));
    }
}
