//! Dates and timestamps out of their text.
//!
//! A column wants days and microseconds since 1970. Eight characters at a time are read as one word
//! whose digits are checked together, and the days follow by the arithmetic of the calendar. What is
//! not a day in that way is read again by [`time`], which says why: the words may only decline.

use time::{Date, Month, PrimitiveDateTime, Time};

use super::Parsed;

pub(super) const UNIX_EPOCH_JULIAN_DAY: i32 = 2_440_588;

pub(super) fn date(text: &[u8]) -> Parsed<Date> {
    const WRONG: &str = "not a date of the form mm/dd/yyyy";
    let &[m1, m0, b'/', d1, d0, b'/', y3, y2, y1, y0] = text else {
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

pub(super) fn timestamp(text: &[u8]) -> Parsed<PrimitiveDateTime> {
    const WRONG: &str = "not a timestamp of the form mm/dd/yyyy hh:mm:ss";
    let of_timestamp = |reason| if reason == NO_SUCH_DAY { reason } else { WRONG };
    let Some(space) = text.iter().position(|byte| *byte == b' ') else {
        return date(text)
            .map(|day| PrimitiveDateTime::new(day, Time::MIDNIGHT))
            .map_err(of_timestamp);
    };
    let day = date(&text[..space]).map_err(of_timestamp)?;
    let &[h1, h0, b':', m1, m0, b':', s1, s0] = &text[space + 1..] else {
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

#[cfg(feature = "arrow")]
pub(crate) use columns::{date_days, timestamp_microseconds};

/// The forms that columns hold.
#[cfg(feature = "arrow")]
mod columns {
    use time::UtcOffset;

    use super::{Parsed, UNIX_EPOCH_JULIAN_DAY, date, timestamp};
    use crate::values::to_unix_microseconds;

    /// Days since 1970-01-01 of `mm/dd/yyyy`.
    pub(crate) fn date_days(text: &[u8]) -> Parsed<i32> {
        let day = text.try_into().ok().and_then(days);
        day.map_or_else(
            || date(text).map(|date| date.to_julian_day() - UNIX_EPOCH_JULIAN_DAY),
            Ok,
        )
    }

    /// Microseconds since 1970-01-01T00:00:00Z of `mm/dd/yyyy hh:mm:ss` or `mm/dd/yyyy` in that zone.
    pub(crate) fn timestamp_microseconds(text: &[u8], source: UtcOffset) -> Parsed<i64> {
        match seconds(text) {
            Some(local) => Ok((local - i64::from(source.whole_seconds())) * 1_000_000),
            None => timestamp(text).map(|local| to_unix_microseconds(local, source)),
        }
    }

    /// Seconds since the beginning of 1970, of both forms.
    #[inline(always)]
    fn seconds(text: &[u8]) -> Option<i64> {
        let (date, clock) = text.split_first_chunk::<10>()?;
        let midnight = i64::from(days(date)?) * 86_400;
        match clock {
            [] => Some(midnight),
            [b' ', clock @ ..] => {
                Some(midnight + i64::from(second_of_day(clock.try_into().ok()?)?))
            }
            _ => None,
        }
    }

    /// Days since 1970-01-01, if it is such a day.
    #[inline(always)]
    fn days(text: &[u8; 10]) -> Option<i32> {
        let (start, end) = text.split_first_chunk::<8>()?;
        let [month, day, century] = two_digits_thrice(*start, *b"00/00/00")?;
        let [decade, year] = *end else { return None };
        let (decade, year) = (decade ^ b'0', year ^ b'0');
        if decade > 9 || year > 9 {
            return None;
        }
        let in_century = u32::from(decade) * 10 + u32::from(year);
        let is_leap = if in_century == 0 { century } else { in_century } % 4 == 0;
        // The 29th of February is the only day that depends on the year.
        let days_of_month = *DAYS_OF_MONTHS.get(month as usize)?;
        let exists = day.wrapping_sub(1) < days_of_month || is_leap && month == 2 && day == 29;
        exists.then(|| days_since_epoch(century * 100 + in_century, month, day))
    }

    const DAYS_OF_MONTHS: [u32; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

    /// The second of the day of `hh:mm:ss`, if there is such a one.
    #[inline(always)]
    fn second_of_day(clock: [u8; 8]) -> Option<u32> {
        let [hour, minute, second] = two_digits_thrice(clock, *b"00:00:00")?;
        let exists = hour < 24 && minute < 60 && second < 60;
        exists.then_some(hour * 3_600 + minute * 60 + second)
    }

    /// Three numbers of two digits, and between them exactly what the form has there.
    #[inline(always)]
    fn two_digits_thrice(text: [u8; 8], form: [u8; 8]) -> Option<[u32; 3]> {
        // Added to a digit it stays below 0x80, and to anything else it does not: in the places of
        // the separators, anything but the separator itself.
        const BELOW_THE_HIGHEST_BIT: u64 =
            u64::from_le_bytes([118, 118, 127, 118, 118, 127, 118, 118]);
        const HIGHEST_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
        let digits = u64::from_le_bytes(text) ^ u64::from_le_bytes(form);
        if (digits.wrapping_add(BELOW_THE_HIGHEST_BIT) | digits) & HIGHEST_BITS != 0 {
            return None;
        }
        let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
        Some([pairs, pairs >> 24, pairs >> 48].map(|pair| u32::from(pair as u8)))
    }

    /// Days from 1970-01-01 to a day of the Gregorian calendar in the years 0 to 9999.
    #[inline(always)]
    fn days_since_epoch(year: u32, month: u32, day: u32) -> i32 {
        // Years that begin in March have the leap day at their end, and months whose lengths follow
        // a line; 400 years more keep year 0 above zero.
        let (year, month) = if month < 3 {
            (year + 399, month + 9)
        } else {
            (year + 400, month - 3)
        };
        let leap_days = year / 4 - year / 100 + year / 400;
        let day_of_year = (153 * month + 2) / 5 + day - 1;
        const EPOCH: i32 = 719_468 + 146_097;
        (year * 365 + leap_days + day_of_year) as i32 - EPOCH
    }

    #[cfg(test)]
    mod tests {
        use proptest::prelude::*;
        use time::{Date, Month};

        use super::*;
        use crate::values::{format_date, format_timestamp};

        fn by_calendar(text: &[u8]) -> Parsed<i32> {
            date(text).map(|date| date.to_julian_day() - UNIX_EPOCH_JULIAN_DAY)
        }

        fn by_clock(text: &[u8], source: UtcOffset) -> Parsed<i64> {
            timestamp(text).map(|local| to_unix_microseconds(local, source))
        }

        #[test]
        fn every_day_and_no_other_is_one() {
            for year in (0..=9999).filter(|year| year % 100 < 5 || year % 37 == 0) {
                for month in 0..=13 {
                    for day in 0..=32 {
                        let text = format!("{month:02}/{day:02}/{year:04}");
                        let expected = by_calendar(text.as_bytes());
                        let by_words = days(text.as_bytes().try_into().unwrap());
                        assert_eq!(by_words, expected.ok(), "{text}");
                    }
                }
            }
        }

        #[test]
        fn every_second_and_no_other_is_one() {
            for hour in 0..=25 {
                for minute in 0..=61 {
                    for second in 0..=61 {
                        let text = format!("01/31/2026 {hour:02}:{minute:02}:{second:02}");
                        let expected = by_clock(text.as_bytes(), UtcOffset::UTC);
                        let by_words = seconds(text.as_bytes()).map(|s| s * 1_000_000);
                        assert_eq!(by_words, expected.ok(), "{text}");
                    }
                }
            }
        }

        #[test]
        fn any_byte_anywhere_is_read_alike() {
            let text = *b"12/30/2015 19:59:28";
            for length in [text.len(), 10] {
                for place in 0..length {
                    for byte in 0..=u8::MAX {
                        let mut text = text;
                        text[place] = byte;
                        let text = &text[..length];
                        assert_eq!(date_days(text), by_calendar(text), "{text:?}");
                        let read = timestamp_microseconds(text, UtcOffset::UTC);
                        assert_eq!(read, by_clock(text, UtcOffset::UTC), "{text:?}");
                    }
                }
            }
        }

        proptest! {
            #[test]
            fn days_and_moments_are_the_calendars(
                day in Date::from_calendar_date(0, Month::January, 1).unwrap().to_julian_day()
                    ..=Date::MAX.to_julian_day(),
                second in 0_u32..86_400,
                zone in -50_000..50_000,
            ) {
                let day = Date::from_julian_day(day).unwrap();
                let zone = UtcOffset::from_whole_seconds(zone).unwrap();
                let (hour, minute) = (second / 3_600, second / 60 % 60);
                let moment = day.with_hms(hour as u8, minute as u8, (second % 60) as u8).unwrap();
                let text = format_date(day);
                prop_assert_eq!(days(text.as_bytes().try_into().unwrap()), by_calendar(text.as_bytes()).ok());
                prop_assert_eq!(
                    timestamp_microseconds(text.as_bytes(), zone),
                    by_clock(text.as_bytes(), zone),
                );
                let text = format_timestamp(moment);
                prop_assert!(seconds(text.as_bytes()).is_some());
                prop_assert_eq!(
                    timestamp_microseconds(text.as_bytes(), zone),
                    by_clock(text.as_bytes(), zone),
                );
            }

            #[test]
            fn texts_are_read_alike(text in "[0-9/: T]{0,20}|[0-1][0-9]/[0-3][0-9]/[0-9]{4}\\PC?([0-2][0-9]:[0-6][0-9]:[0-6][0-9])?") {
                let text = text.as_bytes();
                prop_assert_eq!(date_days(text), by_calendar(text));
                prop_assert_eq!(
                    timestamp_microseconds(text, UtcOffset::UTC),
                    by_clock(text, UtcOffset::UTC),
                );
            }
        }
    }
}
