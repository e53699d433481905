//! From a call to its reply: is there such a method, are its parameters right, may the caller, and then who does it.
//!
//! ```text
//!   method known? ─▶ count ─▶ this host coordinator? ─▶ session ─▶ types ─┬─▶ role ─▶ run ─▶ reply
//!                                                                         └─ Async: task, thread ─▶ task's reference
//! ```

mod generic;
mod run;

pub use run::{answer, permission, require, served};

use crate::failure::{Failure, Reply};
use crate::pool::Pool;
use crate::value::{NULL, Value};
use std::sync::Arc;

/// Who calls, and where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Their session; empty where a method takes none.
    pub session: String,
    /// The host that was called.
    pub host: String,
    /// The task of an asynchronous call or a transfer.
    pub task: Option<String>,
}

/// A call whose parameters are right.
#[derive(Clone)]
pub struct Request {
    /// The pool.
    pub pool: Arc<Pool>,
    /// Who calls.
    pub caller: Caller,
    /// The parameters without the session, each of the type its message says.
    pub arguments: Vec<Value>,
}

/// What carries out a message.
pub type Handler = fn(&Request) -> Reply;

impl Request {
    /// A parameter that is text or a reference; the null reference where an optional one is missing.
    pub fn text(&self, at: usize) -> &str {
        self.arguments.get(at).map_or(NULL, Value::text)
    }

    /// A parameter that is a number.
    pub fn int(&self, at: usize) -> i64 {
        self.arguments.get(at).map_or(0, Value::int)
    }

    /// A parameter that is true or false.
    pub fn flag(&self, at: usize) -> bool {
        self.arguments.get(at).is_some_and(Value::is_true)
    }

    /// A parameter of any kind; nothing where it is missing.
    pub fn value(&self, at: usize) -> Value {
        self.arguments.get(at).cloned().unwrap_or(Value::Void)
    }

    /// The same caller calls something else in passing.
    pub fn with(&self, arguments: Vec<Value>) -> Self {
        Self { arguments, ..self.clone() }
    }

    /// Tells the task of the call how far it is, 0 to 1. Fails when it is to be cancelled.
    pub fn progress(&self, fraction: f64) -> Reply<()> {
        let Some(task) = &self.caller.task else { return Ok(()) };
        let mut db = self.pool.db();
        match db.text("task", task, "status") {
            Ok(status) if status == "cancelling" => Err(Failure::new("TASK_CANCELLED", [task])),
            Ok(_) => db.set("task", task, "progress", Value::Float(fraction)),
            Err(_) => Ok(()), // the task was deleted: the work goes on
        }
    }
}
