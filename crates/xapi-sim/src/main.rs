//! `xapi-sim`: the simulator as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::SUCCESS
}
