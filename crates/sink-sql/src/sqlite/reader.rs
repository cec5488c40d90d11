//! Queries over the file, for people and for comparing record by record.

use std::fmt;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use sync_core::{Error, ErrorKind, Result};

use super::connection::{file_path, open_reader};
use super::failure::failed;
use super::options::SqliteOptions;
use crate::rows::Rows;

const DOING: &str = "the query cannot be answered";

/// Reads a database and cannot change it.
///
/// Its statements may use `decimal_sum(X)`, the exact sum of decimals. Each query sees the state
/// of one moment, and neither waits for a writer nor holds one up. It blocks the calling thread,
/// so call it from `spawn_blocking` in async code, or use [`SqliteSink::query`](crate::SqliteSink::query).
pub struct Reader {
    connection: Connection,
    path: String,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("path", &self.path).finish()
    }
}

impl Reader {
    /// Opens a file that exists.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where it cannot be opened, [`ErrorKind::Config`] where it is not a
    /// database, [`ErrorKind::Data`] where it is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path.as_ref(), &SqliteOptions::default())
    }

    pub(super) fn open_with(path: &Path, options: &SqliteOptions) -> Result<Self> {
        let path = file_path(path)?;
        let shown = path.display().to_string();
        let connection = open_reader(&path, options.busy_timeout, options.cache_bytes)
            .map_err(|error| error.with("path", &shown))?;
        Ok(Self {
            connection,
            path: shown,
        })
    }

    /// Answers one query, holding all rows in memory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Permission`] for a statement that would change something,
    /// [`ErrorKind::Rejected`] for one that SQLite does not understand and for more than one,
    /// [`ErrorKind::Data`] where a sum is not exact or a text is not UTF-8.
    pub fn query(&self, sql: &str) -> Result<Rows> {
        let mut rows = Vec::new();
        let columns = self.for_each(sql, |row| {
            rows.push(row.iter().map(|cell| cell.map(str::to_owned)).collect());
            Ok(())
        })?;
        Ok(Rows { columns, rows })
    }

    /// Calls `take` with every row of a query's answer, holding one at a time, and gives the names
    /// of the columns. An error of `take` ends it.
    ///
    /// # Errors
    ///
    /// As [`Reader::query`], and those of `take`.
    pub fn for_each(
        &self,
        sql: &str,
        mut take: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<Vec<String>> {
        let refused = |cause| failed(DOING, cause).with("path", &self.path);
        let mut statement = self.connection.prepare(sql).map_err(refused)?;
        let columns: Vec<String> = (0..statement.column_count())
            .map(|position| statement.column_name(position).map(str::to_owned))
            .collect::<rusqlite::Result<_>>()
            .map_err(refused)?;
        let mut cells = vec![Cell::default(); columns.len()];
        let mut rows = statement.query([]).map_err(refused)?;
        while let Some(row) = rows.next().map_err(refused)? {
            for (position, cell) in cells.iter_mut().enumerate() {
                cell.set(row.get_ref(position).map_err(refused)?)
                    .map_err(|error| error.with("column", &columns[position]))?;
            }
            take(&Row { cells: &cells })?;
        }
        drop(rows);
        drop(statement);
        Ok(columns)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// One row of an answer, as text.
#[derive(Debug)]
pub struct Row<'a> {
    cells: &'a [Cell],
}

impl Row<'_> {
    /// The value of a column, counted from 0; none for null, and where there is no such column.
    pub fn get(&self, column: usize) -> Option<&str> {
        self.cells.get(column).and_then(Cell::as_str)
    }

    /// The values, in the order of the columns.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        self.cells.iter().map(Cell::as_str)
    }
}

/// A value whose text's memory is used again for the next row.
#[derive(Clone, Debug, Default)]
struct Cell {
    text: String,
    is_null: bool,
}

impl Cell {
    fn as_str(&self) -> Option<&str> {
        (!self.is_null).then_some(self.text.as_str())
    }

    fn set(&mut self, value: ValueRef<'_>) -> Result<()> {
        use fmt::Write as _;
        self.text.clear();
        self.is_null = matches!(value, ValueRef::Null);
        // Writing to a string cannot fail.
        let _ = match value {
            ValueRef::Null => Ok(()),
            ValueRef::Integer(value) => write!(self.text, "{value}"),
            ValueRef::Real(value) => write!(self.text, "{value}"),
            ValueRef::Text(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|error| {
                    Error::new(ErrorKind::Data, "a text is not UTF-8").caused_by(error)
                })?;
                self.text.push_str(text);
                Ok(())
            }
            ValueRef::Blob(bytes) => bytes
                .iter()
                .try_for_each(|byte| write!(self.text, "{byte:02x}")),
        };
        Ok(())
    }
}
