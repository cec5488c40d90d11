//! NUMERIC and BIGNUMERIC: exact, with the vendor's precision, scale and rounding.

use std::cmp::Ordering;
use std::fmt;

use num_bigint::BigInt;

/// Digits behind the point of a NUMERIC.
const SCALE: u32 = 9;
/// The largest NUMERIC in billionths: 38 nines.
const LARGEST: i128 = 10_i128.pow(38) - 1;
/// Digits behind the point of a BIGNUMERIC.
const BIG_SCALE: u32 = 38;

/// A NUMERIC: 38 digits, 9 of them behind the point. Kept in two halves, so that a value of any
/// type stays small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Numeric {
    high: i64,
    low: u64,
}

/// A BIGNUMERIC: 256 bits, 38 digits behind the point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BigNumeric(BigInt);

/// A number of digits as text stood for it.
struct Digits {
    units: BigInt,
    /// Digits behind the point; negative where an exponent shifts the point to the right.
    scale: i64,
}

impl Numeric {
    /// From billionths.
    pub(crate) fn from_units(units: i128) -> Option<Self> {
        (-LARGEST..=LARGEST).contains(&units).then_some(Self {
            high: (units >> 64) as i64,
            low: units as u64,
        })
    }

    /// Billionths.
    pub(crate) fn units(self) -> i128 {
        (i128::from(self.high) << 64) | i128::from(self.low)
    }

    pub(crate) fn from_int(value: i64) -> Self {
        let units = i128::from(value) * 10_i128.pow(SCALE);
        Self {
            high: (units >> 64) as i64,
            low: units as u64,
        }
    }

    /// Reads a text without rounding; `None` where it is no number, has too many digits, or has
    /// more than nine behind the point that are not zeros.
    pub(crate) fn exact(text: &str) -> Option<Self> {
        let digits = Digits::read(text)?;
        let (units, exact) = digits.at_scale(SCALE)?;
        exact.then(|| Self::from_units(i128::try_from(units).ok()?))?
    }

    /// Reads a text as a cast does: digits behind the ninth are rounded half away from zero.
    pub(crate) fn rounded(text: &str) -> Option<Self> {
        let (units, _) = Digits::read(text)?.at_scale(SCALE)?;
        Self::from_units(i128::try_from(units).ok()?)
    }

    pub(crate) fn add(self, other: Self) -> Option<Self> {
        Self::from_units(self.units().checked_add(other.units())?)
    }

    pub(crate) fn subtract(self, other: Self) -> Option<Self> {
        Self::from_units(self.units().checked_sub(other.units())?)
    }

    pub(crate) fn multiply(self, other: Self) -> Option<Self> {
        let product = BigInt::from(self.units()) * BigInt::from(other.units());
        let (units, _) = shifted(product, SCALE);
        Self::from_units(i128::try_from(units).ok()?)
    }

    /// `None` where the divisor is zero or the quotient is too large.
    pub(crate) fn divide(self, other: Self) -> Option<Self> {
        let scaled = BigInt::from(self.units()) * BigInt::from(10).pow(SCALE);
        let units = quotient(scaled, &BigInt::from(other.units()))?;
        Self::from_units(i128::try_from(units).ok()?)
    }

    pub(crate) fn negate(self) -> Self {
        let units = -self.units();
        Self {
            high: (units >> 64) as i64,
            low: units as u64,
        }
    }

    /// Rounds half away from zero to so many digits behind the point.
    pub(crate) fn round(self, digits: i64) -> Option<Self> {
        let units = round_units(BigInt::from(self.units()), SCALE, digits)?;
        Self::from_units(i128::try_from(units).ok()?)
    }

    /// To an integer, rounded half away from zero.
    pub(crate) fn to_int(self) -> Option<i64> {
        let (units, _) = shifted(BigInt::from(self.units()), SCALE);
        i64::try_from(units).ok()
    }

    /// To a double, by its text: the nearest one.
    pub(crate) fn to_float(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Whether it fits into so many digits before and behind the point.
    pub(crate) fn fits(self, precision: u32, scale: u32) -> bool {
        let limit = BigInt::from(10).pow(precision - scale + SCALE);
        let units = BigInt::from(self.units());
        units < limit && units > -limit
    }
}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Self) -> Ordering {
        self.units().cmp(&other.units())
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.units();
        let magnitude = units.unsigned_abs().to_string();
        write_decimal(formatter, units < 0, &magnitude, SCALE)
    }
}

impl BigNumeric {
    fn from_units(units: BigInt) -> Option<Self> {
        let limit = BigInt::from(1) << 255_u32;
        (units < limit && units >= -limit).then_some(Self(units))
    }

    pub(crate) fn from_numeric(value: Numeric) -> Self {
        Self(BigInt::from(value.units()) * BigInt::from(10).pow(BIG_SCALE - SCALE))
    }

    pub(crate) fn from_int(value: i64) -> Self {
        Self(BigInt::from(value) * BigInt::from(10).pow(BIG_SCALE))
    }

    /// Reads a text without rounding.
    pub(crate) fn exact(text: &str) -> Option<Self> {
        let (units, exact) = Digits::read(text)?.at_scale(BIG_SCALE)?;
        exact.then(|| Self::from_units(units))?
    }

    /// Reads a text as a cast does.
    pub(crate) fn rounded(text: &str) -> Option<Self> {
        let (units, _) = Digits::read(text)?.at_scale(BIG_SCALE)?;
        Self::from_units(units)
    }

    pub(crate) fn add(&self, other: &Self) -> Option<Self> {
        Self::from_units(&self.0 + &other.0)
    }

    pub(crate) fn subtract(&self, other: &Self) -> Option<Self> {
        Self::from_units(&self.0 - &other.0)
    }

    pub(crate) fn multiply(&self, other: &Self) -> Option<Self> {
        let (units, _) = shifted(&self.0 * &other.0, BIG_SCALE);
        Self::from_units(units)
    }

    pub(crate) fn divide(&self, other: &Self) -> Option<Self> {
        let scaled = &self.0 * BigInt::from(10).pow(BIG_SCALE);
        Self::from_units(quotient(scaled, &other.0)?)
    }

    pub(crate) fn negate(&self) -> Option<Self> {
        Self::from_units(-&self.0)
    }

    pub(crate) fn round(&self, digits: i64) -> Option<Self> {
        Self::from_units(round_units(self.0.clone(), BIG_SCALE, digits)?)
    }

    /// To a NUMERIC, rounded half away from zero.
    pub(crate) fn to_numeric(&self) -> Option<Numeric> {
        let (units, _) = shifted(self.0.clone(), BIG_SCALE - SCALE);
        Numeric::from_units(i128::try_from(units).ok()?)
    }

    pub(crate) fn to_int(&self) -> Option<i64> {
        let (units, _) = shifted(self.0.clone(), BIG_SCALE);
        i64::try_from(units).ok()
    }

    pub(crate) fn to_float(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Whether it fits into so many digits before and behind the point.
    pub(crate) fn fits(&self, precision: u32, scale: u32) -> bool {
        let limit = BigInt::from(10).pow(precision - scale + BIG_SCALE);
        self.0 < limit && self.0 > -limit
    }
}

impl fmt::Display for BigNumeric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.magnitude().to_string();
        write_decimal(formatter, self.0 < BigInt::from(0), &text, BIG_SCALE)
    }
}

/// Without zeros at the end behind the point, as the vendor prints them.
fn write_decimal(
    formatter: &mut fmt::Formatter<'_>,
    negative: bool,
    magnitude: &str,
    scale: u32,
) -> fmt::Result {
    let scale = scale as usize;
    let padded = format!("{magnitude:0>width$}", width = scale + 1);
    let (whole, part) = padded.split_at(padded.len() - scale);
    let part = part.trim_end_matches('0');
    let sign = if negative { "-" } else { "" };
    if part.is_empty() {
        write!(formatter, "{sign}{whole}")
    } else {
        write!(formatter, "{sign}{whole}.{part}")
    }
}

impl Digits {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            None => (text, 0),
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        };
        let (sign, digits) = match mantissa.as_bytes().first()? {
            b'-' => (-1, &mantissa[1..]),
            b'+' => (1, &mantissa[1..]),
            _ => (1, mantissa),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all = whole.len() + part.len();
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if all == 0 || all > 200 || exponent.abs() > 200 || !are_digits(whole) || !are_digits(part)
        {
            return None;
        }
        let units: BigInt = format!("{whole}{part}").parse().ok()?;
        Some(Self {
            units: units * sign,
            scale: part.len() as i64 - i64::from(exponent),
        })
    }

    /// Units of another scale, rounded half away from zero, and whether nothing was rounded off.
    fn at_scale(self, scale: u32) -> Option<(BigInt, bool)> {
        let more = i64::from(scale) - self.scale;
        if more >= 0 {
            Some((
                self.units * BigInt::from(10).pow(u32::try_from(more).ok()?),
                true,
            ))
        } else {
            Some(shifted(self.units, u32::try_from(-more).ok()?))
        }
    }
}

/// Divides by a power of ten, rounding half away from zero; whether nothing was rounded off.
fn shifted(units: BigInt, digits: u32) -> (BigInt, bool) {
    let divisor = BigInt::from(10).pow(digits);
    let exact = &units % &divisor == BigInt::from(0);
    (quotient(units, &divisor).unwrap_or_default(), exact)
}

/// Half away from zero.
fn quotient(units: BigInt, divisor: &BigInt) -> Option<BigInt> {
    let zero = BigInt::from(0);
    if *divisor == zero {
        return None;
    }
    let (whole, rest) = (&units / divisor, &units % divisor);
    let twice = BigInt::from(rest.magnitude().clone()) * 2;
    if twice < BigInt::from(divisor.magnitude().clone()) {
        return Some(whole);
    }
    let away = if (units < zero) == (*divisor < zero) {
        1
    } else {
        -1
    };
    Some(whole + away)
}

fn round_units(units: BigInt, scale: u32, digits: i64) -> Option<BigInt> {
    let off = i64::from(scale) - digits;
    if off <= 0 {
        return Some(units);
    }
    let off = u32::try_from(off.min(200)).ok()?;
    Some(shifted(units, off).0 * BigInt::from(10).pow(off))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::{BigNumeric, LARGEST, Numeric};

    proptest! {
        #[test]
        fn a_numeric_reads_what_it_writes_and_adds_without_loss(
            left in -LARGEST / 2..=LARGEST / 2,
            right in -LARGEST / 2..=LARGEST / 2,
        ) {
            let (left, right) = (Numeric::from_units(left).unwrap(), Numeric::from_units(right).unwrap());
            prop_assert_eq!(Numeric::exact(&left.to_string()), Some(left));
            prop_assert_eq!(left.add(right).unwrap().subtract(right), Some(left));
            prop_assert_eq!(left.cmp(&right), left.units().cmp(&right.units()));
            let big = BigNumeric::from_numeric(left);
            prop_assert_eq!(big.to_string(), left.to_string());
            prop_assert_eq!(big.to_numeric(), Some(left));
        }

        #[test]
        fn what_is_multiplied_by_an_integer_is_added_so_often(units in -1_000_000_000_000_i128..1_000_000_000_000, times in 1..50_i64) {
            let number = Numeric::from_units(units).unwrap();
            let product = number.multiply(Numeric::from_int(times)).unwrap();
            prop_assert_eq!(product.units(), units * i128::from(times));
            prop_assert_eq!(product.divide(Numeric::from_int(times)), Some(number));
        }
    }

    #[test]
    fn digits_beyond_the_scale_are_refused_or_rounded_half_away_from_zero() {
        assert_eq!(Numeric::exact("0.0000000005"), None);
        assert_eq!(Numeric::exact("1.5000000000").unwrap().to_string(), "1.5");
        for (text, rounded) in [
            ("0.0000000005", "0.000000001"),
            ("-0.0000000005", "-0.000000001"),
            ("0.00000000049", "0"),
            ("1e2", "100"),
            (".5", "0.5"),
            ("+7", "7"),
        ] {
            assert_eq!(
                Numeric::rounded(text).unwrap().to_string(),
                rounded,
                "{text}"
            );
        }
        for text in [
            "",
            ".",
            "1.2.3",
            "0x1",
            "1e",
            "NaN",
            "--1",
            "100000000000000000000000000000",
        ] {
            assert_eq!(Numeric::rounded(text), None, "{text}");
        }
        let largest =
            "578960446186580977117854925043439539266.34992332820282019728792003956564819967";
        assert_eq!(BigNumeric::exact(largest).unwrap().to_string(), largest);
        assert_eq!(BigNumeric::exact(&largest.replace("967", "968")), None);
        let third = Numeric::from_int(1).divide(Numeric::from_int(3)).unwrap();
        assert_eq!(
            (
                third.to_string(),
                Numeric::from_int(1).divide(Numeric::from_int(0))
            ),
            ("0.333333333".to_owned(), None)
        );
    }
}
