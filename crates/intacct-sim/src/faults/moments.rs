//! Instants and stretches of time as a script writes them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant of the company's clock, in seconds since 1970-01-01 UTC; in a script as
/// `2026-01-31T18:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant(pub i64);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::calendar::iso(self.0))
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let instant = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| {
            let message = format!("{text:?} is no instant such as 2026-01-31T18:00:00Z");
            serde::de::Error::custom(message)
        })?;
        Ok(Self(instant.unix_timestamp()))
    }
}

/// A stretch of every week in UTC; in a script as `Sat 02:30-05:30`. It may run over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekly {
    /// Minutes since the beginning of Thursday, the day of 1970-01-01.
    from: u32,
    /// How long it lasts, in minutes.
    minutes: u32,
}

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const DAY_MINUTES: u32 = 24 * 60;

impl Weekly {
    /// The maintenance window that the vendor names: Saturday 02:30 to 05:30 UTC.
    pub const MAINTENANCE: Self = Self {
        from: 2 * DAY_MINUTES + 150,
        minutes: 180,
    };

    pub(crate) fn holds(self, instant: i64) -> bool {
        let week = i64::from(7 * DAY_MINUTES) * 60;
        let since = (instant - i64::from(self.from) * 60).rem_euclid(week);
        since < i64::from(self.minutes) * 60
    }

    fn read(text: &str) -> Option<Self> {
        let (day, times) = text.split_once(' ')?;
        let day = WEEKDAYS.iter().position(|known| *known == day)? as u32;
        let (from, until) = times.split_once('-')?;
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        let (from, until) = (minute(from)?, minute(until)?);
        let minutes = (until + DAY_MINUTES - from) % DAY_MINUTES;
        (minutes > 0).then_some(Self {
            from: day * DAY_MINUTES + from,
            minutes,
        })
    }
}

impl fmt::Display for Weekly {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (day, from) = (self.from / DAY_MINUTES, self.from % DAY_MINUTES);
        let until = (from + self.minutes) % DAY_MINUTES;
        let (hour, minute) = (from / 60, from % 60);
        let (until_hour, until_minute) = (until / 60, until % 60);
        let day = WEEKDAYS[(day % 7) as usize];
        write!(
            formatter,
            "{day} {hour:02}:{minute:02}-{until_hour:02}:{until_minute:02}"
        )
    }
}

impl Serialize for Weekly {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Weekly {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| {
            let message = format!("{text:?} is no stretch of a week such as \"Sat 02:30-05:30\"");
            serde::de::Error::custom(message)
        })
    }
}
