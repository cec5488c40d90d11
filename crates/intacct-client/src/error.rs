//! What went wrong with a call, at which level, and what may be done about it.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use intacct_xml::response::{GatewayError, Level};
pub use sync_error::ErrorKind;
use sync_error::{Error as Common, Phase, Retry};

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// The precise cause, in the gateway's terms: finer than the [`ErrorKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A setting or a request that cannot be sent.
    Invalid,
    /// No connection, or one that broke.
    Connection,
    /// An HTTP status that is no answer of the gateway's program.
    HttpStatus,
    /// HTTP 524: the edge gave up waiting, the gateway may still be working.
    OriginTimeout,
    /// A page of the network in front of the gateway that asks a browser to prove itself.
    ChallengePage,
    /// The answer is larger than this client reads.
    TooLarge,
    /// The answer ended early, or is no XML.
    BrokenAnswer,
    /// The answer is XML, but not the documented envelope.
    Envelope,
    /// The control block was refused: sender id or password, or a document that violates the schema.
    Control,
    /// The user, company or password was refused.
    Login,
    /// The sender is not authorised in the company's web-services settings.
    SenderNotAuthorised,
    /// The session is invalid or expired.
    SessionExpired,
    /// The endpoint that came with a session is not one that the session may be sent to.
    ForeignEndpoint,
    /// The gateway asks for fewer requests.
    RateLimited,
    /// The budget of calls is spent; nothing was sent.
    BudgetSpent,
    /// It is one of the hours in which no call is made; nothing was sent.
    QuietHours,
    /// The service is temporarily off-line, or asks to try again later.
    Offline,
    /// The user has no permission for the operation on the object, or the object is not subscribed to.
    Permission,
    /// The object does not exist.
    UnknownObject,
    /// Some of the fields cannot be queried; the gateway's texts name them.
    FieldsRefused,
    /// The gateway says no more than that there was an error processing the request (DL02000001): an unknown field, a
    /// value in the wrong format, or a failure of its own. Fewer fields or a narrower filter find out which.
    Processing,
    /// The function was refused for another reason.
    Function,
    /// The function was undone because another of its transaction failed; kind and texts are the other's.
    Aborted,
    /// A function with this control id was executed before.
    DuplicateFunction,
    /// A value of that name exists already.
    AlreadyExists,
    /// The rest of a `readByQuery` result or of a report can no longer be had: start the query, or run the report, again.
    CursorLost,
    /// The report was not ready in time: run it again.
    ReportPending,
    /// The result changed while it was read by offset: start the query again.
    TotalChanged,
    /// Records came in an order, or from outside the bounds, that was not asked for.
    OrderBroken,
    /// The API user sees dates and times in a form that cannot be read for certain.
    SourceFormat,
    /// A record could not be read into the type that was asked for.
    Value,
    /// A task of this client ended before its work was done.
    TaskEnded,
}

/// An error of a call. Cheap to clone. What every part of a sync says of its errors, kind, retry, phase and context, comes
/// from [`sync_error::Error`], which it derefs to.
///
/// `Display` is one line: what happened, to what, why and what to do. It never holds a body, a secret, or a URL
/// with a query; the gateway's own texts are part of it.
#[derive(Clone)]
pub struct Error {
    common: Common,
    gateway: Arc<Gateway>,
}

/// What the gateway's answer adds.
#[derive(Clone)]
struct Gateway {
    reason: Reason,
    level: Option<Level>,
    http_status: Option<u16>,
    request_control_id: Option<String>,
    errors: Vec<GatewayError>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            common: Common::new(kind, message).in_phase(Phase::Answered),
            gateway: Arc::new(Gateway {
                reason,
                level: None,
                http_status: None,
                request_control_id: None,
                errors: Vec::new(),
            }),
        }
    }

    /// A setting or request that cannot work; nothing was sent.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, Reason::Invalid, message).in_phase(Phase::NotSent)
    }

    /// A request that the wire format refuses to write.
    pub(crate) fn unwritable(source: intacct_xml::Error) -> Self {
        Self::invalid("the request cannot be written").caused_by(source)
    }

    pub(crate) fn retrying(mut self, retry: Retry) -> Self {
        self.common = self.common.retrying(retry);
        self
    }

    pub(crate) fn in_phase(mut self, phase: Phase) -> Self {
        self.common = self.common.in_phase(phase);
        self
    }

    pub(crate) fn at_level(mut self, level: Level) -> Self {
        self.gateway().level = Some(level);
        self
    }

    pub(crate) fn with_http_status(mut self, status: u16) -> Self {
        self.gateway().http_status = Some(status);
        self
    }

    pub(crate) fn in_request(mut self, control_id: &str) -> Self {
        self.gateway().request_control_id = Some(control_id.to_owned());
        self
    }

    pub(crate) fn with_gateway_errors(mut self, errors: &[GatewayError]) -> Self {
        self.gateway().errors = errors.to_vec();
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

    /// The same failure, said in other words.
    pub(crate) fn saying(mut self, message: &str) -> Self {
        self.common = self.common.saying(message);
        self
    }

    fn gateway(&mut self) -> &mut Gateway {
        Arc::make_mut(&mut self.gateway)
    }

    /// The precise cause.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.gateway.reason
    }

    /// Whether this client tries again by itself. What quiet hours refuse is for a later run.
    pub(crate) fn retry_here(&self) -> Retry {
        match self.gateway.reason {
            Reason::QuietHours => Retry::Never,
            _ => self.retry(),
        }
    }

    /// At which level of the answer it stands, where the gateway answered.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        self.gateway.level
    }

    /// The HTTP status, where there was an answer.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.gateway.http_status
    }

    /// The control id of the request, where one was sent; the function's is in the [context](Common::context).
    #[must_use]
    pub fn request_control_id(&self) -> Option<&str> {
        self.gateway.request_control_id.as_deref()
    }

    /// What the gateway says, in its order: the first is usually the cause.
    #[must_use]
    pub fn gateway_errors(&self) -> &[GatewayError] {
        &self.gateway.errors
    }

    /// The id to give to the vendor's support.
    #[must_use]
    pub fn support_id(&self) -> Option<&str> {
        self.gateway
            .errors
            .iter()
            .find_map(|error| error.support_id.as_deref())
    }

    /// The id under which the gateway's edge knows the request, for the vendor's support.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.gateway
            .errors
            .iter()
            .find_map(|error| error.request_id.as_deref())
    }

    /// The fields that the gateway refuses to query, as its text names them; empty for other reasons than
    /// [`Reason::FieldsRefused`].
    #[must_use]
    pub fn refused_fields(&self) -> Vec<&str> {
        if self.gateway.reason != Reason::FieldsRefused {
            return Vec::new();
        }
        let texts = self.gateway.errors.iter().flat_map(|error| {
            let texts = [&error.description2, &error.description, &error.errorno];
            texts.into_iter().filter_map(|text| text.as_deref())
        });
        texts
            .filter_map(names_behind_colon)
            .next()
            .unwrap_or_default()
    }

    /// The error and all its causes in one line, for logs.
    #[must_use]
    pub fn chain(&self) -> String {
        sync_error::chain(self)
    }
}

/// Kind, retry, phase and context; the context has `function`, `object`, `control_id`, `attempts` and the like.
impl Deref for Error {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut errors = self.gateway.errors.iter();
        let cause = errors.find(|error| !error.is_rollback());
        let words = cause.map(ToString::to_string);
        let status = self.gateway.http_status.filter(|status| *status != 200);
        let status = status
            .as_ref()
            .map(|status| ("http_status", status as &dyn fmt::Display));
        self.common.write(f, words.as_deref(), status)
    }
}

/// The names in `The following fields cannot be queried: A, B.C [Support ID: …]`.
fn names_behind_colon(text: &str) -> Option<Vec<&str>> {
    let (_, behind) = text.split_once("cannot be queried")?;
    let (_, list) = behind.split_once(':')?;
    let list = list.split_once('[').map_or(list, |(list, _)| list);
    let names = list.split([',', ';', ' ', '\n', '\r', '\t']);
    let names: Vec<&str> = names
        .map(|name| name.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|name| !name.is_empty())
        .collect();
    (!names.is_empty()).then_some(names)
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut report = f.debug_struct("Error");
        self.common.debug(&mut report);
        report
            .field("reason", &self.gateway.reason)
            .field("level", &self.gateway.level)
            .field("http_status", &self.gateway.http_status)
            .field("request_control_id", &self.gateway.request_control_id)
            .field("gateway_errors", &self.gateway.errors)
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
                Reason::Invalid,
                "the HTTP client cannot work as it is set up",
            ),
            kind @ ErrorKind::Timeout => (
                kind,
                Reason::Connection,
                "the gateway did not answer in time; ask for less, or raise the timeouts",
            ),
            kind @ ErrorKind::Unavailable => (
                kind,
                Reason::Connection,
                "the gateway could not be reached, or the connection broke",
            ),
            ErrorKind::Limit => (
                ErrorKind::Protocol,
                Reason::TooLarge,
                "the gateway's answer is larger than allowed; ask for smaller pages, or raise the limit",
            ),
            kind @ ErrorKind::Protocol => (
                kind,
                Reason::HttpStatus,
                "the address does not answer as the gateway does; check the endpoint",
            ),
            _ => (
                ErrorKind::Internal,
                Reason::TaskEnded,
                "the HTTP layer failed",
            ),
        };
        let mut error = Self::new(kind, reason, message);
        error.common = error.common.following(&source).caused_by(source);
        error
    }
}
