//! What went wrong with a call, at which level, and what may be done about it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use intacct_xml::response::{GatewayError, Level};
use sync_http::{Phase, Retry};

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of thing went wrong: what a caller decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting or a request cannot work as given.
    Config,
    /// Sender, user or session was not accepted.
    Auth,
    /// The user may not do this, or the object is not in the company's subscription.
    Permission,
    /// The object or address does not exist.
    NotFound,
    /// Too many requests.
    Throttled,
    /// No answer in time.
    Timeout,
    /// The gateway could not be reached, is off-line, or its answer was cut off.
    Unavailable,
    /// The gateway understood the request and refused it.
    Rejected,
    /// The answer is not what the gateway documents.
    Protocol,
    /// A value does not fit the type that was asked for.
    Data,
    /// What is being read changed under the reading, or what is being written exists already: start again.
    Conflict,
    /// This client or the gateway does not do that.
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

/// An error of a call. Cheap to clone.
///
/// `Display` is one line: what happened, to what, why and what to do. It never holds a body, a secret, or a URL
/// with a query; the gateway's own texts are part of it.
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
    level: Option<Level>,
    http_status: Option<u16>,
    request_control_id: Option<String>,
    gateway_errors: Vec<GatewayError>,
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
            level: None,
            http_status: None,
            request_control_id: None,
            gateway_errors: Vec::new(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// A setting or request that cannot work; nothing was sent.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, Reason::Invalid, message).in_phase(Phase::NotSent)
    }

    /// A request that the wire format refuses to write.
    pub(crate) fn unwritable(source: intacct_xml::Error) -> Self {
        Self::invalid("the request cannot be written").because(source)
    }

    pub(crate) fn retrying(mut self, retry: Retry) -> Self {
        self.inner().retry = retry;
        self
    }

    pub(crate) fn in_phase(mut self, phase: Phase) -> Self {
        self.inner().phase = phase;
        self
    }

    pub(crate) fn at_level(mut self, level: Level) -> Self {
        self.inner().level = Some(level);
        self
    }

    pub(crate) fn with_http_status(mut self, status: u16) -> Self {
        self.inner().http_status = Some(status);
        self
    }

    pub(crate) fn in_request(mut self, control_id: &str) -> Self {
        self.inner().request_control_id = Some(control_id.to_owned());
        self
    }

    pub(crate) fn with_gateway_errors(mut self, errors: &[GatewayError]) -> Self {
        self.inner().gateway_errors = errors.to_vec();
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

    /// The same failure, said in other words.
    pub(crate) fn saying(mut self, message: &str) -> Self {
        message.clone_into(&mut self.inner().message);
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

    /// Whether the same call may be made again, and when. `Never` once the error is
    /// [exhausted](Self::exhausted).
    #[must_use]
    pub fn retry(&self) -> Retry {
        if self.0.exhausted {
            Retry::Never
        } else {
            self.0.retry
        }
    }

    /// Whether this client tries again by itself. What quiet hours refuse is for a later run.
    pub(crate) fn retry_here(&self) -> Retry {
        match self.0.reason {
            Reason::QuietHours => Retry::Never,
            _ => self.retry(),
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

    /// At which level of the answer it stands, where the gateway answered.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        self.0.level
    }

    /// The HTTP status, where there was an answer.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The control id of the request, where one was sent; the function's is in the [context](Self::context).
    #[must_use]
    pub fn request_control_id(&self) -> Option<&str> {
        self.0.request_control_id.as_deref()
    }

    /// What the gateway says, in its order: the first is usually the cause.
    #[must_use]
    pub fn gateway_errors(&self) -> &[GatewayError] {
        &self.0.gateway_errors
    }

    /// The id to give to the vendor's support.
    #[must_use]
    pub fn support_id(&self) -> Option<&str> {
        self.0
            .gateway_errors
            .iter()
            .find_map(|error| error.support_id.as_deref())
    }

    /// The id under which the gateway's edge knows the request, for the vendor's support.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0
            .gateway_errors
            .iter()
            .find_map(|error| error.request_id.as_deref())
    }

    /// The fields that the gateway refuses to query, as its text names them; empty for other reasons than
    /// [`Reason::FieldsRefused`].
    #[must_use]
    pub fn refused_fields(&self) -> Vec<&str> {
        if self.0.reason != Reason::FieldsRefused {
            return Vec::new();
        }
        let texts = self.0.gateway_errors.iter().flat_map(|error| {
            let texts = [&error.description2, &error.description, &error.errorno];
            texts.into_iter().filter_map(|text| text.as_deref())
        });
        texts
            .filter_map(names_behind_colon)
            .next()
            .unwrap_or_default()
    }

    /// Facts beside the message, as pairs of name and value: `function`, `object`, `control_id`, `attempts` and
    /// the like.
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.write_str(&inner.message)?;
        if let Some(cause) = inner
            .gateway_errors
            .iter()
            .find(|error| !error.is_rollback())
        {
            write!(f, ": {}", shortened(&cause.to_string()))?;
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
            .field("level", &inner.level)
            .field("http_status", &inner.http_status)
            .field("request_control_id", &inner.request_control_id)
            .field("gateway_errors", &inner.gateway_errors)
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
                Reason::Invalid,
                "the HTTP client cannot work as it is set up",
            ),
            Http::Timeout => (
                ErrorKind::Timeout,
                Reason::Connection,
                "the gateway did not answer in time; ask for less, or raise the timeouts",
            ),
            Http::Unavailable => (
                ErrorKind::Unavailable,
                Reason::Connection,
                "the gateway could not be reached, or the connection broke",
            ),
            Http::Limit => (
                ErrorKind::Protocol,
                Reason::TooLarge,
                "the gateway's answer is larger than allowed; ask for smaller pages, or raise the limit",
            ),
            Http::Protocol => (
                ErrorKind::Protocol,
                Reason::HttpStatus,
                "the address does not answer as the gateway does; check the endpoint",
            ),
            _ => (
                ErrorKind::Internal,
                Reason::TaskEnded,
                "the HTTP layer failed",
            ),
        };
        Self::new(kind, reason, message)
            .retrying(source.retry())
            .in_phase(source.phase())
            .because(source)
    }
}
