//! The table of errors, row by row: what each is taken for.

use sink_bigquery::client::reason::{RULES, Remedy, rule_for};
use sink_bigquery::{ErrorKind, Reason, ServiceError};

fn told(reason: &str, message: &str) -> Vec<ServiceError> {
    serde_json::from_value(serde_json::json!([{"reason": reason, "message": message}])).unwrap()
}

#[test]
fn every_error_of_the_documentation_has_its_meaning() {
    use ErrorKind as K;
    use Reason as R;
    let cases: &[(Option<u16>, &str, &str, K, R)] = &[
        (
            Some(400),
            "invalid",
            "Invalid value",
            K::Rejected,
            R::Invalid,
        ),
        (
            Some(400),
            "badRequest",
            "Bad Request",
            K::Rejected,
            R::Invalid,
        ),
        (
            Some(400),
            "parseError",
            "Parse Error",
            K::Rejected,
            R::Invalid,
        ),
        (
            Some(400),
            "badRequest",
            "Request payload size exceeds the limit: 10485760 bytes.",
            K::Rejected,
            R::RequestTooLarge,
        ),
        (
            Some(400),
            "invalidQuery",
            "UPDATE or DELETE statement over table books.fin.bill would affect rows in the streaming buffer, which is not supported",
            K::Conflict,
            R::StreamingBuffer,
        ),
        (
            Some(400),
            "invalidQuery",
            "Syntax error: Unexpected end of script",
            K::Rejected,
            R::InvalidQuery,
        ),
        (
            Some(400),
            "invalidQuery",
            "Transaction is aborted due to concurrent update against table p:d.t",
            K::Conflict,
            R::ConcurrentUpdate,
        ),
        (
            Some(400),
            "invalidQuery",
            "Could not serialize access to table p:d.t due to concurrent update",
            K::Conflict,
            R::ConcurrentUpdate,
        ),
        (
            Some(400),
            "invalidQuery",
            "Exceeded rate limits: too many jobs",
            K::Throttled,
            R::RateLimitExceeded,
        ),
        (
            Some(400),
            "invalidQuery",
            "Retrying the job may solve the problem.",
            K::Unavailable,
            R::Backend,
        ),
        (Some(400), "jobBackendError", "", K::Unavailable, R::Backend),
        (
            Some(400),
            "jobInternalError",
            "",
            K::Unavailable,
            R::Backend,
        ),
        (
            Some(400),
            "jobRateLimitExceeded",
            "",
            K::Throttled,
            R::RateLimitExceeded,
        ),
        (
            Some(400),
            "resourcesExceeded",
            "",
            K::Rejected,
            R::ResourcesExceeded,
        ),
        (
            Some(400),
            "billingTierLimitExceeded",
            "",
            K::Rejected,
            R::ResourcesExceeded,
        ),
        (Some(400), "timeout", "", K::Rejected, R::JobTimeout),
        (
            Some(400),
            "resourceInUse",
            "",
            K::Conflict,
            R::ResourceInUse,
        ),
        (
            Some(400),
            "tableUnavailable",
            "",
            K::Unavailable,
            R::TableUnavailable,
        ),
        (
            Some(401),
            "authError",
            "Invalid Credentials",
            K::Auth,
            R::AuthError,
        ),
        (
            Some(401),
            "required",
            "Login Required.",
            K::Auth,
            R::AuthError,
        ),
        (
            Some(403),
            "rateLimitExceeded",
            "",
            K::Throttled,
            R::RateLimitExceeded,
        ),
        (
            Some(403),
            "rateLimitExceeded",
            "Exceeded rate limits: too many table update operations for this table.",
            K::Throttled,
            R::TableUpdateRate,
        ),
        (
            Some(403),
            "quotaExceeded",
            "",
            K::Throttled,
            R::QuotaExceeded,
        ),
        (
            Some(403),
            "accessDenied",
            "",
            K::Permission,
            R::AccessDenied,
        ),
        (
            Some(403),
            "accessDenied",
            "Streaming insert is not allowed in the free tier",
            K::Permission,
            R::BillingNotEnabled,
        ),
        (
            Some(403),
            "billingNotEnabled",
            "",
            K::Permission,
            R::BillingNotEnabled,
        ),
        (Some(403), "blocked", "", K::Permission, R::Blocked),
        (
            Some(403),
            "responseTooLarge",
            "",
            K::Rejected,
            R::ResponseTooLarge,
        ),
        (
            Some(403),
            "somethingNew",
            "",
            K::Permission,
            R::AccessDenied,
        ),
        (
            Some(404),
            "notFound",
            "Not found: Table books:fin.bill",
            K::NotFound,
            R::NotFound,
        ),
        (
            Some(407),
            "proxyAuthenticationRequired",
            "",
            K::Config,
            R::ProxyAuthentication,
        ),
        (Some(408), "", "", K::Timeout, R::Connection),
        (
            Some(409),
            "duplicate",
            "Already Exists",
            K::Conflict,
            R::Duplicate,
        ),
        (Some(410), "", "", K::NotFound, R::UploadLost),
        (
            Some(412),
            "conditionNotMet",
            "Precondition Failed",
            K::Conflict,
            R::ConditionNotMet,
        ),
        (Some(413), "", "", K::Rejected, R::RequestTooLarge),
        (
            Some(413),
            "requestTooLarge",
            "",
            K::Rejected,
            R::RequestTooLarge,
        ),
        (Some(418), "teapot", "", K::Rejected, R::HttpStatus),
        (
            Some(429),
            "RESOURCE_EXHAUSTED",
            "",
            K::Throttled,
            R::RateLimitExceeded,
        ),
        (Some(500), "internalError", "", K::Unavailable, R::Backend),
        (Some(500), "", "", K::Unavailable, R::Backend),
        (
            Some(501),
            "notImplemented",
            "",
            K::Unsupported,
            R::NotImplemented,
        ),
        (Some(502), "badGateway", "", K::Unavailable, R::Backend),
        (Some(503), "backendError", "", K::Unavailable, R::Backend),
        (Some(504), "", "", K::Unavailable, R::Backend),
        (Some(599), "", "", K::Unavailable, R::HttpStatus),
        // Failed jobs, which have no status.
        (
            None,
            "invalid",
            "JSON table encountered too many errors",
            K::Rejected,
            R::Invalid,
        ),
        (
            None,
            "stopped",
            "Job execution was cancelled",
            K::Rejected,
            R::Stopped,
        ),
        (None, "backendError", "", K::Unavailable, R::Backend),
        (None, "notFound", "", K::NotFound, R::NotFound),
        (None, "duplicate", "", K::Conflict, R::Duplicate),
        (None, "somethingNew", "", K::Rejected, R::HttpStatus),
    ];
    for (status, reason, message, kind, cause) in cases {
        let rule = rule_for(*status, &told(reason, message));
        assert_eq!(
            (rule.kind, rule.reason),
            (*kind, *cause),
            "{status:?} {reason} {message}"
        );
        let without_body = status.filter(|_| reason.is_empty());
        if without_body.is_some() {
            assert_eq!(rule_for(*status, &[]).reason, *cause, "{status:?}");
        }
    }
}

#[test]
fn only_the_first_error_is_the_cause() {
    let mut errors = told("invalid", "bad row");
    errors.extend(told("backendError", ""));
    assert_eq!(rule_for(Some(400), &errors).remedy, Remedy::Surface);
}

#[test]
fn every_rule_says_what_to_do_and_can_be_the_first_that_fits() {
    for rule in RULES {
        assert!(!rule.advice.is_empty());
        let statuses: Vec<_> = match rule.statuses {
            [] => vec![None, Some(400), Some(403)],
            some => some.iter().copied().map(Some).collect(),
        };
        let reasons: Vec<_> = if rule.reasons.is_empty() {
            vec!["", "invalidQuery"]
        } else {
            rule.reasons.to_vec()
        };
        let reached = statuses.iter().any(|status| {
            let mut reasons = reasons.iter();
            reasons.any(|reason| {
                let found = rule_for(*status, &told(reason, rule.text));
                std::ptr::eq(found, rule)
            })
        });
        assert!(reached, "never reached: {rule:?}");
    }
}
