//! Ctrl-C, while something is at work that must not be interrupted.
//!
//! Windows sends it to every program of a console, each of which ends unless it takes it itself. So the programs that must
//! not be interrupted are in no console of ours (Ctrl-Break, which none can be made to ignore, and the closing of the window
//! do not reach them either), and we answer.

use std::io::Write;
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::Command;
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::Win32::System::Threading::CREATE_NO_WINDOW;

const ANSWER: &str = "Ctrl-C does not stop this: NGen has to end by itself, or assemblies are left that do not work. \
                      Please wait.";

/// As long as this is there, Ctrl-C only tells that it does nothing.
pub struct Uninterrupted(());

impl Uninterrupted {
    /// From now on.
    pub fn begin() -> Self {
        // SAFETY: the function lives as long as the program. Where there is no console there is no Ctrl-C either.
        unsafe { SetConsoleCtrlHandler(Some(answer), 1) };
        Self(())
    }
}

/// A program that no Ctrl-C reaches.
pub fn out_of_reach(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.creation_flags(CREATE_NO_WINDOW);
    command
}

impl Drop for Uninterrupted {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { SetConsoleCtrlHandler(Some(answer), 0) };
    }
}

/// Called by Windows, in a thread of its own. Whoever answers with 1 has taken it.
extern "system" fn answer(event: u32) -> i32 {
    if event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT {
        return 0;
    }
    // Nobody may read it any more; there is nothing to do about that.
    let _ = writeln!(std::io::stderr(), "{ANSWER}");
    1
}
