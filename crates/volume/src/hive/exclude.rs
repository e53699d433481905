//! What of the registry never becomes part of a layer: who the machine is, what it found, when it ran.
//!
//! ```toml
//! [SYSTEM]                        # or [SOFTWARE], [COMPONENTS], [DRIVERS], [USER]: the hive; only Windows has any
//! keys = ["MountedDevices"]       # with all that is in them and below them
//! values = ['CurrentControlSet\Services\Tcpip\Parameters\Interfaces\**\Dhcp*']
//! ```
//!
//! A pattern is a path from the hive's root. `*` at the end of a name is the rest of it, `**` any keys. The control set that
//! the machine runs on is called `CurrentControlSet`. `exclude.toml` has what every layer starts from; an administrator adds
//! more of the same form.

use std::collections::BTreeMap;

use serde::Deserialize;
use shale_disk::{Error, ErrorKind, Result};

use super::name::Name;
use crate::exclude::wild;

/// What every layer starts from.
const SHIPPED: &str = include_str!("exclude.toml");
/// Longest pattern, and most of them for a hive: matching takes time for each.
const LENGTH: usize = 1024;
const COUNT: usize = 10_000;

/// Which hive of an installation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Which {
    /// `Windows\System32\config\SYSTEM`: services, drivers, devices.
    System,
    /// `Windows\System32\config\SOFTWARE`.
    Software,
    /// `Windows\System32\config\COMPONENTS`: what servicing installed.
    Components,
    /// `Windows\System32\config\DRIVERS`: the packages of drivers.
    Drivers,
    /// `NTUSER.DAT` or `UsrClass.dat` of a user or a service, or `Windows\System32\config\DEFAULT`.
    User,
}

/// A table of a text: besides those of hives there can be those of files ([`crate::exclude`]).
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(untagged)]
enum Part {
    Hive(Which),
    Files(crate::exclude::Family),
}

/// Patterns for one hive.
#[derive(Clone, Debug, Default)]
pub struct Exclusions {
    keys: Vec<Vec<Name>>,
    values: Vec<Vec<Name>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    keys: Vec<String>,
    values: Vec<String>,
}

impl Exclusions {
    /// Those that every layer starts from.
    pub fn shipped(which: Which) -> Result<Self> {
        Self::default().with(which, SHIPPED)
    }

    /// With what an administrator added.
    pub fn with(mut self, which: Which, text: &str) -> Result<Self> {
        let wrong = |why: String| {
            Error::new(
                ErrorKind::Unsupported,
                format!("the exclusions for the registry cannot be used: {why}"),
            )
        };
        let mut tables: BTreeMap<Part, toml::Value> =
            toml::from_str(text).map_err(|e| wrong("they are no such table".to_owned()).with_source(e))?;
        let Some(table) = tables.remove(&Part::Hive(which)) else { return Ok(self) };
        let table: Table =
            table.try_into().map_err(|e| wrong("they are no such table".to_owned()).with_source(e))?;
        for (patterns, all) in [(table.keys, &mut self.keys), (table.values, &mut self.values)] {
            for pattern in patterns {
                let names: Vec<Name> = pattern.split('\\').map(|name| Name::from(name).folded()).collect();
                if pattern.len() > LENGTH || names.iter().any(|name| name.units().is_empty()) {
                    return Err(wrong(format!("'{pattern}' is too long, or has an empty name in it")));
                }
                all.push(names);
            }
        }
        if self.keys.len() + self.values.len() > COUNT {
            return Err(wrong(format!("there are more than {COUNT}")));
        }
        Ok(self)
    }

    /// Whether the key at the end of a path is left out.
    pub(super) fn key(&self, path: &[Name]) -> bool {
        Self::any(&self.keys, path)
    }

    /// Whether a value of the key at the end of a path is left out.
    pub(super) fn value(&self, path: &[Name], value: &Name) -> bool {
        !self.values.is_empty() && Self::any(&self.values, &[path, std::slice::from_ref(value)].concat())
    }

    fn any(patterns: &[Vec<Name>], path: &[Name]) -> bool {
        // Most paths differ from most patterns in the first name.
        patterns.iter().any(|pattern| fits(pattern, path))
    }
}

/// Whether a pattern, of folded names, is for a path.
pub(super) fn fits(pattern: &[Name], path: &[Name]) -> bool {
    let is_same = |p: usize, n: usize| name_fits(&pattern[p], &path[n]);
    wild(pattern.len(), path.len(), |p| pattern[p].is("**"), is_same)
}

fn name_fits(pattern: &Name, name: &Name) -> bool {
    let name = name.folded();
    match pattern.units().split_last() {
        Some((last, start)) if *last == u16::from(b'*') => name.units().starts_with(start),
        _ => *pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<Name> {
        text.split('\\').map(Name::from).collect()
    }

    #[test]
    fn what_is_shipped_excludes_the_machine_and_nothing_else() {
        let system = Exclusions::shipped(Which::System).unwrap();
        assert!(system.key(&path("mounteddevices")));
        assert!(!system.key(&path(r"CurrentControlSet\Services\Tcpip")));
        let interface = path(r"CurrentControlSet\Services\Tcpip\Parameters\Interfaces\{1}");
        assert!(system.value(&interface, &"DhcpIPAddress".into()));
        assert!(!system.value(&interface, &"NameServer".into()));
        let software = Exclusions::shipped(Which::Software).unwrap();
        assert!(software.value(&path(r"Microsoft\Cryptography"), &"machineguid".into()));
        assert!(!software.key(&path("MountedDevices")));
        assert!(Exclusions::shipped(Which::User).unwrap().key(&path("Volatile Environment")));
    }

    #[test]
    fn an_administrator_adds_more_and_mistakes_are_told() {
        let more = Exclusions::shipped(Which::Software)
            .unwrap()
            .with(Which::Software, "[SOFTWARE]\nkeys = ['A\\**\\B']");
        let more = more.unwrap();
        for (key, expected) in [(r"A\B", true), (r"a\x\y\b", true), ("A", false), (r"A\x", false)] {
            assert_eq!(more.key(&path(key)), expected, "{key}");
        }
        // Each wild card tried at each name, for all of them, would take longer than anybody lives.
        let many = format!("[SOFTWARE]\nkeys = ['{}B']", "**\\".repeat(300));
        let many = Exclusions::default().with(Which::Software, &many).unwrap();
        let deep = path("x\\".repeat(200).trim_end_matches('\\'));
        assert!(!many.key(&deep) && many.key(&[deep, path("b")].concat()));
        for wrong in ["[SAM]\nkeys = []", "[SYSTEM]\nkey = []", "[SYSTEM]\nkeys = ['A\\\\B']"] {
            assert!(Exclusions::default().with(Which::System, wrong).is_err(), "{wrong}");
        }
    }
}
