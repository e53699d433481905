//! What was done to a hive, as a tree, and as bytes: `docs/formats/registry-changes.md`.
//!
//! The bytes come from a repository that others could write to: reading them is bounded by their length and checks all that
//! [`super::merge`] counts on.

use shale_disk::{Error, ErrorKind, Result};

use super::cells::{NONE, array, u16_at, u32_at, u64_at};
use super::check::DEPTH;
use super::name::Name;
use super::value::Value;

const MAGIC: &[u8; 8] = b"SHALEREG";
const VERSION: u32 = 1;

/// BLAKE3 of what something was before.
pub(super) type Digest = [u8; 32];

/// What was done to a hive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Security descriptors that keys refer to by place, in the order of their first use.
    pub descriptors: Vec<Vec<u8>>,
    pub root: KeyChange,
}

/// A key that is there, and what was done to it and below it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeyChange {
    pub name: Name,
    pub before: Before,
    pub written: u64,
    pub link: bool,
    /// Place among the descriptors, or [`NONE`].
    pub security: u32,
    pub class: Vec<u8>,
    pub values: Vec<ValueChange>,
    pub keys: Vec<SubkeyChange>,
}

/// What a key's own facts (security, class, whether it is a link) were.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Before {
    /// As they are.
    #[default]
    Same,
    /// There was no such key.
    New,
    /// Others.
    Other(Digest),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum SubkeyChange {
    /// It is gone, with all below it, which was this.
    Removed(Name, Digest),
    There(KeyChange),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ValueChange {
    pub name: Name,
    /// What it was; `None`: it was not there.
    pub was: Option<Digest>,
    pub now: Now,
}

/// What a value is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Now {
    Removed,
    Set(Value),
    /// A list of folders, and what it was: lists are put together entry by entry.
    List(Value, Value),
}

impl SubkeyChange {
    pub fn name(&self) -> &Name {
        match self {
            Self::Removed(name, _) => name,
            Self::There(key) => &key.name,
        }
    }
}

impl KeyChange {
    /// Whether it says nothing of the key and of nothing below it.
    pub fn is_nothing(&self) -> bool {
        self.before == Before::Same && self.values.is_empty() && self.keys.is_empty()
    }
}

impl Changes {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(VERSION.to_le_bytes());
        out.extend((self.descriptors.len() as u32).to_le_bytes());
        for descriptor in &self.descriptors {
            put_bytes(&mut out, descriptor);
        }
        put_key(&mut out, &self.root);
        out
    }

    pub fn read(bytes: &[u8]) -> Result<Self> {
        if !bytes.starts_with(MAGIC) {
            return Err(wrong("do not begin as such"));
        }
        if u32_at(bytes, MAGIC.len())? != VERSION {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the changes of a registry hive were written by a newer Shale",
            ));
        }
        let mut input = Input { bytes, at: MAGIC.len() + 4, descriptors: 0 };
        let count = input.count(4)?;
        let descriptors = (0..count).map(|_| Ok(input.bytes()?.to_vec())).collect::<Result<Vec<_>>>()?;
        input.descriptors = count as u32;
        let root = input.key(0)?;
        if input.at != bytes.len() || root.before == Before::New {
            return Err(wrong("say something impossible of the root, or have something behind their end"));
        }
        Ok(Self { descriptors, root })
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend(bytes);
}

fn put_name(out: &mut Vec<u8>, name: &Name) {
    out.extend((name.units().len() as u16).to_le_bytes());
    out.extend(name.units().iter().flat_map(|unit| unit.to_le_bytes()));
}

fn put_key(out: &mut Vec<u8>, key: &KeyChange) {
    put_name(out, &key.name);
    match key.before {
        Before::Same => out.push(0),
        Before::New => out.push(1),
        Before::Other(digest) => {
            out.push(2);
            out.extend(digest);
        }
    }
    out.extend(key.written.to_le_bytes());
    out.push(key.link.into());
    out.extend(key.security.to_le_bytes());
    put_bytes(out, &key.class);
    out.extend((key.values.len() as u32).to_le_bytes());
    key.values.iter().for_each(|value| put_value(out, value));
    out.extend((key.keys.len() as u32).to_le_bytes());
    for subkey in &key.keys {
        match subkey {
            SubkeyChange::Removed(name, was) => {
                out.push(0);
                put_name(out, name);
                out.extend(was);
            }
            SubkeyChange::There(key) => {
                out.push(1);
                put_key(out, key);
            }
        }
    }
}

fn put_value(out: &mut Vec<u8>, value: &ValueChange) {
    let put_content = |out: &mut Vec<u8>, value: &Value| {
        out.extend(value.kind.to_le_bytes());
        put_bytes(out, &value.data);
    };
    put_name(out, &value.name);
    out.push(value.was.is_some().into());
    out.extend(value.was.iter().flatten());
    match &value.now {
        Now::Removed => out.push(0),
        Now::Set(now) => {
            out.push(1);
            put_content(out, now);
        }
        Now::List(now, was) => {
            out.push(2);
            put_content(out, now);
            put_content(out, was);
        }
    }
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the changes of a registry hive {what}"))
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    descriptors: u32,
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let part = self.at.checked_add(length).and_then(|end| self.bytes.get(self.at..end));
        let part = part.ok_or_else(|| wrong("are cut off"))?;
        self.at += length;
        Ok(part)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn flag(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(wrong("have neither yes nor no")),
        }
    }

    fn number(&mut self) -> Result<u32> {
        u32_at(self.take(4)?, 0)
    }

    /// A count of things that take at least `each` bytes.
    fn count(&mut self, each: usize) -> Result<usize> {
        let count = self.number()? as usize;
        if count > (self.bytes.len() - self.at) / each {
            return Err(wrong("are cut off"));
        }
        Ok(count)
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.number()? as usize;
        self.take(length)
    }

    fn digest(&mut self) -> Result<Digest> {
        array(self.take(32)?, 0)
    }

    fn name(&mut self) -> Result<Name> {
        let length = usize::from(u16_at(self.take(2)?, 0)?);
        let units = self.take(length * 2)?.chunks_exact(2);
        Ok(Name::new(units.map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect()))
    }

    fn key(&mut self, depth: usize) -> Result<KeyChange> {
        let name = self.name()?;
        let before = match self.byte()? {
            0 => Before::Same,
            1 => Before::New,
            2 => Before::Other(self.digest()?),
            _ => return Err(wrong("do not say what a key was")),
        };
        let written = u64_at(self.take(8)?, 0)?;
        let (link, security) = (self.flag()?, self.number()?);
        if security != NONE && security >= self.descriptors {
            return Err(wrong("refer to a security descriptor that they do not have"));
        }
        let class = self.bytes()?.to_vec();
        let (values, keys) = (self.values()?, self.keys(depth)?);
        Ok(KeyChange { name, before, written, link, security, class, values, keys })
    }

    fn keys(&mut self, depth: usize) -> Result<Vec<SubkeyChange>> {
        let count = self.count(3)?;
        if depth == DEPTH && count > 0 {
            return Err(wrong("go deeper than a hive can"));
        }
        let mut keys = Vec::new();
        for _ in 0..count {
            let key = if self.flag()? {
                SubkeyChange::There(self.key(depth + 1)?)
            } else {
                SubkeyChange::Removed(self.name()?, self.digest()?)
            };
            let name = key.name();
            let is_name = !name.units().is_empty() && !name.units().contains(&u16::from(b'\\'));
            let in_order = keys.last().is_none_or(|last: &SubkeyChange| last.name().folded() < name.folded());
            if !is_name || !in_order {
                return Err(wrong("have a key twice, out of order, or with a name that no key can have"));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    fn values(&mut self) -> Result<Vec<ValueChange>> {
        let mut values = Vec::new();
        for _ in 0..self.count(4)? {
            let name = self.name()?;
            let in_order = values.last().is_none_or(|last: &ValueChange| last.name.folded() < name.folded());
            if !in_order {
                return Err(wrong("have a value twice or out of order"));
            }
            let was = if self.flag()? { Some(self.digest()?) } else { None };
            let now = match self.byte()? {
                0 => Now::Removed,
                1 => Now::Set(self.content(&name)?),
                2 => Now::List(self.content(&name)?, self.content(&name)?),
                _ => return Err(wrong("do not say what a value is")),
            };
            values.push(ValueChange { name, was, now });
        }
        Ok(values)
    }

    fn content(&mut self, name: &Name) -> Result<Value> {
        Ok(Value { name: name.clone(), kind: self.number()?, data: self.bytes()?.to_vec() })
    }
}
