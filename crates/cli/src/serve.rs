//! `shale serve`: becomes the server, so that one command name is enough to begin with.

use crate::exec;
use crate::failure::{Failure, Outcome};
use std::ffi::OsString;
use std::process::Command;

/// What `shale serve` takes: whatever the server takes.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Serve {
    /// Options of the server; see `shale serve --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<OsString>,
}

/// Becomes `shaled serve`, the one beside this program, else the one in PATH.
pub fn run(serve: &Serve) -> Outcome {
    if !cfg!(unix) {
        let text =
            "The server runs on Linux: start it there, and name it here with --server https://host:port.";
        return Err(Failure::usage(text));
    }
    let beside =
        std::env::current_exe().ok().map(|exe| exe.with_file_name("shaled")).filter(|path| path.is_file());
    let mut server = Command::new(beside.unwrap_or_else(|| "shaled".into()));
    server.arg("serve").args(&serve.options);
    exec::become_program(server).map_err(|failure| failure.hint("install shaled beside shale, or in PATH"))
}
