//! Schedules: made, changed, and run when they are due.
//!
//! ```text
//!   each moment: which are due? ─▶ more than an hour ago? ── yes ─▶ missed: said, and waits for the next time
//!                                        │ no
//!                                        ▼
//!                                 add_version, under an id that follows from schedule and time ─▶ noted, next time
//!                                        └ refused (the layer is busy, say): noted, next time
//! ```
//!
//! Cut off between the two, the next start finds the version under its id, and notes it: nothing is run twice.

use super::versions::{Scheduled, add_version_with, created};
use super::{Actor, Identity, audit, rule, unattended};
use crate::app::App;
use crate::catalog::{ConnectorRow, LayerRow, ScheduleRow, TaskRow, Tx, VersionRow, Window, moment, now};
use crate::error::{Error, Result, chain};
use crate::kit::{self, Attached, Staged};
use crate::timetable::{Timetable, zone};
use crate::view::{self, Scene, shown};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shale_api::{
    AddVersion, EditSchedule, NewSchedule, RunSchedule, Schedule, ScheduleRun, ScheduledVersion,
    VersionCreated, VersionState,
};
use shale_model::{Role, ScheduleFacts, message};
use std::fs;
use std::time::Duration;
use uuid::Uuid;

/// Where the script is in a request for a schedule.
const AT: &str = "/version/unattended";
/// How often it is looked at what is due.
const ROUND: Duration = Duration::from_secs(5);
/// How late a run may begin: the server was off, or busy. What is later than that would come at a time that nobody chose.
const LATE: SignedDuration = SignedDuration::from_hours(1);

/// Makes a schedule.
pub async fn create_schedule(app: &App, actor: &Actor, new: NewSchedule) -> Result<Schedule> {
    let known = ScheduleRow::get(&mut app.world.catalog.read().await?, new.id).await?;
    let staged = if known.is_none() { staged(app, &new.version).await? } else { None };
    let mut tx = app.world.catalog.begin().await?;
    if let Some(known) = ScheduleRow::get(&mut tx, new.id).await? {
        return match known.name == new.name && known.layer_id == new.layer_id {
            true => {
                let scene = Scene::read(&mut tx).await?;
                seen(app, &mut tx, &scene, known).await
            }
            false => Err(Error::exists(format!("The id {} belongs to another schedule.", new.id))),
        };
    }
    let at = now();
    let uploads = new.version.unattended.upload_ids.clone();
    let mut row = ScheduleRow {
        id: new.id,
        name: new.name,
        when: new.when,
        time_zone: new.time_zone,
        enabled: new.enabled,
        layer_id: new.layer_id,
        version: Ok(new.version),
        files_id: Uuid::now_v7(),
        next_run_at: None,
        last_at: None,
        last_version_id: None,
        last_text: None,
        created_by: actor.name.clone(),
        created_at: at.clone(),
        updated_at: at,
    };
    check(&mut tx, &mut row, true).await?;
    keep_files(app, &mut tx, &mut row, staged).await?;
    row.write(&mut tx).await?;
    audit(&mut tx, actor, "create_schedule", ("schedule", row.id, &row.name), &new.comment).await?;
    tx.commit().await?;
    unattended::forget(app, &uploads);
    finish(app, row).await
}

/// Changes a schedule.
pub async fn edit_schedule(app: &App, actor: &Actor, id: Uuid, edit: EditSchedule) -> Result<Schedule> {
    let staged = match &edit.version {
        Some(version) => staged(app, version).await?,
        None => None,
    };
    let mut tx = app.world.catalog.begin().await?;
    let mut row = get(&mut tx, id).await?;
    row.name = edit.name.unwrap_or(row.name);
    row.when = edit.when.unwrap_or(row.when);
    row.time_zone = edit.time_zone.unwrap_or(row.time_zone);
    row.enabled = edit.enabled.unwrap_or(row.enabled);
    // One that is only disabled, say, need not be able to run.
    let is_new = edit.version.is_some();
    row.version = edit.version.map_or(row.version, Ok);
    let uploads = row.version.iter().flat_map(|made| made.unattended.upload_ids.clone()).collect::<Vec<_>>();
    let can_run = is_new || row.enabled;
    check(&mut tx, &mut row, can_run).await?;
    keep_files(app, &mut tx, &mut row, staged).await?;
    row.write(&mut tx).await?;
    audit(&mut tx, actor, "edit_schedule", ("schedule", id, &row.name), &edit.comment).await?;
    tx.commit().await?;
    unattended::forget(app, &uploads);
    finish(app, row).await
}

/// Deletes a schedule. Versions that it made stay.
pub async fn delete_schedule(app: &App, actor: &Actor, id: Uuid, comment: &str) -> Result<()> {
    let mut tx = app.world.catalog.begin().await?;
    let row = get(&mut tx, id).await?;
    ScheduleRow::delete(&mut tx, id).await?;
    audit(&mut tx, actor, "delete_schedule", ("schedule", id, &row.name), comment).await?;
    tx.commit().await?;
    let _ = fs::remove_dir_all(app.world.place.schedule_files(row.files_id)); // else the next clearing takes it
    app.feed.publish("schedule", id, true);
    Ok(())
}

/// Runs a schedule now, beside the times at which it is due.
pub async fn run_schedule(app: &App, actor: &Actor, id: Uuid, order: RunSchedule) -> Result<VersionCreated> {
    let mut tx = app.world.catalog.read().await?;
    let row = get(&mut tx, id).await?;
    let begun = VersionRow::get(&mut tx, order.id).await?;
    let task = TaskRow::that_made(&mut tx, order.id).await?;
    drop(tx);
    let (created, due) = match (begun, task) {
        (None, None) => {
            let due = Timestamp::now();
            (begin(app, &row, (order.id, due), actor, &order.comment).await?, due)
        }
        // Whatever the schedule says by now, it is that run; it was due when it was asked for first.
        (Some(begun), Some(task)) if task.request == request_of(row.id, order.id) => {
            let due = begun.created_at.parse().unwrap_or_else(|_| Timestamp::now());
            (created(app, order.id, task).await?, due)
        }
        (None, Some(_)) => {
            let text = "The version of this run was given up: run the schedule under another id.";
            return Err(Error::exists(text));
        }
        (Some(_), _) => {
            return Err(Error::exists(format!("The id {} belongs to another version.", order.id)));
        }
    };
    if row.last_at.as_deref().is_none_or(|last| last <= moment(due).as_str()) {
        noted(app, &row, due, Ok(order.id), None).await?;
    }
    Ok(created)
}

/// A run of a schedule as its task keeps what was asked for: what the schedule said then is in the task's input.
fn request_of(schedule: Uuid, version: Uuid) -> Value {
    json!({ "schedule_id": schedule, "id": version })
}

async fn get(tx: &mut Tx, id: Uuid) -> Result<ScheduleRow> {
    ScheduleRow::get(tx, id).await?.ok_or_else(|| Error::not_found("schedule", id))
}

/// Refuses what could not be run, or, where it need not, what is not understood; sets when it is due next, and the words of that in their one form.
async fn check(tx: &mut Tx, row: &mut ScheduleRow, can_run: bool) -> Result<()> {
    let taken = ScheduleRow::by_name(tx, &row.name).await?.is_some_and(|other| other.id != row.id);
    rule("/name", shale_model::layer_name(&row.name, taken))?;
    let table = Timetable::parse(&row.when).map_err(|why| Error::field("/when", why))?;
    let zone = zone(&row.time_zone).map_err(|why| Error::field("/time_zone", why))?;
    let layer = LayerRow::get(tx, row.layer_id).await?;
    layer.ok_or_else(|| Error::field("/layer_id", "There is no such layer."))?;
    row.when = table.to_string();
    row.next_run_at = row.enabled.then(|| next(&table, &zone, Timestamp::now())).flatten();
    let version = match &row.version {
        Ok(version) => version,
        Err(_) if can_run => return Err(Error::field("/version", message::unreadable_schedule(&row.name))),
        Err(_) => return Ok(()),
    };
    if can_run {
        if ConnectorRow::get(tx, version.connector_id).await?.is_none() {
            return Err(Error::field("/version/connector_id", "There is no such connector configuration."));
        }
        for version in row.parts() {
            let found = VersionRow::get(tx, version).await?;
            if found.is_none_or(|found| found.state != VersionState::Deployable) {
                return Err(Error::field("/version", format!("There is no deployable version {version}.")));
            }
        }
    }
    let name = named(&version.name, Timestamp::now(), &zone);
    rule("/version/name", shale_model::version_name(&name, false))?;
    rule("/version/description", shale_model::description(&version.description))?;
    rule(
        "/version/packaging_disk/file_name",
        shale_model::packaging_disk_file_name(&version.packaging_disk.file_name),
    )
}

fn next(table: &Timetable, zone: &jiff::tz::TimeZone, after: Timestamp) -> Option<String> {
    table.next(after, zone).map(moment)
}

/// The name of a version that was due at a moment.
fn named(pattern: &str, due: Timestamp, zone: &jiff::tz::TimeZone) -> String {
    let due = due.to_zoned(zone.clone());
    let (date, time) = (due.strftime("%Y-%m-%d").to_string(), due.strftime("%H-%M").to_string());
    pattern.replace("{date}", &date).replace("{time}", &time)
}

/// Lays the uploads that a schedule names ready, before the transaction that stores it; none where it names none.
async fn staged(app: &App, version: &ScheduledVersion) -> Result<Option<Staged>> {
    if version.unattended.upload_ids.is_empty() {
        return Ok(None);
    }
    let mut tx = app.world.catalog.read().await?;
    let files = unattended::attached(app, &mut tx, AT, &version.unattended.upload_ids).await?;
    drop(tx);
    unattended::checked(AT, &version.unattended, &files)?;
    let above = app.world.place.schedules();
    unattended::laid(move || Staged::files(&above, &files)).await.map(Some)
}

/// Puts the files that a schedule names into a folder of its own. Without any, it keeps what it has.
async fn keep_files(app: &App, tx: &mut Tx, row: &mut ScheduleRow, staged: Option<Staged>) -> Result<()> {
    let Ok(version) = &mut row.version else { return Ok(()) };
    let uploads = std::mem::take(&mut version.unattended.upload_ids);
    // Somebody else may have used them up meanwhile.
    unattended::attached(app, tx, AT, &uploads).await?;
    let Some(staged) = staged else {
        // A script under another name may be called like one of them.
        return unattended::checked(AT, &version.unattended, &files(app, row.files_id)?);
    };
    row.files_id = Uuid::now_v7();
    staged.put(&app.world.place.schedule_files(row.files_id))?;
    unattended::used_up(tx, &uploads).await
}

/// The files in a schedule's folder.
fn files(app: &App, id: Uuid) -> Result<Vec<Attached>> {
    let folder = app.world.place.schedule_files(id);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let attached = |file: crate::cd::Source| Attached { name: file.name, path: file.path };
    Ok(kit::sources(&folder)?.into_iter().map(attached).collect())
}

async fn finish(app: &App, row: ScheduleRow) -> Result<Schedule> {
    app.feed.publish("schedule", row.id, false);
    let mut tx = app.world.catalog.read().await?;
    let row = get(&mut tx, row.id).await?;
    let scene = Scene::read(&mut tx).await?;
    seen(app, &mut tx, &scene, row).await
}

/// A schedule as people see it.
pub async fn seen(app: &App, tx: &mut Tx, scene: &Scene, row: ScheduleRow) -> Result<Schedule> {
    let layer = LayerRow::get(tx, row.layer_id).await?;
    let layer = layer.ok_or_else(|| Error::internal(format!("the schedule '{}' has no layer", row.name)))?;
    let marks = VersionRow::marks(tx, layer.id).await?;
    let may_run = shale_model::permitted(&scene.layer_facts(&layer, &marks).actions(), "add_version");
    let facts = ScheduleFacts { name: row.name.clone(), is_unreadable: row.version.is_err(), layer: may_run };
    let names = files(app, row.files_id)?.into_iter().map(|file| file.name).collect();
    let last = last_run(app, tx, &row).await?;
    Ok(Schedule {
        id: row.id,
        name: row.name,
        when: row.when,
        time_zone: row.time_zone,
        enabled: row.enabled,
        next_run_at: row.next_run_at,
        layer_id: row.layer_id,
        layer_name: layer.name,
        version: row.version.ok(),
        files: names,
        last,
        created_by: row.created_by,
        created_at: row.created_at,
        updated_at: row.updated_at,
        actions: shown("schedule", facts.actions()),
    })
}

async fn last_run(app: &App, tx: &mut Tx, row: &ScheduleRow) -> Result<Option<ScheduleRun>> {
    let Some(at) = row.last_at.clone() else { return Ok(None) };
    let run = |outcome: &str, text, version_id, task_id| {
        Some(ScheduleRun { at, outcome: outcome.into(), text, version_id, task_id })
    };
    let Some(version) = row.last_version_id else {
        let is_missed = row.last_text.as_deref().is_some_and(|text| text.starts_with(MISSED));
        return Ok(run(if is_missed { "missed" } else { "refused" }, row.last_text.clone(), None, None));
    };
    let Some(task) = TaskRow::that_made(tx, version).await? else { return Ok(run("done", None, None, None)) };
    let task = view::task(app, tx, task).await?;
    let there = VersionRow::get(tx, version).await?.map(|row| row.id);
    Ok(run(&task.state, task.error, there, Some(task.id)))
}

/// How a text begins that says of a run that it was missed.
const MISSED: &str = "Missed: ";

/// Runs schedules when they are due, until the server ends.
pub async fn run_schedules(app: App) {
    loop {
        if let Err(error) = run_due(&app, Timestamp::now()).await {
            tracing::warn!(error = chain(&error), "schedules could not be looked at");
        }
        tokio::time::sleep(ROUND).await;
    }
}

/// Runs the schedules that are due at `at`.
pub async fn run_due(app: &App, at: Timestamp) -> Result<()> {
    let due = ScheduleRow::due(&mut app.world.catalog.read().await?, &moment(at)).await?;
    for row in due {
        let Some(due) = row.next_run_at.as_deref().and_then(|due| due.parse::<Timestamp>().ok()) else {
            continue;
        };
        let late = at.duration_since(due);
        let id = run_id(row.id, due);
        // Its version may be gone again; its task tells that it was begun.
        let begun = TaskRow::that_made(&mut app.world.catalog.read().await?, id).await?;
        let became = if begun.is_some() {
            Ok(id)
        } else if late > LATE {
            Err(format!(
                "{MISSED}the server was not running, or could not begin it, for {} minutes.",
                late.as_mins()
            ))
        } else {
            let actor = Actor {
                name: format!("schedule '{}'", row.name),
                role: Role::Editor,
                identity: Identity::Server,
            };
            begin(app, &row, (id, due), &actor, "")
                .await
                .map(|created| created.version.id)
                .map_err(|e| chain(&e))
        };
        if let Err(why) = &became {
            tracing::warn!(schedule = row.name, why, "a schedule was not run");
        }
        // One that cannot be noted is due again; it does not keep the others.
        if let Err(error) = noted(app, &row, due, became, Some(at)).await {
            tracing::warn!(
                schedule = row.name,
                error = chain(&error),
                "a run of a schedule could not be noted"
            );
        }
    }
    Ok(())
}

/// Begins the run that was due at a moment, by the id of its version; one that has begun is answered as it is.
async fn begin(
    app: &App,
    row: &ScheduleRow,
    (id, due): (Uuid, Timestamp),
    actor: &Actor,
    comment: &str,
) -> Result<VersionCreated> {
    let zone = zone(&row.time_zone).map_err(Error::internal)?;
    let version = row.version.clone().map_err(|unreadable| {
        Error::not_allowed(message::unreadable_schedule(&row.name)).because(unreadable.why)
    })?;
    let name = free_name(app, row.layer_id, id, &named(&version.name, due, &zone)).await?;
    let comment = match comment.is_empty() {
        true => format!("By the schedule '{}'.", row.name),
        false => comment.to_owned(),
    };
    let extra = Scheduled { request: request_of(row.id, id), files: files(app, row.files_id)? };
    add_version_with(app, actor, row.layer_id, wanted(version, id, name, comment), Some(extra)).await
}

fn wanted(version: ScheduledVersion, id: Uuid, name: String, comment: String) -> AddVersion {
    AddVersion {
        id,
        name,
        description: version.description,
        max_layer_size_gib: version.max_layer_size_gib,
        base_version_id: None,
        os_version_id: version.os_version_id,
        prerequisite_version_ids: version.prerequisite_version_ids,
        connector_id: version.connector_id,
        platform_version_id: version.platform_version_id,
        packaging_disk: version.packaging_disk,
        unattended: Some(version.unattended),
        comment,
    }
}

/// The id of the version of a run: the same for the same schedule and moment. Ids tell which version is the newest, so that it is one
/// of that moment (UUIDv7) as a client's is.
fn run_id(schedule: Uuid, due: Timestamp) -> Uuid {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"shale scheduled version 2");
    hasher.update(schedule.as_bytes());
    hasher.update(&due.as_millisecond().to_le_bytes());
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..10]);
    let due = u64::try_from(due.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(due, &bytes).into_uuid()
}

/// A name that no version of the layer has but the one with this id.
async fn free_name(app: &App, layer: Uuid, id: Uuid, name: &str) -> Result<String> {
    let mut tx = app.world.catalog.read().await?;
    let all = Window { after: None, limit: i64::MAX };
    let others = VersionRow::of_layer(&mut tx, layer, &all).await?;
    if let Some(known) = others.iter().find(|version| version.id == id) {
        return Ok(known.name.clone());
    }
    let numbered = (2..).map(|number| format!("{name} ({number})"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    let free = names.find(|name| !others.iter().any(|version| version.name == *name));
    Ok(free.unwrap_or_else(|| name.to_owned()))
}

/// Notes what became of a run, and when the next is due if this was not one beside the times. A schedule that was changed meanwhile
/// is due as it says now.
async fn noted(
    app: &App,
    row: &ScheduleRow,
    due: Timestamp,
    became: std::result::Result<Uuid, String>,
    moved: Option<Timestamp>,
) -> Result<()> {
    let mut tx = app.world.catalog.begin().await?;
    let Some(mut now) = ScheduleRow::get(&mut tx, row.id).await? else { return Ok(()) };
    now.last_at = Some(moment(due));
    now.last_version_id = became.as_ref().ok().copied();
    now.last_text = became.err();
    if let Some(at) = moved.filter(|_| now.next_run_at == row.next_run_at) {
        now.next_run_at = match (Timetable::parse(&now.when), zone(&now.time_zone)) {
            (Ok(table), Ok(zone)) => next(&table, &zone, at),
            (Err(why), _) | (_, Err(why)) => {
                tracing::warn!(schedule = now.name, why, "a schedule is not due any more until it is edited");
                None
            }
        };
    }
    now.write(&mut tx).await?;
    tx.commit().await?;
    app.feed.publish("schedule", row.id, false);
    Ok(())
}

/// Lets go of folders that no schedule has any more. `listed` are those that were there before the transaction began.
pub(super) async fn clear(tx: &mut Tx, listed: Vec<fs::DirEntry>) -> Result<()> {
    let kept = ScheduleRow::folders(tx).await?;
    for folder in listed {
        let is_kept = kept.iter().any(|name| folder.file_name().to_str() == Some(name));
        if kit::is_forgotten(&folder) || !is_kept && !kit::is_staged(&folder) {
            let _ = fs::remove_dir_all(folder.path()); // tried again with the next clearing
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_one_id_whenever_it_is_asked_for_and_a_name_of_its_own_time() {
        let (schedule, due) = (Uuid::now_v7(), "2026-11-24T21:00:00Z".parse::<Timestamp>().unwrap());
        assert_eq!(run_id(schedule, due), run_id(schedule, due));
        assert_ne!(run_id(schedule, due), run_id(schedule, due + SignedDuration::from_secs(60)));
        assert_ne!(run_id(schedule, due), run_id(Uuid::now_v7(), due));
        let next = run_id(schedule, due + SignedDuration::from_hours(24));
        assert!(next > run_id(schedule, due), "the newer version is the one that was due later");
        assert!(Uuid::now_v7() < run_id(schedule, Timestamp::now() + SignedDuration::from_secs(1)));
        let berlin = zone("Europe/Berlin").unwrap();
        assert_eq!(named("patched {date} {time}", due, &berlin), "patched 2026-11-24 22-00");
    }
}
