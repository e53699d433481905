//! A Windows system on a disk.
//!
//! ```text
//!   Windows\System32\config\SYSTEM, SOFTWARE     the keys and values that Shutdown For Finalize asks for (`shale_guest::marks`)
//!                          \SECURITY             Policy\PolPrDmN: the domain it is a member of
//!   ProgramData\Shale\integrity.json             what that told
//! ```

use super::Finding;
use super::linux::told;
use super::room::Held;
use super::rules::{self, Change, Told};
use super::system::System;
use jiff::Timestamp;
use shale_disk::Result;
use shale_guest::decide::decide;
use shale_guest::facts::{Facts, RunOnce, Volume, WindowsFacts};
use shale_guest::linux::Look;
use shale_guest::marks;
use shale_volume::hive::{Hive, Value};
use std::collections::BTreeMap;

const REPORT: &str = "/ProgramData/Shale/integrity.json";
/// What changes with every change of the system's software: packages of Windows, what Windows Installer installed.
const CHANGING: &[&str] = &["/Windows/servicing/Packages", "/Windows/Installer"];
/// Where the hives of the machine lie.
const HIVES: &str = "/Windows/System32/config";
/// Most that a hive or a log of one has, in bytes: that of a large server has a fourth of it.
const HIVE: u64 = 256 << 20;
/// Keys of SOFTWARE below which every installed program has one, that is written when it is installed or updated.
const PROGRAMS: [&str; 2] = [
    r"Microsoft\Windows\CurrentVersion\Uninstall",
    r"Wow6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
];
/// Values of a key, and programs, that are looked at, at most; and bytes of a value with texts.
const VALUES: usize = 1000;
const PROGRAMS_SEEN: usize = 10_000;
const TEXTS: usize = 1 << 20;
/// Units of 100 ns in a second, and seconds from 1601, from which the registry counts, to 1970.
const UNITS: u64 = 10_000_000;
const SINCE_1601: i64 = 11_644_473_600;
/// The name that the machine has, and the one that it has after a restart, are values of this key.
const HOST: &str = r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";
/// Its default value is the name of the domain: a length in bytes, its limit, an offset, then the text.
const DOMAIN: &str = r"SECURITY\Policy\PolPrDmN";
/// Its default value is the domain's identity; that of no domain is empty.
const DOMAIN_ID: &str = r"SECURITY\Policy\PolPrDmS";

/// Where Sysprep keeps how far it came. Nothing of Microsoft's says what the numbers mean.
const SYSPREP: &str = r"SYSTEM\Setup\Status\SysprepStatus";

/// What is outstanding in `now`, which began as `old`. `space` is the size of its volume and what is free of it, in bytes.
pub fn examine(now: &System, old: Option<&System>, space: Option<(u64, u64)>) -> Vec<Finding> {
    let told = told(now, old, REPORT);
    // They are in the memory before the machine's hives are.
    let before = old.filter(|_| matches!(told, Told::Report(_))).and_then(programs_before);
    let registry = Registry::open(now);
    let installed = before.and_then(|before| registry.newest_program(&before));
    let change = now.newest_change(CHANGING, old).into_iter().chain(installed).max_by_key(|change| change.at);
    let mut facts = facts(now, &registry);
    facts.volumes =
        space.map(|(size, free)| Volume { name: r"C:\".to_owned(), size, free }).into_iter().collect();
    facts.unasked = now.unasked();
    let mut findings = decide(&Facts::Windows(facts));
    findings.extend(rules::report(&told, change.as_ref(), &findings));
    findings
}

/// The installed programs that the version has which the machine began as, and when each was noted; none where that cannot be read.
fn programs_before(old: &System) -> Option<BTreeMap<String, u64>> {
    let (hive, _held) = old.hive(&format!("{HIVES}/SOFTWARE"), HIVE)?.ok()?;
    programs(&hive).ok()
}

/// Keys of installed programs, and the keys that these are in, which are written when one is removed: with when that was.
fn programs(hive: &Hive) -> Result<BTreeMap<String, u64>> {
    let mut written = BTreeMap::new();
    for path in PROGRAMS {
        let Some(all) = hive.find(path)? else { continue };
        written.insert(path.to_owned(), hive.written(all)?);
        for key in hive.subkeys(all)?.into_iter().take(PROGRAMS_SEEN) {
            let name = String::from_utf16_lossy(hive.name(key)?.units());
            written.insert(format!(r"{path}\{name}"), hive.written(key)?);
        }
    }
    Ok(written)
}

/// The hives of the machine that are read, and the room they take.
struct Registry<'a> {
    system: &'a System,
    hives: Vec<(&'static str, Hive<'static>, Held)>,
}

impl<'a> Registry<'a> {
    fn open(system: &'a System) -> Self {
        let mut hives = Vec::new();
        for name in ["SYSTEM", "SOFTWARE", "SECURITY"] {
            let path = format!("{HIVES}/{name}");
            match system.hive(&path, HIVE) {
                Some(Ok((hive, held))) => hives.push((name, hive, held)),
                Some(Err(e)) => system.note(&path, &e),
                // Windows does not start without the first two.
                None if name != "SECURITY" => system.note_text(&path, "it is not there, or cannot be read"),
                None => {}
            }
        }
        Self { system, hives }
    }

    /// The hive that a key below `HKEY_LOCAL_MACHINE` is in, and its path there.
    fn find<'k>(&self, key: &'k str) -> Option<(&Hive<'_>, &'k str)> {
        let (name, path) = key.split_once('\\')?;
        self.hives.iter().find(|(known, ..)| *known == name).map(|(_, hive, _)| (hive, path))
    }

    /// The program that was installed, updated or removed last, of those that were not so `before`.
    fn newest_program(&self, before: &BTreeMap<String, u64>) -> Option<Change> {
        let (hive, _) = self.find(r"SOFTWARE\")?;
        let programs = self.noted(r"SOFTWARE\Uninstall", programs(hive));
        let mut changed: Vec<_> =
            programs.into_iter().filter(|(path, written)| before.get(path) != Some(written)).collect();
        changed.sort_by_key(|(path, written)| (*written, path.len()));
        let (path, written) = changed.pop()?;
        let seconds = i64::try_from(written / UNITS).ok()? - SINCE_1601;
        let at = Timestamp::new(seconds, i32::try_from(written % UNITS * 100).ok()?).ok()?;
        Some(Change { path: format!(r"SOFTWARE\{path}"), at })
    }

    /// The value; nothing, and a note, where it cannot be read.
    fn noted<T: Default>(&self, what: &str, got: Result<T>) -> T {
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
        if value.data.len() > TEXTS {
            self.system.note_text(&format!(r"{key}\{name}"), "it is larger than 1 MiB");
            return Vec::new();
        }
        wide(&value.data).split(|unit| *unit == 0).map(String::from_utf16_lossy).collect()
    }

    fn values(&self, key: &str) -> Vec<Value> {
        let Some((hive, path)) = self.find(key) else { return Vec::new() };
        let values = hive.find(path).and_then(|found| match found {
            Some(found) if hive.value_count(found)? > VALUES => {
                self.system.note_text(key, "it has more values than are looked at");
                Ok(Vec::new())
            }
            Some(found) => hive.values(found),
            None => Ok(Vec::new()),
        });
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
    // One that Sysprep has generalized is in Setup until it is started.
    let in_setup = registry.number(marks::SETUP, "SystemSetupInProgress") != 0
        && !image_state(registry).is_some_and(|state| state.starts_with(marks::GENERALIZED));
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

fn image_state(registry: &Registry) -> Option<String> {
    registry.text(marks::IMAGE_STATE, "ImageState")
}

/// What a Windows that is off says of Sysprep, and what Sysprep minds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// How far Windows Setup, or Sysprep, brought it: `IMAGE_STATE_COMPLETE`, …
    pub image_state: Option<String>,
    /// Its number: 20348 for Server 2022.
    pub build: Option<u32>,
    /// The domain that it is a member of.
    pub domain: Option<String>,
    /// `GeneralizationState` and `CleanupState`: how far Sysprep came.
    pub sysprep: (Option<u64>, Option<u64>),
}

impl Setup {
    /// What the hives of `now` say. What of them cannot be read is noted there.
    pub fn read(now: &System) -> Self {
        let registry = Registry::open(now);
        let state = |name| registry.value(SYSPREP, name).and_then(|value| value.as_number());
        Self {
            image_state: image_state(&registry),
            build: registry.text(marks::VERSION, "CurrentBuild").and_then(|build| build.trim().parse().ok()),
            domain: domain(&registry),
            sysprep: (state("GeneralizationState"), state("CleanupState")),
        }
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
