//! A virtual machine as a QEMU process, run straight off raw disk files.
//!
//! ```text
//!   start ──▶ running ◀─pause/resume─▶ paused
//!               │  ├─ guest reboots ──▶ Event::Rebooted, running
//!               │  └─ guest powers off, power_off, a crash ──▶ Event::Ended, gone
//!               └─ press_power_button: asks the guest, nothing more
//! ```
//!
//! QEMU's control protocol goes over its standard input and output, so that there is nothing to find or clean up. Each
//! machine has a thread that starts the process, reads its events and waits for its end. Linux ends a process with its
//! parent *thread* (`setpriv --pdeathsig`), which is why that thread lives as long: a machine never outlives the
//! simulator, however it ends.

mod command;
mod host;
mod monitor;

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::json;
use shale_disk::{Error, ErrorKind, Result};
use tempfile::TempDir;
use uuid::Uuid;

use monitor::{Message, Monitor};

/// How long QEMU may take to greet, and to end when it is told to, before it is killed.
const START_PATIENCE: Duration = Duration::from_secs(120);
const END_PATIENCE: Duration = Duration::from_secs(60);

/// What a machine is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What people call it.
    pub name: String,
    /// Its identity, which the guest sees as its serial number.
    pub uuid: Uuid,
    /// Bytes of memory; rounded down to MiB.
    pub memory: u64,
    /// Processors.
    pub cpus: u32,
    /// BIOS unless set.
    pub uefi: bool,
    /// Raw disk files, on virtio, the one to start from first.
    pub disks: Vec<Drive>,
    /// The medium in the CD drive, which is always there.
    pub cd: Option<PathBuf>,
    /// Whether the CD is tried before the disks.
    pub cd_first: bool,
    /// Network cards by their addresses (`aa:bb:cc:dd:ee:ff`), each on a private network that leads out.
    pub nics: Vec<String>,
    /// Ports of 127.0.0.1 that lead to the guest, behind its first card.
    pub forwards: Vec<Forward>,
    /// Where the machine's files lie: serial log, QEMU's log, UEFI variables. It is made when it is missing.
    pub folder: PathBuf,
    /// Whether it is to wait for [`Machine::resume`] before it runs at all.
    pub paused: bool,
}

/// A disk of a machine.
#[derive(Clone, Debug)]
pub struct Drive {
    /// A raw file.
    pub path: PathBuf,
    /// Whether the guest cannot write it.
    pub read_only: bool,
}

/// A TCP port that leads into a guest.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// Port of 127.0.0.1.
    pub host: u16,
    /// Port of the guest.
    pub guest: u16,
}

/// What happens to a machine without being asked for, or in its own time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The guest restarted itself. Firmware may restart once more on the way, which is told too.
    Rebooted,
    /// The process is gone. It is the last event.
    Ended(End),
}

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest powered itself off.
    PoweredOff,
    /// It was told to, by [`Machine::power_off`].
    Stopped,
    /// QEMU failed; what it said.
    Failed(String),
}

/// A running machine. Dropping it powers it off.
pub struct Machine {
    process: Arc<Process>,
    monitor: Monitor,
    serial_log: PathBuf,
    /// Where the console listens: the path of a socket must be short, which that of a machine's folder may not be.
    sockets: TempDir,
}

/// A process shared with the thread that waits for it.
struct Process {
    child: Mutex<Child>,
    is_gone: Mutex<bool>,
    gone: Condvar,
}

impl Machine {
    /// Starts a machine; returns when its process answers. `told` is called in the machine's own thread; it may call
    /// back into the machine only once it ended.
    pub fn start(settings: Settings, told: impl Fn(Event) + Send + 'static) -> Result<Self> {
        let failed = |e| Error::io(format!("cannot prepare the machine '{}'", settings.name), e);
        fs::create_dir_all(&settings.folder).map_err(failed)?;
        let sockets = tempfile::Builder::new().prefix("xapi-sim-").tempdir().map_err(failed)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"]);
        command.args(command::arguments(&settings, &host::firmware(&settings)?, &sockets.path().join("vnc")));
        let log = settings.folder.join("qemu.log");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(File::create(&log).map_err(failed)?);

        let (started, wait) = sync_channel(1);
        let name = format!("machine {}", settings.name);
        let run = move || match launch(command, &log) {
            Err(e) => drop(started.send(Err(e))),
            Ok((process, monitor, messages)) => {
                if started.send(Ok((process.clone(), monitor))).is_ok() {
                    let end = follow(messages, &told).unwrap_or_else(|| End::Failed(tail(&log)));
                    process.reap();
                    told(Event::Ended(end));
                }
            }
        };
        thread::Builder::new().name(name).spawn(run).map_err(failed)?;
        let (process, monitor) = wait.recv_timeout(START_PATIENCE).map_err(|e| {
            Error::new(
                ErrorKind::Io,
                format!("QEMU does not answer: see its log in '{}'", settings.folder.display()),
            )
            .with_source(e)
        })??;
        Ok(Self { process, monitor, serial_log: settings.folder.join(command::SERIAL_LOG), sockets })
    }

    /// Presses the power button. What comes of it is up to the guest.
    pub fn press_power_button(&self) -> Result<()> {
        self.monitor.execute("system_powerdown", json!({}))
    }

    /// Stops the guest's processors.
    pub fn pause(&self) -> Result<()> {
        self.monitor.execute("stop", json!({}))
    }

    /// Lets the guest run on.
    pub fn resume(&self) -> Result<()> {
        self.monitor.execute("cont", json!({}))
    }

    /// Resets the machine, as its reset button does.
    pub fn reset(&self) -> Result<()> {
        self.monitor.execute("system_reset", json!({}))
    }

    /// Puts a medium in the CD drive, in place of one that is there.
    pub fn insert_cd(&self, medium: &Path) -> Result<()> {
        let arguments = json!({ "id": command::CD, "filename": medium, "format": "raw", "force": true,
                                "read-only-mode": "read-only" });
        self.monitor.execute("blockdev-change-medium", arguments)
    }

    /// Takes the medium out of the CD drive.
    pub fn eject_cd(&self) -> Result<()> {
        self.monitor.execute("eject", json!({ "id": command::CD, "force": true }))
    }

    /// Cuts the power; returns when the process is gone and its disks are written. Once it is gone this does nothing.
    pub fn power_off(&self) {
        let _ = self.monitor.execute("quit", json!({})); // it may be gone, or hang: that is seen to below
        if !self.process.is_gone_within(END_PATIENCE) {
            let _ = self.process.child.lock().unwrap_or_else(PoisonError::into_inner).kill();
            self.process.is_gone_within(END_PATIENCE);
        }
    }

    /// Whether the process is there.
    pub fn is_running(&self) -> bool {
        !self.process.is_gone_within(Duration::ZERO)
    }

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.process.child.lock().unwrap_or_else(PoisonError::into_inner).id()
    }

    /// The socket where the screen is served by RFB (VNC), without a password.
    pub fn console(&self) -> PathBuf {
        self.sockets.path().join("vnc")
    }

    /// What the guest wrote on its first serial port, since the machine's folder was made.
    pub fn serial_log(&self) -> &Path {
        &self.serial_log
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.power_off();
    }
}

impl Process {
    fn is_gone_within(&self, patience: Duration) -> bool {
        let gone = self.is_gone.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.gone.wait_timeout_while(gone, patience, |is_gone| !*is_gone);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits for the end of a process that has closed its output, so that none is left as a zombie.
    fn reap(&self) {
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait(); // errs only when it was reaped
        *self.is_gone.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.gone.notify_all();
    }
}

/// Starts the process and shakes hands with it.
fn launch(mut command: Command, log: &Path) -> Result<(Arc<Process>, Monitor, monitor::Messages)> {
    let mut child = command.spawn().map_err(|e| {
        Error::io("cannot start setpriv, which starts QEMU: install the package util-linux", e)
    })?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::new(ErrorKind::Io, "QEMU was started without its input and output"));
    };
    let process =
        Arc::new(Process { child: Mutex::new(child), is_gone: Mutex::new(false), gone: Condvar::new() });
    match monitor::open(input, output) {
        Ok((monitor, messages)) => Ok((process, monitor, messages)),
        Err(e) => {
            let _ = process.child.lock().unwrap_or_else(PoisonError::into_inner).kill(); // it may be gone
            process.reap();
            let what = format!("QEMU ended as soon as it was started; it says: {}", tail(log));
            Err(Error::new(ErrorKind::Io, what).with_source(e))
        }
    }
}

/// Passes on what QEMU tells until it closes its output; answers why it ended, if it said so.
fn follow(messages: monitor::Messages, told: &dyn Fn(Event)) -> Option<End> {
    let mut end = None;
    for message in messages {
        match message {
            Message::Reset { by_guest: true } => told(Event::Rebooted),
            Message::Shutdown { by_guest } => {
                end = Some(if by_guest { End::PoweredOff } else { End::Stopped })
            }
            _ => {}
        }
    }
    end
}

/// The last lines of a log, for an error's text.
fn tail(log: &Path) -> String {
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
