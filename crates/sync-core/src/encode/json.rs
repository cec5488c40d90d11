//! Rows as JSON objects or arrays.

use std::ops::Range;

use arrow_array::RecordBatch;

use super::column::{Column, Values, text_bytes};
use super::moment::{self, Fraction};
use super::rows::{Literal, Rows, append, store};
use super::unwritable::{Refused, Unwritable};
use super::{decimal, digits, text};
use crate::error::Result;

/// How rows are written as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonOptions {
    /// What a row is, and what stands between two.
    pub layout: Layout,
    /// What stands for no value. In [`Layout::Arrays`] it is always `null`.
    pub nulls: Nulls,
    /// How decimals are written.
    pub decimals: Numbers,
    /// How whole numbers are written. Many readers of JSON take numbers for 64-bit floats, which are
    /// exact up to 2^53.
    pub integers: Numbers,
    /// When timestamps are written with microseconds.
    pub fraction: Fraction,
}

impl JsonOptions {
    /// Nulls written, numbers as literals, microseconds where they are not zero.
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            nulls: Nulls::Written,
            decimals: Numbers::Literals,
            integers: Numbers::Literals,
            fraction: Fraction::WhereNotZero,
        }
    }
}

/// What a row is, and what stands between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// An object a line, each line with its end: NDJSON.
    Lines,
    /// Objects with commas between them, to stand within the brackets of an array.
    ///
    /// A row begins with a comma unless the buffer is empty or ends with `[`. So `{"rows":[`, rows of
    /// one batch, rows of another and `]}` make a document.
    Objects,
    /// Arrays of the values in the order of the columns, with commas as with [`Layout::Objects`].
    Arrays,
}

/// What stands for no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Nulls {
    /// `null`.
    Written,
    /// Nothing: the name of the column is left out too.
    Omitted,
}

/// How numbers are written. Either way with all their digits, and never with an exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Numbers {
    /// `12.5`
    Literals,
    /// `"12.5"`, for readers that would make a float of the literal.
    Strings,
}

/// The rows of a batch, ready to be written as JSON.
pub struct JsonRows<'a> {
    columns: Vec<JsonColumn<'a>>,
    layout: Layout,
    fraction: Fraction,
    /// What a row takes at most besides its texts.
    row_bytes: usize,
}

struct JsonColumn<'a> {
    column: Column<'a>,
    /// Comma and name, and the quote that a string begins with.
    before: Literal,
    null: Literal,
    /// How many quotes stand behind the value: one or none.
    quotes: usize,
}

impl<'a> JsonRows<'a> {
    /// Looks at the columns. Their names are the names of the objects' members.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported), with the column, for a type that is
    /// not text, a whole number (`Int32`, `Int64`, `UInt64`), `Decimal128` with a scale of 0 to 38,
    /// `Boolean`, `Date32` or `Timestamp(Microsecond, UTC)`.
    pub fn new(rows: &'a RecordBatch, options: &JsonOptions) -> Result<Self> {
        let columns: Vec<_> = Column::all(rows)?
            .into_iter()
            .map(|column| JsonColumn::new(column, options))
            .collect();
        // Brackets, a comma or an end of line.
        let row_bytes = 4 + columns.iter().map(JsonColumn::most_bytes).sum::<usize>();
        Ok(Self {
            columns,
            layout: options.layout,
            fraction: options.fraction,
            row_bytes,
        })
    }

    /// Appends rows as long as `out` is no longer than `max_len` bytes, what was in it included, and
    /// returns the first row that was not appended: the end of the range if all were.
    ///
    /// A row that is too long even for a buffer with nothing else in it is the caller's to refuse.
    /// While rows are written `out` may take room for seven times the text of sixteen rows.
    ///
    /// # Errors
    ///
    /// [`Unwritable`] for a date or timestamp outside the years 1 to 9999; the rows before it were
    /// appended.
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

impl<'a> JsonColumn<'a> {
    fn new(column: Column<'a>, options: &JsonOptions) -> Self {
        let is_string = match column.values {
            Values::Text { .. } | Values::LongText { .. } => true,
            Values::Date(_) | Values::Timestamp(_) => true,
            Values::Integer(_) | Values::SmallInteger(_) | Values::Unsigned(_) => {
                options.integers == Numbers::Strings
            }
            Values::Decimal { .. } => options.decimals == Numbers::Strings,
            Values::Boolean(_) => false,
        };
        let mut before = vec![b','];
        if options.layout != Layout::Arrays {
            let name = column.name.as_bytes();
            before.push(b'"');
            let at = before.len();
            before.resize(at + name.len() * text::JSON_GROWTH + text::MOST_BYTES, 0);
            let end = text::json(name, 0..name.len(), &mut before, at);
            before.truncate(end);
            before.extend_from_slice(b"\":");
        }
        let null = if options.layout != Layout::Arrays && options.nulls == Nulls::Omitted {
            Literal::new(b"")
        } else {
            Literal::new(&[&before[..], b"null"].concat())
        };
        if is_string {
            before.push(b'"');
        }
        let before = Literal::new(&before);
        Self {
            column,
            before,
            null,
            quotes: usize::from(is_string),
        }
    }

    fn most_bytes(&self) -> usize {
        // The largest of the values, and its quote.
        const VALUE: usize = decimal::MOST_BYTES + 1;
        const { assert!(VALUE > moment::MOST_BYTES && VALUE > digits::MOST_BYTES) };
        const { assert!(VALUE > text::MOST_BYTES) };
        VALUE + self.before.most_bytes().max(self.null.most_bytes())
    }
}

impl Rows for JsonRows<'_> {
    fn text_bytes(&self, rows: Range<usize>) -> usize {
        text_bytes(self.columns.iter().map(|column| &column.column), rows)
    }

    fn most_bytes(&self, rows: usize, text_bytes: usize) -> usize {
        rows * self.row_bytes + text_bytes * text::JSON_GROWTH
    }

    #[inline(always)]
    fn write(&self, row: usize, room: &mut [u8], at: usize) -> Result<usize, Refused> {
        let mut at = at;
        if self.layout != Layout::Lines && at > 0 && room[at - 1] != b'[' {
            room[at] = b',';
            at += 1;
        }
        let begin = at;
        for (place, column) in self.columns.iter().enumerate() {
            if column.column.is_null(row) {
                at = column.null.write(room, at);
                continue;
            }
            at = column.before.write(room, at);
            let end = match column.column.values {
                Values::Text { bytes, ends } => {
                    let text = ends[row] as usize..ends[row + 1] as usize;
                    Ok(text::json(bytes, text, room, at))
                }
                Values::LongText { bytes, ends } => {
                    let text = ends[row] as usize..ends[row + 1] as usize;
                    Ok(text::json(bytes, text, room, at))
                }
                Values::Integer(numbers) => Ok(digits::signed(room, at, numbers[row])),
                Values::SmallInteger(numbers) => Ok(digits::signed(room, at, numbers[row].into())),
                Values::Unsigned(numbers) => Ok(digits::unsigned(room, at, numbers[row])),
                Values::Decimal { units, scale } => Ok(decimal::write(room, at, units[row], scale)),
                Values::Boolean(values) => Ok(boolean(room, at, values.value(row))),
                Values::Date(days) => moment::date(room, at, days[row]),
                Values::Timestamp(micros) => {
                    moment::timestamp(room, at, micros[row], self.fraction)
                }
            };
            at = end.map_err(|reason| (place, reason))?;
            room[at] = b'"';
            at += column.quotes;
        }
        let (open, close) = match self.layout {
            Layout::Arrays => (b'[', b']'),
            Layout::Lines | Layout::Objects => (b'{', b'}'),
        };
        // In the place of the first comma, or of nothing.
        let end = at.max(begin + 1);
        room[begin] = open;
        room[end] = close;
        room[end + 1] = b'\n';
        Ok(end + 1 + usize::from(self.layout == Layout::Lines))
    }

    fn column_name(&self, column: usize) -> &str {
        self.columns[column].column.name
    }
}

#[inline(always)]
pub(super) fn boolean(room: &mut [u8], at: usize, value: bool) -> usize {
    store(room, at, if value { *b"true\0" } else { *b"false" });
    at + 5 - usize::from(value)
}
