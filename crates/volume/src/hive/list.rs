//! Entering a key into the list of its parent's subkeys, and taking it out.
//!
//! A list that gets too long is split in two, below a list of lists. Lists that are there keep their kind; a new one is what
//! Windows makes for the hive's version.

use shale_disk::Result;

use super::cells::{NONE, corrupt, u16_at, u32_at};
use super::edit::Editor;
use super::name::Name;
use super::read::{Leaf, nk};

/// Most bytes of a list's entries: with them its cell still fits a bin of one block, as in hives that Windows wrote.
const ENTRIES: usize = 4048;

impl Editor<'_, '_> {
    /// Enters `key` among the subkeys of `parent`.
    pub fn enter(&mut self, parent: u32, key: u32, name: &Name, in_order: bool) -> Result<()> {
        let node = self.cells.node(parent)?;
        let (count, list, leaves) = (node.subkeys, node.list, self.cells.leaves(&node)?);
        let list = if leaves.is_empty() {
            let signature: &[u8; 2] = if self.cells.minor() >= 5 { b"lh" } else { b"lf" };
            let mut entries = Vec::new();
            add_entry(&mut entries, 0, *signature, key, name);
            self.add(&leaf_bytes(*signature, &entries))?
        } else {
            let (which, at, found) = self.cells.search(&leaves, &name.folded(), in_order)?;
            if found.is_some() {
                return Err(corrupt(format!("the registry hive has a key '{name}' already")));
            }
            let leaf = leaves[which];
            let mut entries = self.entries(leaf)?;
            add_entry(&mut entries, at * leaf.width(), leaf.signature, key, name);
            self.store_leaf(list, which, leaf, &entries)?
        };
        self.cells.put_u32(parent, nk::LIST, list)?;
        self.cells.put_u32(parent, nk::SUBKEYS, count + 1)
    }

    /// Takes the key of that name out of the subkeys of `parent`.
    pub fn leave(&mut self, parent: u32, name: &Name, in_order: bool) -> Result<()> {
        let node = self.cells.node(parent)?;
        let (count, list, leaves) = (node.subkeys, node.list, self.cells.leaves(&node)?);
        let (which, at, found) = self.cells.search(&leaves, &name.folded(), in_order)?;
        if found.is_none() {
            return Err(corrupt(format!("the registry hive has no key '{name}' in the list of its parent")));
        }
        let leaf = leaves[which];
        let mut entries = self.entries(leaf)?;
        entries.drain(at * leaf.width()..(at + 1) * leaf.width());
        let list = if entries.is_empty() {
            self.drop_leaf(list, which, leaf)?
        } else {
            self.replace(leaf.cell, &leaf_bytes(leaf.signature, &entries))?;
            list
        };
        self.cells.put_u32(parent, nk::LIST, list)?;
        self.cells.put_u32(parent, nk::SUBKEYS, count - 1)
    }

    fn entries(&self, leaf: Leaf) -> Result<Vec<u8>> {
        Ok(self.cells.start_of(leaf.cell, 4 + leaf.count * leaf.width())?[4..].to_vec())
    }

    /// Keeps a list's entries, in two lists where they are too many. Tells where the list, or the list of lists, then is.
    fn store_leaf(&mut self, list: u32, which: usize, leaf: Leaf, entries: &[u8]) -> Result<u32> {
        let most = ENTRIES / leaf.width() * leaf.width();
        let half = if entries.len() <= most { entries.len() } else { most / leaf.width() / 2 * leaf.width() };
        let cell = self.replace(leaf.cell, &leaf_bytes(leaf.signature, &entries[..half]))?;
        let more = if half < entries.len() {
            Some(self.add(&leaf_bytes(leaf.signature, &entries[half..]))?)
        } else {
            None
        };
        if list == leaf.cell && more.is_none() {
            return Ok(cell);
        }
        if list == leaf.cell {
            return self.add(&lists_bytes(&[Some(cell), more].into_iter().flatten().collect::<Vec<_>>())?);
        }
        let mut lists = self.lists(list)?;
        lists[which] = cell;
        if let Some(more) = more {
            lists.insert(which + 1, more);
        }
        self.replace(list, &lists_bytes(&lists)?)
    }

    /// Frees a list that became empty. Tells where the list of lists then is.
    fn drop_leaf(&mut self, list: u32, which: usize, leaf: Leaf) -> Result<u32> {
        self.remove(leaf.cell)?;
        if list == leaf.cell {
            return Ok(NONE);
        }
        let mut lists = self.lists(list)?;
        lists.remove(which);
        if lists.is_empty() {
            self.remove(list)?;
            return Ok(NONE);
        }
        self.replace(list, &lists_bytes(&lists)?)
    }

    fn lists(&self, list: u32) -> Result<Vec<u32>> {
        let cell = self.cells.signed(list, b"ri")?;
        (0..usize::from(u16_at(cell, 2)?)).map(|index| u32_at(cell, 4 + 4 * index)).collect()
    }
}

fn leaf_bytes(signature: [u8; 2], entries: &[u8]) -> Vec<u8> {
    let width = if signature == *b"li" { 4 } else { 8 };
    // At most what fits a u16: store_leaf splits long before.
    let count = (entries.len() / width) as u16;
    [&signature, count.to_le_bytes().as_slice(), entries].concat()
}

fn lists_bytes(lists: &[u32]) -> Result<Vec<u8>> {
    let count = u16::try_from(lists.len());
    let count = count.map_err(|_| corrupt("a key has more subkeys than a registry hive can keep"))?;
    let lists = lists.iter().flat_map(|at| at.to_le_bytes());
    Ok(b"ri".iter().copied().chain(count.to_le_bytes()).chain(lists).collect())
}

fn add_entry(entries: &mut Vec<u8>, at: usize, signature: [u8; 2], key: u32, name: &Name) {
    let mut entry = key.to_le_bytes().to_vec();
    match &signature {
        b"lh" => entry.extend(name.hash().to_le_bytes()),
        b"lf" => entry.extend(name.hint()),
        _ => {}
    }
    entries.splice(at..at, entry);
}
