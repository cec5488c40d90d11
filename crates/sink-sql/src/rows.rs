//! Answers to queries.

/// The answer to a query, as text.
///
/// SQLite's numbers are written in decimal and its bytes in hexadecimal; a float appears only where
/// the query itself makes one. What Postgres answers is in Postgres's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, with a value or null for each column.
    pub rows: Vec<Vec<Option<String>>>,
}
