//! The kinds of tasks: what each does, step by step.
//!
//! ```text
//!   import_os_layer    reserve ▶ store ▶ commit
//!   add_version        reserve ▶ compose ▶ disk ▶ machine ▶ power_on ▶ work ⏸ ▶ examine ⏸ ▶ take ▶ commit ▶ clear
//!   publish_image      reserve ▶ compose ▶ write ▶ boot ▶ upload ▶ place ▶ commit
//!   export_version     write ▶ commit ▶ clear
//!   verify_version     verify
//!   delete_version     reserve ▶ commit ▶ clear
//!   delete_layer       reserve ▶ commit ▶ clear
//!   check_repository   check
//!   collect_garbage    collect
//! ```
//!
//! `reserve` is done by the request itself, in the transaction that makes the task: it is in the log from the first
//! line, so that it is undone whatever happens. `commit` is the point of no return: one transaction of the catalog, one
//! rename for an export; for a deletion, the entry in the task's log. `clear` removes what is of no use after it.

mod add_version;
mod compose;
mod delete;
mod examine;
mod export;
mod import;
mod publish;
mod script;
mod take;
mod upkeep;
mod verify;

pub use add_version::{AddVersionInput, FINALIZE};
pub use delete::{DeleteLayerInput, DeleteVersionInput, Doomed};
pub use examine::{EXAMINE, FinalizeOrder, findings};
pub use export::ExportInput;
pub use import::ImportInput;
pub use publish::PublishInput;
pub use script::Run;
pub use take::Makes;
pub use upkeep::{CheckInput, CollectInput};
pub use verify::VerifyInput;

use crate::catalog::{TaskRow, Tx};
use crate::error::{Error, chain};
use crate::world::World;
use serde_json::Value;
use shale_task::{Event, Kind, StepError};
use uuid::Uuid;

/// Name of the step that a request does itself.
pub const RESERVE: &str = "reserve";

/// All kinds there are. The fault sweep in the tests goes over this list.
pub fn kinds() -> Vec<Kind<World>> {
    vec![
        import::kind(),
        add_version::kind(),
        export::kind(),
        publish::kind(),
        verify::kind(),
        delete::version_kind(),
        delete::layer_kind(),
        upkeep::check_kind(),
        upkeep::collect_kind(),
    ]
}

/// Kinds that work on a layer alone: while one is open, another on the same layer is refused.
pub fn claims_layer(kind: &str) -> bool {
    matches!(kind, "import_os_layer" | "add_version" | "delete_version" | "delete_layer")
}

/// What a task may change, as watchers know it: kind and id.
pub fn objects(task: &TaskRow) -> Vec<(&'static str, Uuid)> {
    let id_at = |at: &Value, field| at.get(field).and_then(|id| Uuid::parse_str(id.as_str()?).ok());
    let doomed = task.input.get("versions").and_then(Value::as_array).into_iter().flatten();
    let doomed = doomed.filter_map(|version| id_at(version, "id"));
    let mut versions: Vec<Uuid> = task.version_id.into_iter().chain(doomed).collect();
    versions.dedup();
    let mut all: Vec<_> = versions.into_iter().map(|id| ("version", id)).collect();
    all.extend(task.layer_id.map(|id| ("layer", id)));
    for (noun, field) in [("image", "image_id"), ("template", "template_id"), ("upload", "upload_id")] {
        all.extend(id_at(&task.input, field).map(|id| (noun, id)));
    }
    all
}

/// Whether a task that has ended so took its objects of a kind away, or never made them.
pub fn is_gone(task: &TaskRow, ending: &str, noun: &str) -> bool {
    let is_undone = matches!(ending, "failed" | "canceled");
    match task.kind.as_str() {
        "delete_version" => ending == "done" && noun == "version",
        "delete_layer" => ending == "done",
        "import_os_layer" if noun == "upload" => ending == "done",
        "import_os_layer" => is_undone,
        "add_version" if noun == "layer" => {
            is_undone && task.input.get("new_layer").is_some_and(Value::is_string)
        }
        "add_version" => is_undone,
        "publish_image" => is_undone && noun == "image",
        _ => false,
    }
}

/// The log of a task whose request did the `reserve` step.
pub fn reserved() -> [Event; 2] {
    [
        Event::Started { step: RESERVE.into(), attempt: 1 },
        Event::Done { step: RESERVE.into(), output: serde_json::Value::Null },
    ]
}

/// Changes the catalog in one transaction.
fn change<T>(
    world: &World,
    work: impl AsyncFnOnce(&mut Tx) -> crate::error::Result<T>,
) -> Result<T, StepError> {
    let changed: crate::error::Result<T> = world.wait(async {
        let mut tx = world.catalog.begin().await?;
        let value = work(&mut tx).await?;
        tx.commit().await?;
        Ok(value)
    });
    changed.or_fail()
}

/// Turns the errors of the floors below into a step's: the whole chain as text, and whether to try again.
trait OrFail<T> {
    fn or_fail(self) -> Result<T, StepError>;
}

fn fail(error: &dyn std::error::Error, stopped: bool, retry_later: bool) -> StepError {
    if stopped {
        return StepError::stopped();
    }
    let text = sentence(&chain(error));
    if retry_later { StepError::later(text) } else { StepError::never(text) }
}

/// The text as a sentence: a capital first, a full stop last.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

impl<T> OrFail<T> for shale_disk::Result<T> {
    fn or_fail(self) -> Result<T, StepError> {
        self.map_err(|e| fail(&e, e.kind() == shale_disk::ErrorKind::Stopped, e.kind().retry_later()))
    }
}

impl<T> OrFail<T> for shale_store::Result<T> {
    fn or_fail(self) -> Result<T, StepError> {
        self.map_err(|e| {
            // Reading the source may have failed for a reason that passes, or because it was stopped.
            let cause = std::error::Error::source(&e).and_then(|s| s.downcast_ref::<shale_disk::Error>());
            match (e.kind(), cause) {
                (shale_store::ErrorKind::Source, Some(cause)) => {
                    fail(&e, cause.kind() == shale_disk::ErrorKind::Stopped, cause.kind().retry_later())
                }
                (kind, _) => fail(&e, kind == shale_store::ErrorKind::Stopped, kind.retry_later()),
            }
        })
    }
}

impl<T> OrFail<T> for shale_connector::Result<T> {
    fn or_fail(self) -> Result<T, StepError> {
        self.map_err(|e| fail(&e, e.kind() == shale_connector::ErrorKind::Stopped, e.kind().retry_later()))
    }
}

impl<T> OrFail<T> for Result<T, Error> {
    fn or_fail(self) -> Result<T, StepError> {
        self.map_err(|e: Error| fail(&e, false, e.code == shale_api::Code::Unavailable))
    }
}
