//! The dates of HTTP headers (RFC 9110, section 5.6.7).

use time::{Date, Month, OffsetDateTime, Time};

/// Reads the date of a `Date`, `Expires` or `Retry-After` header.
///
/// All three forms that the standard asks readers to accept: `Sun, 06 Nov 1994 08:49:37 GMT`,
/// `Sunday, 06-Nov-94 08:49:37 GMT`, and `Sun Nov  6 08:49:37 1994`. The day of the week is not checked. A year of
/// two digits is taken as 1970 to 2069. Anything else gives `None`.
#[must_use]
pub fn parse_http_date(text: &str) -> Option<OffsetDateTime> {
    let rest = match text.split_once(',') {
        Some((_weekday, rest)) => rest,
        None => return parse_asctime(text),
    };
    let mut words = rest.split_ascii_whitespace();
    let first = words.next()?;
    let (day, month, year) = if first.contains('-') {
        let mut parts = first.split('-');
        let date = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        date
    } else {
        (first, words.next()?, words.next()?)
    };
    let clock = words.next()?;
    if words.next()? != "GMT" || words.next().is_some() {
        return None;
    }
    assemble(day, month, year, clock)
}

fn parse_asctime(text: &str) -> Option<OffsetDateTime> {
    let mut words = text.split_ascii_whitespace();
    let _weekday = words.next()?;
    let (month, day, clock, year) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    assemble(day, month, year, clock)
}

fn assemble(day: &str, month: &str, year: &str, clock: &str) -> Option<OffsetDateTime> {
    let year = match (year.len(), i32::try_from(digits(year)?).ok()?) {
        (4, year) => year,
        (2, year) if year < 70 => 2000 + year,
        (2, year) => 1900 + year,
        _ => return None,
    };
    let day = u8::try_from(digits(day)?).ok()?;
    let date = Date::from_calendar_date(year, month_named(month)?, day).ok()?;
    let mut parts = clock
        .split(':')
        .map(|part| u8::try_from(digits(part)?).ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() {
        return None;
    }
    // A leap second is a legal value of the header, but not of a `Time`.
    let time = Time::from_hms(hour, minute, second.min(59)).ok()?;
    Some(date.with_time(time).assume_utc())
}

fn digits(text: &str) -> Option<u32> {
    let plain =
        !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn month_named(name: &str) -> Option<Month> {
    const NAMES: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let index = NAMES.iter().position(|candidate| *candidate == name)?;
    Month::try_from(u8::try_from(index + 1).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::parse_http_date;
    use proptest::prelude::*;
    use time::macros::datetime;

    #[test]
    fn reads_all_three_forms() {
        let expected = Some(datetime!(1994-11-06 08:49:37 UTC));
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), expected);
        assert_eq!(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), expected);
        assert_eq!(parse_http_date("Sun Nov  6 08:49:37 1994"), expected);
    }

    #[test]
    fn refuses_what_is_not_a_date() {
        for text in [
            "",
            "120",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:00:00 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT tail",
            "Sun, 06-Nov-94-95 08:49:37 GMT",
        ] {
            assert_eq!(parse_http_date(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,60}") {
            let _ = parse_http_date(&text);
        }
    }
}
