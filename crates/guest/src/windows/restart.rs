//! Who says that the machine wants a restart, and what is to run at the next logon.

use super::Notes;
use super::calls::devices::{self, DISKS, State};
use super::calls::registry::Key;
use crate::facts::{RunOnce, WindowsFacts};
use std::path::Path;

/// Keys that are there only until the next restart.
const KEYS: &[&str] = &[
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending",
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootInProgress",
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\PackagesPending",
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired",
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\PostRebootReporting",
    r"SOFTWARE\Microsoft\ServerManager\CurrentRebootAttempts",
];
/// Values that are there only until the next restart: those of a machine that joins or leaves a domain.
const VALUES: &[(&str, &str)] = &[
    (r"SYSTEM\CurrentControlSet\Services\Netlogon", "JoinDomain"),
    (r"SYSTEM\CurrentControlSet\Services\Netlogon", "AvoidSpnSet"),
];
const SESSION: &str = r"SYSTEM\CurrentControlSet\Control\Session Manager";
const RENAMES: &[&str] = &["PendingFileRenameOperations", "PendingFileRenameOperations2"];
const NAMES: &str = r"SYSTEM\CurrentControlSet\Control\ComputerName";
const RUN_ONCE: &[&str] = &[
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\RunOnce",
    r"SOFTWARE\Wow6432Node\Microsoft\Windows\CurrentVersion\RunOnce",
];

pub(super) fn gather(folder: &Path, facts: &mut WindowsFacts, notes: &mut Notes) {
    facts.reboot_marks = KEYS.iter().filter(|key| notes.has(key)).map(|key| (*key).to_owned()).collect();
    for (key, name) in VALUES {
        let has = Key::open(key).and_then(|key| key.map_or(Ok(false), |key| key.has(name)));
        if notes.take(&format!(r"{key}\{name}"), has) {
            facts.reboot_marks.push(format!(r"{key}\{name}"));
        }
    }
    let servicing = folder.join(r"WinSxS\pending.xml");
    if notes.take(&servicing.to_string_lossy(), servicing.try_exists()) {
        facts.reboot_marks.push(servicing.to_string_lossy().into_owned());
    }
    for name in RENAMES {
        let texts = Key::open(SESSION).and_then(|key| key.map_or(Ok(Vec::new()), |key| key.texts(name)));
        facts.renames.extend(pairs(&notes.take(name, texts)));
    }
    facts.update_exe_volatile = notes.number(r"SOFTWARE\Microsoft\Updates", "UpdateExeVolatile");
    let mut name = |key: &str| notes.text(&format!(r"{NAMES}\{key}"), "ComputerName");
    facts.names = name("ActiveComputerName").zip(name("ComputerName"));
    for key in RUN_ONCE {
        let values = Key::open(key).and_then(|key| key.map_or(Ok(Vec::new()), |key| key.values()));
        let values = notes.take(key, values).into_iter().filter(|(name, _)| !name.is_empty());
        facts.run_once.extend(values.map(|(name, command)| RunOnce {
            key: (*key).to_owned(),
            name,
            command,
        }));
    }
    for class in DISKS {
        let devices = notes.take("devices of disks", devices::list(class)).into_iter();
        let restarting = devices.filter(|device| device.state == State::WantsRestart);
        facts.restarting_devices.extend(restarting.map(|device| device.name));
    }
}

/// What the session manager renames when it starts: texts in pairs, the second empty where the file is deleted.
fn pairs(texts: &[String]) -> Vec<(String, String)> {
    let pairs = texts.chunks(2).map(|pair| (pair[0].clone(), pair.get(1).cloned().unwrap_or_default()));
    pairs.filter(|(from, _)| !from.is_empty()).collect()
}
