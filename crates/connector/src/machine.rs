//! The words a platform and its caller share: tag, origin, machine, what is observed of it, checks.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shale_disk::Disk;

use crate::{Error, ErrorKind, Result};

/// What everything we make on a platform carries; one tag is one packaging job. The text of a UUID, in lower
/// case, so that it is safe as a file name, a process argument and a key on any platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

impl Tag {
    /// The tag with this text: 8-4-4-4-12 hexadecimal digits; upper case is lowered.
    pub fn parse(text: &str) -> Result<Self> {
        let groups: Vec<&str> = text.split('-').collect();
        let shaped = groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12]);
        if shaped && groups.iter().all(|g| g.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(Error::new(ErrorKind::Unsupported, format!("{text:?} is no tag: a tag is the text of a UUID")))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Tag {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0
    }
}

/// How a machine starts what is on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// PC BIOS: the boot record in the first sector.
    Bios,
    /// UEFI: the EFI system partition.
    Uefi,
}

/// The disk a packaging machine starts from, offered in more than one way; a platform takes the one that fits it.
pub struct Origin<'a> {
    /// Which disk it is: the same id is always the same bytes, so that a platform may keep it for the next machine.
    pub id: Tag,
    /// To be read here and sent (a platform that keeps its own disks). It may be smaller than the machine's disk: then
    /// its partition table is to be moved, see [`shale_disk::table::growth`].
    pub disk: &'a dyn Disk,
    /// What differs in it from the disk of another id, if that is known: holes are what both have.
    pub since: &'a dyn Fn(&Tag) -> Option<Box<dyn Disk + 'a>>,
    /// Told how many bytes `watch` will hear of, once that is known.
    pub total: &'a dyn Fn(u64),
    /// To be served, read-only, by a process of its own (a platform on this host), grown to the machine's size.
    pub serve: ServeCommand,
}

/// What a machine changed on its disk.
pub struct Changes {
    /// As large as the machine's disk; [`shale_disk::Content::Hole`] means "as in the origin, grown to this size".
    /// More than what changed may be there, with the origin's bytes.
    pub disk: Box<dyn Disk>,
    /// How it was found out, in a sentence for people: which way, and why no better one.
    pub how: String,
}

/// An image on a platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// How it came there, in a sentence for people.
    pub how: String,
    /// Where to find it, for people: pool and storage.
    pub place: String,
}

/// A command that serves the origin by NBD on a unix socket until it is killed. `--socket PATH` is appended; the
/// process must keep `PATH` as an argument of its own, since it is found by it, and serve the export named "".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServeCommand {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments before `--socket PATH`.
    pub args: Vec<String>,
}

/// What machine is wanted. Memory, CPUs and network come from the connector's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSpec {
    /// Name for people, unique on the platform by custom, never used to find anything.
    pub name: String,
    /// Bytes of the guest's disk, a multiple of 512, not less than the origin's; what is beyond the origin is
    /// empty.
    pub disk_size: u64,
    /// How it starts.
    pub firmware: Firmware,
}

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// It runs.
    Running,
    /// It is on but stands still, for a reason told in [`Observed::detail`]: its disk is full, say.
    Paused,
    /// It exists and is off.
    Off,
    /// There is no such machine.
    Absent,
}

impl Power {
    /// Whether the guest may still write: all but `Off` and `Absent`.
    pub fn is_on(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// What a platform says of a machine at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Whether it runs.
    pub power: Power,
    /// Whether it was ever powered on, so that its disk may hold changes.
    pub was_powered_on: bool,
    /// A sentence for people when something needs their eye: why it is paused, what is missing.
    pub detail: Option<String>,
    /// Its name; empty when absent.
    pub name: String,
    /// Where to find it, for people: host and folder, or pool and storage.
    pub place: String,
    /// Whether [`crate::Connector::open_screen`] would show something.
    pub has_screen: bool,
    /// Unix socket on this host that is its screen (RFB), where it is on this host.
    pub vnc_socket: Option<PathBuf>,
    /// File with all it wrote to its first serial port, over all its starts.
    pub serial_log: Option<PathBuf>,
    /// File with all that was written to its second serial port, over all its starts.
    pub port_log: Option<PathBuf>,
    /// Address on this host that leads to the guest's port 22, while it is on and forwarding is configured.
    pub ssh: Option<SocketAddr>,
    /// Process on this host that is the machine, while it is on.
    pub pid: Option<u32>,
    /// Bytes that its changes take on the platform's storage.
    pub changed_bytes: u64,
    /// How it has its CD, for people, where that needs to be told.
    pub cd: Option<String>,
    /// Why [`crate::Connector::set_cd`] would be refused, and what to do instead: a sentence for people.
    pub no_cd: Option<String>,
}

impl Observed {
    /// What is said of a machine that is not there.
    pub fn absent() -> Self {
        Self {
            power: Power::Absent,
            was_powered_on: false,
            detail: None,
            name: String::new(),
            place: String::new(),
            has_screen: false,
            vnc_socket: None,
            serial_log: None,
            port_log: None,
            ssh: None,
            pid: None,
            changed_bytes: 0,
            cd: None,
            no_cd: None,
        }
    }
}

/// One line of a connector's test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at, in a few words: `QEMU`, `accelerator`.
    pub name: String,
    /// How it stands.
    pub outcome: Outcome,
    /// What was found.
    pub detail: String,
    /// What to do about it, where there is something to do.
    pub hint: Option<String>,
    /// A setting that would mend it, if the administrator agrees.
    pub fix: Option<Fix>,
}

/// A setting that mends what a check found, to be set only after a person has said yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// What the person is asked, with all they need to decide: "Is this the certificate of …, SHA-256 …?"
    pub question: String,
    /// The setting: [`crate::Field::name`].
    pub field: String,
    /// Its value.
    pub value: String,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It works, but slower or with less than it could.
    Warn,
    /// Machines cannot be made until this is mended.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_uuid_and_nothing_that_could_leave_a_folder() {
        let tag = Tag::parse("0198B2C4-0000-7000-8000-0000000000AB").unwrap();
        assert_eq!(tag.as_str(), "0198b2c4-0000-7000-8000-0000000000ab");
        for bad in
            ["", "..", "../../../../../../../../../../../etc", "0198b2c4000070008000000000000000ab", "é"]
        {
            assert_eq!(Tag::parse(bad).unwrap_err().kind(), ErrorKind::Unsupported, "{bad}");
        }
        assert!(serde_json::from_str::<Tag>("\"../x\"").is_err());
    }
}
