//! `shale upload`, and files on their way to the server.
//!
//! ```text
//!   file ─▶ is there an unfinished upload of it? ─▶ part, part, … ─▶ complete
//!              by name and length, begun after the file last changed   └ broken off: asked where to go on, again and again
//! ```

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::resolve;
use crate::table::{Cell, Sheet};
use crate::terminal::{Terminal, View, actions};
use crate::units;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::Value;
use shale_api::{Comment, NewUpload, Upload};
use std::fs::File;
use std::io::{IsTerminal, Read, Seek, SeekFrom};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Bytes sent at once.
const PART: u64 = 8 << 20;
/// How long it is tried to go on while nothing arrives.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// The verbs of `shale upload`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the files that are on their way, or that nothing uses yet
    List,
    /// Delete one
    Delete {
        /// Name or id
        upload: String,
    },
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    match verb {
        Verb::List => terminal.list::<Upload>(&client.list("/uploads", &[], None)?)?,
        Verb::Delete { upload } => {
            let upload = resolve::upload(client, &upload)?;
            let _: Value = client.delete(&format!("/uploads/{}", upload.id), &Comment::default())?;
            terminal.note(&format!("The upload of '{}' is deleted.", upload.name));
        }
    }
    Ok(Exit::Ok)
}

/// Sends a file, from where an earlier try broke off.
pub fn send(client: &Client, terminal: &Terminal, path: &Path) -> Result<Upload, Failure> {
    let failed = |e: &std::io::Error| Failure::io(format!("cannot read '{}'", path.display()), e);
    let mut file = File::open(path).map_err(|e| failed(&e))?;
    let size = file.metadata().map_err(|e| failed(&e))?.len();
    let name = path.file_name().and_then(|name| name.to_str());
    let name =
        name.ok_or_else(|| Failure::usage(format!("'{}' is no file name in UTF-8.", path.display())))?;
    let mut upload = match unfinished(client, &file, name, size)? {
        Some(upload) => {
            terminal.note(&format!("Going on at {} of '{name}'.", units::bytes(upload.received)));
            upload
        }
        None => client.create("/uploads", &NewUpload { id: Uuid::now_v7(), name: name.into(), size })?,
    };
    let bar = bar(terminal, size);
    let mut moved = Instant::now();
    while upload.received < size {
        bar.set_position(upload.received);
        let mut part = Vec::new();
        file.seek(SeekFrom::Start(upload.received)).map_err(|e| failed(&e))?;
        (&file).take(PART.min(size - upload.received)).read_to_end(&mut part).map_err(|e| failed(&e))?;
        if part.is_empty() {
            return Err(Failure::new(
                Exit::Failed,
                format!("'{}' became shorter while it was sent.", path.display()),
            ));
        }
        let address = format!("/uploads/{}", upload.id);
        match client.append(&address, upload.received, part) {
            Ok(now) => (upload, moved) = (now, Instant::now()),
            Err(failure) => {
                let may_work = failure.unreachable || matches!(failure.exit, Exit::Conflict | Exit::Failed);
                if !may_work || moved.elapsed() > PATIENCE {
                    bar.finish_and_clear();
                    return Err(failure.hint("run the same command again: it goes on where this one stopped"));
                }
                sleep(PAUSE);
                // Still nobody there: the same part again.
                upload = client.get(&address).unwrap_or(upload);
            }
        }
    }
    bar.finish_and_clear();
    Ok(upload)
}

/// An upload of this very file, as far as can be told: of its name and length, and begun after it last changed.
fn unfinished(client: &Client, file: &File, name: &str, size: u64) -> Result<Option<Upload>, Failure> {
    let changed = file.metadata().and_then(|found| found.modified()).ok();
    let Some(changed) = changed.and_then(|changed| Timestamp::try_from(changed).ok()) else {
        return Ok(None);
    };
    let known: Vec<Upload> = client.list("/uploads", &[], None)?;
    let is_it = |upload: &Upload| {
        let begun: Option<Timestamp> = upload.created_at.parse().ok();
        let free = upload.actions.iter().any(|action| action.allowed && action.name != "delete");
        free && (upload.name.as_str(), upload.size) == (name, size)
            && begun.is_some_and(|begun| begun > changed)
    };
    Ok(known.into_iter().rev().find(is_it))
}

fn bar(terminal: &Terminal, size: u64) -> ProgressBar {
    if terminal.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
    let template =
        "Sending  ▕{bar:24}▏ {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl View for Upload {
    const COLUMNS: &'static [&'static str] = &["NAME", "RECEIVED", "SIZE", "LAST CAME"];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.name.clone().into(),
            units::bytes(self.received).into(),
            units::bytes(self.size).into(),
            units::time(&self.updated_at).into(),
        ]
    }

    fn sheet(&self) -> Sheet {
        Sheet::default()
            .with("Upload", self.name.clone())
            .with("Id", self.id.to_string())
            .with("Received", format!("{} of {}", units::bytes(self.received), units::bytes(self.size)))
            .part("What can be done", actions(&self.actions))
    }
}
