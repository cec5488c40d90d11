//! Who has to act on a failure.

use std::fmt;

/// The area of a failure: who has to act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting or a request cannot work as given: missing, malformed, or contradicting another.
    Config,
    /// Credentials were refused.
    Auth,
    /// The credentials are good, but do not grant this.
    Permission,
    /// The named thing does not exist.
    NotFound,
    /// The other side asks for fewer requests.
    Throttled,
    /// No answer in time.
    Timeout,
    /// The other side cannot be reached, says that it is not in service, or its answer was cut off.
    Unavailable,
    /// The other side understood the request and refused it.
    Rejected,
    /// The answer is not what the protocol promises.
    Protocol,
    /// A value cannot be represented without loss.
    Data,
    /// The state is not the one that this step needs: it exists already, is held by somebody else, or changed
    /// underneath.
    Conflict,
    /// This side or the other cannot do this at all.
    Unsupported,
    /// A limit of this side was exceeded; the message names the limit and how to change it.
    Limit,
    /// A broken invariant of this software.
    Internal,
}

impl ErrorKind {
    /// The kind's name, for logs, metrics and reports.
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
            Self::Limit => "limit",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
