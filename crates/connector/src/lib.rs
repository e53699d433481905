//! Platforms that hold disks and run packaging machines for us.
//!
//! ```text
//!              ensure_disk        ensure_machine       power_on
//!   (absent) ─────────────▶ disk ───────────────▶ Off ──────────▶ Running ──(guest, shut_down, power_off)──▶ Off
//!       ▲                    │                     │                │  ▲
//!       └───────── remove ───┴──────── remove ─────┴──── remove ────┘  └─▶ Paused (its disk is full)
//! ```
//!
//! Every call may be repeated: what is made carries a [`Tag`], and a repeat finds it instead of making another.
//! No call needs an earlier one of the same process, so that a restarted caller goes on where it was.
//! `tests/conformance.rs` holds what every connector must do.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod error;
pub mod local;
mod machine;

use std::path::Path;

pub use error::{Error, ErrorKind, Result};
pub use machine::{
    Check, Console, Firmware, MachineSpec, Observed, Origin, Outcome, Power, ServeCommand, Tag,
};
use shale_disk::{Disk, Watch};

/// A platform that holds disks and runs machines for us: this host, or a hypervisor over the network.
pub trait Connector: Send + Sync {
    /// The kind's name in configurations: `local`.
    fn kind(&self) -> &'static str;

    /// Whether all is there that machines need, line by line. Changes nothing that lasts.
    fn test(&self) -> Vec<Check>;

    /// Every tag that something on the platform carries: whole, half made or half removed.
    fn inventory(&self) -> Result<Vec<Tag>>;

    /// Makes sure that the machine's disk is there: `origin` with room up to `spec.disk_size`. `watch` is told of
    /// bytes sent, where any are.
    fn ensure_disk(&self, tag: &Tag, spec: &MachineSpec, origin: &Origin, watch: Watch) -> Result<()>;

    /// Makes sure that a machine with the tag's disk is there. It is not powered on.
    fn ensure_machine(&self, tag: &Tag, spec: &MachineSpec) -> Result<()>;

    /// Makes sure that the machine runs; one that is paused goes on.
    fn power_on(&self, tag: &Tag) -> Result<()>;

    /// Asks the guest to shut down, as its power button does, and does not wait. One that is off is fine.
    fn shut_down(&self, tag: &Tag) -> Result<()>;

    /// Makes sure that the machine is off, at once, without asking the guest. Absent is fine.
    fn power_off(&self, tag: &Tag) -> Result<()>;

    /// How the machine stands. Absent is an answer, not an error.
    fn observe(&self, tag: &Tag) -> Result<Observed>;

    /// The machine's disk as far as it was changed: [`shale_disk::Content::Hole`] means "as in the origin".
    /// Refused ([`ErrorKind::Busy`]) while the machine is on; the machine cannot be powered on until it is dropped.
    fn open_changes(&self, tag: &Tag) -> Result<Box<dyn Disk>>;

    /// Makes sure that nothing carries the tag any more: machine, disk, export, running or not.
    fn remove(&self, tag: &Tag) -> Result<()>;
}

/// The kinds of connector there are.
pub const KINDS: &[&str] = &["local"];

/// The connector of a kind with its settings (a JSON object of that kind). `folder` is its own place on this host
/// for what it must keep; it is made when needed.
pub fn open(kind: &str, settings: &serde_json::Value, folder: &Path) -> Result<Box<dyn Connector>> {
    match kind {
        "local" => {
            let settings = serde_json::from_value(settings.clone()).map_err(|e| {
                let what = format!("the settings of the connector are not valid: {e}");
                Error::new(ErrorKind::Unsupported, what)
            })?;
            Ok(Box::new(local::Local::new(folder, settings)?))
        }
        other => {
            let known = KINDS.join(", ");
            let what = format!("there is no connector of the kind {other:?}; there are: {known}");
            Err(Error::new(ErrorKind::Unsupported, what))
        }
    }
}
