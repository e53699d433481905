//! Processes that outlive us: started on their own, found again in the process table, ended for sure.
//!
//! ```text
//!   start: we ─▶ setsid --fork ─▶ (exits, so that the child belongs to init) ─▶ program, own session, output to a log
//!   find:  /proc/*/cmdline of our own user, matched by an argument that holds a tag; no pid is ever stored
//!   end:   pidfd first, then the match, then SIGTERM, SIGKILL: a number given to another process is never hit
//! ```

use std::fs::{self, File};
use std::io::{ErrorKind as Io, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{Error, ErrorKind, Result};

/// A live process of our own user.
pub(super) struct Process {
    /// Its number.
    pub(super) pid: u32,
    /// Its command line, from the program on.
    pub(super) args: Vec<String>,
    handle: OwnedFd,
}

/// All live processes of our user whose command line `is_meant` accepts.
pub(super) fn find(is_meant: impl Fn(&[String]) -> bool) -> Result<Vec<Process>> {
    let unreadable = |e| Error::io("cannot read the process table in /proc", e);
    let us = rustix::process::geteuid().as_raw();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        // A process may end at any moment; one that cannot be looked at is none.
        if !entry.metadata().is_ok_and(|m| m.uid() == us) {
            continue;
        }
        let args = command_line(&entry.path());
        if args.is_empty() || !is_meant(&args) {
            continue;
        }
        let Some(handle) = Pid::from_raw(pid).and_then(|p| pidfd_open(p, PidfdFlags::empty()).ok()) else {
            continue;
        };
        // Again, now that the handle holds the number: it may have been another process a moment ago.
        if command_line(&entry.path()) == args {
            found.push(Process { pid: pid.unsigned_abs(), args, handle });
        }
    }
    Ok(found)
}

/// The arguments of a process; none of one that is gone, a zombie, or not ours to see.
fn command_line(proc_entry: &Path) -> Vec<String> {
    let bytes = fs::read(proc_entry.join("cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// Starts a program that neither ends with us nor must be waited for. Its output is appended to `log`.
pub(super) fn start(program: &Path, args: &[String], log: &Path) -> Result<()> {
    let failed = |what: String| move |e| Error::io(what, e);
    let open = || File::options().create(true).append(true).open(log);
    let output = open().map_err(failed(format!("cannot open the log '{}'", log.display())))?;
    let errors = output.try_clone().map_err(failed("cannot share a log".to_owned()))?;
    let status = Command::new("setsid")
        .arg("--fork")
        .arg(program)
        .args(args)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let what = format!("'{}' could not be started: setsid: {status}", program.display());
            Err(Error::new(ErrorKind::Io, what))
        }
        Err(e) if e.kind() == Io::NotFound => {
            let what = "the program setsid is missing: install the package util-linux";
            Err(Error::new(ErrorKind::Unsupported, what).with_source(e))
        }
        Err(e) => Err(Error::io(format!("cannot start '{}'", program.display()), e)),
    }
}

/// Whether a process that was just started is gone. A process that is replacing its program has no command line
/// for a moment, so that one look is not enough.
pub(super) fn is_gone(find: impl Fn() -> Result<Vec<Process>>) -> Result<bool> {
    for _ in 0..10 {
        if !find()?.is_empty() {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(true)
}

/// Waits until one of the processes ends, or the time is over.
pub(super) fn any_end(processes: &[Process], patience: Duration) {
    let mut handles: Vec<_> = processes.iter().map(|p| PollFd::new(&p.handle, PollFlags::IN)).collect();
    let time = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
    // An error (a signal came, say) only makes the caller look sooner.
    let _ = poll(&mut handles, Some(&time));
}

/// Ends processes: asks, waits up to `patience`, then kills. Returns when they are gone.
pub(super) fn end(processes: &[Process], patience: Duration) -> Result<()> {
    for (signal, patience) in [(Signal::TERM, patience), (Signal::KILL, Duration::from_secs(10))] {
        let deadline = Instant::now() + patience;
        for process in processes {
            // An error says that it is gone already.
            let _ = pidfd_send_signal(&process.handle, signal);
        }
        if processes.iter().all(|p| is_gone_by(p, deadline)) {
            return Ok(());
        }
    }
    let pids: Vec<String> = processes.iter().map(|p| p.pid.to_string()).collect();
    let what = format!("processes cannot be killed, probably because storage hangs: {}", pids.join(", "));
    Err(Error::new(ErrorKind::Timeout, what))
}

/// Whether a process ended, all its threads too; waits for it until `deadline`.
fn is_gone_by(process: &Process, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout =
            Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) };
        let mut ended = [PollFd::new(&process.handle, PollFlags::IN)];
        match poll(&mut ended, Some(&timeout)) {
            Ok(n) => return n > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// The last lines of a log, for an error's text; empty when there is none.
pub(super) fn log_tail(log: &Path) -> String {
    const TAIL: u64 = 600;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_process_is_not_our_child_is_found_by_its_arguments_and_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark").to_str().unwrap().to_owned();
        let script = "trap '' TERM; echo begun; while :; do sleep 0.05; done".to_owned();
        let log = folder.path().join("log");
        start(Path::new("/bin/sh"), &["-c".to_owned(), script, mark.clone()], &log).unwrap();

        // Before that it may still be setsid, on its way to a session of its own.
        while log_tail(&log) != "begun" {
            std::thread::sleep(Duration::from_millis(5));
        }
        let is_ours = |args: &[String]| args.last() == Some(&mark);
        let found = find(is_ours).unwrap();
        assert_eq!(found.len(), 1);
        let stat = fs::read_to_string(format!("/proc/{}/stat", found[0].pid)).unwrap();
        let after_name: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        assert_ne!(after_name[1], std::process::id().to_string(), "it is no child of ours");
        assert_eq!(after_name[3], found[0].pid.to_string(), "it leads a session of its own");
        // It ignores SIGTERM, so that it takes SIGKILL to end it.
        end(&found, Duration::from_millis(50)).unwrap();
        assert!(find(is_ours).unwrap().is_empty());
        end(&found, Duration::ZERO).unwrap();
    }
}
