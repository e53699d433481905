//! `shale machine`.

use crate::client::Client;
use crate::exec;
use crate::failure::{Exit, Failure, Outcome};
use crate::finding;
use crate::interrupt::{Leaves, guard};
use crate::resolve::MachineRef;
use crate::table::{Cell, Sheet, printable_lines};
use crate::terminal::{Terminal, View, actions, word};
use crate::units;
use crate::upload;
use crate::wait::Waiting;
use clap::Subcommand;
use serde_json::json;
use shale_api::{CheckResult, Machine, MachineCheck, MachineFile, MachineFiles, Power};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use ureq::http::Method;
use uuid::Uuid;

/// The verbs of `shale machine`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the packaging machines
    List,
    /// Show a machine and what can be done with it now
    Show {
        #[command(flatten)]
        machine: MachineRef,
    },
    /// Power a machine on
    Start {
        #[command(flatten)]
        machine: MachineRef,
    },
    /// Ask the guest to shut down, and wait until the machine is off
    #[command(visible_alias = "shut-down")]
    Stop {
        #[command(flatten)]
        machine: MachineRef,
        /// Pull the plug instead of asking the guest
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Check what is outstanding in a machine: on its disk; while it runs, what Shutdown For Finalize found there last
    Check {
        #[command(flatten)]
        machine: MachineRef,
    },
    /// Print what the serial console has shown
    Serial {
        #[command(flatten)]
        machine: MachineRef,
        /// Go on with what it shows from now on, until the machine is gone
        #[arg(short, long)]
        follow: bool,
    },
    /// Log in to the guest over SSH, where the connector forwards it
    Ssh {
        #[command(flatten)]
        machine: MachineRef,
        /// User in the guest
        #[arg(short, long, default_value = "root")]
        user: String,
        /// Command to run in the guest, and options for ssh before it
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// List the files that a machine was given
    Files {
        #[command(flatten)]
        machine: MachineRef,
    },
    /// Give a machine files from this computer, beside those it has: they are on a CD in its drive
    Attach {
        #[command(flatten)]
        machine: MachineRef,
        /// A file to send
        #[arg(short, long, value_name = "FILE", required = true)]
        file: Vec<PathBuf>,
        /// Instead of those it has
        #[arg(long)]
        replace: bool,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Take the files away from a machine
    Detach {
        #[command(flatten)]
        machine: MachineRef,
        /// Why; kept in the audit
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Print where the machine's screen is: a socket on the server's host (VNC), or its page in the console
    Screen {
        #[command(flatten)]
        machine: MachineRef,
    },
}

fn files(machine: Uuid, client: &Client) -> Result<Vec<MachineFile>, Failure> {
    client.list(&format!("/machines/{machine}/files"), &[], None)
}

fn put_files(id: Uuid, wanted: MachineFiles, client: &Client, terminal: &Terminal) -> Result<(), Failure> {
    let path = format!("/machines/{id}/files");
    let _: Machine = client.put(&path, &wanted)?;
    terminal.list(&files(id, client)?)
}

impl View for MachineFile {
    const COLUMNS: &'static [&'static str] = &["NAME", "SIZE"];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<Cell> {
        vec![self.name.clone().into(), units::bytes(self.size).into()]
    }

    fn sheet(&self) -> Sheet {
        Sheet::default().with("File", self.name.clone()).with("Size", units::bytes(self.size))
    }
}

/// Carries out a verb.
pub fn run(verb: Verb, client: &Client, terminal: &Terminal) -> Outcome {
    match verb {
        Verb::List => terminal.list::<Machine>(&client.list("/machines", &[], None)?)?,
        Verb::Show { machine } => terminal.object(&machine.find(client)?)?,
        Verb::Start { machine } => {
            let id = machine.find(client)?.id;
            terminal.object::<Machine>(&client.post(&format!("/machines/{id}/power_on"), &json!({}))?)?;
        }
        Verb::Stop { machine, force, waiting } => {
            return stop(&machine.find(client)?, force, waiting, client, terminal);
        }
        Verb::Check { machine } => return check(&machine.find(client)?, client, terminal),
        Verb::Serial { machine, follow } => serial(&machine.find(client)?, follow, client, terminal)?,
        Verb::Ssh { machine, user, command } => return ssh(&machine.find(client)?, &user, &command),
        Verb::Files { machine } => terminal.list(&files(machine.find(client)?.id, client)?)?,
        Verb::Attach { machine, file, replace, comment } => {
            let id = machine.find(client)?.id;
            let kept = if replace { Vec::new() } else { files(id, client)? };
            let mut upload_ids: Vec<Uuid> = kept.into_iter().map(|file| file.id).collect();
            for path in &file {
                upload_ids.push(upload::send(client, terminal, path)?.id);
            }
            put_files(id, MachineFiles { upload_ids, comment }, client, terminal)?;
        }
        Verb::Detach { machine, comment } => {
            let none = MachineFiles { upload_ids: Vec::new(), comment };
            put_files(machine.find(client)?.id, none, client, terminal)?;
        }
        Verb::Screen { machine } => {
            let machine = machine.find(client)?;
            match machine.vnc_socket.as_deref() {
                Some(socket) => {
                    terminal.print(&format!("{socket}\n"))?;
                    terminal.note("On the server's host, point a VNC viewer at this unix socket.");
                }
                None if machine.has_screen => {
                    terminal.print(&format!("{}/machines/{}/screen\n", client.console(), machine.id))?;
                    terminal.note("It is on another host: open this page of the console in a browser.");
                }
                None => return Err(no_such_door(&machine, "screen")),
            }
        }
    }
    Ok(Exit::Ok)
}

fn check(machine: &Machine, client: &Client, terminal: &Terminal) -> Outcome {
    let check: MachineCheck = client.get(&format!("/machines/{}/check", machine.id))?;
    terminal.report(&check, |check| {
        printable_lines(&format!("{}{}", finding::told(&check.findings), check.text)) + "\n"
    })?;
    Ok(match check.result {
        CheckResult::Clean => Exit::Ok,
        CheckResult::Blocked => Exit::Failed,
        CheckResult::Unknown => Exit::Conflict,
    })
}

fn no_such_door(machine: &Machine, what: &str) -> Failure {
    let power = word(&machine.power);
    Failure::new(Exit::Failed, format!("The machine '{}' ({power}) has no {what} now.", machine.name))
}

fn stop(machine: &Machine, force: bool, waiting: Waiting, client: &Client, terminal: &Terminal) -> Outcome {
    let verb = if force { "power_off" } else { "shut_down" };
    let mut machine: Machine = client.post(&format!("/machines/{}/{verb}", machine.id), &json!({}))?;
    let deadline = waiting.deadline();
    let _guard = guard(Leaves::Task("The machine goes on shutting down.".into()));
    let mut exit = Exit::Ok;
    while waiting.wanted() && matches!(machine.power, Power::Running | Power::Unknown) {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let again = client.command(&format!("machine stop --force {}", machine.id));
            terminal.note(&format!("The machine still runs. If the guest does not answer: {again}"));
            exit = Exit::TimedOut;
            break;
        }
        sleep(Duration::from_millis(500));
        machine = client.get(&format!("/machines/{}", machine.id))?;
    }
    terminal.object(&machine)?;
    Ok(exit)
}

fn serial(machine: &Machine, follow: bool, client: &Client, terminal: &Terminal) -> Result<(), Failure> {
    let path = format!("/machines/{}/serial", machine.id);
    let mut shown: Option<String> = None;
    loop {
        let text = match client.raw(&Method::GET, &path, None) {
            // The machine is gone: that is how following ends.
            Err(failure) if shown.is_some() && failure.exit == Exit::NotFound => return Ok(()),
            other => other?,
        };
        terminal.print(&for_screen(fresh(shown.as_deref().unwrap_or_default(), &text)))?;
        if !follow {
            return Ok(());
        }
        shown = Some(text);
        sleep(Duration::from_secs(1));
    }
}

/// What `now` has beyond `before`. Both are the end of a log that grows, so the beginning of `now` is somewhere in
/// `before`; when it is not, the log is a new one.
fn fresh<'a>(before: &str, now: &'a str) -> &'a str {
    let mark: String = now.chars().take(80).collect();
    let overlap = |(at, _): (usize, &str)| now.strip_prefix(&before[at..]);
    if mark.len() > before.len() {
        now.strip_prefix(before)
    } else {
        before.match_indices(&mark).find_map(overlap)
    }
    .unwrap_or(now)
}

/// The guest wrote this: on a terminal its control sequences are left out.
pub fn for_screen(text: &str) -> String {
    if std::io::stdout().is_terminal() {
        anstream::adapter::strip_str(text).to_string()
    } else {
        text.to_owned()
    }
}

/// Becomes ssh. Machines come and go on the same ports, so their host keys are remembered by machine, not by port.
fn ssh(machine: &Machine, user: &str, command: &[String]) -> Outcome {
    let address = machine.ssh.as_deref().ok_or_else(|| {
        no_such_door(machine, "SSH").hint(
            "a machine that is off has none: `shale machine start`. A connector of the kind local opens it at each start, unless \
             its setting `forward_ssh` is off; others do not: use the screen, `shale machine screen`",
        )
    })?;
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "22"));
    let mut ssh = Command::new("ssh");
    ssh.args(["-p", port, "-l", user])
        .args(["-o", "StrictHostKeyChecking=accept-new", "-o", &format!("HostKeyAlias=shale-{}", machine.id)])
        .arg(host)
        .args(command);
    exec::become_program(ssh)
}

impl View for Machine {
    const COLUMNS: &'static [&'static str] =
        &["NAME", "POWER", "LAYER", "VERSION", "CONNECTOR", "WRITTEN", "SSH"];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.name.clone().into(),
            Cell::state(word(&self.power)),
            self.layer_name.clone().into(),
            self.version_name.clone().into(),
            self.connector_name.clone().into(),
            self.written_bytes.map(units::bytes).unwrap_or_default().into(),
            self.ssh.clone().unwrap_or_default().into(),
        ]
    }

    fn sheet(&self) -> Sheet {
        Sheet::default()
            .with("Machine", self.name.clone())
            .with("Id", self.id.to_string())
            .with("Power", Cell::state(word(&self.power)))
            .maybe("Detail", self.detail.clone())
            .with("Layer", self.layer_name.clone())
            .with("Version", self.version_name.clone())
            .with("Connector", self.connector_name.clone())
            .with("Place", self.place.clone())
            .maybe("CD", self.cd.clone())
            .maybe("SSH", self.ssh.clone())
            .maybe("Screen (VNC)", self.vnc_socket.clone())
            .maybe("Serial log", self.serial_log.clone())
            .maybe("Written", self.written_bytes.map(units::bytes))
            .maybe("Task", self.task_id.map(|id| id.to_string()))
            .part("What can be done", actions(&self.actions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_in_a_serial_log_is_printed() {
        let line = |n: usize| format!("[{n:>4}] a line of a guest that starts\n");
        let log = |range: std::ops::Range<usize>| range.map(line).collect::<String>();
        assert_eq!(fresh("", &log(0..3)), log(0..3));
        assert_eq!(fresh("ab", "abc"), "c");
        assert_eq!(fresh(&log(0..30), &log(0..30)), "");
        assert_eq!(fresh(&log(0..30), &log(0..35)), log(30..35), "it grew");
        assert_eq!(fresh(&log(0..30), &log(10..35)), log(30..35), "its beginning is cut off");
        assert_eq!(fresh(&log(0..30), &log(70..75)), log(70..75), "it was started anew");
        let same = "x".repeat(500);
        assert_eq!(fresh(&same, &(same.clone() + "y")), "y");
    }
}
