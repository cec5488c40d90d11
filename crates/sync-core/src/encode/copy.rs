//! Rows in the binary form of Postgres' `COPY`.
//!
//! postgresql.org/docs, COPY, Binary Format. The server takes dates, timestamps and integers as they
//! are, where it would have to read their text, and text needs no quotes.

use std::ops::Range;

use arrow_array::RecordBatch;

use super::column::{Column, Values, text_bytes};
use super::decimal::{POWERS, forty};
use super::moment::{NOT_IN_FOUR_DIGITS, is_in_four_digits};
use super::rows::{Rows, append, store};
use super::text;
use super::unwritable::{Refused, Unwritable};
use crate::error::{Error, ErrorKind, Result};

/// The rows of a batch, ready to be written for `COPY ... FROM STDIN WITH (FORMAT binary)`.
///
/// The types of the table's columns must be these exactly, since the server converts nothing:
///
/// | Arrow | Postgres |
/// |---|---|
/// | `Utf8`, `LargeUtf8` | `text` |
/// | `Int64`, `Int32` | `bigint`, `integer` |
/// | `Decimal128(_, s)`, `UInt64` | `numeric`, written with `s` places or none |
/// | `Boolean` | `boolean` |
/// | `Date32` | `date` |
/// | `Timestamp(Microsecond, UTC)` | `timestamptz`, or `timestamp` for the same digits |
pub struct CopyRows<'a> {
    columns: Vec<Column<'a>>,
    /// The number of columns, as it stands before every row.
    fields: [u8; 2],
}

impl<'a> CopyRows<'a> {
    /// What comes before the first row.
    pub const HEADER: &'static [u8] = b"PGCOPY\n\xFF\r\n\0\0\0\0\0\0\0\0\0";
    /// What comes behind the last.
    pub const TRAILER: &'static [u8] = &(-1_i16).to_be_bytes();

    /// Looks at the columns.
    ///
    /// # Errors
    ///
    /// As [`JsonRows::new`](super::JsonRows::new), and for more than 32767 columns.
    pub fn new(rows: &'a RecordBatch) -> Result<Self> {
        let columns = Column::all(rows)?;
        let fields = i16::try_from(columns.len()).map_err(|_| {
            let what = "the batch has more columns than a row of COPY can have, 32767";
            Error::new(ErrorKind::Unsupported, what).with("columns", columns.len().to_string())
        })?;
        Ok(Self {
            columns,
            fields: fields.to_be_bytes(),
        })
    }

    /// Appends rows as [`JsonRows::append`](super::JsonRows::append) does, without
    /// [`HEADER`](Self::HEADER) and [`TRAILER`](Self::TRAILER).
    ///
    /// # Errors
    ///
    /// [`Unwritable`] for a date or timestamp outside the years 1 to 9999, as the other forms have
    /// it, for a text with U+0000 in it, which Postgres refuses, and for one of 2 GiB; the rows
    /// before it were appended.
    ///
    /// # Panics
    ///
    /// Where the range goes beyond the batch, as indexing does.
    pub fn append(
        &self,
        rows: Range<usize>,
        max_len: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, Unwritable> {
        append(self, rows, max_len, out)
    }
}

impl Rows for CopyRows<'_> {
    fn text_bytes(&self, rows: Range<usize>) -> usize {
        text_bytes(self.columns.iter(), rows)
    }

    fn most_bytes(&self, rows: usize, text_bytes: usize) -> usize {
        const { assert!(NUMERIC_BYTES > text::MOST_BYTES) };
        rows * (2 + self.columns.len() * (4 + NUMERIC_BYTES)) + text_bytes
    }

    #[inline(always)]
    fn write(&self, row: usize, room: &mut [u8], at: usize) -> Result<usize, Refused> {
        store(room, at, self.fields);
        let mut at = at + 2;
        for (place, column) in self.columns.iter().enumerate() {
            if column.is_null(row) {
                at = field(room, at, (-1_i32).to_be_bytes());
                continue;
            }
            let end = match column.values {
                Values::Text { bytes, ends } => {
                    let text = ends[row] as usize..ends[row + 1] as usize;
                    write_text(bytes, text, room, at)
                }
                Values::LongText { bytes, ends } => {
                    let text = ends[row] as usize..ends[row + 1] as usize;
                    write_text(bytes, text, room, at)
                }
                Values::Integer(numbers) => Ok(eight_bytes(room, at, numbers[row])),
                Values::SmallInteger(numbers) => Ok(four_bytes(room, at, numbers[row])),
                Values::Unsigned(numbers) => Ok(numeric(room, at, numbers[row].into(), 0)),
                Values::Decimal { units, scale } => Ok(numeric(room, at, units[row], scale)),
                Values::Boolean(values) => {
                    Ok(field(room, at, [0, 0, 0, 1, u8::from(values.value(row))]))
                }
                Values::Date(days) => date(room, at, days[row]),
                Values::Timestamp(micros) => timestamp(room, at, micros[row]),
            };
            at = end.map_err(|reason| (place, reason))?;
        }
        Ok(at)
    }

    fn column_name(&self, column: usize) -> &str {
        self.columns[column].name
    }
}

/// Days from 1970-01-01 to 2000-01-01, which Postgres counts from.
const EPOCH: i32 = 10_957;

#[inline(always)]
fn date(room: &mut [u8], at: usize, days: i32) -> Result<usize, &'static str> {
    if !is_in_four_digits(days) {
        return Err(NOT_IN_FOUR_DIGITS);
    }
    Ok(four_bytes(room, at, days - EPOCH))
}

#[inline(always)]
fn timestamp(room: &mut [u8], at: usize, micros: i64) -> Result<usize, &'static str> {
    const A_DAY: i64 = 86_400_000_000;
    if !is_in_four_digits(micros.div_euclid(A_DAY) as i32) {
        return Err(NOT_IN_FOUR_DIGITS);
    }
    Ok(eight_bytes(room, at, micros - EPOCH as i64 * A_DAY))
}

#[inline(always)]
fn field<const N: usize>(room: &mut [u8], at: usize, bytes: [u8; N]) -> usize {
    store(room, at, bytes);
    at + N
}

#[inline(always)]
fn four_bytes(room: &mut [u8], at: usize, number: i32) -> usize {
    let at = field(room, at, [0, 0, 0, 4]);
    field(room, at, number.to_be_bytes())
}

#[inline(always)]
fn eight_bytes(room: &mut [u8], at: usize, number: i64) -> usize {
    let at = field(room, at, [0, 0, 0, 8]);
    field(room, at, number.to_be_bytes())
}

#[inline(always)]
fn write_text(
    bytes: &[u8],
    text: Range<usize>,
    room: &mut [u8],
    at: usize,
) -> Result<usize, &'static str> {
    let length = i32::try_from(text.len())
        .map_err(|_| "a text of 2 GiB or more, which no field of Postgres holds")?;
    let at = field(room, at, length.to_be_bytes());
    text::plain(bytes, text, room, at)
}

/// The most that [`numeric`] takes: a header of 8 bytes, up to 11 digits on both sides of the point.
const NUMERIC_BYTES: usize = 8 + 2 * 12;

/// Writes `units / 10^scale` as a `numeric`: its digits to the base of 10,000 as 16-bit numbers, the
/// weight of the first, the sign, and the number of decimal places.
#[inline(always)]
fn numeric(room: &mut [u8], at: usize, units: i128, scale: u8) -> usize {
    let mut digits = Digits::default();
    let magnitude = units.unsigned_abs();
    match (u64::try_from(magnitude), POWERS.get(usize::from(scale))) {
        (Ok(magnitude), Some(one)) => digits.take_small(magnitude / one, magnitude % one, scale),
        _ => digits.take_large(magnitude, scale),
    }
    let taken = &digits.places[digits.first..digits.end];
    let length = 8 + 2 * taken.len() as u32;
    let weight = if taken.is_empty() {
        0
    } else {
        POINT as i16 - 1 - digits.first as i16
    };
    let sign: u16 = if units < 0 { 0x4000 } else { 0 };
    let mut at = field(room, at, length.to_be_bytes());
    at = field(room, at, (taken.len() as u16).to_be_bytes());
    at = field(room, at, weight.to_be_bytes());
    at = field(room, at, sign.to_be_bytes());
    at = field(room, at, u16::from(scale).to_be_bytes());
    for digit in taken {
        at = field(room, at, digit.to_be_bytes());
    }
    at
}

/// Digits to the base of 10,000 around a point.
#[derive(Default)]
struct Digits {
    /// Those before the point end at [`POINT`].
    places: [u16; POINT + 10],
    /// The first that is not zero, and behind the last.
    first: usize,
    end: usize,
}

/// Enough digits for 39 decimal ones before the point.
const POINT: usize = 10;

impl Digits {
    #[inline(always)]
    fn take_small(&mut self, mut whole: u64, mut fraction: u64, scale: u8) {
        self.first = POINT;
        while whole > 0 {
            self.first -= 1;
            self.places[self.first] = (whole % 10_000) as u16;
            whole /= 10_000;
        }
        self.end = POINT;
        let mut left = usize::from(scale);
        while fraction > 0 {
            let digit = if left >= 4 {
                left -= 4;
                let below = POWERS[left];
                let digit = fraction / below;
                fraction %= below;
                digit
            } else {
                std::mem::take(&mut fraction) * POWERS[4 - left]
            };
            self.places[self.end] = digit as u16;
            self.end += 1;
        }
        self.strip();
    }

    #[cold]
    fn take_large(&mut self, magnitude: u128, scale: u8) {
        let digits = forty(magnitude);
        let point = digits.len() - usize::from(scale);
        let number = |digits: &[u8]| {
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + u16::from(digit - b'0'))
        };
        self.first = POINT;
        for group in digits[..point].rchunks(4) {
            self.first -= 1;
            self.places[self.first] = number(group);
        }
        self.end = POINT;
        for group in digits[point..].chunks(4) {
            self.places[self.end] = number(group) * 10_u16.pow(4 - group.len() as u32);
            self.end += 1;
        }
        self.strip();
    }

    /// Takes zeros off both ends.
    #[inline(always)]
    fn strip(&mut self) {
        while self.first < self.end && self.places[self.first] == 0 {
            self.first += 1;
        }
        while self.end > self.first && self.places[self.end - 1] == 0 {
            self.end -= 1;
        }
    }
}
