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

/// Removes them; tells the names of those that are gone, and says which stay.
pub(super) fn remove_ghosts(say: &mut dyn FnMut(&str)) -> Vec<String> {
    let mut removed = Vec::new();
    // What cannot be listed is told by the checks.
    for ghost in ghosts().unwrap_or_default() {
        match devices::remove(&NETWORK, &ghost.id) {
            Ok(()) => removed.push(ghost.name),
            Err(error) => {
                say(&format!("The unused network adapter {} could not be removed: {error}", ghost.name));
            }
        }
    }
    removed
}

fn ghosts() -> io::Result<Vec<Device>> {
    let mut ghosts = devices::list(&NETWORK)?;
    ghosts.retain(|device| {
        let id = device.id.to_ascii_uppercase();
        device.state == State::Absent && !SOFTWARE.iter().any(|beginning| id.starts_with(beginning))
    });
    Ok(ghosts)
}
