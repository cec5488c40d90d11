//! Numbers, dates and booleans out of their text, alone and in columns, against versions that are
//! plain to see and know no limit.

#![no_main]

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use intacct_xml::response::{ColumnOptions, Columns, ReadOptions, read_response};
use intacct_xml::values::{
    parse_boolean, parse_date, parse_decimal, parse_integer, parse_timestamp,
};
use libfuzzer_sys::fuzz_target;
use num_bigint::BigInt;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

fuzz_target!(|input: &[u8]| {
    let [scale, precision, bytes @ ..] = input else {
        return;
    };
    let scale = scale % 39;
    let precision = 1 + precision % 38;
    let text = String::from_utf8_lossy(bytes);
    check(&text, scale, precision);
    // The same bytes as characters that values have.
    const ALPHABET: &[u8; 32] = b"0123456789.-+/: 0009991/:.TtrueF";
    let dense: String = bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect();
    check(&dense, scale, precision);
});

fn check(text: &str, scale: u8, precision: u8) {
    assert_eq!(parse_integer(text).ok(), integer(text), "{text:?}");
    assert_eq!(
        parse_decimal(text, scale).ok(),
        decimal(text, scale, 38),
        "{text:?} {scale}"
    );
    assert_eq!(parse_boolean(text).ok(), boolean(text), "{text:?}");
    assert_eq!(parse_date(text).ok(), date(text), "{text:?}");
    assert_eq!(parse_timestamp(text).ok(), timestamp(text), "{text:?}");

    let is_plain = text
        .chars()
        .all(|c| matches!(c, ' '..='~') && c != '<' && c != '&');
    // What has no value is null, which is not a matter of values.
    if !is_plain || text.trim().is_empty() {
        return;
    }
    in_columns(text, scale, precision);
}

/// Columns take white space around a value for the page's layout.
fn in_columns(text: &str, scale: u8, precision: u8) {
    let value = text.trim();
    let column_scale = scale.min(precision);
    let utc = Some(Arc::from("UTC"));
    let int = in_column(text, DataType::Int64, |batch| {
        batch.column(0).as_primitive::<Int64Type>().value(0)
    });
    assert_eq!(int, integer(value), "{text:?}");
    let units = in_column(
        text,
        DataType::Decimal128(precision, column_scale as i8),
        |batch| batch.column(0).as_primitive::<Decimal128Type>().value(0),
    );
    assert_eq!(
        units,
        decimal(value, column_scale, precision),
        "{text:?} {precision} {column_scale}"
    );
    let flag = in_column(text, DataType::Boolean, |batch| {
        batch.column(0).as_boolean().value(0)
    });
    assert_eq!(flag, boolean(value), "{text:?}");
    let days = in_column(text, DataType::Date32, |batch| {
        batch.column(0).as_primitive::<Date32Type>().value(0)
    });
    let epoch = OffsetDateTime::UNIX_EPOCH.date();
    let expected = date(value).map(|day| (day - epoch).whole_days() as i32);
    assert_eq!(days, expected, "{text:?}");
    let micros = in_column(
        text,
        DataType::Timestamp(TimeUnit::Microsecond, utc),
        |batch| {
            batch
                .column(0)
                .as_primitive::<TimestampMicrosecondType>()
                .value(0)
        },
    );
    let expected = timestamp(value).map(|at| at.assume_utc().unix_timestamp() * 1_000_000);
    assert_eq!(micros, expected, "{text:?}");
}

/// The value of a page's second record of two that are alike: the first teaches, the second is compared.
fn in_column<T>(text: &str, data_type: DataType, value: impl Fn(&RecordBatch) -> T) -> Option<T> {
    let schema = Arc::new(Schema::new(vec![Field::new("v", data_type, true)]));
    let mut columns = Columns::new(schema, ColumnOptions::default()).expect("the schema fits");
    let page = format!(
        "<response><control><status>success</status></control><operation><authentication>\
        <status>success</status></authentication><result><status>success</status>\
        <function>query</function><controlid>f</controlid><data count=\"2\"><R><V>{text}</V></R>\
        <R><V>{text}</V></R></data></result></operation></response>"
    );
    read_response(page.as_bytes(), &ReadOptions::default(), &mut columns).expect("it is a page");
    let page = columns.finish().expect("it is small");
    let rows = page.batch.num_rows();
    assert_eq!(rows + page.rejected.len(), 2, "{text:?}");
    if rows == 0 {
        return None;
    }
    assert_eq!(rows, 2, "{text:?}");
    assert_eq!(page.batch.column(0).null_count(), 0, "{text:?}");
    let (first, second) = (page.batch.slice(0, 1), page.batch.slice(1, 1));
    assert_eq!(first, second, "{text:?}");
    Some(value(&second))
}

fn integer(text: &str) -> Option<i64> {
    decimal(text, 0, 38)?.try_into().ok()
}

fn decimal(text: &str, scale: u8, precision: u8) -> Option<i128> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (unsigned, ""),
    };
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: BigInt = digits.parse().ok()?;
    let units = number * BigInt::from(10).pow(scale.into());
    let divisor = BigInt::from(10).pow(fraction.len().try_into().ok()?);
    if &units % &divisor != BigInt::ZERO {
        return None;
    }
    let units = units / divisor;
    if units >= BigInt::from(10).pow(precision.into()) {
        return None;
    }
    let units: i128 = units.try_into().ok()?;
    Some(if text.starts_with('-') { -units } else { units })
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "y" => Some(true),
        "false" | "f" | "n" => Some(false),
        _ => None,
    }
}

fn date(text: &str) -> Option<Date> {
    let [month, day, year] = numbers(text, '/', [2, 2, 4])?;
    let month = Month::try_from(month as u8).ok()?;
    Date::from_calendar_date(year as i32, month, day as u8).ok()
}

fn timestamp(text: &str) -> Option<PrimitiveDateTime> {
    let Some((day, clock)) = text.split_once(' ') else {
        return Some(PrimitiveDateTime::new(date(text)?, Time::MIDNIGHT));
    };
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let clock = Time::from_hms(hour as u8, minute as u8, second as u8).ok()?;
    Some(PrimitiveDateTime::new(date(day)?, clock))
}

fn numbers(text: &str, separator: char, lengths: [usize; 3]) -> Option<[u32; 3]> {
    let parts = text.split(separator).collect::<Vec<_>>();
    let parts: [&str; 3] = parts.try_into().ok()?;
    let fits = |(part, length): (&str, usize)| {
        let is_number = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { part.parse().ok() } else { None }
    };
    let [a, b, c] = [0, 1, 2].map(|at| fits((parts[at], lengths[at])));
    Some([a?, b?, c?])
}
