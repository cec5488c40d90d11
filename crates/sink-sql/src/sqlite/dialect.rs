//! SQLite's words.

use crate::column_type::ColumnType;
use crate::dialect::Dialect;
use crate::reporting::Alias;

/// SQLite in STRICT tables, which refuse values of another type instead of changing them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sqlite;

impl Dialect for Sqlite {
    fn type_of(&self, column_type: ColumnType) -> String {
        let word = match column_type {
            ColumnType::Integer | ColumnType::Boolean => "INTEGER",
            // SQLite's only other numbers are floats, and those are not exact.
            ColumnType::Text
            | ColumnType::Decimal { .. }
            | ColumnType::Date
            | ColumnType::Timestamp => "TEXT",
        };
        word.to_owned()
    }

    fn table_suffix(&self) -> &'static str {
        " STRICT"
    }

    fn alias(&self, alias: &Alias) -> String {
        // Only virtual columns can be added to a table that has rows.
        format!(
            "{} {} GENERATED ALWAYS AS ({}) VIRTUAL",
            self.identifier(alias.name),
            self.type_of(alias.column_type),
            self.identifier(alias.of)
        )
    }

    fn argument(&self, position: usize) -> String {
        format!("?{position}")
    }

    fn month(&self, column: &str) -> String {
        format!("substr({column}, 1, 7)")
    }

    fn any_number(&self) -> &'static str {
        "TEXT"
    }

    fn sum(&self, expression: &str) -> String {
        format!("{}({expression})", super::decimal_sum::NAME)
    }

    fn no(&self) -> &'static str {
        "0"
    }

    fn yes(&self) -> &'static str {
        "1"
    }

    fn max_columns(&self) -> usize {
        // sqlite.org, Implementation Limits For SQLite: SQLITE_MAX_COLUMN.
        2000
    }

    fn reserves_table(&self, name: &str) -> bool {
        name.starts_with("sqlite_")
    }
}
