//! What each of BigQuery's errors means and what this client does about it, as a table.
//!
//! BigQuery documentation, "Error messages"; what Google's own clients repeat stands behind the remedies.

use std::time::Duration;

use sync_http::{Phase, Retry};

use crate::error::{Error, ErrorKind, ServiceError};

/// The precise cause of an error: finer than [`ErrorKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A setting or a request that cannot be sent.
    Setting,
    /// A credentials file, or what it holds, that cannot be used.
    Credentials,
    /// The token endpoint refused the credentials.
    TokenRefused,
    /// No connection, or one that broke.
    Connection,
    /// A status that no rule knows, or an answer that is not BigQuery's program.
    HttpStatus,
    /// The answer is larger than this client reads.
    AnswerTooLarge,
    /// The answer is no JSON, ended early, or has another shape than documented.
    BrokenAnswer,
    /// Something in this program that should not happen.
    Internal,
    /// A limit that this client keeps by itself; nothing was sent.
    Paced,
    /// The table is too new, or was changed too recently, to be streamed into.
    FreshTable,
    /// A job had not ended when this client stopped waiting for it.
    JobUnfinished,
    /// `authError`, `required`: the token was not accepted.
    AuthError,
    /// `accessDenied`.
    AccessDenied,
    /// `billingNotEnabled`, and streaming in the free tier.
    BillingNotEnabled,
    /// `blocked`: the service has put the client on a list of its own.
    Blocked,
    /// `notFound`.
    NotFound,
    /// `duplicate`: it exists already.
    Duplicate,
    /// `conditionNotMet`: it has changed since it was read.
    ConditionNotMet,
    /// `rateLimitExceeded`, `jobRateLimitExceeded`: too much at once.
    RateLimitExceeded,
    /// Too many changes of one table within ten seconds.
    TableUpdateRate,
    /// `quotaExceeded`: a quota of a second, a day or a project.
    QuotaExceeded,
    /// Another statement changes the same table.
    ConcurrentUpdate,
    /// A statement would change rows that were streamed less than half an hour ago.
    StreamingBuffer,
    /// `requestTooLarge`, in whatever form it comes: send less at once.
    RequestTooLarge,
    /// `responseTooLarge`: the result wants a destination table.
    ResponseTooLarge,
    /// `resourcesExceeded`, `billingTierLimitExceeded`: the query is too much for its means.
    ResourcesExceeded,
    /// `timeout`: the job ran out of its time.
    JobTimeout,
    /// `resourceInUse`.
    ResourceInUse,
    /// `tableUnavailable`.
    TableUnavailable,
    /// `invalidQuery`.
    InvalidQuery,
    /// `invalid`, `badRequest`, `parseError` and their like.
    Invalid,
    /// `notImplemented`.
    NotImplemented,
    /// `stopped`: the job was cancelled.
    Stopped,
    /// `backendError`, `internalError`, `badGateway` and their like: BigQuery's own trouble.
    Backend,
    /// The proxy between wants credentials of its own.
    ProxyAuthentication,
    /// An upload session that is over.
    UploadLost,
}

/// What may be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remedy {
    /// Nothing by itself: somebody has to change something.
    Surface,
    /// The same again, with the same ids, after a wait that grows. A job that failed so is run again under its next id.
    Again,
    /// As [`Again`](Self::Again), and no sooner than this.
    Wait(Duration),
    /// The same again, once, with a fresh token.
    Refresh,
    /// The job failed and left nothing behind: run it again, under its next id.
    NextJob,
    /// As [`NextJob`](Self::NextJob), and no sooner than this.
    NextJobAfter(Duration),
    /// Send less at once.
    Split,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rule {
    /// The HTTP statuses that it is about; any, where there are none. A failed job has none.
    pub statuses: &'static [u16],
    /// The reasons that it is about; any, where there are none.
    pub reasons: &'static [&'static str],
    /// What the message has to contain, in any case of letters; anything, where it is empty. BigQuery puts some causes
    /// into its text alone.
    pub text: &'static str,
    /// The kind of error.
    pub kind: ErrorKind,
    /// The cause.
    pub reason: Reason,
    /// What is done.
    pub remedy: Remedy,
    /// What it means, and what to do.
    pub advice: &'static str,
}

const fn rule(
    statuses: &'static [u16],
    reasons: &'static [&'static str],
    text: &'static str,
    (kind, reason, remedy): (ErrorKind, Reason, Remedy),
    advice: &'static str,
) -> Rule {
    Rule {
        statuses,
        reasons,
        text,
        kind,
        reason,
        remedy,
        advice,
    }
}

/// How often a [quota](Reason::QuotaExceeded) is asked again before it is told: one of a second is soon free again, one
/// of a day is not.
pub const QUOTA_ATTEMPTS: u32 = 3;

const QUOTA_WAIT: Duration = Duration::from_secs(60);
const TABLE_UPDATE_WAIT: Duration = Duration::from_secs(10);
const STREAMING_BUFFER_WAIT: Duration = Duration::from_secs(30 * 60);

/// What each error means: the first rule that fits counts.
pub static RULES: &[Rule] = &[
    // What stands in the text alone comes first: its reasons say something else as well.
    rule(
        &[],
        &[],
        "payload size exceeds",
        (ErrorKind::Rejected, Reason::RequestTooLarge, Remedy::Split),
        "the request is too large; send less at once",
    ),
    rule(
        &[],
        &[],
        "streaming buffer",
        (
            ErrorKind::Conflict,
            Reason::StreamingBuffer,
            Remedy::NextJobAfter(STREAMING_BUFFER_WAIT),
        ),
        "rows that were streamed within the last half hour cannot be changed; wait, or change a table that is not \
         streamed into",
    ),
    rule(
        &[],
        &[],
        "too many table update operations",
        (
            ErrorKind::Throttled,
            Reason::TableUpdateRate,
            Remedy::Wait(TABLE_UPDATE_WAIT),
        ),
        "the table is changed too often; at most five changes in ten seconds",
    ),
    rule(
        &[],
        &[],
        "not allowed in the free tier",
        (
            ErrorKind::Permission,
            Reason::BillingNotEnabled,
            Remedy::Surface,
        ),
        "the project has no billing; enable it, or use load jobs, which are free",
    ),
    rule(
        &[],
        &[],
        "concurrent update",
        (
            ErrorKind::Conflict,
            Reason::ConcurrentUpdate,
            Remedy::NextJob,
        ),
        "another statement changed the same table meanwhile",
    ),
    rule(
        &[],
        &[],
        "could not serialize access",
        (
            ErrorKind::Conflict,
            Reason::ConcurrentUpdate,
            Remedy::NextJob,
        ),
        "another statement changed the same table meanwhile",
    ),
    rule(
        &[],
        &[],
        "too many dml statements outstanding",
        (
            ErrorKind::Throttled,
            Reason::ConcurrentUpdate,
            Remedy::NextJob,
        ),
        "too many statements wait for the same table; send them one after the other",
    ),
    rule(
        &[],
        &["invalidQuery"],
        "exceeded rate limits",
        (
            ErrorKind::Throttled,
            Reason::RateLimitExceeded,
            Remedy::NextJob,
        ),
        "too many jobs at once",
    ),
    rule(
        &[],
        &["invalidQuery"],
        "retrying the job may solve the problem",
        (ErrorKind::Unavailable, Reason::Backend, Remedy::NextJob),
        "the job failed in BigQuery and may succeed when it runs again",
    ),
    // Reasons.
    rule(
        &[],
        &["jobBackendError", "jobInternalError"],
        "",
        (ErrorKind::Unavailable, Reason::Backend, Remedy::NextJob),
        "the job failed in BigQuery and may succeed when it runs again",
    ),
    rule(
        &[],
        &["jobRateLimitExceeded"],
        "",
        (
            ErrorKind::Throttled,
            Reason::RateLimitExceeded,
            Remedy::NextJob,
        ),
        "too many jobs at once",
    ),
    rule(
        &[],
        &["rateLimitExceeded", "RATE_LIMIT_EXCEEDED"],
        "",
        (
            ErrorKind::Throttled,
            Reason::RateLimitExceeded,
            Remedy::Again,
        ),
        "too many requests at once",
    ),
    rule(
        &[],
        &["quotaExceeded"],
        "",
        (
            ErrorKind::Throttled,
            Reason::QuotaExceeded,
            Remedy::Wait(QUOTA_WAIT),
        ),
        "a quota is used up; one of a second clears by itself, one of a day the next day, and the rest by asking Google \
         for more",
    ),
    rule(
        &[],
        &["accessDenied"],
        "",
        (ErrorKind::Permission, Reason::AccessDenied, Remedy::Surface),
        "the credentials do not grant this; the dataset wants roles/bigquery.dataEditor and the project \
         roles/bigquery.jobUser",
    ),
    rule(
        &[],
        &["billingNotEnabled"],
        "",
        (
            ErrorKind::Permission,
            Reason::BillingNotEnabled,
            Remedy::Surface,
        ),
        "the project has no billing; enable it in the console",
    ),
    rule(
        &[],
        &["blocked"],
        "",
        (ErrorKind::Permission, Reason::Blocked, Remedy::Surface),
        "BigQuery has blocked the operation for now; ask Google's support",
    ),
    rule(
        &[],
        &["responseTooLarge"],
        "",
        (
            ErrorKind::Rejected,
            Reason::ResponseTooLarge,
            Remedy::Surface,
        ),
        "the result is too large to be returned; write it to a table",
    ),
    rule(
        &[],
        &["invalidQuery"],
        "",
        (ErrorKind::Rejected, Reason::InvalidQuery, Remedy::Surface),
        "BigQuery does not take the statement",
    ),
    rule(
        &[],
        &["resourcesExceeded", "billingTierLimitExceeded"],
        "",
        (
            ErrorKind::Rejected,
            Reason::ResourcesExceeded,
            Remedy::Surface,
        ),
        "the job needs more than it may use; make it smaller",
    ),
    rule(
        &[400],
        &["timeout"],
        "",
        (ErrorKind::Rejected, Reason::JobTimeout, Remedy::Surface),
        "the job ran out of its time; make it smaller",
    ),
    rule(
        &[],
        &["tableUnavailable"],
        "",
        (
            ErrorKind::Unavailable,
            Reason::TableUnavailable,
            Remedy::Again,
        ),
        "the table is not available at the moment",
    ),
    rule(
        &[],
        &["resourceInUse"],
        "",
        (ErrorKind::Conflict, Reason::ResourceInUse, Remedy::Surface),
        "it is in use: a dataset with tables in it is not removed",
    ),
    rule(
        &[],
        &["stopped"],
        "",
        (ErrorKind::Rejected, Reason::Stopped, Remedy::NextJob),
        "the job was cancelled",
    ),
    rule(
        &[],
        &["notImplemented"],
        "",
        (
            ErrorKind::Unsupported,
            Reason::NotImplemented,
            Remedy::Surface,
        ),
        "BigQuery does not do that",
    ),
    rule(
        &[],
        &["requestTooLarge"],
        "",
        (ErrorKind::Rejected, Reason::RequestTooLarge, Remedy::Split),
        "the request is too large; send less at once",
    ),
    rule(
        &[],
        &["backendError", "internalError", "badGateway"],
        "",
        (ErrorKind::Unavailable, Reason::Backend, Remedy::Again),
        "BigQuery failed at it",
    ),
    // Statuses, whatever the body says: there may be none, or a proxy's page.
    rule(
        &[401],
        &[],
        "",
        (ErrorKind::Auth, Reason::AuthError, Remedy::Refresh),
        "the credentials were not accepted; check that the key or account still exists and that this machine's clock is \
         right",
    ),
    rule(
        &[404],
        &[],
        "",
        (ErrorKind::NotFound, Reason::NotFound, Remedy::Surface),
        "it does not exist, or not in this project or location",
    ),
    rule(
        &[407],
        &[],
        "",
        (
            ErrorKind::Config,
            Reason::ProxyAuthentication,
            Remedy::Surface,
        ),
        "the proxy wants credentials; put them into its address in HTTPS_PROXY",
    ),
    rule(
        &[408],
        &[],
        "",
        (ErrorKind::Timeout, Reason::Connection, Remedy::Again),
        "the request did not arrive in time",
    ),
    rule(
        &[429],
        &[],
        "",
        (
            ErrorKind::Throttled,
            Reason::RateLimitExceeded,
            Remedy::Again,
        ),
        "too many requests at once",
    ),
    rule(
        &[409],
        &[],
        "",
        (ErrorKind::Conflict, Reason::Duplicate, Remedy::Surface),
        "it exists already",
    ),
    rule(
        &[410],
        &[],
        "",
        (ErrorKind::NotFound, Reason::UploadLost, Remedy::Surface),
        "the upload session is over",
    ),
    rule(
        &[412],
        &[],
        "",
        (
            ErrorKind::Conflict,
            Reason::ConditionNotMet,
            Remedy::Surface,
        ),
        "it has changed since it was read; read it again",
    ),
    rule(
        &[413],
        &[],
        "",
        (ErrorKind::Rejected, Reason::RequestTooLarge, Remedy::Split),
        "the request is too large; send less at once",
    ),
    rule(
        &[501],
        &[],
        "",
        (
            ErrorKind::Unsupported,
            Reason::NotImplemented,
            Remedy::Surface,
        ),
        "BigQuery does not do that",
    ),
    rule(
        &[500, 502, 503, 504],
        &[],
        "",
        (ErrorKind::Unavailable, Reason::Backend, Remedy::Again),
        "BigQuery failed at it",
    ),
    // Reasons that say nothing the status does not say better.
    rule(
        &[],
        &["notFound"],
        "",
        (ErrorKind::NotFound, Reason::NotFound, Remedy::Surface),
        "it does not exist, or not in this project or location",
    ),
    rule(
        &[],
        &["duplicate"],
        "",
        (ErrorKind::Conflict, Reason::Duplicate, Remedy::Surface),
        "it exists already",
    ),
    rule(
        &[],
        &["timeout"],
        "",
        (ErrorKind::Rejected, Reason::JobTimeout, Remedy::Surface),
        "the job ran out of its time; make it smaller",
    ),
    rule(
        &[403],
        &[],
        "",
        (ErrorKind::Permission, Reason::AccessDenied, Remedy::Surface),
        "BigQuery refuses it to these credentials",
    ),
    rule(
        &[],
        &[
            "invalid",
            "badRequest",
            "parseError",
            "invalidUser",
            "attributeError",
        ],
        "",
        (ErrorKind::Rejected, Reason::Invalid, Remedy::Surface),
        "BigQuery does not take the request",
    ),
    rule(
        &[400],
        &[],
        "",
        (ErrorKind::Rejected, Reason::Invalid, Remedy::Surface),
        "BigQuery does not take the request",
    ),
];

/// Where no rule fits.
static UNKNOWN: Rule = rule(
    &[],
    &[],
    "",
    (ErrorKind::Rejected, Reason::HttpStatus, Remedy::Surface),
    "the answer is none that this client knows; check the endpoint and what stands between",
);

/// As [`UNKNOWN`], for a status that says that the server failed.
static UNKNOWN_FAILURE: Rule = rule(
    &[],
    &[],
    "",
    (ErrorKind::Unavailable, Reason::HttpStatus, Remedy::Again),
    "the server failed in a way that this client does not know",
);

/// The rule for an answer of this status that tells these errors, or for a failed job, which has no status.
#[must_use]
pub fn rule_for(status: Option<u16>, told: &[ServiceError]) -> &'static Rule {
    // The first error is the cause; BigQuery puts what follows from it behind.
    let cause = told.first();
    let fits = |rule: &&Rule| {
        let by_status = rule.statuses.is_empty()
            || status.is_some_and(|status| rule.statuses.contains(&status));
        let by_reason = rule.reasons.is_empty()
            || cause.is_some_and(|cause| rule.reasons.contains(&cause.reason.as_str()));
        let by_text = rule.text.is_empty()
            || cause.is_some_and(|cause| cause.message.to_ascii_lowercase().contains(rule.text));
        by_status && by_reason && by_text
    };
    let fallback = if status.is_some_and(|status| status >= 500) {
        &UNKNOWN_FAILURE
    } else {
        &UNKNOWN
    };
    RULES.iter().find(fits).unwrap_or(fallback)
}

impl Rule {
    /// The error of a request that was refused so.
    pub(crate) fn refusal(
        &self,
        status: u16,
        told: Vec<ServiceError>,
        retry_after: Option<Duration>,
    ) -> Error {
        let retry = match (self.remedy, retry_after) {
            // A job that was refused before it was one may be sent again under its id; if it was one, that is found out.
            (Remedy::Again | Remedy::NextJob, Some(asked)) => Retry::After(asked),
            (Remedy::Again | Remedy::NextJob, None) => Retry::Backoff,
            (Remedy::Wait(least) | Remedy::NextJobAfter(least), asked) => {
                Retry::After(least.max(asked.unwrap_or_default()))
            }
            (Remedy::Refresh, _) => Retry::AfterRefresh,
            _ => Retry::Never,
        };
        // A server that failed at it may have carried it out all the same.
        let phase = if status >= 500 {
            Phase::MaybeReceived
        } else {
            Phase::Answered
        };
        Error::new(self.kind, self.reason, self.advice)
            .retrying(retry)
            .in_phase(phase)
            .telling(told)
            .with_http_status(status)
    }

    /// When work whose job failed so may run again, under its next id.
    pub(crate) fn next_job(&self) -> Retry {
        match self.remedy {
            Remedy::Again | Remedy::NextJob => Retry::Backoff,
            Remedy::Wait(least) | Remedy::NextJobAfter(least) => Retry::After(least),
            Remedy::Surface | Remedy::Refresh | Remedy::Split => Retry::Never,
        }
    }
}
