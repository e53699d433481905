//! The native image generator: found at work and with work left, and run in the foreground. A program that prints the
//! documented lines stands in for it.

use crate::wine::{Wine, wine};
use std::fs;

pub const FOLDERS: &[&str] =
    &["windows/Microsoft.NET/Framework/v4.0.30319", "windows/Microsoft.NET/Framework64/v4.0.30319"];
pub const SERVICE: &str = r"HKLM\Software\Microsoft\.NETFramework\v2.0.50727\NGenService";
const SERVICE_32: &str = r"HKLM\Software\Wow6432Node\Microsoft\.NETFramework\v2.0.50727\NGenService";

/// Installs the framework, for both word sizes; its queues are in this state.
pub fn install(wine: &Wine, state: &str) {
    for folder in FOLDERS {
        wine.write(&format!("{folder}/state"), state);
        fs::copy(wine.path("ngen.exe"), wine.path(&format!("{folder}/ngen.exe"))).unwrap();
    }
}

pub fn uninstall(wine: &Wine) {
    fs::remove_dir_all(wine.path("windows/Microsoft.NET")).unwrap();
}

fn calls(wine: &Wine, folder: &str) -> Vec<String> {
    let calls = fs::read_to_string(wine.path(&format!("{folder}/calls"))).unwrap_or_default();
    calls.lines().map(str::to_owned).collect()
}

#[test]
fn a_queue_that_is_not_stopped_is_waited_for_and_checking_says_that_it_pauses() {
    let wine = wine();
    install(&wine, "started and paused");
    let told = |folder: &str| {
        format!(
            r"the .NET Runtime Optimization Service of C:\windows\Microsoft.NET\{folder}\v4.0.30319 is started and paused"
        )
    };
    let details = format!("{}; {}", told("Framework"), told("Framework64"));
    assert_eq!(wine.found(), [("ngen_in_progress".to_owned(), details)]);
    let run = wine.run(&["--check"]);
    assert_eq!(run.code, 6);
    assert!(run.output.contains("may pause its background work"), "{run:?}");
    install(&wine, "stopped");
    assert_eq!(wine.found(), []);
    uninstall(&wine);
}

#[test]
fn a_worker_is_found_and_its_queue_not_asked_meanwhile() {
    let wine = wine();
    install(&wine, "running");
    let worker = wine.at_work("mscorsvw.exe", &[]);
    assert_eq!(wine.found(), [("ngen_in_progress".to_owned(), "mscorsvw.exe is running".to_owned())]);
    assert_eq!(calls(&wine, FOLDERS[0]), Vec::<String>::new());
    drop(worker);
    install(&wine, "stopped");
    assert_eq!(wine.found(), []);
    assert_eq!(calls(&wine, FOLDERS[0]), ["queue status"]);
    for name in ["ngen.exe", "ngentask.exe"] {
        let worker = wine.at_work(&format!("work/{name}"), &[]);
        assert_eq!(wine.found(), [("ngen_in_progress".to_owned(), format!("{name} is running"))]);
        drop(worker);
    }
    uninstall(&wine);
}

#[test]
fn a_generator_that_tells_no_state_is_not_taken_for_done() {
    let wine = wine();
    let folder = "windows/Microsoft.NET/Framework/v4.0.30319";
    wine.write(&format!("{folder}/ngen.exe"), "this is no program");
    let found = wine.found();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "not_checked");
    assert!(found[0].1.contains(r"Framework\v4.0.30319\ngen.exe queue status"), "{found:?}");
    uninstall(&wine);
    assert_eq!(wine.found(), []);
}

#[test]
fn queued_work_is_found_and_expediting_does_it_in_the_foreground() {
    let wine = wine();
    for service in [SERVICE, SERVICE_32] {
        for (key, name) in [("ListenedState", "RootstoreDirty"), ("State", "PendingUpdate")] {
            let key = format!(r"{service}\{key}");
            wine.set(&key, name, "REG_DWORD", "1");
            let details = format!(r"{}\{name}", key.replacen(r"HKLM\Software", "SOFTWARE", 1));
            assert_eq!(wine.found(), [("ngen_needed".to_owned(), details)]);
            wine.set(&key, name, "REG_DWORD", "0");
        }
    }
    install(&wine, "running");
    wine.set(&format!(r"{SERVICE}\ListenedState"), "RootstoreDirty", "REG_DWORD", "1");
    assert_eq!(wine.run(&["--check"]).code, 6);
    let run = wine.run(&["--expedite", "--check"]);
    assert_eq!(run.code, 0, "{run:?}");
    for line in [
        r"ngen.exe executeQueuedItems",
        r"ngen.exe update /force",
        r"Compiling assembly C:\Windows\a.dll (CLR v4.0.30319)",
        r"Failed to compile: C:\Windows\b.dll",
        r"Framework64\v4.0.30319\ngen.exe: The .NET Runtime Optimization Service is stopped",
        "4 of 8 assemblies could not be compiled. That is normal: not every assembly can be.",
    ] {
        assert!(run.output.contains(line), "{line} is not in {}", run.output);
    }
    for folder in FOLDERS {
        let calls = calls(&wine, folder);
        assert_eq!(
            calls,
            ["queue status", "executeQueuedItems", "update /force", "queue status", "queue status"]
        );
    }
    wine.unkey(SERVICE);
    wine.unkey(SERVICE_32);
    uninstall(&wine);
}

#[test]
fn a_queue_that_is_left_paused_is_told_to_continue_and_awaited() {
    let wine = wine();
    install(&wine, "running");
    wine.write(&format!("{}/pauses", FOLDERS[0]), "");
    let run = wine.run(&["--expedite", "--check"]);
    assert_eq!(run.code, 0, "{run:?}");
    let calls = calls(&wine, FOLDERS[0]);
    let asked = ["queue status", "queue continue", "queue status", "queue status"];
    assert_eq!(calls, [&["executeQueuedItems", "update /force"], &asked[..]].concat());
    uninstall(&wine);
}

#[test]
fn ctrl_c_while_expediting_stops_neither_the_generator_nor_the_tool_and_is_answered() {
    let wine = wine();
    install(&wine, "running");
    let busy = format!("{}/busy", FOLDERS[0]);
    wine.write(&busy, "");
    let mut terminal = wine.at_a_terminal(&["--expedite", "--check"]);
    terminal.until("Preparing the queued assemblies");
    terminal.press_ctrl_c();
    terminal.until("Ctrl-C does not stop this");
    fs::remove_file(wine.path(&busy)).unwrap();
    let told = terminal.end();
    for line in
        ["4 of 8 assemblies could not be compiled", "The .NET Runtime Optimization Service is stopped"]
    {
        assert!(told.contains(line), "it goes on as if nothing had happened: {told}");
    }
    uninstall(&wine);
}

#[test]
fn without_a_framework_there_is_nothing_to_expedite() {
    let wine = wine();
    let run = wine.run(&["--expedite", "--check"]);
    assert_eq!(run.code, 0);
    assert!(run.output.contains("no .NET Framework is installed"), "{run:?}");
}
