//! `shale task`.

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::needs;
use crate::table::{Cell, Sheet, Table};
use crate::terminal::{Terminal, View, actions};
use crate::unattended;
use crate::units;
use crate::wait::{Waiting, conclude, exit_of, follow, follow_and_print};
use clap::Subcommand;
use serde_json::Value;
use shale_api::{Comment, Task, TaskLogEntry};
use uuid::Uuid;

/// The verbs of `shale task`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List tasks, the newest first
    List {
        /// Only those in this state: open, ended, or one of done, failed, canceled, stuck
        #[arg(long)]
        state: Option<String>,
        /// Only those of this layer: name or id
        #[arg(long)]
        layer: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show a task, its steps and what can be done with it now
    Show {
        /// The task's id
        task: Uuid,
    },
    /// Follow a task until it ends or needs a person
    Watch {
        /// The task's id
        task: Uuid,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Cancel a task and undo what it did
    Cancel {
        /// The task's id
        task: Uuid,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Try a stuck task again, where it stopped
    Retry {
        /// The task's id
        task: Uuid,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Print a task's log
    Log {
        /// The task's id
        task: Uuid,
    },
    /// Print what a task's script printed
    Output {
        /// The task's id
        task: Uuid,
        /// Go on printing until the task ends
        #[arg(short, long)]
        follow: bool,
    },
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    match verb {
        Verb::List { state, layer, limit } => {
            let layer = layer.map(|layer| crate::resolve::layer(client, &layer)).transpose()?;
            let layer = layer.map(|layer| layer.id.to_string());
            let mut query: Vec<(&str, &str)> = Vec::new();
            query.extend(state.as_deref().map(|state| ("state", state)));
            query.extend(layer.as_deref().map(|layer| ("layer_id", layer)));
            terminal.list::<Task>(&client.list("/tasks", &query, Some(limit))?)?;
        }
        Verb::Show { task } => {
            let task: Task = client.get(&format!("/tasks/{task}"))?;
            terminal.object(&task)?;
            if exit_of(&task) == Some(Exit::NeedsPerson) {
                needs::advise(client, terminal, &task);
            }
        }
        Verb::Watch { task, waiting } => {
            let task = client.get(&format!("/tasks/{task}"))?;
            return follow_and_print(client, terminal, task, waiting);
        }
        Verb::Retry { task, comment, waiting } => {
            let task: Task = client.post(&format!("/tasks/{task}/retry"), &Comment { comment })?;
            return follow_and_print(client, terminal, task, waiting);
        }
        Verb::Cancel { task, comment, waiting } => return cancel(task, comment, waiting, client, terminal),
        Verb::Output { task, follow } => unattended::print(task, follow, client, terminal)?,
        Verb::Log { task } => {
            terminal.list::<TaskLogEntry>(&client.list(&format!("/tasks/{task}/log"), &[], None)?)?;
        }
    }
    Ok(Exit::Ok)
}

/// Here `canceled` is the good end.
fn cancel(task: Uuid, comment: String, waiting: Waiting, client: &Client, terminal: &Terminal) -> Outcome {
    let task: Task = client.post(&format!("/tasks/{task}/cancel"), &Comment { comment })?;
    let (task, exit) = follow(client, terminal, task, waiting)?;
    terminal.object(&task)?;
    match task.state.as_str() {
        "canceled" => Ok(Exit::Ok),
        "done" => Err(Failure::new(Exit::TaskFailed, "The task was done before it could be canceled.")),
        _ => conclude(client, terminal, &task, exit),
    }
}

/// What a task found or made, on one line: `path: /srv/x.vhdx, size: 1.5 GiB`.
pub fn result_line(task: &Task) -> Option<String> {
    let value = task.result.as_ref()?;
    let Value::Object(map) = value else { return (!value.is_null()).then(|| plain("", value)) };
    let parts: Vec<String> = map
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| {
            format!("{}: {}", key.trim_end_matches("_bytes").replace('_', " "), plain(key, value))
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn plain(key: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(n) if key.ends_with("_bytes") => n.as_u64().map_or_else(|| n.to_string(), units::bytes),
        other => other.to_string(),
    }
}

impl View for Task {
    const COLUMNS: &'static [&'static str] = &["ID", "STATE", "TITLE", "STEP", "ASKED", "BY"];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.id.to_string()
    }

    fn row(&self) -> Vec<Cell> {
        let done = self.steps.iter().filter(|step| step.state == "done").count();
        vec![
            self.id.to_string().into(),
            Cell::state(self.state.clone()),
            self.title.clone().into(),
            format!("{done}/{}", self.steps.len()).into(),
            units::time(&self.created_at).into(),
            self.created_by.clone().into(),
        ]
    }

    fn sheet(&self) -> Sheet {
        let mut steps = Table::new(&["STEP", "STATE", "NOTE"]);
        for step in &self.steps {
            let note = step.note.clone().unwrap_or_default();
            steps.row(vec![step.name.clone().into(), Cell::state(step.state.clone()), note.into()]);
        }
        let took = self.finished_at.as_deref().and_then(|end| units::seconds_between(&self.created_at, end));
        let needs = self.needs.as_ref();
        Sheet::default()
            .with("Task", self.title.clone())
            .with("Id", self.id.to_string())
            .with("State", Cell::state(self.state.clone()))
            .maybe("Instruction", needs.map(|needs| needs.text.clone()))
            .maybe("Problem", needs.and_then(|needs| needs.problem.clone()))
            .maybe("Output", needs.and_then(|needs| needs.output.clone()))
            .maybe("Error", self.error.clone())
            .maybe("Result", result_line(self))
            .with("Asked by", self.created_by.clone())
            .with("Comment", self.comment.clone())
            .with("Asked", units::time(&self.created_at))
            .maybe("Took", took.map(units::duration))
            .part("Steps", steps)
            .part("What can be done", actions(&self.actions))
    }
}

impl View for TaskLogEntry {
    const COLUMNS: &'static [&'static str] = &["SEQ", "AT", "EVENT"];

    fn id(&self) -> String {
        self.seq.to_string()
    }

    fn name(&self) -> String {
        self.seq.to_string()
    }

    fn row(&self) -> Vec<Cell> {
        vec![self.seq.to_string().into(), units::time(&self.at).into(), self.event.to_string().into()]
    }

    fn sheet(&self) -> Sheet {
        Sheet::default().with("Event", self.event.to_string())
    }
}

/// A task for tests.
#[cfg(test)]
pub fn sample(state: &str, steps: Vec<shale_api::Step>) -> Task {
    Task {
        id: Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001),
        kind: "add_version".into(),
        title: "Adding Version to Operating System Layer 'debian'.".into(),
        state: state.into(),
        steps,
        progress: None,
        needs: None,
        findings: Vec::new(),
        error: None,
        result: None,
        layer_id: None,
        version_id: None,
        created_by: "root".into(),
        comment: String::new(),
        created_at: "2026-11-22T16:00:00Z".into(),
        updated_at: "2026-11-22T16:00:00Z".into(),
        finished_at: None,
        actions: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_result_is_one_line_with_readable_sizes() {
        let mut task = sample("done", Vec::new());
        assert_eq!(result_line(&task), None);
        task.result = Some(json!({"path": "/srv/x.vhdx", "written_bytes": 3u64 << 29, "lost": null}));
        assert_eq!(result_line(&task).unwrap(), "path: /srv/x.vhdx, written: 1.5 GiB");
    }

    #[test]
    fn a_task_is_shown_with_its_steps_and_what_can_be_done() {
        let step = |name: &str, state: &str, note: Option<&str>| shale_api::Step {
            name: name.into(),
            state: state.into(),
            note: note.map(Into::into),
        };
        let mut task = sample(
            "action_required",
            vec![step("Start the machine", "done", None), step("Wait for a person", "waiting", Some("off"))],
        );
        task.created_at = "yesterday".into();
        task.needs = Some(shale_api::Needs {
            text: "Power on 'd-1'.".into(),
            machine_id: None,
            problem: None,
            output: None,
            actions: vec!["finalize".into()],
        });
        task.actions = vec![
            shale_api::Action { name: "finalize".into(), allowed: false, reason: Some("It runs.".into()) },
            shale_api::Action { name: "cancel".into(), allowed: true, reason: None },
        ];
        assert_eq!(
            task.sheet().render(false),
            "Task:         Adding Version to Operating System Layer 'debian'.\n\
             Id:           01990000-0000-7000-8000-000000000001\n\
             State:        action_required\n\
             Instruction:  Power on 'd-1'.\n\
             Asked by:     root\n\
             Asked:        yesterday\n\
             \n\
             Steps:\n  \
               STEP               STATE    NOTE\n  \
               Start the machine  done\n  \
               Wait for a person  waiting  off\n\
             \n\
             What can be done:\n  \
               ACTION    NOW  WHY NOT\n  \
               finalize  no   It runs.\n  \
               cancel    yes\n"
        );
    }
}
