//! Dates and timestamps as ISO 8601 and RFC 3339 write them.

use super::digits::{self, all, eight};
use super::rows::store;

/// When a timestamp is written with microseconds. They are six digits then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fraction {
    /// Only those that are not zero: `2026-01-31T18:02:00Z`.
    WhereNotZero,
    /// Always: `2026-01-31T18:02:00.000000Z`.
    Always,
}

/// The most that a writer of this module touches, from where it begins.
pub(super) const MOST_BYTES: usize = 20 + digits::MOST_BYTES;

/// Why a moment is not written: four digits hold no other year.
pub(super) const NOT_IN_FOUR_DIGITS: &str =
    "a day before the year 1 or after the year 9999, which no four digits name";

/// Days since 1970-01-01 to 0001-01-01 and to 9999-12-31.
const YEARS_OF_FOUR_DIGITS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

pub(super) fn is_in_four_digits(days: i32) -> bool {
    YEARS_OF_FOUR_DIGITS.contains(&days)
}

/// Writes `2026-01-31`.
#[inline(always)]
pub(super) fn date(room: &mut [u8], at: usize, days: i32) -> Result<usize, &'static str> {
    if !is_in_four_digits(days) {
        return Err(NOT_IN_FOUR_DIGITS);
    }
    let (year, month, day) = civil(days);
    let digits = u128::from(eight(u64::from(year * 10_000 + month * 100 + day)));
    let apart = digits & 0xFFFF_FFFF | (digits & 0xFFFF << 32) << 8 | (digits >> 48) << 64;
    const ZEROS_AND_DASHES: u128 = u128::from_le_bytes(*b"0000-00-00\0\0\0\0\0\0");
    store(room, at, (apart | ZEROS_AND_DASHES).to_le_bytes());
    Ok(at + 10)
}

/// Year, month and day of a day in the years 1 to 9999.
///
/// C. Neri and L. Schneider, "Euclidean affine functions and their application to calendar
/// algorithms": years begin in March, and each division is a multiplication.
#[inline(always)]
fn civil(days: i32) -> (u32, u32, u32) {
    let day = (days + 719_468) as u32;
    let quarters = 4 * day + 3;
    let (century, day_of_century) = (quarters / 146_097, quarters % 146_097 / 4);
    let years = 2_939_745 * u64::from(4 * day_of_century + 3);
    let (year_of_century, day_of_year) = ((years >> 32) as u32, years as u32 / 2_939_745 / 4);
    let months = 2_141 * day_of_year + 197_913;
    let (month, day) = (months >> 16, (months & 0xFFFF) / 2_141 + 1);
    let is_after_december = day_of_year >= 306;
    (
        century * 100 + year_of_century + u32::from(is_after_december),
        if is_after_december { month - 12 } else { month },
        day,
    )
}

/// Writes `2026-01-31T18:02:00Z`, with six digits more as the fraction says.
#[inline(always)]
pub(super) fn timestamp(
    room: &mut [u8],
    at: usize,
    micros: i64,
    fraction: Fraction,
) -> Result<usize, &'static str> {
    const A_DAY: i64 = 86_400_000_000;
    // A 64-bit number of microseconds has fewer than 2^31 days.
    let at = date(room, at, micros.div_euclid(A_DAY) as i32)?;
    let micros = micros.rem_euclid(A_DAY) as u64;
    let (seconds, micros) = ((micros / 1_000_000) as u32, micros % 1_000_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);

    room[at] = b'T';
    let clock = eight(u64::from(hour * 1_000_000 + minute * 1_000 + second));
    const COLONS: u64 = u64::from_le_bytes([0, 0, b':' ^ b'0', 0, 0, b':' ^ b'0', 0, 0]);
    let at = all(room, at + 1, clock | COLONS);
    let at = if micros > 0 || fraction == Fraction::Always {
        room[at] = b'.';
        all(room, at + 1, eight(micros * 100)) - 2
    } else {
        at
    };
    room[at] = b'Z';
    Ok(at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::{Date, OffsetDateTime};

    use super::*;

    fn written<E>(write: impl Fn(&mut [u8], usize) -> Result<usize, E>) -> Result<String, E> {
        let mut room = [b'#'; MOST_BYTES + 1];
        let end = write(&mut room, 1)?;
        assert_eq!(room[0], b'#');
        Ok(String::from_utf8(room[1..end].to_vec()).unwrap())
    }

    #[test]
    fn every_tenth_day_is_the_calendars() {
        for days in YEARS_OF_FOUR_DIGITS.step_by(10).chain([2_932_896]) {
            let day = Date::from_julian_day(days + 2_440_588).unwrap();
            let (year, month, day) = day.to_calendar_date();
            assert_eq!(civil(days), (year as u32, month as u32, day.into()));
        }
    }

    #[test]
    fn other_years_are_refused() {
        for days in [i32::MIN, -719_163, 2_932_897, i32::MAX] {
            assert!(written(|room, at| date(room, at, days)).is_err());
            let micros = i64::from(days).saturating_mul(86_400_000_000);
            assert!(written(|room, at| timestamp(room, at, micros, Fraction::Always)).is_err());
        }
        for micros in [
            i64::MIN,
            i64::MAX,
            -62_135_596_800_000_001,
            253_402_300_800_000_000,
        ] {
            assert!(written(|room, at| timestamp(room, at, micros, Fraction::Always)).is_err());
        }
        assert_eq!(
            written(|room, at| date(room, at, -719_162)).unwrap(),
            "0001-01-01"
        );
        assert_eq!(
            written(|room, at| date(room, at, 2_932_896)).unwrap(),
            "9999-12-31"
        );
    }

    proptest! {
        #[test]
        fn moments_are_written_as_formatted(
            second in -62_135_596_800_i64..253_402_300_800,
            micros in prop_oneof![Just(0), 0_i64..1_000_000],
        ) {
            let moment = OffsetDateTime::from_unix_timestamp(second).unwrap();
            let (day, clock) = (moment.date(), moment.time());
            let seconds = format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
                day.year(), u8::from(day.month()), day.day(),
                clock.hour(), clock.minute(), clock.second(),
            );
            let write = |fraction| {
                written(|room, at| timestamp(room, at, second * 1_000_000 + micros, fraction)).unwrap()
            };
            prop_assert_eq!(write(Fraction::Always), format!("{seconds}.{micros:06}Z"));
            let short = if micros == 0 { format!("{seconds}Z") } else { format!("{seconds}.{micros:06}Z") };
            prop_assert_eq!(write(Fraction::WhereNotZero), short);
        }
    }
}
