//! How a command ends: exit codes, and the failure that is told on stderr.
//!
//! The codes are a promise to scripts (`docs/cli.md`, "Exit codes"); texts may change.

use shale_api::{Code, FieldError};
use std::io::{self, Write};

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It worked.
    Ok = 0,
    /// It failed in a way that no other code tells.
    Failed = 1,
    /// The command line, or a value in it, is wrong: the same command can never work.
    Usage = 2,
    /// No or wrong credentials, or a server that is not trusted.
    Auth = 3,
    /// No such object.
    NotFound = 4,
    /// The object's state forbids it, another task is at work, or a file to be written exists already.
    Conflict = 5,
    /// The task ended as failed, canceled or stuck.
    TaskFailed = 6,
    /// The task waits for a person.
    NeedsPerson = 7,
    /// `--timeout` passed; the task goes on.
    TimedOut = 8,
    /// Ctrl-C; a task that was waited for goes on.
    Interrupted = 130,
}

impl From<Code> for Exit {
    fn from(code: Code) -> Self {
        match code {
            Code::Invalid => Self::Usage,
            Code::Unauthenticated | Code::Forbidden => Self::Auth,
            Code::NotFound => Self::NotFound,
            Code::Exists | Code::NotAllowed | Code::Busy | Code::Conflict => Self::Conflict,
            Code::Unsupported | Code::Unavailable | Code::Internal | Code::TooMany => Self::Failed,
        }
    }
}

/// Why a command could not do what was asked.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened, to what. Nothing is printed when it is empty.
    pub text: String,
    /// Fields of the request that broke a rule.
    pub fields: Vec<FieldError>,
    /// What to do next.
    pub hint: Option<String>,
    /// Whether the server could not be reached, so that asking again may work.
    pub unreachable: bool,
}

/// What every command returns: the exit code when it ended in a foreseen way, else the failure.
pub type Outcome = Result<Exit, Failure>;

impl Failure {
    /// A failure with an exit code and a text.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), fields: Vec::new(), hint: None, unreachable: false }
    }

    /// A mistake on the command line.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// A failure of this computer (a file, a program), with what was tried.
    pub fn io(what: impl std::fmt::Display, error: &io::Error) -> Self {
        Self::new(Exit::Failed, format!("{what}: {error}"))
    }

    /// The same, with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Tells it: `error:`, the fields, the hint.
    pub fn print(&self, to: &mut dyn Write) -> io::Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        writeln!(to, "error: {}", crate::table::printable_lines(&self.text))?;
        for field in &self.fields {
            writeln!(
                to,
                "  {}: {}",
                crate::table::printable(field.pointer.trim_start_matches('/')),
                crate::table::printable(&field.detail)
            )?;
        }
        if let Some(hint) = &self.hint {
            writeln!(to, "hint: {}", crate::table::printable_lines(hint))?;
        }
        Ok(())
    }
}

/// Writing to stdout failed. A reader that closed the pipe knows why: nothing is said about it.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::new(Exit::Failed, "")
        } else {
            Self::io("cannot write the output", &error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_api_has_the_documented_exit_code() {
        let table = [
            (Code::Invalid, 2),
            (Code::Unauthenticated, 3),
            (Code::NotFound, 4),
            (Code::Exists, 5),
            (Code::NotAllowed, 5),
            (Code::Busy, 5),
            (Code::Unsupported, 1),
            (Code::Unavailable, 1),
            (Code::Internal, 1),
        ];
        for (code, exit) in table {
            assert_eq!(Exit::from(code) as i32, exit, "{code:?}");
        }
    }

    #[test]
    fn a_failure_is_told_with_its_fields_and_hint_and_no_control_characters() {
        let mut failure = Failure::usage("The request is\u{1b}[31m wrong.").hint("shale layer list");
        failure.fields.push(FieldError { pointer: "/version/name".into(), detail: "too long".into() });
        let mut out = Vec::new();
        failure.print(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "error: The request is\u{fffd}[31m wrong.\n  version/name: too long\nhint: shale layer list\n"
        );
    }

    #[test]
    fn a_closed_pipe_is_not_talked_about() {
        let mut out = Vec::new();
        Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).print(&mut out).unwrap();
        assert!(out.is_empty());
    }
}
