//! Times as they stand in tables: `2026-01-31 18:02:00.000000`, in UTC.
//!
//! The text sorts as the times do between the years 0 and 9999, which is also the range in which
//! SQLite's date functions read it.

use std::ops::RangeInclusive;

use sync_core::column::Value;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// Days from the epoch to the first and the last day of the years 0 to 9999.
pub(crate) const DAYS: RangeInclusive<i32> = -719_528..=2_932_896;

/// Microseconds from the epoch to the first and the last of the years 0 to 9999.
pub(crate) const MICROSECONDS: RangeInclusive<i64> =
    -62_167_219_200_000_000..=253_402_300_799_999_999;

const FORMAT: StaticFormatDescription =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]");

/// The text of a time; what is less than a microsecond is cut off.
pub(crate) fn text(time: OffsetDateTime) -> String {
    let mut text = String::with_capacity(26);
    Value::Timestamp(microseconds(time)).push_to(&mut text);
    text
}

/// The text before which lie exactly the stored times before `time`.
pub(crate) fn text_not_before(time: OffsetDateTime) -> String {
    let cut = cut(time);
    let next = cut.saturating_add(time::Duration::MICROSECOND);
    text(if cut < time { next } else { cut })
}

/// The time of a text that [`text`] made.
pub(crate) fn read(text: &str) -> Option<OffsetDateTime> {
    let time = PrimitiveDateTime::parse(text, FORMAT).ok()?;
    Some(time.assume_utc())
}

/// A time without what is less than a microsecond, in UTC.
pub(crate) fn cut(time: OffsetDateTime) -> OffsetDateTime {
    let utc = time.to_offset(UtcOffset::UTC);
    utc.replace_microsecond(utc.microsecond()).unwrap_or(utc)
}

fn microseconds(time: OffsetDateTime) -> i64 {
    let microseconds = time.unix_timestamp_nanos().div_euclid(1000);
    // Ten thousand years either side of the epoch are far inside 64 bits of microseconds.
    i64::try_from(microseconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    proptest! {
        #[test]
        fn what_was_written_reads_back_to_the_microsecond(micros in MICROSECONDS, nanos in 0i128..1000) {
            let exact = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap();
            let finer = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000 + nanos).unwrap();
            prop_assert_eq!(read(&text(finer)), Some(exact));
            prop_assert_eq!(cut(finer), exact);
        }

        #[test]
        fn texts_sort_as_times_do(left in MICROSECONDS, right in MICROSECONDS) {
            let write = |micros: i64| text(OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap());
            prop_assert_eq!(write(left).cmp(&write(right)), left.cmp(&right));
        }
    }

    #[test]
    fn a_bound_between_two_microseconds_is_the_next() {
        let bound = datetime!(2026-01-31 18:02:00.000_000_5 UTC);
        assert_eq!(text_not_before(bound), "2026-01-31 18:02:00.000001");
        assert_eq!(text_not_before(cut(bound)), "2026-01-31 18:02:00.000000");
    }
}
