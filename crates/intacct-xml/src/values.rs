//! The gateway's text forms of dates, timestamps, decimals, integers and booleans.
//!
//! developer.intacct.com, Parameter formats: dates are `mm/dd/yyyy` and have no time zone, timestamps
//! `mm/dd/yyyy hh:mm:ss` with 24 hours and whole seconds, decimals have no thousands separators.
//! Every reader here refuses what it does not know: nothing is guessed, and nothing is rounded.
//! None of them accepts an empty text, which the gateway uses for null.

use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcOffset};

use crate::error::Error;

mod moment;
mod number;

#[cfg(feature = "arrow")]
pub(crate) use moment::{date_days, timestamp_microseconds};
pub(crate) use number::{MAX_PRECISION, decimal, integer};

/// Reads `12`, `-7`, `+3` or `12.0` into an integer; the gateway writes integers of some fields with
/// decimals.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data) for `12.5`, for text that is no number and for
/// numbers beyond 64 bits.
pub fn parse_integer(text: &str) -> Result<i64, Error> {
    integer(text.as_bytes()).map_err(Error::data)
}

/// Reads a decimal number into units of `10^-scale`, for scales up to 38: with scale 9, `-.25` is -250 000 000.
///
/// A leading zero may be missing; zeros beyond the scale are no loss and accepted.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data) if there are more digits behind the point than the
/// scale holds (never a rounding), more than 38 digits in all, or anything but a sign, digits and
/// one point.
pub fn parse_decimal(text: &str, scale: u8) -> Result<i128, Error> {
    decimal(text.as_bytes(), scale, MAX_PRECISION).map_err(Error::data)
}

/// Writes units of `10^-scale` as a decimal number without zeros at its end: [`parse_decimal`] of it
/// gives the same units back.
pub fn format_decimal(units: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let fraction = fraction.trim_end_matches('0');
    let sign = if units < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// Reads a boolean: `true`/`false`, `T`/`F` or `Y`/`N`, in any case.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data) for any other text.
pub fn parse_boolean(text: &str) -> Result<bool, Error> {
    boolean(text.as_bytes()).map_err(Error::data)
}

/// Reads `mm/dd/yyyy`.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data) for another form or a day that does not exist.
pub fn parse_date(text: &str) -> Result<Date, Error> {
    moment::date(text.as_bytes()).map_err(Error::data)
}

/// Writes `mm/dd/yyyy`. Meant for the years 0 to 9999; the gateway knows no others.
pub fn format_date(date: Date) -> String {
    format!(
        "{:02}/{:02}/{:04}",
        u8::from(date.month()),
        date.day(),
        date.year()
    )
}

/// Reads `mm/dd/yyyy hh:mm:ss`, or `mm/dd/yyyy` as its midnight: some timestamp fields hold dates.
///
/// The result has no zone; the gateway writes the zone of the API user.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data) for another form or a moment that does not exist.
pub fn parse_timestamp(text: &str) -> Result<PrimitiveDateTime, Error> {
    moment::timestamp(text.as_bytes()).map_err(Error::data)
}

/// Writes `mm/dd/yyyy hh:mm:ss`. Fractions of a second are left out: the gateway has none.
pub fn format_timestamp(timestamp: PrimitiveDateTime) -> String {
    let (hour, minute, second) = timestamp.time().as_hms();
    format!(
        "{} {hour:02}:{minute:02}:{second:02}",
        format_date(timestamp.date())
    )
}

/// Microseconds since 1970-01-01T00:00:00Z of a timestamp read in the given zone of the source.
pub fn to_unix_microseconds(timestamp: PrimitiveDateTime, source: UtcOffset) -> i64 {
    let days = i64::from(timestamp.date().to_julian_day() - moment::UNIX_EPOCH_JULIAN_DAY);
    let (hour, minute, second, micro) = timestamp.time().as_hms_micro();
    let local =
        days * 86_400 + i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    (local - i64::from(source.whole_seconds())) * 1_000_000 + i64::from(micro)
}

/// Reads `sessiontimestamp` and `sessiontimeout`: ISO 8601 with an offset, such as
/// `2026-01-15T10:00:00-08:00`.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data) for another form.
pub fn parse_session_time(text: &str) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| Error::data("the session time is not an ISO 8601 time with an offset"))
}

/// The values of a field where several can be picked; the gateway joins them with `#~#`.
pub fn split_multi_pick(text: &str) -> impl Iterator<Item = &str> {
    text.split("#~#").filter(|value| !value.is_empty())
}

/// Why a text is not of a type. Static, so that refusing a value costs nothing.
type Parsed<T> = Result<T, &'static str>;

pub(crate) fn boolean(text: &[u8]) -> Parsed<bool> {
    const CASE: u8 = b'a' ^ b'A';
    let value = match *text {
        [letter] => match letter | CASE {
            b't' | b'y' => Some(true),
            b'f' | b'n' => Some(false),
            _ => None,
        },
        [t, r, u, e] if [t, r, u, e].map(|letter| letter | CASE) == *b"true" => Some(true),
        [f, a, l, s, e] if [f, a, l, s, e].map(|letter| letter | CASE) == *b"false" => Some(false),
        _ => None,
    };
    value.ok_or("not a boolean: true, false, T, F, Y or N")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::{date, datetime, offset};
    use time::{Month, Time};

    use super::*;

    #[test]
    fn timestamps_may_be_dates_alone() {
        let midnight = datetime!(2026-01-31 00:00:00);
        assert_eq!(parse_timestamp("01/31/2026").unwrap(), midnight);
        assert_eq!(parse_timestamp("01/31/2026 00:00:00").unwrap(), midnight);
        assert!(parse_timestamp("02/30/2026").is_err());
    }

    #[test]
    fn decimals_are_read_exactly_or_refused() {
        for (text, units) in [
            ("3797", 3_797_000_000_000),
            ("1679615.93", 1_679_615_930_000_000),
            (".5", 500_000_000),
            ("-.25", -250_000_000),
            ("+7", 7_000_000_000),
            ("0.1234567890000", 123_456_789),
            ("-0", 0),
            ("000012.0", 12_000_000_000),
        ] {
            assert_eq!(parse_decimal(text, 9).unwrap(), units, "{text}");
        }
        for bad in [
            "",
            "-",
            ".",
            "1.",
            "1,000",
            "1e3",
            "1.2.3",
            " 1",
            "1 ",
            "--1",
            "NaN",
            "0.1234567891",
            "١",
        ] {
            assert!(parse_decimal(bad, 9).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_largest_decimal_has_38_digits() {
        let nines = "9".repeat(38);
        assert_eq!(parse_decimal(&nines, 0).unwrap(), 10_i128.pow(38) - 1);
        assert!(parse_decimal(&format!("{nines}0"), 0).is_err());
        assert!(parse_decimal("1", 38).is_err());
        assert!(parse_decimal(&"9".repeat(500), 9).is_err());
    }

    #[test]
    fn integers_may_carry_zeros_behind_a_point() {
        assert_eq!(parse_integer("12.0").unwrap(), 12);
        assert_eq!(parse_integer("-9223372036854775808").unwrap(), i64::MIN);
        for bad in ["12.5", "9223372036854775808", "", "x", "1e3"] {
            assert!(parse_integer(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn dates_and_timestamps_have_one_form() {
        assert_eq!(parse_date("07/24/2017").unwrap(), date!(2017 - 07 - 24));
        assert_eq!(
            parse_timestamp("07/24/2017 15:19:46").unwrap(),
            datetime!(2017-07-24 15:19:46)
        );
        assert_eq!(
            parse_timestamp("07/24/2017").unwrap(),
            datetime!(2017-07-24 0:00)
        );
        for bad in [
            "2017-07-24",
            "7/24/2017",
            "24/07/2017",
            "02/30/2017",
            "00/01/2017",
            "",
            "07/24/17",
        ] {
            assert!(parse_date(bad).is_err(), "{bad:?}");
            assert!(parse_timestamp(bad).is_err(), "{bad:?}");
        }
        for bad in [
            "07/24/2017 24:00:00",
            "07/24/2017 15:19",
            "07/24/2017  15:19:46",
            "07/24/2017T15:19:46",
        ] {
            assert!(parse_timestamp(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_zone_of_the_source_is_taken_off() {
        let local = datetime!(2026-01-01 00:00:00);
        let utc = to_unix_microseconds(local, offset!(-8));
        assert_eq!(
            utc,
            datetime!(2026-01-01 08:00 UTC).unix_timestamp() * 1_000_000
        );
    }

    #[test]
    fn booleans_have_three_spellings() {
        for (text, value) in [
            ("true", true),
            ("FALSE", false),
            ("T", true),
            ("f", false),
            ("Y", true),
            ("n", false),
        ] {
            assert_eq!(parse_boolean(text).unwrap(), value);
        }
        for bad in [
            "", "1", "tru", "True ", "falsE.", "yes", "no", "\u{14}", "4RUE",
        ] {
            assert!(parse_boolean(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn picked_values_are_split() {
        assert_eq!(
            split_multi_pick("a#~#b c").collect::<Vec<_>>(),
            ["a", "b c"]
        );
    }

    proptest! {
        #[test]
        fn a_decimal_comes_back(units in -(10_i128.pow(38) - 1)..10_i128.pow(38), scale in 0_u8..=18) {
            prop_assert_eq!(parse_decimal(&format_decimal(units, scale), scale).unwrap(), units);
        }

        #[test]
        fn an_integer_comes_back(number: i64) {
            prop_assert_eq!(parse_integer(&number.to_string()).unwrap(), number);
        }

        #[test]
        fn a_timestamp_comes_back(
            day in Date::from_calendar_date(0, Month::January, 1).unwrap().to_julian_day()
                ..=Date::MAX.to_julian_day(),
            second in 0_u32..86_400,
        ) {
            let day = Date::from_julian_day(day).unwrap();
            let clock = Time::MIDNIGHT + time::Duration::seconds(second.into());
            let moment = PrimitiveDateTime::new(day, clock);
            prop_assert_eq!(parse_date(&format_date(day)).unwrap(), day);
            prop_assert_eq!(parse_timestamp(&format_timestamp(moment)).unwrap(), moment);
            prop_assert_eq!(
                to_unix_microseconds(moment, UtcOffset::UTC),
                moment.assume_utc().unix_timestamp() * 1_000_000,
            );
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}|[-+.0-9/: ]{0,24}", scale in 0_u8..=38) {
            let _ = (parse_decimal(&text, scale), parse_integer(&text), parse_boolean(&text));
            let _ = (parse_date(&text), parse_timestamp(&text), parse_session_time(&text));
        }
    }
}
