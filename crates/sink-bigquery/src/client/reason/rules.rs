//! The table of errors (BigQuery documentation, "Error messages"; what Google's own clients repeat stands behind the
//! remedies).

use std::time::Duration;

use super::{Reason, Remedy, Rule};
use crate::error::ErrorKind;

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
pub(super) static UNKNOWN: Rule = rule(
    &[],
    &[],
    "",
    (ErrorKind::Rejected, Reason::HttpStatus, Remedy::Surface),
    "the answer is none that this client knows; check the endpoint and what stands between",
);

/// As [`UNKNOWN`], for a status that says that the server failed.
pub(super) static UNKNOWN_FAILURE: Rule = rule(
    &[],
    &[],
    "",
    (ErrorKind::Unavailable, Reason::HttpStatus, Remedy::Again),
    "the server failed in a way that this client does not know",
);

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
