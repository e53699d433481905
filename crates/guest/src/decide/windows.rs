//! What facts of a Windows machine mean.

use super::Findings;
use crate::catalogue::Code;
use crate::facts::{RunOnce, WindowsFacts};
use crate::ngen::STOPPED;

/// Processes of the native image generator: its service's workers, itself, its scheduled task.
const NGEN: &[&str] = &["mscorsvw.exe", "ngen.exe", "ngentask.exe"];
/// Processes of servicing: installing and removing updates and features.
const SERVICING: &[&str] = &["tiworker.exe", "wusa.exe", "dism.exe", "dismhost.exe"];
/// Processes of a feature update.
const SETUP: &[&str] = &["setuphost.exe", "setupprep.exe"];

pub(super) fn decide(facts: &WindowsFacts, found: &mut Findings) {
    let (drivers, files): (Vec<_>, Vec<_>) =
        facts.renames.iter().partition(|(from, to)| is_driver(from) || is_driver(to));
    let devices = facts.restarting_devices.iter().cloned();
    found.add(Code::DriversRebootPending, devices.chain(drivers.into_iter().map(renamed)));
    found.add(Code::RebootPending, reboot_marks(facts).into_iter().chain(files.into_iter().map(renamed)));
    found.add(Code::FeatureUpdateStaged, facts.feature_update.iter().cloned().chain(running(facts, SETUP)));
    found.add(Code::RunOncePending, facts.run_once.iter().map(run_once));
    found.add(Code::MsiInProgress, installer(facts));
    found.add(Code::ServicingInProgress, running(facts, SERVICING));
    let working: Vec<_> = ngen_working(facts);
    // Flags stay up while the work is done: then it is in progress, and no longer only needed.
    if working.is_empty() {
        found.add(Code::NgenNeeded, facts.ngen_flags.iter().cloned());
    }
    found.add(Code::NgenInProgress, working);
    let configuration = facts.sms_configuration.iter().filter(|_| facts.sms_client);
    found.add(Code::SmsConfigurationPresent, configuration.cloned());
    found.add(Code::BitlockerOn, facts.bitlocker.then(|| "the boot volume is protected".to_owned()));
    found.add(Code::DomainJoined, facts.domain.clone());
    if facts.may_be_platform_layer {
        // Finalize knows, and refuses it.
        found.soften(Code::DomainJoined);
    }
    found.add(Code::GhostAdapters, facts.ghost_adapters.iter().cloned());
    found.volumes(&facts.volumes);
    found.unasked(&facts.unasked);
}

/// Whether a path, in any of the ways that Windows writes one, is a driver's file.
fn is_driver(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    path.contains(r"\system32\drivers\") && path.ends_with(".sys")
}

fn renamed((from, to): &(String, String)) -> String {
    if to.is_empty() { format!("{from} is to be deleted") } else { format!("{from} is to become {to}") }
}

fn reboot_marks(facts: &WindowsFacts) -> Vec<String> {
    let mut marks = facts.reboot_marks.clone();
    if facts.update_exe_volatile != 0 {
        marks.push(format!("UpdateExeVolatile is {}", facts.update_exe_volatile));
    }
    let renamed = facts.names.as_ref().filter(|(now, then)| !now.eq_ignore_ascii_case(then));
    marks.extend(renamed.map(|(now, then)| format!("the computer's name changes from {now} to {then}")));
    marks
}

fn run_once(entry: &RunOnce) -> String {
    format!(r"{}\{}: {}", entry.key, entry.name, entry.command)
}

fn installer(facts: &WindowsFacts) -> Vec<String> {
    let signs = [
        (facts.installer_mutex, "Windows Installer is running an installation"),
        (facts.installer_key, "Windows Installer has noted an installation in progress"),
        (facts.installer_client, "msiexec.exe is running"),
    ];
    signs.into_iter().filter(|(seen, _)| *seen).map(|(_, sign)| sign.to_owned()).collect()
}

fn running(facts: &WindowsFacts, names: &[&str]) -> Vec<String> {
    let there = names.iter().filter(|name| facts.processes.iter().any(|process| process == *name));
    there.map(|name| format!("{name} is running")).collect()
}

fn ngen_working(facts: &WindowsFacts) -> Vec<String> {
    let queues = facts.ngen_queues.iter().filter(|queue| queue.state != STOPPED);
    let queues = queues
        .map(|queue| format!("the .NET Runtime Optimization Service of {} is {}", queue.folder, queue.state));
    running(facts, NGEN).into_iter().chain(queues).collect()
}

#[cfg(test)]
mod tests {
    use crate::catalogue::Code::{self, *};
    use crate::catalogue::Severity;
    use crate::decide::decide;
    use crate::facts::{Facts, NgenQueue, RunOnce, WindowsFacts};

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn pair(a: &str, b: &str) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    fn queue(state: &str) -> Vec<NgenQueue> {
        vec![NgenQueue { folder: r"C:\F".to_owned(), state: state.to_owned() }]
    }

    /// Facts, each by itself, and all that they mean.
    type Table = Vec<(WindowsFacts, Vec<(Code, &'static str)>)>;

    fn restarts() -> Table {
        let none = WindowsFacts::default;
        vec![
            (none(), vec![]),
            (
                WindowsFacts { reboot_marks: texts(&["RebootPending"]), ..none() },
                vec![(RebootPending, "RebootPending")],
            ),
            (
                WindowsFacts {
                    renames: vec![pair(r"\??\C:\a.tmp", ""), pair(r"\??\C:\b", r"!\??\C:\c")],
                    ..none()
                },
                vec![(RebootPending, r"\??\C:\a.tmp is to be deleted; \??\C:\b is to become !\??\C:\c")],
            ),
            (
                WindowsFacts {
                    renames: vec![pair(r"\??\C:\x.tmp", r"!\??\C:\Windows\System32\drivers\stor.SYS")],
                    ..none()
                },
                vec![(
                    DriversRebootPending,
                    r"\??\C:\x.tmp is to become !\??\C:\Windows\System32\drivers\stor.SYS",
                )],
            ),
            (
                WindowsFacts { restarting_devices: texts(&["SCSI controller"]), ..none() },
                vec![(DriversRebootPending, "SCSI controller")],
            ),
            (
                WindowsFacts { update_exe_volatile: 2, ..none() },
                vec![(RebootPending, "UpdateExeVolatile is 2")],
            ),
            (WindowsFacts { names: Some(pair("WIN", "win")), ..none() }, vec![]),
            (
                WindowsFacts { names: Some(pair("OLD", "NEW")), ..none() },
                vec![(RebootPending, "the computer's name changes from OLD to NEW")],
            ),
            (
                WindowsFacts {
                    feature_update: texts(&[r"C:\$WINDOWS.~BT\NewOS"]),
                    processes: texts(&["setuphost.exe"]),
                    ..none()
                },
                vec![(FeatureUpdateStaged, r"C:\$WINDOWS.~BT\NewOS; setuphost.exe is running")],
            ),
            (
                WindowsFacts {
                    run_once: vec![RunOnce {
                        key: "K".to_owned(),
                        name: "n".to_owned(),
                        command: "c".to_owned(),
                    }],
                    ..none()
                },
                vec![(RunOncePending, r"K\n: c")],
            ),
        ]
    }

    fn others() -> Table {
        let none = WindowsFacts::default;
        let flags = || texts(&["RootstoreDirty"]);
        vec![
            (
                WindowsFacts { installer_mutex: true, ..none() },
                vec![(MsiInProgress, "Windows Installer is running an installation")],
            ),
            (
                WindowsFacts { installer_key: true, installer_client: true, ..none() },
                vec![(
                    MsiInProgress,
                    "Windows Installer has noted an installation in progress; msiexec.exe is running",
                )],
            ),
            (WindowsFacts { processes: texts(&["explorer.exe", "msiexec.exe"]), ..none() }, vec![]),
            (
                WindowsFacts { processes: texts(&["tiworker.exe"]), ..none() },
                vec![(ServicingInProgress, "tiworker.exe is running")],
            ),
            (WindowsFacts { ngen_queues: queue("stopped"), ..none() }, vec![]),
            (
                WindowsFacts { ngen_queues: queue("started and paused"), ..none() },
                vec![(
                    NgenInProgress,
                    r"the .NET Runtime Optimization Service of C:\F is started and paused",
                )],
            ),
            (WindowsFacts { ngen_flags: flags(), ..none() }, vec![(NgenNeeded, "RootstoreDirty")]),
            (
                WindowsFacts { ngen_flags: flags(), processes: texts(&["mscorsvw.exe"]), ..none() },
                vec![(NgenInProgress, "mscorsvw.exe is running")],
            ),
            (WindowsFacts { sms_configuration: Some("SMSCFG.INI".to_owned()), ..none() }, vec![]),
            (
                WindowsFacts { sms_configuration: Some("SMSCFG.INI".to_owned()), sms_client: true, ..none() },
                vec![(SmsConfigurationPresent, "SMSCFG.INI")],
            ),
            (WindowsFacts { bitlocker: true, ..none() }, vec![(BitlockerOn, "the boot volume is protected")]),
            (WindowsFacts { domain: Some("EXAMPLE".to_owned()), ..none() }, vec![(DomainJoined, "EXAMPLE")]),
            (
                WindowsFacts { ghost_adapters: texts(&["vmxnet3"]), ..none() },
                vec![(GhostAdapters, "vmxnet3")],
            ),
        ]
    }

    #[test]
    fn a_member_of_a_domain_blocks_unless_it_may_be_for_a_platform_layer() {
        let severity = |may_be_platform_layer| {
            let facts = WindowsFacts {
                domain: Some("EXAMPLE".to_owned()),
                may_be_platform_layer,
                ..Default::default()
            };
            decide(&Facts::Windows(facts))[0].severity
        };
        assert_eq!([false, true].map(severity), [Severity::Blocks, Severity::Warns]);
    }

    #[test]
    fn each_fact_means_what_the_table_says() {
        for (facts, expected) in restarts().into_iter().chain(others()) {
            let findings = decide(&Facts::Windows(facts.clone()));
            let told: Vec<_> = findings.iter().map(|one| (one.code, one.details.join("; "))).collect();
            let expected: Vec<_> =
                expected.into_iter().map(|(code, details)| (code, details.to_owned())).collect();
            assert_eq!(told, expected, "{facts:?}");
        }
    }
}
