//! Waiting for a task.
//!
//! ```text
//!            ┌── pending, running, canceling ──┐
//!            ▼                                 │
//!   show ── ask (the server holds the answer for up to a second) ──▶ done              0
//!            │                                                      ├▶ failed, stuck, canceled   6
//!            │ server away: for a minute, again                     └▶ action_required  7
//!            ├── --timeout passed  8
//!            └── Ctrl-C  130          the task goes on in both
//! ```

use crate::client::{Client, with_query};
use crate::failure::{Exit, Failure, Outcome};
use crate::interrupt::{Leaves, guard};
use crate::needs;
use crate::progress::Display;
use crate::terminal::Terminal;
use shale_api::Task;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may be away (restarting, say) before waiting is given up.
const AWAY: Duration = Duration::from_secs(60);

/// Whether and how long to wait for the task that a command starts.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Waiting {
    /// Wait until the task ends or needs a person (the default)
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Return as soon as the task is started
    #[arg(long, overrides_with = "wait")]
    no_wait: bool,
    /// Stop waiting after this many seconds, with exit code 8; the task goes on
    #[arg(long, value_name = "SECONDS", conflicts_with = "no_wait")]
    timeout: Option<u64>,
}

impl Waiting {
    /// Whether to wait at all.
    pub fn wanted(&self) -> bool {
        !self.no_wait
    }

    /// When to stop waiting.
    pub fn deadline(&self) -> Option<Instant> {
        self.timeout.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)))
    }
}

/// Waits for `task` as `waiting` says. Returns it as it is then, with the exit code that belongs to its state.
pub fn follow(
    client: &Client,
    terminal: &Terminal,
    task: Task,
    waiting: Waiting,
) -> Result<(Task, Exit), Failure> {
    if !waiting.wanted() {
        return Ok((task, Exit::Ok));
    }
    let _guard = guard(Leaves::Task(format!("The task goes on; watch it with: {}", watch(client, &task))));
    let mut display = Display::new(terminal.quiet);
    let ended = until_it_stops(client, task, waiting.deadline(), &mut display);
    display.clear();
    ended
}

fn watch(client: &Client, task: &Task) -> String {
    client.command(&format!("task watch {}", task.id))
}

fn until_it_stops(
    client: &Client,
    mut task: Task,
    deadline: Option<Instant>,
    display: &mut Display,
) -> Result<(Task, Exit), Failure> {
    let mut away_since: Option<Instant> = None;
    loop {
        display.update(&task);
        if let Some(exit) = exit_of(&task) {
            return Ok((task, exit));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok((task, Exit::TimedOut));
        }
        match client.get(&with_query(&format!("/tasks/{}", task.id), &[("wait", "1")])) {
            Ok(newer) => {
                task = newer;
                away_since = None;
            }
            Err(failure) if failure.unreachable && away_since.is_none_or(|since| since.elapsed() < AWAY) => {
                if away_since.is_none() {
                    away_since = Some(Instant::now());
                    display.line("The server does not answer; trying again for a minute.");
                }
                sleep(Duration::from_millis(500));
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// The exit code of a task that has stopped, for now or for ever.
pub fn exit_of(task: &Task) -> Option<Exit> {
    match task.state.as_str() {
        "done" => Some(Exit::Ok),
        "action_required" => Some(Exit::NeedsPerson),
        _ if task.ended() => Some(Exit::TaskFailed),
        _ => None,
    }
}

/// Says, after the answer, why the exit code is not 0 and what to do next.
pub fn conclude(client: &Client, terminal: &Terminal, task: &Task, exit: Exit) -> Outcome {
    match exit {
        Exit::NeedsPerson => needs::advise(client, terminal, task),
        Exit::TimedOut => {
            let text =
                format!("Still {}; the task goes on. Watch it with: {}", task.state, watch(client, task));
            terminal.note(&text);
        }
        Exit::TaskFailed => return Err(failure(client, task)),
        _ => {}
    }
    Ok(exit)
}

/// How a task that did not end well ended.
fn failure(client: &Client, task: &Task) -> Failure {
    let (ended, next) = match task.state.as_str() {
        "canceled" => ("was canceled", "show"),
        "stuck" => ("is stuck", "retry"),
        _ => ("failed", "show"),
    };
    let why = task.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    let text = format!("{} {ended}{why}", task.title.trim_end_matches('.'));
    Failure::new(Exit::TaskFailed, text).hint(client.command(&format!("task {next} {}", task.id)))
}

/// Waits, prints the task, and says what comes next.
pub fn follow_and_print(client: &Client, terminal: &Terminal, task: Task, waiting: Waiting) -> Outcome {
    let (task, exit) = follow(client, terminal, task, waiting)?;
    terminal.object(&task)?;
    conclude(client, terminal, &task, exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_stopped_has_an_exit_code_and_one_that_goes_on_has_none() {
        let table = [
            ("pending", None),
            ("running", None),
            ("canceling", None),
            ("action_required", Some(Exit::NeedsPerson)),
            ("done", Some(Exit::Ok)),
            ("failed", Some(Exit::TaskFailed)),
            ("canceled", Some(Exit::TaskFailed)),
            ("stuck", Some(Exit::TaskFailed)),
        ];
        for (state, exit) in table {
            assert_eq!(exit_of(&crate::task::sample(state, Vec::new())), exit, "{state}");
        }
    }
}
