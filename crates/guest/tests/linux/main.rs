//! The program on prepared machines: folders that are taken for `/`, with the files and programs in them that a machine
//! would have, real package managers where they matter.
#![cfg(unix)]

mod dpkg;
mod entry;
mod machine;
mod signs;
mod small;

use machine::Machine;
use serde_json::json;

#[test]
fn a_clean_machine_is_shut_down_by_systemd_and_the_report_stays_on_its_disk() {
    let machine = Machine::new();
    machine.write("/etc/os-release", "NAME=Debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
    machine.write("/proc/sys/kernel/osrelease", "6.1.0-31-amd64\n");
    machine.systemd("", "");
    let run = machine.run(&[]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.output.contains("The machine is shutting down."), "{run:?}");
    assert_eq!(machine.calls().last().unwrap(), "systemctl poweroff");
    let report = machine.report();
    assert_eq!(report["schema"], 1);
    assert_eq!(
        report["tool"],
        json!({ "name": "shutdown-for-finalize", "version": env!("CARGO_PKG_VERSION") })
    );
    assert_eq!(
        report["system"],
        json!({ "kind": "linux", "name": "Debian GNU/Linux 12 (bookworm)", "build": "6.1.0-31-amd64" })
    );
    assert_eq!((&report["outcome"], &report["shutting_down"]), (&json!("clean"), &json!(true)));
    assert_eq!(report["findings"], json!([]));
}

#[test]
fn a_machine_without_systemd_is_shut_down_by_shutdown() {
    let machine = Machine::new();
    machine.program("shutdown", "");
    assert_eq!(machine.run(&[]).code, 0);
    assert_eq!(machine.calls(), ["shutdown -P now"]);
}

#[test]
fn a_machine_that_refuses_to_shut_down_is_told_of_and_the_report_does_not_claim_it() {
    let machine = Machine::new();
    machine.program("shutdown", "echo 'not now' >&2; exit 1");
    let run = machine.run(&[]);
    assert_eq!(run.code, 3);
    assert!(run.errors.contains("could not be shut down") && run.errors.contains("not now"), "{run:?}");
    assert_eq!(machine.report()["shutting_down"], false);
}

#[test]
fn checking_shuts_nothing_down() {
    let machine = Machine::new();
    machine.program("shutdown", "");
    let run = machine.run(&["--check"]);
    assert_eq!((run.code, machine.calls()), (0, vec![]), "{run:?}");
    assert!(run.output.contains("finalizing is allowed"), "{run:?}");
}

#[test]
fn json_is_what_lies_on_the_disk() {
    let machine = Machine::new();
    machine.write("/run/reboot-required", "");
    let run = machine.run(&["--check", "--json"]);
    assert_eq!(run.code, 5);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&run.output).unwrap(), machine.report());
    assert_eq!(machine.report()["next"], "restart");
}

#[test]
fn a_command_line_that_is_wrong_does_nothing() {
    let machine = Machine::new();
    machine.program("shutdown", "");
    let run = machine.run(&["--chekc"]);
    assert_eq!((run.code, machine.calls()), (2, vec![]));
    assert!(run.errors.contains("'--chekc' is not known"), "{run:?}");
    assert!(!machine.has_report());
}

#[test]
fn a_report_that_cannot_be_written_is_a_failure_and_nothing_is_shut_down() {
    let machine = Machine::new();
    machine.program("shutdown", "");
    machine.write("/var/lib/shutdown-for-finalize", "a file where the folder should be");
    let run = machine.run(&[]);
    assert_eq!((run.code, machine.calls()), (3, vec![]), "{run:?}");
}

#[test]
fn it_waits_for_what_runs_and_then_shuts_down() {
    let machine = Machine::new();
    machine.program("shutdown", "");
    let lock = machine.lock("/var/lib/dpkg/lock-frontend");
    let mut run = machine.start(&["--wait=1h"]);
    run.until("Waiting for:");
    assert_eq!(machine.calls(), Vec::<String>::new());
    drop(lock);
    assert_eq!(run.end().code, 0);
    assert_eq!(machine.calls(), ["shutdown -P now"]);
}

#[test]
fn there_is_nothing_to_expedite_on_linux() {
    let machine = Machine::new();
    let run = machine.run(&["--expedite", "--check"]);
    assert_eq!(run.code, 0);
    assert!(run.output.contains("There is nothing to expedite"), "{run:?}");
}
