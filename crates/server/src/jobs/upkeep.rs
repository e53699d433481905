//! `check_repository` and `collect_garbage`.

use super::OrFail;
use crate::catalog::{LayerRow, VersionRow};
use crate::world::World;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shale_store::{Action, Finding, GcOptions, VersionId};
use shale_task::{Context, Kind, Outcome, Step, StepError};
use std::time::Duration;

/// Findings that a report lists, and ranges that it lists of each version; more are counted.
const LISTED: usize = 200;
const RANGES_LISTED: usize = 20;

/// What a check must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckInput {
    /// Read and hash every block.
    pub read_data: bool,
}

/// What a collection must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CollectInput {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Hours of grace; the default when left out.
    pub grace_hours: Option<u32>,
}

pub(super) fn check_kind() -> Kind<World> {
    Kind::new("check_repository", vec![Box::new(Check)])
}

pub(super) fn collect_kind() -> Kind<World> {
    Kind::new("collect_garbage", vec![Box::new(Collect)])
}

struct Check;

impl Check {
    /// `layer / version`, as people know it.
    fn name_of(world: &World, id: VersionId) -> String {
        let found = world.wait(async {
            let mut tx = world.catalog.read().await?;
            let Some(version) = VersionRow::get(&mut tx, id.into()).await? else { return Ok(None) };
            let layer = LayerRow::get(&mut tx, version.layer_id).await?;
            Ok::<_, crate::error::Error>(layer.map(|layer| version.name_in(&layer)))
        });
        found.ok().flatten().unwrap_or_else(|| format!("version {id} (not in the catalog)"))
    }

    fn told(world: &World, finding: &Finding) -> Value {
        let affected = finding.affected.iter().map(|(id, ranges)| {
            json!({
                "version_id": id.to_string(),
                "version": Self::name_of(world, *id),
                "range_count": ranges.len(),
                "ranges": ranges.iter().take(RANGES_LISTED).map(|r| [r.start, r.end]).collect::<Vec<_>>(),
            })
        });
        json!({
            "object": finding.object.to_string(),
            "problem": finding.problem,
            "affected": affected.collect::<Vec<_>>(),
        })
    }
}

impl Step<World> for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let input: CheckInput = cx.input_as()?;
        let watch = cx.watch(None);
        let report = world.repository.check(input.read_data, &watch).or_fail()?;
        if !report.is_sound() {
            for finding in &report.findings {
                tracing::error!(object = %finding.object, problem = finding.problem, "damage in the repository");
            }
        }
        Ok(Outcome::Done(json!({
            "sound": report.is_sound(),
            "versions": report.versions,
            "packs": report.packs,
            "frames": report.frames,
            "read_bytes": report.bytes,
            "finding_count": report.findings.len(),
            "findings": report.findings.iter().take(LISTED).map(|f| Self::told(world, f)).collect::<Vec<_>>(),
        })))
    }

    fn undo(&self, _: &World, _: &Context) -> Result<(), StepError> {
        Ok(())
    }
}

struct Collect;

impl Step<World> for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let input: CollectInput = cx.input_as()?;
        let grace =
            input.grace_hours.map_or(GcOptions::GRACE, |hours| Duration::from_secs(u64::from(hours) * 3600));
        let options = GcOptions { now: std::time::SystemTime::now(), grace, dry_run: input.dry_run };
        let watch = cx.watch(None);
        let collected = world.repository.gc(&options, &watch).or_fail()?;
        let plan = &collected.plan;
        Ok(Outcome::Done(json!({
            "dry_run": input.dry_run,
            "kept_bytes": plan.bytes(Action::Keep) + plan.bytes(Action::Unmark),
            "marked_bytes": plan.bytes(Action::Mark),
            "waiting_bytes": plan.bytes(Action::Wait),
            "rewritten_bytes": plan.bytes(Action::Rewrite),
            "due_bytes": plan.bytes(Action::Delete),
            "deleted_bytes": collected.deleted,
            "copied_bytes": collected.copied,
            "swept_files": collected.swept,
            "postponed": collected.postponed,
        })))
    }

    fn undo(&self, _: &World, _: &Context) -> Result<(), StepError> {
        Ok(())
    }
}
