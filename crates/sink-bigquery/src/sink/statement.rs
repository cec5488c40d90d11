//! Statements over the rows of a stream.
//!
//! Values reach BigQuery as named parameters, never as text of a statement; names are quoted, and are of
//! letters, digits and underscores only.

use sync_core::batch::system;
use sync_core::{DeleteMode, Operation};

use super::names::{all_quoted, quoted};
use super::planning::ExistingColumn;
use super::table::{REPORTED_DELETED, REPORTED_SYNCED, ROW, Table, VERSION};

/// The parameters of [`merge`].
pub(super) mod parameter {
    /// The batch's id.
    pub(in super::super) const BATCH: &str = "batch_id";
    /// When the batch was cut.
    pub(in super::super) const SYNCED_AT: &str = "synced_at";
    /// Where the batch stands in the order of all.
    pub(in super::super) const VERSION: &str = "version";
}

/// A column of the table and what the merge gives it.
struct Given {
    column: String,
    value: String,
}

/// The statement that brings staged rows to their table, where no later state is there.
///
/// `staged` are the columns of the staging table, `dropped` those that the source no longer has: they turn
/// null. Columns in neither list are left alone.
pub(super) fn merge(
    target: &str,
    staging: &str,
    table: &Table,
    operation: Operation,
    delete_mode: DeleteMode,
    dropped: &[&ExistingColumn],
) -> String {
    let head = format!(
        "MERGE {target} AS held USING {staging} AS staged ON {}",
        same_key(&table.key)
    );
    let is_not_later = format!(
        "WHEN MATCHED AND held.{} <= @{}",
        quoted(VERSION),
        parameter::VERSION
    );
    if operation == Operation::Delete && delete_mode == DeleteMode::Remove {
        return format!("{head} {is_not_later} THEN DELETE");
    }
    let mut given: Vec<Given> = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let name = column.name.as_str();
        let is_sent = match operation {
            Operation::Upsert => true,
            Operation::Delete => name.starts_with('_') && name != system::SOURCE_MODIFIED_AT,
        };
        if is_sent {
            given.push(Given {
                column: name.to_owned(),
                value: value(name, operation),
            });
        }
    }
    let set = given.iter().filter(|it| !table.key.contains(&it.column));
    let set = set.map(|it| format!("{} = {}", quoted(&it.column), it.value));
    let emptied = dropped.iter().map(|column| {
        format!(
            "{} = CAST(NULL AS {})",
            quoted(&column.name),
            column.column_type
        )
    });
    let set: Vec<_> = match operation {
        Operation::Upsert => set.chain(emptied).collect(),
        Operation::Delete => set.collect(),
    };
    let update = format!("{head} {is_not_later} THEN UPDATE SET {}", set.join(", "));
    if operation == Operation::Delete {
        return update;
    }
    let values: Vec<_> = given.iter().map(|it| it.value.as_str()).collect();
    format!(
        "{update} WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
        all_quoted(given.iter().map(|it| it.column.as_str())),
        values.join(", ")
    )
}

/// What a column is given: what is staged, or what is the same for the whole batch.
fn value(column: &str, operation: Operation) -> String {
    let is_deleted = match operation {
        Operation::Upsert => "FALSE",
        Operation::Delete => "TRUE",
    };
    match column {
        system::BATCH_ID => format!("@{}", parameter::BATCH),
        system::SYNCED_AT | REPORTED_SYNCED => format!("@{}", parameter::SYNCED_AT),
        system::DELETED | REPORTED_DELETED => is_deleted.to_owned(),
        VERSION => format!("@{}", parameter::VERSION),
        staged => format!("staged.{}", quoted(staged)),
    }
}

/// The statement that gives the numbers of those staged rows of which the table has a later state.
pub(super) fn superseded(target: &str, staging: &str, table: &Table) -> String {
    format!(
        "SELECT staged.{} FROM {staging} AS staged JOIN {target} AS held ON {} WHERE held.{} > @{}",
        quoted(ROW),
        same_key(&table.key),
        quoted(VERSION),
        parameter::VERSION
    )
}

fn same_key(key: &[String]) -> String {
    let equal = key.iter().map(|column| {
        let column = quoted(column);
        format!("held.{column} = staged.{column}")
    });
    equal.collect::<Vec<_>>().join(" AND ")
}
