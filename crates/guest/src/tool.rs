//! The job, on any system: check, wait if asked to, leave the report, shut down.
//!
//! ```text
//!           not an administrator ──▶ exit 4
//!  expedite? ─▶ remove unused adapters (not with --check)
//!                     │
//!                     ▼     blocked, something runs, --wait and time is left
//!                   check ◀──────────────────────────────────┐
//!                     ├── pause ─────────────────────────────┘
//!                     ├── blocked ─▶ report ─▶ exit 6, 1 or 5
//!                     └── clean ──▶ report ──▶ shut down (not with --check) ─▶ exit 0
//! ```

use crate::arguments::Arguments;
use crate::catalogue::{Code, Remedy, Severity};
use crate::decide::{Finding, decide, next_remedy};
use crate::facts::Facts;
use crate::ngen;
use crate::report::{Outcome, Report, System};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{error, fmt};

/// Between two checks of `--wait`. Not shorter: a check can pause what is waited for. One that does comes ever more rarely.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// How the job ended: the program's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Nothing is outstanding.
    Clean = 0,
    /// Somebody has to act.
    Act = 1,
    /// The command line is wrong.
    Misuse = 2,
    /// The tool failed.
    Failed = 3,
    /// An administrator is needed.
    NotPermitted = 4,
    /// A restart is needed.
    Restart = 5,
    /// Something runs and will end.
    Wait = 6,
}

/// Something that the tool could not do.
#[derive(Debug)]
pub struct Failure {
    what: String,
    source: io::Error,
}

impl Failure {
    /// What could not be done, and why.
    pub fn new(what: impl Into<String>, source: io::Error) -> Self {
        Self { what: what.into(), source }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl error::Error for Failure {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The machine that the tool runs in.
pub trait Machine {
    /// Whether who runs the tool may ask and do everything.
    fn permits(&self) -> bool;
    /// What it is.
    fn system(&self) -> System;
    /// Where its report is left.
    fn report_path(&self) -> PathBuf;
    /// What the person should know of checking, if anything.
    fn caution(&self) -> Option<&'static str>;
    /// Gathers the facts. What cannot be asked is among them.
    fn look(&self) -> Facts;
    /// Runs to its end, in the foreground, what the system does in the background when it likes; says what it does.
    ///
    /// # Errors
    ///
    /// A program that cannot be run.
    fn expedite(&self, say: &mut dyn FnMut(&str)) -> Result<(), Failure>;
    /// Removes network adapters that are no longer there; tells which. What cannot be removed is said and stays: it is no reason to
    /// keep the machine on.
    fn remove_ghosts(&self, say: &mut dyn FnMut(&str)) -> Vec<String>;
    /// Shows those who watch the machine what was found, as far as there is a way. It may be lost.
    fn show(&self, _findings: &[Finding]) {}
    /// Begins to shut down and power off.
    ///
    /// # Errors
    ///
    /// The system's refusal.
    fn shut_down(&self) -> Result<(), Failure>;
    /// Lets time pass.
    fn pause(&self, time: Duration);
}

/// Does the job; tells people, or programs, on `out`.
///
/// # Errors
///
/// What the tool could not do: its exit code is [`Exit::Failed`].
pub fn run(machine: &dyn Machine, arguments: &Arguments, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut say = |text: &str| {
        if !arguments.json {
            // Nobody may be there to read: a closed window stops nothing.
            let _ = writeln!(out, "{text}");
        }
    };
    if !machine.permits() {
        say("Shutdown For Finalize must be run by an administrator (root): it reads and changes the system.");
        return Ok(Exit::NotPermitted);
    }
    if arguments.expedite {
        machine.expedite(&mut say)?;
    }
    let removed = if arguments.check { Vec::new() } else { machine.remove_ghosts(&mut say) };
    for adapter in &removed {
        say(&format!("Removed the unused network adapter {adapter}."));
    }
    let findings = check(machine, arguments.wait, 0, &mut say);
    let mut report = Report::new(jiff::Timestamp::now(), machine.system(), removed, findings);
    report.shutting_down = report.outcome == Outcome::Clean && !arguments.check;
    let path = machine.report_path();
    let write = |report: &Report| {
        let failure =
            |error| Failure::new(format!("the report could not be written to {}", path.display()), error);
        report.write(&path).map_err(failure)
    };
    write(&report)?;
    machine.show(&report.findings);
    say(&told(&report, arguments.check));
    say(&format!("The report is {}.", path.display()));
    if arguments.json {
        let json = report.to_json().map_err(io::Error::from).and_then(|json| out.write_all(json.as_bytes()));
        json.map_err(|error| Failure::new("the report could not be printed", error))?;
    }
    if report.shutting_down
        && let Err(refused) = machine.shut_down()
    {
        report.shutting_down = false;
        write(&report)?;
        return Err(refused);
    }
    Ok(match report.next {
        None => Exit::Clean,
        Some(Remedy::Act) => Exit::Act,
        Some(Remedy::Restart) => Exit::Restart,
        Some(Remedy::Wait) => Exit::Wait,
    })
}

/// Checks, and again while something runs that will end and there is time to wait for it. Where NGen is what is left, it is done in
/// the foreground, at most so often.
pub(crate) fn check(
    machine: &dyn Machine,
    wait: Option<Duration>,
    mut expedites: u32,
    say: &mut dyn FnMut(&str),
) -> Vec<Finding> {
    let began = Instant::now();
    let (mut paused, mut between) = (Duration::ZERO, Duration::ZERO);
    let mut told = Vec::new();
    say("Checking what is outstanding in this machine ...");
    if let Some(caution) = machine.caution() {
        say(caution);
    }
    loop {
        let findings = decide(&machine.look());
        if expedites > 0 && ngen_is_left(&findings) {
            expedites -= 1;
            if let Err(failure) = machine.expedite(say) {
                say(&format!("{failure}: {}", failure.source));
            }
            continue;
        }
        // The machine's own pauses count even where its clock does not.
        let passed = began.elapsed().max(paused);
        let waits = next_remedy(&findings) == Some(Remedy::Wait);
        if !waits || wait.is_none_or(|limit| passed >= limit) {
            return findings;
        }
        let waited = || findings.iter().filter(|one| one.remedy == Remedy::Wait);
        let messages: Vec<_> = waited().map(|one| &one.message).cloned().collect();
        if messages != told {
            say("Waiting for:");
            messages.iter().for_each(|message| say(&format!("    {message}")));
            told = messages;
        }
        let asks_ngen = waited().any(|one| one.code == Code::NgenInProgress);
        between = if asks_ngen { ngen::rarer(between.max(INTERVAL / 2)) } else { INTERVAL };
        machine.pause(between);
        paused += between;
    }
}

/// Whether NGen is needed or at work, and nothing runs that may give it more work.
fn ngen_is_left(findings: &[Finding]) -> bool {
    let is_ngen = |one: &&Finding| matches!(one.code, Code::NgenNeeded | Code::NgenInProgress);
    let mut waited = findings.iter().filter(|one| one.remedy == Remedy::Wait);
    findings.iter().any(|one| is_ngen(&one)) && waited.all(|one| is_ngen(&one))
}

/// What people read in the end.
fn told(report: &Report, only_check: bool) -> String {
    let mut lines = Vec::new();
    let of = |severity| report.findings.iter().filter(move |finding| finding.severity == severity);
    if report.outcome == Outcome::Blocked {
        lines.push("Finalizing is BLOCKED. The outstanding items are:".to_owned());
        of(Severity::Blocks).for_each(|finding| tell(finding, &mut lines));
    }
    if of(Severity::Warns).next().is_some() {
        lines.push("Worth knowing:".to_owned());
        of(Severity::Warns).for_each(|finding| tell(finding, &mut lines));
    }
    lines.push(
        match (report.outcome, only_check) {
            (Outcome::Blocked, _) => {
                "The machine is not shut down. Do what is said above, then run Shutdown For Finalize again."
            }
            (Outcome::Clean, true) => "Nothing is outstanding: finalizing is allowed.",
            (Outcome::Clean, false) => {
                "Nothing is outstanding: finalizing is allowed. The machine is shutting down."
            }
        }
        .to_owned(),
    );
    lines.join("\n")
}

fn tell(finding: &Finding, lines: &mut Vec<String>) {
    lines.push(format!("\n    {}", finding.message));
    lines.extend(finding.details.iter().map(|detail| format!("      - {detail}")));
    lines.push(format!("      {}\n", finding.advice));
}

#[cfg(test)]
mod tests;
