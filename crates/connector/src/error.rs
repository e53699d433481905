//! One error type: a small stable kind, what it happened to, and the cause.

use std::fmt;

/// What went wrong, in the few ways a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Talking to the platform or to the host's files failed; it may work when asked again.
    Io,
    /// The platform did not answer in time.
    Timeout,
    /// The machine runs (or its disk is in use) and what was asked needs it off.
    Busy,
    /// No machine or disk carries this tag.
    Absent,
    /// Something that must be there is gone or spoilt: an overlay was deleted, a record is unreadable.
    Damaged,
    /// No room left where the platform keeps its disks.
    Full,
    /// The platform cannot do what was asked: a program, firmware or setting is missing or wrong.
    Unsupported,
    /// The caller asked to stop.
    Stopped,
}

impl ErrorKind {
    /// Whether the same call may succeed later without anybody mending something.
    pub fn retry_later(self) -> bool {
        match self {
            Self::Io | Self::Timeout | Self::Busy => true,
            Self::Absent | Self::Damaged | Self::Full | Self::Unsupported | Self::Stopped => false,
        }
    }
}

/// An error of a platform. `Display` says what happened; the cause is in `source`, never repeated in the text.
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
        let kind = match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            std::io::ErrorKind::TimedOut => ErrorKind::Timeout,
            _ => ErrorKind::Io,
        };
        Self { kind, context: context.into(), source: Some(Box::new(source)) }
    }

    /// An error of the disk crate and what was being done; its kind is carried over.
    pub fn disk(context: impl Into<String>, source: shale_disk::Error) -> Self {
        use shale_disk::ErrorKind as Disk;
        let kind = match source.kind() {
            Disk::Io => ErrorKind::Io,
            Disk::Full => ErrorKind::Full,
            Disk::Stopped => ErrorKind::Stopped,
            Disk::Corrupt | Disk::Changed => ErrorKind::Damaged,
            Disk::Unsupported => ErrorKind::Unsupported,
        };
        Self { kind, context: context.into(), source: Some(Box::new(source)) }
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
