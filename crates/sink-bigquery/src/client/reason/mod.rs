//! What each of BigQuery's errors means and what this client does about it, as a [table](RULES).

mod rules;

use std::time::Duration;

use sync_http::{Phase, Retry};

pub use self::rules::RULES;
use self::rules::{UNKNOWN, UNKNOWN_FAILURE};
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

/// How often a [quota](Reason::QuotaExceeded) is asked again before it is told: one of a second is soon free again, one
/// of a day is not.
pub const QUOTA_ATTEMPTS: u32 = 3;

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
