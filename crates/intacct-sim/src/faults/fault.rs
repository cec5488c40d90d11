//! What can go wrong: each fault by its name in a script, with what it takes.

use serde::{Deserialize, Serialize};

use crate::company::{Edit, Stamp};

/// Something that goes wrong with a call.
///
/// In a script a fault is its name in snake case, with its settings where it has some:
/// `"two_roots"`, `{ http = { status = 503, body = "html" } }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// An HTTP status with a body of its own (developer.intacct.com, Error handling).
    Http(Http),
    /// The page of the network in front of the gateway, with `cf-error-details` in its HTML.
    Cloudflare(Cloudflare),
    /// HTTP 200 with the text `API rate limit exceeded` in a control failure without a number.
    RateLimitedBody,
    /// The connection ends before the answer, or amid it.
    Cut(Cut),
    /// The body ends early, the connection does not: `Content-Length` fits what is sent.
    Truncate(Truncate),
    /// The answer takes its time.
    Slow(Slow),
    /// A second root element behind the first.
    TwoRoots,
    /// A byte order mark before the declaration.
    ByteOrderMark,
    /// Blanks and line ends before the declaration.
    LeadingWhitespace,
    /// A document type declaration with an entity.
    Doctype,
    /// `Content-Encoding: gzip` over bytes that are no gzip.
    GzipGarbage,
    /// Another `Content-Type` than that of XML; an empty text leaves the header out.
    ContentType(String),

    /// A failure of the control block: nothing is executed.
    ControlFailure(ControlFailure),
    /// Sender id or password wrong: a control failure `XL03000006`.
    SenderRefused,
    /// The demo company has expired: a control failure `PL04000055`.
    DemoExpired,
    /// A failure of the authentication, of the given errors.
    AuthenticationFailure(Errors),
    /// User, company or password wrong; concerns calls that log in.
    LoginRefused,
    /// The company has not authorised the sender (`Invalid Web Services Authorization`).
    SenderNotAuthorised,
    /// The session of the call is over; concerns calls with a session.
    SessionExpired,
    /// A failure of the function, of the given errors.
    FunctionFailure(FunctionFailure),
    /// The function fails with `The Service is Temporarily Off-line`.
    Offline,
    /// The function fails, and the correction says `Please Try Again Later`.
    TryAgainLater,
    /// The function fails with `DL02000001`, `There was an error processing the request`.
    Processing,
    /// `readMore` does not know the result any more; concerns `readMore`.
    DeadCursor,

    /// `getAPISession` names this endpoint, and its session is known nowhere else; concerns
    /// `getAPISession`.
    Endpoint(String),
    /// The sessions' end as the answer shows it.
    ShownTimeout(ShownTimeout),
    /// Seconds that the session lives from this call on, shown and kept.
    SessionLifetime(u32),
    /// An element is missing in the answer, named with its parent: `result/status`,
    /// `result/function`, `result/controlid`, `operation/authentication`, `api/locationid`.
    Without(String),

    /// The page begins this many records later, or earlier where negative: what an offset shows
    /// when records came or went between two calls.
    ShiftRows(i64),
    /// The last records of the page, this many, come twice.
    RepeatRows(u32),
    /// Counts of the page that are not true.
    Totals(Totals),
    /// Bytes in values that XML does not allow.
    Characters(Characters),
    /// Empty fields are not there at all.
    AbsentNulls,
    /// Aggregates come under the bare name of their field: `AMOUNT` for `SUM.AMOUNT`.
    BareAggregates,

    /// An edit of the company before the call is answered.
    Edit(Edit),
    /// Seconds by which the company's clock moves on before the call is answered.
    AdvanceClock(u32),
    /// Another time of last change for records, before the call is answered.
    Stamp(Stamp),
    /// A round of the change story before the call is answered; nothing where it is refused.
    ApplyRound(u32),
    /// Records become visible so many seconds after they were made or changed: new ones to every
    /// search, changed ones to searches by the time of their change. With `AUDITHISTORY` as the
    /// object, deletes.
    Late(u32),
    /// A RECORDNO that is declared as a text is compared and ordered as one.
    TextualKeys,
}

/// Whether the request is executed although its answer is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Work {
    /// Nothing was executed.
    #[default]
    NotDone,
    /// Everything was executed; only the answer is lost.
    Done,
}

/// What an HTTP failure says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Body {
    /// A control failure.
    #[default]
    Xml,
    /// A page of the web server.
    Html,
    /// Nothing.
    Empty,
}

/// How `Retry-After` is written (RFC 9110, section 10.2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RetryAfterForm {
    /// A number of seconds.
    #[default]
    Seconds,
    /// A date by the company's clock.
    Date,
}

/// The settings of [`Fault::Http`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Http {
    /// 200 to 599.
    pub status: u16,
    /// What the body is.
    #[serde(default)]
    pub body: Body,
    /// The error number in an XML body; the usual one of the status where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The text of the error in an XML body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Seconds for `Retry-After`; without it there is no such header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// How that header is written.
    #[serde(default)]
    pub retry_after_as: RetryAfterForm,
    /// Whether the request is executed first.
    #[serde(default)]
    pub work: Work,
}

impl Http {
    /// A failure with this status and an XML body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            body: Body::Xml,
            number: None,
            text: None,
            retry_after: None,
            retry_after_as: RetryAfterForm::Seconds,
            work: Work::NotDone,
        }
    }

    /// Sets what the body is.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Sets the error number of an XML body.
    #[must_use]
    pub fn number(mut self, number: impl Into<String>) -> Self {
        self.number = Some(number.into());
        self
    }

    /// Sets `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32, form: RetryAfterForm) -> Self {
        (self.retry_after, self.retry_after_as) = (Some(seconds), form);
        self
    }

    /// Sets whether the request is executed first.
    #[must_use]
    pub fn work(mut self, work: Work) -> Self {
        self.work = work;
        self
    }
}

/// The settings of [`Fault::Cloudflare`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Cloudflare {
    /// 200 to 599; such pages come with any.
    #[serde(default = "service_unavailable")]
    pub status: u16,
}

impl Default for Cloudflare {
    fn default() -> Self {
        Self {
            status: service_unavailable(),
        }
    }
}

fn service_unavailable() -> u16 {
    503
}

/// The settings of [`Fault::Cut`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Cut {
    /// Before the first byte; nothing was executed.
    #[default]
    BeforeWork,
    /// Before the first byte; everything was executed.
    AfterWork,
    /// In the middle of the body; everything was executed.
    Amid,
}

/// The settings of [`Fault::Truncate`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Truncate {
    /// Bytes that are left, at most.
    Bytes(u64),
    /// The part that is left, from 0 to 1.
    Fraction(f64),
}

/// The settings of [`Fault::Slow`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Slow {
    /// Milliseconds before the first byte.
    pub before_ms: u64,
    /// Milliseconds in the middle of the body.
    pub amid_ms: u64,
}

/// An error as an answer words it. An element that is left out here is absent there; an empty
/// text makes an empty element.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ErrorText {
    /// `errorno`: a code, or prose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// `description`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `description2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description2: Option<String>,
    /// `correction`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correction: Option<String>,
    /// The support id behind `description2`, plain; the answer has it URL-encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support_id: Option<String>,
    /// `additionalinfo/errorid`, such as `GL-0493`; with it the whole block is there, whatever the
    /// request asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_id: Option<String>,
}

impl ErrorText {
    /// An error of a number and a `description2`, the rest empty.
    pub fn new(number: impl Into<String>, description2: impl Into<String>) -> Self {
        Self {
            number: Some(number.into()),
            description: Some(String::new()),
            description2: Some(description2.into()),
            correction: Some(String::new()),
            support_id: None,
            additional_id: None,
        }
    }

    pub(crate) fn described(mut self, description: &str) -> Self {
        self.description = Some(description.to_owned());
        self
    }

    pub(crate) fn corrected(mut self, correction: &str) -> Self {
        self.correction = Some(correction.to_owned());
        self
    }
}

/// The settings of [`Fault::AuthenticationFailure`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Errors {
    /// The errors, the cause first.
    pub errors: Vec<ErrorText>,
}

/// The settings of [`Fault::ControlFailure`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ControlFailure {
    /// The errors, the cause first.
    pub errors: Vec<ErrorText>,
    /// The HTTP status, 200 to 599.
    #[serde(default = "ok")]
    pub status: u16,
}

fn ok() -> u16 {
    200
}

/// The settings of [`Fault::FunctionFailure`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FunctionFailure {
    /// The errors, the cause first.
    pub errors: Vec<ErrorText>,
    /// Whether the function runs and its data stand beside the errors.
    #[serde(default)]
    pub work: Work,
}

impl FunctionFailure {
    /// A failure before the function has run.
    pub fn of(errors: impl IntoIterator<Item = ErrorText>) -> Self {
        Self {
            errors: errors.into_iter().collect(),
            work: Work::NotDone,
        }
    }
}

/// The settings of [`Fault::ShownTimeout`]: what `sessiontimeout` shows, whatever is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ShownTimeout {
    /// The element is not there.
    Absent,
    /// This text.
    Text(String),
    /// So many seconds from now, negative for the past.
    Seconds(i64),
}

/// The settings of [`Fault::Totals`]: what is added to each count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Totals {
    /// Added to `totalcount`.
    pub total: i64,
    /// Added to `count`.
    pub count: i64,
    /// Added to `numremaining`.
    pub remaining: i64,
}

/// What is put into values by [`Fault::Characters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Spoiler {
    /// The control character U+001F as a byte.
    RawControl,
    /// The reference `&#x1F;`.
    ControlReference,
    /// The reference `&#xD800;`, half of a pair.
    SurrogateReference,
    /// The byte FF, which is no UTF-8.
    InvalidUtf8,
}

/// The settings of [`Fault::Characters`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Characters {
    /// What is put in front of values.
    pub with: Spoiler,
    /// The field whose values it is put into.
    pub field: String,
    /// Every which record; each by default.
    #[serde(default = "each")]
    pub every: u32,
}

fn each() -> u32 {
    1
}

impl Characters {
    /// Something in front of every value of a field.
    pub fn new(with: Spoiler, field: impl Into<String>) -> Self {
        Self {
            with,
            field: field.into(),
            every: 1,
        }
    }
}

impl Fault {
    /// HTTP 429 with `GW-0010`, without `Retry-After`.
    pub fn throttled() -> Self {
        Self::Http(Http::status(429))
    }

    /// A function failure of one error.
    pub fn function_failure(number: impl Into<String>, description2: impl Into<String>) -> Self {
        Self::FunctionFailure(FunctionFailure::of([ErrorText::new(number, description2)]))
    }
}
