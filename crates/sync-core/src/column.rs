//! Typed views of Arrow columns: what hashing, binding and comparing rows all need.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, TimeUnit};

use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind, Result};

/// Whether a batch's payload may have columns of this type.
///
/// Text, 64-bit integers, booleans, decimals of 38 digits with no negative scale, dates, and
/// microseconds in UTC. Floats are not among them, on purpose.
pub fn is_supported(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::Int64 | DataType::Boolean | DataType::Date32 => true,
        DataType::Decimal128(_, scale) => *scale >= 0,
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => zone.as_ref() == "UTC",
        _ => false,
    }
}

/// A column whose type is known.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Column<'a> {
    /// Text.
    Text(&'a StringArray),
    /// Whole numbers.
    Integer(&'a Int64Array),
    /// Decimals, with their scale.
    Decimal(&'a Decimal128Array, u8),
    /// True or false.
    Boolean(&'a BooleanArray),
    /// Days since 1970-01-01.
    Date(&'a Date32Array),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(&'a TimestampMicrosecondArray),
}

/// One value of a [`Column`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// No value.
    Null,
    /// Text.
    Text(&'a str),
    /// A whole number.
    Integer(i64),
    /// A decimal.
    Decimal(Decimal),
    /// True or false.
    Boolean(bool),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
}

impl<'a> Column<'a> {
    /// The view of `array`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for a type that [`is_supported`] refuses, and
    /// [`ErrorKind::Data`] where a decimal has more than 38 digits, which Arrow does not check.
    pub fn of(array: &'a dyn Array) -> Result<Self> {
        let unsupported = || {
            Error::new(
                ErrorKind::Unsupported,
                "a batch cannot carry a column of this type",
            )
            .with("type", array.data_type().to_string())
        };
        if !is_supported(array.data_type()) {
            return Err(unsupported());
        }
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Int64 => Self::Integer(array.as_primitive::<Int64Type>()),
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>()),
            DataType::Decimal128(_, scale) => {
                let scale = u8::try_from(*scale).map_err(|_| unsupported())?;
                let decimals = array.as_primitive::<Decimal128Type>();
                if decimals
                    .iter()
                    .flatten()
                    .any(|value| Decimal::new(value, scale).is_none())
                {
                    let what = "a decimal has more than 38 digits";
                    return Err(Error::new(ErrorKind::Data, what));
                }
                Self::Decimal(decimals, scale)
            }
            _ => Self::Timestamp(array.as_primitive::<TimestampMicrosecondType>()),
        })
    }

    /// The views of all columns, in their order.
    ///
    /// # Errors
    ///
    /// As [`Column::of`], naming the column.
    pub fn all(rows: &'a RecordBatch) -> Result<Vec<Self>> {
        let named = rows.schema_ref().fields().iter().zip(rows.columns());
        named
            .map(|(field, array)| {
                Self::of(array.as_ref()).map_err(|error| error.with("column", field.name()))
            })
            .collect()
    }

    /// The view of one column.
    ///
    /// # Errors
    ///
    /// As [`Column::of`]; [`ErrorKind::Internal`] where there is no such column.
    pub fn named(rows: &'a RecordBatch, name: &str) -> Result<Self> {
        let array = rows.column_by_name(name).ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                "the batch lacks a column that its stream declares",
            )
            .with("column", name)
        })?;
        Self::of(array.as_ref()).map_err(|error| error.with("column", name))
    }

    /// The value of a row. Panics where there is no such row, as indexing does.
    pub fn value(&self, row: usize) -> Value<'a> {
        match self {
            Self::Text(array) if array.is_valid(row) => Value::Text(array.value(row)),
            Self::Integer(array) if array.is_valid(row) => Value::Integer(array.value(row)),
            Self::Boolean(array) if array.is_valid(row) => Value::Boolean(array.value(row)),
            Self::Date(array) if array.is_valid(row) => Value::Date(array.value(row)),
            Self::Timestamp(array) if array.is_valid(row) => Value::Timestamp(array.value(row)),
            Self::Decimal(array, scale) if array.is_valid(row) => {
                Decimal::new(array.value(row), *scale).map_or(Value::Null, Value::Decimal)
            }
            _ => Value::Null,
        }
    }
}

impl Value<'_> {
    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Appends the value as text: dates as `2026-01-31`, timestamps as
    /// `2026-01-31 18:02:00.000000` in UTC, booleans as `true` and `false`, nothing for null.
    pub fn push_to(&self, text: &mut String) {
        match *self {
            Self::Null => {}
            Self::Text(value) => text.push_str(value),
            Self::Integer(value) => push_signed(text, value, 1),
            Self::Boolean(value) => text.push_str(if value { "true" } else { "false" }),
            Self::Decimal(value) => value.push_to(text),
            Self::Date(days) => push_date(text, days),
            Self::Timestamp(micros) => {
                let second = micros.div_euclid(1_000_000);
                push_date(text, second.div_euclid(86_400) as i32);
                let rest = second.rem_euclid(86_400) as u64;
                for (before, number) in
                    [(' ', rest / 3600), (':', rest / 60 % 60), (':', rest % 60)]
                {
                    text.push(before);
                    push_unsigned(text, number, 2);
                }
                text.push('.');
                push_unsigned(text, micros.rem_euclid(1_000_000) as u64, 6);
            }
        }
    }
}

/// Days since the epoch to the proleptic Gregorian calendar.
fn push_date(text: &mut String, days: i32) {
    // Civil-from-days: eras of 400 years that begin in March, so that the leap day comes last.
    let shifted = i64::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    push_signed(text, year, 4);
    for number in [month, day] {
        text.push('-');
        push_unsigned(text, number.unsigned_abs(), 2);
    }
}

fn push_signed(text: &mut String, number: i64, width: usize) {
    if number < 0 {
        text.push('-');
    }
    push_unsigned(text, number.unsigned_abs(), width);
}

/// Appends a number with zeros in front up to a width, without the machinery of formatting: every
/// amount, date and time of a text destination comes by here.
pub(crate) fn push_unsigned(text: &mut String, mut number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while number > 0 {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    let start = start.min(digits.len() - width);
    // Digits are always text.
    text.push_str(std::str::from_utf8(&digits[start..]).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::{Date, OffsetDateTime};

    proptest! {
        #[test]
        fn dates_and_times_read_as_the_calendar_says(micros in -62_135_596_800_000_000i64..253_402_300_799_999_999) {
            let expected = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap();
            let mut text = String::new();
            Value::Timestamp(micros).push_to(&mut text);
            let (date, clock) = (expected.date(), expected.time());
            prop_assert_eq!(&text, &format!("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}", date.year(),
                u8::from(date.month()), date.day(), clock.hour(), clock.minute(), clock.second(), clock.microsecond()));
            let days = date.to_julian_day() - Date::from_calendar_date(1970, time::Month::January, 1).unwrap().to_julian_day();
            let mut text_of_date = String::new();
            Value::Date(days).push_to(&mut text_of_date);
            prop_assert_eq!(text_of_date, &text[..10]);
        }
    }

    #[test]
    fn a_decimal_of_more_than_38_digits_is_no_null() {
        let decimals = Decimal128Array::from(vec![Some(1), Some(i128::MAX)]);
        assert_eq!(Column::of(&decimals).unwrap_err().kind(), ErrorKind::Data);
    }

    #[test]
    fn floats_have_no_place_in_a_batch() {
        let floats = arrow_array::Float64Array::from(vec![0.1]);
        assert_eq!(
            Column::of(&floats).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }
}
