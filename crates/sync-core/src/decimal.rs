//! Exact decimals: the only numbers that money is ever held in.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// The largest number of digits, before and behind the point together.
pub const MAX_DIGITS: u8 = 38;

/// An exact decimal number of at most 38 digits.
///
/// Two are equal when they are the same number, whatever their scales: `1.50` equals `1.5`.
/// `Display` writes at least two places, and no further trailing zeros: `12.00`, `0.125`.
#[derive(Clone, Copy)]
pub struct Decimal {
    unscaled: i128,
    scale: u8,
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self {
        unscaled: 0,
        scale: 0,
    };

    /// `unscaled / 10^scale`, or `None` where that has more than 38 digits.
    pub fn new(unscaled: i128, scale: u8) -> Option<Self> {
        let fits = scale <= MAX_DIGITS && unscaled.unsigned_abs() < 10u128.pow(38);
        fits.then_some(Self { unscaled, scale })
    }

    /// The digits, without the point.
    pub fn unscaled(self) -> i128 {
        self.unscaled
    }

    /// How many of the digits stand behind the point.
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// The sum, or `None` where it has more than 38 digits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let left = self.at_scale(scale)?;
        let right = other.at_scale(scale)?;
        Self::new(left.checked_add(right)?, scale)
    }

    /// The difference, or `None` where it has more than 38 digits.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(Self {
            unscaled: -other.unscaled,
            scale: other.scale,
        })
    }

    /// The digits at another scale, or `None` where digits would be lost.
    pub fn at_scale(self, scale: u8) -> Option<i128> {
        let Self {
            unscaled,
            scale: own,
        } = self;
        if scale >= own {
            return unscaled.checked_mul(10i128.checked_pow(u32::from(scale - own))?);
        }
        let divisor = 10i128.checked_pow(u32::from(own - scale))?;
        (unscaled % divisor == 0).then(|| unscaled / divisor)
    }

    /// The same number with as few places as it needs.
    pub fn normalised(self) -> Self {
        let Self {
            mut unscaled,
            mut scale,
        } = self;
        // Most amounts fit 64 bits, where division is an order of magnitude cheaper.
        if let Ok(mut small) = i64::try_from(unscaled) {
            while scale > 0 && small % 10 == 0 {
                small /= 10;
                scale -= 1;
            }
            unscaled = small.into();
        }
        while scale > 0 && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        Self { unscaled, scale }
    }

    /// Appends what `Display` would write.
    pub fn push_to(self, text: &mut String) {
        let Self { unscaled, scale } = self.normalised();
        if unscaled < 0 {
            text.push('-');
        }
        let mut digits = [b'0'; 40];
        let mut start = digits.len();
        let mut rest = unscaled.unsigned_abs();
        // Most amounts fit 64 bits, where division is an order of magnitude cheaper.
        while rest > u128::from(u64::MAX) {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let mut rest = rest as u64;
        while rest > 0 {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        // At least one digit before the point.
        let point = digits.len() - usize::from(scale);
        start = start.min(point - 1);
        let (whole, places) = (&digits[start..point], &digits[point..]);
        let zeros = &b"00"[..2usize.saturating_sub(places.len())];
        for part in [whole, b".", places, zeros] {
            // Digits are always text.
            text.push_str(std::str::from_utf8(part).unwrap_or_default());
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(24);
        self.push_to(&mut text);
        f.pad_integral(true, "", &text)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decimal({self})")
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        let (left, right) = (self.normalised(), other.normalised());
        (left.unscaled, left.scale) == (right.unscaled, right.scale)
    }
}

impl Eq for Decimal {}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        match (self.at_scale(scale), other.at_scale(scale)) {
            (Some(left), Some(right)) => left.cmp(&right),
            // A side that does not fit at the common scale is the one further from zero.
            (None, _) => self.unscaled.cmp(&0),
            (_, None) => 0.cmp(&other.unscaled),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Decimal {
    type Err = Error;

    /// Reads `[+-]digits[.digits]`, where either side of the point may be missing, not both.
    ///
    /// No exponent, no thousands separators, no white space.
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| {
            Error::new(ErrorKind::Data, "not a decimal number of at most 38 digits")
                .with("text", text.chars().take(64).collect::<String>())
        })
    }
}

fn parse(text: &str) -> Option<Decimal> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut unscaled: i128 = 0;
    let mut scale: Option<u8> = None;
    let mut seen = false;
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                unscaled = unscaled
                    .checked_mul(10)?
                    .checked_add(i128::from(byte - b'0'))?;
                scale = match scale {
                    Some(scale) => Some(scale.checked_add(1)?),
                    None => None,
                };
                seen = true;
            }
            b'.' if scale.is_none() => scale = Some(0),
            _ => return None,
        }
    }
    let unscaled = if negative { -unscaled } else { unscaled };
    if seen {
        Decimal::new(unscaled, scale.unwrap_or(0))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_at_least_two_places_and_no_other_trailing_zeros() {
        for (text, written) in [
            ("0", "0.00"),
            ("-.25", "-0.25"),
            ("12.0", "12.00"),
            ("1234.560000000", "1234.56"),
            ("0.125", "0.125"),
            ("-100", "-100.00"),
            (
                "99999999999999999999999999999999999999",
                "99999999999999999999999999999999999999.00",
            ),
        ] {
            assert_eq!(text.parse::<Decimal>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_not_exact_is_refused() {
        for text in [
            "",
            ".",
            "-",
            "1e3",
            "1,000",
            " 1",
            "1.2.3",
            "NaN",
            &"9".repeat(39),
        ] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_number_agree(unscaled in -(10i128.pow(30))..10i128.pow(30), scale in 0u8..=20) {
            let number = Decimal::new(unscaled, scale).unwrap();
            prop_assert_eq!(number.to_string().parse::<Decimal>().unwrap(), number);
        }

        #[test]
        fn sums_are_exact(a in -(10i128.pow(20))..10i128.pow(20), b in -(10i128.pow(20))..10i128.pow(20),
                          x in 0u8..=9, y in 0u8..=9) {
            let (left, right) = (Decimal::new(a, x).unwrap(), Decimal::new(b, y).unwrap());
            let sum = left.checked_add(right).unwrap();
            prop_assert_eq!(sum.at_scale(9).unwrap(), left.at_scale(9).unwrap() + right.at_scale(9).unwrap());
            prop_assert_eq!(sum.checked_sub(right).unwrap(), left);
            prop_assert_eq!(left.cmp(&right), left.at_scale(9).cmp(&right.at_scale(9)));
        }
    }
}
