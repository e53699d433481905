//! `examine`, a step of [`super::add_version`]: what is outstanding on the machine's disk, before anything is taken from it.
//!
//! ```text
//!   off? ──▶ disk as it was left, over what it began as ──▶ crate::examine ──▶ nothing blocks ──▶ done, with the warnings
//!                                                                    └──▶ something does ──▶ waits, with the list; the next
//!                                                                         "finalize" examines again, or is "anyway"
//! ```

use super::OrFail;
use super::add_version::{self as job, Bench, WORK, finalizing, needs, not_off, wait_for_person};
use crate::catalog::{LayerRow, VersionRow};
use crate::examine::{self, Finding, blocked};
use crate::stored::seen;
use crate::world::World;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shale_connector::{Connector, Tag};
use shale_disk::{Disk, Watch};
use shale_model::{LayerKind, message};
use shale_task::{Context, OnFailure, Outcome, Step, StepError};
use std::sync::Arc;
use uuid::Uuid;

/// Name of the step; its output holds `findings`.
pub const EXAMINE: &str = "examine";

/// What comes with the signal "finalize".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalizeOrder {
    /// Whatever is outstanding, it is taken.
    pub anyway: bool,
    /// Why, in that case.
    pub reason: String,
    /// Who said so.
    pub by: String,
}

impl FinalizeOrder {
    /// What was said last: to this step, or to the one before. A signal without words is a plain one.
    fn of(cx: &Context) -> Self {
        let said = cx.signal().map(|(_, said)| said).or_else(|| cx.output(WORK));
        said.and_then(|said| serde_json::from_value(said.clone()).ok()).unwrap_or_default()
    }
}

/// What is outstanding on the disk of a machine that is off. `base` is the version it began as.
pub fn findings(
    world: &World,
    (connector, tag): (&dyn Connector, &Tag),
    (base, size): (Uuid, u64),
    watch: Watch,
) -> Result<Vec<Finding>, StepError> {
    let changes: Arc<dyn Disk> = Arc::from(connector.open_changes(tag, watch).or_fail()?.disk);
    let (now, base) = seen(changes, world.repository.version(base.into()).or_fail()?, size).or_fail()?;
    let found = examine::examine(&world.files_program(), &now, &base).or_fail()?;
    let id = Uuid::parse_str(tag.as_str()).ok();
    let layer = world.wait(async {
        let mut tx = world.catalog.read().await?;
        let Some(version) = VersionRow::get(&mut tx, id.unwrap_or_default()).await? else { return Ok(None) };
        LayerRow::get(&mut tx, version.layer_id).await
    });
    Ok(match layer.or_fail()?.map(|layer| layer.kind) {
        Some(LayerKind::Platform) => examine::for_platform_layer(found),
        _ => found,
    })
}

pub(super) struct Examine;

impl Step<World> for Examine {
    fn name(&self) -> &'static str {
        EXAMINE
    }

    /// What a person did in the machine is never thrown away because its disk cannot be read.
    fn on_failure(&self) -> OnFailure {
        OnFailure::Ask
    }

    fn tries(&self) -> u32 {
        3
    }

    fn ask(&self, world: &World, cx: &Context, why: &str) -> Value {
        let mut asked = job::ask_again(world, cx, why);
        offer_anyway(&mut asked);
        asked
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let bench = Bench::of(world, cx)?;
        let order = FinalizeOrder::of(cx);
        if let Some(problem) = not_off(&bench)? {
            wait_for_person(world, bench.input.version_id)?;
            return Ok(Outcome::Wait(needs(&bench, Some(problem))?));
        }
        finalizing(world, bench.input.version_id)?;
        let machine = (bench.connector.as_ref(), &bench.tag);
        let base = (bench.input.base_version_id, bench.input.disk_size);
        let found = match findings(world, machine, base, &cx.watch(None)) {
            // What cannot be examined is taken all the same where that was said; what cannot be read is not.
            Err(e) if order.anyway && e.retry() == shale_task::Retry::Never => {
                return Ok(Outcome::Done(json!({ "note": e.why(), "anyway": order })));
            }
            other => other?,
        };
        let blocks =
            found.iter().filter(|one| one.severity == shale_guest::catalogue::Severity::Blocks).count();
        if blocked(&found) && !order.anyway {
            wait_for_person(world, bench.input.version_id)?;
            let mut waits = needs(&bench, Some(message::outstanding(blocks)))?;
            waits["findings"] = json!(found);
            offer_anyway(&mut waits);
            return Ok(Outcome::Wait(waits));
        }
        let note = message::examined(blocks, found.len() - blocks);
        let anyway = order.anyway.then_some(order);
        Ok(Outcome::Done(json!({ "note": note, "findings": found, "anyway": anyway })))
    }

    fn undo(&self, _: &World, _: &Context) -> Result<(), StepError> {
        Ok(())
    }
}

fn offer_anyway(needs: &mut Value) {
    if let Some(actions) = needs.get_mut("actions").and_then(Value::as_array_mut) {
        actions.push("finalize_anyway".into());
    }
}
