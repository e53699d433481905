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
//! `tests/conformance/` holds what every connector must do.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod error;
mod field;
pub mod local;
mod machine;
pub mod xenserver;

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub use error::{Error, ErrorKind, Result};
pub use field::{Choice, Field, Input};
pub use machine::{
    Changes, Check, Firmware, Fix, MachineSpec, Observed, Origin, Outcome, Power, Published, ServeCommand,
    Tag,
};
use shale_disk::Watch;

/// A platform that holds disks and runs machines for us: this host, or a hypervisor over the network.
pub trait Connector: Send + Sync {
    /// The kind's name in configurations: `local`.
    fn kind(&self) -> &'static str;

    /// Whether all is there that machines need, line by line. Changes nothing that lasts.
    fn test(&self) -> Vec<Check>;

    /// What the platform has for the settings that are of the kind [`Input::Found`]. None by default.
    fn choices(&self) -> Result<Vec<Choice>> {
        Ok(Vec::new())
    }

    /// Every tag that something on the platform carries: whole, half made or half removed.
    fn inventory(&self) -> Result<Vec<Tag>>;

    /// Makes sure that the machine's disk is there: `origin` with room up to `spec.disk_size`. `watch` is told of
    /// bytes sent, where any are. Answers how it was made, in a sentence for people.
    fn ensure_disk(&self, tag: &Tag, spec: &MachineSpec, origin: &Origin, watch: Watch) -> Result<String>;

    /// Makes sure that a machine with the tag's disk is there. It is not powered on.
    fn ensure_machine(&self, tag: &Tag, spec: &MachineSpec) -> Result<()>;

    /// Whether a machine is to be powered on as soon as it is made, or left to the administrator.
    fn powers_on_by_itself(&self) -> bool {
        true
    }

    /// Whether machines have a second serial port that can be read here while they run: see [`Observed::port_log`].
    fn has_port(&self) -> bool {
        false
    }

    /// Makes sure that the machine runs; one that is paused goes on.
    fn power_on(&self, tag: &Tag) -> Result<()>;

    /// Asks the guest to shut down, as its power button does, and does not wait. One that is off is fine.
    fn shut_down(&self, tag: &Tag) -> Result<()>;

    /// Makes sure that the machine is off, at once, without asking the guest. Absent is fine.
    fn power_off(&self, tag: &Tag) -> Result<()>;

    /// How the machine stands. Absent is an answer, not an error.
    fn observe(&self, tag: &Tag) -> Result<Observed>;

    /// The machine's screen: a stream that speaks RFB (VNC) from its first byte on. Refused ([`ErrorKind::Busy`]) while
    /// the machine is off. The stream ends with the machine, or when it is dropped.
    fn open_screen(&self, tag: &Tag) -> Result<UnixStream>;

    /// Puts a CD image (ISO 9660) into the machine's drive in place of what is in it, or takes that out. The guest sees it
    /// at once when the machine is on, and finds it again when it is powered on later. `image` is read, or linked to,
    /// before this returns. What the machine has in its drive goes with it.
    fn set_cd(&self, tag: &Tag, image: Option<&Path>, watch: Watch) -> Result<()> {
        let _ = (tag, image, watch);
        let what = format!("connectors of the kind {} cannot give a machine a CD yet", self.kind());
        Err(Error::new(ErrorKind::Unsupported, what))
    }

    /// The machine's disk as far as it was changed. Refused ([`ErrorKind::Busy`]) while the machine is on; the machine
    /// cannot be powered on until it is dropped. `watch` is told of bytes fetched before the disk can be read.
    fn open_changes(&self, tag: &Tag, watch: Watch) -> Result<Changes>;

    /// Makes sure that nothing carries the tag any more: machine, disk, export, running or not.
    fn remove(&self, tag: &Tag) -> Result<()>;

    /// Returns as soon as a machine of ours may have changed since the last call, or when `patience` is over.
    /// A platform that cannot tell lets the time pass.
    fn await_change(&self, patience: Duration) -> Result<()> {
        std::thread::sleep(patience);
        Ok(())
    }

    /// Makes sure that an image is on the platform: a machine, off, with the origin's disk, and nothing that is only there to
    /// take its changes. Once it is whole it is the administrator's: [`Connector::inventory`] tells no longer of it, and it stays
    /// until [`Connector::remove`]. Answers how it was made, in a sentence for people. Only where [`takes_images`] says so.
    fn publish(&self, tag: &Tag, spec: &MachineSpec, origin: &Origin, watch: Watch) -> Result<Published> {
        let _ = (tag, spec, origin, watch);
        Err(no_images(self.kind()))
    }

    /// Why a published image should not be removed unasked: what somebody did with it on the platform since, in a sentence for
    /// people. `None`: it is as it was published, or not there.
    fn claimed(&self, tag: &Tag) -> Result<Option<String>> {
        let _ = tag;
        Ok(None)
    }

    /// Ends what connects us with the platform, such as a session: the configuration is deleted or changed, settings
    /// were only tried, or the server ends. The next call connects again.
    fn disconnect(&self) {}

    /// Lets go of what is kept on the platform only to be quick: disks of origins (see [`Origin::id`]) that are not
    /// `known` any more, or that are more than the configuration allows. Answers what went, for the log. What a machine
    /// needs stays.
    fn trim(&self, known: &dyn Fn(&Tag) -> bool) -> Result<Vec<String>> {
        let _ = known;
        Ok(Vec::new())
    }
}

/// The kinds of connector there are.
pub const KINDS: &[&str] = &["local", "xenserver"];

/// What people call a kind.
pub fn label(kind: &str) -> &'static str {
    match kind {
        "local" => "This host (QEMU)",
        "xenserver" => "XenServer, XCP-ng",
        _ => "?",
    }
}

/// Whether images can be published to connectors of a kind: see [`Connector::publish`].
pub fn takes_images(kind: &str) -> bool {
    kind == "xenserver"
}

/// Makes a connector of a kind in the folder `to`, which is only tried, find on its platform what the one in the folder `from` made.
pub fn lend_owner(kind: &str, from: &Path, to: &Path) -> Result<()> {
    match kind {
        "xenserver" => xenserver::lend_owner(from, to),
        _ => Ok(()),
    }
}

/// Whether images can be started on connectors of a kind to see that they boot: only on this host a guest's ports and its serial
/// port can be watched.
pub fn boots_images(kind: &str) -> bool {
    kind == "local"
}

fn no_images(kind: &str) -> Error {
    let what =
        format!("a connector of the kind {kind} takes no images; write them to a folder, or download them");
    Error::new(ErrorKind::Unsupported, what)
}

/// Settings that say to whom a kind's secrets are told: where they change, the secrets must be given anew.
pub fn told_to(kind: &str) -> &'static [&'static str] {
    match kind {
        "xenserver" => &["address", "user", "allow_plain_http"],
        _ => &[],
    }
}

/// A platform's disks are whole multiples of this many bytes: a disk of any other size would be rounded up behind our
/// back.
pub fn disk_unit(kind: &str) -> u64 {
    match kind {
        "xenserver" => 2 << 20,
        _ => 512,
    }
}

/// What a kind of connector wants to be told, in the order to ask for it; `None` when there is no such kind.
pub fn fields(kind: &str) -> Option<&'static [Field]> {
    match kind {
        "local" => Some(local::FIELDS),
        "xenserver" => Some(xenserver::FIELDS),
        _ => None,
    }
}

/// The connector of a kind with its settings (a JSON object of that kind). `folder` is its own place on this host
/// for what it must keep; it is made when needed.
pub fn open(kind: &str, settings: &serde_json::Value, folder: &Path) -> Result<Box<dyn Connector>> {
    let invalid = |e: serde_json::Error| {
        let what = format!("the settings of the connector are not valid: {e}");
        Error::new(ErrorKind::Unsupported, what)
    };
    let settings = settings.clone();
    match kind {
        "local" => {
            Ok(Box::new(local::Local::new(folder, serde_json::from_value(settings).map_err(invalid)?)?))
        }
        "xenserver" => Ok(Box::new(xenserver::XenServer::new(
            folder,
            serde_json::from_value(settings).map_err(invalid)?,
        )?)),
        other => {
            let known = KINDS.join(", ");
            let what = format!("there is no connector of the kind {other:?}; there are: {known}");
            Err(Error::new(ErrorKind::Unsupported, what))
        }
    }
}
