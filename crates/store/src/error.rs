//! One error type: a small stable kind, what it happened to, and the cause.

use std::fmt;

/// What went wrong, in the few ways a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Reading or writing the repository failed (device, file, network).
    Io,
    /// No room left in the repository. Nothing became visible.
    Full,
    /// Something in the repository is not what it must be: truncated, altered, missing. `check` tells all of it.
    Damaged,
    /// There is no such version, or no repository here.
    NotFound,
    /// It exists already and is different.
    Exists,
    /// Made by a newer Shale, or uses a feature that this one lacks.
    Unsupported,
    /// Somebody else holds the repository; the text says who.
    Busy,
    /// What is to be stored could not be read. The cause is the source's own error.
    Source,
    /// The request makes no sense (a version without size, a parent larger than its child).
    Invalid,
    /// The caller asked to stop.
    Stopped,
}

impl ErrorKind {
    /// Whether the same call may succeed later without anybody mending something.
    pub fn retry_later(self) -> bool {
        match self {
            Self::Io | Self::Busy => true,
            Self::Full
            | Self::Damaged
            | Self::NotFound
            | Self::Exists
            | Self::Unsupported
            | Self::Source
            | Self::Invalid
            | Self::Stopped => false,
        }
    }
}

/// An error about a repository. `Display` says what happened; the cause is in `source`, never repeated in the text.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind`; `context` is a sentence for a person: what happened, to what, and what to do.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// An I/O error and what was being done. A full disk gets its own kind.
    pub fn io(context: impl Into<String>, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match source.kind() {
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::Full,
            _ => ErrorKind::Io,
        };
        Self { kind, context: context.into(), source: Some(Box::new(source)) }
    }

    /// Something in the repository is not what it must be.
    pub(crate) fn damaged(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Damaged, context)
    }

    /// The caller's [`Watch`](crate::Watch) said stop.
    pub(crate) fn stopped() -> Self {
        Self::new(ErrorKind::Stopped, "stopped as asked")
    }

    /// Adds the cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller can act on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e.as_ref() as _)
    }
}
