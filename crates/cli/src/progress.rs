//! How a task's progress looks while it is waited for: a bar on a terminal, else a line for each step that changes.
//!
//! ```text
//! [2/4] Store the blocks  ▕██████████▌         ▏ 1.5 GiB of 3.0 GiB, 210 MiB/s, 7 s left
//!
//! desk: [2/7] compose     ▕██████████▌         ▏ 1.5 GiB of 3.0 GiB                     of several, each with its name
//! lab: [1/7] reserve      ▕                    ▏
//! ```

use crate::table::printable;
use crate::units;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use shale_api::{Progress, Task};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Shows a task as it goes on, on stderr.
#[derive(Debug)]
pub struct Display {
    /// The states of the steps when they were last shown.
    seen: Vec<String>,
    bar: Option<ProgressBar>,
    quiet: bool,
    /// What every line begins with: which of several tasks it is.
    name: String,
}

impl Display {
    /// Nothing is shown when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(bar);
        Self { seen: Vec::new(), bar, quiet, name: String::new() }
    }

    /// One of several that are shown at once.
    pub fn among(bars: &MultiProgress, name: String, quiet: bool) -> Self {
        let alone = Self::new(quiet);
        let name = format!("{}: ", printable(&name));
        Self { bar: alone.bar.map(|bar| bars.add(bar)), name, ..alone }
    }

    /// Shows the task as it is now.
    pub fn update(&mut self, task: &Task) {
        if self.quiet {
            return;
        }
        for (state, line) in changes(&mut self.seen, task) {
            // The bar itself says what runs.
            if self.bar.is_none() || state != "running" {
                self.line(&line);
            }
        }
        if let Some(bar) = &self.bar {
            let (step, total) = (current(task), task.steps.len());
            bar.set_prefix(step.map_or(String::new(), |i| {
                format!("{}[{}/{total}] {}", self.name, i + 1, printable(&task.steps[i].name))
            }));
            let progress = task.progress.clone().unwrap_or_default();
            bar.set_length(progress.total_bytes.unwrap_or(0).max(1));
            bar.set_position(if progress.total_bytes.is_some() { progress.done_bytes } else { 0 });
            bar.set_message(figures(&progress));
        }
    }

    /// A line above the bar.
    pub fn line(&self, text: &str) {
        let text = format!("{}{text}", self.name);
        match &self.bar {
            Some(bar) => bar.println(text),
            // Nothing is lost when there is nobody to read it.
            None if !self.quiet => drop(writeln!(std::io::stderr().lock(), "{text}")),
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{spinner} {prefix}  ▕{bar:24}▏ {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// The step that runs, is undone, or waits.
fn current(task: &Task) -> Option<usize> {
    task.steps.iter().position(|step| matches!(step.state.as_str(), "running" | "undoing" | "waiting"))
}

/// The new state, and a line, for each step whose state is not the one in `seen`, which is brought up to date.
fn changes(seen: &mut Vec<String>, task: &Task) -> Vec<(String, String)> {
    let total = task.steps.len();
    let mut lines = Vec::new();
    for (i, step) in task.steps.iter().enumerate() {
        let old = seen.get(i).map_or("pending", String::as_str);
        if old != step.state {
            let note = step.note.as_deref().filter(|note| !note.is_empty()).map(|note| format!(": {note}"));
            let line =
                format!("[{}/{total}] {}: {}{}", i + 1, step.name, step.state, note.unwrap_or_default());
            lines.push((step.state.clone(), printable(&line)));
        }
    }
    *seen = task.steps.iter().map(|step| step.state.clone()).collect();
    lines
}

/// Bytes, rate and time left, as far as they are known.
fn figures(progress: &Progress) -> String {
    let mut parts = Vec::new();
    match progress.total_bytes {
        Some(total) => {
            parts.push(format!("{} of {}", units::bytes(progress.done_bytes), units::bytes(total)))
        }
        None if progress.done_bytes > 0 => parts.push(units::bytes(progress.done_bytes)),
        None => {}
    }
    parts.extend(progress.rate_bytes.map(|rate| format!("{}/s", units::bytes(rate))));
    parts.extend(progress.eta_seconds.map(|eta| format!("{} left", units::duration(eta))));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use shale_api::Step;

    fn task(states: &[&str]) -> Task {
        let steps = states
            .iter()
            .enumerate()
            .map(|(i, state)| Step { name: format!("step {i}"), state: (*state).into(), note: None })
            .collect();
        crate::task::sample("running", steps)
    }

    #[test]
    fn a_line_is_written_once_for_each_change_of_a_step() {
        let mut seen = Vec::new();
        let line = |state: &str, text: &str| (state.to_owned(), text.to_owned());
        let running = line("running", "[1/2] step 0: running");
        assert_eq!(changes(&mut seen, &task(&["running", "pending"])), [running]);
        assert!(changes(&mut seen, &task(&["running", "pending"])).is_empty());
        assert_eq!(
            changes(&mut seen, &task(&["done", "running"])),
            [line("done", "[1/2] step 0: done"), line("running", "[2/2] step 1: running")]
        );
    }

    #[test]
    fn figures_show_what_is_known() {
        let mut progress = Progress { done_bytes: 3 << 29, ..Progress::default() };
        assert_eq!(figures(&progress), "1.5 GiB");
        progress.total_bytes = Some(3 << 30);
        progress.rate_bytes = Some(210 << 20);
        progress.eta_seconds = Some(7);
        assert_eq!(figures(&progress), "1.5 GiB of 3.0 GiB, 210 MiB/s, 7 s left");
        assert_eq!(figures(&Progress::default()), "");
    }
}
