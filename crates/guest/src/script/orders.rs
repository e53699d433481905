//! What an unattended machine is to do: a file on its CD, beside the script and the files that go with it.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The file's name on the CD.
pub const ORDERS: &str = "shale-run.json";
/// Most that is read of it, in bytes.
const LIMIT: u64 = 64 << 10;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// Which run: a machine that has ended it does not begin it again.
    pub run: String,
    /// The script's name on the CD.
    pub script: String,
    /// What becomes of the machine when it failed.
    pub on_failure: OnFailure,
    /// How the machine is restarted.
    #[serde(default)]
    pub on_restart: OnRestart,
}

/// How a machine is restarted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRestart {
    /// It restarts itself.
    #[default]
    Restart,
    /// It powers off: whoever hears why powers it on again.
    PowerOff,
}

/// What becomes of a machine in which the script failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It stays on, for a person to look at.
    StayOn,
    /// It powers off: nobody hears of the failure before that, since there is no port to tell it on.
    PowerOff,
}

impl Orders {
    /// The orders in this folder; none where there is no such file.
    ///
    /// # Errors
    ///
    /// The file system's; orders that cannot be understood, or that name a file elsewhere.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(folder.join(ORDERS)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(LIMIT).read_to_end(&mut bytes)?;
        let orders: Self = serde_json::from_slice(&bytes)?;
        let wrong = |text: &str| Err(io::Error::new(ErrorKind::InvalidData, text.to_owned()));
        if orders.script.contains(['/', '\\']) || orders.script.starts_with('.') {
            return wrong("the script's name is no name of a file on the CD");
        }
        Ok(Some(orders))
    }
}
