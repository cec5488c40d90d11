//! Statements over a stream's rows.

use sync_core::batch::system;
use sync_core::totals::Days;
use sync_core::{Condition, Error, ErrorKind, Result, StreamDescriptor, TotalsQuery};

use crate::column_type::ColumnType;
use crate::dialect::{Dialect, arguments, identifiers};

/// Writes records, whether they are new or not. `values` gives those of `columns`: `VALUES (...)` or
/// a query.
///
/// `cleared` are columns that the source has dropped: they turn null. All columns that are in
/// neither list are left alone.
pub(crate) fn upsert(
    dialect: &dyn Dialect,
    table: &str,
    key: &[String],
    columns: &[&str],
    cleared: &[&str],
    values: &str,
) -> String {
    let replaced = columns
        .iter()
        .filter(|column| !key.iter().any(|part| part == *column))
        .map(|column| dialect.identifier(column))
        .map(|column| format!("{column} = excluded.{column}"));
    let emptied = cleared
        .iter()
        .map(|column| format!("{} = NULL", dialect.identifier(column)));
    format!(
        "INSERT INTO {} ({}) {values} ON CONFLICT ({}) DO UPDATE SET {}",
        dialect.table(table),
        identifiers(dialect, columns.iter().copied()),
        identifiers(dialect, key.iter().map(String::as_str)),
        replaced.chain(emptied).collect::<Vec<_>>().join(", ")
    )
}

/// The values of one record: the arguments, in the order of the columns.
pub(crate) fn one_row(dialect: &dyn Dialect, columns: usize) -> String {
    format!("VALUES ({})", arguments(dialect, columns))
}

/// The system columns that [`mark_deleted`] sets: its first arguments, before the key.
pub(crate) const MARKED: [&str; 3] = [system::RECORD_ID, system::BATCH_ID, system::SYNCED_AT];

/// Marks one record as gone. The arguments are [`MARKED`], then the key.
pub(crate) fn mark_deleted(dialect: &dyn Dialect, table: &str, key: &[String]) -> String {
    let set = MARKED.iter().enumerate().map(|(position, column)| {
        let argument = dialect.argument(position + 1);
        format!("{} = {argument}", dialect.identifier(column))
    });
    let deleted = format!(
        "{} = {}",
        dialect.identifier(system::DELETED),
        dialect.yes()
    );
    format!(
        "UPDATE {} SET {} WHERE {}",
        dialect.table(table),
        set.chain([deleted]).collect::<Vec<_>>().join(", "),
        key_equals(dialect, key, MARKED.len())
    )
}

/// Removes one record. The arguments are the key.
pub(crate) fn remove(dialect: &dyn Dialect, table: &str, key: &[String]) -> String {
    format!(
        "DELETE FROM {} WHERE {}",
        dialect.table(table),
        key_equals(dialect, key, 0)
    )
}

/// Counts and sums of the live rows by group: the group's columns and the count, then the sums. With
/// `bounded`, the argument is the time before which a row was modified.
///
/// # Errors
///
/// [`ErrorKind::Config`] where a bound is asked for and the stream lacks a column to bound, or a condition
/// is about a column that it lacks; [`ErrorKind::Unsupported`] where a column has no texts to compare.
pub(crate) fn totals(dialect: &dyn Dialect, query: &TotalsQuery, bounded: bool) -> Result<String> {
    let stream = &query.stream;
    let mut groups = Vec::with_capacity(stream.totals.group_by.len());
    let mut shown = Vec::with_capacity(groups.capacity());
    for column in &stream.totals.group_by {
        let column_type = ColumnType::of(stream.field(column)?.data_type())?;
        let column = dialect.identifier(column);
        if column_type == ColumnType::Date && query.days == Days::ToMonths {
            let month = dialect.month(&column);
            shown.push(month.clone());
            groups.push(month);
        } else {
            shown.push(dialect.as_text(&column, column_type));
            groups.push(column);
        }
    }
    let sums = stream
        .totals
        .sums
        .iter()
        .map(|column| dialect.sum(&dialect.identifier(column)));
    let selected: Vec<_> = shown
        .into_iter()
        .chain(["count(*)".to_owned()])
        .chain(sums)
        .collect();
    let mut sql = format!(
        "SELECT {} FROM {} WHERE {} = {}",
        selected.join(", "),
        dialect.table(stream.name.as_str()),
        dialect.identifier(system::DELETED),
        dialect.no()
    );
    if bounded {
        let column = stream.modified.as_deref().ok_or_else(|| {
            let what = "totals up to a time need a column that says when a record was modified";
            Error::new(ErrorKind::Config, what).with("stream", stream.name.as_str())
        })?;
        let bound = dialect.text_argument(1, ColumnType::Timestamp);
        let column = dialect.identifier(column);
        sql.push_str(&format!(" AND ({column} IS NULL OR {column} < {bound})"));
    }
    for condition in &query.matching {
        sql.push_str(" AND ");
        sql.push_str(&met(dialect, stream, condition)?);
    }
    if !groups.is_empty() {
        sql.push_str(" GROUP BY ");
        sql.push_str(&groups.join(", "));
    }
    Ok(sql)
}

/// Whether a row meets a condition. The values stand in the statement itself: there may be more of them
/// than a statement may have arguments.
fn met(dialect: &dyn Dialect, stream: &StreamDescriptor, condition: &Condition) -> Result<String> {
    let column_type = ColumnType::of(stream.field(condition.column())?.data_type())?;
    let column = dialect.identifier(condition.column());
    let unsupported = || {
        let what = "a condition cannot be about a column of this type";
        Error::new(ErrorKind::Unsupported, what)
            .with("stream", stream.name.as_str())
            .with("column", condition.column())
    };
    match condition {
        Condition::OneOf { values, .. } => {
            let literal = |value: &String| match (column_type, value.as_str()) {
                (ColumnType::Boolean, "true") => Ok(dialect.yes().to_owned()),
                (ColumnType::Boolean, "false") => Ok(dialect.no().to_owned()),
                (ColumnType::Text | ColumnType::Date, _) => Ok(dialect.literal(value)),
                // What is no number is in no column of numbers.
                (ColumnType::Integer, text) => Ok(text
                    .parse::<i64>()
                    .map_or("NULL".to_owned(), |it| it.to_string())),
                _ => Err(unsupported()),
            };
            let some = values.iter().filter(|value| !value.is_empty());
            let mut some = some.map(literal).collect::<Result<Vec<_>>>()?;
            let takes_none = some.len() < values.len();
            if takes_none && column_type == ColumnType::Text {
                some.push(dialect.literal(""));
            }
            let mut any = Vec::with_capacity(2);
            if !some.is_empty() {
                any.push(format!("{column} IN ({})", some.join(", ")));
            }
            if takes_none {
                any.push(format!("{column} IS NULL"));
            }
            Ok(format!("({})", any.join(" OR ")))
        }
        Condition::Between { first, last, .. } => {
            if column_type != ColumnType::Date {
                return Err(unsupported());
            }
            let day = |day: &time::Date| {
                let (year, month, day) = day.to_calendar_date();
                dialect.literal(&format!("{year:04}-{:02}-{day:02}", u8::from(month)))
            };
            let mut all = vec![format!("{column} IS NOT NULL")];
            all.extend(first.iter().map(|it| format!("{column} >= {}", day(it))));
            all.extend(last.iter().map(|it| format!("{column} <= {}", day(it))));
            Ok(format!("({})", all.join(" AND ")))
        }
        _ => Err(unsupported()),
    }
}

/// Finds one record. The arguments are the key.
pub(crate) fn find(dialect: &dyn Dialect, table: &str, key: &[String]) -> String {
    format!(
        "SELECT 1 FROM {} WHERE {}",
        dialect.table(table),
        key_equals(dialect, key, 0)
    )
}

fn key_equals(dialect: &dyn Dialect, key: &[String], skipped: usize) -> String {
    let equals = key.iter().enumerate().map(|(position, column)| {
        let argument = dialect.argument(skipped + position + 1);
        format!("{} = {argument}", dialect.identifier(column))
    });
    equals.collect::<Vec<_>>().join(" AND ")
}
