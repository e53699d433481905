//! The tool as a service of Windows that runs Sysprep once: in each machine that is made of a generalized image, at its first start.
//!
//! ```text
//!   Windows starts ─▶ shale-sysprep.exe --sysprep ─▶ all services that start by themselves have
//!                                                      │
//!                                                      ▼ the service is taken out of every control set, and that is on the disk
//!                     Sysprep, which restarts Windows ◀┤
//!                     the log says why not             ◀┘ where that, or Sysprep, cannot be
//! ```
//!
//! A machine that goes off before Sysprep was begun begins again; one that goes off later never does, so that nothing goes round in
//! circles. The key of the service is written into the registry of the disk: `docs/decisions/0018`.

use super::calls::registry::{self, Key};
use super::calls::{delete_at_next_start, services};
use super::service::await_services;
use super::{Notes, Windows};
use crate::marks::{IMAGE_STATE, SYSPREP_LOG, SYSPREP_SERVICE};
use crate::tool::{Exit, Failure};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// For a Windows that is to start as one that nobody has used, without a question now.
/// <https://learn.microsoft.com/windows-hardware/manufacture/desktop/sysprep-command-line-options>
const WORDS: [&str; 4] = ["/generalize", "/oobe", "/reboot", "/quiet"];
/// Has the numbers of the control sets that Windows may start with.
const SELECT: &str = r"SYSTEM\Select";
/// The values that have them.
const SETS: [&str; 4] = ["Current", "Default", "LastKnownGood", "Failed"];

/// Runs Sysprep, as a service. Returns when the service has stopped.
///
/// # Errors
///
/// It was not the service control manager that started this program.
pub fn run() -> Result<(), Failure> {
    services::serve(|| {
        await_services();
        let windows = Windows::new();
        let mut log = Log::open(&windows.drive().join(SYSPREP_LOG));
        let (exit, told) = once(&windows.folder, &mut log);
        if let Err(error) = remove_program() {
            log.say(&format!("This program stays on the disk: {error}."));
        }
        log.say(&told);
        exit as u32
    })
    .map_err(|error| Failure::new("Windows did not start this as a service", error))
}

/// How it ended, and the sentence for it.
fn once(windows: &Path, log: &mut Log) -> (Exit, String) {
    if let Err(error) = remove_service() {
        let text = format!(
            "The service {SYSPREP_SERVICE} cannot be removed ({error}). Sysprep is not run: it would be run at every start. \
             This machine is not generalized."
        );
        return (Exit::Failed, text);
    }
    log.say(&format!("The service {SYSPREP_SERVICE} was removed."));
    let program = windows.join(r"System32\Sysprep\sysprep.exe");
    log.say(&format!("Running {} {}", program.display(), WORDS.join(" ")));
    let ended = Command::new(&program).args(WORDS).current_dir(windows).status();
    let state = Notes::default().text(IMAGE_STATE, "ImageState").unwrap_or_else(|| "nothing".to_owned());
    let logs = windows.join(r"System32\Sysprep\Panther");
    match ended {
        Ok(status) if status.success() => {
            (Exit::Clean, format!("Sysprep has ended. Windows says of its state: {state}."))
        }
        Ok(status) => {
            let text = format!(
                "Sysprep failed ({status}). Windows says of its state: {state}. This machine is not generalized. \
                 Why is in {}\\setuperr.log and setupact.log.",
                logs.display()
            );
            (Exit::Failed, text)
        }
        Err(error) => {
            let text = format!("Sysprep could not be run ({error}). This machine is not generalized.");
            (Exit::Failed, text)
        }
    }
}

/// Takes the service out of every control set that Windows may start with; it is on the disk when this returns.
fn remove_service() -> io::Result<()> {
    registry::remove(&format!(r"SYSTEM\CurrentControlSet\Services\{SYSPREP_SERVICE}"))?;
    let Some(select) = Key::open(SELECT)? else { return Ok(()) };
    for name in SETS {
        if let Some(number) = select.number(name)? {
            registry::remove(&format!(r"SYSTEM\ControlSet{number:03}\Services\{SYSPREP_SERVICE}"))?;
        }
    }
    select.flush()
}

fn remove_program() -> io::Result<()> {
    let program: PathBuf = std::env::current_exe()?;
    delete_at_next_start(&program.to_string_lossy())
}

/// What an administrator reads. Without a disk to write to it is lost.
struct Log(Option<File>);

impl Log {
    fn open(path: &Path) -> Self {
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        Self(folder.and_then(|()| File::options().create(true).append(true).open(path)).ok())
    }

    /// A line with the time, written as a whole, and on the disk when this returns: Windows may end before there is another.
    fn say(&mut self, text: &str) {
        if let Some(file) = &mut self.0 {
            let line = format!("{} {text}\r\n", jiff::Timestamp::now());
            let _ = file.write_all(line.as_bytes()).and_then(|()| file.sync_all());
        }
    }
}
