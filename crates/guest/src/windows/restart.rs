//! Who says that the machine wants a restart, and what is to run at the next logon.

use super::Notes;
use super::calls::devices::{self, DISKS, State};
use super::calls::registry::Key;
use crate::facts::{RunOnce, WindowsFacts};
use crate::marks::{KEYS, NAMES, RENAMES, RUN_ONCE, SESSION, UPDATES, VALUES, pairs};
use std::path::Path;

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
    facts.update_exe_volatile = notes.number(UPDATES, "UpdateExeVolatile");
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
