//! Batches into tables: rows and the mark that they are there, in one transaction.
//!
//! Two locks keep writers in order. That of the batch is held from before anything is written, so that
//! a second writer of the same batch, and whoever asks whether it has landed, waits for the first one's
//! end, also where the process of the first has died and the server does not know it yet. That of the
//! table is held while rows are merged, so that two batches never wait for each other's rows.

use sync_core::id::Hasher;
use sync_core::postgres::deadpool_postgres::Transaction;
use sync_core::postgres::{failed, tokio_postgres};
use sync_core::{
    BatchId, DeleteMode, Digest, Error, ErrorKind, Operation, Receipt, RecordKey, Rejection,
    RejectionClass, Result,
};
use time::OffsetDateTime;
use tokio_postgres::types::ToSql;

use super::copy::{Outgoing, Sent};
use super::dialect::Postgres;
use super::merge::Merge;
use super::schema;
use super::staging::Staging;
use super::straight::{self, Straight};
use crate::bookkeeping::{self, Marker, RunRow};
use crate::delivery::{Delivery, Marked};
use crate::planning::ExistingTable;
use crate::statement;

pub(super) const DOING: &str = "the batch cannot be written";

/// Of how many rows a guess is made whether they are all new.
const LOOKED_AT: usize = 32;

/// How far the rows of a batch have come.
#[derive(Debug)]
pub(super) enum Reached<'a> {
    /// They are where they were; with their keys.
    Nothing(&'a [RecordKey]),
    /// [`stage`] has brought them so far, in the same transaction.
    Staged(Sent),
}

/// Writes a batch, or finds that it is there already. `at` is when.
///
/// What fails is rolled back with the transaction, which the caller commits.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    delivery: &Delivery,
    reached: Reached<'_>,
    at: OffsetDateTime,
) -> Result<Receipt> {
    let refused = |cause| failed(DOING, cause);
    let before = match landed(transaction, dialect, delivery.id).await? {
        Some(receipt) if delivery.marked == Marked::Stays => return Ok(receipt),
        before => before,
    };
    let stream = &delivery.stream;
    let table = schema::prepared(transaction, dialect, stream).await?;
    let name = stream.name.as_str();
    if delivery.place.operation == Operation::Upsert {
        table.check_takes(dialect, stream, delivery.rows.schema_ref())?;
    }
    lock(transaction, name_lock(dialect, name))
        .await
        .map_err(refused)?;
    let written = Written {
        transaction,
        dialect,
        delivery,
        table: &table,
    };
    let mut receipt = Receipt::durable(delivery.id, at);
    receipt.rejected = match reached {
        Reached::Staged(sent) => written.merge(sent, &receipt).await?,
        Reached::Nothing(keys) => match written.straight(keys).await? {
            Some(rejected) => rejected,
            None => {
                let sent = written.stage(keys).await?;
                written.merge(sent, &receipt).await?
            }
        },
    };
    receipt.rejected.sort_by_key(|rejection| rejection.row);
    let marker = Marker::new(delivery, &receipt, before.as_ref())?;
    note(transaction, dialect, &marker).await.map_err(refused)?;
    Ok(receipt)
}

/// Brings the rows of a batch to a staging table, ahead of [`write`] in the same transaction; none where
/// they will not need one. Holds no lock that anybody could wait for.
pub(super) async fn stage(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    delivery: &Delivery,
    keys: &[RecordKey],
) -> Result<Option<Sent>> {
    let refused = |cause| failed(DOING, cause);
    let savepoint =
        |sql: &'static str| async move { transaction.batch_execute(sql).await.map_err(refused) };
    savepoint(straight::SAVEPOINT).await?;
    let table = schema::prepared(transaction, dialect, &delivery.stream).await?;
    table.check_takes(dialect, &delivery.stream, delivery.rows.schema_ref())?;
    let written = Written {
        transaction,
        dialect,
        delivery,
        table: &table,
    };
    if written.may_go_straight().await? {
        return Ok(None);
    }
    // Who changes the table must not have to wait until this batch has had its turn.
    savepoint(straight::GIVE_UP).await?;
    written.stage(keys).await.map(Some)
}

/// The rows of a batch on one of the two ways to their table.
struct Written<'a> {
    transaction: &'a Transaction<'a>,
    dialect: &'a Postgres,
    delivery: &'a Delivery,
    table: &'a ExistingTable,
}

impl Written<'_> {
    /// Where all of them are new: those that were refused.
    async fn straight(&self, keys: &[RecordKey]) -> Result<Option<Vec<Rejection>>> {
        if self.delivery.place.operation != Operation::Upsert {
            return Ok(None);
        }
        let outgoing = self.with_aliases()?;
        let rows = outgoing.last_of_each_record(keys)?;
        let sent = self.way(&outgoing).write(self.transaction, &rows).await?;
        Ok(sent.map(|sent| sent.rejected))
    }

    /// Whether [`Written::straight`] is likely to be tried, from a few of the rows: all are looked up when
    /// it is.
    async fn may_go_straight(&self) -> Result<bool> {
        let outgoing = self.with_aliases()?;
        let all = self.delivery.rows.num_rows();
        let some: Vec<_> = (0..all).step_by(all / LOOKED_AT + 1).collect();
        self.way(&outgoing).is_open(self.transaction, &some).await
    }

    fn with_aliases(&self) -> Result<Outgoing> {
        let aliases = self.table.written_aliases(self.dialect);
        Outgoing::with_aliases(&self.delivery.rows, &aliases, &self.delivery.stream.key)
    }

    fn way<'a>(&'a self, rows: &'a Outgoing) -> Straight<'a> {
        Straight {
            dialect: self.dialect,
            name: self.delivery.stream.name.as_str(),
            table: self.table,
            rows,
        }
    }

    /// To a staging table, whether they are new or not.
    async fn stage(&self, keys: &[RecordKey]) -> Result<Sent> {
        let refused = |cause| failed(DOING, cause);
        let numbered = self.numbered()?;
        let rows = numbered.last_of_each_record(keys)?;
        let staging = self.staging(&numbered);
        self.transaction
            .batch_execute(&staging.create())
            .await
            .map_err(refused)?;
        let copy = self.transaction.copy_in(&staging.copy()).await;
        let sent = numbered.send(copy.map_err(refused)?, rows, refused).await?;
        if sent.taken != sent.rows.len() as u64 {
            let what = "the server did not take as many rows as were sent: try again";
            return Err(Error::new(ErrorKind::Protocol, what));
        }
        Ok(sent)
    }

    /// From there to their table: those that were refused.
    async fn merge(&self, sent: Sent, receipt: &Receipt) -> Result<Vec<Rejection>> {
        let numbered = self.numbered()?;
        let staging = self.staging(&numbered);
        let marker = Marker::new(self.delivery, receipt, None)?;
        let superseded = drop_superseded(self.transaction, self.dialect, &staging, &marker).await;
        let superseded = superseded.map_err(|cause| failed(DOING, cause))?;
        let Sent {
            mut rows,
            mut rejected,
            ..
        } = sent;
        rows.retain(|row| superseded.iter().all(|rejection| rejection.row != *row));
        rejected.extend(superseded);
        let merge = Merge::new(
            self.transaction,
            self.dialect,
            self.delivery,
            self.table,
            &staging,
        );
        rejected.extend(merge.all(&rows).await?);
        Ok(rejected)
    }

    fn numbered(&self) -> Result<Outgoing> {
        let names = sent_columns(self.delivery);
        Outgoing::numbered(&self.delivery.rows, &names, &self.delivery.stream.key)
    }

    fn staging<'a>(&'a self, numbered: &'a Outgoing) -> Staging<'a> {
        let stream = &self.delivery.stream;
        let aliases = self.table.written_aliases(self.dialect);
        let name = stream.name.as_str();
        Staging::new(self.dialect, name, &stream.key, numbered.schema(), aliases)
    }
}

/// Notes how a run ended. Where no stream has been prepared there are no data to stand beside.
pub(super) async fn note_run(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    run: &RunRow,
) -> Result<()> {
    let note = async {
        if !schema::has_table(transaction, dialect, bookkeeping::RUNS).await? {
            return Ok(());
        }
        let sql = bookkeeping::note_run(dialect);
        let statement = transaction.prepare_cached(&sql).await?;
        let values: [&(dyn ToSql + Sync); 8] = [
            &run.run_id,
            &run.pipeline,
            &run.company,
            &run.ended_at,
            &run.is_complete,
            &run.ties_out,
            &run.ledger_sequence,
            &run.ledger_entry,
        ];
        transaction.execute(&statement, &values).await.map(drop)
    };
    let noted = note.await;
    noted.map_err(|cause| failed("the end of the run cannot be noted", cause))
}

/// The ledger's entries that came with the batches and runs of a pipeline.
pub(super) async fn ledger_entries(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    pipeline: &str,
) -> Result<Vec<Digest>> {
    let refused = |cause| failed("the batches cannot be looked up", cause);
    let mut found = Vec::new();
    for table in bookkeeping::WITH_LEDGER_ENTRIES {
        let is_there = schema::has_table(transaction, dialect, table).await;
        if is_there.map_err(refused)? {
            let sql = bookkeeping::ledger_entries(dialect, table);
            let rows = transaction.query(&sql, &[&pipeline]).await;
            for row in rows.map_err(refused)? {
                found.push(row.try_get::<_, String>(0).map_err(refused)?.parse()?);
            }
        }
    }
    Ok(found)
}

/// The receipt of a batch that is there. Waits for whoever is writing it.
pub(super) async fn landed(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    batch: BatchId,
) -> Result<Option<Receipt>> {
    let refused = |cause| failed("the batch cannot be looked up", cause);
    // A statement of its own, because one that waits does not see what was written meanwhile.
    lock(transaction, batch_lock(dialect, batch))
        .await
        .map_err(refused)?;
    if !schema::has_table(transaction, dialect, bookkeeping::BATCHES)
        .await
        .map_err(refused)?
    {
        return Ok(None);
    }
    let find = async {
        let sql = bookkeeping::find_batch(dialect);
        let statement = transaction.prepare_cached(&sql).await?;
        let found = transaction
            .query_opt(&statement, &[&batch.to_string()])
            .await?;
        let row = found.map(|row| Ok((row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?)));
        row.transpose()
    };
    let found: Option<(String, String)> = find.await.map_err(refused)?;
    found
        .map(|(rejected, written_at)| bookkeeping::receipt_from(batch, &rejected, &written_at))
        .transpose()
}

/// Takes a lock that ends with the transaction.
pub(super) async fn lock(
    transaction: &Transaction<'_>,
    lock: i64,
) -> Result<(), tokio_postgres::Error> {
    let statement = transaction
        .prepare_cached("SELECT pg_catalog.pg_advisory_xact_lock($1)")
        .await?;
    transaction.execute(&statement, &[&lock]).await.map(|_| ())
}

/// The lock of a table of ours, or of the schema where the name is empty.
pub(super) fn name_lock(dialect: &Postgres, name: &str) -> i64 {
    lock_of(&[b"name", dialect.schema().as_bytes(), name.as_bytes()])
}

fn batch_lock(dialect: &Postgres, batch: BatchId) -> i64 {
    lock_of(&[b"batch", dialect.schema().as_bytes(), batch.as_bytes()])
}

/// Locks are numbers, and every program of the database shares them.
fn lock_of(parts: &[&[u8]]) -> i64 {
    let mut hasher = Hasher::new("intacct-sync/lock/1");
    for part in parts {
        hasher.push(part);
    }
    let [a, b, c, d, e, f, g, h, ..] = *hasher.digest().as_bytes();
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The columns whose values are sent.
fn sent_columns(delivery: &Delivery) -> Vec<&str> {
    let stream = &delivery.stream;
    let key = stream.key.iter().map(String::as_str);
    match (delivery.place.operation, stream.delete_mode) {
        (Operation::Upsert, _) => {
            let fields = delivery.rows.schema_ref().fields().iter();
            fields.map(|field| field.name().as_str()).collect()
        }
        (Operation::Delete, DeleteMode::Remove) => key.collect(),
        (Operation::Delete, _) => statement::MARKED.into_iter().chain(key).collect(),
    }
}

/// Takes those rows out of what is staged that a later batch of the pipeline has written: what comes
/// late must not take them back.
async fn drop_superseded(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    staging: &Staging<'_>,
    marker: &Marker,
) -> Result<Vec<Rejection>, tokio_postgres::Error> {
    let place: [&(dyn ToSql + Sync); 5] = [
        &marker.stream,
        &marker.pipeline,
        &marker.company,
        &marker.window_until,
        &marker.ordinal,
    ];
    let later = transaction
        .prepare_cached(&bookkeeping::later_batch(dialect))
        .await?;
    if transaction.query_opt(&later, &place).await?.is_none() {
        return Ok(Vec::new());
    }
    let rows = transaction
        .query(&staging.drop_superseded(), &place)
        .await?;
    let mut superseded = Vec::with_capacity(rows.len());
    for row in rows {
        superseded.push(Rejection {
            row: row_number(row.try_get(0)?),
            column: None,
            class: RejectionClass::Superseded,
            reason: "a later batch of the pipeline has written this record already".to_owned(),
        });
    }
    Ok(superseded)
}

async fn note(
    transaction: &Transaction<'_>,
    dialect: &Postgres,
    marker: &Marker,
) -> Result<(), tokio_postgres::Error> {
    let statement = transaction
        .prepare_cached(&bookkeeping::note_batch(dialect))
        .await?;
    let values: [&(dyn ToSql + Sync); 12] = [
        &marker.batch_id,
        &marker.stream,
        &marker.pipeline,
        &marker.company,
        &marker.operation,
        &marker.window_from,
        &marker.window_until,
        &marker.ordinal,
        &marker.rows,
        &marker.rejected,
        &marker.ledger_entry,
        &marker.written_at,
    ];
    transaction.execute(&statement, &values).await.map(|_| ())
}

fn row_number(row: i32) -> usize {
    usize::try_from(row).unwrap_or_default()
}
