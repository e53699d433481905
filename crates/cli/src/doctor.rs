//! `shale doctor`: what the server finds when it looks at itself and its host.

use crate::client::Client;
use crate::connector::checks;
use crate::failure::{Exit, Outcome};
use crate::terminal::Terminal;
use shale_api::Doctor;

/// Prints the findings; exit code 1 when something that is needed does not work.
pub fn run(client: &Client, terminal: &Terminal) -> Outcome {
    let doctor: Doctor = client.get("/doctor")?;
    terminal.report(&doctor, |doctor| checks(&doctor.checks, terminal.color))?;
    Ok(if doctor.ok { Exit::Ok } else { Exit::Failed })
}
