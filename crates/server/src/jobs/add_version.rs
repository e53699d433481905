//! `add_version`: a packaging machine on a connector, a person at work in it, and what they changed becomes a version.
//!
//! ```text
//!   reserve ▶ compose ▶ disk ▶ machine ▶ power_on ▶ work ⏸ ──finalize──▶ examine ──▶ take ──▶ commit ──▶ clear
//!                                          ▲  the machine runs │  ▲ │ ⏸     ▲ │ ⏸  something is outstanding, or it
//!                                          └───────────────────┘  └─┘       └─┘    cannot be taken: say what, wait; nothing
//!                                                                                  is lost, the machine stays as it is
//! ```
//!
//! Where a script does the work (see [`super::script`]), `work` follows it and waits for nobody, unless it fails.
//!
//! The machine carries the version's id as its tag; every undo removes whatever carries it.

use super::compose::{self, COMPOSE};
use super::examine::{Examine, FinalizeOrder};
use super::import::commit;
use super::script::{self, Run};
use super::take::{Makes, take};
use super::{OrFail, RESERVE, change};
use crate::catalog::{LayerRow, VersionRow, now};
use crate::composition::Composition;
use crate::requests::{give_kit, give_tools};
use crate::stored::{Differing, StoredDisk};
use crate::world::World;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shale_connector::{Connector, Firmware, MachineSpec, Origin, Power, Tag};
use shale_disk::Disk;
use shale_model::{VersionEvent, VersionState, message};
use shale_store::Version;
use shale_task::{Context, Kind, OnFailure, Outcome, Retry, Step, StepError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// How often a step on a platform is tried, with pauses that grow to a minute: about six minutes in all, as long as a
/// pool may be without a coordinator. Going back is more patient still.
pub(super) const TRIES: u32 = 12;
/// About twenty minutes.
pub(super) const UNDO_TRIES: u32 = 26;

/// Name of the step that waits for a person; its output is what came with their signal.
pub(super) const WORK: &str = "work";
/// The signal that ends the work in the machine.
pub const FINALIZE: &str = "finalize";

/// What adding a version must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AddVersionInput {
    /// The version to be made; also the machine's tag.
    pub version_id: Uuid,
    /// What the machine starts from: a version of the layer, or a composition.
    pub base_version_id: Uuid,
    /// Where the machine runs.
    pub connector_id: Uuid,
    /// The machine's name.
    pub machine_name: String,
    /// Bytes of the guest's disk.
    pub disk_size: u64,
    /// `bios` or `uefi`.
    pub firmware: Firmware,
    /// Disks to be put together first; what the machine starts from is one of them, if there are any.
    #[serde(default)]
    pub compositions: Vec<Composition>,
    /// What is made of the machine's disk.
    #[serde(default)]
    pub makes: Makes,
    /// The layer is made by this task, too: without the version there is no layer.
    #[serde(default)]
    pub new_layer: Option<Uuid>,
    /// A script does the work.
    #[serde(default)]
    pub unattended: Option<Run>,
}

impl AddVersionInput {
    fn tag(&self) -> Result<Tag, StepError> {
        Tag::parse(&self.version_id.to_string()).or_fail()
    }

    fn spec(&self) -> MachineSpec {
        MachineSpec { name: self.machine_name.clone(), disk_size: self.disk_size, firmware: self.firmware }
    }
}

pub(super) fn kind() -> Kind<World> {
    Kind::new(
        "add_version",
        vec![
            Box::new(Reserve),
            Box::new(Compose),
            Box::new(DiskStep),
            Box::new(Machine),
            Box::new(PowerOn),
            Box::new(Work),
            Box::new(Examine),
            Box::new(Take),
            Box::new(Commit),
            Box::new(Clear),
        ],
    )
}

/// What most steps begin with.
pub(super) struct Bench {
    pub(super) input: AddVersionInput,
    pub(super) tag: Tag,
    pub(super) connector: Arc<dyn Connector>,
}

impl Bench {
    pub(super) fn of(world: &World, cx: &Context) -> Result<Self, StepError> {
        let input: AddVersionInput = cx.input_as()?;
        let connector = world.connector_by_id(input.connector_id).or_fail()?;
        Ok(Self { tag: input.tag()?, input, connector })
    }

    fn remove(world: &World, cx: &Context) -> Result<(), StepError> {
        let bench = Self::of(world, cx)?;
        // The machine has a link of its own; should these stay, the next clearing takes them.
        let _ = std::fs::remove_dir_all(world.place.cd(bench.input.version_id));
        let _ = std::fs::remove_dir_all(world.place.kit(bench.input.version_id));
        bench.connector.remove(&bench.tag).or_fail()
    }
}

struct Reserve;

impl Step<World> for Reserve {
    fn name(&self) -> &'static str {
        RESERVE
    }

    fn run(&self, _: &World, _: &Context) -> Result<Outcome, StepError> {
        Err(StepError::never("The request that made this task must have reserved the version's name."))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        let input: AddVersionInput = cx.input_as()?;
        // Should it stay, the next clearing takes it.
        let _ = std::fs::remove_dir_all(world.place.kit(input.version_id));
        change(world, async |tx| match input.new_layer {
            Some(layer) => LayerRow::delete(tx, layer).await,
            None => VersionRow::delete(tx, input.version_id).await,
        })
    }
}

struct Compose;

impl Step<World> for Compose {
    fn name(&self) -> &'static str {
        COMPOSE
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let input: AddVersionInput = cx.input_as()?;
        let mut told = Value::Null;
        for composition in &input.compositions {
            told = compose::ensure(world, cx, composition)?;
        }
        Ok(Outcome::Done(told))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        let input: AddVersionInput = cx.input_as()?;
        input.compositions.iter().try_for_each(|composition| compose::undo(world, composition))
    }
}

/// What differs in a disk of the repository from another one there, by its id.
pub(super) fn since(world: &World, disk: &Version, other: &Tag) -> Option<Box<dyn Disk>> {
    let other = Uuid::parse_str(other.as_str()).ok()?;
    let other = world.repository.version(other.into()).ok()?;
    Some(Box::new(Differing::new(disk.clone(), other)?))
}

struct DiskStep;

impl Step<World> for DiskStep {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn tries(&self) -> u32 {
        TRIES
    }

    fn undo_tries(&self) -> u32 {
        UNDO_TRIES
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let bench = Bench::of(world, cx)?;
        let base = world.repository.version(bench.input.base_version_id.into()).or_fail()?;
        let total = AtomicU64::new(0);
        let origin = Origin {
            id: Tag::parse(&bench.input.base_version_id.to_string()).or_fail()?,
            disk: &StoredDisk(base.clone()),
            since: &|other| since(world, &base, other),
            total: &|bytes| total.store(bytes, Ordering::Relaxed),
            serve: world.serve_command(bench.input.base_version_id, bench.input.disk_size),
        };
        let watch = cx.watch_until(|| Some(total.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0));
        let how = bench.connector.ensure_disk(&bench.tag, &bench.input.spec(), &origin, &watch).or_fail()?;
        Ok(Outcome::Done(json!({ "note": how })))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        Bench::remove(world, cx)
    }
}

struct Machine;

impl Step<World> for Machine {
    fn name(&self) -> &'static str {
        "machine"
    }

    fn tries(&self) -> u32 {
        TRIES
    }

    fn undo_tries(&self) -> u32 {
        UNDO_TRIES
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let bench = Bench::of(world, cx)?;
        bench.connector.ensure_machine(&bench.tag, &bench.input.spec()).or_fail()?;
        let id = bench.input.version_id;
        let (folder, watch) = (world.place.cd(id), cx.watch(None));
        let note = match &bench.input.unattended {
            None => {
                give_tools(bench.connector.as_ref(), &bench.tag, &folder, &world.tools, &watch).or_fail()?
            }
            Some(_) => {
                let kit = world.place.kit(id);
                give_kit(bench.connector.as_ref(), &bench.tag, (&folder, &kit), &world.tools, &watch)
                    .or_fail()?;
                None
            }
        };
        Ok(Outcome::Done(json!({ "note": note })))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        Bench::remove(world, cx)
    }
}

struct PowerOn;

impl Step<World> for PowerOn {
    fn name(&self) -> &'static str {
        "power_on"
    }

    fn tries(&self) -> u32 {
        TRIES
    }

    fn undo_tries(&self) -> u32 {
        UNDO_TRIES
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let bench = Bench::of(world, cx)?;
        let wanted = bench.connector.powers_on_by_itself() || bench.input.unattended.is_some();
        if wanted && !bench.connector.observe(&bench.tag).or_fail()?.was_powered_on {
            bench.connector.power_on(&bench.tag).or_fail()?;
        }
        let at = bench.input.unattended.is_some().then(now);
        Ok(Outcome::Done(at.map_or(Value::Null, |at| json!({ "at": at }))))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        let bench = Bench::of(world, cx)?;
        bench.connector.power_off(&bench.tag).or_fail()
    }
}

/// What a person reads while the task waits for them.
pub(super) fn needs(bench: &Bench, problem: Option<String>) -> Result<Value, StepError> {
    let seen = bench.connector.observe(&bench.tag).or_fail()?;
    let text = message::packaging_instruction(&bench.input.machine_name, &seen.place, seen.was_powered_on);
    Ok(json!({
        "text": text,
        "machine_id": bench.input.version_id,
        "problem": problem,
        "actions": ["finalize", "cancel", "power_on", "shut_down"],
    }))
}

/// Notes that the version waits for a person (again). A version that is being given up stays so.
pub(super) fn wait_for_person(world: &World, version: Uuid) -> Result<(), StepError> {
    moved(world, version, |state| match state {
        VersionState::Editing => Some(VersionEvent::MachineReady),
        VersionState::Finalizing => Some(VersionEvent::FinalizeRefused),
        _ => None,
    })
}

/// A version's next state, if it has one from where it is. Told at once: nothing else tells of it until its task ends or waits.
fn moved(
    world: &World,
    version: Uuid,
    by: impl Fn(VersionState) -> Option<VersionEvent>,
) -> Result<(), StepError> {
    let moved = change(world, async |tx| {
        let event = VersionRow::get(tx, version).await?.and_then(|row| by(row.state));
        let Some(event) = event else { return Ok(false) };
        VersionRow::happen(tx, version, event).await.map(|_| true)
    })?;
    if moved {
        world.feed.publish("version", version, false);
    }
    Ok(())
}

/// What a person reads when something failed that they may have to mend; the machine stays as it is.
pub(super) fn ask_again(world: &World, cx: &Context, why: &str) -> Value {
    let asked = Bench::of(world, cx).and_then(|bench| {
        wait_for_person(world, bench.input.version_id)?;
        needs(&bench, Some(why.to_owned()))
    });
    asked.unwrap_or_else(|_| json!({ "text": why, "problem": why, "actions": ["finalize", "cancel"] }))
}

/// Why the machine's disk cannot be read now; `None`: it is off.
pub(super) fn not_off(bench: &Bench) -> Result<Option<String>, StepError> {
    let name = &bench.input.machine_name;
    Ok(match bench.connector.observe(&bench.tag).or_fail()?.power {
        Power::Off => None,
        Power::Running | Power::Paused => {
            Some(format!("The machine '{name}' is running: shut it down, then finalize again."))
        }
        Power::Absent => Some(format!("The machine '{name}' is gone: cancel this task and start again.")),
    })
}

/// From now on the machine stays as it is: what it has is looked at and taken.
pub(super) fn finalizing(world: &World, id: Uuid) -> Result<(), StepError> {
    moved(world, id, |state| (state == VersionState::Finalizable).then_some(VersionEvent::FinalizeAsked))
}

/// How a step ends in the machine of a script: where that is to be discarded, nobody is asked. What would wait for a person, or has failed
/// for good, turns the task back.
pub(super) fn unless_discarded(
    cx: &Context,
    tries: u32,
    ended: Result<Outcome, StepError>,
) -> Result<Outcome, StepError> {
    let input: AddVersionInput = cx.input_as()?;
    let Some(run) = input.unattended.filter(|run| run.discard && !cx.canceled()) else { return ended };
    // A person who was asked all the same, and went on, is asked again.
    let went_on = cx.output(WORK).is_some() && FinalizeOrder::of(cx).by != run.script;
    if went_on || cx.signal().is_some() {
        return ended;
    }
    let why = match ended {
        Ok(Outcome::Wait(needs)) => {
            let first = needs["findings"][0]["message"].as_str();
            [needs["problem"].as_str(), first].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        Err(e) if e.retry() == Retry::Never || e.retry() == Retry::Later && cx.attempt() >= tries => {
            e.why().to_owned()
        }
        other => return other,
    };
    Err(StepError::turn_back(message::script_discarded(&run.script, &why)))
}

/// The work of a script. One that fails leaves the machine to a person, or turns the task back.
fn by_script(world: &World, cx: &Context, bench: &Bench, run: &Run) -> Result<Outcome, StepError> {
    let (why, output) = match script::follow(world, cx, bench, run)? {
        script::Work::Done => {
            wait_for_person(world, bench.input.version_id)?;
            let order = FinalizeOrder { by: run.script.clone(), ..FinalizeOrder::default() };
            return Ok(Outcome::Done(json!(order)));
        }
        script::Work::Failed { why, output } => (why, output),
    };
    if run.discard {
        return Err(StepError::never(why));
    }
    wait_for_person(world, bench.input.version_id)?;
    let waits = needs(bench, None)?;
    Ok(Outcome::Wait(script::needs(waits, &bench.input.machine_name, &why, &output)))
}

struct Work;

impl Step<World> for Work {
    fn name(&self) -> &'static str {
        WORK
    }

    /// What a person did in the machine is never thrown away because the platform did not answer.
    fn on_failure(&self) -> OnFailure {
        OnFailure::Ask
    }

    /// Following a script takes hours: so many starts of the server in between are none of its faults.
    fn tries(&self) -> u32 {
        8
    }

    fn ask(&self, world: &World, cx: &Context, why: &str) -> Value {
        ask_again(world, cx, why)
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let bench = Bench::of(world, cx)?;
        // Once a person was asked, it is theirs.
        if let (Some(run), None) = (&bench.input.unattended, cx.signal()) {
            return unless_discarded(cx, self.tries(), by_script(world, cx, &bench, run));
        }
        let problem = match cx.signal() {
            Some((FINALIZE, order)) => match not_off(&bench)? {
                None => return Ok(Outcome::Done(order.clone())),
                problem => problem,
            },
            _ => None,
        };
        wait_for_person(world, bench.input.version_id)?;
        Ok(Outcome::Wait(needs(&bench, problem)?))
    }

    fn undo(&self, _: &World, _: &Context) -> Result<(), StepError> {
        Ok(())
    }
}

struct Take;

impl Step<World> for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    fn on_failure(&self) -> OnFailure {
        OnFailure::Ask
    }

    fn tries(&self) -> u32 {
        3
    }

    fn ask(&self, world: &World, cx: &Context, why: &str) -> Value {
        ask_again(world, cx, why)
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        unless_discarded(cx, self.tries(), Self::taken(world, cx))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        let input: AddVersionInput = cx.input_as()?;
        world.repository.remove_version(input.version_id.into()).or_fail()
    }
}

impl Take {
    fn taken(world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let bench = Bench::of(world, cx)?;
        let id = bench.input.version_id;
        finalizing(world, id)?;
        if cx.signal().is_some() {
            // A person may have changed the disk since it was examined …
            if let waits @ Outcome::Wait(_) = Examine::examined(world, cx)? {
                return Ok(waits);
            }
            // … and since a try that died when all was stored: nothing refers to that yet.
            world.repository.remove_version(id.into()).or_fail()?;
        }
        Ok(Outcome::Done(take(world, cx, &bench)?))
    }
}

struct Commit;

impl Step<World> for Commit {
    fn name(&self) -> &'static str {
        "commit"
    }

    fn last_word(&self) -> bool {
        true
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let input: AddVersionInput = cx.input_as()?;
        commit(world, cx, Take.name(), input.version_id, VersionEvent::Taken)
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        Reserve.undo(world, cx)
    }
}

/// The machine has served its purpose.
struct Clear;

impl Step<World> for Clear {
    fn name(&self) -> &'static str {
        "clear"
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        Bench::remove(world, cx)?;
        Ok(Outcome::Done(cx.output(Take.name()).cloned().unwrap_or_default()))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        Bench::remove(world, cx)
    }
}
