//! What must not be in a layer, or makes it unreadable: encryption, a management client's identity, a member of a domain, a full disk.

use super::{Notes, calls};
use crate::facts::{Volume, WindowsFacts};
use crate::marks::{BITLOCKER, DISABLED, SMS_CLIENT};
use std::path::Path;

pub(super) fn gather(folder: &Path, facts: &mut WindowsFacts, notes: &mut Notes) {
    facts.bitlocker = notes.number(BITLOCKER, "BootStatus") != 0;
    let configuration = folder.join("SMSCFG.INI");
    let name = configuration.to_string_lossy().into_owned();
    facts.sms_configuration = notes.take(&name, configuration.try_exists()).then_some(name);
    facts.sms_client = notes.has(SMS_CLIENT) && notes.number(SMS_CLIENT, "Start") != DISABLED;
    // Where it cannot be asked, finalize reads it from the disk.
    facts.domain = calls::domain::membership().ok().flatten();
    facts.may_be_platform_layer = true;
    let drive = folder.ancestors().last().unwrap_or(folder).to_string_lossy().into_owned();
    if let Some((size, free)) = notes.take(&drive, calls::space(&drive).map(Some)) {
        facts.volumes.push(Volume { name: drive, size, free });
    }
}
