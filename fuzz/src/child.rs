//! `shale-files` as it is linked into this target: every run is a child that is forked, not a program that is started.
//!
//! ```text
//!   Files ──socket──▶ child: the C of shale-files, with checks ── libext2fs │ libntfs-3g, as they are installed
//!                       └──▶ verdict: a finding, or a crash inside a library, which the product contains
//! ```

use std::io::{Error, Result};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use shale_volume::files::Program;

/// Longer than a child may use the processor: that ends it first.
const PATIENCE: Duration = Duration::from_secs(60);

mod c {
    unsafe extern "C" {
        /// Once; 0 when done.
        pub safe fn child_prepare() -> i32;
        /// What became of the last child, as in `c/child.c`.
        pub safe fn child_verdict() -> i32;
        /// Never comes back.
        pub safe fn child_run();
    }
}

/// `shale-files`, forked.
pub fn program() -> Program {
    static PREPARED: OnceLock<()> = OnceLock::new();
    PREPARED.get_or_init(|| assert_eq!(c::child_prepare(), 0, "memory can be shared"));
    Program::at("/shale-files is forked, not started").with_patience(PATIENCE).prepared(
        |command: &mut Command| {
            command.stderr(Stdio::inherit());
            // It takes only its own memory and descriptor 0, and never comes back.
            unsafe { command.pre_exec(run) };
        },
    )
}

fn run() -> Result<()> {
    c::child_run();
    Err(Error::other("it came back"))
}

/// Ends the target where the last child, which is gone, has found something.
pub fn judge() {
    match c::child_verdict() {
        0 | 1 => {}
        2 => panic!("shale-files did what C does not allow"),
        3 => panic!("shale-files took too long"),
        4 => panic!("shale-files took too much memory"),
        5 => panic!("shale-files took what the disk says for a message that it does not understand"),
        other => panic!("verdict {other}"),
    }
}
