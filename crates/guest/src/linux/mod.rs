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

use crate::facts::{Facts, LinuxFacts};
use crate::report::{Kind, System};
use crate::tool::{Failure, Machine};
use root::Root;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the report is left.
pub const REPORT: &str = "/var/lib/shutdown-for-finalize/integrity.json";

/// The files of a Linux system, by absolute paths: of the machine the tool runs in, or on the disk of one that is off.
/// What is not there is no error; what is there and cannot be read counts as not there, and is to be noted.
pub trait Look {
    /// Whether there is a file, folder or link of this name.
    fn has(&self, path: &str) -> bool;
    /// The text of a file, if it is there.
    fn text(&self, path: &str) -> Option<String>;
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

    fn remove_ghosts(&self) -> Result<Vec<String>, Failure> {
        // Linux keeps nothing about adapters that are gone.
        Ok(Vec::new())
    }

    fn shut_down(&self) -> Result<(), Failure> {
        let systemd = self.root.has("/run/systemd/system");
        let (program, words): (_, &[&str]) =
            if systemd { ("systemctl", &["poweroff"]) } else { ("shutdown", &["-P", "now"]) };
        let failure = |source| Failure::new(format!("the machine could not be shut down: {program}"), source);
        match self.root.run(program, words) {
            Some(ended) if ended.code == Some(0) => Ok(()),
            Some(ended) => Err(failure(io::Error::other(ended.complaint()))),
            None => {
                Err(failure(io::Error::new(io::ErrorKind::NotFound, "it is not installed or does not end")))
            }
        }
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
