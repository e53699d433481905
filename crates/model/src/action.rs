//! What may be done with a thing right now, and why the rest may not.
//!
//! The server gathers facts, asks here, shows the answer with every view, and asks again ([`permitted`]) before it
//! acts. A reason is a whole sentence that a person can act on. The same actions come back always, in the same order.

use crate::role::FINALIZE_ANYWAY;
use crate::{LayerKind, VersionState, message};

/// Something that may be done with a thing, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Stable name: `add_version`, `finalize`, `cancel`, …
    pub name: &'static str,
    /// Whether it would be accepted now.
    pub allowed: bool,
    /// Why not; only when it is not allowed.
    pub reason: Option<String>,
}

/// Whether `actions` allow the one called `name`; if not, the reason.
pub fn permitted(actions: &[Action], name: &str) -> Result<(), String> {
    match actions.iter().find(|action| action.name == name) {
        Some(Action { allowed: true, .. }) => Ok(()),
        Some(Action { reason, .. }) => {
            Err(reason.clone().unwrap_or_else(|| "This is not possible now.".into()))
        }
        None => Err(format!("There is no action named '{name}' here.")),
    }
}

/// A rule's answer: nothing to say, or why not.
type Answer = Result<(), String>;

fn action(name: &'static str, rule: Answer) -> Action {
    Action::of(name, rule)
}

impl Action {
    /// The action `name`, allowed unless a rule says why not.
    pub(crate) fn of(name: &'static str, rule: Result<(), String>) -> Self {
        Self { name, allowed: rule.is_ok(), reason: rule.err() }
    }
}

/// What is known of a layer.
#[derive(Clone, Debug, Default)]
pub struct LayerFacts {
    /// Its name.
    pub name: String,
    /// How many of its versions are deployable.
    pub deployable_versions: usize,
    /// Title of the open task that makes or deletes something in this layer.
    pub open_job: Option<String>,
    /// What uses the layer or one of its versions, each with its article: `the packaging machine 'X'`.
    pub used_by: Vec<String>,
}

impl LayerFacts {
    /// `add_version`, `edit`, `delete`.
    pub fn actions(&self) -> Vec<Action> {
        let no_job = no_open_job(&self.name, self.open_job.as_deref());
        let has_base = if self.deployable_versions > 0 {
            Ok(())
        } else {
            Err(format!(
                "The layer '{}' has no deployable version to start from: finish making one first.",
                self.name
            ))
        };
        let unused = unused(&format!("layer '{}'", self.name), &self.used_by);
        vec![
            action("add_version", no_job.clone().and(has_base)),
            action("edit", Ok(())),
            action("delete", no_job.and(unused)),
        ]
    }
}

/// Whether a machine runs, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It runs (or is paused: its memory is not on its disk).
    Running,
    /// It exists and is off.
    Off,
    /// It is not there: not made yet, or gone.
    Absent,
    /// The platform did not answer.
    Unknown,
}

/// How files of a platform or app layer come onto a disk.
const PUBLISH: &str = "publish an image that it is in";

/// What is known of a version.
#[derive(Clone, Debug)]
pub struct VersionFacts {
    /// Its name.
    pub name: String,
    /// Its layer's name.
    pub layer: String,
    /// Its layer's kind.
    pub kind: LayerKind,
    /// Its state.
    pub state: VersionState,
    /// Its packaging machine, name and power, while it is being made.
    pub machine: Option<(String, Power)>,
    /// The open task that makes this version; absent when no task does.
    pub task: Option<TaskPhase>,
    /// Title of the open task that makes or deletes something in this layer, this version's own included.
    pub layer_job: Option<String>,
    /// What uses it, each with its article: `the packaging machine 'X'`, `the task "…"` (a base in use, a running
    /// export or check). Versions made from it are no users: each is a whole disk.
    pub used_by: Vec<String>,
}

impl VersionFacts {
    /// `add_version` (from this one), `finalize`, `finalize_anyway`, `cancel`, `edit`, `verify`, `export`, `delete`.
    pub fn actions(&self) -> Vec<Action> {
        let deployable = self.is(VersionState::Deployable);
        vec![
            action(
                "add_version",
                deployable.clone().and(no_open_job(&self.layer, self.layer_job.as_deref())),
            ),
            action("finalize", self.finalize()),
            action(FINALIZE_ANYWAY, self.finalize()),
            action("cancel", self.cancel()),
            action("edit", self.not_deleting()),
            action("verify", self.complete()),
            action("export", deployable.and_then(|()| self.whole_disk())),
            action("delete", self.delete()),
        ]
    }

    /// Only an OS layer's versions are disks.
    fn whole_disk(&self) -> Answer {
        match self.kind {
            LayerKind::Os => Ok(()),
            LayerKind::Platform => Err(self.says("is of a platform layer, which is no disk", PUBLISH)),
            LayerKind::App => Err(self.says("is of an app layer, which is no disk", PUBLISH)),
        }
    }

    fn says(&self, what: &str, hint: &str) -> String {
        format!("The version '{}' {what}: {hint}.", self.name)
    }

    fn is(&self, wanted: VersionState) -> Answer {
        if self.state == wanted {
            return Ok(());
        }
        let hint = match self.state {
            VersionState::Editing => "wait until its packaging machine is ready, then finalize it",
            VersionState::Finalizable => "finalize it first",
            VersionState::Finalizing => "wait until its task has ended",
            VersionState::Deployable => "there is nothing to finalize",
            VersionState::Broken => "verify it to see what is damaged, or use another version",
            VersionState::Deleting => "use another version",
        };
        Err(self.says(self.state.predicate(), hint))
    }

    fn finalize(&self) -> Answer {
        match self.state {
            VersionState::Editing => {
                return Err(self.says("is still being made", "wait until its packaging machine is ready"));
            }
            VersionState::Finalizable => {}
            VersionState::Finalizing => {
                return Err(self.says("is being finalized", "wait until its task has ended"));
            }
            VersionState::Deployable | VersionState::Broken | VersionState::Deleting => {
                return Err(self.says(self.state.predicate(), "there is nothing to finalize"));
            }
        }
        match &self.machine {
            Some((machine, power)) => is_off(machine, *power),
            None => Err(self.says("has no packaging machine", "cancel its task and add the version again")),
        }
    }

    fn cancel(&self) -> Answer {
        match self.task {
            Some(phase) => phase.cancel(),
            None => {
                Err(format!("No task is making the version '{}': there is nothing to cancel.", self.name))
            }
        }
    }

    fn not_deleting(&self) -> Answer {
        match self.state {
            VersionState::Deleting => Err(self.says("is being deleted", "it cannot be changed any more")),
            _ => Ok(()),
        }
    }

    /// Only what is complete can be compared with its digest. A broken version can: it may have been mended.
    fn complete(&self) -> Answer {
        match self.state {
            VersionState::Broken => Ok(()),
            _ => self.is(VersionState::Deployable),
        }
    }

    fn delete(&self) -> Answer {
        match self.state {
            VersionState::Editing | VersionState::Finalizable | VersionState::Finalizing => {
                Err(self.says(self.state.predicate(), "cancel its task instead"))
            }
            VersionState::Deleting => Err(self.says("is being deleted", "wait until its task has ended")),
            VersionState::Deployable | VersionState::Broken => {
                unused(&format!("version '{}'", self.name), &self.used_by)
            }
        }
    }
}

/// How far a task is, as far as people can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPhase {
    /// It can be cancelled.
    Open,
    /// It is being cancelled.
    Canceling,
    /// It failed and removes what it made.
    Undoing,
    /// Its result is being made visible, or is visible: too late to cancel.
    Committing,
    /// It stopped half-way and needs a person.
    Stuck,
    /// It is over.
    Ended,
}

impl TaskPhase {
    fn cancel(self) -> Answer {
        Err(match self {
            Self::Open => return Ok(()),
            Self::Canceling => "The task is already being cancelled: wait until it has ended.",
            Self::Undoing => "The task failed and is removing what it made: wait until it has ended.",
            Self::Committing => "The task is about to end: it is too late to cancel it.",
            Self::Stuck => "The task could not remove all it made: mend what it names, then retry it.",
            Self::Ended => "The task has ended: there is nothing to cancel.",
        }
        .into())
    }

    fn retry(self) -> Answer {
        match self {
            Self::Stuck => Ok(()),
            Self::Ended => Err("The task has ended: start a new one.".into()),
            _ => Err("The task is not stuck: there is nothing to retry.".into()),
        }
    }
}

/// What is known of a task.
#[derive(Clone, Copy, Debug)]
pub struct TaskFacts {
    /// How far it is.
    pub phase: TaskPhase,
}

impl TaskFacts {
    /// `cancel`, `retry`.
    pub fn actions(&self) -> Vec<Action> {
        vec![action("cancel", self.phase.cancel()), action("retry", self.phase.retry())]
    }
}

/// What is known of a packaging machine.
#[derive(Clone, Debug)]
pub struct MachineFacts {
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub power: Power,
    /// The state of the version that is made in it.
    pub version: VersionState,
    /// Why its platform takes no CD for it, a sentence with what to do instead.
    pub no_cd: Option<String>,
}

impl MachineFacts {
    /// `power_on`, `shut_down`, `power_off`, `attach_files`.
    pub fn actions(&self) -> Vec<Action> {
        let on = self.free().and(match self.power {
            Power::Running => Err(format!("The machine '{}' is already running.", self.name)),
            other => is_off(&self.name, other),
        });
        let running = self.free().and(match self.power {
            Power::Running => Ok(()),
            Power::Off => Err(format!("The machine '{}' is not running: power it on first.", self.name)),
            other => is_off(&self.name, other),
        });
        vec![
            action("power_on", on),
            action("shut_down", running.clone()),
            action("power_off", running),
            action("attach_files", self.free().and(self.no_cd.clone().map_or(Ok(()), Err))),
        ]
    }

    /// A person may touch the machine only while it is theirs: neither while it is made nor while it is taken from.
    fn free(&self) -> Answer {
        match self.version {
            VersionState::Finalizable => Ok(()),
            VersionState::Editing => {
                Err(format!("The machine '{}' is still being set up: wait until it is ready.", self.name))
            }
            state => Err(format!(
                "The version made in the machine '{}' {}: the machine must stay as it is.",
                self.name,
                state.predicate()
            )),
        }
    }
}

/// What is known of a schedule.
#[derive(Clone, Debug)]
pub struct ScheduleFacts {
    /// Its name.
    pub name: String,
    /// Whether what its versions are made of cannot be read.
    pub is_unreadable: bool,
    /// Whether its layer takes a version now; if not, why.
    pub layer: Result<(), String>,
}

impl ScheduleFacts {
    /// `run`, `edit`, `delete`.
    pub fn actions(&self) -> Vec<Action> {
        let run = match self.is_unreadable {
            true => Err(message::unreadable_schedule(&self.name)),
            false => self.layer.clone(),
        };
        vec![action("run", run), action("edit", Ok(())), action("delete", Ok(()))]
    }
}

/// What is known of a connector configuration.
#[derive(Clone, Debug, Default)]
pub struct ConnectorFacts {
    /// Its name.
    pub name: String,
    /// What uses it, each with its article: `the packaging machine 'X'`.
    pub used_by: Vec<String>,
}

impl ConnectorFacts {
    /// `test`, `edit`, `delete`.
    pub fn actions(&self) -> Vec<Action> {
        let unused = unused(&format!("connector configuration '{}'", self.name), &self.used_by);
        vec![action("test", Ok(())), action("edit", Ok(())), action("delete", unused)]
    }
}

fn no_open_job(layer: &str, job: Option<&str>) -> Answer {
    match job {
        None => Ok(()),
        Some(title) => Err(format!(
            "The layer '{layer}' is busy with the task \"{}\": wait until it has ended, or cancel it.",
            title.trim_end_matches('.')
        )),
    }
}

/// Names up to three users; a longer list helps nobody.
fn unused(what: &str, users: &[String]) -> Answer {
    let list = match users {
        [] => return Ok(()),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, two, three] => format!("{one}, {two} and {three}"),
        [one, two, three, more @ ..] => format!("{one}, {two}, {three} and {} more", more.len()),
    };
    let them = if users.len() == 1 { "that" } else { "those" };
    Err(format!("The {what} is used by {list}: finish, cancel or change {them} first."))
}

fn is_off(machine: &str, power: Power) -> Answer {
    Err(match power {
        Power::Off => return Ok(()),
        Power::Running => format!("The machine '{machine}' is running: shut it down first."),
        Power::Absent => format!("The machine '{machine}' is not there: cancel its task and start again."),
        Power::Unknown => {
            format!(
                "It is not known whether the machine '{machine}' is running: test its connector, then try again."
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use VersionState::{Broken, Deleting, Deployable, Editing, Finalizable, Finalizing};

    /// The names of the actions that are allowed; checks that the others have a sentence as their reason.
    fn allowed(actions: Vec<Action>) -> String {
        for action in &actions {
            assert_eq!(action.allowed, action.reason.is_none(), "{action:?}");
            if let Some(reason) = &action.reason {
                assert!(reason.ends_with('.') && reason.starts_with(char::is_uppercase), "{reason}");
                assert!(!reason.contains(".\"") && !reason.contains(".."), "{reason}");
            }
        }
        actions.iter().filter(|a| a.allowed).map(|a| a.name).collect::<Vec<_>>().join(" ")
    }

    fn reason(actions: Vec<Action>, name: &str) -> String {
        permitted(&actions, name).unwrap_err()
    }

    fn version(state: VersionState, power: Option<Power>) -> VersionFacts {
        VersionFacts {
            name: "1.1".into(),
            layer: "Win".into(),
            kind: LayerKind::Os,
            state,
            machine: power.map(|power| ("m".into(), power)),
            task: None,
            layer_job: None,
            used_by: vec![],
        }
    }

    #[test]
    fn a_layer_allows_what_its_facts_allow() {
        let job = Some("Adding Version to Operating System Layer 'Win'.".to_owned());
        let used = vec!["the packaging machine 'm'".to_owned()];
        for (deployable_versions, open_job, used_by, expected) in [
            (1, None, vec![], "add_version edit delete"),
            (0, None, vec![], "edit delete"),
            (1, job.clone(), vec![], "edit"),
            (1, None, used.clone(), "add_version edit"),
            (0, job, used, "edit"),
        ] {
            let facts = LayerFacts { name: "Win".into(), deployable_versions, open_job, used_by };
            assert_eq!(allowed(facts.actions()), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_second_job_on_a_layer_is_refused_naming_the_first() {
        let facts = LayerFacts {
            name: "Win".into(),
            deployable_versions: 1,
            open_job: Some("Adding Version to Operating System Layer 'Win'.".into()),
            used_by: vec![],
        };
        assert_eq!(
            reason(facts.actions(), "add_version"),
            "The layer 'Win' is busy with the task \"Adding Version to Operating System Layer 'Win'\": wait until it \
             has ended, or cancel it."
        );
    }

    #[test]
    fn a_version_allows_what_its_state_allows() {
        for (state, power, expected) in [
            (Editing, None, "edit"),
            (Finalizable, Some(Power::Off), "finalize finalize_anyway edit"),
            (Finalizable, Some(Power::Running), "edit"),
            (Finalizable, Some(Power::Unknown), "edit"),
            (Finalizable, Some(Power::Absent), "edit"),
            (Finalizable, None, "edit"),
            (Finalizing, Some(Power::Off), "edit"),
            (Deployable, None, "add_version edit verify export delete"),
            (Broken, None, "edit verify delete"),
            (Deleting, None, ""),
        ] {
            assert_eq!(allowed(version(state, power).actions()), expected, "{state} {power:?}");
        }
    }

    #[test]
    fn only_versions_of_os_layers_are_disks_that_can_be_exported() {
        for (kind, told) in [(LayerKind::App, "an app layer"), (LayerKind::Platform, "a platform layer")] {
            let facts = VersionFacts { kind, ..version(Deployable, None) };
            assert_eq!(allowed(facts.actions()), "add_version edit verify delete");
            let why = reason(facts.actions(), "export");
            assert!(why.contains(&format!("The version '1.1' is of {told}, which is no disk")), "{why}");
        }
    }

    #[test]
    fn finalize_is_refused_while_the_machine_runs() {
        let facts = version(Finalizable, Some(Power::Running));
        assert_eq!(reason(facts.actions(), "finalize"), "The machine 'm' is running: shut it down first.");
    }

    #[test]
    fn a_version_in_use_cannot_be_deleted_and_the_reason_names_the_users() {
        let mut facts = version(Deployable, None);
        facts.used_by = vec!["the packaging machine 'm'".into()];
        facts.layer_job = Some("Adding Version to Operating System Layer 'Win'.".into());
        assert_eq!(allowed(facts.actions()), "edit verify export");
        let one = reason(facts.actions(), "delete");
        assert_eq!(
            one,
            "The version '1.1' is used by the packaging machine 'm': finish, cancel or change that first."
        );
        facts.used_by = (1..=5).map(|n| format!("the export {n}")).collect();
        let many = reason(facts.actions(), "delete");
        assert!(
            many.contains(
                "the export 1, the export 2, the export 3 and 2 more: finish, cancel or change those"
            ),
            "{many}"
        );
    }

    #[test]
    fn a_task_can_be_cancelled_while_it_is_open_and_retried_when_stuck() {
        for (phase, expected) in [
            (TaskPhase::Open, "cancel"),
            (TaskPhase::Canceling, ""),
            (TaskPhase::Undoing, ""),
            (TaskPhase::Committing, ""),
            (TaskPhase::Stuck, "retry"),
            (TaskPhase::Ended, ""),
        ] {
            assert_eq!(allowed(TaskFacts { phase }.actions()), expected, "{phase:?}");
            let mut facts = version(Finalizable, Some(Power::Running));
            facts.task = Some(phase);
            assert_eq!(permitted(&facts.actions(), "cancel").is_ok(), phase == TaskPhase::Open);
        }
    }

    #[test]
    fn a_machine_is_its_persons_only_between_set_up_and_finalize() {
        for (state, power, expected) in [
            (Finalizable, Power::Off, "power_on attach_files"),
            (Finalizable, Power::Running, "shut_down power_off attach_files"),
            (Finalizable, Power::Absent, "attach_files"),
            (Finalizable, Power::Unknown, "attach_files"),
            (Editing, Power::Off, ""),
            (Finalizing, Power::Off, ""),
            (Deleting, Power::Running, ""),
        ] {
            let facts = MachineFacts { name: "m".into(), power, version: state, no_cd: None };
            assert_eq!(allowed(facts.actions()), expected, "{state} {power:?}");
        }
    }

    #[test]
    fn a_machine_whose_platform_takes_no_cd_says_so_instead_of_taking_files() {
        let why = "The pool has no place for CDs: use a share.".to_owned();
        let facts = MachineFacts {
            name: "m".into(),
            power: Power::Running,
            version: Finalizable,
            no_cd: Some(why.clone()),
        };
        assert_eq!(allowed(facts.actions()), "shut_down power_off");
        assert_eq!(reason(facts.actions(), "attach_files"), why);
    }

    #[test]
    fn a_connector_configuration_in_use_cannot_be_deleted() {
        let mut facts = ConnectorFacts { name: "here".into(), used_by: vec![] };
        assert_eq!(allowed(facts.actions()), "test edit delete");
        facts.used_by = vec!["the packaging machine 'a'".into(), "the packaging machine 'b'".into()];
        assert_eq!(allowed(facts.actions()), "test edit");
        assert!(
            reason(facts.actions(), "delete")
                .contains("'a' and the packaging machine 'b': finish, cancel or change those")
        );
    }

    #[test]
    fn an_action_nobody_knows_is_refused() {
        assert_eq!(permitted(&[], "explode").unwrap_err(), "There is no action named 'explode' here.");
    }
}
