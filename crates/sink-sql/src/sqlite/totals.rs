//! Control totals, taken where the rows are.

use std::collections::btree_map::Entry;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params_from_iter};
use sync_core::totals::{ControlTotals, GroupTotals};
use sync_core::{Decimal, Error, ErrorKind, Result, StreamDescriptor, TotalsQuery};

use super::dialect::Sqlite;
use super::failure::failed;
use super::schema;
use crate::column_type::ColumnType;
use crate::statement;
use crate::stored_time;

/// Counts and sums of the live rows.
pub(super) fn control_totals(
    connection: &Connection,
    query: &TotalsQuery,
) -> Result<ControlTotals> {
    let stream = &query.stream;
    stream.validate()?;
    schema::prepared(connection, stream)?;
    // Without the column, the bound is to have no effect.
    let bound = query.modified_before.filter(|_| stream.modified.is_some());
    let bound = bound.map(stored_time::text_not_before);
    let sql = statement::totals(&Sqlite, stream, bound.is_some())?;
    let refused =
        |cause| failed("the totals cannot be taken", cause).with("stream", stream.name.as_str());
    let mut statement = connection.prepare_cached(&sql).map_err(refused)?;
    let mut rows = statement.query(params_from_iter(bound)).map_err(refused)?;
    let groups = group_types(stream)?;
    let mut totals = ControlTotals::default();
    while let Some(row) = rows.next().map_err(refused)? {
        let mut key = Vec::with_capacity(groups.len());
        for (position, column_type) in groups.iter().enumerate() {
            key.push(group_text(
                row.get_ref(position).map_err(refused)?,
                *column_type,
            )?);
        }
        let records: i64 = row.get(groups.len()).map_err(refused)?;
        let mut sums = Vec::with_capacity(stream.totals.sums.len());
        for position in 0..stream.totals.sums.len() {
            let sum: Option<String> = row.get(groups.len() + 1 + position).map_err(refused)?;
            sums.push(match sum {
                Some(sum) => sum.parse()?,
                None => Decimal::ZERO,
            });
        }
        if records > 0 {
            let records = records.unsigned_abs();
            add(&mut totals, key, GroupTotals { records, sums })?;
        }
    }
    Ok(totals)
}

/// Adds a group. Null and empty text are one group, so it may be there already.
fn add(totals: &mut ControlTotals, key: Vec<String>, more: GroupTotals) -> Result<()> {
    match totals.groups.entry(key) {
        Entry::Vacant(vacant) => {
            vacant.insert(more);
        }
        Entry::Occupied(mut occupied) => {
            let group = occupied.get_mut();
            group.records += more.records;
            for (sum, next) in group.sums.iter_mut().zip(more.sums) {
                *sum = sum.checked_add(next).ok_or_else(|| {
                    Error::new(ErrorKind::Data, "a control total has more than 38 digits")
                })?;
            }
        }
    }
    Ok(())
}

fn group_types(stream: &StreamDescriptor) -> Result<Vec<ColumnType>> {
    let columns = stream.totals.group_by.iter();
    columns
        .map(|name| ColumnType::of(stream.field(name)?.data_type()))
        .collect()
}

/// The value as [`sync_core::column::Value::push_to`] writes it.
fn group_text(value: ValueRef<'_>, column_type: ColumnType) -> Result<String> {
    Ok(match (value, column_type) {
        (ValueRef::Null, _) => String::new(),
        (ValueRef::Integer(value), ColumnType::Boolean) => (value != 0).to_string(),
        (ValueRef::Integer(value), _) => value.to_string(),
        (ValueRef::Text(text), _) => String::from_utf8(text.to_vec()).map_err(|error| {
            Error::new(ErrorKind::Data, "a group's text is not UTF-8").caused_by(error)
        })?,
        _ => {
            let what = "a group's value is of a type that this sync does not write";
            return Err(Error::new(ErrorKind::Data, what));
        }
    })
}
