//! Which rows of a batch are sent at all.

use std::collections::HashMap;

use arrow_array::{Array, RecordBatch, StringArray};
use sync_core::column::Column;
use sync_core::{RecordKey, Rejection, Result};

use super::copy::put_value;
use crate::stored_time::{DAYS, MICROSECONDS};

/// What is left out of what is sent.
#[derive(Debug)]
pub(super) struct Selection {
    /// The rows that are sent, in their order.
    pub(super) rows: Vec<usize>,
    /// The rows that no table could hold unchanged, in their order.
    pub(super) rejected: Vec<Rejection>,
}

/// Leaves out what cannot be held without loss, and all but the last of several rows of one record:
/// one statement writes a row at most once.
pub(super) fn select(
    rows: &RecordBatch,
    columns: &[(&str, Column<'_>)],
    keys: &[RecordKey],
    key_columns: &[Column<'_>],
) -> Result<Selection> {
    let mut rejected: Vec<Option<Rejection>> = vec![None; rows.num_rows()];
    for (name, column) in columns {
        refuse_unfit(&mut rejected, name, *column);
    }
    let fit = (0..rows.num_rows()).filter(|&row| rejected[row].is_none());
    let last = match key_columns {
        [_] => last_of_each(fit, |row| keys[row].as_str()),
        // The parts of a key with several might hold what their text is joined by.
        _ => last_of_each(fit, |row| {
            let mut bytes = Vec::with_capacity(64);
            for column in key_columns {
                put_value(&mut bytes, *column, row);
            }
            bytes
        }),
    };
    Ok(Selection {
        rows: last,
        rejected: rejected.into_iter().flatten().collect(),
    })
}

fn last_of_each<K: Eq + std::hash::Hash>(
    rows: impl Iterator<Item = usize>,
    key: impl Fn(usize) -> K,
) -> Vec<usize> {
    let mut last = HashMap::new();
    let mut count = 0;
    for row in rows {
        last.insert(key(row), row);
        count += 1;
    }
    let mut rows: Vec<usize> = Vec::with_capacity(count);
    rows.extend(last.into_values());
    rows.sort_unstable();
    rows
}

fn refuse_unfit(rejected: &mut [Option<Rejection>], name: &str, column: Column<'_>) {
    match column {
        Column::Text(texts) => {
            if memchr::memchr(0, text_bytes(texts)).is_none() {
                return;
            }
            let holds_nul = |row| texts.is_valid(row) && texts.value(row).contains('\0');
            let reason = "the text holds a NUL character, which Postgres cannot store";
            refuse_where(rejected, name, reason, holds_nul);
        }
        Column::Date(dates) => {
            let reason = "the date is not of the years 0 to 9999";
            refuse_where(rejected, name, reason, |row| {
                dates.is_valid(row) && !DAYS.contains(&dates.value(row))
            });
        }
        Column::Timestamp(times) => {
            let reason = "the time is not of the years 0 to 9999";
            refuse_where(rejected, name, reason, |row| {
                times.is_valid(row) && !MICROSECONDS.contains(&times.value(row))
            });
        }
        _ => {}
    }
}

/// The bytes of all texts, those that a sliced array no longer shows left out.
fn text_bytes(texts: &StringArray) -> &[u8] {
    let offsets = texts.value_offsets();
    match (offsets.first(), offsets.last()) {
        (Some(&first), Some(&last)) => &texts.value_data()[first as usize..last as usize],
        _ => &[],
    }
}

fn refuse_where(
    rejected: &mut [Option<Rejection>],
    name: &str,
    reason: &str,
    unfit: impl Fn(usize) -> bool,
) {
    for (row, rejected) in rejected.iter_mut().enumerate() {
        if rejected.is_none() && unfit(row) {
            *rejected = Some(Rejection {
                row,
                column: Some(name.to_owned()),
                reason: reason.to_owned(),
            });
        }
    }
}
