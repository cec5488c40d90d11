//! Batches, from prepared to settled, and the records that were rejected on the way.

use async_trait::async_trait;

use super::PostgresStore;
use super::change::{Change, Values, rows, scope_number};
use super::patience::{ask, change};
use crate::batch::Operation;
use crate::error::Result;
use crate::id::Digest;
use crate::postgres::Session;
use crate::store::rows::BatchRow;
use crate::store::stored::{not_waiting, signed, to_json};
use crate::store::{
    BatchStore, Claim, DeadLetter, LostBatch, PreparedBatch, Scope, SettledRecord, Settlement,
    UnsettledBatch, wording,
};
use crate::window::rfc3339;

#[async_trait]
impl BatchStore for PostgresStore {
    async fn prepare(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        unreadable: &[DeadLetter],
    ) -> Result<Digest> {
        change!(self, Some(claim), |change| change
            .prepare(claim, batch, unreadable))
    }

    async fn settle(&self, claim: &Claim, settlement: Settlement) -> Result<()> {
        change!(self, Some(claim), |change| change
            .settle(claim, &settlement))
    }

    async fn unsettled(&self, scope: &Scope) -> Result<Vec<UnsettledBatch>> {
        ask!(self, |session| unsettled(&session, scope))
    }

    async fn give_up(&self, claim: &Claim, lost: &LostBatch) -> Result<()> {
        change!(self, Some(claim), |change| change.give_up(claim, lost))
    }
}

impl Change<'_> {
    pub(super) async fn prepare(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        unreadable: &[DeadLetter],
    ) -> Result<Digest> {
        let scope = self.scope(&claim.scope).await?;
        let letters_before = self.last_letter().await?;
        self.keep_dead_letters(claim, scope, None, unreadable)
            .await?;
        let told = wording::batch_prepared(batch);
        let head = self.tell(Some(claim.run), &told).await?;
        let origins = match batch.origins.as_slice() {
            [] => None,
            origins => Some(to_json(&origins)?),
        };
        let insert = "INSERT INTO batches
                      (scope, batch, run, place, rows, cursor, spooled, entry, prepared_at, origins,
                       letters_before)
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let values: Values<'_> = &[
            &scope,
            &batch.id.to_string(),
            &batch.run.to_string(),
            &to_json(&batch.place)?,
            &signed(batch.rows as u64),
            &batch.cursor.as_ref().map(|cursor| &cursor.0),
            &to_json(&batch.spooled)?,
            &head.hash.as_bytes().as_slice(),
            &self.now,
            &origins,
            &letters_before,
        ];
        self.execute(insert, values).await?;
        Ok(head.hash)
    }

    async fn settle(&self, claim: &Claim, settlement: &Settlement) -> Result<()> {
        let Settlement { batch, receipt, .. } = settlement;
        let scope = self.scope(&batch.scope).await?;
        let update = "UPDATE batches SET settled_at = $1, job = $2
                      WHERE scope = $3 AND batch = $4 AND settled_at IS NULL
                      RETURNING number, letters_before";
        let (settled_at, id) = (rfc3339(receipt.at), batch.id.to_string());
        let values: Values<'_> = &[&settled_at, &receipt.job, &scope, &id];
        let Some(row) = self.row(update, values).await? else {
            return Err(not_waiting(batch));
        };
        let delivered: Vec<_> = settlement.delivered().collect();
        let operation = batch.place.operation;
        self.settle_records(scope, row.get(0), operation, &delivered)
            .await?;
        self.settle_letters(claim, scope, row.get(1), settlement)
            .await?;
        let update = "UPDATE scopes SET window_cursor = coalesce($1, window_cursor),
                      next_ordinal = greatest(next_ordinal, $2) WHERE scope = $3";
        let next = signed(batch.place.ordinal.saturating_add(1));
        let cursor = batch.cursor.as_ref().map(|cursor| &cursor.0);
        self.execute(update, &[&cursor, &next, &scope]).await?;
        let told = wording::batch_settled(claim, settlement);
        self.tell(Some(claim.run), &told).await.map(drop)
    }

    /// Notes which records the destination has, or knows to be gone, by which batch.
    pub(super) async fn settle_records(
        &self,
        scope: i64,
        number: i64,
        operation: Operation,
        delivered: &[(u64, &SettledRecord)],
    ) -> Result<()> {
        let records = delivered.len();
        let (mut keys, mut ids) = (Vec::with_capacity(records), Vec::with_capacity(records));
        let (mut owners, mut periods) = (Vec::with_capacity(records), Vec::with_capacity(records));
        let mut places = Vec::with_capacity(records);
        for (row, record) in delivered {
            keys.push(record.key.as_str());
            ids.push(record.id.as_bytes().as_slice());
            owners.push(record.owner.as_deref());
            periods.push(record.period.as_deref());
            places.push(signed(*row));
        }
        match operation {
            Operation::Upsert => {
                let upsert = "INSERT INTO records (scope, key, record, batch, row, owner, period)
                    SELECT $1, key, record, $2, row, owner, period
                    FROM unnest($3::text[], $4::bytea[], $5::bigint[], $6::text[], $7::text[])
                        AS given (key, record, row, owner, period)
                    ON CONFLICT (scope, key) DO UPDATE SET record = excluded.record,
                        batch = excluded.batch, row = excluded.row, owner = excluded.owner,
                        period = excluded.period";
                let values: Values<'_> =
                    &[&scope, &number, &keys, &ids, &places, &owners, &periods];
                self.execute(upsert, values).await?;
            }
            Operation::Delete => {
                let delete = "DELETE FROM records WHERE scope = $1 AND key = ANY($2::text[])";
                self.execute(delete, &[&scope, &keys]).await?;
                let bury = "INSERT INTO deleted_records (scope, key, record, batch, row)
                    SELECT $1, key, record, $2, row
                    FROM unnest($3::text[], $4::bytea[], $5::bigint[])
                        AS given (key, record, row)
                    ON CONFLICT (scope, key) DO UPDATE SET record = excluded.record,
                        batch = excluded.batch, row = excluded.row";
                let values: Values<'_> = &[&scope, &number, &keys, &ids, &places];
                self.execute(bury, values).await?;
            }
        }
        Ok(())
    }
}

async fn unsettled(session: &Session, scope: &Scope) -> Result<Vec<UnsettledBatch>> {
    let Some(number) = scope_number(session, scope).await? else {
        return Ok(Vec::new());
    };
    let columns = BatchRow::COLUMNS;
    let select = format!(
        "SELECT {columns} FROM batches WHERE scope = $1 AND settled_at IS NULL ORDER BY number"
    );
    let found = rows(session, &select, &[&number]).await?;
    let batches = found.iter().map(|row| BatchRow::from(row).unsettled(scope));
    batches.collect()
}
