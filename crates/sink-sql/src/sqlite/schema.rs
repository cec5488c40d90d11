//! What tables the file has, and the carrying out of plans.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use sync_core::{Result, SchemaPlan, StreamDescriptor};

use super::dialect::Sqlite;
use super::failure::failed;
use crate::bookkeeping;
use crate::planning::{self, Existing, ExistingColumn, ExistingTable};
use crate::reporting::ReportingColumns;
use crate::table::{Table, folded};

/// What must change before a stream can be written.
pub(super) fn plan(
    connection: &Connection,
    stream: &StreamDescriptor,
    reporting: ReportingColumns,
) -> Result<SchemaPlan> {
    let wanted = Table::of(&Sqlite, stream, reporting)?;
    let existing = existing(connection, &wanted.name)
        .map_err(|cause| failed("the tables cannot be listed", cause))?;
    let steps = planning::steps(&Sqlite, &wanted, &existing)?;
    Ok(SchemaPlan::new(
        Arc::new(stream.clone()),
        steps.changes,
        steps.statements,
    ))
}

/// Carries out what is still missing of a plan, in one transaction.
pub(super) fn prepare(
    connection: &mut Connection,
    planned: &SchemaPlan,
    reporting: ReportingColumns,
) -> Result<()> {
    let refused = |cause| failed("the tables cannot be changed", cause);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(refused)?;
    let missing = plan(&transaction, &planned.stream, reporting)?;
    for statement in &missing.statements {
        planning::check_planned(planned, statement)?;
        transaction.execute_batch(statement).map_err(refused)?;
    }
    transaction.commit().map_err(refused)
}

/// The table of a stream, which must have been prepared.
pub(super) fn prepared(
    connection: &Connection,
    stream: &StreamDescriptor,
) -> Result<ExistingTable> {
    let name = stream.name.as_str();
    let existing =
        existing(connection, name).map_err(|cause| failed("the tables cannot be listed", cause))?;
    planning::prepared(existing, stream)
}

/// Whether one of the bookkeeping's tables is there.
pub(super) fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?
        .exists([name])
}

fn existing(connection: &Connection, table: &str) -> rusqlite::Result<Existing> {
    let mut found = Vec::new();
    for name in bookkeeping::NAMES {
        if has_table(connection, name)? {
            found.push(name);
        }
    }
    let kind: Option<String> = connection
        .prepare_cached(
            "SELECT type FROM sqlite_schema \
             WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view', 'index')",
        )?
        .query_row([table], |row| row.get(0))
        .optional()?;
    let described = kind.map(|kind| describe(connection, table, kind, &found));
    Ok(Existing {
        missing_schema: None,
        table: described.transpose()?,
        bookkeeping: found,
    })
}

fn describe(
    connection: &Connection,
    table: &str,
    kind: String,
    bookkeeping: &[&str],
) -> rusqlite::Result<ExistingTable> {
    let mut noted: Vec<(String, String)> = Vec::new();
    if bookkeeping.contains(&bookkeeping::COLUMNS) {
        let mut statement = connection.prepare_cached(&bookkeeping::noted_columns(&Sqlite))?;
        let rows = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
        noted = rows.collect::<rusqlite::Result<_>>()?;
    }
    // The extended form, because the plain one leaves generated columns out.
    let mut statement = connection.prepare_cached(
        "SELECT name, pk, type, hidden IN (2, 3) FROM pragma_table_xinfo(?1) ORDER BY cid",
    )?;
    let rows = statement.query_map([table], |row| {
        let name: String = row.get(0)?;
        Ok((name, row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?))
    })?;
    let mut columns = Vec::new();
    let mut key = Vec::new();
    for row in rows {
        let (name, place_in_key, declared, is_generated) = row?;
        if place_in_key > 0 {
            key.push((place_in_key, name.clone()));
        }
        let noted = noted
            .iter()
            .find(|(noted, _)| folded(noted) == folded(&name))
            .map(|(_, column_type)| column_type.clone());
        columns.push(ExistingColumn {
            name,
            declared,
            noted,
            is_generated,
        });
    }
    key.sort();
    Ok(ExistingTable {
        kind,
        columns,
        key: key.into_iter().map(|(_, name)| name).collect(),
    })
}
