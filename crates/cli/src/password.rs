//! Passwords: from a file, or asked for at the terminal without being shown; never on the command line, where others on
//! the computer read them.

use crate::failure::Failure;
use crate::platform::may_ask;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A file longer than this is no password.
const LIMIT: u64 = 4 << 10;

/// Where a password comes from.
#[derive(Debug, clap::Args)]
pub struct PasswordFrom {
    /// File whose first line is the password (- is stdin); asked for at the terminal when left out
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordFrom {
    /// A new password: asked for twice.
    pub fn read_new(&self) -> Result<String, Failure> {
        let Some(path) = &self.password_file else {
            let password = ask("New password")?;
            if ask("Once more")? != password {
                return Err(Failure::usage("The two passwords differ."));
            }
            return Ok(password);
        };
        let mut text = String::new();
        let read = match path == Path::new("-") {
            true => std::io::stdin().take(LIMIT).read_to_string(&mut text),
            false => std::fs::File::open(path).and_then(|file| file.take(LIMIT).read_to_string(&mut text)),
        };
        read.map_err(|e| Failure::io(format!("cannot read {}", path.display()), &e))?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

fn ask(what: &str) -> Result<String, Failure> {
    if !may_ask() {
        return Err(Failure::usage("There is no terminal to ask for the password: use --password-file."));
    }
    rpassword::prompt_password(format!("{what}: ")).map_err(|e| Failure::io("cannot read the password", &e))
}
