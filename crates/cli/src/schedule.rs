//! `shale schedule`.

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::packaging::Workplace;
use crate::resolve;
use crate::table::{Cell, Sheet};
use crate::terminal::{Terminal, View, actions};
use crate::unattended::Script;
use crate::units;
use crate::wait::{Waiting, follow_and_print};
use clap::Subcommand;
use serde_json::Value;
use shale_api::{
    Comment, EditSchedule, LayerKind, NewSchedule, RunSchedule, Schedule, ScheduledVersion, VersionCreated,
};
use uuid::Uuid;

/// The verbs of `shale schedule`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the schedules
    List,
    /// Show a schedule, what became of its last run, and when it is due next
    Show {
        /// Name or id
        schedule: String,
    },
    /// Make a schedule: versions that a script makes by themselves
    Create(Box<Create>),
    /// Change a schedule
    Edit(Box<Edit>),
    /// Run a schedule now, beside the times at which it is due
    Run {
        /// Name or id
        schedule: String,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Delete a schedule; versions that it made stay
    Delete {
        /// Name or id
        schedule: String,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
}

/// What `shale schedule create` takes.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The new schedule's name
    name: String,
    /// The layer that gets the versions: name or id
    #[arg(long)]
    layer: String,
    /// When it is due: 'every day 22:00', 'every monday, thursday 22:00', 'every second tuesday 22:00' (of each month), 'every 15th
    /// 22:00', 'every last day 22:00'
    #[arg(long, value_name = "TIMES")]
    when: String,
    /// Time zone of that time
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// The versions' names; {date} and {time} stand for when it was due
    #[arg(long, value_name = "NAME", default_value = "{date}")]
    version: String,
    #[command(flatten)]
    workplace: Workplace,
    /// Max layer size in GiB, thin; 100, or the base version's size when that is larger
    #[arg(long, value_name = "GIB")]
    size: Option<u32>,
    /// OS version that the machine runs (platform and app layers); the newest deployable one when left out
    #[arg(long, value_name = "LAYER[/VERSION]")]
    os: Option<String>,
    /// Platform layer with the tools and drivers that are needed
    #[arg(long, value_name = "LAYER[/VERSION]")]
    platform: Option<String>,
    /// App layer that must be there first; may be given several times (app layers); the base version's when left out
    #[arg(long = "with", value_name = "LAYER[/VERSION]")]
    prerequisites: Vec<String>,
    /// Do not run it by itself yet
    #[arg(long)]
    disabled: bool,
    /// The versions' description
    #[arg(long, default_value = "")]
    description: String,
    /// Why; kept in the audit
    #[arg(long, default_value = "")]
    comment: String,
    #[command(flatten)]
    script: Script,
}

/// What `shale schedule edit` takes.
#[derive(Debug, clap::Args)]
pub struct Edit {
    /// Name or id
    schedule: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// When it is due from now on
    #[arg(long, value_name = "TIMES")]
    when: Option<String>,
    /// Another time zone
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Run it by itself from now on
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Do not run it by itself any more
    #[arg(long)]
    disable: bool,
    /// Why; kept in the audit
    #[arg(long, default_value = "")]
    comment: String,
    /// Another script, with what goes with it; files replace those that it has, what is left out stays
    #[command(flatten)]
    script: Script,
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    match verb {
        Verb::List => terminal.list::<Schedule>(&client.list("/schedules", &[], None)?)?,
        Verb::Show { schedule } => terminal.object(&find(client, &schedule)?)?,
        Verb::Create(create) => {
            let new = request(*create, client, terminal)?;
            terminal.object::<Schedule>(&client.create("/schedules", &new)?)?;
        }
        Verb::Edit(edit) => run_edit(*edit, client, terminal)?,
        Verb::Run { schedule, comment, waiting } => {
            let id = find(client, &schedule)?.id;
            let order = RunSchedule { id: Uuid::now_v7(), comment };
            let created: VersionCreated = client.create(&format!("/schedules/{id}/run"), &order)?;
            return follow_and_print(client, terminal, created.task, waiting);
        }
        Verb::Delete { schedule, comment } => {
            let schedule = find(client, &schedule)?;
            let _: Value = client.delete(&format!("/schedules/{}", schedule.id), &Comment { comment })?;
            terminal.note(&format!("The schedule '{}' is deleted.", schedule.name));
        }
    }
    Ok(Exit::Ok)
}

/// The schedule of this name or id.
fn find(client: &Client, text: &str) -> Result<Schedule, Failure> {
    let all: Vec<Schedule> = client.list("/schedules", &[], None)?;
    let is_it = |schedule: &Schedule| schedule.name == text || schedule.id.to_string() == text;
    let found = all.into_iter().find(is_it);
    found.ok_or_else(|| Failure::new(Exit::NotFound, format!("There is no schedule '{text}'.")))
}

fn request(create: Create, client: &Client, terminal: &Terminal) -> Result<NewSchedule, Failure> {
    let Some(unattended) = create.script.sent(client, terminal, None)? else {
        return Err(Failure::usage("Give --script: it makes the versions."));
    };
    let prerequisites = resolve::apps(client, &create.prerequisites)?;
    let version = ScheduledVersion {
        name: create.version,
        description: create.description,
        max_layer_size_gib: create.size,
        os_version_id: resolve::wanted(client, create.os.as_deref(), LayerKind::Os)?,
        prerequisite_version_ids: if prerequisites.is_empty() { None } else { Some(prerequisites) },
        connector_id: create.workplace.connector(client)?,
        platform_version_id: resolve::wanted(client, create.platform.as_deref(), LayerKind::Platform)?,
        packaging_disk: create.workplace.packaging_disk(),
        unattended,
    };
    Ok(NewSchedule {
        id: Uuid::now_v7(),
        name: create.name,
        when: create.when,
        time_zone: create.time_zone,
        enabled: !create.disabled,
        layer_id: resolve::layer(client, &create.layer)?.id,
        version,
        comment: create.comment,
    })
}

fn run_edit(edit: Edit, client: &Client, terminal: &Terminal) -> Result<(), Failure> {
    let schedule = find(client, &edit.schedule)?;
    let known = schedule.version.as_ref().map(|version| &version.unattended);
    if known.is_none() && edit.script.is_given() {
        let text = format!(
            "What the schedule '{}' makes {UNREADABLE}: delete it and create it again.",
            schedule.name
        );
        return Err(Failure::new(Exit::Conflict, text));
    }
    let unattended = edit.script.sent(client, terminal, known)?;
    let version = unattended.zip(schedule.version);
    let version = version.map(|(unattended, version)| ScheduledVersion { unattended, ..version });
    let request = EditSchedule {
        name: edit.name,
        when: edit.when,
        time_zone: edit.time_zone,
        enabled: if edit.enable { Some(true) } else { edit.disable.then_some(false) },
        version,
        comment: edit.comment,
    };
    terminal.object::<Schedule>(&client.patch(&format!("/schedules/{}", schedule.id), &request)?)
}

/// What is said where the server cannot read what a schedule's versions are made of.
const UNREADABLE: &str = "cannot be read";

impl View for Schedule {
    const COLUMNS: &'static [&'static str] = &["NAME", "LAYER", "WHEN", "ZONE", "NEXT", "LAST"];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<Cell> {
        let next = self.next_run_at.as_deref().map_or("disabled".to_owned(), units::time);
        vec![
            self.name.clone().into(),
            self.layer_name.clone().into(),
            self.when.clone().into(),
            self.time_zone.clone().into(),
            next.into(),
            Cell::state(self.last.as_ref().map(|last| last.outcome.clone()).unwrap_or_default()),
        ]
    }

    fn sheet(&self) -> Sheet {
        let (last, version) = (self.last.as_ref(), self.version.as_ref());
        Sheet::default()
            .with("Schedule", self.name.clone())
            .with("Id", self.id.to_string())
            .with("Layer", self.layer_name.clone())
            .with("When", format!("{} ({})", self.when, self.time_zone))
            .with("Next", self.next_run_at.as_deref().map_or("disabled".to_owned(), units::time))
            .with("Versions", version.map_or(UNREADABLE.to_owned(), |version| version.name.clone()))
            .maybe("Script", version.map(|version| version.unattended.script.name.clone()))
            .with("Files", self.files.join(", "))
            .maybe("Last run", last.map(|last| units::time(&last.at)))
            .maybe("Outcome", last.map(|last| last.outcome.clone()))
            .maybe("Why", last.and_then(|last| last.text.clone()))
            .maybe("Its task", last.and_then(|last| last.task_id.map(|id| id.to_string())))
            .with("Made by", self.created_by.clone())
            .part("What can be done", actions(&self.actions))
    }
}
