//! Rows as CSV, in the form that Postgres' `COPY ... WITH (FORMAT csv)` reads.

use std::ops::Range;

use arrow_array::RecordBatch;

use super::column::{Column, Values, text_bytes};
use super::json::boolean;
use super::moment::{self, Fraction};
use super::rows::{Rows, append};
use super::unwritable::{Refused, Unwritable};
use super::{decimal, digits, text};
use crate::error::{Error, Result};

/// How rows are written as CSV.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CsvOptions {
    /// When timestamps are written with microseconds.
    pub fraction: Fraction,
}

impl Default for CsvOptions {
    /// Microseconds where they are not zero.
    fn default() -> Self {
        Self {
            fraction: Fraction::WhereNotZero,
        }
    }
}

/// The rows of a batch, ready to be written as CSV (RFC 4180, lines ending in LF).
///
/// Text is always in quotes and nothing else is, so that an empty text (`""`) and no value (nothing)
/// are two things, as they are to `COPY` (postgresql.org/docs, COPY, CSV Format).
pub struct CsvRows<'a> {
    columns: Vec<Column<'a>>,
    options: CsvOptions,
}

impl<'a> CsvRows<'a> {
    /// Looks at the columns.
    ///
    /// # Errors
    ///
    /// As [`JsonRows::new`](super::JsonRows::new).
    pub fn new(rows: &'a RecordBatch, options: &CsvOptions) -> Result<Self> {
        Ok(Self {
            columns: Column::all(rows)?,
            options: options.clone(),
        })
    }

    /// Appends the line of the columns' names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Data`](crate::ErrorKind::Data) for a name with U+0000 in it.
    pub fn header(&self, out: &mut Vec<u8>) -> Result<()> {
        let begin = out.len();
        for column in &self.columns {
            let name = column.name.as_bytes();
            let at = out.len() + 1;
            out.push(b'"');
            out.resize(at + name.len() * text::CSV_GROWTH + text::MOST_BYTES, 0);
            match text::csv(name, 0..name.len(), out, at) {
                Ok(end) => {
                    out.truncate(end);
                    out.extend_from_slice(b"\",");
                }
                Err(reason) => {
                    out.truncate(begin);
                    let kind = crate::ErrorKind::Data;
                    return Err(Error::new(kind, reason).with("column", column.name));
                }
            }
        }
        // In the place of the last comma, if there is one.
        out.truncate(out.len().saturating_sub(1).max(begin));
        out.push(b'\n');
        Ok(())
    }

    /// Appends rows as [`JsonRows::append`](super::JsonRows::append) does.
    ///
    /// # Errors
    ///
    /// [`Unwritable`] for a date or timestamp outside the years 1 to 9999 and for a text with U+0000
    /// in it, which Postgres refuses; the rows before it were appended.
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

impl Rows for CsvRows<'_> {
    fn text_bytes(&self, rows: Range<usize>) -> usize {
        text_bytes(self.columns.iter(), rows)
    }

    fn most_bytes(&self, rows: usize, text_bytes: usize) -> usize {
        // The largest of the values, two quotes and a comma.
        const VALUE: usize = decimal::MOST_BYTES + 3;
        const { assert!(VALUE > moment::MOST_BYTES && VALUE > digits::MOST_BYTES) };
        const { assert!(VALUE > text::MOST_BYTES + 3) };
        rows * (1 + self.columns.len() * VALUE) + text_bytes * text::CSV_GROWTH
    }

    #[inline(always)]
    fn write(&self, row: usize, room: &mut [u8], at: usize) -> Result<usize, Refused> {
        let begin = at;
        let mut at = at;
        for (place, column) in self.columns.iter().enumerate() {
            if !column.is_null(row) {
                let end = match column.values {
                    Values::Text { bytes, ends } => {
                        let text = ends[row] as usize..ends[row + 1] as usize;
                        quoted(bytes, text, room, at)
                    }
                    Values::LongText { bytes, ends } => {
                        let text = ends[row] as usize..ends[row + 1] as usize;
                        quoted(bytes, text, room, at)
                    }
                    Values::Integer(numbers) => Ok(digits::signed(room, at, numbers[row])),
                    Values::SmallInteger(numbers) => {
                        Ok(digits::signed(room, at, numbers[row].into()))
                    }
                    Values::Unsigned(numbers) => Ok(digits::unsigned(room, at, numbers[row])),
                    Values::Decimal { units, scale } => {
                        Ok(decimal::write(room, at, units[row], scale))
                    }
                    Values::Boolean(values) => Ok(boolean(room, at, values.value(row))),
                    Values::Date(days) => moment::date(room, at, days[row]),
                    Values::Timestamp(micros) => {
                        moment::timestamp(room, at, micros[row], self.options.fraction)
                    }
                };
                at = end.map_err(|reason| (place, reason))?;
            }
            room[at] = b',';
            at += 1;
        }
        // In the place of the last comma, if there is one.
        let end = at.saturating_sub(1).max(begin);
        room[end] = b'\n';
        Ok(end + 1)
    }

    fn column_name(&self, column: usize) -> &str {
        self.columns[column].name
    }
}

#[inline(always)]
fn quoted(
    bytes: &[u8],
    text: Range<usize>,
    room: &mut [u8],
    at: usize,
) -> Result<usize, &'static str> {
    room[at] = b'"';
    let end = text::csv(bytes, text, room, at + 1)?;
    room[end] = b'"';
    Ok(end + 1)
}
