//! What a replay asks for, and what becomes of the batches that it sends again.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use super::change::{Change, scope_key, scope_number};
use super::failure::Work;
use crate::batch::RecordKey;
use crate::error::Result;
use crate::id::{BatchId, Digest};
use crate::store::rows::KeptBatchRow;
use crate::store::stored::{QueryValues, from_json, is_asked_for, to_json, unknown_batch};
use crate::store::{
    BatchQuery, Claim, KeptBatch, ReplayStore, Replayed, Replaying, Scope, described, wording,
};
use crate::stream::StreamDescriptor;

#[async_trait]
impl ReplayStore for SqliteStore {
    async fn remember_stream(&self, claim: &Claim, stream: &StreamDescriptor) -> Result<()> {
        let stream = stream.clone();
        self.change_by(claim, move |change, claim| {
            change.remember_stream(claim, &stream)
        })
        .await
    }

    async fn remembered_stream(&self, scope: &Scope) -> Result<Option<StreamDescriptor>> {
        let scope = scope.clone();
        self.read(move |connection| remembered_stream(connection, &scope))
            .await
    }

    async fn batches(&self, query: &BatchQuery) -> Result<Vec<KeptBatch>> {
        let query = query.clone();
        self.read(move |connection| batches(connection, &query))
            .await
    }

    async fn latest(
        &self,
        scope: &Scope,
        batch: &BatchId,
        records: &[RecordKey],
    ) -> Result<Vec<bool>> {
        let (scope, batch, records) = (scope.clone(), *batch, records.to_owned());
        self.read(move |connection| latest(connection, &scope, &batch, &records))
            .await
    }

    async fn begin_replay(&self, claim: &Claim, replaying: &Replaying) -> Result<Digest> {
        let replaying = replaying.clone();
        self.change_by(claim, move |change, claim| {
            change.begin_replay(claim, &replaying)
        })
        .await
    }

    async fn settle_replay(&self, claim: &Claim, replayed: &Replayed) -> Result<()> {
        let replayed = replayed.clone();
        self.change_by(claim, move |change, claim| {
            change.settle_replay(claim, &replayed)
        })
        .await
    }
}

impl Change<'_> {
    fn remember_stream(&self, claim: &Claim, stream: &StreamDescriptor) -> Work<()> {
        let number = self.scope(&claim.scope)?;
        let update = "UPDATE scopes SET descriptor = ?1
                      WHERE scope = ?2 AND descriptor IS NOT ?1";
        let text = described::write(stream)?;
        self.execute(update, params![text, number]).map(drop)
    }

    fn begin_replay(&self, claim: &Claim, replaying: &Replaying) -> Work<Digest> {
        let told = wording::batch_replaying(&claim.scope, replaying);
        Ok(self.tell(Some(claim.run), &told)?.hash)
    }

    fn settle_replay(&self, claim: &Claim, replayed: &Replayed) -> Work<()> {
        let (scope, batch) = (self.scope(&claim.scope)?, replayed.sent.batch);
        let select = "SELECT number, place FROM batches WHERE scope = ? AND batch = ?";
        let mut select = self.transaction.prepare_cached(select)?;
        let known = select
            .query_row(params![scope, batch.to_string()], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        let Some((number, place)) = known else {
            return Err(unknown_batch(&batch).into());
        };
        let place: crate::batch::BatchPlace = from_json(&place)?;
        let delivered: Vec<_> = (replayed.delivered.iter())
            .map(|(row, record)| (*row, record))
            .collect();
        self.settle_records(scope, number, place.operation, &delivered)?;
        // The next run finds that these are not there, and sends what the source says of them then.
        let forget = "DELETE FROM records WHERE scope = ? AND key = ? AND batch = ?";
        for (_, key) in &replayed.refused {
            self.execute(forget, params![scope, key.as_str(), number])?;
        }
        self.keep_dead_letters(claim, scope, Some(batch), &replayed.dead_letters)?;
        let keys = delivered.iter().map(|(_, record)| record.key.as_str());
        let resolved = self.resolve(scope, batch, None, keys)?;
        if !resolved.is_empty() {
            let told = wording::letters_resolved(&claim.scope, batch, &resolved);
            self.tell(Some(claim.run), &told)?;
        }
        let told = wording::batch_replayed(&claim.scope, replayed);
        self.tell(Some(claim.run), &told).map(drop)
    }
}

fn remembered_stream(connection: &Connection, scope: &Scope) -> Work<Option<StreamDescriptor>> {
    let select = "SELECT descriptor FROM scopes WHERE pipeline = ? AND sink = ? AND stream = ?";
    let found = connection.query_row(select, scope_key(scope), |row| {
        row.get::<_, Option<String>>(0)
    });
    let text = found.optional()?.flatten();
    Ok(text.as_deref().map(described::read).transpose()?)
}

pub(super) fn batches(connection: &Connection, query: &BatchQuery) -> Work<Vec<KeptBatch>> {
    let columns = KeptBatchRow::COLUMNS;
    let select = format!(
        "SELECT {columns} FROM batches JOIN scopes USING (scope)
         WHERE scopes.pipeline = ?1 AND scopes.sink = ?2
             AND (?3 IS NULL OR scopes.stream IN (SELECT value FROM json_each(?3)))
             AND (?4 IS NULL OR batches.batch IN (SELECT value FROM json_each(?4)))
             AND (?5 IS NULL OR batches.run = ?5)
             AND (?6 IS NULL OR EXISTS (
                 SELECT 1 FROM dead_letters AS letters
                 WHERE letters.scope = batches.scope AND letters.batch = batches.batch
                     AND letters.class = ?6 AND letters.status IN ('open', 'retried')))
         ORDER BY batches.number"
    );
    let values = QueryValues::of(query);
    let streams = values.streams.as_ref().map(to_json).transpose()?;
    let ids = values.ids.as_ref().map(to_json).transpose()?;
    let mut select = connection.prepare(&select)?;
    let rows = select.query_and_then(
        params![
            values.pipeline,
            values.sink,
            streams,
            ids,
            values.run,
            values.class
        ],
        |row| Ok(KeptBatchRow::try_from(row)?.batch()?),
    )?;
    let batches = rows.collect::<Work<Vec<_>>>()?.into_iter();
    Ok(batches.filter(|batch| is_asked_for(query, batch)).collect())
}

pub(super) fn latest(
    connection: &Connection,
    scope: &Scope,
    batch: &BatchId,
    records: &[RecordKey],
) -> Work<Vec<bool>> {
    let Some(scope) = scope_number(connection, scope)? else {
        return Err(unknown_batch(batch).into());
    };
    let batch_text = batch.to_string();
    let select = "SELECT number FROM batches WHERE scope = ? AND batch = ?";
    let number = connection.query_row(select, params![scope, batch_text], |row| row.get(0));
    let Some(number) = number.optional()? else {
        return Err(unknown_batch(batch).into());
    };
    let number: i64 = number;
    let last = "SELECT max(coalesce((SELECT batch FROM records WHERE scope = ?1 AND key = ?2), 0),
                    coalesce((SELECT batch FROM deleted_records WHERE scope = ?1 AND key = ?2), 0))";
    let mut last = connection.prepare_cached(last)?;
    let waiting = "SELECT batch FROM dead_letters
                   WHERE scope = ? AND key = ? AND status IN ('open', 'retried')
                   ORDER BY at DESC, number DESC LIMIT 1";
    let mut waiting = connection.prepare_cached(waiting)?;
    let mut latest = Vec::with_capacity(records.len());
    for key in records {
        let last: i64 = last.query_row(params![scope, key.as_str()], |row| row.get(0))?;
        let is_latest = last == number
            || last < number && {
                let of = waiting
                    .query_row(params![scope, key.as_str()], |row| {
                        row.get::<_, Option<String>>(0)
                    })
                    .optional()?;
                of.flatten().as_ref() == Some(&batch_text)
            };
        latest.push(is_latest);
    }
    Ok(latest)
}
