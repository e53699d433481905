//! A service of Windows in the registry of a disk: put there, so that Windows starts a program of ours, and taken out again.
//!
//! ```text
//!   Windows\System32\config\SYSTEM (+ what only its logs have)
//!     Select            which control sets Windows starts with
//!     ControlSet00n
//!       Services
//!         NAME          put: into those sets      take_out: from every set, also from copies that Windows made meanwhile
//! ```
//!
//! What else the hive has stays as it is. What the values of a service mean:
//! <https://learn.microsoft.com/windows-hardware/drivers/install/hklm-system-currentcontrolset-services-registry-tree>

use std::sync::Arc;

use shale_disk::{Disk, Error, ErrorKind, Result};

use crate::changes::Changes;
use crate::exclude::Family;
use crate::files::Program;
use crate::hive::{Hive, Key, Name, Value, kind};
use crate::os::os_volume;
use crate::placed::System;

const HIVE: &str = "Windows/System32/config/SYSTEM";
const LOGS: [&str; 2] = [".LOG1", ".LOG2"];
/// Largest hive, and log of one, in bytes: each is in memory.
const LIMIT: u64 = 256 << 20;
/// From 1601, where Windows counts from, to 1970, in seconds; and its ticks in one.
const TO_1970: u64 = 11_644_473_600;
const TICKS: u64 = 10_000_000;

/// A program that Windows starts by itself, as LocalSystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name of its key.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// Its command line; names of variables in it are replaced.
    pub command: &'static str,
}

/// Puts a service into the Windows that `changes` shows, in place of one of that name. `now` is the time, in seconds since 1970, that
/// its key has. After an error `changes` is to be thrown away.
pub fn put(program: &Program, changes: &Arc<Changes>, service: &Service, now: i64) -> Result<()> {
    let written = u64::try_from(now).unwrap_or(0).saturating_add(TO_1970).saturating_mul(TICKS);
    let work = |hive: &mut Hive| {
        for set in starting(hive)? {
            put_into(hive, set, service, written)?;
        }
        Ok(true)
    };
    let cannot = format!("the service '{}' cannot be put into the registry of Windows", service.name);
    changed(program, changes, &cannot, work).map(drop)
}

/// Takes the service of this name out of the operating system that `changes` shows. `false`: there is none, also because it is no
/// Windows. After an error `changes` is to be thrown away.
pub fn take_out(program: &Program, changes: &Arc<Changes>, name: &str) -> Result<bool> {
    let cannot = format!("the service '{name}' cannot be taken out of the registry of Windows");
    changed(program, changes, &cannot, |hive| take_from(hive, name))
}

/// Changes the hive of a disk; `work` says whether it did. Of another family nothing is read.
fn changed(
    program: &Program,
    changes: &Arc<Changes>,
    cannot: &str,
    work: impl FnOnce(&mut Hive) -> Result<bool>,
) -> Result<bool> {
    let disk: Arc<dyn Disk> = Arc::new(changes.disk());
    if os_volume(program, &disk)?.family != Family::Windows {
        return Ok(false);
    }
    let because = |e: Error| Error::new(e.kind(), cannot).with_source(e);
    let mut system = System::open_to_write(program, changes)?;
    let none = || Error::new(ErrorKind::Unsupported, format!("there is no {HIVE} of at most {LIMIT} bytes"));
    let bytes = system.whole(HIVE, LIMIT)?.ok_or_else(|| because(none()))?;
    let mut logs = Vec::new();
    for log in LOGS {
        logs.push(system.whole(&format!("{HIVE}{log}"), LIMIT)?);
    }
    let mut hive = Hive::replay(bytes, logs[0].as_deref(), logs[1].as_deref()).map_err(because)?;
    let is_changed = work(&mut hive).map_err(because)?;
    if is_changed {
        system.rewrite(HIVE, &hive.into_bytes().map_err(because)?)?;
    }
    system.close()?;
    Ok(is_changed)
}

/// The control sets that Windows starts with: the one that it ran on, and the one that it takes next.
fn starting(hive: &Hive) -> Result<Vec<Key>> {
    let mut sets = Vec::new();
    for value in ["Current", "Default"] {
        let number = hive.value("Select", value)?.and_then(|value| value.as_number());
        // Without a word about it there is only one.
        let name = format!("ControlSet{:03}", number.unwrap_or(1));
        let set = hive.subkey(hive.root()?, &name.as_str().into())?;
        sets.extend(set.filter(|set| !sets.contains(set)));
    }
    match sets.is_empty() {
        true => {
            Err(Error::new(ErrorKind::Corrupt, "SYSTEM has no control set that Windows could start with"))
        }
        false => Ok(sets),
    }
}

fn put_into(hive: &mut Hive, set: Key, service: &Service, written: u64) -> Result<()> {
    let services = hive.subkey(set, &"Services".into())?;
    let services = services
        .ok_or_else(|| Error::new(ErrorKind::Corrupt, "a control set of SYSTEM has no key 'Services'"))?;
    let name = Name::from(service.name);
    if let Some(old) = hive.subkey(services, &name)? {
        hive.remove_key(old)?;
    }
    let security = hive.security(services)?.to_vec();
    let key = hive.add_key(services, &name, &security, written)?;
    let command = Value { kind: kind::EXPANDED_TEXT, ..Value::text("ImagePath", service.command) };
    let values = [
        // A process of its own, started with Windows; what becomes of it keeps Windows from nothing.
        Value::number("Type", 0x10),
        Value::number("Start", 2),
        Value::number("ErrorControl", 0),
        command,
        Value::text("DisplayName", service.title),
        Value::text("ObjectName", "LocalSystem"),
    ];
    values.iter().try_for_each(|value| hive.set_value(key, value))
}

/// Whether it was in any control set.
fn take_from(hive: &mut Hive, name: &str) -> Result<bool> {
    let mut was_there = false;
    for set in hive.subkeys(hive.root()?)? {
        let set_name = hive.name(set)?;
        if !set_name.to_string().to_ascii_lowercase().starts_with("controlset") {
            continue;
        }
        let Some(services) = hive.subkey(set, &"Services".into())? else { continue };
        if let Some(key) = hive.subkey(services, &name.into())? {
            hive.remove_key(key)?;
            was_there = true;
        }
    }
    Ok(was_there)
}
