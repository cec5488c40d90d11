//! Values to compare with.

use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcOffset};

use crate::values::{format_date, format_timestamp, parse_date, parse_timestamp};

/// A value of a [`Filter`](super::Filter), in the gateway's text form.
///
/// Made from text, integers, booleans, dates and timestamps; decimals are given as text.
/// There is deliberately no way from a floating point number.
/// Characters that XML forbids are dropped when it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Value(String);

impl Value {
    /// A moment, written in the zone that the source keeps its timestamps in.
    ///
    /// ```
    /// use intacct_xml::request::Value;
    /// use time::macros::{datetime, offset};
    ///
    /// let value = Value::instant(datetime!(2026-01-15 10:00 UTC), offset!(-8));
    /// assert_eq!(value.as_str(), "01/15/2026 02:00:00");
    /// ```
    pub fn instant(instant: OffsetDateTime, source: UtcOffset) -> Self {
        // Only the first and last hours of representable time cannot be moved; those stay as given.
        let local = instant.checked_to_offset(source).unwrap_or(instant);
        PrimitiveDateTime::new(local.date(), local.time()).into()
    }

    /// Whether it is known to come before another value of the same kind.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        let numbers = (self.0.parse::<i128>(), other.0.parse::<i128>());
        if let (Ok(this), Ok(other)) = numbers {
            return this < other;
        }
        let times = (parse_timestamp(&self.0), parse_timestamp(&other.0));
        if let (Ok(this), Ok(other)) = times {
            return this < other;
        }
        matches!((parse_date(&self.0), parse_date(&other.0)), (Ok(this), Ok(other)) if this < other)
    }

    /// The text as it is compared, not escaped.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self(value.to_string())
    }
}

impl From<Date> for Value {
    fn from(date: Date) -> Self {
        Self(format_date(date))
    }
}

/// The timestamp must already be in the zone of the source; see [`Value::instant`].
impl From<PrimitiveDateTime> for Value {
    fn from(timestamp: PrimitiveDateTime) -> Self {
        Self(format_timestamp(timestamp))
    }
}

macro_rules! value_from_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Value {
            fn from(number: $integer) -> Self {
                Self(number.to_string())
            }
        }
    )*};
}

value_from_integer!(i16, i32, i64, i128, u16, u32, u64);
