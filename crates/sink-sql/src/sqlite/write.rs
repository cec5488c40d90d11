//! Batches into tables: rows and the mark that they are there, in one transaction.

use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Statement, Transaction, TransactionBehavior, params,
};
use sync_core::{
    BatchId, DeleteMode, Digest, Error, ErrorKind, Operation, Phase, Receipt, Rejection,
    RejectionClass, Result,
};
use time::OffsetDateTime;

use super::bind::{Binder, Unbound};
use super::dialect::Sqlite;
use super::failure::failed;
use super::schema;
use crate::bookkeeping::{self, Marker, RunRow};
use crate::delivery::{Delivery, Marked};
use crate::planning::ExistingTable;
use crate::statement;

const DOING: &str = "the batch cannot be written";

/// Writes a batch, or finds that it is there already. `at` is when.
pub(super) fn write(
    connection: &mut Connection,
    delivery: &Delivery,
    at: OffsetDateTime,
) -> Result<Receipt> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|cause| failed(DOING, cause))?;
    let before = match landed(&transaction, delivery.id)? {
        Some(receipt) if delivery.marked == Marked::Stays => return Ok(receipt),
        before => before,
    };
    let mut receipt = Receipt::durable(delivery.id, at);
    receipt.rejected = put_rows(&transaction, delivery)?;
    let marker = Marker::new(delivery, &receipt, before.as_ref())?;
    note(&transaction, &marker).map_err(|cause| failed(DOING, cause))?;
    transaction
        .commit()
        // Whether a failed commit has reached the disk is known only once the file is read again.
        .map_err(|cause| failed(DOING, cause).in_phase(Phase::MaybeReceived))?;
    Ok(receipt)
}

/// The receipt of a batch that is there.
pub(super) fn landed(connection: &Connection, batch: BatchId) -> Result<Option<Receipt>> {
    let find = || -> rusqlite::Result<Option<(String, String)>> {
        if !schema::has_table(connection, bookkeeping::BATCHES)? {
            return Ok(None);
        }
        connection
            .prepare_cached(&bookkeeping::find_batch(&Sqlite))?
            .query_row([batch.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
    };
    find()
        .map_err(|cause| failed("the batch cannot be looked up", cause))?
        .map(|(rejected, written_at)| bookkeeping::receipt_from(batch, &rejected, &written_at))
        .transpose()
}

/// Notes how a run ended. Where no stream has been prepared there are no data to stand beside.
pub(super) fn note_run(connection: &Connection, run: &RunRow) -> Result<()> {
    let note = || -> rusqlite::Result<()> {
        if !schema::has_table(connection, bookkeeping::RUNS)? {
            return Ok(());
        }
        connection
            .prepare_cached(&bookkeeping::note_run(&Sqlite))?
            .execute(params![
                run.run_id,
                run.pipeline,
                run.company,
                run.ended_at,
                run.is_complete,
                run.ties_out,
                run.ledger_sequence,
                run.ledger_entry,
            ])
            .map(drop)
    };
    note().map_err(|cause| failed("the end of the run cannot be noted", cause))
}

/// The ledger's entries that came with the batches and runs of a pipeline.
pub(super) fn ledger_entries(connection: &Connection, pipeline: &str) -> Result<Vec<Digest>> {
    let find = || -> rusqlite::Result<Vec<String>> {
        let mut found = Vec::new();
        for table in bookkeeping::WITH_LEDGER_ENTRIES {
            if schema::has_table(connection, table)? {
                let mut select =
                    connection.prepare(&bookkeeping::ledger_entries(&Sqlite, table))?;
                let entries = select.query_map([pipeline], |row| row.get(0))?;
                found.extend(entries.collect::<rusqlite::Result<Vec<_>>>()?);
            }
        }
        Ok(found)
    };
    let entries = find().map_err(|cause| failed("the batches cannot be looked up", cause))?;
    entries.iter().map(|entry| entry.parse()).collect()
}

fn note(transaction: &Transaction<'_>, marker: &Marker) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(&bookkeeping::note_batch(&Sqlite))?
        .execute(params![
            marker.batch_id,
            marker.stream,
            marker.pipeline,
            marker.company,
            marker.operation,
            marker.window_from,
            marker.window_until,
            marker.ordinal,
            marker.rows,
            marker.rejected,
            marker.ledger_entry,
            marker.written_at,
        ])
        .map(|_| ())
}

/// Writes the rows and gives those that were refused.
///
/// First without a savepoint for every row, because refusals are rare and savepoints are not
/// free. What a refused row's triggers did can outlive it without one, so after the first refusal
/// everything is undone and written again with them.
fn put_rows(transaction: &Transaction<'_>, delivery: &Delivery) -> Result<Vec<Rejection>> {
    let table = schema::prepared(transaction, &delivery.stream)?;
    let savepoint = |sql: &str| {
        transaction
            .execute_batch(sql)
            .map_err(|cause| failed(DOING, cause))
    };
    savepoint("SAVEPOINT all_rows")?;
    let first = RowWriter::new(transaction, delivery, &table)?.write_all(Undo::Together)?;
    let rejected = match first {
        Pass::Complete(rejected) => rejected,
        Pass::Refused => {
            savepoint("ROLLBACK TO all_rows")?;
            let mut writer = RowWriter::new(transaction, delivery, &table)?;
            match writer.write_all(Undo::RowByRow)? {
                Pass::Complete(rejected) => rejected,
                Pass::Refused => return Err(broken("a refused row was not undone")),
            }
        }
    };
    savepoint("RELEASE all_rows")?;
    Ok(rejected)
}

/// How far a refusal is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Undo {
    /// All rows: the first refusal ends the pass.
    Together,
    /// The row alone.
    RowByRow,
}

/// What became of a pass over all rows.
#[derive(Debug)]
enum Pass {
    /// All rows are there, but these.
    Complete(Vec<Rejection>),
    /// The database refused a row.
    Refused,
}

/// What became of a row.
#[derive(Debug)]
enum Outcome {
    Written,
    /// Its values cannot be held. The database has not seen it.
    Unfit(Rejection),
    /// The database refused it.
    Refused(Rejection),
}

struct RowWriter<'a> {
    transaction: &'a Transaction<'a>,
    statement: rusqlite::CachedStatement<'a>,
    binder: Binder<'a>,
    /// Tells whether a row that was not changed is there, for deletes.
    presence: Option<(rusqlite::CachedStatement<'a>, Binder<'a>)>,
    delivery: &'a Delivery,
}

impl<'a> RowWriter<'a> {
    fn new(
        transaction: &'a Transaction<'a>,
        delivery: &'a Delivery,
        table: &ExistingTable,
    ) -> Result<Self> {
        let stream = &delivery.stream;
        let (name, key) = (stream.name.as_str(), &stream.key);
        let key_columns: Vec<&str> = key.iter().map(String::as_str).collect();
        let schema = delivery.rows.schema_ref();
        let (sql, arguments): (String, Vec<&str>) =
            match (delivery.place.operation, stream.delete_mode) {
                (Operation::Upsert, _) => {
                    let columns: Vec<&str> = schema
                        .fields()
                        .iter()
                        .map(|field| field.name().as_str())
                        .collect();
                    table.check_takes(&Sqlite, stream, schema)?;
                    let cleared = table.dropped(&Sqlite, stream);
                    let values = statement::one_row(&Sqlite, columns.len());
                    let sql = statement::upsert(&Sqlite, name, key, &columns, &cleared, &values);
                    (sql, columns)
                }
                (Operation::Delete, DeleteMode::Remove) => {
                    (statement::remove(&Sqlite, name, key), key_columns.clone())
                }
                (Operation::Delete, _) => (
                    statement::mark_deleted(&Sqlite, name, key),
                    statement::MARKED
                        .into_iter()
                        .chain(key_columns.iter().copied())
                        .collect(),
                ),
            };
        let prepare = |sql: &str| {
            transaction
                .prepare_cached(sql)
                .map_err(|cause| failed(DOING, cause))
        };
        let presence = match delivery.place.operation {
            Operation::Upsert => None,
            Operation::Delete => Some((
                prepare(&statement::find(&Sqlite, name, key))?,
                Binder::new(&delivery.rows, &key_columns)?,
            )),
        };
        Ok(Self {
            transaction,
            statement: prepare(&sql)?,
            binder: Binder::new(&delivery.rows, &arguments)?,
            presence,
            delivery,
        })
    }

    fn write_all(&mut self, undo: Undo) -> Result<Pass> {
        let mut rejected = Vec::new();
        for row in 0..self.delivery.rows.num_rows() {
            let outcome = match undo {
                Undo::Together => self.write_row(row)?,
                Undo::RowByRow => self.write_row_or_undo(row)?,
            };
            match outcome {
                Outcome::Written => {}
                Outcome::Refused(_) if undo == Undo::Together => return Ok(Pass::Refused),
                Outcome::Unfit(rejection) | Outcome::Refused(rejection) => rejected.push(rejection),
            }
        }
        Ok(Pass::Complete(rejected))
    }

    fn write_row_or_undo(&mut self, row: usize) -> Result<Outcome> {
        let transaction = self.transaction;
        let run = |sql: &str| -> Result<()> {
            let done = transaction
                .prepare_cached(sql)
                .and_then(|mut statement| statement.raw_execute());
            done.map(|_| ()).map_err(|cause| failed(DOING, cause))
        };
        run("SAVEPOINT one_row")?;
        let outcome = self.write_row(row)?;
        if matches!(outcome, Outcome::Refused(_)) {
            run("ROLLBACK TO one_row")?;
        }
        run("RELEASE one_row")?;
        Ok(outcome)
    }

    fn write_row(&mut self, row: usize) -> Result<Outcome> {
        match self.binder.bind(&mut self.statement, row) {
            Ok(()) => {}
            Err(Unbound::Unfit(rejection)) => return Ok(Outcome::Unfit(rejection)),
            Err(Unbound::Refused(cause)) => return Err(failed(DOING, cause)),
        }
        match self.statement.raw_execute() {
            Ok(0) if self.was_ignored(row)? => Ok(Outcome::Refused(Rejection {
                row,
                column: None,
                class: RejectionClass::Refused,
                reason: "a trigger of the table ignored the row".to_owned(),
            })),
            Ok(_) => Ok(Outcome::Written),
            Err(cause) if self.transaction.is_autocommit() => Err(failed(
                "a trigger or a failure undid the whole batch",
                cause,
            )),
            Err(cause) => match refusal(&cause, self.delivery.stream.name.as_str()) {
                Some((column, class, reason)) => Ok(Outcome::Refused(Rejection {
                    row,
                    column,
                    class,
                    reason,
                })),
                None => Err(failed(DOING, cause)),
            },
        }
    }

    /// Whether a row that was not changed should have been. To delete what is not there is no
    /// refusal.
    fn was_ignored(&mut self, row: usize) -> Result<bool> {
        let Some((statement, binder)) = &mut self.presence else {
            return Ok(true);
        };
        let statement: &mut Statement<'_> = statement;
        match binder.bind(statement, row) {
            Ok(()) => {}
            Err(Unbound::Unfit(_)) => return Ok(false),
            Err(Unbound::Refused(cause)) => return Err(failed(DOING, cause)),
        }
        let mut rows = statement.raw_query();
        let found = rows.next().map_err(|cause| failed(DOING, cause))?;
        Ok(found.is_some())
    }
}

/// Column, class and reason where the database refuses one row, not the work as a whole.
fn refusal(
    cause: &rusqlite::Error,
    table: &str,
) -> Option<(Option<String>, RejectionClass, String)> {
    let class = match cause.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => RejectionClass::Refused,
        Some(ErrorCode::TooBig | ErrorCode::TypeMismatch) => RejectionClass::Unfit,
        _ => return None,
    };
    let reason = match cause {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    };
    // "UNIQUE constraint failed: vendor.email", "cannot store TEXT value in INTEGER column vendor.age"
    let qualified = format!("{table}.");
    let column = reason.rsplit(' ').next().and_then(|last| {
        let single = !reason.contains(", ");
        last.strip_prefix(&qualified).filter(|_| single)
    });
    let column = column.map(str::to_owned);
    Some((column, class, reason))
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Internal, what)
}
