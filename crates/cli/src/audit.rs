//! `shale audit`: who did what, when, with which comment.

use crate::client::Client;
use crate::failure::{Exit, Outcome};
use crate::table::{Cell, Sheet};
use crate::terminal::{Terminal, View};
use crate::units;
use shale_api::AuditEntry;

/// What `shale audit` takes.
#[derive(Debug, clap::Args)]
pub struct Audit {
    /// At most this many entries
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

/// Prints the audit.
pub fn run(audit: &Audit, client: &Client, terminal: &Terminal) -> Outcome {
    terminal.list::<AuditEntry>(&client.list("/audit", &[], Some(audit.limit))?)?;
    Ok(Exit::Ok)
}

impl View for AuditEntry {
    const COLUMNS: &'static [&'static str] = &["WHEN", "WHO", "ACTION", "KIND", "NAME", "COMMENT"];

    fn id(&self) -> String {
        self.seq.to_string()
    }

    fn name(&self) -> String {
        self.seq.to_string()
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            units::time(&self.at).into(),
            self.who.clone().into(),
            self.action.clone().into(),
            self.object_kind.clone().into(),
            self.object_name.clone().into(),
            self.comment.clone().into(),
        ]
    }

    fn sheet(&self) -> Sheet {
        Sheet::default().with("Entry", self.seq.to_string())
    }
}
