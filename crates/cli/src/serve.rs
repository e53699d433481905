//! `shale serve`: becomes the server, so that one command name is enough to begin with.

use crate::failure::{Failure, Outcome};
use std::ffi::OsString;

/// What `shale serve` takes: whatever the server takes.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Serve {
    /// Options of the server; see `shale serve --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<OsString>,
}

/// Becomes `shaled serve`, the one beside this program, else the one in PATH. Returns only when that fails.
#[cfg(unix)]
pub fn run(serve: &Serve) -> Outcome {
    use std::os::unix::process::CommandExt;
    let beside =
        std::env::current_exe().ok().map(|exe| exe.with_file_name("shaled")).filter(|path| path.is_file());
    let program = beside.unwrap_or_else(|| "shaled".into());
    let error = std::process::Command::new(&program).arg("serve").args(&serve.options).exec();
    Err(Failure::io(format!("cannot start the server {}", program.display()), &error)
        .hint("install shaled beside shale, or in PATH"))
}

/// The server does not run on this system.
#[cfg(not(unix))]
pub fn run(_: &Serve) -> Outcome {
    Err(Failure::usage(
        "The server runs on Linux: start it there, and name it here with --server https://host:port.",
    ))
}
