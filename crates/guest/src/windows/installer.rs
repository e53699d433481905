//! Installations at work: Windows Installer, Windows Setup, servicing.

use super::Notes;
use super::calls::{self, registry::Key};
use crate::facts::WindowsFacts;
use crate::marks::{INSTALLER, SETUP};
use std::path::Path;

/// What Windows Installer holds while it changes the machine.
const MUTEX: &str = r"Global\_MSIExecute";

pub(super) fn gather(folder: &Path, facts: &mut WindowsFacts, notes: &mut Notes) {
    let processes = notes.take("processes", calls::processes());
    // Its service stays for ten minutes after an installation: that one does nothing. It is told by what starts services; a script
    // that makes a version is in the session of services, too.
    let starters: Vec<u32> =
        processes.iter().filter(|process| process.name == "services.exe").map(|process| process.id).collect();
    facts.installer_client =
        processes.iter().any(|process| process.name == "msiexec.exe" && !starters.contains(&process.parent));
    facts.processes = processes.into_iter().map(|process| process.name).collect();
    facts.installer_mutex = notes.take(MUTEX, calls::mutex_exists(MUTEX));
    facts.installer_key = notes.take(INSTALLER, Key::open(INSTALLER).map(|key| key.is_some()));
    // Moved to its place, and so gone, once the update has been installed.
    let staged = folder.ancestors().last().unwrap_or(folder).join(r"$WINDOWS.~BT\NewOS");
    if notes.take(&staged.to_string_lossy(), staged.try_exists()) {
        facts.feature_update.push(staged.to_string_lossy().into_owned());
    }
    if notes.number(SETUP, "SystemSetupInProgress") != 0 {
        facts.feature_update.push(format!(r"{SETUP}\SystemSetupInProgress"));
    }
}
