//! `examine`, a step of [`super::add_version`]: what is outstanding on the machine's disk, before anything is taken from it.
//!
//! ```text
//!   off? ──▶ disk as it was left, over what it began as ──▶ crate::examine ──▶ nothing blocks ──▶ done, with the warnings
//!                                                                    └──▶ something does ──▶ waits, with the list; the next
//!                                                                         "finalize" examines again, or is "anyway"
//! ```

use super::OrFail;
use super::add_version::{
    self as job, Bench, WORK, finalizing, needs, not_off, unless_discarded, wait_for_person,
};
use crate::catalog::LayerRow;
use crate::examine::{self, Finding, Heard, blocking};
use crate::stored::seen;
use crate::story::Story;
use crate::world::World;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shale_connector::{Connector, Tag};
use shale_disk::{Disk, Watch};
use shale_model::{LayerKind, message};
use shale_task::{Context, OnFailure, Outcome, Step, StepError};
use std::path::PathBuf;
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
    pub(super) fn of(cx: &Context) -> Self {
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
    let heard = heard(connector.observe(tag).or_fail()?.port_log);
    let found = examine::examine(&world.files_program(), &now, &base, &heard).or_fail()?;
    let id = Uuid::parse_str(tag.as_str()).ok();
    let layer = world.wait(async {
        let mut tx = world.catalog.read().await?;
        LayerRow::of_version(&mut tx, id.unwrap_or_default()).await
    });
    Ok(match layer.or_fail()?.map(|layer| layer.kind) {
        Some(LayerKind::Platform) => examine::for_platform_layer(found),
        _ => found,
    })
}

/// What the tool said on a machine's port, whose log this is.
fn heard(log: Option<PathBuf>) -> Heard {
    match log.map(|log| Story::at_the_end_of(&log)) {
        Some(Ok(story)) => story.checked.map_or(Heard::Nothing, |(_, findings)| Heard::Checked(findings)),
        // A log that cannot be read tells no more than none.
        Some(Err(_)) | None => Heard::NoPort,
    }
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
        unless_discarded(cx, self.tries(), Self::examined(world, cx))
    }

    fn undo(&self, _: &World, _: &Context) -> Result<(), StepError> {
        Ok(())
    }
}

impl Examine {
    /// Nothing is outstanding, or it is taken anyway; else what is, for a person.
    pub(super) fn examined(world: &World, cx: &Context) -> Result<Outcome, StepError> {
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
        let blocks = blocking(&found);
        if blocks > 0 && !order.anyway {
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
}

fn offer_anyway(needs: &mut Value) {
    if let Some(actions) = needs.get_mut("actions").and_then(Value::as_array_mut) {
        actions.push("finalize_anyway".into());
    }
}
