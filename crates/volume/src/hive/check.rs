//! Whether a file is a hive, whole and without cycles: every cell that the tree reaches is reached once.
//!
//! Memory: a bit for every eight bytes of the hive, and what a list of keys has.

use std::collections::{BTreeMap, BTreeSet};

use shale_disk::{Error, ErrorKind, Result};

use super::cells::{BIN_HEADER, BLOCK, Cells, MOST, NONE, base, corrupt, is_base_block, u32_at};
use super::read::{Data, Node, SEGMENT};

/// Deepest key: what Windows allows.
pub(super) const DEPTH: usize = 512;

/// Whether the file begins as a hive that we read, as far as sizes go; a wrong checksum is not looked at.
pub(super) fn base_block(bytes: &[u8]) -> Result<()> {
    if bytes.len() < BLOCK || !bytes.starts_with(b"regf") {
        return Err(corrupt("the file is no registry hive: it does not begin with 'regf'"));
    }
    let (major, minor) = (u32_at(bytes, base::MAJOR)?, u32_at(bytes, base::MINOR)?);
    let (kind, format) = (u32_at(bytes, base::KIND)?, u32_at(bytes, base::FORMAT)?);
    if major != 1 || !(2..=6).contains(&minor) || kind != 0 || format != 1 {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the registry hive has version {major}.{minor}, type {kind} and format {format}, which Shale does not read"
            ),
        ));
    }
    let size = u32_at(bytes, base::SIZE)? as usize;
    if !size.is_multiple_of(BLOCK) || size == 0 || size > MOST || size > bytes.len() - BLOCK {
        return Err(corrupt(format!(
            "the registry hive should have {size} bytes of bins and is {} long",
            bytes.len()
        )));
    }
    Ok(())
}

/// Whether nothing of the hive is only in its logs.
pub(super) fn clean(bytes: &[u8]) -> Result<()> {
    if is_base_block(bytes) && u32_at(bytes, base::PRIMARY)? == u32_at(bytes, base::SECONDARY)? {
        return Ok(());
    }
    Err(corrupt(
        "the registry hive was not written to its end: what is missing is in its logs (.LOG1, .LOG2). \
         Start the machine and shut it down, or give the logs too",
    ))
}

/// What a walk over all keys tells.
pub(super) struct Found {
    /// Security cells, and how many keys have each.
    pub security: BTreeMap<u32, u32>,
    /// Every list of keys is in order.
    pub in_order: bool,
}

/// Walks over all keys.
pub(super) fn tree(cells: &Cells) -> Result<Found> {
    let mut walk =
        Walk { cells, unclaimed: used(cells)?, found: Found { security: BTreeMap::new(), in_order: true } };
    let root = cells.root()?;
    walk.claim(root)?;
    let mut keys = vec![(root, 0)];
    while let Some((at, depth)) = keys.pop() {
        let node = cells.node(at)?;
        walk.values(&node)?;
        walk.security(&node)?;
        if node.class != NONE {
            walk.claim(node.class)?;
            cells.start_of(node.class, node.class_length)?;
        }
        let subkeys = walk.subkeys(&node, at)?;
        if depth == DEPTH && !subkeys.is_empty() {
            return Err(corrupt(format!("the registry hive has keys more than {DEPTH} deep")));
        }
        keys.extend(subkeys.into_iter().map(|subkey| (subkey, depth + 1)));
    }
    Ok(walk.found)
}

struct Walk<'a> {
    cells: &'a Cells<'a>,
    /// A bit for each place where a cell in use begins that nothing has pointed to yet.
    unclaimed: Vec<u64>,
    found: Found,
}

impl Walk<'_> {
    fn claim(&mut self, at: u32) -> Result<()> {
        let word = self.unclaimed.get_mut(at as usize / 512).filter(|_| at.is_multiple_of(8));
        let bit = 1 << (at / 8 % 64);
        match word {
            Some(word) if *word & bit != 0 => *word &= !bit,
            _ => return Err(corrupt(format!("the hive points to {at:#x} twice, or where no cell begins"))),
        }
        Ok(())
    }

    fn subkeys(&mut self, node: &Node<'_>, parent: u32) -> Result<Vec<u32>> {
        let leaves = self.cells.leaves(node)?;
        if node.subkeys != 0 && leaves.first().is_none_or(|leaf| leaf.cell != node.list) {
            self.claim(node.list)?;
        }
        for leaf in leaves {
            self.claim(leaf.cell)?;
        }
        let keys = self.cells.subkeys(node)?;
        let mut before = None;
        let mut in_order = true;
        for key in &keys {
            self.claim(*key)?;
            let node = self.cells.node(*key)?;
            if node.parent != parent {
                return Err(corrupt(format!(
                    "the key at {key:#x} of the hive names another parent than the one it has"
                )));
            }
            if node.name.bytes.is_empty() || node.name.has_backslash() {
                return Err(corrupt(format!(
                    "the key at {key:#x} of the hive has a name that no key can have"
                )));
            }
            let folded = node.name.name().folded();
            in_order &= before.as_ref().is_none_or(|before| *before < folded);
            before = Some(folded);
        }
        if !in_order {
            self.found.in_order = false;
            self.names_differ(keys.iter().map(|key| Ok(self.cells.node(*key)?.name.name())))?;
        }
        Ok(keys)
    }

    fn values(&mut self, node: &Node<'_>) -> Result<()> {
        if node.values != 0 {
            self.claim(node.value_list)?;
        }
        let items = self.cells.items(node)?;
        for at in &items {
            self.claim(*at)?;
            match self.cells.item(*at)?.data {
                Data::Inline(..) => {}
                Data::Cell(at, _) => self.claim(at)?,
                Data::Segments { leads, segments, length } => {
                    leads.into_iter().try_for_each(|at| self.claim(at))?;
                    for (index, at) in segments.into_iter().enumerate() {
                        self.claim(at)?;
                        self.cells.start_of(at, SEGMENT.min(length - index * SEGMENT))?;
                    }
                }
            }
        }
        self.names_differ(items.iter().map(|at| Ok(self.cells.item(*at)?.name.name())))
    }

    fn names_differ(&self, names: impl Iterator<Item = Result<super::Name>>) -> Result<()> {
        let mut seen = BTreeSet::new();
        for name in names {
            let name = name?;
            if !seen.insert(name.folded()) {
                return Err(corrupt(format!("a key of the hive has '{name}' twice")));
            }
        }
        Ok(())
    }

    fn security(&mut self, node: &Node<'_>) -> Result<()> {
        if node.security == NONE {
            return Ok(());
        }
        if !self.found.security.contains_key(&node.security) {
            self.claim(node.security)?;
            self.cells.descriptor(node.security)?;
        }
        *self.found.security.entry(node.security).or_insert(0) += 1;
        Ok(())
    }
}

/// A bit for each place where a cell in use begins.
fn used(cells: &Cells) -> Result<Vec<u64>> {
    let mut used = vec![0u64; cells.size() / 512];
    each_cell(cells, |at, length| {
        if length < 0 {
            used[at as usize / 512] |= 1 << (at / 8 % 64);
        }
    })?;
    Ok(used)
}

/// Calls `see` with where each cell begins and its length, below zero if it is in use. The bins must be tiled with them.
pub(super) fn each_cell(cells: &Cells, mut see: impl FnMut(u32, i32)) -> Result<()> {
    let size = cells.size();
    let number = |at: usize| u32_at(&cells.bytes, BLOCK + at);
    let mut bin = 0;
    while bin < size {
        let length = number(bin + 8)? as usize;
        let is_bin = cells.bytes[BLOCK + bin..].starts_with(b"hbin") && number(bin + 4)? as usize == bin;
        if !is_bin || length == 0 || !length.is_multiple_of(BLOCK) || length > size - bin {
            return Err(corrupt(format!("the hive has no bin at {bin:#x}")));
        }
        let mut at = bin + BIN_HEADER;
        while at < bin + length {
            let cell = number(at)?.cast_signed();
            let bytes = cell.unsigned_abs() as usize;
            if bytes < 8 || !bytes.is_multiple_of(8) || bytes > bin + length - at {
                return Err(corrupt(format!("the hive has a cell of {bytes} bytes at {at:#x}")));
            }
            see(at as u32, cell);
            at += bytes;
        }
        bin += length;
    }
    Ok(())
}
