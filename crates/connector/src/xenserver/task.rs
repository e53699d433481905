//! Tasks on the pool: what takes long runs as one, and so do transfers.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use shale_disk::Watch;

use super::pool::{Pool, fault_of_task, held};
use super::record::{self, Task};
use super::{fault, labels};
use crate::{Error, ErrorKind, Result, Tag};

/// How long the pool waits with its answer when nothing happens, in seconds.
const WAIT: f64 = 20.0;
/// How much longer than that it may be silent.
const SLACK: Duration = Duration::from_secs(100);
/// How long anything may take that runs as a task: the copy of a large disk on slow storage.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// What happened, as `event.from` tells it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Happened {
    /// From where to go on.
    pub token: String,
    /// What changed; only whether anything did is used.
    pub events: Vec<Value>,
}

/// Waits up to `seconds` for a change in one of `classes` after `token`.
pub(super) fn happened(pool: &Pool, classes: &[String], token: &str, seconds: f64) -> Result<Happened> {
    let silence = Duration::from_secs_f64(seconds) + SLACK;
    record::one(pool.call_for("event.from", &[json!(classes), json!(token), json!(seconds)], silence)?)
}

impl Pool {
    /// Calls a method that takes long, as a task, and waits for its end. Answers the reference it results in.
    pub fn run(&self, method: &str, params: &[Value]) -> Result<String> {
        let task = self.call(&format!("Async.{method}"), params)?;
        let task = task.as_str().unwrap_or_default();
        held(&self.awaited).insert(task.to_owned());
        let ended = self.ended(task, method);
        held(&self.awaited).remove(task);
        let ended = ended?;
        // One that cannot be destroyed is forgotten by the pool after an hour.
        let _ = self.call("task.destroy", &[json!(task)]);
        ended
    }

    /// Waits for the end of a task, which is marked first: should this server end before, the task is found again.
    fn ended(&self, task: &str, method: &str) -> Result<Result<String>> {
        let owner = self.owner()?;
        let mark = [json!(task), json!(labels::OWNER), json!(owner.as_str())];
        // One without mark is forgotten by the pool after an hour.
        let _ = self.call("task.add_to_other_config", &mark);
        let deadline = Instant::now() + LONGEST;
        let patience =
            |_| if Instant::now() < deadline { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
        wait(self, task, method, &patience).map_err(|e| match e.kind() {
            ErrorKind::Stopped => {
                let hours = LONGEST.as_secs() / 3600;
                let what = format!(
                    "{method} has not ended on the pool within {hours} hours; look at its tasks there"
                );
                Error::new(ErrorKind::Timeout, what)
            }
            _ => e,
        })
    }
}

/// Takes tasks of ours away that have ended and that nobody here waits for: another run of this server began them.
pub(super) fn sweep(pool: &Pool) -> Result<()> {
    let owner = pool.owner()?;
    let all: BTreeMap<String, Task> = record::all(pool.call("task.get_all_records", &[])?)?;
    let has_ended = |task: &Task| !matches!(task.status.as_str(), "pending" | "cancelling");
    for (task, seen) in &all {
        let is_ours = labels::is_owned(&seen.other_config, &owner) && !held(&pool.awaited).contains(task);
        if is_ours && has_ended(seen) {
            // One that cannot be destroyed is forgotten by the pool after an hour.
            let _ = pool.call("task.destroy", &[json!(task)]);
        }
    }
    Ok(())
}

/// A task of ours for one transfer; it is destroyed when dropped.
pub(super) struct Transfer<'a> {
    pool: &'a Pool,
    /// Its reference.
    pub task: String,
}

/// What a task's description says, by which it is found again: it is there from the task's first moment on.
fn description(owner: &Tag, tag: &Tag) -> String {
    format!("Shale {owner} {tag}")
}

impl<'a> Transfer<'a> {
    /// Makes a task for a job's transfer.
    pub fn begin(pool: &'a Pool, label: &str, tag: &Tag) -> Result<Self> {
        let told = description(&pool.owner()?, tag);
        let task = pool.call("task.create", &[json!(label), json!(told)])?;
        Ok(Self { pool, task: task.as_str().unwrap_or_default().to_owned() })
    }

    /// Waits for the end of the transfer, which alone tells whether it succeeded.
    pub fn wait(&self, what: &str, watch: Watch) -> Result<()> {
        wait(self.pool, &self.task, what, watch)?.map(drop)
    }

    /// Why the transfer failed, if its task tells before `watch` says stop.
    pub fn fate(&self, what: &str, watch: Watch) -> Option<Error> {
        loop {
            let seen: Task =
                record::one(self.pool.call("task.get_record", &[json!(self.task)]).ok()?).ok()?;
            if seen.status == "failure" {
                return Some(fault_of_task(what, &seen.error_info));
            }
            if seen.status != "pending" || watch(0).is_break() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        // The pool forgets it after a day at the latest.
        let _ = self.pool.call("task.cancel", &[json!(self.task)]);
        let _ = self.pool.call("task.destroy", &[json!(self.task)]);
    }
}

/// Waits for the end of a task. The inner result is how it ended; the outer error, why that is not known.
fn wait(pool: &Pool, task: &str, what: &str, watch: Watch) -> Result<Result<String>> {
    let classes = [format!("task/{task}")];
    let mut token = String::new();
    loop {
        if watch(0).is_break() {
            return Err(Error::new(ErrorKind::Stopped, format!("{what} was stopped as asked")));
        }
        let seen = pool.call("task.get_record", &[json!(task)]).and_then(record::one::<Task>);
        let seen = seen.map_err(|e| if fault::is_gone(&e) { lost(what, e) } else { e })?;
        match seen.status.as_str() {
            "success" => return Ok(Ok(result(&seen.result))),
            "failure" | "cancelled" => {
                let cancelled = ["TASK_CANCELLED".to_owned()];
                let info = if seen.error_info.is_empty() { &cancelled[..] } else { &seen.error_info };
                return Ok(Err(fault_of_task(what, info)));
            }
            _ => token = happened(pool, &classes, &token, WAIT)?.token,
        }
    }
}

/// The pool forgets tasks 65 minutes after their end, and all when its database is lost.
fn lost(what: &str, e: Error) -> Error {
    let what =
        format!("the pool has forgotten how {what} ended; it is looked at what is there when tried again");
    Error::new(ErrorKind::Io, what).with_source(e)
}

/// Whether the outcome is unknown as the pool has forgotten the task.
pub(super) fn is_lost(error: &Error) -> bool {
    use std::error::Error as _;
    let inner = error.source().and_then(|e| e.downcast_ref::<Error>());
    inner.is_some_and(fault::is_gone)
}

/// The value in a task's result: `<value>OpaqueRef:…</value>`.
fn result(xml: &str) -> String {
    let inner = xml.strip_prefix("<value>").and_then(|rest| rest.strip_suffix("</value>"));
    inner.unwrap_or_default().to_owned()
}

/// All tasks that are ours, with their job's tag.
pub(super) fn ours(pool: &Pool) -> Result<Vec<(String, Tag)>> {
    let owner = pool.owner()?;
    let all: BTreeMap<String, Task> = record::all(pool.call("task.get_all_records", &[])?)?;
    Ok(all
        .into_iter()
        .filter_map(|(task, seen)| Some((task, tag_of(&seen.name_description, &owner)?)))
        .collect())
}

fn tag_of(told: &str, owner: &Tag) -> Option<Tag> {
    Tag::parse(told.strip_prefix(&format!("Shale {owner} "))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_in_a_tasks_result_is_found() {
        assert_eq!(result("<value>OpaqueRef:12</value>"), "OpaqueRef:12");
        assert_eq!([result("<value></value>"), result(""), result("<value/>")], ["", "", ""]);
    }
}
