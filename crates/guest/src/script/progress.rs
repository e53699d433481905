//! How far a run is, and what comes next: kept on the disk, since it goes over several starts of the machine.

use super::told;
use crate::catalogue::{Code, Remedy};
use crate::decide::{Finding, next_remedy};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// The file's name, beside the report.
const FILE: &str = "run.json";
/// How often a run restarts the machine, at most: updates on updates need some, a loop would need all.
pub const MOST_RESTARTS: u32 = 5;
/// The exit code by which a script asks for a restart and to be run again after it.
pub const RUN_AGAIN: i32 = 194;
/// Exit codes by which installers of Windows say that they succeeded and want a restart: `ERROR_SUCCESS_REBOOT_REQUIRED`, and
/// `ERROR_SUCCESS_REBOOT_INITIATED`. On Linux no program can end so.
const INSTALLED: [i32; 2] = [3010, 1641];

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which run.
    pub run: String,
    /// What it was at when this was written.
    pub phase: Phase,
    /// How often the script was begun.
    pub passes: u32,
    /// How often the machine was restarted.
    pub restarts: u32,
}

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The script is to be run.
    Start,
    /// It runs.
    Script,
    /// It has ended; what is outstanding is looked at.
    Checks,
    /// All is over.
    Ended,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Go {
    /// The script is run.
    Script,
    /// What is outstanding is looked at.
    Checks,
    /// The machine is restarted.
    Restart {
        /// And the script run again.
        again: bool,
        /// For people.
        why: String,
    },
    /// The machine is shut down for finalize.
    ShutDown,
    /// It has failed.
    Failed {
        /// The script's exit code, where it was the script that failed.
        exit_code: Option<i32>,
        /// What happened and what to do, for people.
        text: String,
    },
}

impl Progress {
    /// Of a run that begins.
    #[must_use]
    pub fn new(run: &str) -> Self {
        Self { run: run.to_owned(), phase: Phase::Start, passes: 0, restarts: 0 }
    }

    /// What was kept in this folder. What cannot be understood was not ours, and counts as nothing.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read(folder.join(FILE)) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Keeps it in this folder, which is made. The file is whole or as it was, also after a loss of power.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let unfinished = folder.join("run.json.new");
        let mut file = File::create(&unfinished)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, folder.join(FILE))?;
        // Windows writes a folder's change with the file's.
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    }
}

fn failed(exit_code: Option<i32>, text: impl Into<String>) -> Go {
    Go::Failed { exit_code, text: text.into() }
}

/// What a start of the machine does.
#[must_use]
pub fn on_start(progress: &Progress) -> Go {
    match progress.phase {
        Phase::Start => Go::Script,
        Phase::Checks => Go::Checks,
        Phase::Script => failed(
            None,
            format!(
                "The machine was restarted or went off while the script ran. A script that needs a restart ends with exit code \
                 {RUN_AGAIN} and is run again after it."
            ),
        ),
        Phase::Ended => failed(None, "The run has ended before."),
    }
}

/// What follows when the script has ended.
#[must_use]
pub fn after_script(code: Option<i32>, progress: &Progress) -> Go {
    match code {
        Some(0) => Go::Checks,
        Some(code) if INSTALLED.contains(&code) => {
            restart(progress, false, "The script asks for a restart.".to_owned())
        }
        Some(RUN_AGAIN) => {
            restart(progress, true, "The script asks for a restart, and to be run again.".to_owned())
        }
        Some(code) => failed(Some(code), format!("The script failed with exit code {code}.")),
        None => failed(None, "The script was ended by a signal."),
    }
}

/// What follows when it is known what is outstanding.
#[must_use]
pub fn after_checks(findings: &[Finding], progress: &Progress) -> Go {
    let needs_logon = findings.iter().any(|one| one.code == Code::RunOncePending);
    match next_remedy(findings) {
        None => Go::ShutDown,
        Some(Remedy::Restart) if needs_logon => {
            failed(None, format!("The script has ended, but: {}", told(findings)))
        }
        Some(Remedy::Restart) => restart(progress, false, told(findings)),
        Some(Remedy::Act) => failed(None, format!("The script has ended, but: {}", told(findings))),
        Some(Remedy::Wait) => {
            failed(None, format!("The script has ended, but something still runs: {}", told(findings)))
        }
    }
}

fn restart(progress: &Progress, again: bool, why: String) -> Go {
    match progress.restarts < MOST_RESTARTS {
        true => Go::Restart { again, why },
        false => failed(
            None,
            format!("The machine was restarted {MOST_RESTARTS} times, and another restart is wanted: {why}"),
        ),
    }
}
