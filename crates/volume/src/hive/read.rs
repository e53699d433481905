//! Reading keys and values where they lie.
//!
//! ```text
//!   nk key ──▶ lf│lh│li list of subkeys ──▶ nk …          (long ones: ri ──▶ lists)
//!    │ │ └───▶ list of values ──▶ vk value ──▶ data       (long data: db ──▶ list ──▶ segments)
//!    │ └─────▶ class
//!    └───────▶ sk security, shared by many keys
//! ```

use std::cmp::Ordering;

use shale_disk::Result;

use super::cells::{Cells, NONE, base, corrupt, u16_at, u32_at, u64_at};
use super::name::{Name, Stored};
use super::value::Value;
use super::{Hive, Key};

/// Bytes of data that a cell takes, where a hive splits longer data.
pub(super) const SEGMENT: usize = 16_344;
/// The bit of a value's length that says: the data is where the offset would be.
pub(super) const INLINE: u32 = 1 << 31;

/// Fields of a key.
pub(super) mod nk {
    pub const FLAGS: usize = 2;
    pub const WRITTEN: usize = 4;
    pub const PARENT: usize = 16;
    pub const SUBKEYS: usize = 20;
    pub const LIST: usize = 28;
    pub const VALUES: usize = 36;
    pub const VALUE_LIST: usize = 40;
    pub const SECURITY: usize = 44;
    pub const CLASS: usize = 48;
    pub const LONGEST_NAME: usize = 52;
    pub const LONGEST_CLASS: usize = 56;
    pub const LONGEST_VALUE_NAME: usize = 60;
    pub const LONGEST_DATA: usize = 64;
    pub const NAME_LENGTH: usize = 72;
    pub const CLASS_LENGTH: usize = 74;
    pub const NAME: usize = 76;
    /// Flags: a link to another key, a name in one byte a unit.
    pub const LINK: u16 = 0x10;
    pub const NARROW: u16 = 0x20;
}

/// Fields of a value.
pub(super) mod vk {
    pub const NAME_LENGTH: usize = 2;
    pub const LENGTH: usize = 4;
    pub const DATA: usize = 8;
    pub const KIND: usize = 12;
    pub const FLAGS: usize = 16;
    pub const NAME: usize = 20;
    /// Flag: a name in one byte a unit.
    pub const NARROW: u16 = 1;
}

/// Fields of a security cell.
pub(super) mod sk {
    pub const NEXT: usize = 4;
    pub const BEFORE: usize = 8;
    pub const COUNT: usize = 12;
    pub const LENGTH: usize = 16;
    pub const DESCRIPTOR: usize = 20;
}

/// A key as it is kept.
pub(super) struct Node<'a> {
    pub flags: u16,
    pub written: u64,
    pub parent: u32,
    pub subkeys: u32,
    pub list: u32,
    pub values: u32,
    pub value_list: u32,
    pub security: u32,
    /// [`NONE`] where it has none.
    pub class: u32,
    pub class_length: usize,
    pub name: Stored<'a>,
}

/// A value as it is kept.
pub(super) struct Item<'a> {
    pub name: Stored<'a>,
    pub kind: u32,
    pub data: Data,
}

/// Where a value's bytes are.
pub(super) enum Data {
    /// In the value itself.
    Inline([u8; 4], usize),
    /// In a cell of their own.
    Cell(u32, usize),
    /// In segments, in order; the two cells before them lead there.
    Segments { leads: [u32; 2], segments: Vec<u32>, length: usize },
}

/// A list of subkeys that is not a list of lists.
#[derive(Clone, Copy)]
pub(super) struct Leaf {
    pub cell: u32,
    pub signature: [u8; 2],
    pub count: usize,
}

impl Leaf {
    /// Bytes of an entry: the key, and what helps a search.
    pub fn width(self) -> usize {
        if self.signature == *b"li" { 4 } else { 8 }
    }
}

impl Cells<'_> {
    pub fn minor(&self) -> u32 {
        u32_at(&self.bytes, base::MINOR).unwrap_or(0)
    }

    pub fn root(&self) -> Result<u32> {
        u32_at(&self.bytes, base::ROOT)
    }

    pub fn node(&self, at: u32) -> Result<Node<'_>> {
        let cell = self.signed(at, b"nk")?;
        let flags = u16_at(cell, nk::FLAGS)?;
        let class_length = usize::from(u16_at(cell, nk::CLASS_LENGTH)?);
        let class = u32_at(cell, nk::CLASS)?;
        let name = name(cell, nk::NAME, u16_at(cell, nk::NAME_LENGTH)?, flags & nk::NARROW != 0)?;
        Ok(Node {
            flags,
            written: u64_at(cell, nk::WRITTEN)?,
            parent: u32_at(cell, nk::PARENT)?,
            subkeys: u32_at(cell, nk::SUBKEYS)?,
            list: u32_at(cell, nk::LIST)?,
            values: u32_at(cell, nk::VALUES)?,
            value_list: u32_at(cell, nk::VALUE_LIST)?,
            security: u32_at(cell, nk::SECURITY)?,
            class: if class_length == 0 { NONE } else { class },
            class_length,
            name,
        })
    }

    /// The lists of a key's subkeys: one, or those of its list of lists.
    pub fn leaves(&self, node: &Node<'_>) -> Result<Vec<Leaf>> {
        if node.subkeys == 0 {
            return Ok(Vec::new());
        }
        let list = self.cell(node.list)?;
        if !list.starts_with(b"ri") {
            return Ok(vec![self.leaf(node.list)?]);
        }
        let count = usize::from(u16_at(list, 2)?);
        (0..count).map(|index| self.leaf(u32_at(list, 4 + 4 * index)?)).collect()
    }

    fn leaf(&self, cell: u32) -> Result<Leaf> {
        let list = self.cell(cell)?;
        let signature = super::cells::array(list, 0)?;
        let leaf = Leaf { cell, signature, count: u16_at(list, 2)?.into() };
        if ![*b"lf", *b"lh", *b"li"].contains(&signature) || 4 + leaf.count * leaf.width() > list.len() {
            return Err(corrupt(format!("the list of keys at {cell:#x} of the hive is none")));
        }
        Ok(leaf)
    }

    /// The key at a place in a list.
    pub fn entry(&self, leaf: Leaf, index: usize) -> Result<u32> {
        u32_at(self.cell(leaf.cell)?, 4 + index * leaf.width())
    }

    pub fn subkeys(&self, node: &Node<'_>) -> Result<Vec<u32>> {
        let mut keys = Vec::new();
        for leaf in self.leaves(node)? {
            for index in 0..leaf.count {
                keys.push(self.entry(leaf, index)?);
            }
        }
        if keys.len() != node.subkeys as usize {
            return Err(corrupt(format!(
                "a key of the hive has {} subkeys, not {}",
                keys.len(),
                node.subkeys
            )));
        }
        Ok(keys)
    }

    /// The cells of a key's values.
    pub fn items(&self, node: &Node<'_>) -> Result<Vec<u32>> {
        if node.values == 0 {
            return Ok(Vec::new());
        }
        let list = self.cell(node.value_list)?;
        let list = (node.values as usize).checked_mul(4).and_then(|length| list.get(..length));
        let list = list.ok_or_else(|| corrupt("a list of values of the hive is cut off"))?;
        Ok(list.chunks_exact(4).map(|at| u32::from_le_bytes([at[0], at[1], at[2], at[3]])).collect())
    }

    pub fn item(&self, at: u32) -> Result<Item<'_>> {
        let cell = self.signed(at, b"vk")?;
        let narrow = u16_at(cell, vk::FLAGS)? & vk::NARROW != 0;
        Ok(Item {
            name: name(cell, vk::NAME, u16_at(cell, vk::NAME_LENGTH)?, narrow)?,
            kind: u32_at(cell, vk::KIND)?,
            data: self.data(cell)?,
        })
    }

    fn data(&self, item: &[u8]) -> Result<Data> {
        let length = u32_at(item, vk::LENGTH)?;
        let at = u32_at(item, vk::DATA)?;
        if length == 0 || length & INLINE != 0 {
            let length = (length & !INLINE) as usize;
            if length > 4 {
                return Err(corrupt(format!(
                    "a value of the hive has {length} bytes where there is room for 4"
                )));
            }
            return Ok(Data::Inline(at.to_le_bytes(), length));
        }
        let length = length as usize;
        let cell = self.cell(at)?;
        if cell.len() >= length {
            return Ok(Data::Cell(at, length));
        }
        let cell = self.signed(at, b"db")?;
        let (count, list) = (usize::from(u16_at(cell, 2)?), u32_at(cell, 4)?);
        if count != length.div_ceil(SEGMENT) {
            return Err(corrupt(format!("a value of the hive has {count} segments for {length} bytes")));
        }
        let entries = self.cell(list)?;
        let segments = (0..count).map(|index| u32_at(entries, 4 * index)).collect::<Result<_>>()?;
        Ok(Data::Segments { leads: [at, list], segments, length })
    }

    /// A value's bytes.
    pub fn bytes_of(&self, data: &Data) -> Result<Vec<u8>> {
        match data {
            Data::Inline(bytes, length) => Ok(bytes[..(*length).min(4)].to_vec()),
            Data::Cell(at, length) => self.start_of(*at, *length).map(<[u8]>::to_vec),
            Data::Segments { segments, length, .. } => {
                let mut bytes = Vec::with_capacity((*length).min(self.bytes.len()));
                for at in segments {
                    bytes.extend(self.start_of(*at, SEGMENT.min(length - bytes.len()))?);
                }
                Ok(bytes)
            }
        }
    }

    pub fn start_of(&self, at: u32, length: usize) -> Result<&[u8]> {
        let bytes = self.cell(at)?.get(..length);
        bytes.ok_or_else(|| corrupt(format!("the data at {at:#x} of the hive is cut off")))
    }

    pub fn descriptor(&self, at: u32) -> Result<&[u8]> {
        let cell = self.signed(at, b"sk")?;
        let length = u32_at(cell, sk::LENGTH)? as usize;
        let descriptor = length.checked_add(sk::DESCRIPTOR).and_then(|end| cell.get(sk::DESCRIPTOR..end));
        descriptor.ok_or_else(|| corrupt("a security descriptor of the hive is cut off"))
    }

    /// Where a subkey of that folded name is, or is to be: list, place in it, and whether it is there.
    pub fn search(
        &self,
        leaves: &[Leaf],
        folded: &Name,
        in_order: bool,
    ) -> Result<(usize, usize, Option<u32>)> {
        let mut place = None;
        let last = leaves.len().saturating_sub(1);
        for (which, leaf) in leaves.iter().enumerate() {
            let skip = leaf.count > 0 && which < last && in_order && {
                self.node(self.entry(*leaf, leaf.count - 1)?)?.name.order(folded) == Ordering::Less
            };
            if skip {
                continue;
            }
            let mut low = if in_order { self.first_not_below(*leaf, folded)? } else { 0 };
            while low < leaf.count {
                let key = self.entry(*leaf, low)?;
                match self.node(key)?.name.order(folded) {
                    Ordering::Equal => return Ok((which, low, Some(key))),
                    Ordering::Greater if place.is_none() => place = Some((which, low)),
                    Ordering::Greater | Ordering::Less => {}
                }
                if in_order {
                    break;
                }
                low += 1;
            }
            if in_order {
                return Ok((which, low, None));
            }
        }
        let (which, at) = place.unwrap_or((last, leaves.last().map_or(0, |leaf| leaf.count)));
        Ok((which, at, None))
    }

    /// The first place in a list in order whose key does not come before.
    fn first_not_below(&self, leaf: Leaf, folded: &Name) -> Result<usize> {
        let (mut low, mut high) = (0, leaf.count);
        while low < high {
            let middle = low.midpoint(high);
            match self.node(self.entry(leaf, middle)?)?.name.order(folded) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal | Ordering::Greater => high = middle,
            }
        }
        Ok(low)
    }
}

fn name(cell: &[u8], at: usize, length: u16, narrow: bool) -> Result<Stored<'_>> {
    let bytes =
        cell.get(at..at + usize::from(length)).filter(|bytes| narrow || bytes.len().is_multiple_of(2));
    bytes.map(|bytes| Stored { bytes, narrow }).ok_or_else(|| corrupt("a name in the hive is cut off"))
}

impl Hive<'_> {
    /// The key that has no parent.
    pub fn root(&self) -> Result<Key> {
        self.cells.root().map(Key)
    }

    /// The key at a path of names with `\` between them; the root's is empty. In a SYSTEM hive `CurrentControlSet` is the one
    /// that [`Hive::control_set`] tells.
    pub fn find(&self, path: &str) -> Result<Option<Key>> {
        let mut key = self.root()?;
        for (depth, name) in path.split('\\').filter(|name| !name.is_empty()).enumerate() {
            let name = Name::from(name);
            let next = match self.subkey(key, &name)? {
                None if depth == 0 && name.is(CURRENT) => match self.control_set()? {
                    Some(set) => self.subkey(key, &set)?,
                    None => None,
                },
                found => found,
            };
            match next {
                Some(next) => key = next,
                None => return Ok(None),
            }
        }
        Ok(Some(key))
    }

    /// Whether there is a key at this path.
    pub fn exists(&self, path: &str) -> Result<bool> {
        Ok(self.find(path)?.is_some())
    }

    /// A value of the key at a path; an empty name is the default value.
    pub fn value(&self, path: &str, name: &str) -> Result<Option<Value>> {
        match self.find(path)? {
            Some(key) => self.value_of(key, &name.into()),
            None => Ok(None),
        }
    }

    /// What `CurrentControlSet` stands for in a SYSTEM hive, as `ControlSet001`: `Current` of the key `Select` says it.
    pub fn control_set(&self) -> Result<Option<Name>> {
        let Some(select) = self.subkey(self.root()?, &"Select".into())? else { return Ok(None) };
        let current = self.value_of(select, &"Current".into())?.and_then(|value| value.as_number());
        Ok(current.map(|number| Name::from(format!("ControlSet{number:03}").as_str())))
    }

    /// The subkey of that name, in whatever case.
    pub fn subkey(&self, key: Key, name: &Name) -> Result<Option<Key>> {
        let leaves = self.cells.leaves(&self.cells.node(key.0)?)?;
        Ok(self.cells.search(&leaves, &name.folded(), self.in_order)?.2.map(Key))
    }

    /// The subkeys, in the order of their names.
    pub fn subkeys(&self, key: Key) -> Result<Vec<Key>> {
        Ok(self.cells.subkeys(&self.cells.node(key.0)?)?.into_iter().map(Key).collect())
    }

    /// How many values it has.
    pub fn value_count(&self, key: Key) -> Result<usize> {
        Ok(self.cells.node(key.0)?.values as usize)
    }

    /// The values, in the order in which they are kept.
    pub fn values(&self, key: Key) -> Result<Vec<Value>> {
        let items = self.cells.items(&self.cells.node(key.0)?)?;
        items.into_iter().map(|at| self.value_at(at)).collect()
    }

    /// The value of that name, in whatever case.
    pub fn value_of(&self, key: Key, name: &Name) -> Result<Option<Value>> {
        let folded = name.folded();
        for at in self.cells.items(&self.cells.node(key.0)?)? {
            if self.cells.item(at)?.name.order(&folded) == Ordering::Equal {
                return self.value_at(at).map(Some);
            }
        }
        Ok(None)
    }

    fn value_at(&self, at: u32) -> Result<Value> {
        let item = self.cells.item(at)?;
        Ok(Value { name: item.name.name(), kind: item.kind, data: self.cells.bytes_of(&item.data)? })
    }

    /// Its name, as it was written.
    pub fn name(&self, key: Key) -> Result<Name> {
        Ok(self.cells.node(key.0)?.name.name())
    }

    /// Its class, as bytes (most often UTF-16); empty where it has none.
    pub fn class(&self, key: Key) -> Result<Vec<u8>> {
        let node = self.cells.node(key.0)?;
        if node.class == NONE {
            Ok(Vec::new())
        } else {
            Ok(self.cells.start_of(node.class, node.class_length)?.into())
        }
    }

    /// Its security descriptor, self-relative; empty where it has none.
    pub fn security(&self, key: Key) -> Result<&[u8]> {
        let node = self.cells.node(key.0)?;
        if node.security == NONE { Ok(&[]) } else { self.cells.descriptor(node.security) }
    }

    /// When it was last written, in units of 100 ns from the beginning of 1601 (UTC).
    pub fn written(&self, key: Key) -> Result<u64> {
        Ok(self.cells.node(key.0)?.written)
    }

    /// Whether it stands for another key, which its value `SymbolicLinkValue` names.
    pub fn is_link(&self, key: Key) -> Result<bool> {
        Ok(self.cells.node(key.0)?.flags & nk::LINK != 0)
    }
}

/// The control set that a machine runs on: in a running registry a link, in a hive's file not there.
pub(super) const CURRENT: &str = "CurrentControlSet";
