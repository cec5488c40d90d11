//! Decimals and integers out of their text.
//!
//! Nearly every number on a page has at most 16 characters. Those are read all at once: the characters
//! stand in one 128-bit word, the point is found and taken out by its mask, and eight digits become
//! a number in three multiplications. What is longer, or wrong in any way, is read digit by digit:
//! the words may only decline, so every refusal and its reason come from one place.

use super::Parsed;

/// The most digits that a 128-bit decimal holds.
pub(crate) const MAX_PRECISION: u8 = 38;

/// A whole number; zeros behind a point are no loss.
pub(crate) fn integer(text: &[u8]) -> Parsed<i64> {
    if let Some(Digits {
        negative,
        number,
        behind_point: 0,
    }) = Digits::read(text)
    {
        // At most 16 digits.
        let number = number as i64;
        return Ok(if negative { -number } else { number });
    }
    let units = digit_by_digit(text, 0, MAX_PRECISION).map_err(|reason| match reason {
        TOO_PRECISE => "not a whole number",
        reason => reason,
    })?;
    i64::try_from(units).map_err(|_| "larger than a 64-bit integer")
}

/// A decimal in units of `10^-scale`, of at most that many digits in all.
pub(crate) fn decimal(text: &[u8], scale: u8, precision: u8) -> Parsed<i128> {
    match in_words(text, scale, precision) {
        Some(units) => Ok(units),
        None => digit_by_digit(text, scale, precision),
    }
}

const TOO_PRECISE: &str = "more digits behind the point than the column holds";
const TOO_LARGE: &str = "more digits before the point than the column holds";

/// The decimal, if it is of the usual form and fits.
fn in_words(text: &[u8], scale: u8, precision: u8) -> Option<i128> {
    let digits = Digits::read(text)?;
    let missing = scale.checked_sub(digits.behind_point)?;
    let factor = POWERS_OF_U64.get(usize::from(missing))?;
    let units = u128::from(digits.number) * u128::from(*factor);
    if units >= *POWERS.get(usize::from(precision))? {
        return None;
    }
    let units = units as i128;
    Some(if digits.negative { -units } else { units })
}

/// `10^n` where it fits 64 bits, so that one instruction multiplies by it.
const POWERS_OF_U64: [u64; 20] = {
    let mut powers = [1; 20];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// `10^n` up to the precision of a decimal.
const POWERS: [u128; MAX_PRECISION as usize + 1] = {
    let mut powers = [1; MAX_PRECISION as usize + 1];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// A number of at most 16 digits, the point left out.
struct Digits {
    negative: bool,
    number: u64,
    behind_point: u8,
}

impl Digits {
    fn read(text: &[u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let word = right_aligned(text)?;
        let others = beyond_nine(word);
        if others == 0 {
            return Some(Self {
                negative,
                number: number(word),
                behind_point: 0,
            });
        }
        // Byte 15 is the last character.
        let point = others.trailing_zeros() / 8;
        let is_only_a_point = others & (others - 1) == 0 && (word >> (8 * point)) as u8 == POINT;
        if !is_only_a_point || point == 15 {
            return None;
        }
        let before = word & ((1 << (8 * point)) - 1);
        let behind = word >> (8 * (point + 1)) << (8 * (point + 1));
        Some(Self {
            negative,
            number: number(behind | before << 8),
            behind_point: (15 - point) as u8,
        })
    }
}

/// A point once `0` is taken off by exclusive or, as the digits' is.
const POINT: u8 = b'.' ^ b'0';
const ZEROS: u128 = u128::from_ne_bytes([b'0'; 16]);

/// One to 16 characters with `0` taken off, the last in the highest byte, and zeros before the first.
#[inline(always)]
fn right_aligned(text: &[u8]) -> Option<u128> {
    let free = 16_usize.checked_sub(text.len())?;
    // Two reads that overlap hold any number of bytes between their length and twice that.
    let word = if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        u128::from(u64::from_le_bytes(*first))
            | u128::from(u64::from_le_bytes(*last)) << (64 - 8 * free)
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        u128::from(u64::from(first) | u64::from(last) << (8 * (text.len() - 4)))
    } else {
        let (first, last) = (*text.first()?, *text.last()?);
        let (middle, half) = (text[text.len() / 2], 8 * (text.len() / 2));
        let last = u32::from(last) << (8 * (text.len() - 1));
        u128::from(u32::from(first) | u32::from(middle) << half | last)
    };
    Some((word ^ ZEROS) << (8 * free))
}

/// The highest bit of each byte that is above nine. Where a byte is above 0x89 a sum runs over, and
/// the byte behind it may be marked too; none is missed.
#[inline(always)]
fn beyond_nine(word: u128) -> u128 {
    const UP_TO_THE_HIGHEST_BIT: u128 = u128::from_ne_bytes([0x80 - 10; 16]);
    const HIGHEST_BITS: u128 = u128::from_ne_bytes([0x80; 16]);
    (word.wrapping_add(UP_TO_THE_HIGHEST_BIT) | word) & HIGHEST_BITS
}

/// The number that 16 digits make, the first in the lowest byte.
#[inline(always)]
fn number(digits: u128) -> u64 {
    eight_digits(digits as u64) * 100_000_000 + eight_digits((digits >> 64) as u64)
}

/// Pairs of digits, then of pairs, then of fours are joined side by side.
#[inline(always)]
fn eight_digits(digits: u64) -> u64 {
    const EVERY_SECOND_PAIR: u64 = 0x0000_00FF_0000_00FF;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let odd = (pairs & EVERY_SECOND_PAIR).wrapping_mul(100 + (1_000_000 << 32));
    let even = (pairs >> 16 & EVERY_SECOND_PAIR).wrapping_mul(1 + (10_000 << 32));
    odd.wrapping_add(even) >> 32
}

/// Any decimal, or why it is none of this scale and precision.
fn digit_by_digit(text: &[u8], scale: u8, precision: u8) -> Parsed<i128> {
    let (negative, digits) = match text {
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
    let units = if whole.len() + scale < POWERS_OF_U64.len() {
        let units = digits.fold(0, |units, digit| units * 10 + u64::from(digit - b'0'));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers as they stand on pages, and such that are nearly ones.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[-+]?[0-9]{0,17}",
            4 => "[-+]?[0-9]{0,17}\\.[0-9]{0,17}",
            1 => "0{0,30}[0-9]{0,40}\\.?[0-9]{0,40}0{0,10}",
            2 => "[-+.0-9/:,eE ]{0,18}",
            1 => "[0-9]{0,8}\\PC[0-9.]{0,8}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn words_and_single_digits_agree(text in text(), scale in 0_u8..=40, precision in 0_u8..=40) {
            let single = digit_by_digit(text.as_bytes(), scale, precision);
            if let Some(units) = in_words(text.as_bytes(), scale, precision) {
                prop_assert_eq!(Ok(units), single);
            }
            prop_assert_eq!(decimal(text.as_bytes(), scale, precision), single);
        }

        #[test]
        fn any_bytes_are_read_alike(bytes in prop::collection::vec(prop_oneof![any::<u8>(), b'.'..=b'9'], 0..20)) {
            prop_assert_eq!(decimal(&bytes, 9, 38), digit_by_digit(&bytes, 9, 38));
        }

        #[test]
        fn integers_are_decimals_of_no_places(text in text()) {
            let text = text.as_bytes();
            match (integer(text), digit_by_digit(text, 0, 38)) {
                (Ok(number), units) => prop_assert_eq!(units, Ok(i128::from(number))),
                (Err(reason), Err(TOO_PRECISE)) => prop_assert_eq!(reason, "not a whole number"),
                (Err(reason), Err(other)) => prop_assert_eq!(reason, other),
                (Err(reason), Ok(units)) => {
                    prop_assert_eq!(reason, "larger than a 64-bit integer");
                    prop_assert!(i64::try_from(units).is_err());
                }
            }
        }
    }

    #[test]
    fn amounts_need_no_single_digits() {
        for text in [
            "0",
            "-12.5",
            "1679615.93",
            "-99999999999.99",
            "1234567890123456",
            ".5",
        ] {
            assert!(in_words(text.as_bytes(), 9, 38).is_some(), "{text}");
            assert!(in_words(text.as_bytes(), 18, 38).is_some(), "{text}");
        }
    }

    /// Every byte at every place: no character is taken for a digit.
    #[test]
    fn only_digits_are_digits() {
        for length in 1..=16 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'7'; length];
                    text[place] = byte;
                    let single = digit_by_digit(&text, 9, 38);
                    assert_eq!(decimal(&text, 9, 38), single, "{text:?}");
                }
            }
        }
    }
}
