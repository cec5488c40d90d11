//! Control totals, taken where the rows are.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params_from_iter};
use sync_core::totals::ControlTotals;
use sync_core::{Error, ErrorKind, Result, StreamDescriptor, TotalsQuery};

use super::dialect::Sqlite;
use super::failure::failed;
use super::schema;
use crate::column_type::ColumnType;
use crate::statement;
use crate::stored_time;
use crate::totals;

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
    let sql = statement::totals(&Sqlite, query, bound.is_some())?;
    let refused =
        |cause| failed("the totals cannot be taken", cause).with("stream", stream.name.as_str());
    let mut statement = connection.prepare_cached(&sql).map_err(refused)?;
    let mut rows = statement.query(params_from_iter(bound)).map_err(refused)?;
    let groups = group_types(stream)?;
    let mut found = ControlTotals::default();
    while let Some(row) = rows.next().map_err(refused)? {
        let mut key = Vec::with_capacity(groups.len());
        for (position, column_type) in groups.iter().enumerate() {
            key.push(group_text(
                row.get_ref(position).map_err(refused)?,
                *column_type,
            )?);
        }
        let records: i64 = row.get(groups.len()).map_err(refused)?;
        let mut sums: Vec<Option<String>> = Vec::with_capacity(stream.totals.sums.len());
        for position in 0..stream.totals.sums.len() {
            sums.push(row.get(groups.len() + 1 + position).map_err(refused)?);
        }
        totals::add(&mut found, key, records, &sums)?;
    }
    Ok(found)
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
