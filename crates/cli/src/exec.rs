//! Handing over to another program, which then has the terminal, the signals and the exit code.

use crate::failure::{Failure, Outcome};
use std::io;
use std::process::Command;

/// Becomes `program`. Returns only when that fails.
#[cfg(unix)]
pub fn become_program(mut program: Command) -> Outcome {
    let error = std::os::unix::process::CommandExt::exec(&mut program);
    Err(cannot_run(&program, &error))
}

/// Runs `program` to its end, as this system has nothing closer. Its exit code is not passed on.
#[cfg(not(unix))]
pub fn become_program(mut program: Command) -> Outcome {
    use crate::failure::Exit;
    let status = program.status().map_err(|e| cannot_run(&program, &e))?;
    Ok(if status.success() { Exit::Ok } else { Exit::Failed })
}

fn cannot_run(program: &Command, error: &io::Error) -> Failure {
    Failure::io(format!("cannot run {}", program.get_program().to_string_lossy()), error)
}
