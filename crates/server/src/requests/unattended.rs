//! Versions that a script makes: what is checked and put aside for it in the request.
//!
//! ```text
//!   request ─▶ names, sizes ─▶ uploads ─┐                            ┌─ one transaction ──────────┐
//!   schedule ─▶ its own files ──────────┴─▶ kit (linked, durable) ─▶ kit is put, rows, task, commit ─▶ uploads are gone
//! ```

use super::rule;
use super::uploads::usable;
use crate::app::App;
use crate::catalog::{ConnectorRow, TaskRow, Tx, UploadRow, VersionRow};
use crate::cd;
use crate::error::{Error, Result};
use crate::jobs::Run;
use crate::kit::{self, Attached, Staged};
use crate::starter::family_of;
use crate::tools::Tools;
use shale_api::{AddVersion, OnFailure, TaskOutput, Unattended};
use shale_guest::script::{ORDERS, OnFailure as Machines, OnRestart, Orders};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use uuid::Uuid;

/// Where the script is in a request for a version.
pub(super) const AT: &str = "/unattended";
/// Largest script, in bytes.
const SCRIPT: usize = 256 << 10;
/// Longest name of a file on the CD that every guest shows whole, in UTF-16 characters.
const NAME: usize = 62;
/// Minutes after which a script has failed, where nothing is said; and most that can be said.
const MINUTES: u32 = 240;
const MOST_MINUTES: u32 = 7 * 24 * 60;
/// Most output in one answer, in bytes.
const ANSWER: u64 = 256 << 10;

/// The files of uploads, and what they are called. `at` is where the script is in the request.
pub(super) async fn attached(app: &App, tx: &mut Tx, at: &str, uploads: &[Uuid]) -> Result<Vec<Attached>> {
    let mut files = Vec::new();
    for &id in uploads {
        let path = usable(app, tx, id, &format!("{at}/upload_ids")).await?;
        let row = UploadRow::get(tx, id).await?.ok_or_else(|| Error::not_found("upload", id))?;
        files.push(Attached { name: row.name, path });
    }
    Ok(files)
}

/// Lets go of uploads in the transaction that puts their files elsewhere.
pub(super) async fn used_up(tx: &mut Tx, uploads: &[Uuid]) -> Result<()> {
    for &id in uploads {
        UploadRow::delete(tx, id).await?;
    }
    Ok(())
}

/// The same, of their files, once that transaction is committed.
pub(super) fn forget(app: &App, uploads: &[Uuid]) {
    for &id in uploads {
        let _ = fs::remove_file(app.world.place.upload(id)); // else the next clearing takes it
        app.feed.publish("upload", id, true);
    }
}

/// Refuses what could not be run. `at` is where it is in the request.
pub(super) fn checked(at: &str, unattended: &Unattended, files: &[Attached]) -> Result<()> {
    let field = |name: &str, why: String| Err(Error::field(&format!("{at}/{name}"), why));
    let script = &unattended.script;
    rule(&format!("{at}/script/name"), shale_model::file_name(&script.name))?;
    if script.text.trim().is_empty() {
        return field("script/text", "The script is empty: say what to do.".into());
    }
    if script.text.len() > SCRIPT {
        let text = format!(
            "The script has {} bytes, and at most {SCRIPT} are taken: attach what it needs as files.",
            script.text.len()
        );
        return field("script/text", text);
    }
    if !(1..=MOST_MINUTES).contains(&unattended.time_limit_minutes.unwrap_or(MINUTES)) {
        return field("time_limit_minutes", format!("Say a time from 1 to {MOST_MINUTES} minutes."));
    }
    if files.len() + 4 > cd::MOST {
        return field("upload_ids", format!("A CD takes at most {} files.", cd::MOST - 4));
    }
    let mut seen = HashSet::from([ORDERS.to_lowercase()]);
    for name in std::iter::once(&script.name).chain(files.iter().map(|file| &file.name)) {
        if Tools::has(name) || !seen.insert(name.to_lowercase()) {
            return field("upload_ids", format!("Two files would be named '{name}' on the CD: rename one."));
        }
        if name.encode_utf16().count() > NAME {
            return field(
                "upload_ids",
                format!("The name '{name}' is too long for a CD: shorten it to {NAME}."),
            );
        }
    }
    Ok(())
}

/// A run that is asked for: what its task must know, and its script and files.
pub(super) struct Prepared {
    run: Run,
    kit: Staged,
}

/// Lays script and files of a version that is asked for ready: before the transaction that makes it, which keeps others waiting. `kept`
/// are files besides the uploads. None where no script makes it, or where it was asked for before.
pub(super) async fn prepare(app: &App, new: &AddVersion, kept: Vec<Attached>) -> Result<Option<Prepared>> {
    let Some(unattended) = &new.unattended else { return Ok(None) };
    let mut tx = app.world.catalog.read().await?;
    if VersionRow::get(&mut tx, new.id).await?.is_some() {
        return Ok(None);
    }
    let connector = ConnectorRow::get(&mut tx, new.connector_id).await?;
    let connector = connector
        .ok_or_else(|| Error::field("/connector_id", "There is no such connector configuration."))?;
    let mut files = attached(app, &mut tx, AT, &unattended.upload_ids).await?;
    drop(tx);
    files.extend(kept);
    checked(AT, unattended, &files)?;
    let family = family_of(&unattended.script.name);
    if !app.world.tools.run_scripts(family) {
        let text = format!(
            "The server has no Shutdown For Finalize for {family}, which runs the script: build it (scripts/guest-tools) or install \
             it beside shaled."
        );
        return Err(Error::unsupported(text));
    }
    let is_heard = app.world.connector(&connector).is_ok_and(|connector| connector.has_port());
    let orders = Orders {
        run: new.id.to_string(),
        script: unattended.script.name.clone(),
        on_failure: if is_heard { Machines::StayOn } else { Machines::PowerOff },
        on_restart: if is_heard { OnRestart::PowerOff } else { OnRestart::Restart },
    };
    let run = Run {
        script: orders.script.clone(),
        discard: unattended.on_failure == OnFailure::Discard,
        minutes: unattended.time_limit_minutes.unwrap_or(MINUTES),
    };
    let (runs, text) = (app.world.place.runs(), unattended.script.text.clone());
    let kit = laid(move || Staged::kit(&runs, &orders, text.as_bytes(), &files)).await?;
    Ok(Some(Prepared { run, kit }))
}

/// Lays files ready where that keeps nobody waiting.
pub(super) async fn laid(lay: impl FnOnce() -> Result<Staged> + Send + 'static) -> Result<Staged> {
    let laid = tokio::task::spawn_blocking(lay).await;
    laid.map_err(|e| Error::internal("laying files ready failed").because(e))?
}

/// Puts what was prepared where the machine of the version finds it, in the transaction that makes it, and answers what its task must
/// know. Left alone if the transaction fails: the next clearing takes it.
pub(super) async fn put(
    app: &App,
    tx: &mut Tx,
    new: &AddVersion,
    prepared: Option<Prepared>,
) -> Result<Option<Run>> {
    let Some(unattended) = &new.unattended else { return Ok(None) };
    let Some(prepared) = prepared else {
        return Err(Error::unavailable("The version was given up just now: ask for it again."));
    };
    // Somebody else may have used them up meanwhile.
    attached(app, tx, AT, &unattended.upload_ids).await?;
    prepared.kit.put(&app.world.place.kit(new.id))?;
    used_up(tx, &unattended.upload_ids).await?;
    Ok(Some(prepared.run))
}

/// What the script of a task printed, from byte `from` on.
pub async fn task_output(app: &App, id: Uuid, from: u64) -> Result<TaskOutput> {
    let mut tx = app.world.catalog.read().await?;
    let task = TaskRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("task", id))?;
    drop(tx);
    // Looked at before the text is: what comes in between is told, or asked for again.
    let is_over = task.ending.is_some();
    // Other tasks of the version have no script.
    let has_script = task.input.get("unattended").is_some_and(|run| !run.is_null());
    let Some(version) = task.version_id.filter(|_| has_script) else {
        return Ok(TaskOutput { text: String::new(), next: 0, is_complete: true });
    };
    let path = app.world.place.run_output(version);
    let read = tokio::task::spawn_blocking(move || part(&path, from));
    let read = read.await.map_err(|e| Error::internal("reading an output failed").because(e))?;
    let (text, next, is_end) =
        read.map_err(|e| Error::unavailable("The output of the script cannot be read.").because(e))?;
    Ok(TaskOutput { text, next, is_complete: is_over && is_end })
}

/// Text from a file, whole characters only; where to go on, and whether that is its end.
fn part(path: &Path, from: u64) -> std::io::Result<(String, u64, bool)> {
    let mut file = match File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok((String::new(), from, true)),
        file => file?,
    };
    let length = file.metadata()?.len();
    // It begins anew when the server does: who has read more reads it again.
    let from = if from > length { 0 } else { from };
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(ANSWER).read_to_end(&mut bytes)?;
    let whole = match std::str::from_utf8(&bytes) {
        Ok(_) => bytes.len(),
        // A character that is cut comes with the next part; what is none is replaced.
        Err(e) if e.error_len().is_none() => e.valid_up_to(),
        Err(_) => bytes.len(),
    };
    let next = from + whole as u64;
    Ok((String::from_utf8_lossy(&bytes[..whole]).into_owned(), next, next >= length))
}

/// Lets go of what runs left: of those that no task knows, all; of those that have ended, script and files. `listed` are the folders
/// that were there before the transaction began.
pub(super) async fn clear(app: &App, tx: &mut Tx, listed: Vec<fs::DirEntry>) -> Result<()> {
    for run in listed {
        if kit::is_forgotten(&run) {
            let _ = fs::remove_dir_all(run.path());
            continue;
        }
        let Some(version) = run.file_name().to_str().and_then(|name| Uuid::parse_str(name).ok()) else {
            continue;
        };
        let gone = match TaskRow::that_made(tx, version).await? {
            None => run.path(),
            Some(task) if task.ending.as_deref().is_some_and(|ending| ending != "stuck") => {
                app.world.place.kit(version)
            }
            Some(_) => continue,
        };
        let _ = fs::remove_dir_all(gone); // tried again with the next clearing
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_read_in_whole_characters_and_from_its_beginning_where_it_began_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        assert_eq!(part(&path, 0).unwrap(), (String::new(), 0, true));
        fs::write(&path, "aé".as_bytes()).unwrap();
        assert_eq!(part(&path, 0).unwrap(), ("aé".into(), 3, true));
        assert_eq!(part(&path, 1).unwrap(), ("é".into(), 3, true));
        assert_eq!(
            part(&path, 9).unwrap(),
            ("aé".into(), 3, true),
            "another output, shorter than the one before"
        );
        fs::write(&path, b"a\xc3").unwrap();
        assert_eq!(part(&path, 0).unwrap(), ("a".into(), 1, false), "the rest of é is to come");
    }
}
