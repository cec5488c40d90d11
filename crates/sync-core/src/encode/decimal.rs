//! Decimals from their integers.

use super::digits::{self, EIGHT, all, eight, unsigned, without_trailing_zeros};

/// The most that [`write()`] touches, from where it begins: a sign, 39 digits, a point, a block.
pub(super) const MOST_BYTES: usize = 1 + 40 + 1 + digits::MOST_BYTES;

/// `10^n` where it fits 64 bits.
pub(super) const POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// Writes `units / 10^scale` with as many places as it needs: `12.5`, `-0.25`, `100`.
#[inline(always)]
pub(super) fn write(room: &mut [u8], at: usize, units: i128, scale: u8) -> usize {
    room[at] = b'-';
    let at = at + usize::from(units < 0);
    let magnitude = units.unsigned_abs();
    match (u64::try_from(magnitude), POWERS.get(usize::from(scale))) {
        (Ok(magnitude), Some(one)) => {
            let at = unsigned(room, at, magnitude / one);
            places(room, at, magnitude % one, scale)
        }
        _ => large(room, at, magnitude, scale),
    }
}

/// Writes the point and what stands behind it, if anything does.
#[inline(always)]
fn places(room: &mut [u8], at: usize, mut fraction: u64, scale: u8) -> usize {
    if fraction == 0 {
        return at;
    }
    room[at] = b'.';
    let mut at = at + 1;
    let mut left = usize::from(scale);
    while left > 8 {
        let below = POWERS[left - 8];
        let (first, rest) = (fraction / below, fraction % below);
        if rest == 0 {
            return without_trailing_zeros(room, at, eight(first));
        }
        at = all(room, at, eight(first));
        fraction = rest;
        left -= 8;
    }
    without_trailing_zeros(room, at, eight(fraction * POWERS[8 - left]))
}

/// Beyond 64 bits or 19 places: all forty digits, of which some are taken.
#[cold]
fn large(room: &mut [u8], at: usize, magnitude: u128, scale: u8) -> usize {
    let digits = forty(magnitude);
    let point = digits.len() - usize::from(scale);
    let first = digits[..point - 1].iter().position(|digit| *digit != b'0');
    let whole = &digits[first.unwrap_or(point - 1)..point];
    let last = digits[point..].iter().rposition(|digit| *digit != b'0');
    let places = last.map_or(&[][..], |last| &digits[point..=point + last]);

    room[at..at + whole.len()].copy_from_slice(whole);
    let at = at + whole.len();
    if places.is_empty() {
        return at;
    }
    room[at] = b'.';
    let at = at + 1;
    room[at..at + places.len()].copy_from_slice(places);
    at + places.len()
}

/// All the digits, with zeros before them.
pub(super) fn forty(number: u128) -> [u8; 40] {
    const SIXTEEN: u128 = EIGHT as u128 * EIGHT as u128;
    let (high, low) = (number / SIXTEEN, (number % SIXTEEN) as u64);
    let (high, middle) = ((high / SIXTEEN) as u64, (high % SIXTEEN) as u64);
    let mut digits = [0; 40];
    let groups = [
        high,
        middle / EIGHT,
        middle % EIGHT,
        low / EIGHT,
        low % EIGHT,
    ];
    for (place, group) in groups.into_iter().enumerate() {
        all(&mut digits, 8 * place, eight(group));
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(units: i128, scale: u8) -> String {
        let mut room = [b'#'; MOST_BYTES + 1];
        let end = write(&mut room, 1, units, scale);
        assert_eq!(room[0], b'#');
        String::from_utf8(room[1..end].to_vec()).unwrap()
    }

    /// The simple way.
    fn formatted(units: i128, scale: u8) -> String {
        let scale = usize::from(scale);
        let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
        let (whole, places) = digits.split_at(digits.len() - scale);
        let places = places.trim_end_matches('0');
        let sign = if units < 0 { "-" } else { "" };
        let point = if places.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{places}")
    }

    #[test]
    fn extremes_at_every_scale() {
        for scale in 0..=38 {
            for power in 0..=38 {
                let power = 10_i128.pow(power);
                for units in [power, power - 1, power + 1, -power, power / 5 * 7] {
                    assert_eq!(written(units, scale), formatted(units, scale));
                }
            }
            for units in [
                i128::MIN,
                i128::MAX,
                i128::from(u64::MAX),
                i128::from(u64::MAX) + 1,
            ] {
                assert_eq!(written(units, scale), formatted(units, scale));
            }
        }
        assert_eq!(written(-250_000_000, 9), "-0.25");
        assert_eq!(written(0, 38), "0");
        assert_eq!(written(100, 0), "100");
    }

    proptest! {
        #[test]
        fn decimals_are_written_as_formatted(units: i128, bits in 0..128_u32, zeros in 0_u32..12, scale in 0_u8..=38) {
            let units: i128 = units >> bits;
            let units = units.checked_mul(10_i128.pow(zeros)).unwrap_or(units);
            prop_assert_eq!(written(units, scale), formatted(units, scale));
        }
    }
}
