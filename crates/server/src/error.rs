//! The server's errors: a code of the API, a sentence for a person, and the cause for the log.

use shale_api::{Code, FieldError, Problem};
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

/// What went wrong while a request was answered or a task prepared.
#[derive(Debug)]
pub struct Error {
    /// What the client is told it is.
    pub code: Code,
    /// What happened, to what, and what to do.
    pub detail: String,
    /// Fields that broke a rule.
    pub fields: Vec<FieldError>,
    /// The task that stands in the way.
    pub task_id: Option<Uuid>,
    /// How long to wait before asking again.
    pub retry_after: Option<Duration>,
    /// How many bytes of an upload are there.
    pub received: Option<u64>,
    /// The HTTP status, where it says more than the code's own.
    status: Option<u16>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            fields: Vec::new(),
            task_id: None,
            retry_after: None,
            received: None,
            status: None,
            source: None,
        }
    }

    /// A bug, or damage that only a bug explains.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(Code::Internal, detail)
    }

    /// Something that Shale relies on did not do what was asked.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, detail)
    }

    /// The object's state does not allow it.
    pub fn not_allowed(detail: impl Into<String>) -> Self {
        Self::new(Code::NotAllowed, detail)
    }

    /// The id is taken.
    pub fn exists(detail: impl Into<String>) -> Self {
        Self::new(Code::Exists, detail)
    }

    /// This release does not do that.
    pub fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(Code::Unsupported, detail)
    }

    /// No or wrong credentials.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(Code::Unauthenticated, detail)
    }

    /// Signed in, but this is not for them.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, detail)
    }

    /// Asked too often; the text gets the time to wait behind it.
    pub fn too_many(detail: impl fmt::Display, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let detail = format!("{detail} Try again in {seconds} s.");
        Self { retry_after: Some(Duration::from_secs(seconds)), ..Self::new(Code::TooMany, detail) }
    }

    /// What was sent does not go on where the server is, which is behind `received` bytes.
    pub fn conflict(detail: impl Into<String>, received: u64) -> Self {
        Self { received: Some(received), ..Self::new(Code::Conflict, detail) }
    }

    /// There is no such object.
    pub fn not_found(what: &str, id: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("There is no {what} {id}."))
    }

    /// The request is malformed as a whole.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::Invalid, detail)
    }

    /// One field breaks a rule. `pointer` is a JSON pointer into the request.
    pub fn field(pointer: &str, detail: impl fmt::Display) -> Self {
        let detail = detail.to_string();
        let field = FieldError { pointer: pointer.into(), detail: detail.clone() };
        Self { fields: vec![field], ..Self::new(Code::Invalid, detail) }
    }

    /// Another task is at work; the text names it.
    pub fn busy(detail: impl Into<String>, task: Uuid) -> Self {
        Self { task_id: Some(task), ..Self::new(Code::Busy, detail) }
    }

    /// Adds the cause.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets the HTTP status, for what HTTP itself has a word for (405, 413, …).
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status.unwrap_or(self.code.status())
    }

    /// The answer a client gets. The cause goes along, since it names what to mend: causes hold no secrets.
    pub fn problem(&self, request_id: &str) -> Problem {
        let code = serde_json::to_value(self.code).ok();
        let code = code.as_ref().and_then(|c| c.as_str()).unwrap_or("internal");
        Problem {
            kind: format!("urn:shale:problem:{code}"),
            title: self.code.title().into(),
            status: self.status(),
            code: self.code,
            detail: chain(self),
            errors: self.fields.clone(),
            task_id: self.task_id,
            received: self.received,
            request_id: Some(request_id.into()),
        }
    }
}

/// An error and its causes as one text: `what: why: why`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{}: {error}", text.trim_end_matches('.'));
        cause = error.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e.as_ref() as _)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let full = error.to_string().contains("disk is full");
        let text = if full {
            "The disk with the catalog is full: make room."
        } else {
            "The catalog did not answer."
        };
        Self::unavailable(text).because(error)
    }
}
