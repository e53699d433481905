//! What each message does that is more than reading and writing fields, a file for each class or task.

pub mod control_domain;
pub mod event;
pub mod host;
pub mod network;
pub mod pool;
pub mod power;
pub mod session;
pub mod sr;
pub mod task;
mod vbd;
pub mod vdi;
mod vdi_changes;
mod vif;
mod vm;
mod vm_copy;

pub(crate) use vif::add as add_interface;
pub(crate) use vm::add as add_machine;

use crate::database::Database;
use crate::failure::Reply;
use crate::pool::Pool;
use crate::rpc::Handler;

/// Every message that is carried out by hand.
const CALLS: &[&[(&str, Handler)]] = &[
    session::CALLS,
    task::CALLS,
    event::CALLS,
    pool::CALLS,
    host::CALLS,
    network::CALLS,
    sr::CALLS,
    vdi::CALLS,
    vdi_changes::CALLS,
    vbd::CALLS,
    vif::CALLS,
    vm::CALLS,
    vm_copy::CALLS,
    power::CALLS,
];

/// The numbers below `count` that no VBD or VIF of a VM has taken: `class` is the device's class, and the field in which
/// its number stands.
fn free_devices(db: &Database, vm: &str, class: (&str, &str), count: usize) -> Reply<Vec<String>> {
    let (class, number) = class;
    let devices = db.field("VM", vm, &format!("{class}s"))?.items();
    let used: Vec<_> =
        devices.iter().filter_map(|device| db.text(class, device.text(), number).ok()).collect();
    Ok((0..count).map(|device| device.to_string()).filter(|device| !used.contains(device)).collect())
}

/// Makes the database true again after a restart.
pub fn settle(pool: &Pool) {
    power::settle(pool);
    task::settle(pool);
}

/// What carries out a method, if one does by hand.
pub fn handler(method: &str) -> Option<Handler> {
    CALLS.iter().copied().flatten().find(|(name, _)| *name == method).map(|(_, handler)| *handler)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Facts;
    use std::collections::BTreeSet;

    #[test]
    fn everything_served_is_in_the_published_data_model_and_served_once() {
        let mut seen = BTreeSet::new();
        for (name, _) in CALLS.iter().copied().flatten() {
            assert!(Facts::get().message(name).is_some(), "{name} is no message of the XenAPI");
            assert!(seen.insert(name), "{name} is carried out in two places");
        }
        let served = crate::rpc::served();
        assert!(
            served.iter().any(|name| name == "VM.get_name_label")
                && seen.iter().all(|name| served.iter().any(|s| s == *name))
        );
    }
}
