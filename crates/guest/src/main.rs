//! `shutdown-for-finalize`: checks the packaging machine it runs in, and shuts it down for finalize.

use shale_guest::arguments::{self, Command, HELP};
use shale_guest::script;
use shale_guest::tool::{self, Exit};
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    // What is no Unicode is no word of ours: it is refused with what can be shown of it.
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let mut out = io::stdout().lock();
    let (exit, pause) = match arguments::read(words) {
        Ok(Command::Help) => (shown(&mut out, HELP), false),
        Ok(Command::Version) => {
            (shown(&mut out, concat!("shutdown-for-finalize ", env!("CARGO_PKG_VERSION"), "\n")), false)
        }
        Ok(Command::Run(arguments)) => {
            #[cfg(unix)]
            let machine = shale_guest::linux::Linux::new(arguments.root.as_deref());
            #[cfg(windows)]
            let machine = shale_guest::windows::Windows::new();
            let ended = match &arguments.script {
                Some(folder) => script::run(&machine, folder),
                None => tool::run(&machine, &arguments, &mut out),
            };
            (ended.unwrap_or_else(|failure| failed(&failure)), arguments.pause)
        }
        #[cfg(windows)]
        Ok(Command::Service) => (served(shale_guest::windows::service::run()), false),
        #[cfg(windows)]
        Ok(Command::Sysprep) => (served(shale_guest::windows::sysprep::run()), false),
        Err(misuse) => {
            eprintln!("shutdown-for-finalize: {misuse}");
            (Exit::Misuse, false)
        }
    };
    if pause {
        let _ = write!(out, "Press Enter to continue . . . ").and_then(|()| out.flush());
        let _ = io::stdin().read_line(&mut String::new());
    }
    ExitCode::from(exit as u8)
}

fn shown(out: &mut dyn Write, text: &str) -> Exit {
    match out.write_all(text.as_bytes()) {
        Ok(()) => Exit::Clean,
        Err(_) => Exit::Failed,
    }
}

#[cfg(windows)]
fn served(ended: Result<(), tool::Failure>) -> Exit {
    ended.map_or_else(|failure| failed(&failure), |()| Exit::Clean)
}

fn failed(failure: &dyn Error) -> Exit {
    eprint!("shutdown-for-finalize: {failure}");
    let mut source = failure.source();
    while let Some(error) = source {
        eprint!(": {error}");
        source = error.source();
    }
    eprintln!();
    Exit::Failed
}
