//! Package managers: who works, and what was left half done.
//!
//! | sign | of |
//! |---|---|
//! | an fcntl lock on one of [`LOCKS`] | dpkg, apt, rpm (and so of dnf, zypper, …) |
//! | a file with the number of a living process, one of [`PIDS`] | dnf, yum, zypper |
//! | `/run/unattended-upgrades.lock`, locked | unattended-upgrades at work, not waiting |
//! | a state in `/var/lib/dpkg/status` other than installed, removed, purged | dpkg was interrupted, or a script failed |
//! | a numbered file in `/var/lib/dpkg/updates` | dpkg was killed |
//! | `/var/lib/yum/transaction-all.*` | yum was killed |

use super::Look;
use super::root::Root;
use crate::facts::{LinuxFacts, Lock};
use rustix::process::{Flock, FlockType, fcntl_getlk};
use std::fs::File;

const LOCKS: &[&str] = &[
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
    "/var/lib/rpm/.rpm.lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
];
const PIDS: &[&str] = &[
    "/var/cache/dnf/metadata_lock.pid",
    "/var/cache/dnf/download_lock.pid",
    "/var/lib/dnf/rpmdb_lock.pid",
    "/run/yum.pid",
    "/run/zypp.pid",
];
const UNATTENDED: &str = "/run/unattended-upgrades.lock";
const STATUS: &str = "/var/lib/dpkg/status";
const UPDATES: &str = "/var/lib/dpkg/updates";
const YUM: &str = "/var/lib/yum";

pub(super) fn gather(root: &Root, facts: &mut LinuxFacts) {
    facts.package_locks = LOCKS.iter().filter_map(|path| locked(root, path)).collect();
    facts.package_locks.extend(PIDS.iter().filter_map(|path| alive(root, path)));
    facts.unattended_upgrade = locked(root, UNATTENDED);
    lying(root, facts);
}

/// What the disk tells.
pub(super) fn lying(files: &dyn Look, facts: &mut LinuxFacts) {
    facts.unfinished_packages = files.text(STATUS).map(|status| unfinished(&status)).unwrap_or_default();
    let numbered = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    let journals = files.names(UPDATES).into_iter().filter(numbered).map(|name| format!("{UPDATES}/{name}"));
    facts.unfinished_packages.extend(journals);
    let transactions = files.names(YUM).into_iter().filter(|name| name.starts_with("transaction-all"));
    facts.unfinished_packages.extend(transactions.map(|name| format!("{YUM}/{name}")));
}

/// What a machine that is off has besides: whoever left a file with the number of a process did not end.
pub(super) fn abandoned(files: &dyn Look, facts: &mut LinuxFacts) {
    let left = PIDS.iter().filter(|path| !path.starts_with("/run/") && files.has(path));
    facts.unfinished_packages.extend(left.map(|path| format!("{path} was left behind")));
}

/// The lock on a file, if another process holds one to write: a lock to read would not be granted.
fn locked(root: &Root, path: &str) -> Option<Lock> {
    let file = root.there(path, File::open(root.path(path)))?;
    let held = fcntl_getlk(&file, &Flock::from(FlockType::ReadLock)).map_err(Into::into);
    let held = root.there(path, held)??;
    let holder = held.pid.and_then(|pid| root.process(pid.as_raw_nonzero().get()));
    Some(Lock { path: path.to_owned(), holder })
}

/// The lock that a file with a process's number is, while that process lives.
fn alive(root: &Root, path: &str) -> Option<Lock> {
    let pid = root.text(path)?.trim().parse().ok()?;
    let holder = root.process(pid)?;
    Some(Lock { path: path.to_owned(), holder: Some(holder) })
}

/// The packages that are neither installed nor gone, with their states: deb822 stanzas, `Status: want flag state`.
fn unfinished(status: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut package = "?";
    for line in status.lines() {
        if let Some(name) = line.strip_prefix("Package:") {
            package = name.trim();
        }
        let Some(words) = line.strip_prefix("Status:") else { continue };
        let mut words = words.split_whitespace().skip(1);
        match (words.next(), words.next()) {
            (Some("ok"), Some("installed" | "not-installed" | "config-files")) => {}
            (Some("ok"), Some(state)) => found.push(format!("{package} ({state})")),
            (flag, state) => {
                found.push(format!("{package} ({}, {})", state.unwrap_or("?"), flag.unwrap_or("?")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_in_between_are_found_in_dpkgs_status() {
        let stanza = |name: &str, status: &str| {
            format!("Package: {name}\nStatus: {status}\nDescription: a\n Status: no\n\n")
        };
        let status: String = [
            ("a", "install ok installed"),
            ("b", "install ok half-configured"),
            ("c", "deinstall ok config-files"),
            ("d", "install reinstreq half-installed"),
            ("e", "install ok triggers-pending"),
            ("f", "hold ok installed"),
            ("g", "purge ok not-installed"),
            ("h", "install"),
        ]
        .iter()
        .map(|(name, status)| stanza(name, status))
        .collect();
        assert_eq!(
            unfinished(&status),
            ["b (half-configured)", "d (half-installed, reinstreq)", "e (triggers-pending)", "h (?, ?)"]
        );
        assert_eq!(unfinished(""), Vec::<String>::new());
    }
}
