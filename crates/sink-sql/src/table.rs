//! The table that a stream needs.

use std::collections::BTreeMap;

use sync_core::batch::{batch_schema, system};
use sync_core::stream::metadata;
use sync_core::{Error, ErrorKind, Operation, Result, StreamDescriptor};

use crate::bookkeeping;
use crate::column_type::ColumnType;
use crate::dialect::Dialect;
use crate::reporting::{Alias, ReportingColumns};

/// The table of a stream: its own columns, then the system columns, then the reporting columns.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<TableColumn>,
    pub(crate) aliases: Vec<Alias>,
    pub(crate) key: Vec<String>,
}

/// A column that holds values.
#[derive(Debug)]
pub(crate) struct TableColumn {
    pub(crate) name: String,
    /// The name as the stream spells it.
    pub(crate) spelled: String,
    pub(crate) column_type: ColumnType,
    /// Null is refused. Never so for a source's column outside the key, because a column that the
    /// source drops turns null.
    pub(crate) required: bool,
    /// What the source calls it, and its type there.
    pub(crate) source: Option<(String, String)>,
}

impl Table {
    /// The table of a stream.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where the stream contradicts itself or uses names that this database
    /// cannot tell apart, [`ErrorKind::Unsupported`] where it has too many columns.
    pub(crate) fn of(
        dialect: &dyn Dialect,
        stream: &StreamDescriptor,
        reporting: ReportingColumns,
    ) -> Result<Self> {
        stream.validate()?;
        let name = stream.name.as_str();
        if bookkeeping::NAMES.contains(&name) || dialect.reserves_table(name) {
            let what =
                "this table name is taken by the database or its bookkeeping: rename the stream";
            return Err(Error::new(ErrorKind::Config, what).with("stream", name));
        }
        let schema = batch_schema(stream, Operation::Upsert);
        let mut columns = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let is_system = system::ALL.contains(&field.name().as_str());
            let of_source = |key: &str| field.metadata().get(key).cloned().unwrap_or_default();
            let column_type = ColumnType::of(field.data_type())
                .map_err(|error| error.with("stream", name).with("column", field.name()))?;
            columns.push(TableColumn {
                name: dialect.stored(field.name()),
                spelled: field.name().clone(),
                column_type,
                required: (is_system && !field.is_nullable()) || stream.key.contains(field.name()),
                source: (!is_system).then(|| {
                    (
                        of_source(metadata::SOURCE_NAME),
                        of_source(metadata::SOURCE_TYPE),
                    )
                }),
            });
        }
        let aliases = reporting.aliases(stream);
        let table = Self {
            name: name.to_owned(),
            columns,
            aliases,
            key: stream.key.iter().map(|name| dialect.stored(name)).collect(),
        };
        table.check_names(dialect)?;
        let count = table.columns.len() + table.aliases.len();
        if count > dialect.max_columns() {
            let what = "the stream has more columns than a table can have: select fewer";
            return Err(Error::new(ErrorKind::Unsupported, what)
                .with("stream", name)
                .with("columns", count.to_string())
                .with("limit", dialect.max_columns().to_string()));
        }
        Ok(table)
    }

    /// Databases compare column names without regard to case, cut long ones, and end a statement at
    /// NUL.
    fn check_names(&self, dialect: &dyn Dialect) -> Result<()> {
        let refuse = |what: &str| Error::new(ErrorKind::Config, what).with("stream", &self.name);
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for column in &self.columns {
            let (name, source) = (&column.name, column.source.as_ref());
            let texts = source.map(|(name, declared)| [name, declared]);
            let mut texts = texts.into_iter().flatten().chain([name]);
            if name.is_empty() || texts.any(|text| text.contains('\0')) {
                let what = "a column's name is empty or holds a NUL character";
                return Err(refuse(what).with("column", name.escape_default().to_string()));
            }
            if dialect.reserves_column(name) {
                let what = "the database keeps this column name for itself: rename or drop it";
                return Err(refuse(what).with("column", name));
            }
            if let Some(other) = seen.insert(folded(name), &column.spelled) {
                let what = "two columns have the same name for the database: rename or drop one";
                return Err(refuse(what)
                    .with("column", other)
                    .with("other", &column.spelled));
            }
        }
        Ok(())
    }
}

/// A name as the database compares it.
pub(crate) fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}
