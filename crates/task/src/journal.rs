//! Where logs are kept: a port, and a journal in memory for tests.

use crate::event::Event;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The journal could not be written or read. Whether an append took effect is not known.
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub struct JournalError {
    context: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl JournalError {
    /// What was being done, for a person.
    pub fn new(context: impl Into<String>) -> Self {
        Self { context: context.into(), source: None }
    }

    /// Adds the cause.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Keeps the logs of tasks.
pub trait Journal: Send + Sync {
    /// Adds `event` to the end of the log of `task`. Durable when it returns.
    fn append(&self, task: &str, event: &Event) -> Result<(), JournalError>;

    /// The log of `task` from its beginning; empty when nothing was ever appended.
    fn log(&self, task: &str) -> Result<Vec<Event>, JournalError>;
}

/// A journal in memory: as durable as the value itself.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    logs: Mutex<HashMap<String, Vec<Event>>>,
}

impl Journal for MemoryJournal {
    fn append(&self, task: &str, event: &Event) -> Result<(), JournalError> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.entry(task.to_owned()).or_default().push(event.clone());
        Ok(())
    }

    fn log(&self, task: &str) -> Result<Vec<Event>, JournalError> {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(logs.get(task).cloned().unwrap_or_default())
    }
}
