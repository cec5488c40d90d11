//! Batches, from prepared to settled, and the records that were rejected on the way.

use async_trait::async_trait;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, ToSql, params};

use super::SqliteStore;
use super::change::{Change, scope_number};
use super::failure::Work;
use crate::batch::Operation;
use crate::error::Result;
use crate::id::Digest;
use crate::store::rows::BatchRow;
use crate::store::stored::{not_waiting, signed, to_json};
use crate::store::{
    BatchStore, Claim, DeadLetter, LostBatch, PreparedBatch, Scope, SettledRecord, Settlement,
    UnsettledBatch, wording,
};
use crate::window::rfc3339;

#[async_trait]
impl BatchStore for SqliteStore {
    async fn prepare(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        unreadable: &[DeadLetter],
    ) -> Result<Digest> {
        let (batch, unreadable) = (batch.clone(), unreadable.to_owned());
        self.change_by(claim, move |change, claim| {
            change.prepare(claim, &batch, &unreadable)
        })
        .await
    }

    async fn settle(&self, claim: &Claim, settlement: Settlement) -> Result<()> {
        self.change_by(claim, move |change, claim| {
            change.settle(claim, &settlement)
        })
        .await
    }

    async fn unsettled(&self, scope: &Scope) -> Result<Vec<UnsettledBatch>> {
        let scope = scope.clone();
        self.read(move |connection| unsettled(connection, &scope))
            .await
    }

    async fn give_up(&self, claim: &Claim, lost: &LostBatch) -> Result<()> {
        let lost = lost.clone();
        self.change_by(claim, move |change, claim| change.give_up(claim, &lost))
            .await
    }
}

/// Records kept by one statement.
const RECORDS_AT_ONCE: usize = 64;

impl Change<'_> {
    pub(super) fn prepare(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        unreadable: &[DeadLetter],
    ) -> Work<Digest> {
        let scope = self.scope(&claim.scope)?;
        let letters_before = self.last_letter()?;
        self.keep_dead_letters(claim, scope, None, unreadable)?;
        let head = self.tell(Some(claim.run), &wording::batch_prepared(batch))?;
        let origins = match batch.origins.as_slice() {
            [] => None,
            origins => Some(to_json(&origins)?),
        };
        let insert = "INSERT INTO batches
                      (scope, batch, run, place, rows, cursor, spooled, entry, prepared_at, origins,
                       letters_before)
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let row = params![
            scope,
            batch.id.to_string(),
            batch.run.to_string(),
            to_json(&batch.place)?,
            signed(batch.rows as u64),
            batch.cursor.as_ref().map(|cursor| &cursor.0),
            to_json(&batch.spooled)?,
            head.hash.as_bytes(),
            self.now,
            origins,
            letters_before,
        ];
        self.execute(insert, row)?;
        Ok(head.hash)
    }

    fn settle(&self, claim: &Claim, settlement: &Settlement) -> Work<()> {
        let Settlement { batch, receipt, .. } = settlement;
        let scope = self.scope(&batch.scope)?;
        let update = "UPDATE batches SET settled_at = ?1, job = ?2
                      WHERE scope = ?3 AND batch = ?4 AND settled_at IS NULL
                      RETURNING number, letters_before";
        let settled_at = rfc3339(receipt.at);
        let settled: Option<(i64, Option<i64>)> = self
            .transaction
            .prepare_cached(update)?
            .query_row(
                params![settled_at, receipt.job, scope, batch.id.to_string()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let Some((number, letters_before)) = settled else {
            return Err(not_waiting(batch).into());
        };
        let delivered: Vec<_> = settlement.delivered().collect();
        self.settle_records(scope, number, batch.place.operation, &delivered)?;
        self.settle_letters(claim, scope, letters_before, settlement)?;
        let update = "UPDATE scopes SET window_cursor = coalesce(?, window_cursor),
                      next_ordinal = max(next_ordinal, ?) WHERE scope = ?";
        let next = signed(batch.place.ordinal.saturating_add(1));
        let cursor = batch.cursor.as_ref().map(|cursor| &cursor.0);
        self.execute(update, params![cursor, next, scope])?;
        let told = wording::batch_settled(claim, settlement);
        self.tell(Some(claim.run), &told).map(drop)
    }

    /// Notes which records the destination has, or knows to be gone, by which batch.
    pub(super) fn settle_records(
        &self,
        scope: i64,
        number: i64,
        operation: Operation,
        delivered: &[(u64, &SettledRecord)],
    ) -> Work<()> {
        match operation {
            Operation::Upsert => self.keep_records(scope, number, delivered),
            Operation::Delete => self.bury_records(scope, number, delivered),
        }
    }

    fn keep_records(
        &self,
        scope: i64,
        number: i64,
        delivered: &[(u64, &SettledRecord)],
    ) -> Work<()> {
        let upsert = |records: usize| {
            let more = ", (?, ?, ?, ?, ?, ?, ?)".repeat(records - 1);
            let upsert = format!(
                "INSERT INTO records (scope, key, record, batch, owner, period, row)
                 VALUES (?, ?, ?, ?, ?, ?, ?){more}
                 ON CONFLICT DO UPDATE SET record = excluded.record, batch = excluded.batch,
                     owner = excluded.owner, period = excluded.period, row = excluded.row"
            );
            self.transaction.prepare_cached(&upsert)
        };
        let (many, rest) = delivered.as_chunks::<RECORDS_AT_ONCE>();
        let mut at_once = upsert(RECORDS_AT_ONCE)?;
        let mut alone = upsert(1)?;
        let keep = |upsert: &mut CachedStatement<'_>, records: &[(u64, &SettledRecord)]| {
            let mut place = 0;
            let mut bind = |value: &dyn ToSql| {
                place += 1;
                upsert.raw_bind_parameter(place, value)
            };
            for (row, record) in records {
                bind(&scope)?;
                bind(&record.key.as_str())?;
                bind(record.id.as_bytes())?;
                bind(&number)?;
                bind(&record.owner)?;
                bind(&record.period)?;
                bind(&signed(*row))?;
            }
            upsert.raw_execute().map(drop)
        };
        for records in many {
            keep(&mut at_once, records)?;
        }
        for record in rest {
            keep(&mut alone, std::slice::from_ref(record))?;
        }
        Ok(())
    }

    fn bury_records(
        &self,
        scope: i64,
        number: i64,
        delivered: &[(u64, &SettledRecord)],
    ) -> Work<()> {
        let mut delete = self
            .transaction
            .prepare_cached("DELETE FROM records WHERE scope = ? AND key = ?")?;
        let mut bury = self.transaction.prepare_cached(
            "INSERT OR REPLACE INTO deleted_records (scope, key, record, batch, row)
             VALUES (?, ?, ?, ?, ?)",
        )?;
        for (row, record) in delivered {
            let (key, id) = (record.key.as_str(), record.id.as_bytes());
            delete.execute(params![scope, key])?;
            bury.execute(params![scope, key, id, number, signed(*row)])?;
        }
        Ok(())
    }
}

fn unsettled(connection: &Connection, scope: &Scope) -> Work<Vec<UnsettledBatch>> {
    let Some(number) = scope_number(connection, scope)? else {
        return Ok(Vec::new());
    };
    let columns = BatchRow::COLUMNS;
    let select = format!(
        "SELECT {columns} FROM batches WHERE scope = ? AND settled_at IS NULL ORDER BY number"
    );
    let mut select = connection.prepare(&select)?;
    let rows = select.query_and_then([number], |row| {
        Ok(BatchRow::try_from(row)?.unsettled(scope)?)
    })?;
    rows.collect()
}
