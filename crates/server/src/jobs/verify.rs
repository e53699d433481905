//! `verify_version`: every block of a version is read and hashed; the version is marked by what was found.

use super::{OrFail, change};
use crate::catalog::VersionRow;
use crate::world::World;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shale_model::{VersionEvent, VersionState};
use shale_task::{Context, Kind, Outcome, Step, StepError};
use uuid::Uuid;

/// What verifying must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyInput {
    /// The version.
    pub version_id: Uuid,
    /// Its digest, as the catalog knows it.
    pub digest: String,
}

pub(super) fn kind() -> Kind<World> {
    Kind::new("verify_version", vec![Box::new(Verify)])
}

struct Verify;

impl Verify {
    fn mark(world: &World, id: Uuid, found: VersionEvent) -> Result<(), StepError> {
        change(world, async |tx| {
            let state = VersionRow::get(tx, id).await?.map(|row| row.state);
            let news = matches!(
                (state, found),
                (Some(VersionState::Deployable), VersionEvent::Damaged)
                    | (Some(VersionState::Broken), VersionEvent::Mended)
            );
            if news {
                VersionRow::happen(tx, id, found).await?;
            }
            Ok(())
        })
    }

    fn read(world: &World, cx: &Context, input: &VerifyInput) -> shale_store::Result<u64> {
        let version = world.repository.version(input.version_id.into())?;
        if version.digest().to_string() != input.digest {
            let text = format!(
                "the repository holds another disk under this version's id: its digest is {}, not {}",
                version.digest(),
                input.digest
            );
            return Err(shale_store::Error::new(shale_store::ErrorKind::Damaged, text));
        }
        let watch = cx.watch(Some(version.info().data));
        version.verify(&watch)?;
        Ok(version.info().data)
    }
}

impl Step<World> for Verify {
    fn name(&self) -> &'static str {
        "verify"
    }

    fn run(&self, world: &World, cx: &Context) -> Result<Outcome, StepError> {
        use shale_store::ErrorKind::{Damaged, NotFound};
        let input: VerifyInput = cx.input_as()?;
        let read = Self::read(world, cx, &input);
        match &read {
            Ok(_) => Self::mark(world, input.version_id, VersionEvent::Mended)?,
            Err(e) if matches!(e.kind(), Damaged | NotFound) => {
                Self::mark(world, input.version_id, VersionEvent::Damaged)?;
            }
            Err(_) => {}
        }
        Ok(Outcome::Done(json!({ "verified_bytes": read.or_fail()?, "digest": input.digest })))
    }

    fn undo(&self, _: &World, _: &Context) -> Result<(), StepError> {
        Ok(())
    }
}
