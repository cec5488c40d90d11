//! Values from Arrow columns straight into a statement's arguments.

use arrow_array::{Array, RecordBatch};
use rusqlite::Statement;
use rusqlite::types::Null;
use sync_core::column::{Column, Value};
use sync_core::{Decimal, Rejection, RejectionClass, Result};

use crate::stored_time::{DAYS, MICROSECONDS};

/// The columns whose values are a statement's arguments, in that order.
#[derive(Debug)]
pub(super) struct Binder<'a> {
    columns: Vec<Bound<'a>>,
    text: String,
}

#[derive(Debug)]
struct Bound<'a> {
    name: &'a str,
    column: Column<'a>,
    /// The last time that was written out: neighbours often have the same.
    last: Option<(i64, String)>,
}

/// Why a row's values did not become arguments.
#[derive(Debug)]
pub(super) enum Unbound {
    /// A value cannot be held without loss.
    Unfit(Rejection),
    /// SQLite does not take it.
    Refused(rusqlite::Error),
}

impl<'a> Binder<'a> {
    /// Takes these columns of `rows`.
    pub(super) fn new(rows: &'a RecordBatch, names: &[&'a str]) -> Result<Self> {
        let columns = names.iter().map(|&name| {
            Ok(Bound {
                name,
                column: Column::named(rows, name)?,
                last: None,
            })
        });
        Ok(Self {
            columns: columns.collect::<Result<_>>()?,
            text: String::with_capacity(64),
        })
    }

    /// Makes the values of a row the arguments of `statement`.
    pub(super) fn bind(
        &mut self,
        statement: &mut Statement<'_>,
        row: usize,
    ) -> Result<(), Unbound> {
        for (position, bound) in self.columns.iter_mut().enumerate() {
            bound
                .bind(statement, position + 1, row, &mut self.text)
                .map_err(|unfit| match unfit {
                    Unfit::Value(reason) => Unbound::Unfit(Rejection {
                        row,
                        column: Some(bound.name.to_owned()),
                        class: RejectionClass::Unfit,
                        reason: reason.to_owned(),
                    }),
                    Unfit::Refused(cause) => Unbound::Refused(cause),
                })?;
        }
        Ok(())
    }
}

enum Unfit {
    Value(&'static str),
    Refused(rusqlite::Error),
}

impl From<rusqlite::Error> for Unfit {
    fn from(cause: rusqlite::Error) -> Self {
        match cause.sqlite_error_code() {
            Some(rusqlite::ErrorCode::TooBig) => {
                Self::Value("the text is longer than SQLite takes (1 000 000 000 bytes)")
            }
            _ => Self::Refused(cause),
        }
    }
}

impl Bound<'_> {
    fn bind(
        &mut self,
        statement: &mut Statement<'_>,
        argument: usize,
        row: usize,
        text: &mut String,
    ) -> Result<(), Unfit> {
        text.clear();
        match self.column {
            Column::Text(array) if array.is_valid(row) => {
                statement.raw_bind_parameter(argument, array.value(row))?;
            }
            Column::Integer(array) if array.is_valid(row) => {
                statement.raw_bind_parameter(argument, array.value(row))?;
            }
            Column::Boolean(array) if array.is_valid(row) => {
                statement.raw_bind_parameter(argument, array.value(row))?;
            }
            Column::Decimal(array, scale) if array.is_valid(row) => {
                let decimal = Decimal::new(array.value(row), scale)
                    .ok_or(Unfit::Value("the number has more than 38 digits"))?;
                decimal.push_to(text);
                statement.raw_bind_parameter(argument, text.as_str())?;
            }
            Column::Date(array) if array.is_valid(row) => {
                let days = array.value(row);
                if !DAYS.contains(&days) {
                    return Err(Unfit::Value("the date is not of the years 0 to 9999"));
                }
                Value::Date(days).push_to(text);
                statement.raw_bind_parameter(argument, text.as_str())?;
            }
            Column::Timestamp(array) if array.is_valid(row) => {
                let micros = array.value(row);
                if !MICROSECONDS.contains(&micros) {
                    return Err(Unfit::Value("the time is not of the years 0 to 9999"));
                }
                let (last, written) = self.last.get_or_insert_with(|| (micros, String::new()));
                if *last != micros || written.is_empty() {
                    *last = micros;
                    written.clear();
                    Value::Timestamp(micros).push_to(written);
                }
                statement.raw_bind_parameter(argument, written.as_str())?;
            }
            Column::Text(_)
            | Column::Integer(_)
            | Column::Boolean(_)
            | Column::Decimal(..)
            | Column::Date(_)
            | Column::Timestamp(_) => statement.raw_bind_parameter(argument, Null)?,
            _ => return Err(Unfit::Value("values of this type cannot be stored")),
        }
        Ok(())
    }
}
