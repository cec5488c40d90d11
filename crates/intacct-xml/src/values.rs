//! The gateway's text forms of dates, timestamps, decimals, integers and booleans.
//!
//! developer.intacct.com, Parameter formats: dates are `mm/dd/yyyy` and have no time zone, timestamps
//! `mm/dd/yyyy hh:mm:ss` with 24 hours and whole seconds, decimals have no thousands separators.
//! Every reader here refuses what it does not know: nothing is guessed, and nothing is rounded.
//! None of them accepts an empty text, which the gateway uses for null.

use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

use crate::error::Error;

/// Reads `12`, `-7`, `+3` or `12.0` into an integer; the gateway writes integers of some fields with
/// decimals.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data) for `12.5`, for text that is no number and for
/// numbers beyond 64 bits.
pub fn parse_integer(text: &str) -> Result<i64, Error> {
    integer(text).map_err(Error::data)
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
    decimal(text, scale, MAX_PRECISION).map_err(Error::data)
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
    boolean(text).map_err(Error::data)
}

/// Reads `mm/dd/yyyy`.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data) for another form or a day that does not exist.
pub fn parse_date(text: &str) -> Result<Date, Error> {
    date(text).map_err(Error::data)
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
    timestamp(text).map_err(Error::data)
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
    let days = i64::from(timestamp.date().to_julian_day()) - UNIX_EPOCH_JULIAN_DAY;
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

/// The most digits that a 128-bit decimal holds.
pub(crate) const MAX_PRECISION: u8 = 38;
const UNIX_EPOCH_JULIAN_DAY: i64 = 2_440_588;

/// Why a text is not of a type. Static, so that refusing a value costs nothing.
type Parsed<T> = Result<T, &'static str>;

pub(crate) fn integer(text: &str) -> Parsed<i64> {
    let units = decimal(text, 0, MAX_PRECISION).map_err(|reason| match reason {
        TOO_PRECISE => "not a whole number",
        reason => reason,
    })?;
    i64::try_from(units).map_err(|_| "larger than a 64-bit integer")
}

const TOO_PRECISE: &str = "more digits behind the point than the column holds";

pub(crate) fn decimal(text: &str, scale: u8, precision: u8) -> Parsed<i128> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (whole, fraction) = match digits.iter().position(|b| *b == b'.') {
        Some(point) if point + 1 == digits.len() => return Err("not a decimal number"),
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &digits[digits.len()..]),
    };
    if digits.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err("not a decimal number");
    }
    let scale = usize::from(scale);
    if fraction.iter().skip(scale).any(|digit| *digit != b'0') {
        return Err(TOO_PRECISE);
    }
    let fraction = &fraction[..fraction.len().min(scale)];
    let missing = (scale - fraction.len()) as u32;
    let mut digits = whole.iter().chain(fraction);
    let units = if whole.len() + scale <= MOST_DIGITS_OF_U64 {
        let units = digits.fold(0_u64, |units, digit| units * 10 + u64::from(digit - b'0'));
        i128::from(units * 10_u64.pow(missing))
    } else {
        digits
            .try_fold(0_i128, |units, digit| {
                units.checked_mul(10)?.checked_add(i128::from(digit - b'0'))
            })
            .and_then(|units| units.checked_mul(10_i128.checked_pow(missing)?))
            .ok_or(TOO_LARGE)?
    };
    if units
        >= 10_i128
            .checked_pow(u32::from(precision))
            .unwrap_or(i128::MAX)
    {
        return Err(TOO_LARGE);
    }
    Ok(if negative { -units } else { units })
}

/// Nearly every amount has no more, and 64-bit arithmetic is many times faster.
const MOST_DIGITS_OF_U64: usize = 19;
const TOO_LARGE: &str = "more digits before the point than the column holds";

pub(crate) fn boolean(text: &str) -> Parsed<bool> {
    const WORDS: [(&str, bool); 6] = [
        ("true", true),
        ("false", false),
        ("t", true),
        ("f", false),
        ("y", true),
        ("n", false),
    ];
    WORDS
        .iter()
        .find(|(word, _)| text.eq_ignore_ascii_case(word))
        .map(|(_, value)| *value)
        .ok_or("not a boolean: true, false, T, F, Y or N")
}

pub(crate) fn date(text: &str) -> Parsed<Date> {
    const WRONG: &str = "not a date of the form mm/dd/yyyy";
    let &[m1, m0, b'/', d1, d0, b'/', y3, y2, y1, y0] = text.as_bytes() else {
        return Err(WRONG);
    };
    let (Some(month), Some(day)) = (number(&[m1, m0]), number(&[d1, d0])) else {
        return Err(WRONG);
    };
    let Some(year) = number(&[y3, y2, y1, y0]) else {
        return Err(WRONG);
    };
    let month = u8::try_from(month)
        .ok()
        .and_then(|m| Month::try_from(m).ok());
    let (Some(month), Ok(day)) = (month, u8::try_from(day)) else {
        return Err(NO_SUCH_DAY);
    };
    Date::from_calendar_date(i32::from(year), month, day).map_err(|_| NO_SUCH_DAY)
}

const NO_SUCH_DAY: &str = "a day that does not exist";

pub(crate) fn timestamp(text: &str) -> Parsed<PrimitiveDateTime> {
    const WRONG: &str = "not a timestamp of the form mm/dd/yyyy hh:mm:ss";
    let Some((day, clock)) = text.split_once(' ') else {
        return date(text)
            .map(|day| PrimitiveDateTime::new(day, Time::MIDNIGHT))
            .map_err(|reason| if reason == NO_SUCH_DAY { reason } else { WRONG });
    };
    let day = date(day).map_err(|reason| if reason == NO_SUCH_DAY { reason } else { WRONG })?;
    let &[h1, h0, b':', m1, m0, b':', s1, s0] = clock.as_bytes() else {
        return Err(WRONG);
    };
    let parts = (number(&[h1, h0]), number(&[m1, m0]), number(&[s1, s0]));
    let (Some(hour), Some(minute), Some(second)) = parts else {
        return Err(WRONG);
    };
    Time::from_hms(hour as u8, minute as u8, second as u8)
        .map(|clock| PrimitiveDateTime::new(day, clock))
        .map_err(|_| "a time of day that does not exist")
}

/// Up to four digits as a number.
fn number(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u16::from(digit - b'0'))
    })
}

/// Days since 1970-01-01.
#[cfg(feature = "arrow")]
pub(crate) fn days_since_epoch(date: Date) -> i32 {
    date.to_julian_day() - UNIX_EPOCH_JULIAN_DAY as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::{date, datetime, offset};

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
        assert!(parse_boolean("1").is_err());
        assert!(parse_boolean("").is_err());
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
