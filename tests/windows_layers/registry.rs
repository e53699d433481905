//! A registry, and the two texts it is written as: Wine's own files, and what regedit exports, which hivexregedit makes of
//! hives and puts into them.
//!
//! ```text
//!   Wine                                          regedit
//!   WINE REGISTRY Version 2                       Windows Registry Editor Version 5.00
//!   [Software\\Vendor] 1795400006                 [\Software\Vendor]
//!   #link
//!   "Name"="text"     "List"=str(7):"a\0b\0"      "Name"=hex(1):74,00,65,00,78,00,74,00,00,00
//!   "Number"=dword:00000001                       "Number"=dword:00000001
//!   "Other"=hex(2):61,00,00,00                    "Gone"=-          [-\Gone]
//! ```
//!
//! In Wine's, names and texts are UTF-16 with escapes as in C (`\x1f2`, `\7`, `\n`) and end in a zero that is not written.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write;

const TEXT: u32 = 1;
const EXPANDED: u32 = 2;
const NUMBER: u32 = 4;
const LINK: u32 = 6;
const TEXTS: u32 = 7;
/// The value that a key has that leads to another one.
const LINK_NAME: &str = "SymbolicLinkValue";

/// A name or a path of names: the same whatever its case.
#[derive(Clone, Debug)]
pub struct Name(pub String);

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.to_lowercase().cmp(&other.0.to_lowercase())
    }
}
impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Name {}

/// What a value is: its type and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data(pub u32, pub Vec<u8>);

impl Data {
    /// A list of texts.
    pub fn of_texts(texts: &[&str]) -> Self {
        Self::of_units(TEXTS, texts.iter().flat_map(|text| text.encode_utf16().chain([0])).collect())
    }

    /// A text with variables in it.
    pub fn of_expanded(text: &str) -> Self {
        Self::of_units(EXPANDED, text.encode_utf16().collect())
    }

    fn of_units(kind: u32, mut units: Vec<u16>) -> Self {
        units.push(0);
        Self(kind, units.into_iter().flat_map(u16::to_le_bytes).collect())
    }

    /// A text, up to its zero.
    pub fn text(&self) -> String {
        let units = self.1.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        String::from_utf16_lossy(&units.take_while(|unit| *unit != 0).collect::<Vec<_>>())
    }

    /// As both texts write it.
    pub fn written(&self) -> String {
        if let (NUMBER, Ok(number)) = (self.0, <[u8; 4]>::try_from(&self.1[..])) {
            return format!("dword:{:08x}", u32::from_le_bytes(number));
        }
        let bytes: Vec<String> = self.1.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("hex({:x}):{}", self.0, bytes.join(","))
    }

    /// What stands behind `=`; without escapes that only Wine has.
    fn read(text: &str) -> Self {
        let (kind, rest) = text.split_once(':').unwrap_or(("", text));
        let number = |text: &str| u32::from_str_radix(text, 16).unwrap();
        let kind = kind.trim_end_matches(')');
        match kind.split_once('(').unwrap_or((kind, "3")) {
            ("dword", _) => Self(NUMBER, number(rest).to_le_bytes().to_vec()),
            ("hex", kind) => {
                let bytes = rest.split(',').filter(|byte| !byte.is_empty());
                Self(number(kind), bytes.map(|byte| number(byte) as u8).collect())
            }
            ("str", kind) => Self::of_units(number(kind), unescaped(&rest[1..], '"').0),
            _ => Self::of_units(TEXT, unescaped(text.strip_prefix('"').expect(text), '"').0),
        }
    }
}

/// The values of a key.
pub type Key = BTreeMap<Name, Data>;

/// Keys by their paths. Those above a key are there too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry(pub BTreeMap<Name, Key>);

impl Registry {
    pub fn key(&mut self, path: &str) -> &mut Key {
        for (end, _) in path.match_indices('\\') {
            self.0.entry(Name(path[..end].to_owned())).or_default();
        }
        self.0.entry(Name(path.to_owned())).or_default()
    }

    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(&Name(path.to_owned()))
    }

    pub fn value(&self, path: &str, name: &str) -> Option<&Data> {
        self.0.get(&Name(path.to_owned()))?.get(&Name(name.to_owned()))
    }

    pub fn set(&mut self, path: &str, name: &str, data: Data) {
        self.key(path).insert(Name(name.to_owned()), data);
    }

    /// The keys below `path`, which is their root then. With `rename`, a key of the root is called otherwise.
    pub fn below(&self, path: &str, rename: Option<(&str, &str)>) -> Self {
        let mut found = Self::default();
        found.key("");
        for (Name(whole), key) in &self.0 {
            let Some(inner) = tail(whole, path) else { continue };
            let renamed = rename.and_then(|(from, to)| tail(inner, from).map(|rest| format!("{to}\\{rest}")));
            *found.key(renamed.as_deref().unwrap_or(inner).trim_end_matches('\\')) = key.clone();
        }
        found
    }

    /// Adds another registry's keys below `path`.
    pub fn put(&mut self, path: &str, other: Self, rename: Option<(&str, &str)>) {
        for (Name(inner), key) in other.below("", rename).0 {
            *self.key(format!("{path}\\{inner}").trim_matches('\\')) = key;
        }
    }

    /// Without a key, and all below it.
    pub fn without(mut self, path: &str) -> Self {
        self.0.retain(|Name(key), _| tail(key, path).is_none());
        self
    }

    /// One of Wine's files.
    pub fn of_wine(text: &str) -> Self {
        let mut registry = Self::default();
        registry.key("");
        let mut path = String::new();
        for line in joined(text).skip(1) {
            if let Some(name) = line.strip_prefix('[') {
                path = String::from_utf16_lossy(&unescaped(name, ']').0);
                registry.key(&path);
            } else if let Some((name, data)) = named(&line) {
                registry.key(&path).insert(name, Data::read(data));
            }
        }
        registry
    }

    /// As one of Wine's files.
    pub fn to_wine(&self) -> String {
        let mut text = "WINE REGISTRY Version 2\n;; All keys relative to a root\n\n#arch=win64\n".to_owned();
        for (Name(path), key) in self.0.iter().filter(|(path, _)| !path.0.is_empty()) {
            write!(text, "\n[{}] 0\n", escaped(path, "[]")).unwrap();
            if key.get(&Name(LINK_NAME.to_owned())).is_some_and(|link| link.0 == LINK) {
                text.push_str("#link\n");
            }
            for (Name(name), data) in key {
                writeln!(text, "{}={}", quoted(&escaped(name, "\"")), data.written()).unwrap();
            }
        }
        text
    }

    /// What hivexregedit exports.
    pub fn of_regedit(text: &str) -> Self {
        let mut registry = Self::default();
        let mut path = String::new();
        for line in joined(text).skip(1) {
            if let Some(name) = line.strip_prefix('[') {
                path = name.trim_end_matches(']').trim_matches('\\').to_owned();
                registry.key(&path);
            } else if let Some((name, data)) = named(&line) {
                registry.key(&path).insert(name, Data::read(data));
            }
        }
        registry
    }

    /// Does to a registry what became of this one, whose `now` it is: a layer's is taken whatever is there.
    pub fn done(&self, now: &Self, onto: &mut Self) {
        for Name(path) in self.0.keys().filter(|path| !now.0.contains_key(path)) {
            *onto = std::mem::take(onto).without(path);
        }
        for (Name(path), key) in &now.0 {
            let was = self.0.get(&Name(path.clone())).cloned().unwrap_or_default();
            let there = onto.key(path);
            there.retain(|name, _| key.contains_key(name) || !was.contains_key(name));
            let is_changed = |(name, data): &(&Name, &Data)| was.get(name) != Some(data);
            there.extend(key.iter().filter(is_changed).map(|(name, data)| (name.clone(), data.clone())));
        }
    }

    /// What regedit has to import so that this registry becomes `now`.
    pub fn changes(&self, now: &Self) -> String {
        let mut text = "Windows Registry Editor Version 5.00\n".to_owned();
        let mut gone: Option<&str> = None;
        for Name(path) in self.0.keys().filter(|path| !now.0.contains_key(path)) {
            if gone.is_none_or(|above| tail(path, above).is_none()) {
                write!(text, "\n[-\\{path}]\n").unwrap();
                gone = Some(path);
            }
        }
        for (path, key) in &now.0 {
            let was = self.0.get(path);
            let old = was.cloned().unwrap_or_default();
            let is_set = |(name, data): &(&Name, &Data)| old.get(name) != Some(data);
            let removed = old.keys().filter(|name| !key.contains_key(name));
            let lines: Vec<String> = removed
                .map(|Name(name)| format!("{}=-\n", quoted(&plain(name))))
                .chain(
                    key.iter()
                        .filter(is_set)
                        .map(|(Name(name), data)| format!("{}={}\n", quoted(&plain(name)), data.written())),
                )
                .collect();
            if was.is_none() || !lines.is_empty() {
                write!(text, "\n[\\{}]\n{}", path.0, lines.concat()).unwrap();
            }
        }
        text
    }
}

/// The rest of a path below another one.
fn tail<'a>(path: &'a str, above: &str) -> Option<&'a str> {
    if above.is_empty() {
        return Some(path);
    }
    let start = path.get(..above.len())?;
    let rest = path[above.len()..].strip_prefix('\\').or((path.len() == above.len()).then_some(""));
    rest.filter(|_| start.eq_ignore_ascii_case(above))
}

/// Lines, put together where one ends in a `\`.
fn joined(text: &str) -> impl Iterator<Item = String> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let mut line = lines.next()?.to_owned();
        while line.ends_with('\\') && line.contains("=hex") {
            line.pop();
            line.push_str(lines.next()?.trim());
        }
        Some(line)
    })
}

/// A value's name and what is behind `=`; the default value's name is empty.
fn named(line: &str) -> Option<(Name, &str)> {
    if let Some(data) = line.strip_prefix("@=") {
        return Some((Name(String::new()), data));
    }
    let (name, rest) = unescaped(line.strip_prefix('"')?, '"');
    Some((Name(String::from_utf16_lossy(&name)), rest.strip_prefix('=')?))
}

fn quoted(name: &str) -> String {
    if name.is_empty() { "@".to_owned() } else { format!("\"{name}\"") }
}

/// The text up to `end`, and what is behind it.
fn unescaped(text: &str, end: char) -> (Vec<u16>, &str) {
    let mut units = Vec::new();
    let mut rest = text;
    loop {
        let first = rest.chars().next().expect(text);
        rest = &rest[first.len_utf8()..];
        if first == end {
            return (units, rest);
        }
        if first != '\\' {
            units.extend_from_slice(first.encode_utf16(&mut [0; 2]));
            continue;
        }
        let escape = rest.chars().next().expect(text);
        let digits = |text: &str, radix, most: usize| {
            let length = text.chars().take(most).take_while(|digit| digit.is_digit(radix)).count();
            (u16::from_str_radix(&text[..length], radix).unwrap(), length)
        };
        let (unit, length) = match escape {
            'x' => {
                let (unit, length) = digits(&rest[1..], 16, 4);
                (unit, length + 1)
            }
            '0'..='7' => digits(rest, 8, 3),
            'a' => (7, 1),
            'b' => (8, 1),
            't' => (9, 1),
            'n' => (10, 1),
            'v' => (11, 1),
            'f' => (12, 1),
            'r' => (13, 1),
            'e' => (27, 1),
            other => (u16::try_from(u32::from(other)).unwrap(), other.len_utf8()),
        };
        units.push(unit);
        rest = &rest[length..];
    }
}

/// As Wine writes it: everything that is not plain is a number of four digits.
fn escaped(text: &str, special: &str) -> String {
    let mut out = String::new();
    for unit in text.encode_utf16() {
        match char::from_u32(unit.into()).filter(|unit| (' '..='~').contains(unit)) {
            Some(plain) if plain == '\\' || special.contains(plain) => out.extend(['\\', plain]),
            Some(plain) => out.push(plain),
            None => write!(out, "\\x{unit:04x}").unwrap(),
        }
    }
    out
}

/// As regedit writes the name of a value.
fn plain(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"")
}
