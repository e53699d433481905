//! What never becomes part of a layer: caches, logs, page files, a machine's identity.
//!
//! ```toml
//! [linux]                         # or [windows]: the family of the operating system
//! paths = ["tmp/**", "etc/machine-id", "etc/ssh/ssh_host_*_key*"]
//! files = ["var/log/**"]          # as paths, but folders stay: a service finds the one it logs into
//! ```
//!
//! A pattern is a path from the root, without a slash in front. `*` is any part of a name, `?` one character, `**` any names, so that `tmp/**` is
//! everything in `/tmp` but not the folder itself. On Windows letters match whatever their case. What is in an excluded
//! folder is excluded too. Besides these there can be the tables of [`crate::hive::Exclusions`], for the registry:
//! `[SYSTEM]`, `[SOFTWARE]` and so on. `exclude.toml` has what every layer starts from; an administrator adds more of the same form.

use serde::{Deserialize, Serialize};
use shale_disk::{Error, ErrorKind, Result};

use crate::files::{Files, Kind};
use crate::hive::Which;
use crate::known::Known;

/// What every layer starts from.
const SHIPPED: &str = include_str!("exclude.toml");
/// Longest pattern, and most of them: matching takes time for each.
const LENGTH: usize = 1024;
const COUNT: usize = 10_000;

/// The family of an operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Linux.
    Linux,
    /// Windows.
    Windows,
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Linux => "Linux",
            Self::Windows => "Windows",
        })
    }
}

impl Family {
    fn table(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
        }
    }

    /// The family of the operating system that `files` are the root of, told by what every installation has; `None`: it is
    /// another volume, for data or starting.
    pub fn of(files: &mut Files) -> Result<Option<Self>> {
        let (family, paths): (_, &[&[&str]]) = match files.kind() {
            Known::Ext if has(files, &["usr"], false)? => {
                (Self::Linux, &[&["etc", "os-release"], &["etc", "passwd"]])
            }
            Known::Ntfs => (Self::Windows, &[&["windows", "system32"]]),
            _ => return Ok(None),
        };
        for path in paths {
            if has(files, path, family == Self::Windows)? {
                return Ok(Some(family));
            }
        }
        Ok(None)
    }
}

/// Whether a path is there.
fn has(files: &mut Files, path: &[&str], ignore_case: bool) -> Result<bool> {
    let mut node = files.root();
    let mut is_folder = true;
    for name in path {
        if !is_folder {
            return Ok(false);
        }
        let is_it = |found: &[u8]| match ignore_case {
            true => found.eq_ignore_ascii_case(name.as_bytes()),
            false => found == name.as_bytes(),
        };
        let Some((_, entry)) = files.folder(node)?.into_iter().find(|(found, _)| is_it(found)) else {
            return Ok(false);
        };
        (node, is_folder) = (entry.node, entry.kind == Kind::Folder);
    }
    Ok(true)
}

/// Names of a path, with wild cards.
type Pattern = Vec<Vec<u8>>;

/// Patterns of paths. The default excludes nothing.
#[derive(Clone, Debug, Default)]
pub struct Exclusions {
    paths: Vec<Pattern>,
    /// Of entries that are no folders.
    files: Vec<Pattern>,
    ignore_case: bool,
    /// The text that has tables for the registry.
    registry: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    files: Vec<String>,
}

impl Exclusions {
    /// What Shale excludes of this family.
    pub fn shipped(family: Family) -> Result<Self> {
        Self::default().with(family, SHIPPED)
    }

    /// Exactly these patterns of paths.
    pub(crate) fn of(family: Family, patterns: &[String]) -> Result<Self> {
        let mut own = Self { ignore_case: family == Family::Windows, ..Self::default() };
        for pattern in patterns {
            let failed = || Error::new(ErrorKind::Corrupt, bad(pattern));
            let pattern = own.pattern(pattern).ok_or_else(failed)?;
            own.paths.push(pattern);
        }
        Ok(own)
    }

    /// Exactly these patterns of paths, whatever the case of letters.
    pub(crate) fn ignoring_case(patterns: &[String]) -> Result<Self> {
        Self::of(Family::Windows, patterns)
    }

    /// These and those that a text in the form above lists for this family.
    pub fn with(mut self, family: Family, text: &str) -> Result<Self> {
        let failed =
            |why: String| Error::new(ErrorKind::Corrupt, format!("the exclusions are not understood: {why}"));
        let mut tables: toml::Table =
            toml::from_str(text).map_err(|e| failed(e.message().to_owned()).with_source(e))?;
        for which in [Which::System, Which::Software, Which::Components, Which::Drivers, Which::User] {
            crate::hive::Exclusions::default().with(which, text)?;
        }
        self.ignore_case = family == Family::Windows;
        let mut listed = Listed::default();
        for of in [Family::Linux, Family::Windows] {
            let Some(table) = tables.remove(of.table()) else { continue };
            let table: Listed =
                table.try_into().map_err(|e: toml::de::Error| failed(e.message().to_owned()))?;
            if of == family {
                listed = table;
            }
        }
        // What is left is of the registry.
        if !tables.is_empty() {
            if !self.registry.is_empty() {
                return Err(failed("tables for the registry can be given once".to_owned()));
            }
            text.clone_into(&mut self.registry);
        }
        for pattern in listed.paths {
            let pattern = self.pattern(&pattern).ok_or_else(|| failed(bad(&pattern)))?;
            self.paths.push(pattern);
        }
        for pattern in listed.files {
            let pattern = self.pattern(&pattern).ok_or_else(|| failed(bad(&pattern)))?;
            self.files.push(pattern);
        }
        if self.paths.len() + self.files.len() > COUNT {
            return Err(failed(format!("there are more than {COUNT}")));
        }
        Ok(self)
    }

    /// A text with tables for the registry, besides those that Shale has; or nothing.
    pub(crate) fn registry(&self) -> &str {
        &self.registry
    }

    fn pattern(&self, text: &str) -> Option<Pattern> {
        let mut names: Pattern = text.split('/').map(|name| self.folded(name.as_bytes())).collect();
        // At the end it stands for at least one name: a folder is not what is in it.
        if names.last().is_some_and(|last| last == b"**") {
            names.push(b"*".to_vec());
        }
        let is_bad = |name: &Vec<u8>| matches!(&name[..], b"" | b"." | b"..");
        (text.len() <= LENGTH && !names.iter().any(is_bad)).then_some(names)
    }

    /// Whether a path, without a slash in front, is left out.
    pub fn matches(&self, path: &[u8], is_folder: bool) -> bool {
        if path.is_empty() || (self.paths.is_empty() && self.files.is_empty()) {
            return false;
        }
        let path = self.folded(path);
        let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        // What is below an excluded folder is, too: each folder on the way counts.
        let is_below = (1..=names.len()).any(|count| self.paths.iter().any(|p| matches(p, &names[..count])));
        is_below || (!is_folder && self.files.iter().any(|pattern| matches(pattern, &names)))
    }

    fn folded(&self, text: &[u8]) -> Vec<u8> {
        match (self.ignore_case, std::str::from_utf8(text)) {
            (true, Ok(text)) => text.to_lowercase().into_bytes(),
            (true, Err(_)) => text.to_ascii_lowercase(),
            (false, _) => text.to_vec(),
        }
    }
}

fn bad(pattern: &str) -> String {
    format!("'{pattern}' is no path from the root without a slash in front, or too long")
}

/// Whether `names` are what `pattern` says; `**` stands for any number of names.
fn matches(pattern: &[Vec<u8>], names: &[&[u8]]) -> bool {
    wild(pattern.len(), names.len(), |at| pattern[at] == b"**", |p, n| name_matches(&pattern[p], names[n]))
}

fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    wild(
        pattern.len(),
        name.len(),
        |at| pattern[at] == b'*',
        |p, n| pattern[p] == b'?' || pattern[p] == name[n],
    )
}

/// Matching with wild cards, in time of the product of both lengths: on a mismatch only the last wild card is tried again.
pub(crate) fn wild(
    pattern: usize,
    text: usize,
    is_wild: impl Fn(usize) -> bool,
    is_same: impl Fn(usize, usize) -> bool,
) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last = None;
    while t < text {
        if p < pattern && is_wild(p) {
            last = Some((p, t));
            p += 1;
        } else if p < pattern && is_same(p, t) {
            p += 1;
            t += 1;
        } else if let Some((at, taken)) = last {
            last = Some((at, taken + 1));
            p = at + 1;
            t = taken + 1;
        } else {
            return false;
        }
    }
    (p..pattern).all(is_wild)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(family: Family, path: &str) -> bool {
        Exclusions::shipped(family).unwrap().matches(path.as_bytes(), false)
    }

    #[test]
    fn a_machines_identity_and_its_caches_are_no_part_of_a_linux_layer() {
        for path in [
            "etc/machine-id",
            "etc/ssh/ssh_host_ed25519_key.pub",
            "tmp/x/y",
            "var/log/journal/1/system.journal",
            "var/cache/apt/archives/hello.deb",
            "var/lib/dhcp/dhclient.leases",
            "swapfile",
            "var/lib/systemd/network/lease",
            "etc/resolv.conf",
            "etc/shadow-",
            "var/lib/dpkg/status-old",
            "usr/share/icons/hicolor/icon-theme.cache",
        ] {
            assert!(excluded(Family::Linux, path), "{path}");
        }
        for path in [
            "",
            "tmp",
            "var/log",
            "etc/shadow",
            "var/lib/dpkg/status",
            "etc/ld.so.cache",
            "var/lib/systemd/linger/a",
            "etc/ssh/sshd_config",
            "usr/bin/true",
            "home/a/tmp/x",
            "ETC/machine-id",
        ] {
            assert!(!excluded(Family::Linux, path), "{path}");
        }
    }

    #[test]
    fn a_folder_that_a_service_logs_into_stays() {
        let shipped = Exclusions::shipped(Family::Linux).unwrap();
        assert!(!shipped.matches(b"var/log/redis", true));
        assert!(shipped.matches(b"var/log/redis/redis.log", false));
        assert!(shipped.matches(b"tmp/folder", true));
    }

    #[test]
    fn page_files_and_logs_are_no_part_of_a_windows_layer_whatever_their_case() {
        for path in [
            "pagefile.sys",
            "HIBERFIL.SYS",
            "Windows/Temp/a.tmp",
            "Windows/SystemTemp/a.tmp",
            "ProgramData/ssh/ssh_host_ed25519_key",
            "ProgramData/Microsoft/Crypto/Keys/a_b",
            "ProgramData/Microsoft/Crypto/SystemKeys/a_b",
            "inetpub/logs/LogFiles/W3SVC1/u_ex.log",
            "Users/Ännchen/AppData/Local/Temp/x",
            "windows/system32/winevt/logs/System.evtx",
            "System Volume Information/tracking.log",
        ] {
            assert!(excluded(Family::Windows, path), "{path}");
        }
        for path in [
            "Windows/Temp",
            "ProgramData/ssh/sshd_config",
            "Windows/System32/kernel32.dll",
            "Users/a/AppData/Roaming/x",
        ] {
            assert!(!excluded(Family::Windows, path), "{path}");
        }
    }

    #[test]
    fn shales_own_tool_and_what_it_leaves_are_no_part_of_a_layer() {
        for path in [
            "usr/local/bin/shutdown-for-finalize",
            "usr/share/applications/shutdown-for-finalize.desktop",
            "var/lib/shutdown-for-finalize",
            "var/lib/shutdown-for-finalize/integrity.json",
        ] {
            assert!(excluded(Family::Linux, path), "{path}");
        }
        for path in [
            "Program Files/Shale/shutdown-for-finalize.exe",
            "ProgramData/Shale/integrity.json",
            "Users/Public/Desktop/Shutdown For Finalize.lnk",
            "ProgramData/Microsoft/Windows/Start Menu/Programs/Shale/Expedite NGen.lnk",
        ] {
            assert!(excluded(Family::Windows, path), "{path}");
        }
        assert!(!excluded(Family::Windows, "Program Files/Shaleworks/app.exe"));
    }

    #[test]
    fn patterns_mean_what_they_say() {
        let of = |pattern: &str| {
            let text = format!("[linux]\npaths = [\"{pattern}\"]");
            Exclusions::default().with(Family::Linux, &text).unwrap()
        };
        for (pattern, path, expected) in [
            ("a/*/c", "a/b/c", true),
            ("a/*/c", "a/b/c/d", true),
            ("a/*/c", "a/b/x/c", false),
            ("a/**/c", "a/c", true),
            ("a/**/c", "a/b/x/c", true),
            ("a/**", "a", false),
            ("a/**", "a/b/c", true),
            ("a/**/c/**", "a/c", false),
            ("a/**/c/**", "a/c/x", true),
            ("**/*.pyc", "usr/lib/x.pyc", true),
            ("**/*.pyc", "x.pyc", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
        ] {
            assert_eq!(of(pattern).matches(path.as_bytes(), false), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn tables_for_files_and_the_registry_are_one_text_and_one_that_is_not_understood_is_refused() {
        let registry = "[SOFTWARE]\nkeys = ['Vendor\\Cache']\n[windows]\npaths = ['Cache']";
        let both = Exclusions::shipped(Family::Windows).unwrap().with(Family::Windows, registry).unwrap();
        assert!(both.matches(b"cache", true) && both.registry().contains("Vendor"));
        for text in [
            "paths = 3",
            "[SOFTWARE]\nkeys = ['a\\\\b']",
            "[linux]\npaths = [\"/tmp\"]",
            "[linux]\npaths = [\"a//b\"]",
            "[beos]\npaths = []",
        ] {
            assert!(Exclusions::default().with(Family::Linux, text).is_err(), "{text}");
        }
    }
}
