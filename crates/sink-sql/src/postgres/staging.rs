//! The statements that bring rows from where they are staged to their table.
//!
//! A staging table belongs to its session, has a column [`ROW`] with the row's number in the batch, and
//! is empty again when the transaction ends.

use arrow_schema::{DataType, Schema};
use sync_core::batch::system;
use sync_core::id::Hasher;

use super::dialect::Postgres;
use crate::bookkeeping;
use crate::dialect::{Dialect, identifiers};
use crate::reporting::Alias;
use crate::statement;

/// The number of a staged row in its batch. No column of a stream begins with an underscore.
pub(super) const ROW: &str = "_row";

/// A table of staged rows.
#[derive(Debug)]
pub(super) struct Staging<'a> {
    dialect: &'a Postgres,
    /// Its name, with the schema that belongs to the session.
    name: String,
    /// Names and types, the row's number left out.
    columns: Vec<(&'a str, &'static str)>,
    stream: &'a str,
    key: &'a [String],
    /// The columns of the stream's table that show others.
    aliases: Vec<&'static Alias>,
}

impl<'a> Staging<'a> {
    /// For rows of these columns, [`ROW`] among them. Equal columns have an equal table, so that a session makes it once.
    pub(super) fn new(
        dialect: &'a Postgres,
        stream: &'a str,
        key: &'a [String],
        sent: &'a Schema,
        aliases: Vec<&'static Alias>,
    ) -> Self {
        let columns: Vec<_> = sent
            .fields()
            .iter()
            .filter(|field| field.name() != ROW)
            .map(|field| (field.name().as_str(), sent_type(field.data_type())))
            .collect();
        let mut shape = Hasher::new("intacct-sync/staging/1");
        for (name, sent) in &columns {
            shape.push(name.as_bytes());
            shape.push(sent.as_bytes());
        }
        let name = format!("staged_{}", shape.record_id());
        Self {
            dialect,
            name: format!("pg_temp.{}", dialect.identifier(&name)),
            columns,
            stream,
            key,
            aliases,
        }
    }

    pub(super) fn create(&self) -> String {
        let columns = self.columns.iter();
        let columns =
            columns.map(|(name, sent)| format!("{} {sent}", self.dialect.identifier(name)));
        let name = self.name.strip_prefix("pg_temp.").unwrap_or(&self.name);
        format!(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({ROW} integer, {}) ON COMMIT DELETE ROWS",
            columns.collect::<Vec<_>>().join(", ")
        )
    }

    pub(super) fn copy(&self) -> String {
        let names = self.columns.iter().map(|(name, _)| *name);
        format!(
            "COPY {} ({ROW}, {}) FROM STDIN (FORMAT binary)",
            self.name,
            identifiers(self.dialect, names)
        )
    }

    /// Writes the rows, whether they are new or not.
    pub(super) fn upsert(&self, cleared: &[&str]) -> String {
        let mut names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let selected = names
            .iter()
            .copied()
            .chain(self.aliases.iter().map(|it| it.of));
        let values = format!(
            "SELECT {} FROM {} AS staged WHERE {}",
            identifiers(self.dialect, selected),
            self.name,
            of_rows()
        );
        names.extend(self.aliases.iter().map(|alias| alias.name));
        statement::upsert(
            self.dialect,
            self.stream,
            self.key,
            &names,
            cleared,
            &values,
        )
    }

    /// Marks the rows as gone.
    pub(super) fn mark_deleted(&self) -> String {
        let to = |column: &str| match column {
            system::DELETED => self.dialect.yes().to_owned(),
            column => format!("staged.{}", self.dialect.identifier(column)),
        };
        let marked = statement::MARKED.into_iter().chain([system::DELETED]);
        let marked = marked.map(|column| (column, column));
        let shown = self.aliases.iter().map(|alias| (alias.name, alias.of));
        let set = marked
            .chain(shown)
            .map(|(column, of)| format!("{} = {}", self.dialect.identifier(column), to(of)));
        format!(
            "UPDATE {} AS held SET {} FROM {} AS staged WHERE {} AND {}",
            self.dialect.table(self.stream),
            set.collect::<Vec<_>>().join(", "),
            self.name,
            self.same_key(),
            of_rows()
        )
    }

    /// Removes the rows.
    pub(super) fn remove(&self) -> String {
        format!(
            "DELETE FROM {} AS held USING {} AS staged WHERE {} AND {}",
            self.dialect.table(self.stream),
            self.name,
            self.same_key(),
            of_rows()
        )
    }

    /// How many of the staged rows have one in the table.
    pub(super) fn count_held(&self) -> String {
        format!(
            "SELECT count(*) FROM {} AS held JOIN {} AS staged ON {} WHERE {}",
            self.dialect.table(self.stream),
            self.name,
            self.same_key(),
            of_rows()
        )
    }

    /// Takes those rows away that a later batch has written, and gives their numbers. The arguments
    /// are those of [`bookkeeping::later_batch`].
    pub(super) fn drop_superseded(&self) -> String {
        format!(
            "DELETE FROM {} AS staged USING {} AS held, {} AS later WHERE {} \
             AND later.batch_id = held.{} AND {} RETURNING staged.{ROW}",
            self.name,
            self.dialect.table(self.stream),
            self.dialect.table(bookkeeping::BATCHES),
            self.same_key(),
            self.dialect.identifier(system::BATCH_ID),
            bookkeeping::is_later(self.dialect, "later"),
        )
    }

    fn same_key(&self) -> String {
        let equal = self.key.iter().map(|column| {
            let column = self.dialect.identifier(column);
            format!("held.{column} = staged.{column}")
        });
        equal.collect::<Vec<_>>().join(" AND ")
    }
}

/// What Postgres calls the type that a column is sent as. Decimals have no declared scale on their way,
/// so that nothing is rounded before the table can refuse it.
pub(super) fn sent_type(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Utf8 => "text",
        DataType::Int64 => "bigint",
        DataType::Decimal128(..) => "numeric",
        DataType::Boolean => "boolean",
        DataType::Date32 => "date",
        _ => "timestamp with time zone",
    }
}

/// Only rows of a range: from the first argument to the second, which is not part of it.
fn of_rows() -> String {
    format!("staged.{ROW} >= $1 AND staged.{ROW} < $2")
}
