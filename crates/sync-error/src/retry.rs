//! What may be done after a failure, and what may have happened before it.

use std::time::Duration;

/// Whether, and when, the same request may be made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// Not before somebody has changed something: it would fail again.
    #[default]
    Never,
    /// After a wait that grows from attempt to attempt.
    Backoff,
    /// After at least this long, as the other side asked.
    After(Duration),
    /// Once, with a fresh session or token.
    AfterRefresh,
}

/// How far a request had come: whether it may have had its effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It never left: the other side has not seen it.
    #[default]
    NotSent,
    /// It left, and no whole answer came: nobody here knows whether it was carried out.
    MaybeReceived,
    /// It was answered.
    Answered,
}
