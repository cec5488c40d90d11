//! What databases say differently.

use crate::column_type::ColumnType;
use crate::reporting::Alias;

/// The words of one database. Statements are built from these alone, so that an engine brings a
/// dialect and a way to run statements, and no SQL of its own for tables and rows.
pub(crate) trait Dialect {
    /// The type of a column.
    fn type_of(&self, column_type: ColumnType) -> String;

    /// The type that a column must be changed to so that it takes all values of another, where the
    /// one that is `declared` does not.
    fn widened(&self, declared: &str, column_type: ColumnType) -> Option<String> {
        let _ = (declared, column_type);
        None
    }

    /// What follows the closing parenthesis of a table's definition.
    fn table_suffix(&self) -> &'static str;

    /// The definition of a column that shows another.
    fn alias(&self, alias: &Alias) -> String;

    /// The same where the table has rows already, so that it shows theirs too.
    fn added_alias(&self, alias: &Alias) -> String {
        self.alias(alias)
    }

    /// What must be done once [`Dialect::added_alias`] was added to a table.
    fn behind_added_alias(&self, table: &str, alias: &Alias) -> Option<String> {
        let _ = (table, alias);
        None
    }

    /// The place of a statement's argument, counted from 1.
    fn argument(&self, position: usize) -> String;

    /// The place of an argument that is given as text, whatever its type.
    fn text_argument(&self, position: usize, column_type: ColumnType) -> String {
        let _ = column_type;
        self.argument(position)
    }

    /// A column's value as text, as [`sync_core::column::Value::push_to`] writes it; decimals as
    /// [`sync_core::Decimal`] reads them.
    fn as_text(&self, column: &str, column_type: ColumnType) -> String {
        let _ = column_type;
        column.to_owned()
    }

    /// The month of a column of days as text: `2026-01`.
    fn month(&self, column: &str) -> String;

    /// The type of a column of exact numbers, of any number of places.
    fn any_number(&self) -> &'static str;

    /// The exact sum of a column of decimals.
    fn sum(&self, expression: &str) -> String;

    /// What a boolean column holds where it is false.
    fn no(&self) -> &'static str;

    /// What a boolean column holds where it is true.
    fn yes(&self) -> &'static str;

    /// The most columns that a table has.
    fn max_columns(&self) -> usize;

    /// Whether the database keeps a table's name for itself.
    fn reserves_table(&self, name: &str) -> bool;

    /// Whether the database keeps a column's name for itself.
    fn reserves_column(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// A name as the database keeps it.
    fn stored(&self, name: &str) -> String {
        name.to_owned()
    }

    /// A table's name, with that of the schema where there are several.
    fn table(&self, name: &str) -> String {
        self.identifier(name)
    }

    /// A name, so that it is never taken for a keyword.
    fn identifier(&self, name: &str) -> String {
        format!("\"{}\"", self.stored(name).replace('"', "\"\""))
    }

    /// A text as part of a statement.
    fn literal(&self, text: &str) -> String {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Identifiers behind each other.
pub(crate) fn identifiers<'a>(
    dialect: &dyn Dialect,
    names: impl IntoIterator<Item = &'a str>,
) -> String {
    let quoted: Vec<_> = names
        .into_iter()
        .map(|name| dialect.identifier(name))
        .collect();
    quoted.join(", ")
}

/// The places of the first `count` arguments behind each other.
pub(crate) fn arguments(dialect: &dyn Dialect, count: usize) -> String {
    let places: Vec<_> = (1..=count)
        .map(|position| dialect.argument(position))
        .collect();
    places.join(", ")
}
