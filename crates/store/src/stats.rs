//! How much there is, how much of it is different, and how much room it takes.

use std::collections::HashSet;

use crate::BLOCK;
use crate::digest::VersionId;
use crate::error::Result;
use crate::index;
use crate::live::{self, Owner};
use crate::manifest::Manifest;
use crate::repository::{Inner, Repository};

/// Sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sum of the disks' sizes, as guests see them.
    pub logical: u64,
    /// Sum of what is not a hole in them.
    pub data: u64,
    /// The same, each different block counted once.
    pub unique: u64,
    /// All packs, as files.
    pub stored: u64,
    /// The part of `stored` that is needed by some version: compressed blocks and map pages.
    pub needed: u64,
    /// How many packs there are.
    pub packs: usize,
    /// Each version, by id.
    pub versions: Vec<VersionStats>,
}

/// One version's sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionStats {
    /// Its name.
    pub id: VersionId,
    /// Size of its disk.
    pub size: u64,
    /// What is not a hole in it.
    pub data: u64,
    /// What it added to the repository when it was saved.
    pub added: u64,
    /// Stored bytes that only it needs: what removing it frees, sooner or later.
    pub own: u64,
}

impl Repository {
    /// Counts. Reads all manifests and map pages, no data.
    pub fn stats(&self) -> Result<Stats> {
        self.stats_without(&HashSet::new())
    }

    /// The same, where versions in `passing` are no reason to keep anything: what another one needs is that one's own, though
    /// they need it too.
    pub fn stats_without(&self, passing: &HashSet<VersionId>) -> Result<Stats> {
        let inner = &*self.inner;
        let packs = index::list_packs(&inner.place)?;
        let manifests = live::manifests(inner)?;
        let mut stats = Stats { stored: packs.values().sum(), packs: packs.len(), ..Stats::default() };
        for manifest in &manifests {
            let data = manifest.data_blocks * BLOCK as u64;
            stats.logical += manifest.size;
            stats.data += data;
            let (id, size, added) = (manifest.id, manifest.size, manifest.new_bytes);
            stats.versions.push(VersionStats { id, size, data, added, own: 0 });
        }
        for (digest, owner) in live::owners(inner, &manifests)? {
            let entry = inner.locate(&digest)?.entry;
            let length = u64::from(entry.length);
            stats.needed += length;
            if !entry.coding.is_page() {
                stats.unique += BLOCK as u64;
            }
            if let Owner::One(number) = owner {
                stats.versions[number as usize].own += length;
            }
        }
        if !passing.is_empty() {
            let staying: Vec<_> = manifests.into_iter().filter(|one| !passing.contains(&one.id)).collect();
            stats.count_own(inner, &staying)?;
        }
        Ok(stats)
    }
}

impl Stats {
    /// Counts anew what only one of `staying` needs among themselves.
    fn count_own(&mut self, inner: &Inner, staying: &[Manifest]) -> Result<()> {
        let mut own = vec![0; staying.len()];
        for (digest, owner) in live::owners(inner, staying)? {
            if let Owner::One(number) = owner {
                own[number as usize] += u64::from(inner.locate(&digest)?.entry.length);
            }
        }
        for (manifest, own) in staying.iter().zip(own) {
            for version in self.versions.iter_mut().filter(|version| version.id == manifest.id) {
                version.own = own;
            }
        }
        Ok(())
    }
}
