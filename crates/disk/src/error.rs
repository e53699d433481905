//! One error type: a small stable kind, what it happened to, and the cause.

use std::fmt;

/// What went wrong, in the few ways a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Reading or writing bytes failed (device, file, network).
    Io,
    /// No room left where we write.
    Full,
    /// The bytes are not what the format demands: truncated, corrupt, absurd.
    Corrupt,
    /// A valid disk that we do not handle: encrypted, an unknown feature, a disk type we do not read.
    Unsupported,
    /// The disk changed while it was read.
    Changed,
    /// The caller asked to stop.
    Stopped,
}

impl ErrorKind {
    /// Whether the same call may succeed later without anybody mending something.
    pub fn retry_later(self) -> bool {
        match self {
            Self::Io => true,
            Self::Full | Self::Corrupt | Self::Unsupported | Self::Changed | Self::Stopped => false,
        }
    }
}

/// An error about a disk. `Display` says what happened; the cause is in `source`, never repeated in the text.
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
            _ => ErrorKind::Io,
        };
        Self { kind, context: context.into(), source: Some(Box::new(source)) }
    }

    /// Adds the cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says which file it is about, unless the text does.
    pub(crate) fn about(mut self, path: &std::path::Path) -> Self {
        let name = format!("'{}'", path.display());
        if !self.context.contains(&name) {
            self.context = format!("{name}: {}", self.context);
        }
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

/// Bytes that are not what a format demands.
pub(crate) fn corrupt(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, context)
}

/// A valid disk that is not handled; the text names what it is.
pub(crate) fn unsupported(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, context)
}
