//! The client's errors as those of sinks.

use sync_core::{Error, ErrorKind, Phase, Retry};

/// An error of the client, with what was being done.
pub(super) fn failed(doing: &str, error: crate::Error) -> Error {
    let kind = match error.kind() {
        crate::ErrorKind::Config => ErrorKind::Config,
        crate::ErrorKind::Auth => ErrorKind::Auth,
        crate::ErrorKind::Permission => ErrorKind::Permission,
        crate::ErrorKind::NotFound => ErrorKind::NotFound,
        crate::ErrorKind::Throttled => ErrorKind::Throttled,
        crate::ErrorKind::Timeout => ErrorKind::Timeout,
        crate::ErrorKind::Unavailable => ErrorKind::Unavailable,
        crate::ErrorKind::Rejected => ErrorKind::Rejected,
        crate::ErrorKind::Protocol => ErrorKind::Protocol,
        crate::ErrorKind::Data => ErrorKind::Data,
        crate::ErrorKind::Conflict => ErrorKind::Conflict,
        crate::ErrorKind::Unsupported => ErrorKind::Unsupported,
        crate::ErrorKind::Internal => ErrorKind::Internal,
    };
    let retry = match error.retry() {
        sync_http::Retry::Never => Retry::Never,
        sync_http::Retry::Backoff => Retry::Backoff,
        sync_http::Retry::After(wait) => Retry::After(wait),
        sync_http::Retry::AfterRefresh => Retry::AfterRefresh,
        _ => Retry::Never,
    };
    let phase = match error.phase() {
        sync_http::Phase::NotSent => Phase::NotSent,
        sync_http::Phase::MaybeReceived => Phase::MaybeReceived,
        sync_http::Phase::Answered => Phase::Answered,
        _ => Phase::MaybeReceived,
    };
    let is_exhausted = error.exhausted();
    let told = Error::new(kind, doing)
        .retrying(retry)
        .in_phase(phase)
        .caused_by(error);
    if is_exhausted { told.exhausted() } else { told }
}

/// Says with an error what it happened to.
pub(super) fn while_doing(doing: &'static str) -> impl Fn(crate::Error) -> Error + Copy {
    move |error| failed(doing, error)
}
