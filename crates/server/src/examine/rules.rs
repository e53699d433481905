//! What facts of two disks mean: as the machine left it, and as it began. Pure.

use super::Finding;
use super::disk::{DiskFacts, Partition};
use jiff::Timestamp;
use shale_guest::catalogue::Code;
use shale_guest::report::Report;
use shale_volume::health::Health;
use shale_volume::known::Known;

/// The report of Shutdown For Finalize on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// There is none.
    Nothing,
    /// It is the one that was on the disk before.
    Before(Timestamp),
    /// It cannot be understood, for this reason.
    Garbled(String),
    /// What it says.
    Report(Box<Report>),
}

/// What Shutdown For Finalize said on the machine's second serial port, over all its starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// There is no port, or none that can be read.
    NoPort,
    /// Nothing.
    Nothing,
    /// What was outstanding when it ran last.
    Checked(Vec<Finding>),
}

/// A change of the system: what changed, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// A file or folder.
    pub path: String,
    /// When its content changed, by the machine's clock.
    pub at: Timestamp,
}

/// What two disks tell without their files, and what was heard of the machine, where its disk tells nothing of its system.
pub fn disks(base: &DiskFacts, now: &DiskFacts, heard: &Heard) -> Vec<Finding> {
    let as_before = |part: &Partition| base.at(part.range.start).is_some_and(|old| same(old, part));
    let new = || now.partitions().iter().filter(|part| !as_before(part));
    let left = |wanted: fn(&Health) -> Option<&str>| {
        new().filter_map(move |part| wanted(&part.health).map(|why| format!("{part}: {why}")))
    };
    let holds = |wanted: Known| new().filter(move |part| part.known == wanted).map(Partition::to_string);
    let mut found: Vec<Finding> = [
        Finding::of(Code::FileSystemUnclean, left(in_use)),
        Finding::of(Code::SystemHibernated, left(hibernated)),
        Finding::of(Code::DiskCheckNeeded, left(check_needed)),
        Finding::of(Code::BitlockerOn, holds(Known::BitLocker)),
        Finding::of(Code::VolumeEncrypted, holds(Known::Luks)),
        Finding::of(Code::PartitionsLost, lost(base, now)),
        Finding::of(Code::PartitionsAdded, added(base, now)),
        Finding::of(Code::BootLoaderGone, boot_code(base, now)),
    ]
    .into_iter()
    .flatten()
    .collect();
    // Why a system cannot be found is told best by how its volume was left.
    let is_told = found.iter().any(|finding| finding.severity == shale_guest::catalogue::Severity::Blocks);
    match (&base.system, &now.system) {
        (Ok(_), Err(why)) if !is_told => found.extend(Finding::of(Code::SystemNotFound, [why.clone()])),
        (Err(_), Err(why)) => found.extend(not_read(base, why, heard)),
        _ => {}
    }
    found
}

/// What is said of a system that is not read, as it was not before: what its machine said, where it says that. Where the base
/// has nothing that holds a system in a form that is known, it is not said that our tool can run in it.
fn not_read(base: &DiskFacts, why: &str, heard: &Heard) -> Vec<Finding> {
    use Known::{BitLocker, Btrfs, Luks, Lvm, Raid, Refs, Xfs};
    let holds = |part: &Partition| matches!(part.known, Xfs | Btrfs | Refs | Lvm | Raid | Luks | BitLocker);
    let unknown = match heard {
        Heard::Nothing if base.partitions().iter().any(holds) => {
            let why =
                format!("it said nothing on the machine's second serial port, and of its report: {why}");
            return Finding::of(Code::ToolNotRun, [why]).into_iter().collect();
        }
        Heard::Checked(_) => "what changed after Shutdown For Finalize ran in the machine",
        Heard::Nothing | Heard::NoPort => {
            "packages, kernels, restarts that are pending, and whether Shutdown For Finalize ran in the machine"
        }
    };
    let unknown = format!("not checked: {unknown}");
    let said = if let Heard::Checked(findings) = heard { in_our_words(findings) } else { Vec::new() };
    Finding::of(Code::NotExamined, [why.to_owned(), unknown]).into_iter().chain(said).collect()
}

/// Whether a part is as the base has it, but for its size: a machine may grow it.
fn same(old: &Partition, new: &Partition) -> bool {
    (old.known, &old.health) == (new.known, &new.health)
}

fn in_use(health: &Health) -> Option<&str> {
    if let Health::InUse(why) = health { Some(why) } else { None }
}

fn hibernated(health: &Health) -> Option<&str> {
    if let Health::Hibernated(why) = health { Some(why) } else { None }
}

fn check_needed(health: &Health) -> Option<&str> {
    if let Health::CheckNeeded(why) = health { Some(why) } else { None }
}

fn lost(base: &DiskFacts, now: &DiskFacts) -> Vec<String> {
    match (&base.table, &now.table) {
        (Ok(_), Err(why)) => vec![why.clone()],
        (Ok(old), Ok(_)) => {
            old.iter().filter(|part| now.at(part.range.start).is_none()).map(Partition::to_string).collect()
        }
        (Err(_), _) => Vec::new(),
    }
}

fn added(base: &DiskFacts, now: &DiskFacts) -> Vec<String> {
    let is_new = |part: &&Partition| base.table.is_ok() && base.at(part.range.start).is_none();
    now.partitions().iter().filter(is_new).map(Partition::to_string).collect()
}

fn boot_code(base: &DiskFacts, now: &DiskFacts) -> Vec<String> {
    let is_gone = |place: &&&str| now.table.is_ok() && !now.boot_code.contains(place);
    base.boot_code.iter().filter(is_gone).map(|place| format!("there is nothing to run in {place}")).collect()
}

/// What the tool's report means on a system that was last changed by `change`: whether it can be trusted, and, if so, what it
/// found that only shows while a system runs. `seen` is what the disk shows itself, which needs not be told twice.
pub fn report(told: &Told, change: Option<&Change>, seen: &[Finding]) -> Vec<Finding> {
    let not_run = |why: String| Finding::of(Code::ToolNotRun, [why]).into_iter().collect();
    match told {
        Told::Nothing => not_run("it left no report on the disk".to_owned()),
        Told::Before(at) => {
            not_run(format!("its report, of {at}, is of the version that this one started from"))
        }
        Told::Garbled(why) => not_run(format!("its report cannot be understood: {why}")),
        Told::Report(report) => match change.filter(|change| change.at > report.checked_at) {
            Some(Change { path, at }) => {
                let why = format!("{path} changed at {at}, it ran at {}", report.checked_at);
                Finding::of(Code::ToolRunOutdated, [why]).into_iter().collect()
            }
            None => {
                let mut told = in_our_words(&report.findings);
                told.retain(|one| !seen.iter().any(|finding| finding.code == one.code));
                told
            }
        },
    }
}

/// What a machine says was found in it, one finding for each code. The words are this program's: what says it may be another
/// version of the tool, or forged.
fn in_our_words(findings: &[Finding]) -> Vec<Finding> {
    let mut told: Vec<Finding> = Vec::new();
    for one in findings {
        if !told.iter().any(|known| known.code == one.code) {
            told.extend(Finding::of(one.code, one.details.iter().cloned()));
        }
    }
    told
}
