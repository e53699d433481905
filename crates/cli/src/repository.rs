//! `shale repository`.

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::table::{Sheet, Table};
use crate::terminal::Terminal;
use crate::units;
use crate::wait::{Waiting, conclude, follow, follow_and_print};
use clap::Subcommand;
use serde_json::Value;
use shale_api::{CheckRepository, CollectGarbage, Repository, Task};

/// The verbs of `shale repository`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show what the repository holds
    Stats,
    /// Check that all that versions need is there and whole
    Check {
        /// Read and hash every block, not only the structure
        #[arg(long)]
        read_data: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Remove what no version needs any more
    Gc {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// Hours that something must have been unused before it is deleted
        #[arg(long, value_name = "HOURS")]
        grace_hours: Option<u32>,
        #[command(flatten)]
        waiting: Waiting,
    },
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    match verb {
        Verb::Stats => {
            let repository: Repository = client.get("/repository")?;
            terminal.report(&repository, |repository| stats(repository).render(terminal.color))?;
            Ok(Exit::Ok)
        }
        Verb::Check { read_data, waiting } => {
            let task: Task = client.post("/repository/check", &CheckRepository { read_data })?;
            check(client, terminal, task, waiting)
        }
        Verb::Gc { dry_run, grace_hours, waiting } => {
            let task: Task = client.post("/repository/gc", &CollectGarbage { dry_run, grace_hours })?;
            follow_and_print(client, terminal, task, waiting)
        }
    }
}

/// A check that finds damage has done its work, and yet the command fails: a script must not take it for well.
fn check(client: &Client, terminal: &Terminal, task: Task, waiting: Waiting) -> Outcome {
    let (task, exit) = follow(client, terminal, task, waiting)?;
    terminal.object(&task)?;
    match task.result.as_ref().and_then(damage) {
        Some(text) => Err(Failure::new(Exit::Failed, text)),
        None => conclude(client, terminal, &task, exit),
    }
}

/// What a check's report says is damaged, a finding a line; none when the repository is sound.
fn damage(report: &Value) -> Option<String> {
    if report.get("sound") != Some(&Value::Bool(false)) {
        return None;
    }
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut lines = vec!["The repository is damaged.".to_owned()];
    for finding in list(report, "findings") {
        lines.push(format!("  {}: {}", text(&finding, "object"), text(&finding, "problem")));
        for affected in list(&finding, "affected") {
            lines.push(format!("    affects {}", text(&affected, "version")));
        }
    }
    Some(lines.join("\n"))
}

fn stats(repository: &Repository) -> Sheet {
    let mut versions = Table::new(&["LAYER / VERSION", "DATA", "STORED ONLY FOR IT", "ID"]);
    for version in &repository.versions {
        versions.row(vec![
            version.name.clone().into(),
            units::bytes(version.logical_bytes).into(),
            units::bytes(version.unique_stored_bytes).into(),
            version.id.to_string().into(),
        ]);
    }
    Sheet::default()
        .with("Repository", repository.place.clone())
        .with("Free there", units::bytes(repository.free_bytes))
        .with("Data of all versions", units::bytes(repository.logical_bytes))
        .with("Different data", units::bytes(repository.unique_bytes))
        .with("Stored", format!("{}{}", units::bytes(repository.stored_bytes), share(repository)))
        .with("Put together, no image", units::bytes(repository.put_together_bytes))
        .part("Versions", versions)
}

/// How much of the versions' data is stored, where that can be told.
fn share(repository: &Repository) -> String {
    match repository.logical_bytes {
        0 => String::new(),
        all => format!(" ({:.1} % of the data)", repository.stored_bytes as f64 * 100.0 / all as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_by_finding_and_by_what_it_affects() {
        assert_eq!(damage(&serde_json::json!({ "sound": true })), None);
        let report = serde_json::json!({ "sound": false, "findings": [
            { "object": "pack 1", "problem": "it is missing", "affected": [{ "version": "Win / 1.0" }] },
        ] });
        let told = damage(&report).unwrap();
        assert!(told.contains("pack 1: it is missing") && told.contains("affects Win / 1.0"), "{told}");
    }

    #[test]
    fn stats_say_what_is_saved_and_an_empty_repository_divides_by_nothing() {
        let mut repository = Repository {
            place: "/srv/r".into(),
            free_bytes: 10 << 30,
            logical_bytes: 0,
            unique_bytes: 0,
            stored_bytes: 0,
            put_together_bytes: 0,
            versions: Vec::new(),
        };
        assert!(stats(&repository).render(false).contains("Stored:                  0 B\n"));
        repository.logical_bytes = 4 << 30;
        repository.stored_bytes = 1 << 30;
        assert!(stats(&repository).render(false).contains("1.0 GiB (25.0 % of the data)\n"));
    }
}
