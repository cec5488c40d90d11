//! A value that the form cannot hold.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// A value that the form cannot hold: which, and why.
///
/// The rows before it were appended, and of its own nothing. A sink may reject the row and go on
/// behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unwritable {
    /// Its row in the batch, from zero.
    pub row: usize,
    /// The name of its column.
    pub column: String,
    /// Why it cannot be written.
    pub reason: &'static str,
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            row,
            column,
            reason,
        } = self;
        write!(
            f,
            "a value cannot be written: {reason} (column: {column}, row: {row})"
        )
    }
}

impl std::error::Error for Unwritable {}

impl From<Unwritable> for Error {
    fn from(unwritable: Unwritable) -> Self {
        let Unwritable {
            row,
            column,
            reason,
        } = unwritable;
        Self::new(
            ErrorKind::Data,
            format!("a value cannot be written: {reason}"),
        )
        .with("column", column)
        .with("row", row.to_string())
    }
}

/// What a writer of rows says: the place of the column, and why.
pub(super) type Refused = (usize, &'static str);
