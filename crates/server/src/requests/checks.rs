//! Checking a packaging machine without taking anything from it.

use crate::app::App;
use crate::catalog::{ConnectorRow, TaskRow, VersionRow, now};
use crate::error::{Error, Result};
use crate::jobs::{AddVersionInput, findings};
use crate::view;
use shale_api::{CheckResult, Finding, MachineCheck, VersionState};
use shale_connector::Tag;
use shale_model::{Power, message};
use std::ops::ControlFlow;
use uuid::Uuid;

/// What is outstanding in a machine: read from its disk, which it must not be writing to.
pub async fn check_machine(app: &App, id: Uuid) -> Result<MachineCheck> {
    let mut tx = app.world.catalog.read().await?;
    let version = VersionRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("machine", id))?;
    let (Some(name), Some(connector)) = (version.machine_name.clone(), version.connector_id) else {
        return Err(Error::not_found("machine", id));
    };
    let power = view::power_of(&view::observe(app, &mut tx, &version).await?);
    let row = ConnectorRow::get(&mut tx, connector).await?;
    let row = row.ok_or_else(|| Error::not_found("connector configuration", connector))?;
    let task = TaskRow::that_made(&mut tx, id).await?.ok_or_else(|| Error::not_found("machine", id))?;
    drop(tx);
    if version.state != VersionState::Finalizable || power != Power::Off {
        let text = message::not_checked(&name, power == Power::Running);
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
    let is_blocked = crate::examine::blocked(&found);
    let findings: Vec<Finding> = serde_json::to_value(found)
        .and_then(serde_json::from_value)
        .map_err(|e| Error::internal("findings cannot be told").because(e))?;
    let blocking = findings.iter().filter(|one| one.severity == shale_api::Severity::Blocks).count();
    Ok(MachineCheck {
        machine_id: id,
        checked_at: now(),
        result: if is_blocked { CheckResult::Blocked } else { CheckResult::Clean },
        text: match is_blocked {
            true => message::outstanding(blocking),
            false => message::examined(0, findings.len()),
        },
        findings,
    })
}
