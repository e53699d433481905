//! Files on their way to the server.
//!
//! ```text
//!   begin ─▶ row, empty file ─▶ append, append, … ─▶ complete ─▶ used by an import or a machine ─▶ gone
//!                                 │ each lands at the file's end, and says where it believes that to be
//!                                 └ a connection that breaks leaves what has come; nothing for 48 hours: gone
//! ```

use super::{Actor, audit, permitted, rule, schedules, unattended};
use crate::app::App;
use crate::catalog::{Tx, UploadRow, VersionRow, moment, now};
use crate::error::{Error, Result, chain};
use crate::view;
use axum::body::Body;
use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use shale_api::{NewUpload, Upload};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// Most that one request may send.
pub const PART: u64 = 16 << 20;
/// Room that is left on the disk for everything else.
const MARGIN: u64 = 256 << 20;
/// One that gets nothing for so long is deleted.
const KEPT: SignedDuration = SignedDuration::from_hours(48);
/// How often that is looked at.
const CLEARED: Duration = Duration::from_secs(1800);
/// How long a connection may be silent in the middle of a part.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes that are written at once.
const BLOCK: usize = 1 << 20;

/// Begins an upload, if there is room for it.
pub async fn create_upload(app: &App, actor: &Actor, new: NewUpload) -> Result<Upload> {
    let mut tx = app.world.catalog.begin().await?;
    if let Some(known) = UploadRow::get(&mut tx, new.id).await? {
        return match (&known.name, known.size) == (&new.name, new.size) {
            true => Ok(view::upload(app, known)),
            false => Err(Error::exists(format!("The id {} belongs to another upload.", known.id))),
        };
    }
    rule("/name", shale_model::file_name(&new.name))?;
    if new.size == 0 {
        return Err(Error::field("/size", "The file is empty: there is nothing to send."));
    }
    room(app, &mut tx, &new).await?;
    let at = now();
    let row = UploadRow {
        id: new.id,
        name: new.name,
        size: new.size,
        created_by: actor.name.clone(),
        created_at: at.clone(),
        updated_at: at,
        task_id: None,
    };
    make_file(&app.world.place.uploads(), &app.world.place.upload(row.id))?;
    row.insert(&mut tx).await?;
    audit(&mut tx, actor, "create_upload", ("upload", row.id, &row.name), "").await?;
    tx.commit().await?;
    app.feed.publish("upload", row.id, false);
    Ok(view::upload(app, row))
}

/// Refuses what does not fit on the disk beside all that is still to come of other uploads.
async fn room(app: &App, tx: &mut Tx, new: &NewUpload) -> Result<()> {
    let place = app.world.place.root();
    let found = rustix::fs::statvfs(place)
        .map_err(|e| Error::unavailable("The room on the server's disk is not known.").because(e))?;
    let mut promised = MARGIN;
    for row in UploadRow::list(tx).await? {
        let facts = view::upload_facts(app, &row);
        promised = promised.saturating_add(row.size.saturating_sub(facts.received));
    }
    let free = found.f_bavail.saturating_mul(found.f_frsize).saturating_sub(promised);
    if new.size > free {
        let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
        let text = format!(
            "'{}' has {:.2} GiB, and {} has room for {:.2} GiB more: make room there, or import it from a path on the server.",
            new.name,
            gib(new.size),
            place.display(),
            gib(free)
        );
        return Err(Error::field("/size", text).with_status(507));
    }
    Ok(())
}

fn make_file(folder: &Path, path: &Path) -> Result<()> {
    let cannot = |e| Error::unavailable(format!("{} cannot be made", path.display())).because(e);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(cannot)?;
    Ok(())
}

/// Takes the next part, which begins at `offset`. What has come when the connection breaks, stays.
pub async fn append_upload(app: &App, id: Uuid, offset: u64, body: Body) -> Result<Upload> {
    let row = get(&mut app.world.catalog.read().await?, id).await?;
    permitted(&view::upload_facts(app, &row).actions(), "append").map_err(|e| received(app, &row, e))?;
    let file = alone(&app.world.place.upload(id)).await?;
    let length = file.metadata().map_err(unreadable)?.len();
    if length != offset {
        let text = format!("'{}' goes on at byte {length}, not {offset}.", row.name);
        return Err(Error::conflict(text, length));
    }
    let taken = take(file, body, (row.size - length).min(PART)).await;
    let mut tx = app.world.catalog.begin().await?;
    UploadRow::touch(&mut tx, id).await?;
    tx.commit().await?;
    app.feed.publish("upload", id, false);
    taken?;
    Ok(view::upload(app, get(&mut app.world.catalog.read().await?, id).await?))
}

/// What is refused since it is complete, tells so in the way of an offset that does not fit.
fn received(app: &App, row: &UploadRow, error: Error) -> Error {
    let received = view::upload_facts(app, row).received;
    if received == row.size && row.task_id.is_none() {
        return Error::conflict(error.detail, received);
    }
    error
}

fn unreadable(e: std::io::Error) -> Error {
    Error::unavailable("The upload's file cannot be read.").because(e)
}

/// The file for this request alone. One whose connection broke unseen lets go of it after its silence.
async fn alone(path: &Path) -> Result<File> {
    let file = OpenOptions::new().append(true).open(path).map_err(unreadable)?;
    let deadline = tokio::time::Instant::now() + SILENCE + Duration::from_secs(5);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(TryLockError::WouldBlock) => {
                let length = file.metadata().map_err(unreadable)?.len();
                return Err(Error::conflict("Another request is sending this file.", length));
            }
            Err(TryLockError::Error(e)) => return Err(unreadable(e)),
        }
    }
}

/// Writes a body of at most `limit` bytes at the file's end, and makes it durable.
async fn take(mut file: File, body: Body, limit: u64) -> Result<()> {
    let mut parts = body.into_data_stream();
    let (mut held, mut left) = (Vec::new(), limit);
    let ended = loop {
        let part = match tokio::time::timeout(SILENCE, parts.next()).await {
            Ok(Some(Ok(part))) => part,
            Ok(None) => break Ok(()),
            Ok(Some(Err(e))) => break Err(Error::invalid("The connection broke.").because(e)),
            Err(_) => break Err(Error::invalid("The connection was silent for too long.").with_status(408)),
        };
        let Some(rest) = left.checked_sub(part.len() as u64) else {
            let text = format!("The request sends more than the {limit} bytes that one may send here.");
            break Err(Error::invalid(text).with_status(413));
        };
        left = rest;
        held.extend_from_slice(&part);
        if held.len() >= BLOCK {
            (file, held) = written(file, held, false).await?;
        }
    };
    written(file, held, true).await?;
    ended
}

async fn written(mut file: File, mut held: Vec<u8>, sync: bool) -> Result<(File, Vec<u8>)> {
    let work = move || {
        file.write_all(&held)?;
        held.clear();
        if sync {
            file.sync_data()?;
        }
        Ok((file, held))
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::internal("an upload was not written").because(e))?.map_err(|e: std::io::Error| {
        let text = match e.kind() {
            std::io::ErrorKind::StorageFull => "The server's disk is full: make room, then go on.",
            _ => "The upload's file cannot be written.",
        };
        Error::unavailable(text).with_status(507).because(e)
    })
}

/// Deletes an upload that nothing uses.
pub async fn delete_upload(app: &App, actor: &Actor, id: Uuid, comment: &str) -> Result<()> {
    let mut tx = app.world.catalog.begin().await?;
    let row = get(&mut tx, id).await?;
    permitted(&view::upload_facts(app, &row).actions(), "delete")?;
    UploadRow::delete(&mut tx, id).await?;
    audit(&mut tx, actor, "delete_upload", ("upload", id, &row.name), comment).await?;
    tx.commit().await?;
    let _ = fs::remove_file(app.world.place.upload(id));
    app.feed.publish("upload", id, true);
    Ok(())
}

async fn get(tx: &mut Tx, id: Uuid) -> Result<UploadRow> {
    UploadRow::get(tx, id).await?.ok_or_else(|| Error::not_found("upload", id))
}

/// The file of an upload that is complete and that nothing uses; `pointer` is the field that names it.
pub(super) async fn usable(app: &App, tx: &mut Tx, id: Uuid, pointer: &str) -> Result<PathBuf> {
    let row = UploadRow::get(tx, id).await?;
    let row = row.ok_or_else(|| Error::field(pointer, format!("There is no upload {id}.")))?;
    permitted(&view::upload_facts(app, &row).actions(), "use")
        .map_err(|error| Error::field(pointer, error.detail))?;
    Ok(app.world.place.upload(id))
}

/// Deletes uploads that get nothing any more, files that belong to none, CDs of machines that are no more, and what unattended
/// runs left, until the server ends.
pub async fn clear_uploads(app: App) {
    loop {
        if let Err(error) = clear(&app).await {
            tracing::warn!(error = chain(&error), "old uploads were not cleared");
        }
        tokio::time::sleep(CLEARED).await;
    }
}

async fn clear(app: &App) -> Result<()> {
    // Listed before the rows are read: a new one has its file before its row, and both in one transaction.
    let files: Vec<_> = fs::read_dir(app.world.place.uploads()).into_iter().flatten().flatten().collect();
    let runs: Vec<_> = fs::read_dir(app.world.place.runs()).into_iter().flatten().flatten().collect();
    let kept: Vec<_> = fs::read_dir(app.world.place.schedules()).into_iter().flatten().flatten().collect();
    let mut tx = app.world.catalog.begin().await?;
    unattended::clear(app, &mut tx, runs).await?;
    schedules::clear(&mut tx, kept).await?;
    let oldest = moment(Timestamp::now() - KEPT);
    let rows = UploadRow::list(&mut tx).await?;
    let (old, kept): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.updated_at < oldest && row.task_id.is_none());
    let making = VersionRow::with_machine(&mut tx).await?;
    for row in &old {
        UploadRow::delete(&mut tx, row.id).await?;
    }
    tx.commit().await?;
    let makes: HashSet<Uuid> = making.into_iter().map(|version| version.id).collect();
    for cd in fs::read_dir(app.world.place.cds()).into_iter().flatten().flatten() {
        let version = cd.file_name().to_str().and_then(|name| Uuid::parse_str(name).ok());
        if !version.is_some_and(|version| makes.contains(&version)) {
            let _ = fs::remove_dir_all(cd.path());
        }
    }
    let kept: HashSet<String> = kept.iter().map(|row| row.id.to_string()).collect();
    for file in files {
        if !file.file_name().to_str().is_some_and(|name| kept.contains(name)) {
            let _ = fs::remove_file(file.path());
        }
    }
    for row in old {
        tracing::info!(name = row.name, "an upload that got nothing for two days was deleted");
        app.feed.publish("upload", row.id, true);
    }
    Ok(())
}
