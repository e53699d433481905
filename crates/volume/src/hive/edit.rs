//! Changing a hive in place. What is not touched stays where it is, byte for byte.
//!
//! Times are the caller's: nothing here changes when a key was last written but [`Hive::set_written`]. After an error the
//! hive may be half changed and is to be thrown away.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use shale_disk::Result;

use super::cells::{Cells, NONE, base, checksum, corrupt, put, u32_at};
use super::check::DEPTH;
use super::name::Name;
use super::read::{Data, INLINE, SEGMENT, nk, sk, vk};
use super::room::Room;
use super::value::Value;
use super::{Hive, Key};

/// Longest name of a key and of a value, in units.
const KEY_NAME: usize = 255;
const VALUE_NAME: usize = 16_383;

/// What changing needs to know beside the bytes; made by the first change.
pub(super) struct Edits {
    pub room: Room,
    /// The security cell of each descriptor.
    pub descriptors: BTreeMap<Vec<u8>, u32>,
    /// Security cells came or went.
    pub new_ring: bool,
}

impl Edits {
    fn of(hive: &Hive) -> Result<Self> {
        let mut descriptors = BTreeMap::new();
        for at in hive.security.keys() {
            descriptors.entry(hive.cells.descriptor(*at)?.to_vec()).or_insert(*at);
        }
        Ok(Self { room: Room::of(&hive.cells)?, descriptors, new_ring: false })
    }
}

/// A hive's bytes and free room, while they are changed.
pub(super) struct Editor<'a, 'b> {
    pub cells: &'a mut Cells<'b>,
    pub room: &'a mut Room,
}

impl Editor<'_, '_> {
    /// A new cell with these bytes.
    pub fn add(&mut self, payload: &[u8]) -> Result<u32> {
        let at = self.room.take(self.cells, payload.len())?;
        self.cells.put(at, 0, payload)?;
        Ok(at)
    }

    pub fn remove(&mut self, at: u32) -> Result<()> {
        self.room.give_back(self.cells, at)
    }

    /// The bytes in the cell, or, where they do not fit, in a new one with room for a quarter more.
    pub fn replace(&mut self, at: u32, payload: &[u8]) -> Result<u32> {
        if self.cells.cell(at)?.len() >= payload.len() {
            self.cells.put(at, 0, payload)?;
            return Ok(at);
        }
        let mut longer = payload.to_vec();
        longer.resize(payload.len() + payload.len() / 4, 0);
        self.remove(at)?;
        self.add(&longer)
    }

    /// Keeps a value's data; the two numbers are its length and where it is.
    fn store(&mut self, data: &[u8]) -> Result<(u32, u32)> {
        let length = u32::try_from(data.len()).ok().filter(|length| length & INLINE == 0);
        let length = length.ok_or_else(|| corrupt("a value is too long for a registry hive"))?;
        if data.len() <= 4 {
            let mut inline = [0; 4];
            inline[..data.len()].copy_from_slice(data);
            return Ok((length | INLINE, u32::from_le_bytes(inline)));
        }
        // Hives before version 1.4 have all data in one cell.
        if data.len() <= SEGMENT || self.cells.minor() < 4 {
            return Ok((length, self.add(data)?));
        }
        let count = u16::try_from(data.len().div_ceil(SEGMENT));
        let count = count.map_err(|_| corrupt("a value is too long for a registry hive"))?;
        let mut list = Vec::new();
        for segment in data.chunks(SEGMENT) {
            // The last one has room for a whole segment too, as in hives that Windows wrote; hivex counts on it.
            let at = self.room.take(self.cells, SEGMENT)?;
            self.cells.put(at, 0, segment)?;
            list.extend(at.to_le_bytes());
        }
        let list = self.add(&list)?;
        let lead = [b"db".as_slice(), &count.to_le_bytes(), &list.to_le_bytes(), &[0; 4]].concat();
        Ok((length, self.add(&lead)?))
    }

    fn remove_data(&mut self, data: Data) -> Result<()> {
        match data {
            Data::Inline(..) => Ok(()),
            Data::Cell(at, _) => self.remove(at),
            Data::Segments { leads, segments, .. } => {
                leads.into_iter().chain(segments).try_for_each(|at| self.remove(at))
            }
        }
    }

    /// Raises a field of a key that says how long the longest of something is.
    fn raise(&mut self, key: u32, field: usize, length: usize) -> Result<()> {
        let longest = u32_at(self.cells.cell(key)?, field)?;
        // Of the longest name only the lower half is the length: Windows 10 keeps flags in the upper.
        let (flags, longest) =
            if field == nk::LONGEST_NAME { (longest & !0xffff, longest & 0xffff) } else { (0, longest) };
        self.cells.put_u32(key, field, flags | longest.max(length as u32))
    }

    /// The cell of a value, and its place in the list.
    fn find_item(&self, key: u32, name: &Name) -> Result<Option<(usize, u32)>> {
        let folded = name.folded();
        for (index, at) in self.cells.items(&self.cells.node(key)?)?.into_iter().enumerate() {
            if self.cells.item(at)?.name.order(&folded) == Ordering::Equal {
                return Ok(Some((index, at)));
            }
        }
        Ok(None)
    }

    fn add_item(&mut self, key: u32, name: &Name) -> Result<u32> {
        let (bytes, narrow) = name.stored();
        let mut item = vec![0; vk::NAME];
        item[..2].copy_from_slice(b"vk");
        put(&mut item, vk::NAME_LENGTH, &(bytes.len() as u16).to_le_bytes())?;
        put(&mut item, vk::FLAGS, &(u16::from(narrow && !bytes.is_empty()) * vk::NARROW).to_le_bytes())?;
        item.extend(bytes);
        let at = self.add(&item)?;
        let node = self.cells.node(key)?;
        let (count, list) = (node.values, node.value_list);
        let mut items: Vec<u8> = self.cells.items(&node)?.into_iter().flat_map(u32::to_le_bytes).collect();
        items.extend(at.to_le_bytes());
        let list = if count == 0 { self.add(&items)? } else { self.replace(list, &items)? };
        self.cells.put_u32(key, nk::VALUES, count + 1)?;
        self.cells.put_u32(key, nk::VALUE_LIST, list)?;
        self.raise(key, nk::LONGEST_VALUE_NAME, name.units().len() * 2)?;
        Ok(at)
    }

    fn remove_item(&mut self, key: u32, index: usize, at: u32) -> Result<()> {
        let data = self.cells.item(at)?.data;
        self.remove_data(data)?;
        self.remove(at)?;
        let node = self.cells.node(key)?;
        let list = node.value_list;
        let mut items = self.cells.items(&node)?;
        items.remove(index);
        if items.is_empty() {
            self.remove(list)?;
            self.cells.put_u32(key, nk::VALUE_LIST, NONE)?;
        } else {
            let bytes: Vec<u8> = items.iter().copied().flat_map(u32::to_le_bytes).collect();
            self.cells.put(list, 0, &bytes)?;
        }
        self.cells.put_u32(key, nk::VALUES, items.len() as u32)
    }

    fn remove_class(&mut self, key: u32) -> Result<()> {
        let class = self.cells.node(key)?.class;
        if class != NONE {
            self.remove(class)?;
        }
        self.cells.put_u32(key, nk::CLASS, NONE)?;
        self.cells.put(key, nk::CLASS_LENGTH, &[0; 2])
    }
}

impl<'b> Hive<'b> {
    /// What changes bytes and finds room, with the descriptors that are there.
    pub(super) fn editor(&mut self) -> Result<Editor<'_, 'b>> {
        if self.edits.is_none() {
            self.edits = Some(Edits::of(self)?);
        }
        match &mut self.edits {
            Some(edits) => Ok(Editor { cells: &mut self.cells, room: &mut edits.room }),
            None => Err(corrupt("the hive cannot be changed")),
        }
    }

    /// Adds a value or replaces the one of that name (whose spelling then stays).
    pub fn set_value(&mut self, key: Key, value: &Value) -> Result<()> {
        if value.name.units().len() > VALUE_NAME {
            return Err(corrupt("the name of a value is too long for a registry hive"));
        }
        let mut editor = self.editor()?;
        let at = match editor.find_item(key.0, &value.name)? {
            Some((_, at)) => {
                let data = editor.cells.item(at)?.data;
                editor.remove_data(data)?;
                at
            }
            None => editor.add_item(key.0, &value.name)?,
        };
        let (length, place) = editor.store(&value.data)?;
        editor.cells.put_u32(at, vk::LENGTH, length)?;
        editor.cells.put_u32(at, vk::DATA, place)?;
        editor.cells.put_u32(at, vk::KIND, value.kind)?;
        editor.raise(key.0, nk::LONGEST_DATA, value.data.len())
    }

    /// Removes a value; whether it was there.
    pub fn remove_value(&mut self, key: Key, name: &Name) -> Result<bool> {
        let mut editor = self.editor()?;
        let Some((index, at)) = editor.find_item(key.0, name)? else { return Ok(false) };
        editor.remove_item(key.0, index, at)?;
        Ok(true)
    }

    /// Adds a subkey, which must not be there, with this security descriptor.
    pub fn add_key(&mut self, parent: Key, name: &Name, security: &[u8], written: u64) -> Result<Key> {
        let is_name = !name.units().is_empty() && name.units().len() <= KEY_NAME;
        if !is_name || name.units().contains(&u16::from(b'\\')) {
            return Err(corrupt(format!("no registry key can be named '{name}'")));
        }
        if self.depth(parent)? >= DEPTH {
            return Err(corrupt(format!("the key '{name}' would be more than {DEPTH} deep")));
        }
        let (bytes, narrow) = name.stored();
        let mut node = vec![0; nk::NAME];
        node[..2].copy_from_slice(b"nk");
        put(&mut node, nk::FLAGS, &(u16::from(narrow) * nk::NARROW).to_le_bytes())?;
        put(&mut node, nk::WRITTEN, &written.to_le_bytes())?;
        put(&mut node, nk::PARENT, &parent.0.to_le_bytes())?;
        for nothing in [nk::LIST, nk::LIST + 4, nk::VALUE_LIST, nk::SECURITY, nk::CLASS] {
            put(&mut node, nothing, &NONE.to_le_bytes())?;
        }
        put(&mut node, nk::NAME_LENGTH, &(bytes.len() as u16).to_le_bytes())?;
        node.extend(bytes);
        let in_order = self.in_order;
        let mut editor = self.editor()?;
        let key = editor.add(&node)?;
        editor.enter(parent.0, key, name, in_order)?;
        editor.raise(parent.0, nk::LONGEST_NAME, name.units().len() * 2)?;
        self.set_security(Key(key), security)?;
        Ok(Key(key))
    }

    fn depth(&self, key: Key) -> Result<usize> {
        let root = self.cells.root()?;
        let (mut at, mut depth) = (key.0, 0);
        while at != root && depth <= DEPTH {
            at = u32_at(self.cells.signed(at, b"nk")?, nk::PARENT)?;
            depth += 1;
        }
        Ok(depth)
    }

    /// Removes a key, its values and all keys below it. The root stays.
    pub fn remove_key(&mut self, key: Key) -> Result<()> {
        if key.0 == self.cells.root()? {
            return Err(corrupt("the root of a registry hive cannot be removed"));
        }
        let node = self.cells.node(key.0)?;
        let (parent, name) = (node.parent, node.name.name());
        let in_order = self.in_order;
        self.editor()?.leave(parent, &name, in_order)?;
        let mut below = vec![key.0];
        while let Some(at) = below.pop() {
            let node = self.cells.node(at)?;
            below.extend(self.cells.subkeys(&node)?);
            let (leaves, list) = (self.cells.leaves(&node)?, node.list);
            let mut lists: Vec<u32> = leaves.iter().map(|leaf| leaf.cell).collect();
            if node.subkeys != 0 && !lists.contains(&list) {
                lists.push(list);
            }
            self.release_security(at)?;
            let mut editor = self.editor()?;
            lists.into_iter().try_for_each(|at| editor.remove(at))?;
            while let Some(item) = editor.cells.items(&editor.cells.node(at)?)?.pop() {
                let last = editor.cells.node(at)?.values as usize - 1;
                editor.remove_item(at, last, item)?;
            }
            editor.remove_class(at)?;
            editor.remove(at)?;
        }
        Ok(())
    }

    /// Gives a key a class; empty: none.
    pub fn set_class(&mut self, key: Key, class: &[u8]) -> Result<()> {
        let length = u16::try_from(class.len());
        let length = length.map_err(|_| corrupt("the class of a key is too long for a registry hive"))?;
        let parent = self.cells.node(key.0)?.parent;
        let is_root = key.0 == self.cells.root()?;
        let mut editor = self.editor()?;
        editor.remove_class(key.0)?;
        if class.is_empty() {
            return Ok(());
        }
        let at = editor.add(class)?;
        editor.cells.put_u32(key.0, nk::CLASS, at)?;
        editor.cells.put(key.0, nk::CLASS_LENGTH, &length.to_le_bytes())?;
        if is_root { Ok(()) } else { editor.raise(parent, nk::LONGEST_CLASS, class.len()) }
    }

    /// Says when a key was last written, in units of 100 ns from the beginning of 1601 (UTC).
    pub fn set_written(&mut self, key: Key, written: u64) -> Result<()> {
        self.cells.node(key.0)?;
        self.editor()?.cells.put(key.0, nk::WRITTEN, &written.to_le_bytes())
    }

    /// Says whether a key stands for another one.
    pub fn set_link(&mut self, key: Key, link: bool) -> Result<()> {
        let flags = self.cells.node(key.0)?.flags;
        let flags = if link { flags | nk::LINK } else { flags & !nk::LINK };
        self.editor()?.cells.put(key.0, nk::FLAGS, &flags.to_le_bytes())
    }

    /// Gives a key a security descriptor, self-relative; empty: none.
    pub fn set_security(&mut self, key: Key, descriptor: &[u8]) -> Result<()> {
        let length = u32::try_from(descriptor.len());
        let length = length.map_err(|_| corrupt("a security descriptor is too long for a registry hive"))?;
        self.editor()?;
        self.release_security(key.0)?;
        if descriptor.is_empty() {
            return Ok(());
        }
        let known = self.edits.as_ref().and_then(|edits| edits.descriptors.get(descriptor).copied());
        let at = match known {
            Some(at) => at,
            None => {
                let mut cell = vec![0; sk::DESCRIPTOR];
                cell[..2].copy_from_slice(b"sk");
                put(&mut cell, sk::LENGTH, &length.to_le_bytes())?;
                cell.extend(descriptor);
                let at = self.editor()?.add(&cell)?;
                if let Some(edits) = &mut self.edits {
                    edits.descriptors.insert(descriptor.into(), at);
                    edits.new_ring = true;
                }
                at
            }
        };
        *self.security.entry(at).or_insert(0) += 1;
        self.cells.put_u32(key.0, nk::SECURITY, at)
    }

    /// Takes a key's descriptor away, and its cell with the last key that had it.
    fn release_security(&mut self, key: u32) -> Result<()> {
        let at = self.cells.node(key)?.security;
        if at == NONE {
            return Ok(());
        }
        self.cells.put_u32(key, nk::SECURITY, NONE)?;
        let count = self.security.get(&at).copied().unwrap_or(1);
        if count > 1 {
            self.security.insert(at, count - 1);
            return Ok(());
        }
        let descriptor = self.cells.descriptor(at)?.to_vec();
        self.security.remove(&at);
        if let Some(edits) = &mut self.edits {
            edits.new_ring = true;
            if edits.descriptors.get(&descriptor) == Some(&at) {
                edits.descriptors.remove(&descriptor);
            }
        }
        self.editor()?.remove(at)
    }

    /// The file. Where nothing was changed it is the bytes that were opened. Else its number goes up by one, so that logs of
    /// the hive as it was, should there be any, do not fit it.
    pub fn into_bytes(mut self) -> Result<Vec<u8>> {
        if self.edits.is_none() {
            return Ok(self.cells.bytes.into_owned());
        }
        self.chain_security()?;
        let end = super::cells::BLOCK + self.cells.size();
        let mut bytes = self.cells.bytes.into_owned();
        bytes.truncate(end);
        let number = u32_at(&bytes, base::PRIMARY)?.wrapping_add(1).to_le_bytes();
        put(&mut bytes, base::PRIMARY, &number)?;
        put(&mut bytes, base::SECONDARY, &number)?;
        let sum = checksum(&bytes);
        put(&mut bytes, base::CHECKSUM, &sum.to_le_bytes())?;
        Ok(bytes)
    }

    /// Says in each security cell how many keys have it, and links them into a ring, if it is another than it was.
    fn chain_security(&mut self) -> Result<()> {
        let ring: Vec<(u32, u32)> = self.security.iter().map(|(at, count)| (*at, *count)).collect();
        for (index, (at, count)) in ring.iter().enumerate() {
            self.cells.put_u32(*at, sk::COUNT, *count)?;
            if self.edits.as_ref().is_some_and(|edits| edits.new_ring) {
                self.cells.put_u32(*at, sk::NEXT, ring[(index + 1) % ring.len()].0)?;
                self.cells.put_u32(*at, sk::BEFORE, ring[(index + ring.len() - 1) % ring.len()].0)?;
            }
        }
        Ok(())
    }
}
