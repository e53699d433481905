//! Files that many layers change, put together instead of one layer's file winning whole.
//!
//! ```text
//!   origin ─┐                                     when a layer is made
//!           ├─ difference ──▶ kept in the delta instead of the file
//!   now ────┘                      │
//!   onto (the OS, lower layers) ───┴─ merge ──▶ file      when layers are put together
//! ```
//!
//! A difference says what a layer did to the file, and all that must be known of *origin*, which may be gone later.
//! [`rule`] is the table of which files have which rule. What has none is whole one layer's, the higher one's.

pub mod accounts;
pub mod alternatives;
pub mod dpkg;
pub mod ld_cache;
pub mod lists;
mod records;
pub mod registry;

use std::borrow::Cow;

use shale_disk::Result;

use crate::hive::Which;
use crate::known::Known;
use accounts::Renumbered;
use registry::Registry;

/// How files of one kind are put together.
pub trait Rule: Sync {
    /// What it is called in deltas.
    fn name(&self) -> &'static str;

    /// Longest file, in bytes, that is put together; longer ones are a layer's whole.
    fn limit(&self) -> u64 {
        64 << 20
    }

    /// Whether a file that is new in a layer is that layer's whole; otherwise it is one that was empty before.
    fn needs_origin(&self) -> bool {
        false
    }

    /// Whether the file can stay as it is below where it cannot be put together: a cache, which is made anew some time.
    fn may_stay(&self) -> bool {
        false
    }

    /// Whether a file that cannot be taken apart ends the making of a layer. Otherwise it is the layer's whole.
    fn is_never_whole(&self) -> bool {
        false
    }

    /// What the names of files that belong to it end in, besides its own name, which may have what it lacks.
    fn logs(&self) -> &'static [&'static str] {
        &[]
    }

    /// The file with what only its logs have; in the order of [`Rule::logs`], `None` where there is none.
    fn replay(&self, file: Vec<u8>, logs: &[Option<Vec<u8>>]) -> Result<Vec<u8>> {
        let _ = logs;
        Ok(file)
    }

    /// What was done to `origin` so that it became `now`; empty if nothing was that matters. Equal files give equal bytes.
    /// `without` are exclusions besides those that the rule has itself; `None`: nothing is left out.
    fn difference(&self, origin: &[u8], now: &[u8], without: Option<&str>) -> Result<Vec<u8>>;

    /// Does to `onto` what a difference says.
    fn merge(&self, onto: Cow<[u8]>, difference: &[u8], terms: &mut Terms) -> Result<Merged>;
}

/// What merges of one layer's files have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Ids of the layer that became others. Groups are merged before users, whose lines name them.
    pub renumbered: Renumbered,
    /// A record that the layer changed, and that is not there, stays away. Otherwise it is put there.
    pub only_known: bool,
}

/// What a merge makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The file.
    pub bytes: Vec<u8>,
    /// What of it both sides changed, to different things: names for people. The layer, being higher, wins.
    pub both: Vec<String>,
}

/// Paths and rules. A `*` at the end of a name is the rest of it.
const LINUX: &[(&str, &dyn Rule)] = &[
    ("etc/environment", &lists::Environment),
    ("etc/group", &accounts::Group),
    ("etc/gshadow", &accounts::GroupShadow),
    ("etc/ld.so.cache", &ld_cache::LdCache),
    ("etc/ld.so.conf", &lists::Lines),
    ("etc/modules", &lists::Lines),
    ("etc/passwd", &accounts::Passwd),
    ("etc/shadow", &accounts::Shadow),
    ("etc/shells", &lists::Lines),
    ("etc/subgid", &accounts::Ranges),
    ("etc/subuid", &accounts::Ranges),
    ("var/cache/debconf/config.dat", &dpkg::Questions),
    ("var/cache/debconf/passwords.dat", &dpkg::Questions),
    ("var/cache/debconf/templates.dat", &dpkg::Questions),
    ("var/lib/apt/extended_states", &dpkg::Packages),
    ("var/lib/dpkg/alternatives/*", &alternatives::Alternatives),
    ("var/lib/dpkg/arch", &lists::Lines),
    ("var/lib/dpkg/available", &dpkg::Packages),
    ("var/lib/dpkg/diversions", &dpkg::Diversions),
    ("var/lib/dpkg/statoverride", &dpkg::Overrides),
    ("var/lib/dpkg/status", &dpkg::Packages),
    ("var/lib/dpkg/triggers/*", &lists::Lines),
    ("var/lib/ucf/hashfile", &lists::LastField),
    ("var/lib/ucf/registry", &lists::LastField),
];

/// On Windows letters match whatever their case.
const WINDOWS: &[(&str, &dyn Rule)] = &[
    ("Users/*/AppData/Local/Microsoft/Windows/UsrClass.dat", &Registry(Which::User)),
    ("Users/*/NTUSER.DAT", &Registry(Which::User)),
    ("Windows/ServiceProfiles/*/NTUSER.DAT", &Registry(Which::User)),
    ("Windows/System32/config/COMPONENTS", &Registry(Which::Components)),
    ("Windows/System32/config/DEFAULT", &Registry(Which::User)),
    ("Windows/System32/config/DRIVERS", &Registry(Which::Drivers)),
    ("Windows/System32/config/SOFTWARE", &Registry(Which::Software)),
    ("Windows/System32/config/SYSTEM", &Registry(Which::System)),
];

/// What is made from other files, which layers bring, and by what. It is the higher layer's, and then lacks what others brought.
const MADE: &[(&str, &str)] = &[
    ("boot/grub/grub.cfg", "update-grub"),
    ("boot/initrd.img-*", "update-initramfs -u"),
    ("etc/ssl/certs/ca-certificates.crt", "update-ca-certificates"),
    ("lib/udev/hwdb.bin", "systemd-hwdb update"),
    ("usr/lib/udev/hwdb.bin", "systemd-hwdb update"),
    ("usr/lib/*/gdk-pixbuf-2.0/*/loaders.cache", "gdk-pixbuf-query-loaders --update-cache"),
    ("usr/lib/*/gio/modules/giomodule.cache", "gio-querymodules"),
    ("usr/lib/modules/*/modules.*", "depmod"),
    ("usr/share/applications/mimeinfo.cache", "update-desktop-database"),
    ("usr/share/glib-2.0/schemas/gschemas.compiled", "glib-compile-schemas /usr/share/glib-2.0/schemas"),
    ("usr/share/mime/mime.cache", "update-mime-database /usr/share/mime"),
];

/// Databases of rpm: none can be put together, and each knows only the packages of the layer that brings it.
const RPM: &[&str] = &["usr/lib/sysimage/rpm/*", "var/lib/rpm/*"];

/// The files that are put together on a file system of this kind.
fn table(kind: Known) -> &'static [(&'static str, &'static dyn Rule)] {
    match kind {
        Known::Ext => LINUX,
        Known::Ntfs => WINDOWS,
        _ => &[],
    }
}

/// How the file at `path` is put together; `None`: it is not.
pub fn rule(kind: Known, path: &[u8]) -> Option<&'static dyn Rule> {
    table(kind).iter().find(|(pattern, _)| fits(pattern, path, kind)).map(|(_, rule)| *rule)
}

/// The rule that a delta names.
pub fn named(kind: Known, name: &str) -> Option<&'static dyn Rule> {
    table(kind).iter().map(|(_, rule)| *rule).find(|rule| rule.name() == name)
}

/// What a person should do where two layers bring the file at `path`, as the end of a sentence.
pub(crate) fn advice(kind: Known, path: &[u8]) -> Option<String> {
    if kind != Known::Ext {
        return None;
    }
    if RPM.iter().any(|pattern| fits(pattern, path, kind)) {
        return Some(
            "it is rpm's list of packages, which cannot be put together: rpm will know the packages of one layer only"
                .to_owned(),
        );
    }
    let (_, command) = MADE.iter().find(|(pattern, _)| fits(pattern, path, kind))?;
    Some(format!("it is made from files that several layers bring: run '{command}' in the image"))
}

fn fits(pattern: &str, path: &[u8], kind: Known) -> bool {
    let same = |a: &[u8], b: &[u8]| if kind == Known::Ntfs { a.eq_ignore_ascii_case(b) } else { a == b };
    let fits_name = |pattern: &[u8], name: &[u8]| match pattern.strip_suffix(b"*") {
        Some(start) => !name.is_empty() && name.get(..start.len()).is_some_and(|name| same(start, name)),
        None => same(pattern, name),
    };
    let names = |path| <[u8]>::split(path, |byte| *byte == b'/');
    let (pattern, path) = (names(pattern.as_bytes()), names(path));
    pattern.clone().count() == path.clone().count()
        && pattern.zip(path).all(|(pattern, name)| fits_name(pattern, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_found_by_path_and_by_name() {
        let name = |path: &str| rule(Known::Ext, path.as_bytes()).map(Rule::name);
        assert_eq!(name("etc/passwd"), Some("passwd"));
        assert_eq!(name("var/lib/dpkg/alternatives/editor"), Some("alternatives"));
        assert_eq!(name("var/lib/dpkg/alternatives/a/b"), None);
        assert_eq!(name("var/lib/dpkg/alternatives/"), None);
        assert_eq!(name("etc/passwd-"), None);
        let hive = |path: &str| rule(Known::Ntfs, path.as_bytes()).map(Rule::name);
        assert_eq!(hive("WINDOWS/system32/Config/software"), Some("registry-software"));
        assert_eq!(hive("users/Ann/ntuser.dat"), Some("registry-user"));
        assert_eq!(hive("Windows/ServiceProfiles/LocalService/NTUSER.DAT"), Some("registry-user"));
        assert_eq!((hive("Windows/System32/config/SAM"), name("Users/Ann/NTUSER.DAT")), (None, None));
        for (kind, table) in [(Known::Ext, LINUX), (Known::Ntfs, WINDOWS)] {
            for (_, rule) in table {
                assert_eq!(named(kind, rule.name()).map(Rule::name), Some(rule.name()));
            }
        }
    }

    #[test]
    fn where_something_must_be_made_anew_the_command_is_told() {
        let of = |path: &str| advice(Known::Ext, path.as_bytes()).unwrap_or_default();
        assert!(of("usr/share/glib-2.0/schemas/gschemas.compiled").contains("glib-compile-schemas"));
        assert!(of("var/lib/rpm/rpmdb.sqlite").contains("rpm"));
        assert!(of("boot/initrd.img-6.1.0-35-amd64").contains("update-initramfs"));
        assert!(of("usr/lib/modules/6.1.0-35-amd64/modules.dep").contains("depmod"));
        assert_eq!((of("usr/bin/true"), of("boot/vmlinuz")), (String::new(), String::new()));
    }
}
