//! The simulator as a program: it says where it listens, does what its script of faults wants, and keeps its state.

mod wire;

use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use wire::Client;

/// Starts it on any port; gives it with the address of the coordinator.
fn start(state: &Path, more: &[&str]) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_xapi-sim"))
        .args(["--listen", "127.0.0.1:0", "--no-machines", "--state"])
        .arg(state)
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let url = line.split_whitespace().nth(1).unwrap_or_else(|| panic!("it said {line:?}"));
    (child, url.to_owned())
}

/// Asks it to end, as a service manager does.
fn stop(mut child: Child) {
    let asked = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(asked.success() && child.wait().unwrap().success());
}

#[test]
fn it_keeps_its_state_and_follows_its_script_of_faults() {
    let folder = tempfile::tempdir().unwrap();
    let (state, faults) = (folder.path().join("state"), folder.path().join("faults.json"));
    std::fs::write(&faults, r#"[{"call": "VM.set_name_label", "fault": {"error_after": ["MADE_UP", "x"]}}]"#)
        .unwrap();
    let (child, url) = start(&state, &["--faults", faults.to_str().unwrap()]);
    let client = Client::root(&url);
    let vm = client.call("VM.get_by_name_label", json!([xapi_sim::names::BIOS_TEMPLATE]))[0].clone();
    assert_eq!(client.fail("VM.set_name_label", json!([vm, "renamed"])), ["MADE_UP", "x"]);
    stop(child);

    let (child, url) = start(&state, &[]);
    assert_eq!(Client::root(&url).text("VM.get_name_label", json!([vm])), "renamed");
    stop(child);
}

#[test]
fn it_says_what_is_wrong_with_what_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let command = Command::new(env!("CARGO_BIN_EXE_xapi-sim"))
            .arg("--state")
            .arg(folder.path())
            .args(arguments)
            .output();
        let output = command.unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(run(&["--listen", "nowhere"]).contains("not an address"));
    assert!(run(&["--faults", "/nonesuch/faults.json"]).contains("/nonesuch/faults.json"));
    assert!(run(&["--listen", "192.0.2.1:8080"]).contains("192.0.2.1"));
}
