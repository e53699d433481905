//! Rows as people see them: with everything that may be done, and why the rest may not.
//!
//! Facts are gathered here, rules are asked in `model`, and nothing else decides: requests ask the same functions
//! before they act.

use crate::app::App;
use crate::catalog::{
    Belonging, ConnectorRow, ImageRow, LayerRow, LayerSums, ListedLayer, ScheduleRow, TaskRow, TemplateRow,
    TokenRow, Tx, UploadRow, UserRow, VersionMark, VersionRow, Window,
};
use crate::error::{Error, Result};
use crate::jobs::{EXAMINE, claims_layer};
use crate::retention::old_versions;
use shale_api as api;
use shale_connector::{Observed, Power as Seen, Tag};
use shale_model::{
    Action, ConnectorFacts, ImageFacts, LayerFacts, MachineFacts, Power, Role, TaskFacts, TaskPhase,
    UploadFacts, UserFacts, VersionFacts, VersionState,
};
use shale_task::{Ending, State, StepState, Summary};
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

tokio::task_local! {
    /// The role of the one who is shown something; an administrator's where nobody asks.
    pub static ROLE: Role;
}

/// Actions of a `noun` as the API shows them to the one who asks.
pub fn shown(noun: &str, actions: Vec<Action>) -> Vec<api::Action> {
    let role = ROLE.try_with(|role| *role).unwrap_or(Role::Administrator);
    wire(shale_model::within_role(actions, noun, role))
}

fn wire(actions: Vec<Action>) -> Vec<api::Action> {
    let wire = |a: Action| api::Action { name: a.name.into(), allowed: a.allowed, reason: a.reason };
    actions.into_iter().map(wire).collect()
}

/// What somebody with this role may do that is no action of one thing.
pub fn general_actions(role: Role) -> Vec<api::Action> {
    wire(shale_model::general_actions(role))
}

/// The open task that has a layer for itself.
pub fn job_on(open: &[TaskRow], layer: Uuid) -> Option<&TaskRow> {
    open.iter().find(|task| task.layer_id == Some(layer) && claims_layer(&task.kind))
}

/// The versions that a task uses, because it reads them or its machine starts from them; and how people are told.
fn uses_of(task: &TaskRow) -> Vec<(Uuid, String)> {
    let title = || format!("the task \"{}\"", task.title.trim_end_matches('.'));
    let machine = || task.input.get("machine_name").and_then(|name| name.as_str()).unwrap_or("?");
    let (used, text) = match task.kind.as_str() {
        "export_version" | "verify_version" => (task.version_id.into_iter().collect(), title()),
        "publish_image" => (ids_in(&task.input), title()),
        "add_version" => {
            let mut used = ids_in(&task.input);
            used.retain(|id| Some(*id) != task.version_id);
            (used, format!("the packaging machine '{}'", machine()))
        }
        _ => return Vec::new(),
    };
    used.into_iter().map(|version| (version, text.clone())).collect()
}

/// All ids in what a task was given. What another release of the server wrote may have a shape that is not known here, and what it
/// uses must stay all the same.
fn ids_in(input: &serde_json::Value) -> BTreeSet<Uuid> {
    match input {
        serde_json::Value::String(text) => Uuid::parse_str(text).into_iter().collect(),
        serde_json::Value::Array(all) => all.iter().flat_map(ids_in).collect(),
        serde_json::Value::Object(all) => all.values().flat_map(ids_in).collect(),
        _ => BTreeSet::new(),
    }
}

/// A template as one of the users of something.
fn named(template: &TemplateRow) -> String {
    format!("the image template '{}'", template.name)
}

/// A schedule as one of the users of something.
fn asking(schedule: &ScheduleRow) -> String {
    format!("the schedule '{}'", schedule.name)
}

/// Everything that many views need, read once.
pub struct Scene {
    /// Tasks that have not ended.
    pub open: Vec<TaskRow>,
    /// Tasks that left something behind, and may be tried again.
    stuck: Vec<TaskRow>,
    /// Platform and app layers, and the OS layers that they belong to.
    belonging: Vec<Belonging>,
    /// Image templates.
    templates: Vec<TemplateRow>,
    /// Schedules.
    schedules: Vec<ScheduleRow>,
    /// Versions that something uses, and what.
    uses: Vec<(Uuid, String)>,
}

impl Scene {
    /// Reads it.
    pub async fn read(tx: &mut Tx) -> Result<Self> {
        let open = TaskRow::open(tx).await?;
        let mut uses: Vec<_> = open.iter().flat_map(uses_of).collect();
        for (name, needs) in VersionRow::with_needs(tx).await? {
            uses.extend(needs.into_iter().map(|id| (id, format!("the version '{name}', which needs it"))));
        }
        let templates = TemplateRow::all(tx).await?;
        uses.extend(templates.iter().flat_map(|row| row.parts().map(|version| (version, named(row)))));
        let schedules = ScheduleRow::list(tx, &Window { after: None, limit: i64::MAX }).await?;
        uses.extend(schedules.iter().flat_map(|row| row.parts().map(|version| (version, asking(row)))));
        let stuck = TaskRow::stuck(tx).await?;
        Ok(Self { open, stuck, belonging: LayerRow::belonging(tx).await?, templates, schedules, uses })
    }

    /// What uses a version.
    fn users_of(&self, version: Uuid) -> Vec<String> {
        self.uses.iter().filter(|(used, _)| *used == version).map(|(_, user)| user.clone()).collect()
    }

    /// What is known of a layer with these versions.
    pub fn layer_facts(&self, layer: &LayerRow, versions: &[VersionMark]) -> LayerFacts {
        let deployable = versions.iter().filter(|v| v.state == VersionState::Deployable).count();
        self.facts_of(layer, deployable, versions.iter().map(|version| version.id))
    }

    /// The same, where no other of its versions can be in use than these.
    fn facts_of(
        &self,
        layer: &LayerRow,
        deployable_versions: usize,
        versions: impl Iterator<Item = Uuid>,
    ) -> LayerFacts {
        let members = self.belonging.iter().filter(|one| one.os_layer_id == layer.id);
        let members = members.map(|one| format!("the {} layer '{}'", one.kind, one.name));
        LayerFacts {
            name: layer.name.clone(),
            deployable_versions,
            open_job: job_on(&self.open, layer.id).map(|task| task.title.clone()),
            used_by: versions
                .flat_map(|version| self.users_of(version))
                .chain(members)
                .chain(self.schedules.iter().filter(|row| row.layer_id == layer.id).map(asking))
                .collect(),
        }
    }

    /// A layer as people see it.
    pub async fn layer(&self, tx: &mut Tx, layer: LayerRow) -> Result<api::Layer> {
        let sums = LayerSums::of(tx, layer.id).await?.ok_or_else(|| Error::not_found("layer", layer.id))?;
        let used = self.used(tx).await?;
        let old = old_versions(tx, self, &layer).await?;
        Ok(self.layer_of(layer, sums, &used, old))
    }

    /// Layers in their order, as people see them.
    pub async fn layers(&self, tx: &mut Tx, layers: Vec<ListedLayer>) -> Result<Vec<api::Layer>> {
        let used = self.used(tx).await?;
        let mut views = Vec::with_capacity(layers.len());
        for ListedLayer { layer, sums, .. } in layers {
            let old = old_versions(tx, self, &layer).await?;
            views.push(self.layer_of(layer, sums, &used, old));
        }
        Ok(views)
    }

    /// The versions that something uses.
    async fn used(&self, tx: &mut Tx) -> Result<Vec<VersionMark>> {
        let ids: BTreeSet<Uuid> = self.uses.iter().map(|(version, _)| *version).collect();
        VersionRow::among(tx, ids).await
    }

    fn layer_of(
        &self,
        layer: LayerRow,
        sums: LayerSums,
        used: &[VersionMark],
        old_versions: Vec<api::OldVersion>,
    ) -> api::Layer {
        let of_layer = used.iter().filter(|version| version.layer_id == layer.id);
        let facts = self.facts_of(&layer, sums.deployable as usize, of_layer.map(|version| version.id));
        let (newest_version, state) = sums.newest.unzip();
        let os_layer = self.belonging.iter().find(|one| one.id == layer.id);
        api::Layer {
            id: layer.id,
            kind: layer.kind,
            name: layer.name,
            description: layer.description,
            os_layer_id: layer.os_layer_id,
            os_layer_name: os_layer.map(|one| one.os_layer_name.clone()),
            exclusions: layer.exclusions,
            retention: layer.retention,
            old_versions,
            created_at: layer.created_at,
            updated_at: layer.updated_at,
            version_count: sums.versions,
            newest_version,
            state,
            newest_deployable: sums.newest_deployable,
            sizes: api::LayerSizes { logical_bytes: sums.logical_bytes, added_bytes: sums.added_bytes },
            task_id: job_on(&self.open, layer.id).map(|task| task.id),
            actions: shown("layer", facts.actions()),
            used_by: facts.used_by,
        }
    }

    /// What is known of a version. `machine` is its machine's power, when it has one and that was asked.
    pub fn version_facts(
        &self,
        layer: &LayerRow,
        version: &VersionRow,
        machine: Option<Power>,
        maker: Option<&Summary>,
    ) -> VersionFacts {
        let machine = version.machine_name.clone().zip(machine);
        VersionFacts {
            name: version.name.clone(),
            layer: layer.name.clone(),
            kind: layer.kind,
            state: version.state,
            machine,
            task: maker.map(phase),
            layer_job: job_on(&self.open, layer.id).map(|task| task.title.clone()),
            used_by: self.users_of(version.id),
        }
    }

    /// The open task that makes a version.
    pub fn maker(&self, version: Uuid) -> Option<&TaskRow> {
        let makes = |task: &&TaskRow| {
            task.version_id == Some(version)
                && matches!(task.kind.as_str(), "import_os_layer" | "add_version")
        };
        self.open.iter().find(makes)
    }

    /// A version as people see it.
    pub async fn version(&self, app: &App, tx: &mut Tx, version: VersionRow) -> Result<api::Version> {
        let layer = LayerRow::get(tx, version.layer_id).await?;
        let layer = layer.ok_or_else(|| Error::not_found("layer", version.layer_id))?;
        let power = match version.state {
            VersionState::Finalizable => Some(power_of(&observe(app, tx, &version).await.unwrap_or(None))),
            _ => None,
        };
        let maker = match self.maker(version.id) {
            Some(task) => app.engine.summary(task, &TaskRow::log(tx, task.id).await?),
            None => None,
        };
        let facts = self.version_facts(&layer, &version, power, maker.as_ref());
        let complete = matches!(version.state, VersionState::Deployable | VersionState::Broken);
        let sizes = version.logical_bytes.zip(version.added_bytes).filter(|_| complete);
        let machine = matches!(version.state, VersionState::Finalizable | VersionState::Finalizing)
            && version.machine_name.is_some();
        let task = self.open.iter().find(|task| task.version_id == Some(version.id));
        Ok(api::Version {
            id: version.id,
            layer_id: version.layer_id,
            layer_name: layer.name,
            name: version.name,
            description: version.description,
            state: version.state,
            base_version_id: version.base_version_id,
            os_version_id: version.os_version_id,
            platform_version_id: version.platform_version_id,
            prerequisite_version_ids: version.prerequisites,
            sizes: sizes.map(|(logical_bytes, added_bytes)| api::VersionSizes {
                virtual_bytes: version.virtual_bytes,
                logical_bytes,
                added_bytes,
            }),
            digest: version.digest.filter(|_| complete),
            firmware: version.firmware,
            created_at: version.created_at,
            updated_at: version.updated_at,
            task_id: task.map(|task| task.id),
            machine_id: machine.then_some(version.id),
            actions: shown("version", facts.actions()),
            used_by: facts.used_by,
        })
    }

    /// A connector configuration as people see it.
    pub fn connector(&self, connector: ConnectorRow) -> api::Connector {
        let facts = self.connector_facts(&connector);
        let (settings, secrets) = crate::secrets::hide(&connector.kind, connector.settings);
        api::Connector {
            id: connector.id,
            name: connector.name,
            kind: connector.kind,
            settings,
            secrets,
            created_at: connector.created_at,
            updated_at: connector.updated_at,
            actions: shown("connector", facts.actions()),
        }
    }

    /// What is known of a connector configuration.
    pub fn connector_facts(&self, connector: &ConnectorRow) -> ConnectorFacts {
        let uses = |task: &&TaskRow| task.names(connector.id);
        let name = |task: &TaskRow| format!("the task \"{}\"", task.title.trim_end_matches('.'));
        let templates = self.templates.iter().filter(|row| row.connector_id == Some(connector.id));
        let schedules = self.schedules.iter().filter(|row| row.connector_id() == Some(connector.id));
        ConnectorFacts {
            name: connector.name.clone(),
            used_by: (self.open.iter().chain(&self.stuck))
                .filter(uses)
                .map(name)
                .chain(templates.map(named))
                .chain(schedules.map(asking))
                .collect(),
        }
    }

    /// A packaging machine as people see it; none when the version has none.
    pub async fn machine(
        &self,
        app: &App,
        tx: &mut Tx,
        version: &VersionRow,
    ) -> Result<Option<api::Machine>> {
        let (Some(connector_id), Some(name)) = (version.connector_id, version.machine_name.clone()) else {
            return Ok(None);
        };
        let task = self.maker(version.id);
        let (Some(layer), Some(connector), true) = (
            LayerRow::get(tx, version.layer_id).await?,
            ConnectorRow::get(tx, connector_id).await?,
            task.is_some(),
        ) else {
            return Ok(None);
        };
        let seen = observe(app, tx, version).await;
        let detail = seen.as_ref().err().map(|error| crate::error::chain(error));
        let seen = seen.unwrap_or(None);
        let facts = MachineFacts {
            name: name.clone(),
            power: power_of(&seen),
            version: version.state,
            no_cd: seen.as_ref().and_then(|seen| seen.no_cd.clone()),
        };
        let observed = seen.unwrap_or_else(Observed::absent);
        Ok(Some(api::Machine {
            id: version.id,
            name,
            layer_id: layer.id,
            layer_name: layer.name,
            version_name: version.name.clone(),
            connector_id,
            connector_name: connector.name,
            place: observed.place,
            power: match facts.power {
                Power::Running => api::Power::Running,
                Power::Off => api::Power::Off,
                Power::Absent => api::Power::Absent,
                Power::Unknown => api::Power::Unknown,
            },
            detail: detail.or(observed.detail),
            ssh: observed.ssh.map(|address| address.to_string()),
            cd: observed.cd,
            has_screen: observed.has_screen,
            vnc_socket: observed.vnc_socket.map(|path| path.to_string_lossy().into_owned()),
            serial_log: observed.serial_log.map(|path| path.to_string_lossy().into_owned()),
            written_bytes: Some(observed.changed_bytes),
            task_id: task.map(|task| task.id),
            actions: shown("machine", facts.actions()),
        }))
    }
}

/// How long a view waits for a platform. Views are made while the catalog is read, which others wait for too.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a connector says of a version's machine; `None` inside when it did not answer.
type Sight = Option<Observed>;

/// Power as the rules know it.
pub fn power_of(seen: &Sight) -> Power {
    match seen.as_ref().map(|seen| seen.power) {
        None => Power::Unknown,
        Some(Seen::Running | Seen::Paused) => Power::Running,
        Some(Seen::Off) => Power::Off,
        Some(Seen::Absent) => Power::Absent,
    }
}

/// Asks a version's connector how its machine stands.
pub async fn observe(app: &App, tx: &mut Tx, version: &VersionRow) -> Result<Sight> {
    let Some(id) = version.connector_id else { return Ok(Some(Observed::absent())) };
    let row =
        ConnectorRow::get(tx, id).await?.ok_or_else(|| Error::not_found("connector configuration", id))?;
    let (world, tag) = (app.world.clone(), version.id.to_string());
    let seen = tokio::task::spawn_blocking(move || {
        let connector = world.connector(&row)?;
        let seen = Tag::parse(&tag).and_then(|tag| connector.observe(&tag));
        seen.map_err(|e| {
            Error::unavailable(format!("The connector '{}' did not answer.", row.name)).because(e)
        })
    });
    let seen = tokio::time::timeout(PATIENCE, seen).await.map_err(|_| {
        Error::unavailable("The platform did not say in time how the machine stands: test its connector.")
    })?;
    Ok(Some(seen.map_err(|e| Error::internal("looking at a machine failed").because(e))??))
}

/// Where a task is, as the rules about tasks see it.
pub fn phase(summary: &Summary) -> TaskPhase {
    match (&summary.ending, summary.state) {
        (Some(Ending::Stuck { .. }), _) => TaskPhase::Stuck,
        (Some(_), _) => TaskPhase::Ended,
        (None, State::Canceling) => TaskPhase::Canceling,
        (None, _) if summary.cancelable => TaskPhase::Open,
        (None, _)
            if summary.steps.iter().any(|s| matches!(s.state, StepState::Undoing | StepState::Undone)) =>
        {
            TaskPhase::Undoing
        }
        (None, _) => TaskPhase::Committing,
    }
}

/// A task as people see it.
pub async fn task(app: &App, tx: &mut Tx, row: TaskRow) -> Result<api::Task> {
    let log = TaskRow::log(tx, row.id).await?;
    let summary = app.engine.summary(&row, &log);
    let progress = app.engine.progress(row.id).filter(|_| row.ending.is_none());
    let (progress, note) = progress.map_or((None, None), |(progress, note)| (Some(progress), note));
    let state = match (&row.ending, &summary) {
        (Some(ending), _) => ending.clone(),
        // It has not ended for anybody until its row says so: only then its layer is free and its error known.
        (None, Some(summary)) if summary.ending.is_some() => State::Running.to_string(),
        (None, Some(summary)) => summary.state.to_string(),
        (None, None) => State::Stuck.to_string(),
    };
    let facts = TaskFacts {
        phase: match (&row.ending, &summary) {
            (Some(ending), _) if ending == "stuck" => TaskPhase::Stuck,
            (Some(_), _) | (None, None) => TaskPhase::Ended,
            (None, Some(summary)) => phase(summary),
        },
    };
    let running = progress.as_ref().map(|progress| progress.step.clone());
    let steps = summary.iter().flat_map(|summary| &summary.steps).map(|step| api::Step {
        name: step.name.into(),
        state: step_state(step.state).into(),
        note: step
            .why
            .clone()
            .or_else(|| note.clone().filter(|_| running.as_deref() == Some(step.name)))
            .or_else(|| step.output.as_ref()?.get("note")?.as_str().map(str::to_owned)),
    });
    let needs = summary.as_ref().and_then(|s| s.needs.clone());
    let done = state == "done";
    let examined = summary.iter().flat_map(|summary| &summary.steps).find(|step| step.name == EXAMINE);
    let found = match &needs {
        Some(needs) => needs.get("findings").cloned(),
        None => examined.and_then(|step| step.output.as_ref()?.get("findings").cloned()),
    };
    Ok(api::Task {
        id: row.id,
        kind: row.kind,
        title: row.title,
        state,
        steps: steps.collect(),
        progress: progress.filter(|progress| progress.done_bytes > 0 || progress.total_bytes.is_some()),
        needs: needs.and_then(|needs| serde_json::from_value(needs).ok()),
        findings: found.and_then(|found| serde_json::from_value(found).ok()).unwrap_or_default(),
        error: row.error,
        result: summary.and_then(|s| s.result).filter(|result| done && !result.is_null()),
        layer_id: row.layer_id,
        version_id: row.version_id,
        created_by: row.created_by,
        comment: row.comment,
        created_at: row.created_at,
        updated_at: row.updated_at,
        finished_at: row.finished_at,
        actions: shown("task", facts.actions()),
    })
}

fn step_state(state: StepState) -> &'static str {
    match state {
        StepState::Pending => "pending",
        StepState::Running => "running",
        StepState::Waiting => "waiting",
        StepState::Done => "done",
        StepState::Failed => "failed",
        StepState::Undoing => "undoing",
        StepState::Undone => "undone",
    }
}

/// What is known of a user.
pub async fn user_facts(tx: &mut Tx, row: &UserRow) -> Result<UserFacts> {
    let administrators = UserRow::administrators(tx).await?;
    Ok(UserFacts { name: row.name.clone(), role: row.role, administrators })
}

/// A user as people see them.
pub async fn user(tx: &mut Tx, row: UserRow) -> Result<api::User> {
    let facts = user_facts(tx, &row).await?;
    Ok(api::User {
        id: row.id,
        name: row.name,
        role: row.role,
        created_at: row.created_at,
        last_login_at: row.last_login_at,
        actions: shown("user", facts.actions()),
    })
}

/// A token as people see it.
pub fn token(row: TokenRow) -> api::Token {
    api::Token {
        id: row.id,
        name: row.name,
        role: row.role,
        created_by: row.created_by,
        created_at: row.created_at,
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
        actions: shown("token", vec![Action { name: "delete", allowed: true, reason: None }]),
    }
}

/// A layered image as people see it.
pub fn image(row: ImageRow) -> api::Image {
    let facts = ImageFacts { name: row.name.clone(), state: row.state };
    api::Image {
        id: row.id,
        name: row.name,
        template_id: row.template_id,
        template_name: row.template_name,
        state: row.state,
        parts: row.parts,
        composition_id: row.composition_id,
        format: row.format,
        disk_bytes: row.disk_size,
        firmware: row.firmware,
        path: row.path.map(|path| path.to_string_lossy().into_owned()),
        connector_id: row.connector_id,
        report: row.report,
        task_id: row.task_id,
        created_at: row.created_at,
        updated_at: row.updated_at,
        actions: shown("image", facts.actions()),
    }
}

/// What is known of an upload.
pub fn upload_facts(app: &App, row: &UploadRow) -> UploadFacts {
    // A file that is gone has nothing.
    let received = std::fs::metadata(app.world.place.upload(row.id)).map_or(0, |found| found.len());
    UploadFacts { name: row.name.clone(), size: row.size, received, in_use: row.task_id.is_some() }
}

/// An upload as people see it.
pub fn upload(app: &App, row: UploadRow) -> api::Upload {
    let facts = upload_facts(app, &row);
    api::Upload {
        id: row.id,
        name: row.name,
        size: row.size,
        received: facts.received,
        created_at: row.created_at,
        updated_at: row.updated_at,
        actions: shown("upload", facts.actions()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_task_uses_is_found_in_whatever_shape_it_was_given() {
        let [version, base, below, made] = [1, 2, 3, 4].map(Uuid::from_u128);
        let input = json!({
            "version_id": version, "base_version_id": base, "machine_name": "packaging", "disk_size": 5,
            "disks of another release": [{ "parts": { "below": [below], "made": made }, "why": "not an id" }],
        });
        let task = |kind: &str| TaskRow {
            id: Uuid::nil(),
            kind: kind.into(),
            title: "Publish 'desk'.".into(),
            layer_id: None,
            version_id: Some(version),
            input: input.clone(),
            request: json!({}),
            created_by: String::new(),
            comment: String::new(),
            created_at: String::new(),
            updated_at: String::new(),
            ending: None,
            error: None,
            finished_at: None,
        };
        let used = |kind: &str| uses_of(&task(kind)).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(used("add_version"), [base, below, made]);
        assert_eq!(used("publish_image"), [version, base, below, made]);
        assert_eq!(used("verify_version"), [version]);
        assert_eq!(uses_of(&task("add_version"))[0].1, "the packaging machine 'packaging'");
    }
}
