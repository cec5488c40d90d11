//! The client's errors as a source's.

use crate::error::{Error as ClientError, ErrorKind as ClientKind};
use sync_core::{Error, ErrorKind, Phase, Retry};

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        let kind = match error.kind() {
            ClientKind::Config => ErrorKind::Config,
            ClientKind::Auth => ErrorKind::Auth,
            ClientKind::Permission => ErrorKind::Permission,
            ClientKind::NotFound => ErrorKind::NotFound,
            ClientKind::Throttled => ErrorKind::Throttled,
            ClientKind::Timeout => ErrorKind::Timeout,
            ClientKind::Unavailable => ErrorKind::Unavailable,
            ClientKind::Rejected => ErrorKind::Rejected,
            ClientKind::Protocol => ErrorKind::Protocol,
            ClientKind::Data => ErrorKind::Data,
            ClientKind::Conflict => ErrorKind::Conflict,
            ClientKind::Unsupported => ErrorKind::Unsupported,
            ClientKind::Internal => ErrorKind::Internal,
        };
        let retry = match error.retry() {
            crate::Retry::Backoff => Retry::Backoff,
            crate::Retry::After(wait) => Retry::After(wait),
            crate::Retry::AfterRefresh => Retry::AfterRefresh,
            _ => Retry::Never,
        };
        let phase = match error.phase() {
            crate::Phase::MaybeReceived => Phase::MaybeReceived,
            crate::Phase::Answered => Phase::Answered,
            _ => Phase::NotSent,
        };
        let exhausted = error.exhausted();
        let told = Self::new(kind, "the books cannot be read")
            .retrying(retry)
            .in_phase(phase)
            .caused_by(error);
        if exhausted { told.exhausted() } else { told }
    }
}
