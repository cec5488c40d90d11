//! Dates and instants as plain numbers, and the gateway's ways of writing them.
//!
//! A date is a count of days, an instant a count of seconds, both since 1970-01-01 UTC.

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;
/// Seconds of an hour.
pub(crate) const HOUR: i64 = 3_600;

/// The date of a year, month (1 to 12) and day (1 to 31).
pub(crate) const fn days(year: i32, month: u32, day: u32) -> i32 {
    // Counting years from March puts the leap day last, which makes the month lengths regular.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = ((month + 9) % 12) as i32;
    let day_of_year = (153 * month_from_march + 2) / 5 + day as i32 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a date.
pub(crate) const fn civil(date: i32) -> (i32, u32, u32) {
    let shifted = date + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = ((month_from_march + 2) % 12 + 1) as u32;
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// Months since January of year 0, so that neighbouring months differ by one.
pub(crate) const fn month_number(date: i32) -> i32 {
    let (year, month, _) = civil(date);
    year * 12 + month as i32 - 1
}

/// The first day of a month counted as by [`month_number`].
pub(crate) const fn first_of_month(month: i32) -> i32 {
    days(month.div_euclid(12), month.rem_euclid(12) as u32 + 1, 1)
}

/// The date on which an instant falls.
pub(crate) const fn date_of(instant: i64) -> i32 {
    instant.div_euclid(DAY) as i32
}

fn push_two(out: &mut Vec<u8>, number: u32) {
    out.push(b'0' + (number / 10 % 10) as u8);
    out.push(b'0' + (number % 10) as u8);
}

fn push_year(out: &mut Vec<u8>, year: i32) {
    let year = year.clamp(0, 9999) as u32;
    push_two(out, year / 100);
    push_two(out, year % 100);
}

fn push_time(out: &mut Vec<u8>, instant: i64) {
    let second = instant.rem_euclid(DAY) as u32;
    push_two(out, second / 3_600);
    out.push(b':');
    push_two(out, second / 60 % 60);
    out.push(b':');
    push_two(out, second % 60);
}

/// `mm/dd/yyyy`.
pub(crate) fn push_date(out: &mut Vec<u8>, date: i32) {
    let (year, month, day) = civil(date);
    push_two(out, month);
    out.push(b'/');
    push_two(out, day);
    out.push(b'/');
    push_year(out, year);
}

/// `mm/dd/yyyy hh:mm:ss`, 24 hours.
pub(crate) fn push_instant(out: &mut Vec<u8>, instant: i64) {
    push_date(out, date_of(instant));
    out.push(b' ');
    push_time(out, instant);
}

/// `yyyy-mm-ddThh:mm:ss+00:00`, as sessions state their times.
pub(crate) fn iso(instant: i64) -> String {
    let mut out = Vec::with_capacity(25);
    let (year, month, day) = civil(date_of(instant));
    push_year(&mut out, year);
    out.push(b'-');
    push_two(&mut out, month);
    out.push(b'-');
    push_two(&mut out, day);
    out.push(b'T');
    push_time(&mut out, instant);
    out.extend_from_slice(b"+00:00");
    String::from_utf8_lossy(&out).into_owned()
}

/// The form of the HTTP `Date` header.
pub(crate) fn http_date(instant: i64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let date = date_of(instant);
    let (year, month, day) = civil(date);
    let mut time = Vec::with_capacity(8);
    push_time(&mut time, instant);
    format!(
        "{}, {day:02} {} {year:04} {} GMT",
        WEEKDAYS[date.rem_euclid(7) as usize],
        MONTHS[(month as usize + 11) % 12],
        String::from_utf8_lossy(&time),
    )
}

/// Reads `mm/dd/yyyy`; one-digit months and days are accepted, as the gateway does.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let mut parts = text.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || month.len() > 2 || day.len() > 2 {
        return None;
    }
    let (year, month, day) = (digits(year)? as i32, digits(month)?, digits(day)?);
    if !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    let date = days(year, month, day);
    (civil(date) == (year, month, day)).then_some(date)
}

/// Reads `mm/dd/yyyy hh:mm:ss`; a date alone means its midnight.
pub(crate) fn parse_instant(text: &str) -> Option<i64> {
    let Some((date, time)) = text.split_once(' ') else {
        return parse_date(text).map(|date| i64::from(date) * DAY);
    };
    let mut parts = time.split(':');
    let (hour, minute, second) = (
        digits(parts.next()?)?,
        digits(parts.next()?)?,
        digits(parts.next()?)?,
    );
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour) * HOUR + i64::from(minute) * 60 + i64::from(second);
    Some(i64::from(parse_date(date)?) * DAY + seconds)
}

fn digits(text: &str) -> Option<u32> {
    if text.is_empty() || text.len() > 4 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_numbers_agree_over_four_centuries() {
        let mut expected = days(1890, 1, 1);
        for year in 1890..2290 {
            for month in 1..=12 {
                for day in 1..=28 {
                    let date = days(year, month, day);
                    assert_eq!(civil(date), (year, month, day));
                    if day == 1 {
                        assert!(date > expected || (year, month) == (1890, 1));
                        expected = date;
                    }
                }
            }
        }
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2024, 2, 29) + 1, days(2024, 3, 1));
    }

    #[test]
    fn texts_round_trip_and_nonsense_is_refused() {
        let mut out = Vec::new();
        push_instant(&mut out, 1_769_882_400);
        assert_eq!(out, b"01/31/2026 18:00:00");
        assert_eq!(parse_instant("01/31/2026 18:00:00"), Some(1_769_882_400));
        assert_eq!(parse_instant("1/31/2026"), Some(1_769_817_600));
        assert_eq!(http_date(1_769_882_400), "Sat, 31 Jan 2026 18:00:00 GMT");
        assert_eq!(iso(1_769_882_400), "2026-01-31T18:00:00+00:00");
        for bad in [
            "2026-01-31",
            "02/30/2026",
            "13/01/2026",
            "01/31/26",
            "",
            "01/31/2026 24:00:00",
        ] {
            assert_eq!(parse_instant(bad), None, "{bad}");
        }
    }
}
