//! A Windows system on a disk.
//!
//! ```text
//!   Windows\System32\config\SYSTEM, SOFTWARE     the keys and values that Shutdown For Finalize asks for (`shale_guest::marks`)
//!                          \SECURITY             Policy\PolPrDmN: the domain it is a member of
//!   ProgramData\Shale\integrity.json             what that told
//! ```

use super::Finding;
use super::linux::told;
use super::rules;
use super::system::System;
use shale_guest::decide::decide;
use shale_guest::facts::{Facts, RunOnce, Volume, WindowsFacts};
use shale_guest::linux::Look;
use shale_guest::marks;
use shale_volume::hive::{Hive, Value};

const REPORT: &str = "/ProgramData/Shale/integrity.json";
/// What changes with every change of the system's software: packages of Windows, what Windows Installer installed.
const CHANGING: &[&str] = &["/Windows/servicing/Packages", "/Windows/Installer"];
/// The name that the machine has, and the one that it has after a restart, are values of this key.
const HOST: &str = r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";
/// Its default value is the name of the domain: a length in bytes, its limit, an offset, then the text.
const DOMAIN: &str = r"SECURITY\Policy\PolPrDmN";
/// Its default value is the domain's identity; that of no domain is empty.
const DOMAIN_ID: &str = r"SECURITY\Policy\PolPrDmS";

/// What is outstanding in `now`, which began as `old`. `space` is the size of its volume and what is free of it, in bytes.
pub fn examine(now: &System, old: Option<&System>, space: Option<(u64, u64)>) -> Vec<Finding> {
    let told = told(now.bytes(REPORT), old.and_then(|old| old.bytes(REPORT)));
    let change = now.newest_change(CHANGING);
    let mut facts = facts(now, &Registry::open(now));
    facts.volumes =
        space.map(|(size, free)| Volume { name: r"C:\".to_owned(), size, free }).into_iter().collect();
    facts.unasked = now.unasked();
    let mut findings = decide(&Facts::Windows(facts));
    findings.extend(rules::report(&told, change.as_ref(), &findings));
    findings
}

/// The hives of the machine that are read.
struct Registry<'a> {
    system: &'a System,
    hives: Vec<(&'static str, Hive)>,
}

impl<'a> Registry<'a> {
    fn open(system: &'a System) -> Self {
        let mut hives = Vec::new();
        for name in ["SYSTEM", "SOFTWARE", "SECURITY"] {
            let path = format!("/Windows/System32/config/{name}");
            // Windows does not start without the first two.
            let Some(bytes) = system.bytes(&path) else {
                if name != "SECURITY" {
                    system.note_text(&path, "it is not there");
                }
                continue;
            };
            // What Windows did last may only be in the logs.
            let [first, second] = ["LOG1", "LOG2"].map(|log| system.bytes(&format!("{path}.{log}")));
            match Hive::replay(bytes, first.as_deref(), second.as_deref()) {
                Ok(hive) => hives.push((name, hive)),
                Err(e) => system.note(&path, &e),
            }
        }
        Self { system, hives }
    }

    /// The hive that a key below `HKEY_LOCAL_MACHINE` is in, and its path there.
    fn find<'k>(&self, key: &'k str) -> Option<(&Hive, &'k str)> {
        let (name, path) = key.split_once('\\')?;
        self.hives.iter().find(|(known, _)| *known == name).map(|(_, hive)| (hive, path))
    }

    /// The value; nothing, and a note, where it cannot be read.
    fn noted<T: Default>(&self, what: &str, got: shale_disk::Result<T>) -> T {
        got.unwrap_or_else(|e| {
            self.system.note(what, &e);
            T::default()
        })
    }

    fn has(&self, key: &str) -> bool {
        self.find(key).is_some_and(|(hive, path)| self.noted(key, hive.exists(path)))
    }

    fn value(&self, key: &str, name: &str) -> Option<Value> {
        self.find(key).and_then(|(hive, path)| self.noted(key, hive.value(path, name)))
    }

    fn number(&self, key: &str, name: &str) -> u32 {
        let number = self.value(key, name).and_then(|value| value.as_number());
        number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
    }

    fn text(&self, key: &str, name: &str) -> Option<String> {
        self.value(key, name)?.as_text()
    }

    /// Texts, also those between that are empty.
    fn texts(&self, key: &str, name: &str) -> Vec<String> {
        let Some(value) = self.value(key, name) else { return Vec::new() };
        wide(&value.data).split(|unit| *unit == 0).map(String::from_utf16_lossy).collect()
    }

    fn values(&self, key: &str) -> Vec<Value> {
        let Some((hive, path)) = self.find(key) else { return Vec::new() };
        let values = hive.find(path).and_then(|key| key.map_or(Ok(Vec::new()), |key| hive.values(key)));
        self.noted(key, values)
    }
}

/// Units of UTF-16; a last half of one is dropped.
fn wide(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn facts(now: &System, registry: &Registry) -> WindowsFacts {
    let keys = marks::KEYS.iter().filter(|key| registry.has(key)).map(|key| (*key).to_owned());
    let values = marks::VALUES.iter().filter(|(key, name)| registry.value(key, name).is_some());
    let values = values.map(|(key, name)| format!(r"{key}\{name}"));
    let pending = ["/Windows/WinSxS/pending.xml"].into_iter().filter(|path| now.has(path)).map(str::to_owned);
    let renames = marks::RENAMES.iter().flat_map(|name| marks::pairs(&registry.texts(marks::SESSION, name)));
    let flags = marks::NGEN_SERVICES.iter().flat_map(|service| {
        marks::NGEN_FLAGS.iter().map(move |(key, name)| (format!(r"{service}\{key}"), *name))
    });
    let flags = flags.filter(|(key, name)| registry.number(key, name) != 0);
    let staged = now.has("/$WINDOWS.~BT/NewOS").then(|| r"\$WINDOWS.~BT\NewOS".to_owned());
    let in_setup = registry.number(marks::SETUP, "SystemSetupInProgress") != 0;
    let in_setup = in_setup.then(|| format!(r"{}\SystemSetupInProgress", marks::SETUP));
    WindowsFacts {
        reboot_marks: keys.chain(values).chain(pending).collect(),
        renames: renames.collect(),
        update_exe_volatile: registry.number(marks::UPDATES, "UpdateExeVolatile"),
        names: registry.text(HOST, "Hostname").zip(registry.text(HOST, "NV Hostname")),
        installer_key: registry.has(marks::INSTALLER),
        ngen_flags: flags.map(|(key, name)| format!(r"{key}\{name}")).collect(),
        run_once: marks::RUN_ONCE.iter().flat_map(|key| run_once(registry, key)).collect(),
        feature_update: staged.into_iter().chain(in_setup).collect(),
        sms_configuration: now.has("/Windows/SMSCFG.INI").then(|| r"\Windows\SMSCFG.INI".to_owned()),
        sms_client: registry.has(marks::SMS_CLIENT)
            && registry.number(marks::SMS_CLIENT, "Start") != marks::DISABLED,
        bitlocker: registry.number(marks::BITLOCKER, "BootStatus") != 0,
        domain: domain(registry),
        ..WindowsFacts::default()
    }
}

fn run_once(registry: &Registry, key: &str) -> Vec<RunOnce> {
    let entry = |value: Value| RunOnce {
        key: key.to_owned(),
        name: String::from_utf16_lossy(value.name.units()),
        command: value.as_text().unwrap_or_default(),
    };
    registry.values(key).into_iter().filter(|value| !value.name.units().is_empty()).map(entry).collect()
}

/// The domain that the machine is a member of.
fn domain(registry: &Registry) -> Option<String> {
    registry.value(DOMAIN_ID, "").filter(|value| !value.data.is_empty())?;
    let name = registry.value(DOMAIN, "").map(|value| value.data).unwrap_or_default();
    let length = name.get(..2).map_or(0, |length| usize::from(u16::from_le_bytes([length[0], length[1]])));
    let text = name.get(8..8 + length).map(|text| String::from_utf16_lossy(&wide(text)));
    Some(text.filter(|text| !text.is_empty()).unwrap_or_else(|| "a domain".to_owned()))
}
