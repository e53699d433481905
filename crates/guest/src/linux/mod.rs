//! A Linux machine: what is gathered where, and how it is shut down.
//!
//! ```text
//!  root      the machine's files and programs        packages  locks and states of package managers
//!  restart   marks of a wanted restart               boot      kernels, initramfs, boot menu
//!  services  systemd's jobs, cloud-init              volumes   space
//! ```

mod boot;
mod packages;
mod restart;
mod root;
mod services;
mod volumes;

use crate::decide::Finding;
use crate::facts::{Facts, LinuxFacts};
use crate::report::{Kind, System};
use crate::script::{self, Host};
use crate::tool::{Failure, Machine};
use root::Root;
use rustix::fs::OFlags;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where the report is left.
pub const REPORT: &str = "/var/lib/shutdown-for-finalize/integrity.json";

/// The second serial port: what an unattended run tells.
const PORT: &str = "/dev/ttyS1";
/// How often a port that takes nothing is tried again, and how often at most: a minute.
const PORT_ROUND: Duration = Duration::from_millis(20);
const PORT_ROUNDS: u32 = 3000;
/// Where a script finds programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The files of a Linux system, by absolute paths: of the machine the tool runs in, or on the disk of one that is off.
/// What is not there is no error; what is there and cannot be read counts as not there, and is to be noted.
pub trait Look {
    /// Whether there is a file, folder or link of this name.
    fn has(&self, path: &str) -> bool;
    /// The text of a file, if it is there. One of more than `limit` bytes counts as one that cannot be read.
    fn text_up_to(&self, path: &str, limit: u64) -> Option<String>;
    /// The text of a file, if it is there, up to 64 MiB: dpkg's status of a large system is a tenth of it.
    fn text(&self, path: &str) -> Option<String> {
        self.text_up_to(path, 64 << 20)
    }
    /// The names in a folder, sorted; none if it is not there.
    fn names(&self, folder: &str) -> Vec<String>;
}

/// What the disk of a machine that is off tells: all facts but those of what runs, and of space.
#[must_use]
pub fn facts_of_disk(files: &dyn Look) -> LinuxFacts {
    let mut facts = LinuxFacts::default();
    restart::lying(files, &mut facts);
    boot::lying(files, &mut facts);
    packages::lying(files, &mut facts);
    packages::abandoned(files, &mut facts);
    facts
}

/// A Linux machine.
pub struct Linux {
    root: Root,
    /// Whether this is the machine the tool runs in, and no folder.
    real: bool,
}

impl Linux {
    /// The machine the tool runs in; or a folder that is taken for its `/`, with the programs in it.
    #[must_use]
    pub fn new(root: Option<&Path>) -> Self {
        Self { root: Root::new(root.unwrap_or(Path::new("/"))), real: root.is_none() }
    }

    /// What was found.
    #[must_use]
    pub fn facts(&self) -> LinuxFacts {
        let mut facts = LinuxFacts::default();
        restart::gather(&self.root, &mut facts);
        boot::gather(&self.root, &mut facts);
        packages::gather(&self.root, &mut facts);
        services::gather(&self.root, &mut facts);
        volumes::gather(&self.root, &mut facts);
        facts.unasked = self.root.unasked();
        facts
    }

    /// Begins to end this start of the machine: by systemd's verb, or `shutdown` with an option.
    fn leave(&self, what: &str, verb: &str, option: &str) -> Result<(), Failure> {
        let systemd = self.root.has("/run/systemd/system");
        let (program, words): (_, &[&str]) =
            if systemd { ("systemctl", &[verb]) } else { ("shutdown", &[option, "now"]) };
        let failure = |source| Failure::new(format!("the machine could not be {what}: {program}"), source);
        match self.root.run(program, words) {
            Some(ended) if ended.code == Some(0) => Ok(()),
            Some(ended) => Err(failure(io::Error::other(ended.complaint()))),
            None => {
                Err(failure(io::Error::new(io::ErrorKind::NotFound, "it is not installed or does not end")))
            }
        }
    }
}

impl Host for Linux {
    fn port(&self) -> Option<Box<dyn io::Write>> {
        // Neither is waited for a carrier, nor does the port become the tool's terminal.
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        let port =
            File::options().write(true).custom_flags(flags.bits().cast_signed()).open(self.root.path(PORT));
        port.ok().map(|port| Box::new(Patient(port)) as Box<dyn io::Write>)
    }

    fn command(&self, script: &Path) -> Command {
        let begins = |bytes: &mut [u8; 2]| File::open(script).and_then(|mut file| file.read_exact(bytes));
        let mut first = [0; 2];
        let mut command = match begins(&mut first).is_ok() && first == *b"#!" {
            true => Command::new(script),
            false => Command::new("/bin/sh"),
        };
        if command.get_program() != script {
            command.arg(script);
        }
        command.env("PATH", PATH).env("HOME", "/root").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn restart(&self) -> Result<(), Failure> {
        self.leave("restarted", "reboot", "-r")
    }
}

/// A port that is written to without waiting for ever: one that takes nothing for long has failed.
struct Patient(File);

impl io::Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for _ in 0..PORT_ROUNDS {
            match io::Write::write(&mut self.0, bytes) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(PORT_ROUND),
                other => return other,
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Machine for Linux {
    fn permits(&self) -> bool {
        !self.real || rustix::process::geteuid().is_root()
    }

    fn system(&self) -> System {
        let about = self.root.text("/etc/os-release").unwrap_or_default();
        let name = about.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        System {
            kind: Kind::Linux,
            name: name.unwrap_or("Linux").trim_matches(['"', '\'']).to_owned(),
            build: self.root.text("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        }
    }

    fn report_path(&self) -> PathBuf {
        self.root.path(REPORT)
    }

    fn caution(&self) -> Option<&'static str> {
        None
    }

    fn look(&self) -> Facts {
        Facts::Linux(self.facts())
    }

    fn expedite(&self, say: &mut dyn FnMut(&str)) -> Result<(), Failure> {
        say("There is nothing to expedite: NGen is Windows'.");
        Ok(())
    }

    fn remove_ghosts(&self, _: &mut dyn FnMut(&str)) -> Vec<String> {
        // Linux keeps nothing about adapters that are gone.
        Vec::new()
    }

    fn shut_down(&self) -> Result<(), Failure> {
        self.leave("shut down", "poweroff", "-P")
    }

    fn show(&self, findings: &[Finding]) {
        script::show(self.port(), findings);
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
