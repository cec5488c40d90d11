//! The client's errors as those of sinks.

use sync_core::Error;

/// An error of the client, with what was being done.
pub(super) fn failed(doing: &str, error: crate::Error) -> Error {
    Error::new(error.kind(), doing)
        .following(&error)
        .caused_by(error)
}

/// Says with an error what it happened to.
pub(super) fn while_doing(doing: &'static str) -> impl Fn(crate::Error) -> Error + Copy {
    move |error| failed(doing, error)
}
