//! Tasks: what they are, and how they begin, end and are forgotten.

use crate::clock::seconds;
use crate::failure::{Failure, Reply};
use crate::pool::Pool;
use crate::rpc::{Caller, Handler, Request};
use crate::value::{NULL, Record, Value};
use crate::wire::xml;

/// How long a finished task is remembered, and how long an unfinished one may show no progress, in seconds.
const FINISHED_FOR: i64 = 65 * 60;
const PENDING_FOR: i64 = 24 * 60 * 60;

pub(super) const CALLS: &[(&str, Handler)] =
    &[("task.create", create), ("task.destroy", destroy), ("task.cancel", cancel)];

fn create(request: &Request) -> Reply {
    Ok(Value::String(begin(&request.pool, &request.caller, request.text(0), request.text(1))))
}

fn destroy(request: &Request) -> Reply {
    let mut db = request.pool.db();
    db.get("task", request.text(0))?;
    db.remove("task", request.text(0));
    Ok(Value::Void)
}

fn cancel(request: &Request) -> Reply {
    let (task, mut db) = (request.text(0), request.pool.db());
    match db.text("task", task, "status")?.as_str() {
        "pending" | "cancelling" => db.set("task", task, "status", "cancelling").map(|()| Value::Void),
        _ => Err(Failure::not_allowed(task)),
    }
}

/// A new pending task.
pub fn begin(pool: &Pool, caller: &Caller, label: &str, description: &str) -> String {
    let fields = [
        ("name_label", Value::string(label)),
        ("name_description", Value::string(description)),
        ("created", Value::Time(pool.clock.now())),
        ("status", "pending".into()),
        ("resident_on", Value::string(&caller.host)),
        ("type", "<none/>".into()),
        ("subtask_of", Value::string(NULL)),
        ("backtrace", "()".into()),
    ];
    pool.db().insert("task", fields.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Ends a task that is still there and has not ended.
pub fn end(pool: &Pool, task: &str, outcome: &Reply) {
    let now = Value::Time(pool.clock.now());
    let mut db = pool.db();
    let status = db.text("task", task, "status").unwrap_or_default();
    if !["pending", "cancelling"].contains(&status.as_str()) {
        return;
    }
    let fields = match outcome {
        Ok(value) => [("status", "success".into()), ("result", xml::task_result(value).into())],
        Err(failure) => {
            let status = if failure.code() == "TASK_CANCELLED" { "cancelled" } else { "failure" };
            [("status", status.into()), ("error_info", Value::strings(failure.0.clone()))]
        }
    };
    let ended = [("progress", Value::Float(1.0)), ("finished", now)];
    for (field, value) in ended.into_iter().chain(fields) {
        let _ = db.set("task", task, field, value); // it exists: its status was just read
    }
}

/// Ends the task of a transfer out, whose result is empty text instead of an empty value.
pub fn end_without_result(pool: &Pool, task: &str) {
    end(pool, task, &Ok(Value::Void));
    let _ = pool.db().set("task", task, "result", ""); // the task may have been deleted
}

/// After a restart nothing is under way: what was is cancelled.
pub fn settle(pool: &Pool) {
    let all: Vec<_> = pool.db().all("task").map(|(task, _)| task.to_owned()).collect();
    all.iter().for_each(|task| end(pool, task, &Err(Failure::new("TASK_CANCELLED", [task]))));
}

/// Forgets tasks whose time is over.
pub fn collect(pool: &Pool) {
    let now = pool.clock.seconds();
    let mut db = pool.db();
    let over: Vec<_> =
        db.all("task").filter(|(_, task)| is_over(task, now)).map(|(task, _)| task.to_owned()).collect();
    over.iter().for_each(|task| db.remove("task", task));
}

fn is_over(task: &Record, now: i64) -> bool {
    let text = |field: &str| task.get(field).map_or("", Value::text);
    match text("status") {
        "pending" | "cancelling" => now - seconds(text("created")) > PENDING_FOR,
        _ => now - seconds(text("finished")) > FINISHED_FOR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_task_is_forgotten_after_65_minutes_and_a_pending_one_after_a_day() {
        let task = |status: &str| {
            let time = Value::Time("19700101T01:00:00Z".to_owned());
            let fields = [("status", Value::string(status)), ("created", time.clone()), ("finished", time)];
            Record::from(fields.map(|(name, value)| (name.to_owned(), value)))
        };
        assert!(!is_over(&task("success"), 3600 + FINISHED_FOR));
        assert!(is_over(&task("failure"), 3601 + FINISHED_FOR));
        assert!(!is_over(&task("pending"), 3601 + FINISHED_FOR));
        assert!(is_over(&task("pending"), 3601 + PENDING_FOR));
    }
}
