//! Whole numbers as digits, eight at a time.

use super::rows::store;

/// The most that a writer of this module touches, from where it begins.
pub(super) const MOST_BYTES: usize = 32;

pub(super) const EIGHT: u64 = 100_000_000;

const ZEROS: u64 = u64::from_ne_bytes([b'0'; 8]);

/// Eight digits of a number below 10^8 as numbers from 0 to 9, the first in the lowest byte.
#[inline(always)]
pub(super) fn eight(number: u64) -> u64 {
    // Two numbers of four digits side by side, then four of two, then eight of one. The products
    // with reciprocals are exact for numbers of so few digits.
    let (high, low) = (number / 10_000, number % 10_000);
    let fours = high | low << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007F_0000_007F;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000F_000F_000F_000F;
    tens | (twos - tens * 10) << 8
}

/// Stores eight digits.
#[inline(always)]
pub(super) fn all(room: &mut [u8], at: usize, digits: u64) -> usize {
    store(room, at, (digits | ZEROS).to_le_bytes());
    at + 8
}

/// Stores eight digits without the zeros in front of them, but at least one.
#[inline(always)]
fn without_leading_zeros(room: &mut [u8], at: usize, digits: u64) -> usize {
    let zeros = (digits | 1 << 56).trailing_zeros() / 8;
    store(room, at, ((digits | ZEROS) >> (8 * zeros)).to_le_bytes());
    at + 8 - zeros as usize
}

/// Stores eight digits, not all zero, without the zeros behind them.
#[inline(always)]
pub(super) fn without_trailing_zeros(room: &mut [u8], at: usize, digits: u64) -> usize {
    store(room, at, (digits | ZEROS).to_le_bytes());
    at + 8 - digits.leading_zeros() as usize / 8
}

/// Writes a number of up to 20 digits.
#[inline(always)]
pub(super) fn unsigned(room: &mut [u8], at: usize, number: u64) -> usize {
    if number < EIGHT {
        return without_leading_zeros(room, at, eight(number));
    }
    let (high, low) = (number / EIGHT, number % EIGHT);
    let at = if high < EIGHT {
        without_leading_zeros(room, at, eight(high))
    } else {
        let at = without_leading_zeros(room, at, eight(high / EIGHT));
        all(room, at, eight(high % EIGHT))
    };
    all(room, at, eight(low))
}

/// Writes a number with its sign, if it has one.
#[inline(always)]
pub(super) fn signed(room: &mut [u8], at: usize, number: i64) -> usize {
    room[at] = b'-';
    let at = at + usize::from(number < 0);
    unsigned(room, at, number.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl Fn(&mut [u8], usize) -> usize) -> String {
        let mut room = [b'#'; MOST_BYTES + 1];
        let end = write(&mut room[..MOST_BYTES + 1], 1);
        assert_eq!(room[0], b'#');
        String::from_utf8(room[1..end].to_vec()).unwrap()
    }

    #[test]
    fn numbers_at_every_number_of_digits() {
        for digits in 0..20 {
            let power = 10_u64.pow(digits);
            for number in [power - 1, power, power + 1, power.saturating_mul(2) - 1] {
                let text = written(|room, at| unsigned(room, at, number));
                assert_eq!(text, number.to_string());
            }
        }
        for number in [u64::MAX, 0] {
            assert_eq!(
                written(|room, at| unsigned(room, at, number)),
                number.to_string()
            );
        }
        for number in [i64::MIN, i64::MAX, -1] {
            assert_eq!(
                written(|room, at| signed(room, at, number)),
                number.to_string()
            );
        }
    }

    #[test]
    fn four_digits_in_both_halves() {
        for number in 0..10_000_u64 {
            for number in [number, number * 10_000, number * 10_001] {
                let text = written(|room, at| all(room, at, eight(number)));
                assert_eq!(text, format!("{number:08}"));
            }
        }
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_formatted(number: i64, bits in 0..64_u32) {
            let number = number >> bits;
            prop_assert_eq!(written(|room, at| signed(room, at, number)), number.to_string());
        }
    }
}
