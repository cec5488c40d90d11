//! What went wrong, to what, and what may be done about it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use sync_http::{Phase, Retry};

use crate::client::names::JobId;
use crate::client::reason::Reason;

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of thing went wrong: what a caller decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting or a request cannot work as given.
    Config,
    /// The credentials were not accepted.
    Auth,
    /// The credentials are good and do not grant this, or the project has no billing.
    Permission,
    /// The project, dataset, table or job does not exist, or not in this location.
    NotFound,
    /// A rate limit or quota is used up.
    Throttled,
    /// No answer in time, or a job that has not ended yet.
    Timeout,
    /// BigQuery could not be reached or is not in service, or the connection broke.
    Unavailable,
    /// BigQuery understood the request and refused it.
    Rejected,
    /// The answer is not what BigQuery documents.
    Protocol,
    /// A value cannot be what it is asked to be.
    Data,
    /// It exists already, or has changed since it was read.
    Conflict,
    /// This client or BigQuery does not do that.
    Unsupported,
    /// Something in this program that should not happen.
    Internal,
}

impl ErrorKind {
    /// The kind's name, for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::NotFound => "not_found",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Rejected => "rejected",
            Self::Protocol => "protocol",
            Self::Data => "data",
            Self::Conflict => "conflict",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What BigQuery says about one error, in its own words (BigQuery REST reference, `ErrorProto`).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ServiceError {
    /// The machine-readable reason, such as `notFound`.
    pub reason: String,
    /// What it is about: a column, a table, a place in the input.
    pub location: Option<String>,
    /// The text for people. Not to be parsed: it changes.
    pub message: String,
}

/// What an error says about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobTrouble {
    /// The job ran and failed; it is atomic, so it wrote nothing. Its id is used up.
    Failed {
        /// Which job.
        job_id: JobId,
        /// Whether the same work may succeed under another id: the failure was BigQuery's, or passing.
        may_run_again: bool,
    },
    /// The job was sent and may still be running, or have succeeded unseen. Only its own id may be used to find out
    /// or to send it again.
    Unfinished {
        /// Which job.
        job_id: JobId,
    },
}

/// An error of this crate. Cheap to clone.
///
/// `Display` is one line: what happened, to what, why and what to do. It never holds a token, a body, or a URL with a
/// query; BigQuery's own texts are part of it.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    reason: Reason,
    retry: Retry,
    phase: Phase,
    exhausted: bool,
    message: String,
    told: Vec<ServiceError>,
    http_status: Option<u16>,
    job: Option<JobTrouble>,
    context: Vec<(&'static str, String)>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, reason: Reason, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            reason,
            retry: Retry::Never,
            phase: Phase::Answered,
            exhausted: false,
            message: message.into(),
            told: Vec::new(),
            http_status: None,
            job: None,
            context: Vec::new(),
            source: None,
        }))
    }

    /// A setting or request that cannot work; nothing was sent.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, Reason::Setting, message).in_phase(Phase::NotSent)
    }

    pub(crate) fn retrying(mut self, retry: Retry) -> Self {
        self.inner().retry = retry;
        self
    }

    pub(crate) fn in_phase(mut self, phase: Phase) -> Self {
        self.inner().phase = phase;
        self
    }

    pub(crate) fn with_http_status(mut self, status: u16) -> Self {
        self.inner().http_status = Some(status);
        self
    }

    pub(crate) fn telling(mut self, told: Vec<ServiceError>) -> Self {
        self.inner().told = told;
        self
    }

    pub(crate) fn about_job(mut self, job: JobTrouble) -> Self {
        self.inner().job = Some(job);
        self
    }

    pub(crate) fn with_context(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.inner().context.push((name, value.into()));
        self
    }

    pub(crate) fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.inner().source = Some(Arc::new(source));
        self
    }

    pub(crate) fn into_exhausted(mut self, attempts: u32) -> Self {
        let inner = self.inner();
        inner.exhausted = true;
        inner.context.push(("attempts", attempts.to_string()));
        self
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The precise cause.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// Whether the same request, with the same ids, may be sent again, and when. `Never` once the error is
    /// [exhausted](Self::exhausted).
    #[must_use]
    pub fn retry(&self) -> Retry {
        if self.0.exhausted {
            Retry::Never
        } else {
            self.0.retry
        }
    }

    /// How far the request got.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// Whether this client has already spent its retries on it, so that outer layers do not retry at once.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.0.exhausted
    }

    /// Whether it may go away by itself, even if retries were spent on it: worth another run later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(self.0.retry, Retry::Never)
    }

    /// What BigQuery says, in its order: the first is usually the cause.
    #[must_use]
    pub fn service_errors(&self) -> &[ServiceError] {
        &self.0.told
    }

    /// The HTTP status, where there was an answer.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// What it says about a job, where it is about one.
    #[must_use]
    pub fn job(&self) -> Option<&JobTrouble> {
        self.0.job.as_ref()
    }

    /// Facts beside the message, as pairs of name and value: `operation`, `table`, `job_id`, `attempts` and the like.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.write_str(&inner.message)?;
        if let Some(cause) = inner.told.iter().find(|told| !told.message.is_empty()) {
            write!(f, ": {}", shortened(&cause.message))?;
        }
        let status = inner.http_status.filter(|status| *status != 200);
        let status = status.map(|status| ("http_status", status.to_string()));
        let facts = inner.context.iter().chain(status.as_ref());
        for (position, (name, value)) in facts.enumerate() {
            let opening = if position == 0 { " (" } else { ", " };
            write!(f, "{opening}{name}: {value}")?;
        }
        if !inner.context.is_empty() || status.is_some() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// Long enough for every text that the vendor documents, short enough for a log line.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 400;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("reason", &inner.reason)
            .field("message", &inner.message)
            .field("retry", &inner.retry)
            .field("phase", &inner.phase)
            .field("exhausted", &inner.exhausted)
            .field("told", &inner.told)
            .field("http_status", &inner.http_status)
            .field("job", &inner.job)
            .field("context", &inner.context)
            .field("source", &inner.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<sync_http::Error> for Error {
    fn from(source: sync_http::Error) -> Self {
        use sync_http::ErrorKind as Http;
        let (kind, reason, message) = match source.kind() {
            Http::Config => (
                ErrorKind::Config,
                Reason::Setting,
                "the HTTP client cannot work as it is set up",
            ),
            Http::Timeout => (
                ErrorKind::Timeout,
                Reason::Connection,
                "no answer in time; raise the timeouts, or send less at once",
            ),
            Http::Unavailable => (
                ErrorKind::Unavailable,
                Reason::Connection,
                "no connection, or one that broke",
            ),
            Http::Limit => (
                ErrorKind::Protocol,
                Reason::AnswerTooLarge,
                "the answer is larger than allowed; ask for smaller pages, or raise max_answer_bytes",
            ),
            Http::Protocol => (
                ErrorKind::Protocol,
                Reason::HttpStatus,
                "the address does not answer as BigQuery does; check the endpoint",
            ),
            _ => (
                ErrorKind::Internal,
                Reason::Internal,
                "the HTTP layer failed",
            ),
        };
        Self::new(kind, reason, message)
            .retrying(source.retry())
            .in_phase(source.phase())
            .because(source)
    }
}
