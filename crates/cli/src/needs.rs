//! What a person must do before a task goes on, and the commands for it.

use crate::client::Client;
use crate::finding;
use crate::terminal::Terminal;
use shale_api::{Task, Version};
use std::borrow::Cow;

/// Tells the instruction and the commands that can follow, on stderr.
pub fn advise(client: &Client, terminal: &Terminal, task: &Task) {
    let Some(needs) = &task.needs else { return };
    // For people it was printed with the answer.
    if !terminal.for_people() {
        terminal.note(&needs.text);
        if let Some(problem) = &needs.problem {
            terminal.note(problem);
        }
    }
    if !task.findings.is_empty() {
        terminal.note(finding::told(&task.findings).trim_end());
    }
    let commands = commands(client, task);
    if !commands.is_empty() {
        terminal.note(&format!("Next:\n{}", commands.join("\n")));
    }
}

/// A command for each action that the task needs, as far as there is one.
fn commands(client: &Client, task: &Task) -> Vec<String> {
    let Some(needs) = &task.needs else { return Vec::new() };
    let version = task.version_id.map(|id| {
        // Names read better than ids; the id works as well.
        match client.get::<Version>(&format!("/versions/{id}")) {
            Ok(version) => format!("{} {}", quoted(&version.layer_name), quoted(&version.name)),
            Err(_) => id.to_string(),
        }
    });
    let machine = needs.machine_id.map(|_| version.clone().unwrap_or_default());
    let command = |action: &str| match (action, &version, &machine) {
        ("finalize", Some(version), _) => Some(format!("version finalize {version}")),
        ("finalize_anyway", Some(version), _) => {
            Some(format!("version finalize {version} --anyway --reason TEXT"))
        }
        ("power_on", _, Some(machine)) => Some(format!("machine start {machine}")),
        ("shut_down", _, Some(machine)) => Some(format!("machine stop {machine}")),
        ("power_off", _, Some(machine)) => Some(format!("machine stop --force {machine}")),
        ("cancel", ..) => Some(format!("task cancel {}", task.id)),
        _ => None,
    };
    needs
        .actions
        .iter()
        .filter_map(|action| Some(format!("  {}", client.command(&command(action)?))))
        .collect()
}

/// `text` as one word of a shell.
pub fn quoted(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', "'\\''")).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_word_of_a_shell() {
        assert_eq!(quoted("win11-24H2"), "win11-24H2");
        assert_eq!(quoted("Windows 11"), "'Windows 11'");
        assert_eq!(quoted("it's; rm -rf /"), "'it'\\''s; rm -rf /'");
        assert_eq!(quoted(""), "''");
    }
}
