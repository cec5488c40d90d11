//! Errors of exchanges, in the words that all parts share.

pub use sync_error::{Error, ErrorKind};
use sync_error::{Phase, Retry};

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong with a request that had come so far. What may pass by itself is retried.
pub(crate) fn failed(kind: ErrorKind, phase: Phase, message: impl Into<String>) -> Error {
    let retry = match kind {
        ErrorKind::Timeout | ErrorKind::Unavailable => Retry::Backoff,
        _ => Retry::Never,
    };
    Error::new(kind, message).in_phase(phase).retrying(retry)
}
