//! `delete_version` and `delete_layer`: the catalog forgets first, then the repository does.

use super::{OrFail, RESERVE, change};
use crate::catalog::{LayerRow, VersionRow};
use crate::world::World;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shale_model::VersionState;
use shale_task::{Context, Kind, Outcome, Step, StepError};
use uuid::Uuid;

/// A version and the state it had when its deletion was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Doomed {
    /// Which.
    pub id: Uuid,
    /// What it goes back to when the deletion is cancelled.
    pub state: VersionState,
}

/// What deleting a version must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeleteVersionInput {
    /// What goes.
    pub versions: Vec<Doomed>,
}

/// What deleting a layer must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeleteLayerInput {
    /// The layer.
    pub layer_id: Uuid,
    /// All its versions.
    pub versions: Vec<Doomed>,
}

/// What both kinds' steps look at.
#[derive(Deserialize)]
struct Input {
    layer_id: Option<Uuid>,
    versions: Vec<Doomed>,
}

pub(super) fn version_kind() -> Kind<World> {
    Kind::new("delete_version", vec![Box::new(Reserve), Box::new(Commit), Box::new(Clear)])
}

pub(super) fn layer_kind() -> Kind<World> {
    Kind::new("delete_layer", vec![Box::new(Reserve), Box::new(Commit), Box::new(Clear)])
}

struct Reserve;

impl Step<World> for Reserve {
    fn name(&self) -> &'static str {
        RESERVE
    }

    fn run(&self, _: &World, _: &Context) -> Result<Outcome, StepError> {
        Err(StepError::never("The request that made this task must have marked what is to be deleted."))
    }

    fn undo(&self, world: &World, cx: &Context) -> Result<(), StepError> {
        let input: Input = cx.input_as()?;
        change(world, async |tx| {
            for version in &input.versions {
                VersionRow::put_back(tx, version.id, version.state).await?;
            }
            Ok(())
        })
    }
}

/// The last word has no effect but to be in the task's log: before it, everything is put back; after it, the rest is
/// only ever tried again. (A deletion that was done in part could not be taken back.)
struct Commit;

impl Step<World> for Commit {
    fn name(&self) -> &'static str {
        "commit"
    }

    fn last_word(&self) -> bool {
        true
    }

    fn run(&self, _: &World, _: &Context) -> Result<Outcome, StepError> {
        Ok(Outcome::Done(Value::Null))
    }

    fn undo(&self, _: &World, _: &Context) -> Result<(), StepError> {
        Ok(())
    }
}

struct Clear;

impl Clear {
    async fn forget(world: &World, input: &Input) -> crate::error::Result<()> {
        let mut tx = world.catalog.begin().await?;
        for version in &input.versions {
            VersionRow::delete(&mut tx, version.id).await?;
        }
        if let Some(layer) = input.layer_id {
            LayerRow::delete(&mut tx, layer).await?;
        }
        Ok(tx.commit().await?)
    }
}

impl Step<World> for Clear {
    fn name(&self) -> &'static str {
        "clear"
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        let input: Input = cx.input_as()?;
        world.wait(Self::forget(world, &input)).or_fail()?;
        // Now, and not when the room that they took is free.
        for version in &input.versions {
            world.feed.publish("version", version.id, true);
        }
        if let Some(layer) = input.layer_id {
            world.feed.publish("layer", layer, true);
        }
        for version in &input.versions {
            world.repository.remove_version(version.id.into()).or_fail()?;
        }
        Ok(Outcome::Done(Value::Null))
    }

    /// Nothing behind the last word is undone.
    fn undo(&self, _: &World, _: &Context) -> Result<(), StepError> {
        Ok(())
    }
}
