//! Hours in which no call is made.

use std::time::Duration;

use time::{OffsetDateTime, Time, UtcOffset, Weekday};

use crate::error::{Error, Result};

/// Hours of the week in which no call begins, such as the vendor's maintenance.
///
/// A call that is under way when they begin is not ended. They are told by the gateway's own clock, where it has shown
/// it.
///
/// The vendor publishes two windows that do not agree: Saturday 02:30 to 05:30 UTC (Sage DataSync help), and Friday
/// 19:30 to 23:30 Pacific time (Sage's maintenance page). [`saturday_utc`](Self::saturday_utc) is the first,
/// [`friday_pacific`](Self::friday_pacific) the second. By default there are none: being off-line is an answer that
/// passes, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    windows: Vec<QuietWindow>,
    then: InQuietHours,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct QuietWindow {
    /// Since Monday 00:00 UTC.
    start: Duration,
    length: Duration,
}

/// What becomes of a call that would begin in quiet hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InQuietHours {
    /// It waits until they are over.
    #[default]
    Wait,
    /// It fails at once, with kind `Unavailable` and reason [`Reason::QuietHours`](crate::Reason::QuietHours).
    Refuse,
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl QuietHours {
    /// One window: each week from this day and time in UTC, for so long.
    ///
    /// # Errors
    /// `Config` when the window is empty or leaves nothing of the week.
    pub fn new(day: Weekday, start: Time, length: Duration) -> Result<Self> {
        Self {
            windows: Vec::new(),
            then: InQuietHours::default(),
        }
        .and(day, start, length)
    }

    /// Saturday 02:30 to 05:30 UTC.
    #[must_use]
    pub fn saturday_utc() -> Self {
        Self::on_saturday(Duration::from_secs(3 * 60 * 60))
    }

    /// Friday 19:30 to 23:30 Pacific time, in summer and in winter: Saturday 02:30 to 07:30 UTC.
    #[must_use]
    pub fn friday_pacific() -> Self {
        Self::on_saturday(Duration::from_secs(5 * 60 * 60))
    }

    fn on_saturday(length: Duration) -> Self {
        let start = Duration::from_secs((5 * 24 * 60 + 2 * 60 + 30) * 60);
        Self {
            windows: vec![QuietWindow { start, length }],
            then: InQuietHours::default(),
        }
    }

    /// The same hours and one more window.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn and(mut self, day: Weekday, start: Time, length: Duration) -> Result<Self> {
        let (hour, minute, second) = start.as_hms();
        let minutes = (u64::from(day.number_days_from_monday()) * 24 + u64::from(hour)) * 60;
        let start = Duration::from_secs((minutes + u64::from(minute)) * 60 + u64::from(second));
        self.windows.push(QuietWindow { start, length });
        let whole: Duration = self.windows.iter().map(|window| window.length).sum();
        if length.is_zero() || whole >= WEEK {
            return Err(Error::invalid(
                "quiet_hours are empty, or leave nothing of the week; give windows that end",
            ));
        }
        Ok(self)
    }

    /// The same hours, in which calls fare like this.
    #[must_use]
    pub const fn with(mut self, then: InQuietHours) -> Self {
        self.then = then;
        self
    }

    /// What becomes of a call in these hours.
    #[must_use]
    pub const fn then(&self) -> InQuietHours {
        self.then
    }

    /// How long they still last at this moment; none outside them.
    #[must_use]
    pub fn left(&self, now: OffsetDateTime) -> Option<Duration> {
        let now = now.to_offset(UtcOffset::UTC);
        let days =
            Duration::from_secs(u64::from(now.weekday().number_days_from_monday()) * 24 * 60 * 60);
        let (hour, minute, second, nanosecond) = now.to_hms_nano();
        let seconds = (u64::from(hour) * 60 + u64::from(minute)) * 60 + u64::from(second);
        let since_monday = days + Duration::new(seconds, nanosecond);
        let lefts = self.windows.iter().filter_map(|window| {
            let since_start = (since_monday + WEEK - window.start).as_nanos() % WEEK.as_nanos();
            let left = window.length.as_nanos().checked_sub(since_start)?;
            u64::try_from(left)
                .ok()
                .filter(|left| *left > 0)
                .map(Duration::from_nanos)
        });
        lefts.max()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::{datetime, time};
    use time::{OffsetDateTime, Weekday};

    use super::QuietHours;

    fn left(hours: &QuietHours, now: OffsetDateTime) -> Option<u64> {
        hours.left(now).map(|left| left.as_secs())
    }

    #[test]
    fn they_begin_and_end_on_the_second() {
        let hours = QuietHours::saturday_utc();
        assert_eq!(left(&hours, datetime!(2026-01-31 02:29:59 UTC)), None);
        assert_eq!(
            left(&hours, datetime!(2026-01-31 02:30 UTC)),
            Some(3 * 3600)
        );
        assert_eq!(left(&hours, datetime!(2026-01-31 05:29:59 UTC)), Some(1));
        assert_eq!(left(&hours, datetime!(2026-01-31 05:30 UTC)), None);
        assert_eq!(
            left(&hours, datetime!(2026-02-01 03:00 UTC)),
            None,
            "a Sunday"
        );
        assert_eq!(left(&hours, datetime!(2026-01-30 20:00 -8)), Some(5400));
    }

    #[test]
    fn the_pacific_window_holds_in_summer_and_in_winter() {
        let hours = QuietHours::friday_pacific();
        for (start, end) in [
            (
                datetime!(2026-01-30 19:30 -8),
                datetime!(2026-01-30 23:29 -8),
            ),
            (
                datetime!(2026-07-03 19:30 -7),
                datetime!(2026-07-03 23:29 -7),
            ),
        ] {
            assert!(left(&hours, start).is_some() && left(&hours, end).is_some());
        }
        assert_eq!(left(&hours, datetime!(2026-01-30 23:30 -8)), None);
    }

    #[test]
    fn a_window_may_reach_over_the_end_of_the_week() {
        let hours =
            QuietHours::new(Weekday::Sunday, time!(23:00), Duration::from_secs(7200)).unwrap();
        assert_eq!(left(&hours, datetime!(2026-02-01 23:30 UTC)), Some(5400));
        assert_eq!(left(&hours, datetime!(2026-02-02 00:30 UTC)), Some(1800));
        assert_eq!(left(&hours, datetime!(2026-02-02 01:00 UTC)), None);
    }

    #[test]
    fn hours_that_never_end_or_begin_are_refused() {
        for length in [Duration::ZERO, super::WEEK, Duration::MAX] {
            assert!(QuietHours::new(Weekday::Monday, time!(0:00), length).is_err());
        }
        let half = QuietHours::new(Weekday::Monday, time!(0:00), super::WEEK / 2).unwrap();
        assert!(
            half.and(Weekday::Friday, time!(0:00), super::WEEK / 2)
                .is_err()
        );
    }
}
