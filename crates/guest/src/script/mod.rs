//! `--run-script`: makes a version without a person. Runs the script on the CD, restarts the machine as often as the checks ask
//! for it, shuts it down for finalize; tells all of it as it happens.
//!
//! ```text
//!   a start of the machine ─▶ orders on the CD? ── no ──▶ nothing
//!                                  │ yes
//!        ┌─────────────────────────┴──────────────┐
//!        ▼ first, or again                        ▼ the script has ended
//!      script ── exit 0 ─────────────────────▶ checks ── clean ──▶ report, ended: done ──▶ shut down
//!        │ ├──── exit 194 ─▶ restart, script      ├──── NGen ────▶ done in the foreground, checks
//!        │ └──── other ───▶ ended: failed         ├──── restart ─▶ restart, checks
//!        │                                        └──── act, still running, RunOnce ─▶ ended: failed
//!        └─ the machine went off meanwhile ──▶ ended: failed
//! ```
//!
//! Where it is, is kept on the disk (`run.json`), so that each start of the machine knows. What is told goes to the second serial
//! port, for those who watch, and to the disk (`run.jsonl`), for those who look later: `docs/formats/run-record.md`.

mod orders;
mod process;
mod progress;
mod record;

pub use orders::{ORDERS, OnFailure, OnRestart, Orders};
pub use progress::{Go, MOST_RESTARTS, Phase, Progress, RUN_AGAIN, after_checks, after_script, on_start};
pub use record::{LINE_LIMIT, Line, Lines, Outcome, RECORD, Record, show};

use crate::catalogue::Code;
use crate::decide::{Finding, blocked, next_remedy};
use crate::report::Report;
use crate::tool::{self, Exit, Failure, Machine};
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long is waited, after the script, for what ends by itself.
const WAIT: Duration = Duration::from_secs(2 * 60 * 60);
/// How often NGen's work is done in the foreground after a start of the machine, at most: what that leaves is left for a person.
const EXPEDITES: u32 = 2;

/// A machine in which a script can be run.
pub trait Host: Machine {
    /// The serial port that what happens is told to; none where there is none.
    fn port(&self) -> Option<Box<dyn io::Write>>;
    /// What runs a script: its file, in the folder that it is in.
    fn command(&self, script: &Path) -> Command;
    /// Begins to restart.
    ///
    /// # Errors
    ///
    /// The system's refusal.
    fn restart(&self) -> Result<(), Failure>;
}

/// Does what the orders in `folder` (the CD) say, as far as this start of the machine goes.
///
/// # Errors
///
/// What the tool could not do. The machine stays on.
pub fn run(host: &dyn Host, folder: &Path) -> Result<Exit, Failure> {
    if !host.permits() {
        return Ok(Exit::NotPermitted);
    }
    let Some(orders) = Orders::read(folder).map_err(|e| failure("the orders on the CD cannot be read", e))?
    else {
        return Ok(Exit::Clean);
    };
    let report = host.report_path();
    let place = report.parent().unwrap_or(Path::new("/")).to_owned();
    let known = Progress::read(&place).map_err(|e| failure("what was done before cannot be read", e))?;
    let begun = known.filter(|known| known.run == orders.run);
    if begun.as_ref().is_some_and(|progress| progress.phase == Phase::Ended) {
        return Ok(Exit::Clean);
    }
    let record = Record::open(&place, begun.is_none(), host.port())
        .map_err(|e| failure("the record of the run cannot be written", e))?;
    let progress = begun.unwrap_or_else(|| Progress::new(&orders.run));
    let mut run = Run { host, orders: &orders, folder, place: &place, record, progress };
    run.go().inspect_err(|failure| run.give_up(failure))
}

/// Tells that there are no orders to be found, unless the run that was on this disk has ended: then nobody waits for it. Where nobody
/// hears that, the machine is shut down, so that it is read from the disk.
///
/// # Errors
///
/// What the tool could not do.
pub fn without_orders(host: &dyn Host, text: &str) -> Result<Exit, Failure> {
    let report = host.report_path();
    let (place, port) = (report.parent().unwrap_or(Path::new("/")), host.port());
    let is_heard = port.is_some();
    let known = Progress::read(place).map_err(|e| failure("what was done before cannot be read", e))?;
    if known.is_some_and(|known| known.phase == Phase::Ended) {
        return Ok(Exit::Clean);
    }
    let failed = |e| failure("the record of the run cannot be written", e);
    let mut record = Record::open(place, false, port).map_err(failed)?;
    let line = Line::Ended { outcome: Outcome::Failed, exit_code: None, text: text.to_owned() };
    let told = record.line(&line).map_err(failed);
    if !is_heard {
        host.shut_down()?;
    }
    told.map(|()| Exit::Act)
}

fn failure(what: &str, source: io::Error) -> Failure {
    Failure::new(what, source)
}

/// A run of a script, in this start of the machine.
struct Run<'a> {
    host: &'a dyn Host,
    orders: &'a Orders,
    /// The CD.
    folder: &'a Path,
    /// Where progress and record are kept.
    place: &'a Path,
    record: Record,
    progress: Progress,
}

impl Run<'_> {
    fn go(&mut self) -> Result<Exit, Failure> {
        let pass = self.progress.passes + 1;
        self.tell(Line::Began {
            run: self.orders.run.clone(),
            script: self.orders.script.clone(),
            start: self.progress.restarts + 1,
        })?;
        let mut go = on_start(&self.progress);
        if matches!(go, Go::Script) {
            self.progress.passes = pass;
            self.reach(Phase::Script)?;
            go = self.script(pass)?;
        }
        if matches!(go, Go::Checks) {
            self.reach(Phase::Checks)?;
            go = self.checks()?;
        }
        self.end(go)
    }

    /// Runs the script to its end. One that cannot be started has failed.
    fn script(&mut self, pass: u32) -> Result<Go, Failure> {
        let path = self.folder.join(&self.orders.script);
        let mut command = self.host.command(&path);
        command.current_dir(self.folder).env("SHALE_FILES", self.folder).env("SHALE_PASS", pass.to_string());
        let record = &mut self.record;
        let ended = process::run(command, &mut |bytes| record.output(bytes));
        self.record.flush_output().map_err(|e| failure("what the script says cannot be kept", e))?;
        Ok(match ended {
            Ok(status) => after_script(status.code(), &self.progress),
            Err(e) => {
                Go::Failed { exit_code: None, text: format!("{} cannot be run: {e}.", self.orders.script) }
            }
        })
    }

    fn checks(&mut self) -> Result<Go, Failure> {
        let host = self.host;
        let findings = self.noted(|say| tool::check(host, Some(WAIT), EXPEDITES, say))?;
        self.tell(Line::Checked { at: jiff::Timestamp::now(), findings: findings.clone() })?;
        let go = after_checks(&findings, &self.progress);
        self.report(findings, matches!(go, Go::ShutDown))?;
        Ok(go)
    }

    /// Leaves the report that finalize looks for.
    fn report(&mut self, findings: Vec<Finding>, shutting_down: bool) -> Result<(), Failure> {
        let host = self.host;
        let removed =
            if blocked(&findings) { Vec::new() } else { self.noted(|say| host.remove_ghosts(say))? };
        let mut report = Report::new(jiff::Timestamp::now(), host.system(), removed, findings);
        report.shutting_down = shutting_down;
        let path = host.report_path();
        let failed = |e| Failure::new(format!("the report could not be written to {}", path.display()), e);
        report.write(&path).map_err(failed)
    }

    /// Does something that says what it does, which is told.
    fn noted<T>(&mut self, work: impl FnOnce(&mut dyn FnMut(&str)) -> T) -> Result<T, Failure> {
        let mut told = Ok(());
        let done = work(&mut |text| {
            if told.is_ok() {
                told = self.record.note(text);
            }
        });
        told.map_err(|e| failure("the record of the run cannot be written", e))?;
        Ok(done)
    }

    fn end(&mut self, go: Go) -> Result<Exit, Failure> {
        match go {
            Go::Restart { again, why } => {
                self.progress.restarts += 1;
                self.reach(if again { Phase::Start } else { Phase::Checks })?;
                self.tell(Line::Restarting { text: why, restarts: self.progress.restarts })?;
                match self.orders.on_restart {
                    OnRestart::Restart => self.host.restart()?,
                    OnRestart::PowerOff => self.host.shut_down()?,
                }
                Ok(Exit::Restart)
            }
            Go::ShutDown => {
                self.reach(Phase::Ended)?;
                let text = "The script has ended well, and nothing is outstanding.".to_owned();
                self.tell(Line::Ended { outcome: Outcome::Done, exit_code: Some(0), text })?;
                self.host.shut_down()?;
                Ok(Exit::Clean)
            }
            Go::Failed { exit_code, text } => {
                self.reach(Phase::Ended)?;
                self.tell(Line::Ended { outcome: Outcome::Failed, exit_code, text })?;
                if self.orders.on_failure == OnFailure::PowerOff {
                    self.host.shut_down()?;
                }
                Ok(Exit::Act)
            }
            Go::Script | Go::Checks => Ok(Exit::Act),
        }
    }

    /// Tells that the tool itself cannot go on, such as on a disk that is full: nobody would hear of it before the time is over.
    fn give_up(&mut self, failure: &Failure) {
        let why = std::error::Error::source(failure).map(|source| format!(": {source}")).unwrap_or_default();
        let text = format!("Shutdown For Finalize cannot go on: {failure}{why}.");
        // What the disk does not take is still heard on the port.
        let _ = self.tell(Line::Ended { outcome: Outcome::Failed, exit_code: None, text });
        if self.orders.on_failure == OnFailure::PowerOff {
            let _ = self.host.shut_down();
        }
    }

    fn reach(&mut self, phase: Phase) -> Result<(), Failure> {
        self.progress.phase = phase;
        self.progress.write(self.place).map_err(|e| failure("how far the run is cannot be kept", e))
    }

    fn tell(&mut self, line: Line) -> Result<(), Failure> {
        self.record.line(&line).map_err(|e| failure("the record of the run cannot be written", e))
    }
}

/// What the checks came to, for a person: their messages, and what to do about each.
pub(crate) fn told(findings: &[Finding]) -> String {
    let blocks = findings.iter().filter(|one| next_remedy(std::slice::from_ref(one)).is_some());
    let texts: Vec<String> = blocks.map(|one| format!("{} {}", one.message, advice(one))).collect();
    texts.join(" ")
}

/// What to do about a finding where nobody is there: the script has to.
fn advice(finding: &Finding) -> String {
    if finding.code != Code::RunOncePending {
        return finding.advice.clone();
    }
    // The tool does not run them itself: they are written for an administrator's desktop, and a service has none.
    format!(
        "RunOnce entries run when an administrator logs on, and nobody does here; a restart does not help. Let the script do what \
         they say, and delete them: {}.",
        finding.details.join("; ")
    )
}

#[cfg(test)]
mod tests;
