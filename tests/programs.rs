//! Programs of this host that tests run.

use std::process::Command;

/// A program, of the system too.
pub fn tool(program: &str) -> Command {
    let mut tool = Command::new(program);
    tool.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    tool
}

/// Runs a program that must succeed; answers what it printed.
#[track_caller]
pub fn run(program: &str, words: &[&str]) -> String {
    let output = tool(program).args(words).output();
    let output = output.unwrap_or_else(|e| panic!("{program} cannot be run: {e}"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {words:?}: {told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    told
}
