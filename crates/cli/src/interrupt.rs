//! Ctrl-C: says what goes on without us, removes a half-written file, and ends with exit code 130.

use crate::failure::Exit;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// What an interruption leaves behind.
#[derive(Debug)]
pub enum Leaves {
    /// A task that goes on; the text says so.
    Task(String),
    /// A file that is not complete.
    File(PathBuf),
}

static LEAVES: Mutex<Option<Leaves>> = Mutex::new(None);
static HANDLER: Once = Once::new();

/// While this lives, Ctrl-C cleans up and tells.
#[derive(Debug)]
pub struct Guard(());

/// Says what Ctrl-C would leave behind from now on.
pub fn guard(leaves: Leaves) -> Guard {
    *lock() = Some(leaves);
    HANDLER.call_once(|| {
        // Without a handler Ctrl-C still ends the command, only less politely.
        let _ = ctrlc::set_handler(interrupted);
    });
    Guard(())
}

impl Drop for Guard {
    fn drop(&mut self) {
        *lock() = None;
    }
}

#[expect(clippy::disallowed_methods, reason = "the main thread sits in a read that nothing else can end")]
fn interrupted() {
    match lock().take() {
        Some(Leaves::Task(text)) => eprintln!("\n{text}"),
        Some(Leaves::File(path)) => {
            // It is ours, and there may be none yet.
            let _ = std::fs::remove_file(path);
        }
        None => {}
    }
    std::process::exit(Exit::Interrupted as i32);
}

fn lock() -> MutexGuard<'static, Option<Leaves>> {
    LEAVES.lock().unwrap_or_else(PoisonError::into_inner)
}
