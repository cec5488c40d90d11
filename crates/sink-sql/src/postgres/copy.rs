//! Rows in the binary format of COPY (postgresql.org, COPY, Binary Format), written from columns
//! without anything in between.

use std::pin::pin;

use arrow_array::Array;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt as _;
use sync_core::column::Column;
use tokio_postgres::CopyInSink;

use sync_core::postgres::tokio_postgres;

/// How much is sent at once: enough that sending costs nothing, little beside a batch.
const CHUNK: usize = 128 << 10;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Days from 1970-01-01 to Postgres's epoch, 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;

/// The same in microseconds.
const EPOCH_MICROSECONDS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// What Postgres calls the type that a column is sent as. Decimals have no declared scale on their
/// way, so that nothing is rounded.
pub(super) fn sent_type(column: &Column<'_>) -> &'static str {
    match column {
        Column::Text(_) => "text",
        Column::Integer(_) => "bigint",
        Column::Decimal(..) => "numeric",
        Column::Boolean(_) => "boolean",
        Column::Date(_) => "date",
        _ => "timestamp with time zone",
    }
}

/// Sends `rows` of the columns, each behind its number, and gives how many there were.
pub(super) async fn send(
    copy: CopyInSink<Bytes>,
    columns: &[Column<'_>],
    rows: &[usize],
) -> Result<u64, tokio_postgres::Error> {
    let mut copy = pin!(copy);
    let mut buffer = BytesMut::with_capacity(CHUNK + (CHUNK >> 2));
    buffer.put_slice(SIGNATURE);
    // Neither flags nor an extension of the header.
    buffer.put_u32(0);
    buffer.put_u32(0);
    for &row in rows {
        put_row(&mut buffer, columns, row);
        if buffer.len() >= CHUNK {
            copy.feed(buffer.split().freeze()).await?;
            buffer.reserve(CHUNK + (CHUNK >> 2));
        }
    }
    buffer.put_i16(-1);
    copy.feed(buffer.freeze()).await?;
    copy.as_mut().finish().await
}

/// One row: its number, then its values.
pub(super) fn put_row(buffer: &mut impl BufMut, columns: &[Column<'_>], row: usize) {
    // A table has at most 1600 columns, and a batch far fewer rows than fit 32 bits.
    buffer.put_i16(columns.len() as i16 + 1);
    buffer.put_i32(4);
    buffer.put_i32(row as i32);
    for column in columns {
        put_value(buffer, *column, row);
    }
}

/// A value behind its length; the length -1 is null.
pub(super) fn put_value(buffer: &mut impl BufMut, column: Column<'_>, row: usize) {
    match column {
        Column::Text(array) if array.is_valid(row) => {
            let text = array.value(row);
            // An array of texts has at most 2 GiB.
            buffer.put_i32(text.len() as i32);
            buffer.put_slice(text.as_bytes());
        }
        Column::Integer(array) if array.is_valid(row) => {
            buffer.put_i32(8);
            buffer.put_i64(array.value(row));
        }
        Column::Decimal(array, scale) if array.is_valid(row) => {
            put_numeric(buffer, array.value(row), scale);
        }
        Column::Boolean(array) if array.is_valid(row) => {
            buffer.put_i32(1);
            buffer.put_u8(u8::from(array.value(row)));
        }
        Column::Date(array) if array.is_valid(row) => {
            buffer.put_i32(4);
            buffer.put_i32(array.value(row).wrapping_sub(EPOCH_DAYS));
        }
        Column::Timestamp(array) if array.is_valid(row) => {
            buffer.put_i32(8);
            buffer.put_i64(array.value(row).wrapping_sub(EPOCH_MICROSECONDS));
        }
        _ => buffer.put_i32(-1),
    }
}

/// Groups of four digits of a number of 38 digits: ten at most before the point, and ten behind it.
const MAX_GROUPS: usize = 20;

/// `unscaled / 10^scale`: number of groups, weight of the first, sign, places, groups.
///
/// The groups have four digits each and are aligned at the point; `weight` is the power of 10 000 of
/// the first.
fn put_numeric(buffer: &mut impl BufMut, unscaled: i128, scale: u8) {
    let mut groups = [0u16; MAX_GROUPS];
    // Filled from the end, so that the last group's power is known and the first's is counted.
    let mut start = MAX_GROUPS;
    let places = usize::from(scale);
    let groups_of_places = places.div_ceil(4);
    let partial = (places % 4) as u32;
    let magnitude = unscaled.unsigned_abs();
    if let Ok(mut rest) = u64::try_from(magnitude) {
        // Nearly all amounts; division by 128 bits is an order of magnitude slower.
        if partial > 0 {
            let last = rest % 10u64.pow(partial);
            rest /= 10u64.pow(partial);
            start -= 1;
            groups[start] = (last * 10u64.pow(4 - partial)) as u16;
        }
        while rest > 0 {
            start -= 1;
            groups[start] = (rest % 10_000) as u16;
            rest /= 10_000;
        }
    } else {
        let mut rest = magnitude;
        if partial > 0 {
            let last = rest % 10u128.pow(partial);
            rest /= 10u128.pow(partial);
            start -= 1;
            groups[start] = (last * 10u128.pow(4 - partial)) as u16;
        }
        while rest > 0 {
            start -= 1;
            groups[start] = (rest % 10_000) as u16;
            rest /= 10_000;
        }
    }
    let mut digits = &groups[start..];
    let mut weight = digits.len() as i16 - groups_of_places as i16 - 1;
    while let [0, rest @ ..] = digits {
        digits = rest;
        weight -= 1;
    }
    while let [rest @ .., 0] = digits {
        digits = rest;
    }
    if digits.is_empty() {
        weight = 0;
    }
    buffer.put_i32(8 + 2 * digits.len() as i32);
    buffer.put_i16(digits.len() as i16);
    buffer.put_i16(weight);
    buffer.put_u16(if unscaled < 0 { 0x4000 } else { 0 });
    buffer.put_u16(u16::from(scale));
    for &group in digits {
        buffer.put_u16(group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sync_core::Decimal;

    /// Reads what was written, as the format is described.
    fn read(bytes: &[u8]) -> (String, u16) {
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let length = i32::from_be_bytes(bytes[..4].try_into().unwrap());
        assert_eq!(length as usize, bytes.len() - 4);
        let (count, weight) = (word(4) as usize, i32::from(word(6) as i16));
        assert_eq!(bytes.len(), 12 + 2 * count);
        let group = |power: i32| {
            let index = weight - power;
            let inside = (0..count as i32).contains(&index);
            if inside {
                word(12 + 2 * index as usize)
            } else {
                0
            }
        };
        let mut text = String::from(if word(8) == 0x4000 { "-" } else { "" });
        for power in (0..=weight.max(0)).rev() {
            text.push_str(&format!("{:04}", group(power)));
        }
        text.push('.');
        for power in 1..=10 {
            text.push_str(&format!("{:04}", group(-power)));
        }
        (text, word(10))
    }

    proptest! {
        #[test]
        fn numerics_are_the_decimals(digits in 0u32..=38, seed in any::<u128>(), negative: bool, scale in 0u8..=38) {
            let unscaled = (seed % 10u128.pow(digits)) as i128 * if negative { -1 } else { 1 };
            let mut bytes = Vec::new();
            put_numeric(&mut bytes, unscaled, scale);
            let (text, places) = read(&bytes);
            prop_assert_eq!(places, u16::from(scale));
            // Forty places are more than a decimal has; all behind its own are zero.
            let (kept, dropped) = text.split_at(text.len() - (40 - usize::from(scale)));
            prop_assert!(dropped.bytes().all(|digit| digit == b'0'));
            let whole = kept.trim_start_matches(['-', '0']).len();
            prop_assert!(whole <= 40);
            let sign = if unscaled < 0 { "-" } else { "" };
            let trimmed = kept.trim_start_matches('-').trim_start_matches('0');
            let read: Decimal = format!("{sign}0{trimmed}").trim_end_matches('.').parse().unwrap();
            prop_assert_eq!(read, Decimal::new(unscaled, scale).unwrap());
        }
    }
}
