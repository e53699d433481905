//! A machine's QEMU: started, asked how it stands, ended.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::command::{self, Plan};
use super::folder::{Folder, Record};
use super::process::{self, Process};
use super::qmp::Qmp;
use super::{Settings, accelerator, export, firmware};
use crate::{Error, ErrorKind, Firmware, Power, Result, Tag};

/// QEMU's program.
pub(super) const PROGRAM: &str = "qemu-system-x86_64";

/// How long QEMU may take to answer its control connection. It answers at once unless the host is stuck.
pub(super) const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// How long QEMU may take to start: one that ended is not waited for. With its export's time it is less than what a client waits
/// for an answer, who so reads what QEMU said.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long QEMU may take to write out what it holds before it is killed.
const END_PATIENCE: Duration = Duration::from_secs(15);

/// The QEMU of this machine: one, or none. (More only for a moment, while one is being started.)
pub(super) fn running(tag: &Tag) -> Result<Vec<Process>> {
    process::find(|args| command::is_machine(args, tag))
}

/// The program's path, looked up as a shell does.
pub(super) fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(PROGRAM)).find(|p| p.is_absolute() && p.is_file())
}

/// Starts the machine. Its lock is held, its export runs, and no QEMU of it runs.
pub(super) fn start(folder: &Folder, record: &Record, settings: &Settings) -> Result<()> {
    let Some(program) = program() else {
        let what = format!("{PROGRAM} is missing: install the package qemu-system-x86");
        return Err(Error::new(ErrorKind::Unsupported, what));
    };
    let plan = plan(folder, record, settings)?;
    let was_powered_on = folder.serial_log().exists();
    // A socket left by a machine that was killed cannot be bound again.
    for socket in [record.qmp_socket(), record.vnc_socket()] {
        let _ = fs::remove_file(socket);
    }
    process::start(&program, &command::arguments(&plan), &folder.qemu_log())?;
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        let failure = match Qmp::connect(&record.qmp_socket(), ANSWER_PATIENCE) {
            Ok(_) => return Ok(()),
            Err(e) => e,
        };
        if process::is_gone(|| running(&record.tag))? {
            if !was_powered_on {
                // It is the mark of a machine that was powered on, which this one was not.
                let _ = fs::remove_file(folder.serial_log());
            }
            let said = process::log_tail(&folder.qemu_log());
            let what = format!("QEMU ended as soon as it was started; it says: {said}");
            return Err(Error::new(ErrorKind::Io, what));
        }
        if Instant::now() > deadline {
            return Err(failure);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn plan(folder: &Folder, record: &Record, settings: &Settings) -> Result<Plan> {
    let uefi = match settings.firmware.of(record.spec.firmware) {
        Firmware::Bios => None,
        Firmware::Uefi => Some((uefi()?, folder.efi_variables())),
    };
    Ok(Plan {
        tag: record.tag.clone(),
        name: record.spec.name.clone(),
        memory_mib: settings.memory_mib,
        cpus: settings.cpus,
        is_kvm: accelerator::choose(settings.accelerator)?.is_kvm,
        uefi,
        overlay: folder.overlay(),
        cd: Some(folder.cd()).filter(|cd| cd.exists()),
        disk_socket: record.disk_socket(),
        qmp_socket: record.qmp_socket(),
        vnc_socket: record.vnc_socket(),
        serial_log: folder.serial_log(),
        port_log: folder.port_log(),
        ssh_port: if settings.forward_ssh { Some(free_port()?) } else { None },
    })
}

/// The host's UEFI firmware, which must be there.
pub(super) fn uefi() -> Result<firmware::Uefi> {
    firmware::uefi().ok_or_else(|| {
        let what = "the firmware for UEFI machines is missing: install the package ovmf";
        Error::new(ErrorKind::Unsupported, what)
    })
}

/// A port nobody listens on. Another process may take it before QEMU does; QEMU then does not start, and the next
/// try takes another one.
fn free_port() -> Result<u16> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr();
    Ok(bind().map_err(|e| Error::io("no port of 127.0.0.1 is free for SSH", e))?.port())
}

/// Where the guest's SSH can be reached, by the command line of its QEMU.
pub(super) fn ssh_address(process: &Process) -> Option<SocketAddr> {
    Some((Ipv4Addr::LOCALHOST, command::ssh_port(&process.args)?).into())
}

/// Whether a machine whose QEMU runs makes headway, and what there is to say about it.
pub(super) fn state(folder: &Folder, record: &Record) -> (Power, Option<String>) {
    match ask(record) {
        Ok((status, io_status)) => judge(&status, io_status, folder),
        Err(e) => (Power::Running, Some(format!("its QEMU runs, but cannot be asked how it stands: {e}"))),
    }
}

/// QEMU's run state, and the worst I/O status of its disks.
fn ask(record: &Record) -> Result<(String, IoStatus)> {
    let mut qmp = Qmp::connect(&record.qmp_socket(), ANSWER_PATIENCE)?;
    let status = qmp.execute("query-status", json!({}))?;
    let disks = qmp.execute("query-block", json!({}))?;
    let status = status["status"].as_str().unwrap_or("unknown").to_owned();
    Ok((status, io_status(&disks)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum IoStatus {
    Ok,
    Failed,
    NoSpace,
}

fn io_status(disks: &Value) -> IoStatus {
    let all = disks.as_array().map(Vec::as_slice).unwrap_or_default();
    let status = all.iter().map(|disk| match disk["io-status"].as_str() {
        Some("nospace") => IoStatus::NoSpace,
        Some("failed") => IoStatus::Failed,
        _ => IoStatus::Ok,
    });
    status.max().unwrap_or(IoStatus::Ok)
}

/// What a run state of QEMU (`RunState` in its `qapi/run-state.json`) means to people.
fn judge(status: &str, io_status: IoStatus, folder: &Folder) -> (Power, Option<String>) {
    match (status, io_status) {
        ("running", _) => (Power::Running, None),
        ("io-error", IoStatus::NoSpace) => {
            let place = folder.path.display();
            let text = format!(
                "paused: the storage with its changes ('{place}') is full. Free some space there, then power it on \
                 again: it goes on where it stands"
            );
            (Power::Paused, Some(text))
        }
        ("io-error", _) => {
            let log = folder.qemu_log();
            let text = format!(
                "paused: reading or writing its disk failed, see '{}'. Mend the cause, then power it on again: it \
                 goes on where it stands",
                log.display()
            );
            (Power::Paused, Some(text))
        }
        ("paused" | "suspended" | "internal-error" | "guest-panicked" | "watchdog", _) => {
            (Power::Paused, Some(format!("QEMU says that it stands still: {status}")))
        }
        _ => (Power::Running, Some(format!("QEMU says: {status}"))),
    }
}

/// Lets a machine that is paused go on.
pub(super) fn resume(record: &Record) -> Result<()> {
    let mut qmp = Qmp::connect(&record.qmp_socket(), ANSWER_PATIENCE)?;
    let status = qmp.execute("query-status", json!({}))?;
    if status["running"] != json!(true) {
        qmp.execute("cont", json!({}))?;
    }
    Ok(())
}

/// Presses the power button.
pub(super) fn press_button(record: &Record) -> Result<()> {
    Qmp::connect(&record.qmp_socket(), ANSWER_PATIENCE)?.execute("system_powerdown", json!({})).map(drop)
}

/// Ends the machine's QEMU, which writes out what it holds if it can.
pub(super) fn cut(tag: &Tag) -> Result<()> {
    process::end(&running(tag)?, END_PATIENCE)
}

/// Makes sure that the machine's origin is served; when it was not, lets the guest go on.
pub(super) fn mend_export(folder: &Folder, record: &Record) -> Result<()> {
    if export::is_running(record)? {
        return Ok(());
    }
    let _lock = folder.lock()?;
    export::ensure(folder, record)?;
    resume(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_stands_still_for_want_of_space_says_so() {
        let folder = Folder { path: "/machines/m".into() };
        let (power, detail) = judge("io-error", IoStatus::NoSpace, &folder);
        assert_eq!(power, Power::Paused);
        assert!(detail.unwrap().contains("('/machines/m') is full"));
        assert_eq!(judge("io-error", IoStatus::Failed, &folder).0, Power::Paused);
        // The status of a disk outlives its error; a machine that runs again is no longer paused.
        assert_eq!(judge("running", IoStatus::NoSpace, &folder), (Power::Running, None));
        assert_eq!(judge("prelaunch", IoStatus::Ok, &folder).0, Power::Running);
    }

    #[test]
    fn the_worst_disk_counts_and_odd_answers_do_no_harm() {
        let disks = json!([{ "io-status": "ok" }, { "io-status": "nospace" }, { "io-status": "failed" }, {}]);
        assert_eq!(io_status(&disks), IoStatus::NoSpace);
        assert_eq!(io_status(&json!("?")), IoStatus::Ok);
    }
}
