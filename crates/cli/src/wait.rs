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
use indicatif::MultiProgress;
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

/// A task that is waited for, and how it is shown.
#[derive(Debug)]
pub struct Followed {
    /// The task, as it was when it was last asked for.
    pub task: Task,
    display: Display,
}

/// Waits for `task` as `waiting` says. Returns it as it is then, with the exit code that belongs to its state.
pub fn follow(
    client: &Client,
    terminal: &Terminal,
    task: Task,
    waiting: Waiting,
) -> Result<(Task, Exit), Failure> {
    let _guard = guard(Leaves::Task(format!("The task goes on; watch it with: {}", watch(client, &task))));
    let mut alone = [Followed { task, display: Display::new(terminal.quiet) }];
    until_they_stop(client, &mut alone, waiting)?;
    let [Followed { task, .. }] = alone;
    let exit = exit_after(&task, waiting);
    Ok((task, exit))
}

/// Waits for several tasks at once, each with the name that its lines begin with. Returns them in the same order.
pub fn follow_all(
    client: &Client,
    terminal: &Terminal,
    tasks: Vec<(String, Task)>,
    waiting: Waiting,
) -> Result<Vec<(Task, Exit)>, Failure> {
    let open = client.command("task list --state open");
    let _guard = guard(Leaves::Task(format!("The tasks go on; see them with: {open}")));
    let bars = MultiProgress::new();
    let followed = |(name, task)| Followed { task, display: Display::among(&bars, name, terminal.quiet) };
    let mut all: Vec<Followed> = tasks.into_iter().map(followed).collect();
    until_they_stop(client, &mut all, waiting)?;
    Ok(all
        .into_iter()
        .map(|Followed { task, .. }| {
            let exit = exit_after(&task, waiting);
            (task, exit)
        })
        .collect())
}

fn watch(client: &Client, task: &Task) -> String {
    client.command(&format!("task watch {}", task.id))
}

/// The exit code after a task was waited for, or was not to be.
fn exit_after(task: &Task, waiting: Waiting) -> Exit {
    let open = if waiting.wanted() { Exit::TimedOut } else { Exit::Ok };
    exit_of(task).filter(|_| waiting.wanted()).unwrap_or(open)
}

/// Shows the tasks until none goes on, or the time is over.
fn until_they_stop(client: &Client, all: &mut [Followed], waiting: Waiting) -> Result<(), Failure> {
    if !waiting.wanted() {
        return Ok(());
    }
    let stopped = rounds(client, all, waiting.deadline());
    for one in all {
        one.display.clear();
    }
    stopped
}

/// Asks for those that go on, round after round: the server holds its answer for the first, and tells the others at once.
fn rounds(client: &Client, all: &mut [Followed], deadline: Option<Instant>) -> Result<(), Failure> {
    let mut away_since: Option<Instant> = None;
    for one in all.iter_mut() {
        one.display.update(&one.task);
    }
    loop {
        let mut open = all.iter_mut().filter(|one| exit_of(&one.task).is_none()).peekable();
        if open.peek().is_none() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(());
        }
        for (at, one) in open.enumerate() {
            let hold = if at == 0 { "1" } else { "0" };
            ask(client, one, hold, &mut away_since)?;
        }
    }
}

/// Asks once how a task is, the server holding the answer for `hold` seconds; a server that is away is given its time.
fn ask(
    client: &Client,
    one: &mut Followed,
    hold: &str,
    away_since: &mut Option<Instant>,
) -> Result<(), Failure> {
    match client.get(&with_query(&format!("/tasks/{}", one.task.id), &[("wait", hold)])) {
        Ok(newer) => {
            one.task = newer;
            one.display.update(&one.task);
            *away_since = None;
        }
        Err(failure) if failure.unreachable && away_since.is_none_or(|since| since.elapsed() < AWAY) => {
            if away_since.is_none() {
                *away_since = Some(Instant::now());
                one.display.line("The server does not answer; trying again for a minute.");
            }
            sleep(Duration::from_millis(500));
        }
        Err(failure) => return Err(failure),
    }
    Ok(())
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
