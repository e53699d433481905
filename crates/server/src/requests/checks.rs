//! Checking a packaging machine without taking anything from it: the disk of one that is off, the port of one that runs.

use crate::app::App;
use crate::catalog::{ConnectorRow, TaskRow, VersionRow, moment, now};
use crate::error::{Error, Result};
use crate::jobs::{AddVersionInput, findings};
use crate::story::Story;
use crate::view;
use shale_api::{CheckResult, Finding, MachineCheck, VersionState};
use shale_connector::Tag;
use shale_model::{Power, message};
use std::ops::ControlFlow;
use std::path::PathBuf;
use uuid::Uuid;

/// What is outstanding in a machine: read from its disk, if it is off; while it runs, what Shutdown For Finalize told last in it.
pub async fn check_machine(app: &App, id: Uuid) -> Result<MachineCheck> {
    let mut tx = app.world.catalog.read().await?;
    let version = VersionRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("machine", id))?;
    let (Some(name), Some(connector)) = (version.machine_name.clone(), version.connector_id) else {
        return Err(Error::not_found("machine", id));
    };
    let seen = view::observe(app, &mut tx, &version).await?;
    let power = view::power_of(&seen);
    let row = ConnectorRow::get(&mut tx, connector).await?;
    let row = row.ok_or_else(|| Error::not_found("connector configuration", connector))?;
    let task = TaskRow::that_made(&mut tx, id).await?.ok_or_else(|| Error::not_found("machine", id))?;
    drop(tx);
    let port = seen.and_then(|seen| seen.port_log);
    let is_heard = (power == Power::Running).then_some(port.is_some());
    if power == Power::Running
        && let Some(log) = port
        && let Some((at, found)) = live(log).await?
    {
        let blocking = crate::examine::blocking(&found);
        return told(id, moment(at), message::checked_live(&name, blocking), found);
    }
    if version.state != VersionState::Finalizable || power != Power::Off {
        let text = message::not_checked(&name, is_heard);
        let (checked_at, findings) = (now(), Vec::new());
        return Ok(MachineCheck { machine_id: id, checked_at, result: CheckResult::Unknown, text, findings });
    }
    let input: AddVersionInput = serde_json::from_value(task.input)
        .map_err(|e| Error::internal("a task's input cannot be understood").because(e))?;
    let world = app.world.clone();
    let found = tokio::task::spawn_blocking(move || {
        let connector = world.connector(&row)?;
        let refused = |e: shale_connector::Error| Error::internal("a tag cannot be made").because(e);
        let tag = Tag::parse(&id.to_string()).map_err(refused)?;
        let base = (input.base_version_id, input.disk_size);
        let go_on = |_| ControlFlow::Continue(());
        findings(&world, (connector.as_ref(), &tag), base, &go_on).map_err(|e| {
            Error::unavailable(format!("The disk of the machine '{name}' cannot be checked: {}", e.why()))
        })
    });
    let found = found.await.map_err(|e| Error::internal("checking a machine failed").because(e))??;
    let text = match crate::examine::blocking(&found) {
        0 => message::examined(0, found.len()),
        blocking => message::outstanding(blocking),
    };
    told(id, now(), text, found)
}

fn told(
    id: Uuid,
    checked_at: String,
    text: String,
    found: Vec<crate::examine::Finding>,
) -> Result<MachineCheck> {
    let blocks = crate::examine::blocked(&found);
    let findings: Vec<Finding> = serde_json::to_value(found)
        .and_then(serde_json::from_value)
        .map_err(|e| Error::internal("findings cannot be told").because(e))?;
    let result = if blocks { CheckResult::Blocked } else { CheckResult::Clean };
    Ok(MachineCheck { machine_id: id, checked_at, result, text, findings })
}

/// What the tool told last of a machine that runs, and when: from the end of its port's log.
async fn live(log: PathBuf) -> Result<Option<(jiff::Timestamp, Vec<crate::examine::Finding>)>> {
    let read = tokio::task::spawn_blocking(move || Story::at_the_end_of(&log)).await;
    let story = read.map_err(|e| Error::internal("reading a port's log failed").because(e))?;
    Ok(story.map_err(|e| Error::unavailable("The machine's port cannot be read.").because(e))?.checked)
}
