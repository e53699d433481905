//! The tool as a service of Windows: what starts the script of an unattended version.
//!
//! ```text
//!   Windows starts ─▶ service control manager ─▶ shale-run.exe --service
//!                                                  │ "it runs", at once: the manager waits 30 seconds
//!                                                  ▼
//!                     all services that start by themselves have ─▶ the CD, on whatever letter ─▶ its orders ─▶ "it has stopped"
//! ```
//!
//! The key of the service is written into the registry of the disk before the machine is made: `docs/decisions/0014`.

use super::Windows;
use super::calls::{drives, services};
use crate::script::{self, ORDERS};
use crate::tool::{Exit, Failure};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

/// What the CD is called.
const LABEL: &str = "SHALE-TOOLS";
/// Is set once all services that start by themselves have been started.
const ALL_STARTED: &str = r"Global\SC_AutoStartComplete";
/// Between two looks.
const ROUND: Duration = Duration::from_secs(1);
/// How often the CD is looked for: Windows may know its drives only a while after this is started.
const LOOKS: u32 = 120;
/// How often it is asked whether all services have been started: some never end starting.
const QUESTIONS: u32 = 300;

/// Does what the orders on the CD say, as a service. Returns when the service has stopped.
///
/// # Errors
///
/// It was not the service control manager that started this program.
pub fn run() -> Result<(), Failure> {
    let failed = |error| Failure::new("Windows did not start this as a service", error);
    services::serve(|| {
        let machine = Windows::new();
        await_services();
        let exit = match found_cd() {
            Some(folder) => script::run(&machine, &folder),
            None => script::without_orders(
                &machine,
                &format!("The machine found no CD {LABEL}, on which its script is."),
            ),
        };
        exit.unwrap_or(Exit::Failed) as u32
    })
    .map_err(failed)
}

/// Installers start services, which may want others. A Windows that does not say so is not waited for.
pub(super) fn await_services() {
    let mut left = QUESTIONS;
    while left > 0 && services::is_set(ALL_STARTED) == Some(false) {
        sleep(ROUND);
        left -= 1;
    }
}

/// The root of the CD with orders: `D:\`.
fn found_cd() -> Option<PathBuf> {
    drives::ask_nobody();
    (0..LOOKS).find_map(|look| {
        if look > 0 {
            sleep(ROUND);
        }
        drives::all().into_iter().find(|drive| {
            drives::label(drive).is_some_and(|label| label == LABEL) && drive.join(ORDERS).is_file()
        })
    })
}
