//! A Windows machine: what is gathered where, and how it is shut down.
//!
//! ```text
//!  restart    marks of a wanted restart, renames, names, RunOnce     installer  Windows Installer, setup, servicing
//!  framework  the native image generator of .NET (NGen)              adapters   network adapters that are gone
//!  state      BitLocker, SMSCFG.INI, space                            service    what starts a script when Windows starts
//!                                                                     sysprep    what starts Sysprep when Windows starts first
//!                    all of them ask through ──▶ calls               the C interface: the only unsafe code
//! ```

mod adapters;
#[expect(unsafe_code, reason = "the interface of Windows is C; these files wrap it and decide nothing")]
mod calls;
mod framework;
mod installer;
mod restart;
pub mod service;
mod state;
pub mod sysprep;

use crate::decide::Finding;
use crate::facts::{Facts, Unasked, WindowsFacts};
use crate::marks::{REPORT, VERSION};
use crate::report::{Kind, System};
use crate::script::{self, Host};
use crate::tool::{Failure, Machine};
use calls::registry::Key;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The second serial port: what an unattended run tells.
const PORT: &str = r"\\.\COM2";

/// The Windows machine that the tool runs in.
pub struct Windows {
    /// `C:\Windows`.
    folder: PathBuf,
}

/// What could not be asked, as it comes up.
#[derive(Default)]
struct Notes(Vec<Unasked>);

impl Notes {
    /// The value; what counts as none, and a note, where it could not be had.
    fn take<T: Default>(&mut self, what: &str, got: io::Result<T>) -> T {
        got.unwrap_or_else(|error| {
            self.0.push(Unasked { what: what.to_owned(), why: error.to_string() });
            T::default()
        })
    }

    /// A number in the registry; 0 where there is none.
    fn number(&mut self, key: &str, name: &str) -> u32 {
        let number = Key::open(key).and_then(|key| key.map_or(Ok(None), |key| key.number(name)));
        self.take(&format!(r"{key}\{name}"), number).unwrap_or(0)
    }

    /// A text in the registry, if it is there.
    fn text(&mut self, key: &str, name: &str) -> Option<String> {
        let text = Key::open(key).and_then(|key| key.map_or(Ok(None), |key| key.text(name)));
        self.take(&format!(r"{key}\{name}"), text)
    }

    /// Whether there is such a key in the registry.
    fn has(&mut self, key: &str) -> bool {
        let there = Key::open(key).map(|key| key.is_some());
        self.take(key, there)
    }
}

impl Windows {
    /// This machine.
    #[must_use]
    pub fn new() -> Self {
        Self { folder: calls::windows_folder() }
    }

    /// What was found.
    #[must_use]
    pub fn facts(&self) -> WindowsFacts {
        let mut facts = WindowsFacts::default();
        let mut notes = Notes::default();
        installer::gather(&self.folder, &mut facts, &mut notes);
        restart::gather(&self.folder, &mut facts, &mut notes);
        framework::gather(&self.folder, &mut facts, &mut notes);
        adapters::gather(&mut facts, &mut notes);
        state::gather(&self.folder, &mut facts, &mut notes);
        facts.unasked = notes.0;
        facts
    }

    /// The drive that Windows is on: `C:\`.
    fn drive(&self) -> PathBuf {
        self.folder.ancestors().last().unwrap_or(&self.folder).to_owned()
    }
}

impl Default for Windows {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine for Windows {
    fn permits(&self) -> bool {
        calls::is_administrator()
    }

    fn system(&self) -> System {
        // A report without a name is better than none: what cannot be asked here is asked again by the checks.
        let mut notes = Notes::default();
        let build = notes.text(VERSION, "CurrentBuild").unwrap_or_default();
        System {
            kind: Kind::Windows,
            name: notes.text(VERSION, "ProductName").unwrap_or_else(|| "Windows".to_owned()),
            build: format!("{build}.{}", notes.number(VERSION, "UBR")),
        }
    }

    fn report_path(&self) -> PathBuf {
        self.drive().join(REPORT)
    }

    fn caution(&self) -> Option<&'static str> {
        let asks = !framework::programs(&self.folder).is_empty();
        asks.then_some("(Asking NGen for its queue may pause its background work for a while.)")
    }

    fn look(&self) -> Facts {
        Facts::Windows(self.facts())
    }

    fn expedite(&self, say: &mut dyn FnMut(&str)) -> Result<(), Failure> {
        framework::expedite(&self.folder, say)
    }

    fn remove_ghosts(&self, say: &mut dyn FnMut(&str)) -> Vec<String> {
        adapters::remove_ghosts(say)
    }

    fn shut_down(&self) -> Result<(), Failure> {
        calls::shut_down().map_err(|error| Failure::new("the machine could not be shut down", error))
    }

    fn show(&self, findings: &[Finding]) {
        script::show(self.port(), findings);
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

impl Host for Windows {
    fn port(&self) -> Option<Box<dyn io::Write>> {
        let port = calls::port::open(Path::new(PORT));
        port.ok().map(|port| Box::new(port) as Box<dyn io::Write>)
    }

    fn command(&self, script: &Path) -> Command {
        let is_for_cmd =
            |ending: &OsStr| ["cmd", "bat"].iter().any(|known| ending.eq_ignore_ascii_case(known));
        if script.extension().is_some_and(is_for_cmd) {
            // The standard library has `cmd.exe /d /c` run it, and knows how that is quoted.
            return Command::new(script);
        }
        let mut command = Command::new(self.folder.join(r"System32\WindowsPowerShell\v1.0\powershell.exe"));
        command.args(["-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"]).arg(script);
        command
    }

    fn restart(&self) -> Result<(), Failure> {
        calls::restart().map_err(|error| Failure::new("the machine could not be restarted", error))
    }
}
