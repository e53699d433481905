//! `/machines`: packaging machines, by the id of the version that is made in them.

use super::answer::{Answer, Body, Path};
use crate::app::App;
use crate::catalog::VersionRow;
use crate::error::Error;
use crate::requests::{self, Actor, MachineOrder};
use crate::view::Scene;
use axum::extract::State;
use axum::{Extension, Json};
use shale_api::{Machine, MachineCheck, MachineFile, MachineFiles, Page};
use std::io::{Read, Seek, SeekFrom};
use uuid::Uuid;

/// Most of a serial log that one answer holds: its end.
const SERIAL_LIMIT: u64 = 1 << 20;

/// List the packaging machines.
#[utoipa::path(get, path = "/machines", tag = "machines", operation_id = "list_machines",
    responses((status = 200, body = Page<Machine>)))]
pub async fn list(State(app): State<App>) -> Answer<Json<Page<Machine>>> {
    let mut tx = app.world.catalog.read().await?;
    let scene = Scene::read(&mut tx).await?;
    let mut items = Vec::new();
    for version in VersionRow::with_machine(&mut tx).await? {
        items.extend(scene.machine(&app, &mut tx, &version).await?);
    }
    Ok(Json(Page { items, next_page_token: None }))
}

async fn find(app: &App, id: Uuid) -> Answer<Machine> {
    let mut tx = app.world.catalog.read().await?;
    let version = VersionRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("machine", id))?;
    let scene = Scene::read(&mut tx).await?;
    scene.machine(app, &mut tx, &version).await?.ok_or_else(|| Error::not_found("machine", id))
}

/// Show a packaging machine.
#[utoipa::path(get, path = "/machines/{id}", tag = "machines", operation_id = "show_machine",
    params(("id" = Uuid, Path)), responses((status = 200, body = Machine)))]
pub async fn show(State(app): State<App>, Path(id): Path<Uuid>) -> Answer<Json<Machine>> {
    Ok(Json(find(&app, id).await?))
}

/// Power a packaging machine on.
#[utoipa::path(post, path = "/machines/{id}/power_on", tag = "machines", operation_id = "power_on_machine", params(("id" = Uuid, Path)),
    responses((status = 200, body = Machine)))]
pub async fn power_on(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
) -> Answer<Json<Machine>> {
    Ok(Json(requests::command_machine(&app, &actor, id, MachineOrder::PowerOn).await?))
}

/// Ask the guest of a packaging machine to shut down.
#[utoipa::path(post, path = "/machines/{id}/shut_down", tag = "machines", operation_id = "shut_down_machine", params(("id" = Uuid, Path)),
    responses((status = 200, body = Machine)))]
pub async fn shut_down(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
) -> Answer<Json<Machine>> {
    Ok(Json(requests::command_machine(&app, &actor, id, MachineOrder::ShutDown).await?))
}

/// Power a packaging machine off at once, without asking its guest.
#[utoipa::path(post, path = "/machines/{id}/power_off", tag = "machines", operation_id = "power_off_machine", params(("id" = Uuid, Path)),
    responses((status = 200, body = Machine)))]
pub async fn power_off(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
) -> Answer<Json<Machine>> {
    Ok(Json(requests::command_machine(&app, &actor, id, MachineOrder::PowerOff).await?))
}

/// Read the serial console's log of a packaging machine: its last MiB.
#[utoipa::path(get, path = "/machines/{id}/serial", tag = "machines", operation_id = "read_serial_log", params(("id" = Uuid, Path)),
    responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn serial(State(app): State<App>, Path(id): Path<Uuid>) -> Answer<String> {
    let machine = find(&app, id).await?;
    let path = machine.serial_log.ok_or_else(|| Error::not_found("serial log of the machine", id))?;
    let tail = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(&path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(SERIAL_LIMIT)))?;
        let mut bytes = Vec::new();
        file.take(SERIAL_LIMIT).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    });
    let bytes = tail.await.map_err(|e| Error::internal("reading a serial log failed").because(e))?;
    let bytes = bytes.map_err(|e| Error::unavailable("The serial log cannot be read.").because(e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Check a packaging machine: what is outstanding on its disk, or, while it runs, what Shutdown For Finalize found there last. Changes
/// nothing.
#[utoipa::path(get, path = "/machines/{id}/check", tag = "machines", operation_id = "check_machine", params(("id" = Uuid, Path)),
    responses((status = 200, body = MachineCheck)))]
pub async fn check(State(app): State<App>, Path(id): Path<Uuid>) -> Answer<Json<MachineCheck>> {
    Ok(Json(requests::check_machine(&app, id).await?))
}

/// List the files that a packaging machine was given.
#[utoipa::path(get, path = "/machines/{id}/files", tag = "machines", operation_id = "list_machine_files", params(("id" = Uuid, Path)),
    responses((status = 200, body = Page<MachineFile>)))]
pub async fn files(State(app): State<App>, Path(id): Path<Uuid>) -> Answer<Json<Page<MachineFile>>> {
    find(&app, id).await?;
    Ok(Json(Page { items: requests::machine_files(&app, id)?, next_page_token: None }))
}

/// Give a packaging machine files, in place of those it has: they are on a read-only CD in its drive.
#[utoipa::path(put, path = "/machines/{id}/files", tag = "machines", operation_id = "put_machine_files", params(("id" = Uuid, Path)),
    request_body = MachineFiles, responses((status = 200, body = Machine)))]
pub async fn put_files(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<Uuid>,
    Body(wanted): Body<MachineFiles>,
) -> Answer<Json<Machine>> {
    Ok(Json(requests::put_machine_files(&app, &actor, id, wanted).await?))
}
