//! What a replay asks for, and what becomes of the batches that it sends again.

use async_trait::async_trait;

use super::PostgresStore;
use super::change::{Change, Values, rows, scope_number};
use super::patience::{ask, change};
use crate::batch::{BatchPlace, RecordKey};
use crate::error::Result;
use crate::id::{BatchId, Digest};
use crate::postgres::Session;
use crate::store::rows::KeptBatchRow;
use crate::store::stored::{QueryValues, from_json, is_asked_for, unknown_batch};
use crate::store::{
    BatchQuery, Claim, KeptBatch, ReplayStore, Replayed, Replaying, Scope, described, wording,
};
use crate::stream::StreamDescriptor;

#[async_trait]
impl ReplayStore for PostgresStore {
    async fn remember_stream(&self, claim: &Claim, stream: &StreamDescriptor) -> Result<()> {
        change!(self, Some(claim), |change| change
            .remember_stream(claim, stream))
    }

    async fn remembered_stream(&self, scope: &Scope) -> Result<Option<StreamDescriptor>> {
        ask!(self, |session| remembered_stream(&session, scope))
    }

    async fn batches(&self, query: &BatchQuery) -> Result<Vec<KeptBatch>> {
        ask!(self, |session| batches(&session, query))
    }

    async fn latest(
        &self,
        scope: &Scope,
        batch: &BatchId,
        records: &[RecordKey],
    ) -> Result<Vec<bool>> {
        ask!(self, |session| latest(&session, scope, batch, records))
    }

    async fn begin_replay(&self, claim: &Claim, replaying: &Replaying) -> Result<Digest> {
        change!(self, Some(claim), |change| change
            .begin_replay(claim, replaying))
    }

    async fn settle_replay(&self, claim: &Claim, replayed: &Replayed) -> Result<()> {
        change!(self, Some(claim), |change| change
            .settle_replay(claim, replayed))
    }
}

impl Change<'_> {
    async fn remember_stream(&self, claim: &Claim, stream: &StreamDescriptor) -> Result<()> {
        let number = self.scope(&claim.scope).await?;
        let update = "UPDATE scopes SET descriptor = $1
                      WHERE scope = $2 AND descriptor IS DISTINCT FROM $1";
        let text = described::write(stream)?;
        self.execute(update, &[&text, &number]).await.map(drop)
    }

    async fn begin_replay(&self, claim: &Claim, replaying: &Replaying) -> Result<Digest> {
        let told = wording::batch_replaying(&claim.scope, replaying);
        Ok(self.tell(Some(claim.run), &told).await?.hash)
    }

    async fn settle_replay(&self, claim: &Claim, replayed: &Replayed) -> Result<()> {
        let (scope, batch) = (self.scope(&claim.scope).await?, replayed.sent.batch);
        let select = "SELECT number, place FROM batches WHERE scope = $1 AND batch = $2";
        let Some(row) = self.row(select, &[&scope, &batch.to_string()]).await? else {
            return Err(unknown_batch(&batch));
        };
        let (number, place): (i64, BatchPlace) = (row.get(0), from_json(row.get(1))?);
        let delivered: Vec<_> = (replayed.delivered.iter())
            .map(|(row, record)| (*row, record))
            .collect();
        self.settle_records(scope, number, place.operation, &delivered)
            .await?;
        // The next run finds that these are not there, and sends what the source says of them then.
        let refused: Vec<_> = (replayed.refused.iter())
            .map(|(_, key)| key.as_str())
            .collect();
        let forget =
            "DELETE FROM records WHERE scope = $1 AND key = ANY ($2::text[]) AND batch = $3";
        self.execute(forget, &[&scope, &refused, &number]).await?;
        self.keep_dead_letters(claim, scope, Some(batch), &replayed.dead_letters)
            .await?;
        let keys: Vec<_> = (delivered.iter())
            .map(|(_, record)| record.key.as_str())
            .collect();
        let resolved = self.resolve(scope, batch, None, &keys).await?;
        if !resolved.is_empty() {
            let told = wording::letters_resolved(&claim.scope, batch, &resolved);
            self.tell(Some(claim.run), &told).await?;
        }
        let told = wording::batch_replayed(&claim.scope, replayed);
        self.tell(Some(claim.run), &told).await.map(drop)
    }
}

async fn remembered_stream(session: &Session, scope: &Scope) -> Result<Option<StreamDescriptor>> {
    let select = "SELECT descriptor FROM scopes
                  WHERE pipeline = $1 AND sink = $2 AND stream = $3";
    let values: Values<'_> = &[&scope.pipeline, &scope.sink, &scope.stream.as_str()];
    let found = rows(session, select, values).await?;
    let text: Option<&str> = found.first().and_then(|row| row.get(0));
    text.map(described::read).transpose()
}

pub(super) async fn batches(session: &Session, query: &BatchQuery) -> Result<Vec<KeptBatch>> {
    let columns = KeptBatchRow::COLUMNS;
    let select = format!(
        "SELECT {columns} FROM batches JOIN scopes USING (scope)
         WHERE scopes.pipeline = $1 AND scopes.sink = $2
             AND ($3::text[] IS NULL OR scopes.stream = ANY ($3))
             AND ($4::text[] IS NULL OR batches.batch = ANY ($4))
             AND ($5::text IS NULL OR batches.run = $5)
             AND ($6::text IS NULL OR EXISTS (
                 SELECT 1 FROM dead_letters AS letters
                 WHERE letters.scope = batches.scope AND letters.batch = batches.batch
                     AND letters.class = $6 AND letters.status IN ('open', 'retried')))
         ORDER BY batches.number"
    );
    let values = QueryValues::of(query);
    let values: Values<'_> = &[
        &values.pipeline,
        &values.sink,
        &values.streams,
        &values.ids,
        &values.run,
        &values.class,
    ];
    let found = rows(session, &select, values).await?;
    let batches = found.iter().map(|row| KeptBatchRow::from(row).batch());
    let batches = batches.collect::<Result<Vec<_>>>()?.into_iter();
    Ok(batches.filter(|batch| is_asked_for(query, batch)).collect())
}

pub(super) async fn latest(
    session: &Session,
    scope: &Scope,
    batch: &BatchId,
    records: &[RecordKey],
) -> Result<Vec<bool>> {
    let Some(scope) = scope_number(session, scope).await? else {
        return Err(unknown_batch(batch));
    };
    let text = batch.to_string();
    let select = "SELECT number FROM batches WHERE scope = $1 AND batch = $2";
    let found = rows(session, select, &[&scope, &text]).await?;
    let Some(number) = found.first().map(|row| row.get::<_, i64>(0)) else {
        return Err(unknown_batch(batch));
    };
    let keys: Vec<_> = records.iter().map(RecordKey::as_str).collect();
    let select = "SELECT given.last = $3 OR (given.last < $3 AND coalesce((
                SELECT letters.batch = $4 FROM dead_letters AS letters
                WHERE letters.scope = $1 AND letters.key = given.key
                    AND letters.status IN ('open', 'retried')
                ORDER BY letters.at COLLATE \"C\" DESC, letters.number DESC LIMIT 1), false))
            FROM (
                SELECT given.key, given.place,
                    coalesce(greatest(records.batch, deleted.batch), 0) AS last
                FROM unnest($2::text[]) WITH ORDINALITY AS given (key, place)
                LEFT JOIN records ON records.scope = $1 AND records.key = given.key
                LEFT JOIN deleted_records AS deleted
                    ON deleted.scope = $1 AND deleted.key = given.key
            ) AS given ORDER BY given.place";
    let found = rows(session, select, &[&scope, &keys, &number, &text]).await?;
    Ok(found.iter().map(|row| row.get(0)).collect())
}
