//! What the hives of a machine that is off tell, mark by mark: each as Windows sets it, and as it is where nothing is
//! outstanding.

use crate::hive::merged;
use crate::made::Tree;
use crate::windows::{finds, finished, system, texts};

/// A mark: the hive, its key, its value where something is outstanding, and where nothing is. A key without a value is a mark
/// itself; where nothing is outstanding another key is there.
struct Mark {
    is_system: bool,
    key: &'static str,
    value: Option<(&'static str, String, String)>,
}

const SERVICING: &str = r"Microsoft\Windows\CurrentVersion\Component Based Servicing";

fn marks() -> Vec<Mark> {
    let key = |key| Mark { is_system: false, key, value: None };
    let number = |is_system, key, name| {
        let dword = |number| format!("dword:{number:08x}");
        Mark { is_system, key, value: Some((name, dword(1), dword(0))) }
    };
    let renames = (texts(&[r"\??\C:\later.tmp", ""]), texts(&[]));
    vec![
        key(r"Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootInProgress"),
        key(r"Microsoft\Windows\CurrentVersion\Component Based Servicing\PackagesPending"),
        key(r"Microsoft\ServerManager\CurrentRebootAttempts"),
        number(false, r"Microsoft\.NETFramework\v2.0.50727\NGenService\ListenedState", "RootstoreDirty"),
        number(
            false,
            r"Wow6432Node\Microsoft\.NETFramework\v2.0.50727\NGenService\ListenedState",
            "RootstoreDirty",
        ),
        number(true, "Setup", "SystemSetupInProgress"),
        number(true, r"ControlSet001\Control\BitLockerStatus", "BootStatus"),
        Mark {
            is_system: true,
            key: r"ControlSet001\Control\Session Manager",
            value: Some(("PendingFileRenameOperations2", renames.0, renames.1)),
        },
    ]
}

/// The words of a hive with these marks set, or not.
fn words(is_system: bool, is_set: bool) -> String {
    let mut words = String::new();
    for Mark { key, value, .. } in marks().iter().filter(|mark| mark.is_system == is_system) {
        words += &match value {
            Some((name, set, unset)) => {
                format!("[\\{key}]\n\"{name}\"={}\n\n", if is_set { set } else { unset })
            }
            None => format!("[\\{key}{}]\n\n", if is_set { "" } else { "Not" }),
        };
    }
    let netlogon = "[\\ControlSet001\\Services\\Netlogon]\n";
    // What Windows Update has yet to report after a restart asks for none.
    let run_once = "[\\Wow6432Node\\Microsoft\\Windows\\CurrentVersion\\RunOnce]\n\n\
         [\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\Auto Update\\PostRebootReporting]\n";
    words += match (is_system, is_set) {
        (true, true) => "[\\ControlSet001\\Services\\Netlogon]\n\"AvoidSpnSet\"=dword:00000001\n",
        (true, false) => netlogon,
        (false, true) => {
            "[\\Wow6432Node\\Microsoft\\Windows\\CurrentVersion\\RunOnce]\n\"later\"=\"setup32.exe\"\n"
        }
        (false, false) => run_once,
    };
    words
}

const IN_SYSTEM: [(&str, &str); 3] = [
    (
        "reboot_pending",
        r"SYSTEM\CurrentControlSet\Services\Netlogon\AvoidSpnSet; \??\C:\later.tmp is to be deleted",
    ),
    ("feature_update_staged", r"SYSTEM\Setup\SystemSetupInProgress"),
    ("bitlocker_on", "the boot volume is protected"),
];

#[test]
fn every_mark_is_found_where_it_is_set_and_only_there() {
    finds(&finished((&words(true, false), &words(false, false), "")), &[]);
    let pending = ["RebootInProgress", "PackagesPending"].map(|name| format!(r"SOFTWARE\{SERVICING}\{name}"));
    let attempts = r"SOFTWARE\Microsoft\ServerManager\CurrentRebootAttempts";
    let restart = format!("{}; {attempts}; {}", pending.join("; "), IN_SYSTEM[0].1);
    let dirty = [r"SOFTWARE\Microsoft", r"SOFTWARE\Wow6432Node\Microsoft"]
        .map(|above| format!(r"{above}\.NETFramework\v2.0.50727\NGenService\ListenedState\RootstoreDirty"));
    finds(
        &finished((&words(true, true), &words(false, true), "")),
        &[
            ("reboot_pending", &restart),
            IN_SYSTEM[1],
            (
                "run_once_pending",
                r"SOFTWARE\Wow6432Node\Microsoft\Windows\CurrentVersion\RunOnce\later: setup32.exe",
            ),
            ("ngen_needed", &dirty.join("; ")),
            IN_SYSTEM[2],
        ],
    );
}

#[test]
fn what_servicing_has_yet_to_do_is_a_file() {
    let path = "/Windows/WinSxS/pending.xml";
    finds(&finished(("", "", "")).write(path, "<PendingTransaction/>"), &[("reboot_pending", path)]);
    finds(&finished(("", "", "")).write("/Windows/WinSxS/poqexec.log", ""), &[]);
}

#[test]
fn marks_are_found_in_the_hive_of_a_real_windows_and_only_where_they_are_set() {
    let packed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../volume/tests/hives/system.xz");
    let hive =
        std::process::Command::new("xz").arg("-dc").arg(packed).output().expect("xz is installed").stdout;
    let with = |tree: Tree, is_set| {
        tree.write("/Windows/System32/config/SYSTEM", merged(&hive, &words(true, is_set)))
    };
    let base = with(system("", "", ""), false).ntfs();
    assert_eq!(with(finished(("", "", "")), false).ntfs().found(&base), []);
    let found = with(finished(("", "", "")), true).ntfs().found(&base);
    let found: Vec<_> = found.iter().map(|(code, details)| (code.as_str(), details.as_str())).collect();
    assert_eq!(found, IN_SYSTEM);
}
