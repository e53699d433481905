//! Versions that a script makes: what is sent for it, and what it prints.

use crate::client::{Client, with_query};
use crate::failure::Failure;
use crate::machine::for_screen;
use crate::terminal::Terminal;
use crate::upload;
use clap::ValueEnum;
use shale_api::{OnFailure, TaskOutput, Unattended};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;
use uuid::Uuid;

/// What becomes of the machine when its run fails.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Fate {
    /// It stays, and the task waits for you
    Keep,
    /// It is deleted, and the task has failed
    Discard,
}

/// A script in the place of a person.
#[derive(Debug, Default, clap::Args)]
pub struct Script {
    /// Script that makes the version: the machine runs it, is restarted where that is needed, shut down and finalized.
    /// setup.sh for Linux; setup.ps1, .cmd or .bat for Windows
    #[arg(long, value_name = "FILE", help_heading = "Unattended")]
    script: Option<PathBuf>,
    /// File that lies beside the script in the machine; may be given several times
    #[arg(long, value_name = "FILE", requires = "script", help_heading = "Unattended")]
    attach: Vec<PathBuf>,
    /// What becomes of the machine when the run fails; keep when left out
    #[arg(long, value_enum, requires = "script", help_heading = "Unattended")]
    on_failure: Option<Fate>,
    /// Minutes after which the script has failed; 240 when left out
    #[arg(long, value_name = "MINUTES", requires = "script", help_heading = "Unattended")]
    time_limit: Option<u32>,
}

impl Script {
    /// Whether there is one.
    pub fn is_given(&self) -> bool {
        self.script.is_some()
    }

    /// Sends the files, and answers what the request says of them; none where there is no script. What is left out stays as it is in
    /// `before`.
    pub fn sent(
        self,
        client: &Client,
        terminal: &Terminal,
        before: Option<&Unattended>,
    ) -> Result<Option<Unattended>, Failure> {
        let Some(path) = &self.script else { return Ok(None) };
        let script = read(path)?;
        let mut upload_ids = Vec::new();
        for path in &self.attach {
            upload_ids.push(upload::send(client, terminal, path)?.id);
        }
        let on_failure = match self.on_failure {
            Some(Fate::Keep) => OnFailure::Keep,
            Some(Fate::Discard) => OnFailure::Discard,
            None => before.map(|before| before.on_failure).unwrap_or_default(),
        };
        let time_limit_minutes =
            self.time_limit.or_else(|| before.and_then(|before| before.time_limit_minutes));
        Ok(Some(Unattended { script, upload_ids, on_failure, time_limit_minutes }))
    }
}

fn read(path: &Path) -> Result<shale_api::Script, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::io(format!("cannot read the script '{}'", path.display()), &e))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(shale_api::Script { name, text })
}

/// Prints what a task's script printed; goes on with it where that is wanted.
pub fn print(task: Uuid, follow: bool, client: &Client, terminal: &Terminal) -> Result<(), Failure> {
    let mut next = 0;
    loop {
        let from = next.to_string();
        let output: TaskOutput =
            client.get(&with_query(&format!("/tasks/{task}/output"), &[("from", from.as_str())]))?;
        terminal.print(&for_screen(&output.text))?;
        let is_more = output.next > next && !output.text.is_empty();
        next = output.next;
        if output.is_complete || !is_more && !follow {
            return Ok(());
        }
        if !is_more {
            sleep(Duration::from_secs(1));
        }
    }
}
