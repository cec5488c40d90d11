//! How far a stream has come: windows, cursors, checkpoints.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A half-open range of last-modified time: `from <= t < until`.
///
/// Its upper end is frozen when the run begins, so that what changes meanwhile falls into the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The lower end; from the beginning of the books where there is none.
    #[serde(with = "time::serde::rfc3339::option")]
    pub from: Option<OffsetDateTime>,
    /// The upper end, which is not part of it.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

impl Window {
    /// Whether no time lies in it.
    pub fn is_empty(&self) -> bool {
        self.from.is_some_and(|from| from >= self.until)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            Some(from) => write!(f, "[{}, {})", rfc3339(from), rfc3339(self.until)),
            None => write!(f, "[.., {})", rfc3339(self.until)),
        }
    }
}

/// A time as it stands in reports, ids and the ledger: RFC 3339 in UTC with six decimal places, so
/// that the order of the texts is the order of the times.
pub fn rfc3339(time: OffsetDateTime) -> String {
    let utc = time.to_offset(time::UtcOffset::UTC);
    let (date, clock) = (utc.date(), utc.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
        clock.microsecond()
    )
}

/// A position in the source's order. Only the source that made it can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// A window that has been begun: frozen until it is complete, however often the process restarts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWindow {
    /// The window.
    pub window: Window,
    /// Everything up to here is settled.
    pub cursor: Option<Cursor>,
    /// The ordinal of the next batch.
    pub next_ordinal: u64,
    /// Whether everything in it was read and prepared: once its batches are settled, it is complete.
    pub is_read: bool,
}

impl OpenWindow {
    /// One of which nothing was read yet.
    pub fn new(window: Window) -> Self {
        Self {
            window,
            cursor: None,
            next_ordinal: 0,
            is_read: false,
        }
    }
}

/// The durable statement "everything up to here is settled".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The time up to which everything is settled.
    pub watermark: Option<OffsetDateTime>,
    /// The window that was begun behind it, if any.
    pub open: Option<OpenWindow>,
}
