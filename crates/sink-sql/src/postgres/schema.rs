//! What tables the schema has, and the carrying out of plans.

use std::sync::Arc;

use sync_core::postgres::deadpool_postgres::Transaction;
use sync_core::postgres::{failed, tokio_postgres};
use sync_core::{Result, SchemaPlan, StreamDescriptor};
use tokio_postgres::Error;

use super::dialect::Postgres;
use super::write::{lock, name_lock};
use crate::bookkeeping;
use crate::planning::{self, Existing, ExistingColumn, ExistingTable};
use crate::reporting::ReportingColumns;
use crate::table::Table;

/// What must change before a stream can be written.
pub(super) async fn plan(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    stream: &StreamDescriptor,
    reporting: ReportingColumns,
) -> Result<SchemaPlan> {
    let wanted = Table::of(dialect, stream, reporting)?;
    let existing = existing(transaction, dialect, &wanted.name)
        .await
        .map_err(|cause| failed("the tables cannot be listed", cause))?;
    let steps = planning::steps(dialect, &wanted, &existing)?;
    Ok(SchemaPlan::new(
        Arc::new(stream.clone()),
        steps.changes,
        steps.statements,
    ))
}

/// Carries out what is still missing of a plan, in the transaction.
pub(super) async fn prepare(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    planned: &SchemaPlan,
    reporting: ReportingColumns,
) -> Result<()> {
    let refused = |cause| failed("the tables cannot be changed", cause);
    // One at a time: of two that make the same table, the second would fail.
    for name in ["", planned.stream.name.as_str()] {
        lock(transaction, name_lock(dialect, name))
            .await
            .map_err(refused)?;
    }
    let missing = plan(transaction, dialect, &planned.stream, reporting).await?;
    for statement in &missing.statements {
        planning::check_planned(planned, statement)?;
        transaction
            .batch_execute(statement)
            .await
            .map_err(refused)?;
    }
    Ok(())
}

/// The table of a stream, which must have been prepared.
pub(super) async fn prepared(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    stream: &StreamDescriptor,
) -> Result<ExistingTable> {
    let existing = existing(transaction, dialect, stream.name.as_str())
        .await
        .map_err(|cause| failed("the tables cannot be listed", cause))?;
    planning::prepared(existing, stream)
}

/// Whether one of the bookkeeping's tables is there.
pub(super) async fn has_table(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    name: &str,
) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = $2";
    let statement = transaction.prepare_cached(sql).await?;
    let found = transaction
        .query_opt(&statement, &[&dialect.schema(), &name])
        .await?;
    Ok(found.is_some())
}

async fn existing(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    table: &str,
) -> Result<Existing, Error> {
    let sql = "SELECT space.oid, held.oid, held.relname::text, held.relkind::text \
               FROM pg_catalog.pg_namespace AS space \
               LEFT JOIN pg_catalog.pg_class AS held \
                 ON held.relnamespace = space.oid AND held.relname = ANY($2) \
               WHERE space.nspname = $1";
    let mut names: Vec<&str> = bookkeeping::NAMES.to_vec();
    names.push(table);
    let statement = transaction.prepare_cached(sql).await?;
    let rows = transaction
        .query(&statement, &[&dialect.schema(), &names])
        .await?;
    let missing_schema = rows.is_empty().then(|| dialect.schema().to_owned());
    let mut found = Vec::new();
    let mut described = None;
    for row in rows {
        let (Some(oid), Some(name), Some(kind)) = (
            row.try_get::<_, Option<u32>>(1)?,
            row.try_get::<_, Option<String>>(2)?,
            row.try_get::<_, Option<String>>(3)?,
        ) else {
            continue;
        };
        match bookkeeping::NAMES.into_iter().find(|known| *known == name) {
            Some(known) => found.push(known),
            None => described = Some((oid, kind)),
        }
    }
    let table = match described {
        Some((oid, kind)) => Some(describe(transaction, dialect, table, oid, &kind, &found).await?),
        None => None,
    };
    Ok(Existing {
        missing_schema,
        table,
        bookkeeping: found,
    })
}

async fn describe(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    table: &str,
    oid: u32,
    kind: &str,
    bookkeeping: &[&str],
) -> Result<ExistingTable, Error> {
    let mut noted: Vec<(String, String)> = Vec::new();
    if bookkeeping.contains(&bookkeeping::COLUMNS) {
        let sql = bookkeeping::noted_columns(dialect);
        let statement = transaction.prepare_cached(&sql).await?;
        for row in transaction.query(&statement, &[&table]).await? {
            noted.push((row.try_get(0)?, row.try_get(1)?));
        }
    }
    let sql = "SELECT held.attname::text, pg_catalog.format_type(held.atttypid, held.atttypmod), \
                 pg_catalog.array_position(key.indkey::int2[], held.attnum), \
                 held.attgenerated <> '' \
               FROM pg_catalog.pg_attribute AS held \
               LEFT JOIN pg_catalog.pg_index AS key \
                 ON key.indrelid = held.attrelid AND key.indisprimary \
               WHERE held.attrelid = $1 AND held.attnum > 0 AND NOT held.attisdropped \
               ORDER BY held.attnum";
    let statement = transaction.prepare_cached(sql).await?;
    let mut columns = Vec::new();
    let mut key = Vec::new();
    for row in transaction.query(&statement, &[&oid]).await? {
        let name: String = row.try_get(0)?;
        if let Some(place) = row.try_get::<_, Option<i32>>(2)? {
            key.push((place, name.clone()));
        }
        let noted = noted
            .iter()
            .find(|(noted, _)| *noted == name)
            .map(|(_, column_type)| column_type.clone());
        columns.push(ExistingColumn {
            name,
            declared: row.try_get(1)?,
            noted,
            is_generated: row.try_get(3)?,
        });
    }
    key.sort();
    Ok(ExistingTable {
        kind: kind_of_relation(kind).to_owned(),
        columns,
        key: key.into_iter().map(|(_, name)| name).collect(),
    })
}

/// postgresql.org, pg_class: `relkind`.
fn kind_of_relation(kind: &str) -> &'static str {
    match kind {
        "r" | "p" => "table",
        "v" => "view",
        "m" => "materialized view",
        "i" | "I" => "index",
        "S" => "sequence",
        "f" => "foreign table",
        "c" => "composite type",
        _ => "something else",
    }
}
