//! Exact decimal numbers: every amount, rate and count that the company holds or compares.

use std::cmp::Ordering;

/// A decimal number: `units` counted in steps of 10^-`scale`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    pub(crate) units: i128,
    pub(crate) scale: u32,
}

/// The most digits after the point that a number may carry.
const MOST_SCALE: u32 = 18;

impl Decimal {
    pub(crate) const ZERO: Self = Self { units: 0, scale: 0 };

    pub(crate) const fn whole(units: i64) -> Self {
        Self {
            units: units as i128,
            scale: 0,
        }
    }

    pub(crate) const fn cents(units: i64) -> Self {
        Self {
            units: units as i128,
            scale: 2,
        }
    }

    /// Reads plain decimal digits: a sign, a point and a missing leading zero are fine, an
    /// exponent or a thousands separator is not.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > MOST_SCALE as usize {
            return None;
        }
        let mut units: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            units = units
                .checked_mul(10)?
                .checked_add(i128::from(byte - b'0'))?;
        }
        Some(Self {
            units: if negative { -units } else { units },
            scale: fraction.len() as u32,
        })
    }

    /// The number without digits after the point, if it has none.
    pub(crate) fn as_whole(self) -> Option<i64> {
        let step = 10_i128.checked_pow(self.scale)?;
        (self.units % step == 0)
            .then(|| i64::try_from(self.units / step).ok())
            .flatten()
    }

    /// The sum; what leaves the range of 38 digits is held at its edge.
    pub(crate) fn plus(self, other: Self) -> Self {
        let scale = self.scale.max(other.scale);
        Self {
            units: self.at(scale).saturating_add(other.at(scale)),
            scale,
        }
    }

    /// The quotient by a count, rounded half away from zero at `scale` digits.
    pub(crate) fn divided_by(self, count: i128, scale: u32) -> Self {
        let units = self.at(scale.max(self.scale));
        let step = 10_i128.pow(scale.max(self.scale) - scale);
        let divisor = count.max(1).saturating_mul(step);
        let half = if units < 0 { -divisor / 2 } else { divisor / 2 };
        Self {
            units: units.saturating_add(half) / divisor,
            scale,
        }
    }

    fn at(self, scale: u32) -> i128 {
        self.units
            .saturating_mul(10_i128.saturating_pow(scale - self.scale))
    }

    /// Writes the shortest plain form, with a zero before the point.
    pub(crate) fn push(self, out: &mut Vec<u8>) {
        let (mut units, mut scale) = (self.units.unsigned_abs(), self.scale);
        while scale > 0 && units % 10 == 0 {
            units /= 10;
            scale -= 1;
        }
        if self.units < 0 {
            out.push(b'-');
        }
        let mut digits = [0_u8; 60];
        let mut at = digits.len();
        let mut written = 0;
        while units > 0 || written <= scale {
            if written == scale && scale > 0 {
                at -= 1;
                digits[at] = b'.';
            }
            at -= 1;
            digits[at] = b'0' + (units % 10) as u8;
            units /= 10;
            written += 1;
        }
        out.extend_from_slice(&digits[at..]);
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        self.at(scale).cmp(&other.at(scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(number: Decimal) -> String {
        let mut out = Vec::new();
        number.push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn reads_and_writes_plain_decimals() {
        for (text, expected) in [
            (".5", "0.5"),
            ("-.25", "-0.25"),
            ("12.0", "12"),
            ("+7", "7"),
            ("0", "0"),
            ("1679615.93", "1679615.93"),
            ("100", "100"),
            ("0.010", "0.01"),
        ] {
            assert_eq!(written(Decimal::parse(text).unwrap()), expected);
        }
        for bad in ["", ".", "-", "1e3", "1,000", "0x1", "1.2.3"] {
            assert!(Decimal::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(written(Decimal::cents(-5)), "-0.05");
        assert_eq!(written(Decimal::cents(100).divided_by(3, 2)), "0.33");
        assert_eq!(written(Decimal::cents(-200).divided_by(3, 2)), "-0.67");
    }

    #[test]
    fn compares_across_scales() {
        assert_eq!(Decimal::cents(150), Decimal::parse("1.5").unwrap());
        assert!(Decimal::whole(-2) < Decimal::cents(-199));
    }
}
