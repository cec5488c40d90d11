//! What went wrong, to what, and what may be done about it.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

pub use sync_error::ErrorKind;
use sync_error::{Error as Common, Phase, Retry};

use crate::client::names::JobId;
use crate::client::reason::Reason;

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

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

/// An error of this crate. Cheap to clone. What every part of a sync says of its errors, kind, retry, phase and context,
/// comes from [`sync_error::Error`], which it derefs to; "the same request" is the one with the same ids.
///
/// `Display` is one line: what happened, to what, why and what to do. It never holds a token, a body, or a URL with a
/// query; BigQuery's own texts are part of it.
#[derive(Clone)]
pub struct Error {
    common: Common,
    service: Arc<Service>,
}

/// What BigQuery's answer adds.
#[derive(Clone)]
struct Service {
    reason: Reason,
    told: Vec<ServiceError>,
    http_status: Option<u16>,
    job: Option<JobTrouble>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            common: Common::new(kind, message).in_phase(Phase::Answered),
            service: Arc::new(Service {
                reason,
                told: Vec::new(),
                http_status: None,
                job: None,
            }),
        }
    }

    /// A setting or request that cannot work; nothing was sent.
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, Reason::Setting, message).in_phase(Phase::NotSent)
    }

    pub(crate) fn retrying(mut self, retry: Retry) -> Self {
        self.common = self.common.retrying(retry);
        self
    }

    pub(crate) fn in_phase(mut self, phase: Phase) -> Self {
        self.common = self.common.in_phase(phase);
        self
    }

    pub(crate) fn with_http_status(mut self, status: u16) -> Self {
        self.service().http_status = Some(status);
        self
    }

    pub(crate) fn telling(mut self, told: Vec<ServiceError>) -> Self {
        self.service().told = told;
        self
    }

    pub(crate) fn about_job(mut self, job: JobTrouble) -> Self {
        self.service().job = Some(job);
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.common = self.common.with(name, value);
        self
    }

    pub(crate) fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.common = self.common.caused_by(source);
        self
    }

    pub(crate) fn exhausted_after(mut self, attempts: u32) -> Self {
        self.common = self.common.exhausted();
        self.with("attempts", attempts.to_string())
    }

    fn service(&mut self) -> &mut Service {
        Arc::make_mut(&mut self.service)
    }

    /// The precise cause.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.service.reason
    }

    /// What BigQuery says, in its order: the first is usually the cause.
    #[must_use]
    pub fn service_errors(&self) -> &[ServiceError] {
        &self.service.told
    }

    /// The HTTP status, where there was an answer.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.service.http_status
    }

    /// What it says about a job, where it is about one.
    #[must_use]
    pub fn job(&self) -> Option<&JobTrouble> {
        self.service.job.as_ref()
    }

    /// The error and all its causes in one line, for logs.
    #[must_use]
    pub fn chain(&self) -> String {
        sync_error::chain(self)
    }
}

/// Kind, retry, phase and context; the context has `operation`, `table`, `job_id`, `attempts` and the like.
impl Deref for Error {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.service.told.iter();
        let words = told.find(|told| !told.message.is_empty());
        let words = words.map(|told| told.message.as_str());
        let status = self.service.http_status.filter(|status| *status != 200);
        let status = status
            .as_ref()
            .map(|status| ("http_status", status as &dyn fmt::Display));
        self.common.write(f, words, status)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut report = f.debug_struct("Error");
        self.common.debug(&mut report);
        report
            .field("reason", &self.service.reason)
            .field("told", &self.service.told)
            .field("http_status", &self.service.http_status)
            .field("job", &self.service.job)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.common.source()
    }
}

impl From<sync_http::Error> for Error {
    fn from(source: sync_http::Error) -> Self {
        let (kind, reason, message) = match source.kind() {
            kind @ ErrorKind::Config => (
                kind,
                Reason::Setting,
                "the HTTP client cannot work as it is set up",
            ),
            kind @ ErrorKind::Timeout => (
                kind,
                Reason::Connection,
                "no answer in time; raise the timeouts, or send less at once",
            ),
            kind @ ErrorKind::Unavailable => {
                (kind, Reason::Connection, "no connection, or one that broke")
            }
            ErrorKind::Limit => (
                ErrorKind::Protocol,
                Reason::AnswerTooLarge,
                "the answer is larger than allowed; ask for smaller pages, or raise max_answer_bytes",
            ),
            kind @ ErrorKind::Protocol => (
                kind,
                Reason::HttpStatus,
                "the address does not answer as BigQuery does; check the endpoint",
            ),
            _ => (
                ErrorKind::Internal,
                Reason::Internal,
                "the HTTP layer failed",
            ),
        };
        let mut error = Self::new(kind, reason, message);
        error.common = error.common.following(&source).caused_by(source);
        error
    }
}
