//! Dates, times and instants: reading, writing, and the calendar.

use super::Type;

pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(crate) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// The first and last day that BigQuery knows, 0001-01-01 and 9999-12-31.
const FIRST_DAY: i32 = -719_162;
const LAST_DAY: i32 = 2_932_896;

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i32,
    pub(crate) month: u32,
    pub(crate) day: u32,
}

/// Days since 1970-01-01; none for a day that is not in the calendar.
fn day_number(year: i32, month: u32, day: u32) -> Option<i32> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) || !(1..=9999).contains(&year) {
        return None;
    }
    // Years that begin in March, so that the leap day is their last.
    let years = if month <= 2 { year - 1 } else { year };
    let months = (i32::try_from(month).ok()? + 9) % 12;
    let day = (153 * months + 2) / 5 + i32::try_from(day).ok()? - 1;
    let era = years.div_euclid(400);
    let of_era = years.rem_euclid(400);
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day - 719_468)
}

/// The day of the calendar that a day number stands for.
pub(crate) fn calendar_date(days: i32) -> Date {
    let days = i64::from(days) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    Date {
        year: i32::try_from(year).unwrap_or_default(),
        month: u32::try_from(month).unwrap_or_default(),
        day: u32::try_from(day).unwrap_or_default(),
    }
}

/// `2026-01-31`; `2026/01/31` too where `slashes` are allowed.
pub(crate) fn parse_date(text: &str, slashes: bool) -> Option<i32> {
    let mark = if slashes && text.contains('/') {
        '/'
    } else {
        '-'
    };
    let mut parts = text.split(mark);
    let year = number(parts.next()?, 4, 4)?;
    let month = number(parts.next()?, 1, 2)?;
    let day = number(parts.next()?, 1, 2)?;
    if parts.next().is_some() {
        return None;
    }
    day_number(i32::try_from(year).ok()?, month, day)
}

/// `10:11:12` with up to six digits behind the point.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let (clock, part) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let hour = number(parts.next()?, 1, 2)?;
    let minute = number(parts.next()?, 1, 2)?;
    let second = number(parts.next()?, 1, 2)?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if text.contains('.') && part.is_empty() || part.len() > 6 {
        return None;
    }
    let micros = if part.is_empty() {
        0
    } else {
        number(part, 1, 6)? * 10_u32.pow(6 - u32::try_from(part.len()).ok()?)
    };
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    Some(seconds * MICROS_PER_SECOND + i64::from(micros))
}

/// A date, and a time behind a blank or `T`; the time may be missing. No zone.
pub(crate) fn parse_datetime(text: &str, slashes: bool) -> Option<i64> {
    let (date, time) = match text.find([' ', 'T', 't']) {
        None => (text, 0),
        Some(at) => (&text[..at], parse_time(&text[at + 1..])?),
    };
    Some(i64::from(parse_date(date, slashes)?) * MICROS_PER_DAY + time)
}

/// As a date and time, with `Z`, ` UTC`, `+01:00`, `+01` or nothing behind it, which means UTC.
pub(crate) fn parse_timestamp(text: &str, slashes: bool) -> Option<i64> {
    let text = text.trim();
    let (local, offset) = split_zone(text)?;
    let micros = parse_datetime(local, slashes)? - offset;
    let days = i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok()?;
    (FIRST_DAY..=LAST_DAY).contains(&days).then_some(micros)
}

/// What stands before the zone, and the zone's distance from UTC in microseconds.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return Some((local, 0));
    }
    if let Some(local) = text.strip_suffix(" UTC") {
        return Some((local, 0));
    }
    // The hyphens of the date stand before the time.
    let from = text.find([' ', 'T', 't']).unwrap_or(text.len());
    let Some(at) = text[from..].find(['+', '-']).map(|at| at + from) else {
        return Some((text, 0));
    };
    let sign = if text.as_bytes()[at] == b'-' { -1 } else { 1 };
    let (hours, minutes) = text[at + 1..]
        .split_once(':')
        .unwrap_or((&text[at + 1..], "0"));
    let (hours, minutes) = (number(hours, 1, 2)?, number(minutes, 1, 2)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let seconds = i64::from(hours * 3600 + minutes * 60);
    Some((text[..at].trim_end(), sign * seconds * MICROS_PER_SECOND))
}

fn number(text: &str, least: usize, most: usize) -> Option<u32> {
    let fits =
        (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok())?
}

pub(crate) fn date_text(days: i32) -> String {
    let Date { year, month, day } = calendar_date(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Without a fraction where there is none, with six digits otherwise.
pub(crate) fn time_text(micros: i64) -> String {
    let (seconds, part) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if part == 0 {
        format!("{hour:02}:{minute:02}:{second:02}")
    } else {
        format!("{hour:02}:{minute:02}:{second:02}.{part:06}")
    }
}

/// Date and time with `mark` between them.
pub(crate) fn timestamp_text(micros: i64, mark: char) -> String {
    let days = i32::try_from(micros.div_euclid(MICROS_PER_DAY)).unwrap_or_default();
    let time = time_text(micros.rem_euclid(MICROS_PER_DAY));
    format!("{}{mark}{time}", date_text(days))
}

/// The start of the hour, day, month or year that an instant lies in.
pub(crate) fn truncated(micros: i64, unit: &str, kind: &Type) -> Option<i64> {
    let days = i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok()?;
    let Date { year, month, .. } = calendar_date(days);
    let day = |year, month| day_number(year, month, 1).map(|days| i64::from(days) * MICROS_PER_DAY);
    let whole = |seconds: i64| {
        let unit = seconds * MICROS_PER_SECOND;
        Some(micros.div_euclid(unit) * unit)
    };
    match unit {
        "YEAR" => day(year, 1),
        "QUARTER" => day(year, (month - 1) / 3 * 3 + 1),
        "MONTH" => day(year, month),
        "DAY" => whole(86_400),
        _ if *kind == Type::Date => None,
        "HOUR" => whole(3600),
        "MINUTE" => whole(60),
        "SECOND" => whole(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{FIRST_DAY, LAST_DAY, date_text, parse_date, parse_timestamp, timestamp_text};

    #[test]
    fn every_day_is_read_as_it_is_written() {
        assert_eq!(
            (date_text(FIRST_DAY), date_text(LAST_DAY)),
            ("0001-01-01".to_owned(), "9999-12-31".to_owned())
        );
        for day in (FIRST_DAY..=LAST_DAY).step_by(17) {
            assert_eq!(parse_date(&date_text(day), false), Some(day));
        }
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "0000-01-01",
            "2026-1-",
            "2026/01/31",
        ] {
            assert_eq!(parse_date(text, false), None, "{text}");
        }
    }

    #[test]
    fn instants_are_read_in_their_zone() {
        let at = parse_timestamp("2026-01-31T10:11:12.5Z", false).unwrap();
        assert_eq!(timestamp_text(at, 'T'), "2026-01-31T10:11:12.500000");
        for text in [
            "2026-01-31 10:11:12.5",
            "2026-01-31 10:11:12.5 UTC",
            "2026-01-31 11:11:12.5+01:00",
            "2026-01-31T02:11:12.500000-08",
            "2026-01-31 10:11:12.5+00",
        ] {
            assert_eq!(parse_timestamp(text, false), Some(at), "{text}");
        }
        for text in [
            "2026-01-31T24:00:00Z",
            "2026-01-31T10:11:12.1234567Z",
            "2026-01-31T10:11:12+15",
            "now",
        ] {
            assert_eq!(parse_timestamp(text, false), None, "{text}");
        }
    }
}
