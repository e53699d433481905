//! What people ask for: checked against the rules, reserved in one transaction, then launched.
//!
//! ```text
//!   request ─▶ read facts ─▶ ask the model ─▶ rows + task + its first log lines + audit ─▶ commit ─▶ launch
//!                                 └── refused: why, in a sentence; nothing has changed
//! ```
//!
//! The client makes the ids. A request that is repeated finds its own task and gets the same answer; the same id with
//! another body is refused.

mod certificate;
mod checks;
mod connectors;
mod images;
mod layers;
mod machine_files;
mod packaging;
mod repository;
mod retention;
mod schedules;
mod sessions;
mod tasks;
mod templates;
mod tokens;
mod unattended;
mod uploads;
mod users;
mod versions;

pub use certificate::replace_certificate;
pub use checks::check_machine;
pub use connectors::{create_connector, delete_connector, edit_connector, unsaved_connector};
pub use images::{delete_image, publish_image};
pub use layers::{create_layer, delete_layer, edit_layer};
pub use machine_files::{give_kit, give_tools, machine_files, put_machine_files};
pub use repository::{check_repository, collect_garbage};
pub use retention::{delete_old, keep_retention, prune_versions};
pub use schedules::{
    create_schedule, delete_schedule, edit_schedule, run_due, run_schedule, run_schedules, seen as schedule,
};
pub use sessions::{Opened, actor_of, change_password, set_up, sign_in, sign_out};
pub use tasks::{cancel_task, retry_task};
pub use templates::{clone_template, create_template, delete_template, edit_template, plan, update_template};
pub use tokens::{create_token, delete_token};
pub use unattended::task_output;
pub use uploads::{append_upload, clear_uploads, create_upload, delete_upload};
pub use users::{create_user, delete_user, edit_user};
pub use versions::{
    MachineOrder, add_version, command_machine, delete_version, edit_version, export_version, finalize,
    format, verify_version,
};

use crate::app::App;
use crate::catalog::{NewAudit, TaskRow, Tx, now};
use crate::error::{Error, Result};
use crate::view;
use serde_json::Value;
use shale_model::{Invalid, Role};
use shale_task::Event;
use uuid::Uuid;

/// Who asks.
#[derive(Clone, Debug)]
pub struct Actor {
    /// As the audit names them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How they showed who they are.
    pub identity: Identity,
}

/// How somebody showed who they are.
#[derive(Clone, Debug)]
pub enum Identity {
    /// It is the server itself: a schedule of somebody's, a layer's retention.
    Server,
    /// They have access to this host's files: the socket, or the token in the data directory.
    Host,
    /// A user, by a cookie.
    Session {
        /// The user's id.
        user: Uuid,
        /// Which session.
        digest: String,
        /// What the session's requests must repeat.
        csrf: String,
        /// When the session ends.
        expires_at: String,
    },
    /// A program, by this token.
    Token(Uuid),
}

impl Actor {
    /// Somebody with access to this host's files.
    pub fn host(name: &str) -> Self {
        Self { name: name.into(), role: Role::Administrator, identity: Identity::Host }
    }

    /// Whether a `user` or `token`, as watchers know it, is who asks.
    pub fn is(&self, kind: &str, id: Uuid) -> bool {
        match &self.identity {
            Identity::Session { user, .. } => (kind, id) == ("user", *user),
            Identity::Token(token) => (kind, id) == ("token", *token),
            Identity::Server | Identity::Host => false,
        }
    }
}

/// A task to be made.
struct NewTask<'a> {
    kind: &'static str,
    title: String,
    layer_id: Option<Uuid>,
    version_id: Option<Uuid>,
    input: Value,
    request: Value,
    actor: &'a Actor,
    comment: &'a str,
}

impl NewTask<'_> {
    /// Writes the task and the first lines of its log.
    async fn insert(self, tx: &mut Tx, log: &[Event]) -> Result<TaskRow> {
        let at = now();
        let row = TaskRow {
            id: Uuid::now_v7(),
            kind: self.kind.into(),
            title: self.title,
            layer_id: self.layer_id,
            version_id: self.version_id,
            input: self.input,
            request: self.request,
            created_by: self.actor.name.clone(),
            comment: self.comment.into(),
            created_at: at.clone(),
            updated_at: at,
            ending: None,
            error: None,
            finished_at: None,
        };
        row.insert(tx).await?;
        for event in log {
            TaskRow::append(tx, row.id, event).await?;
        }
        Ok(row)
    }
}

/// Something as JSON; what we make ourselves always can be.
fn json(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::internal("a request cannot be kept").because(e))
}

/// The task's view, once its transaction is committed and it is launched.
async fn launched(app: &App, task: TaskRow) -> Result<shale_api::Task> {
    // In this order: it may be over before that is told.
    app.engine.changed(&task);
    app.engine.launch(task.clone());
    let mut tx = app.world.catalog.read().await?;
    view::task(app, &mut tx, task).await
}

/// The view of a task that a request asked for: launched now, or made by the same request before and over.
async fn asked_for(app: &App, task: TaskRow) -> Result<shale_api::Task> {
    if task.ending.is_none() {
        return launched(app, task).await;
    }
    let mut tx = app.world.catalog.read().await?;
    view::task(app, &mut tx, task).await
}

/// A rule of the model about the field at `pointer`.
fn rule(pointer: &str, checked: std::result::Result<(), Invalid>) -> Result<()> {
    checked.map_err(|invalid| Error::field(pointer, invalid))
}

/// Whether an action of the model is permitted; its reason is the answer if not.
pub(crate) fn permitted(actions: &[shale_model::Action], name: &str) -> Result<()> {
    shale_model::permitted(actions, name).map_err(Error::not_allowed)
}

/// Refuses a path on the server's host to those who may not name one.
fn server_file_of(actor: &Actor) -> Result<()> {
    shale_model::may_name_server_files(actor.role).map_err(Error::forbidden)
}

/// Refuses what wants a layer for itself while another task has it, naming that task.
fn layer_free(open: &[TaskRow], layer: Uuid, name: &str) -> Result<()> {
    match view::job_on(open, layer) {
        None => Ok(()),
        Some(task) => {
            let text = format!(
                "The layer '{name}' is busy with the task \"{}\": wait until it has ended, or cancel it.",
                task.title.trim_end_matches('.')
            );
            Err(Error::busy(text, task.id))
        }
    }
}

/// Adds to the audit.
async fn audit(
    tx: &mut Tx,
    actor: &Actor,
    action: &str,
    object: (&str, Uuid, &str),
    comment: &str,
) -> Result<()> {
    rule("/comment", shale_model::comment(comment))?;
    let (object_kind, object_id, object_name) = object;
    NewAudit { who: &actor.name, action, object_kind, object_id, object_name, comment }.insert(tx).await
}
