//! Network adapters that are registered and not there: left by the hypervisor that ran the machine before. Each keeps
//! its settings, and its name from the next one.

use super::Notes;
use super::calls::devices::{self, Device, NETWORK, State};
use crate::facts::WindowsFacts;
use std::io;

/// Adapters that Windows itself makes and unmakes, by the beginnings of their identifiers: none of our business.
const SOFTWARE: &[&str] = &["ROOT\\", "SWD\\", "BTH\\"];

pub(super) fn gather(facts: &mut WindowsFacts, notes: &mut Notes) {
    facts.ghost_adapters =
        notes.take("network adapters", ghosts()).into_iter().map(|ghost| ghost.name).collect();
}

/// Removes them; tells their names.
pub(super) fn remove_ghosts() -> io::Result<Vec<String>> {
    let mut removed = Vec::new();
    for ghost in ghosts()? {
        devices::remove(&NETWORK, &ghost.id)?;
        removed.push(ghost.name);
    }
    Ok(removed)
}

fn ghosts() -> io::Result<Vec<Device>> {
    let mut ghosts = devices::list(&NETWORK)?;
    ghosts.retain(|device| {
        let id = device.id.to_ascii_uppercase();
        device.state == State::Absent && !SOFTWARE.iter().any(|beginning| id.starts_with(beginning))
    });
    Ok(ghosts)
}
