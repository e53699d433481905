//! The server itself: audit, doctor, version, health.

use super::answer::{Answer, Paging, Query};
use super::connectors::checks_of;
use crate::app::App;
use crate::catalog::{ConnectorRow, audit_entries};
use crate::error::Error;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use shale_api::{AuditEntry, Check, CheckOutcome, Doctor, Page, ServerInfo};

/// Free room in the data directory below which people are warned.
const LITTLE_ROOM: u64 = 10 << 30;

/// List who did what, newest first.
#[utoipa::path(get, path = "/audit", tag = "system", operation_id = "list_audit", params(Paging),
    responses((status = 200, body = Page<AuditEntry>)))]
pub async fn audit(State(app): State<App>, Query(paging): Query<Paging>) -> Answer<Json<Page<AuditEntry>>> {
    let mut tx = app.world.catalog.read().await?;
    let rows = audit_entries(&mut tx, &paging.window()?).await?;
    Ok(Json(paging.page(rows, |entry| entry.seq.to_string())))
}

/// Look at the server and its host, line by line.
#[utoipa::path(get, path = "/doctor", tag = "system", operation_id = "examine_server", responses((status = 200, body = Doctor)))]
pub async fn doctor(State(app): State<App>) -> Answer<Json<Doctor>> {
    let mut checks = vec![room(&app), tools(&app)];
    let mut tx = app.world.catalog.read().await?;
    let rows = ConnectorRow::list(&mut tx).await?;
    drop(tx);
    if rows.is_empty() {
        checks.push(Check {
            name: "connectors".into(),
            outcome: CheckOutcome::Warning,
            detail: "There is no connector configuration.".into(),
            hint: Some("Add one: shale connector add local --kind local".into()),
            fix: None,
        });
    }
    for row in rows {
        let name = row.name.clone();
        let found = checks_of(&app, row).await?;
        checks.extend(
            found.into_iter().map(|check| Check { name: format!("{name}: {}", check.name), ..check }),
        );
    }
    let ok = checks.iter().all(|check| check.outcome != CheckOutcome::Failed);
    Ok(Json(Doctor { ok, checks }))
}

/// Whether packaging machines get Shutdown For Finalize.
fn tools(app: &App) -> Check {
    let tools = &app.world.tools;
    let (outcome, detail, hint) = match (tools.folder(), tools.missing().join(" and ")) {
        (Some(folder), none) if none.is_empty() => {
            (CheckOutcome::Ok, format!("They are in {}.", folder.display()), None)
        }
        (_, missing) => (
            CheckOutcome::Warning,
            format!(
                "Shutdown For Finalize is not there for {missing}: packaging machines with such a system do not get it, and \
                 finalizing them stops and asks for it."
            ),
            Some("Put it into the folder 'guest' beside shaled; scripts/guest-tools builds it.".to_owned()),
        ),
    };
    Check { name: "tools".into(), outcome, detail, hint, fix: None }
}

fn room(app: &App) -> Check {
    let place = app.world.place.root();
    let (outcome, detail) = match rustix::fs::statvfs(place) {
        Ok(found) => {
            let free = found.f_bavail * found.f_frsize;
            let outcome = if free < LITTLE_ROOM { CheckOutcome::Warning } else { CheckOutcome::Ok };
            (outcome, format!("{}: {:.1} GiB free", place.display(), free as f64 / (1u64 << 30) as f64))
        }
        Err(e) => (CheckOutcome::Failed, format!("{} cannot be looked at: {e}", place.display())),
    };
    let hint = (outcome != CheckOutcome::Ok).then(|| "Make room, or move the data directory.".to_owned());
    Check { name: "data directory".into(), outcome, detail, hint, fix: None }
}

/// Which server this is.
#[utoipa::path(get, path = "/version", tag = "system", operation_id = "show_server",
    responses((status = 200, body = ServerInfo)))]
pub async fn version() -> Json<ServerInfo> {
    Json(super::session::server_info())
}

/// Whether the process answers.
pub async fn healthy() -> &'static str {
    "ok\n"
}

/// Whether it can work: the catalog answers and the repository is there.
pub async fn ready(State(app): State<App>) -> Result<&'static str, (StatusCode, String)> {
    let not = |text: String| (StatusCode::SERVICE_UNAVAILABLE, text + "\n");
    app.world.catalog.read().await.map_err(|e: Error| not(e.to_string()))?;
    match app.world.repository.directory().is_dir() {
        true => Ok("ready\n"),
        false => Err(not("The repository's directory is gone.".into())),
    }
}
