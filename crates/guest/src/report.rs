//! The report: what was found when, left on the machine's disk. The format is `docs/formats/integrity-report.md`.

use crate::catalogue::Remedy;
use crate::decide::{Finding, blocked, next_remedy};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The format's version.
pub const SCHEMA: u32 = 1;

/// What was found, when, by which version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The format's version: [`SCHEMA`].
    pub schema: u32,
    /// Who wrote it.
    pub tool: Tool,
    /// When the checks were made, by the machine's clock.
    pub checked_at: jiff::Timestamp,
    /// On what.
    pub system: System,
    /// Whether anything stands in the way of finalizing.
    pub outcome: Outcome,
    /// What is to be done next, where something stands in the way.
    pub next: Option<Remedy>,
    /// Whether the machine was shut down after these checks.
    pub shutting_down: bool,
    /// What the tool changed by itself: removed network adapters.
    pub removed: Vec<String>,
    /// What was found, gravest first.
    pub findings: Vec<Finding>,
}

/// Who wrote a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// `shutdown-for-finalize`.
    pub name: String,
    /// Its version: `0.1.0`.
    pub version: String,
}

/// The system that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// Its kind.
    pub kind: Kind,
    /// Its name for people: `Debian GNU/Linux 12 (bookworm)`.
    pub name: String,
    /// The release of the running kernel, or the build of Windows; empty if it could not be asked.
    pub build: String,
}

/// Kinds of systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Linux.
    Linux,
    /// Windows.
    Windows,
}

/// What the checks came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing stands in the way.
    Clean,
    /// Something does.
    Blocked,
}

impl Report {
    /// The report of these findings, made now.
    #[must_use]
    pub fn new(
        checked_at: jiff::Timestamp,
        system: System,
        removed: Vec<String>,
        findings: Vec<Finding>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            tool: Tool {
                name: "shutdown-for-finalize".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            checked_at,
            system,
            outcome: if blocked(&findings) { Outcome::Blocked } else { Outcome::Clean },
            next: next_remedy(&findings),
            shutting_down: false,
            removed,
            findings,
        }
    }

    /// The report as text: JSON, indented, with a newline.
    ///
    /// # Errors
    ///
    /// None that can be named: all of it can be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Writes the report to this file, making its folder. The file is whole or not there, also after a loss of power.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(folder)?;
        let unfinished = path.with_extension("json.new");
        let mut file = File::create(&unfinished)?;
        file.write_all(self.to_json()?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        // Windows writes a folder's change with the file's.
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::decide;
    use crate::facts::{Facts, WindowsFacts};

    fn report() -> Report {
        let facts = WindowsFacts {
            installer_key: true,
            ghost_adapters: vec!["vmxnet3".to_owned()],
            ..Default::default()
        };
        let system = System {
            kind: Kind::Windows,
            name: "Windows Server 2022".to_owned(),
            build: "20348.2700".to_owned(),
        };
        let time = "2026-11-22T20:30:00Z".parse().unwrap();
        Report::new(time, system, Vec::new(), decide(&Facts::Windows(facts)))
    }

    #[test]
    fn a_report_is_read_back_as_it_was_written_and_replaces_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/integrity.json");
        let mut report = report();
        report.write(&path).unwrap();
        report.shutting_down = true;
        report.write(&path).unwrap();
        assert_eq!(serde_json::from_slice::<Report>(&fs::read(&path).unwrap()).unwrap(), report);
        let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1, "nothing half written is left");
    }

    #[test]
    fn the_page_of_the_format_shows_a_report_as_it_is_written() {
        let page = include_str!("../../../docs/formats/integrity-report.md");
        let example = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
        assert_eq!(example, report().to_json().unwrap());
    }

    #[test]
    fn the_page_of_the_format_names_every_code_with_its_severity_and_remedy() {
        let page = include_str!("../../../docs/formats/integrity-report.md");
        let rows = page.lines().filter(|line| {
            line.starts_with("| `") && (line.contains(" blocks ") || line.contains(" warns "))
        });
        let rows: Vec<_> = rows.map(|row| row.split(" | ").take(3).collect::<Vec<_>>().join(" | ")).collect();
        let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let expected = crate::catalogue::CATALOGUE.iter().map(|entry| {
            let [code, severity, remedy] = [
                serde_json::to_value(entry.code),
                serde_json::to_value(entry.severity),
                serde_json::to_value(entry.remedy),
            ]
            .map(|value| word(value.unwrap()));
            format!("| `{code}` | {severity} | {remedy}")
        });
        assert_eq!(rows, expected.collect::<Vec<_>>());
    }
}
