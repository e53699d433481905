//! The program as it is put into machines: one small file that needs nothing of the distribution.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The program, built for delivery, once for all tests.
fn built() -> &'static Path {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(build);
    &BUILT
}

fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let status =
        Command::new(root.join("scripts/guest-tools")).arg("linux").env("CARGO_TARGET_DIR", target).status();
    assert!(status.unwrap().success());
    target.join("guest/linux/shutdown-for-finalize")
}

#[test]
fn the_delivered_program_is_small_and_needs_no_library() {
    let program = built();
    let size = program.metadata().unwrap().len();
    assert!(size <= 2 << 20, "{size} bytes");
    let listed = Command::new("readelf")
        .args(["--program-headers", "--dynamic", "--wide"])
        .arg(program)
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("LOAD") && !listed.contains("INTERP") && !listed.contains("(NEEDED)"),
        "{listed}"
    );
}

#[test]
fn the_delivered_program_does_the_job() {
    let root = tempfile::tempdir().unwrap();
    let words = [format!("--root={}", root.path().display()), "--check".to_owned()];
    let ended = Command::new(built()).args(words).env_clear().output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[test]
fn the_delivered_program_opens_no_socket() {
    let root = tempfile::tempdir().unwrap();
    let trace = root.path().join("trace");
    // Files are traced, too: a trace without any would be none.
    let mut strace = Command::new("strace");
    strace.args(["--follow-forks", "--trace=%network,openat", "--output"]).arg(&trace).arg(built());
    let ended = strace.args([&format!("--root={}", root.path().display()), "--check"]).output();
    assert!(ended.expect("strace is installed").status.success());
    let trace = std::fs::read_to_string(trace).unwrap();
    let calls: Vec<_> =
        trace.lines().filter(|line| line.contains('(') && !line.contains("openat(")).collect();
    assert!(trace.contains("openat(") && calls.is_empty(), "{calls:?}");
}
