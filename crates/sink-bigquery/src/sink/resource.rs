//! Tables between what a stream needs and what BigQuery is told.

use time::OffsetDateTime;

use super::bookkeeping;
use super::column_type::ColumnType;
use super::planning::{Definition, ExistingColumn, ExistingTable, purpose};
use super::table::TableColumn;
use crate::client::names::{DatasetRef, TableId, TableRef};
use crate::client::{Field, Table, TableSchema, TimePartitioning};

/// The label that says who made a table, and what for.
const MADE_FOR: &str = "intacct_sync";

/// The label that says whose rows a table holds.
const STREAM: &str = "stream";

/// A table of a dataset.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) for a name that BigQuery does not take.
pub(super) fn reference(dataset: &DatasetRef, name: &str) -> crate::Result<TableRef> {
    Ok(dataset.table(TableId::new(name)?))
}

/// What a table is made from.
pub(super) fn definition(reference: TableRef, definition: &Definition, stream: &str) -> Table {
    let wanted = &definition.table;
    let table = Table::new(reference)
        .with_schema(TableSchema::new(wanted.columns.iter().map(field)))
        .with_clustering(wanted.clustered_by.iter().cloned())
        .with_description(&wanted.description)
        .with_label(MADE_FOR, definition.purpose)
        .with_label(STREAM, stream);
    if definition.is_landing {
        return table.with_time_partitioning(TimePartitioning::by_ingestion("DAY"));
    }
    // A key that is declared is believed; here it is one, since the merge keeps it.
    let table = table.with_primary_key(wanted.key.iter().cloned());
    match &wanted.partitioned_by {
        Some(column) => table.with_time_partitioning(TimePartitioning::by_field("MONTH", column)),
        None => table,
    }
}

/// What a table of the bookkeeping is made from.
pub(super) fn bookkeeping(reference: TableRef, name: &str) -> Table {
    let columns = bookkeeping::columns(name).iter();
    let fields = columns.map(|(name, column_type, required, description)| {
        let field = Field::new(*name, column_type.field_type()).with_description(*description);
        if *required { field.required() } else { field }
    });
    Table::new(reference)
        .with_schema(TableSchema::new(fields))
        .with_clustering(bookkeeping::clustered_by(name).iter().copied())
        .with_description(bookkeeping::description(name))
        .with_label(MADE_FOR, purpose::BOOKKEEPING)
}

/// What a staging table is made from: it removes itself at a time.
pub(super) fn staging(
    reference: TableRef,
    schema: TableSchema,
    stream: &str,
    expires: OffsetDateTime,
) -> Table {
    let millis = expires.unix_timestamp_nanos() / 1_000_000;
    Table::new(reference)
        .with_schema(schema)
        .with_label(MADE_FOR, purpose::STAGING)
        .with_label(STREAM, stream)
        .with_expiration_time(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// A view.
pub(super) fn view(reference: TableRef, query: String, description: &str, stream: &str) -> Table {
    Table::new(reference)
        .with_view(query)
        .with_description(description)
        .with_label(MADE_FOR, purpose::STREAM)
        .with_label(STREAM, stream)
}

/// A column.
pub(super) fn field(column: &TableColumn) -> Field {
    let field = Field::new(&column.name, column.column_type.field_type());
    let field = field.with_description(&column.description);
    if column.required {
        field.required()
    } else {
        field
    }
}

/// A column that is added to a table that may have rows, which takes no required ones.
pub(super) fn added_field(column: &TableColumn) -> Field {
    let mut added = column.clone();
    added.required = false;
    field(&added)
}

/// The columns of a staging table.
pub(super) fn staging_schema<'a>(
    columns: impl IntoIterator<Item = (&'a str, ColumnType)>,
) -> TableSchema {
    let columns = columns.into_iter();
    TableSchema::new(columns.map(|(name, column_type)| Field::new(name, column_type.field_type())))
}

/// What is there, as far as planning is concerned.
pub(super) fn existing(table: &Table) -> ExistingTable {
    let fields = table.schema.iter().flat_map(|schema| &schema.fields);
    let columns = fields.map(|field| ExistingColumn {
        name: field.name.clone(),
        column_type: field.field_type.clone(),
        description: field.description.clone().unwrap_or_default(),
    });
    let constraints = table.table_constraints.as_ref();
    let key = constraints.and_then(|constraints| constraints.primary_key.as_ref());
    ExistingTable {
        kind: table
            .table_type
            .clone()
            .unwrap_or_else(|| "TABLE".to_owned()),
        columns: columns.collect(),
        key: key.map(|key| key.columns.clone()).unwrap_or_default(),
        purpose: table.labels.get(MADE_FOR).cloned(),
        query: table.view.as_ref().map(|view| view.query.clone()),
        created_at: table.creation_time,
    }
}

/// Whether a table's labels say that this sink made it.
pub(super) fn is_ours(labels: &std::collections::BTreeMap<String, String>) -> bool {
    labels.contains_key(MADE_FOR)
}
