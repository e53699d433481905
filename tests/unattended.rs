//! Versions that scripts make, without a person: by command line, in real machines. The guest's system is a small one that starts
//! its units as systemd does; Shutdown For Finalize in it is the real one, from the CD.

use serde_json::Value;
use shale_tests::{Desk, tiny_system};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

/// For a minute until it is due, and a guest's boot where guests are translated and the host is busy.
const PATIENCE: Duration = Duration::from_secs(600);
/// A desk with an OS layer "Tiny", and the tool that machines get.
fn desk() -> Desk {
    tiny_system::build_tool();
    let desk = Desk::new();
    desk.ends(0, &["connector", "edit", "local", "--set", "memory_mib=192", "--set", "accelerator=tcg"]);
    let disk = tiny_system::disk(&desk);
    desk.ends(0, &["layer", "import", "Tiny", "--version", "1.0", "--file", &disk]);
    desk
}

fn script(desk: &Desk, text: &str) -> String {
    let path = desk.path("setup.sh");
    fs::write(&path, text).unwrap();
    path
}

/// Adds a version by a script; answers how the command ended and what it printed.
fn added(desk: &Desk, name: &str, script: &str, more: &[&str]) -> (i32, Value) {
    let add = ["version", "add", "Tiny", name, "--connector", "local", "--disk", "night", "--size", "1"];
    let told = desk.shale(&[&add[..], &["--script", script, "-o", "json"], more].concat());
    let answer = serde_json::from_str(&told.out).unwrap_or_else(|e| panic!("{e}: {told:#?}"));
    (told.exit, answer)
}

/// The file system of a version, as a file of its own.
fn file_system(desk: &Desk, version: &str) -> PathBuf {
    let disk = desk.path("out.raw");
    desk.ends(0, &["version", "export", "Tiny", version, "--format", "raw", "--to", &disk, "--overwrite"]);
    let image = desk.folder.path().join("out.ext4");
    let cut = Command::new("dd")
        .args([
            &format!("if={disk}"),
            "bs=1M",
            &format!("skip={}", tiny_system::ROOT_OFFSET >> 20),
            "conv=sparse",
            "status=none",
        ])
        .arg(format!("of={}", image.display()))
        .status();
    assert!(cut.unwrap().success());
    let check = Command::new("e2fsck").args(["-f", "-n"]).arg(&image).env("PATH", PATH).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    image
}

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What debugfs answers.
fn debugfs(image: &Path, request: &str) -> String {
    let out = Command::new("debugfs").args(["-R", request]).arg(image).env("PATH", PATH).output().unwrap();
    String::from_utf8_lossy(&[out.stderr, out.stdout].concat()).into_owned()
}

fn output(desk: &Desk, answer: &Value) -> String {
    desk.ends(0, &["task", "output", answer["task"]["id"].as_str().unwrap(), "--follow"]).out
}

#[test]
fn a_script_makes_a_version_with_the_restarts_that_it_needs_and_nobody_at_work() {
    let desk = desk();
    let attached = desk.path("data.txt");
    fs::write(&attached, "attached\n").unwrap();
    let text =
        "echo hello from pass $SHALE_PASS\ncp data.txt /data/from-script\ntouch /run/reboot-required\n";
    let (exit, answer) = added(&desk, "1.1", &script(&desk, text), &["--attach", &attached]);
    let told = output(&desk, &answer);
    assert_eq!(exit, 0, "{answer:#}\n{told}");
    assert_eq!(
        (&answer["task"]["state"], &answer["version"]["state"]),
        (&"done".into(), &"deployable".into())
    );
    let place = |text: &str| told.find(text).unwrap_or_else(|| panic!("'{text}' is not in: {told}"));
    assert!(place("hello from pass 1") < place("Restart 1: "));
    assert!(place("The machine has started again") < place("ended well, and nothing is outstanding"));
    assert!(!told.contains("pass 2"), "the script ran once: {told}");

    let image = file_system(&desk, "1.1");
    assert_eq!(debugfs(&image, "cat /data/from-script").lines().last(), Some("attached"));
    let left = ["/etc/systemd/system/shale-run.service", "/var/lib/shutdown-for-finalize/run.jsonl"];
    for ours in left {
        assert!(debugfs(&image, &format!("stat {ours}")).contains("not found"), "{ours} is in the version");
    }
    let report = debugfs(&image, "ls -p /var/lib/shutdown-for-finalize");
    assert!(report.contains("integrity.json") && !report.contains("start"), "{report}");
    assert_eq!(
        debugfs(&image, "ls -p /etc/systemd/system/multi-user.target.wants").matches("service").count(),
        0
    );
    assert_eq!(desk.json(&["machine", "list"]), serde_json::json!([]));

    // What it made is where the next one starts, which asks to be run again and does its work then.
    let again = "[ $SHALE_PASS = 2 ] || exit 194\necho pass $SHALE_PASS\ncat /data/from-script\n";
    let (exit, answer) = added(&desk, "1.2", &script(&desk, again), &[]);
    let told = output(&desk, &answer);
    assert_eq!(exit, 0, "{answer:#}\n{told}");
    assert!(told.contains("Restart 1: ") && told.contains("pass 2\nattached\n"), "{told}");
}

#[test]
fn a_script_that_always_asks_for_a_restart_has_failed_after_the_fifth() {
    let desk = desk();
    let endless = script(&desk, "echo pass $SHALE_PASS\nexit 194\n");
    let (exit, answer) = added(&desk, "1.1", &endless, &["--on-failure", "discard"]);
    let told = output(&desk, &answer);
    assert_eq!(exit, 6, "{answer:#}\n{told}");
    let passes: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("pass ")).collect();
    assert_eq!(passes, ["1", "2", "3", "4", "5", "6"], "{told}");
    let error = answer["task"]["error"].as_str().unwrap();
    assert!(error.contains("was restarted 5 times, and another restart is wanted"), "{error}");
}

#[test]
fn a_script_that_fails_asks_for_a_person_or_leaves_nothing_but_its_output() {
    let desk = desk();
    let failing = script(&desk, "echo it goes wrong now\nexit 7\n");
    let (exit, answer) = added(&desk, "1.1", &failing, &["--on-failure", "keep"]);
    let task = &answer["task"];
    assert_eq!((exit, &task["state"]), (7, &"action_required".into()), "{answer:#}");
    assert!(task["needs"]["problem"].as_str().unwrap().contains("exit code 7"), "{task:#}");
    assert!(task["needs"]["output"].as_str().unwrap().contains("it goes wrong now"), "{task:#}");
    let machine = &desk.json(&["machine", "list"])[0];
    assert_eq!(machine["power"], "running", "it is as the script left it");
    desk.ends(0, &["task", "cancel", task["id"].as_str().unwrap()]);

    let (exit, answer) = added(&desk, "1.1", &failing, &["--on-failure", "discard"]);
    let task = &answer["task"];
    assert_eq!((exit, &task["state"]), (6, &"failed".into()), "{answer:#}");
    assert!(task["error"].as_str().unwrap().contains("exit code 7"), "{task:#}");
    assert!(output(&desk, &answer).contains("it goes wrong now\n"));
    assert_eq!(desk.json(&["machine", "list"]), serde_json::json!([]));
    assert_eq!(desk.json(&["version", "list", "Tiny"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_schedule_makes_a_version_by_itself_once_it_is_due() {
    let desk = desk();
    let attached = desk.path("data.txt");
    fs::write(&attached, "by night\n").unwrap();
    let script = script(&desk, "cp data.txt /data/from-script\n");
    // The first full minute that is not so near that it may be gone.
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let minute = ((seconds + 45) / 60 + 1) % (24 * 60);
    let when = format!("every day {}:{:02}", minute / 60, minute % 60);
    let create =
        ["schedule", "create", "Nightly", "--layer", "Tiny", "--when", &when, "--connector", "local"];
    let more = ["--disk", "night", "--size", "1", "--version", "patched {date}", "--script", &script];
    let made = desk.json(&[&create[..], &more, &["--attach", &attached]].concat());
    fs::remove_file(&attached).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let last = loop {
        let last = desk.json(&["schedule", "show", "Nightly"])["last"].clone();
        if !["", "pending", "running"].contains(&last["outcome"].as_str().unwrap_or_default()) {
            break last;
        }
        assert!(Instant::now() < deadline, "it is not done: {last:#}");
        std::thread::sleep(Duration::from_millis(500));
    };
    let task = last["task_id"].as_str().unwrap();
    let told = desk.ends(0, &["task", "output", task]).out;
    assert_eq!((&last["outcome"], &last["at"]), (&"done".into(), &made["next_run_at"]), "{last:#}\n{told}");
    let versions = desk.json(&["version", "list", "Tiny"]);
    let name = versions.as_array().unwrap().iter().map(|version| version["name"].as_str().unwrap());
    let name = name.into_iter().find(|name| name.starts_with("patched 20")).unwrap();
    assert_eq!(debugfs(&file_system(&desk, name), "cat /data/from-script").lines().last(), Some("by night"));
}
