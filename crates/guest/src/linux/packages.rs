//! Package managers: who works, and what was left half done.
//!
//! | sign | of |
//! |---|---|
//! | an fcntl lock on one of [`LOCKS`] | dpkg, apt, rpm (and so of dnf, zypper, …) |
//! | a file with the number of a living process, one of [`PIDS`] | dnf, yum, zypper |
//! | `/run/unattended-upgrades.lock`, locked | unattended-upgrades at work, not waiting |
//! | a state in `/var/lib/dpkg/status` other than installed, removed, purged | dpkg was interrupted, or a script failed |
//! | a numbered file in `/var/lib/dpkg/updates`: a stanza that the status does not have yet | dpkg was killed |
//! | `/var/lib/yum/transaction-all.*` | yum was killed |
//! | `/var/lib/dnf/rpmdb_lock.pid` without its process | dnf was killed while it changed packages; the locks of its cache mean nothing then |

use super::Look;
use super::root::Root;
use crate::facts::{LinuxFacts, Lock};
use rustix::process::{Flock, FlockType, fcntl_getlk};
use std::collections::BTreeMap;
use std::fs::File;

const LOCKS: &[&str] = &[
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
    "/var/lib/rpm/.rpm.lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
];
/// dnf removes it when its change of the packages ends, well or not.
const TRANSACTION: &str = "/var/lib/dnf/rpmdb_lock.pid";
const PIDS: &[&str] = &[
    "/var/cache/dnf/metadata_lock.pid",
    "/var/cache/dnf/download_lock.pid",
    TRANSACTION,
    "/run/yum.pid",
    "/run/zypp.pid",
];
const UNATTENDED: &str = "/run/unattended-upgrades.lock";
const STATUS: &str = "/var/lib/dpkg/status";
const UPDATES: &str = "/var/lib/dpkg/updates";
const YUM: &str = "/var/lib/yum";
/// Most that is read of a journal, in bytes: it is one stanza.
const JOURNAL: u64 = 1 << 20;
/// Packages in between that are gathered, and how many characters of a package's name: more are in no status but a forged one.
const GATHERED: usize = 1000;
const NAME: usize = 200;

pub(super) fn gather(root: &Root, facts: &mut LinuxFacts) {
    facts.package_locks = LOCKS.iter().filter_map(|path| locked(root, path)).collect();
    facts.package_locks.extend(PIDS.iter().filter_map(|path| alive(root, path)));
    facts.unattended_upgrade = locked(root, UNATTENDED);
    lying(root, facts);
    if facts.package_locks.iter().all(|lock| lock.path != TRANSACTION) {
        abandoned(root, facts);
    }
}

/// What the disk tells.
pub(super) fn lying(files: &dyn Look, facts: &mut LinuxFacts) {
    facts.unfinished_packages = files.text(STATUS).map(|status| unfinished(&status)).unwrap_or_default();
    let journaled = journaled(files);
    facts.unfinished_packages.retain(|package| !journaled.contains(package));
    facts.unfinished_packages.extend(journaled);
    let transactions = files.names(YUM).into_iter().filter(|name| name.starts_with("transaction-all"));
    facts.unfinished_packages.extend(transactions.map(|name| format!("{YUM}/{name}")));
}

/// What dnf leaves whose process is not there any more.
pub(super) fn abandoned(files: &dyn Look, facts: &mut LinuxFacts) {
    let left = files.has(TRANSACTION).then(|| {
        format!(
            "{TRANSACTION} was left behind by a dnf that was killed: remove it when 'dnf check' finds nothing"
        )
    });
    facts.unfinished_packages.extend(left);
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

/// What a dpkg that was killed was at: the packages of its journals that are in between by the last journal of each; the journals
/// themselves, if they tell of none.
fn journaled(files: &dyn Look) -> Vec<String> {
    let numbered = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    let mut journals = files.names(UPDATES);
    journals.retain(numbered);
    let paths: Vec<String> = journals.iter().map(|name| format!("{UPDATES}/{name}")).collect();
    let mut last = BTreeMap::new();
    for path in &paths {
        let text = files.text_up_to(path, JOURNAL).unwrap_or_default();
        last.extend(states(&text).next().map(|(package, between)| (package.to_owned(), between)));
    }
    let between: Vec<String> = last.into_values().flatten().collect();
    if between.is_empty() { paths } else { between }
}

/// The packages that are neither installed nor gone, with their states.
fn unfinished(status: &str) -> Vec<String> {
    states(status).filter_map(|(_, between)| between).take(GATHERED).collect()
}

/// All packages, and those in between with their states: deb822 stanzas, `Status: want flag state`.
fn states(status: &str) -> impl Iterator<Item = (&str, Option<String>)> {
    let mut package = "?";
    status.lines().filter_map(move |line| {
        if let Some(name) = line.strip_prefix("Package:") {
            let name = name.trim();
            package = name.char_indices().nth(NAME).map_or(name, |(end, _)| &name[..end]);
        }
        let mut words = line.strip_prefix("Status:")?.split_whitespace().skip(1);
        let between = match (words.next(), words.next()) {
            (Some("ok"), Some("installed" | "not-installed" | "config-files")) => None,
            (Some("ok"), Some(state)) => Some(format!("{package} ({state})")),
            (flag, state) => Some(format!("{package} ({}, {})", state.unwrap_or("?"), flag.unwrap_or("?"))),
        };
        Some((package, between))
    })
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
