//! Dead letters, and what became of them.

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use super::change::{Change, Values, rows, scope_number};
use super::patience::{ask, change};
use crate::error::Result;
use crate::id::{BatchId, Digest};
use crate::postgres::Session;
use crate::store::rows::KeptLetterRow;
use crate::store::stored::{
    WAITING, envelopes, filter_values, from_json, not_discardable, signed, unsigned,
};
use crate::store::{
    Claim, DeadLetter, Discard, Letter, LetterFilter, LetterId, LetterPage, LetterStore,
    PreparedBatch, Scope, Settlement, wording,
};

#[async_trait]
impl LetterStore for PostgresStore {
    async fn dead_letters(&self, scope: &Scope, limit: usize) -> Result<Vec<DeadLetter>> {
        ask!(self, |session| dead_letters(&session, scope, limit))
    }

    async fn letters(&self, filter: &LetterFilter, page: LetterPage) -> Result<Vec<Letter>> {
        ask!(self, |session| letters(&session, filter, page))
    }

    async fn count_letters(&self, filter: &LetterFilter) -> Result<u64> {
        ask!(self, |session| count(&session, filter))
    }

    async fn discard_letters(&self, scope: &Scope, discard: &Discard) -> Result<()> {
        change!(self, None, |change| change.discard_letters(scope, discard))
    }

    async fn latest_letters(&self, scope: &Scope, letters: &[LetterId]) -> Result<Vec<bool>> {
        ask!(self, |session| latest(&session, scope, letters))
    }

    async fn supersede_letters(&self, claim: &Claim, letters: &[LetterId]) -> Result<()> {
        change!(self, Some(claim), |change| change
            .supersede_letters(claim, letters))
    }

    async fn prepare_retry(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        letters: &[LetterId],
    ) -> Result<Digest> {
        change!(self, Some(claim), |change| change
            .prepare_retry(claim, batch, letters))
    }
}

impl Change<'_> {
    /// Keeps letters, each once. One that was closed, because its record had arrived or another state of
    /// it was known, is open again where the destination refuses that record anew.
    pub(super) async fn keep_dead_letters(
        &self,
        claim: &Claim,
        number: i64,
        batch: Option<BatchId>,
        letters: &[DeadLetter],
    ) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let letters = envelopes(letters)?;
        let prints = letters
            .iter()
            .map(|it| it.fingerprint.as_bytes().as_slice());
        let prints: Vec<_> = prints.collect();
        let texts: Vec<_> = letters.iter().map(|it| it.letter.as_str()).collect();
        let keys: Vec<_> = letters.iter().map(|it| it.key).collect();
        let classes: Vec<_> = letters.iter().map(|it| it.class).collect();
        let faults: Vec<_> = letters.iter().map(|it| it.fault).collect();
        let insert = "INSERT INTO dead_letters
                (scope, run, batch, at, fingerprint, letter, key, class, fault)
            SELECT $1, $2, $3, $4, fingerprint, letter, key, class, fault
            FROM unnest($5::bytea[], $6::text[], $7::text[], $8::text[], $9::text[])
                WITH ORDINALITY AS given (fingerprint, letter, key, class, fault, place)
            ORDER BY place
            ON CONFLICT (scope, fingerprint) DO UPDATE SET run = excluded.run,
                batch = excluded.batch, at = excluded.at, status = 'open', closed_at = NULL,
                resolved_by = NULL
            WHERE excluded.batch IS NOT NULL
                AND dead_letters.status IN ('resolved', 'superseded')";
        let (run, of_batch) = (claim.run.to_string(), batch.map(|batch| batch.to_string()));
        let values: Values<'_> = &[
            &number, &run, &of_batch, &self.now, &prints, &texts, &keys, &classes, &faults,
        ];
        let kept = self.execute(insert, values).await?;
        if kept == 0 {
            return Ok(());
        }
        let told = wording::records_rejected(&claim.scope, batch, kept);
        self.tell(Some(claim.run), &told).await.map(drop)
    }

    /// The number of the last letter that there is.
    pub(super) async fn last_letter(&self) -> Result<i64> {
        let select = "SELECT coalesce(max(number), 0) FROM dead_letters";
        let row = self.row(select, &[]).await?;
        Ok(row.map_or(0, |row| row.get(0)))
    }

    async fn prepare_retry(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        letters: &[LetterId],
    ) -> Result<Digest> {
        let entry = self.prepare(claim, batch, &[]).await?;
        let scope = self.scope(&claim.scope).await?;
        let insert = "INSERT INTO retried_letters (scope, batch, row, letter)
            SELECT $1, $2, place - 1, letter
            FROM unnest($3::bigint[]) WITH ORDINALITY AS given (letter, place)";
        let (id, numbers) = (batch.id.to_string(), numbers(letters));
        self.execute(insert, &[&scope, &id, &numbers]).await?;
        let told = wording::letters_retried(batch, letters);
        self.tell(Some(claim.run), &told).await?;
        Ok(entry)
    }

    /// Keeps the refused records of a batch, or counts the attempt where it sent letters again; and
    /// closes the letters of what the destination took. Records that could not be read since the batch was
    /// prepared are excepted: their letters may tell of later states.
    pub(super) async fn settle_letters(
        &self,
        claim: &Claim,
        scope: i64,
        letters_before: Option<i64>,
        settlement: &Settlement,
    ) -> Result<()> {
        let batch = settlement.batch.id;
        let mut resolved = match self.settle_retried(scope, settlement).await? {
            Some(resolved) => resolved,
            None => {
                let letters = &settlement.dead_letters;
                self.keep_dead_letters(claim, scope, Some(batch), letters)
                    .await?;
                Vec::new()
            }
        };
        let keys = settlement.delivered();
        let keys: Vec<_> = keys.map(|(_, record)| record.key.as_str()).collect();
        resolved.extend(self.resolve(scope, batch, letters_before, &keys).await?);
        if resolved.is_empty() {
            return Ok(());
        }
        let told = wording::letters_resolved(&claim.scope, batch, &resolved);
        self.tell(Some(claim.run), &told).await.map(drop)
    }

    /// The letters that arrived with a batch that sends some again; none where it sends none.
    async fn settle_retried(
        &self,
        scope: i64,
        settlement: &Settlement,
    ) -> Result<Option<Vec<LetterId>>> {
        let batch = settlement.batch.id.to_string();
        let exists = "SELECT 1 FROM retried_letters WHERE scope = $1 AND batch = $2 LIMIT 1";
        if self.row(exists, &[&scope, &batch]).await?.is_none() {
            return Ok(None);
        }
        let refused = &settlement.receipt.rejected;
        let places: Vec<_> = refused.iter().map(|it| signed(it.row as u64)).collect();
        let reasons: Vec<_> = refused.iter().map(|it| it.reason.as_str()).collect();
        let update = "UPDATE dead_letters SET status = 'retried', attempts = attempts + 1,
                attempted_at = $3, attempt_reason = refused.reason
            FROM retried_letters AS retried
                JOIN unnest($4::bigint[], $5::text[]) AS refused (row, reason) USING (row)
            WHERE retried.scope = $1 AND retried.batch = $2
                AND dead_letters.number = retried.letter";
        let values: Values<'_> = &[&scope, &batch, &self.now, &places, &reasons];
        self.execute(update, values).await?;
        let update = "UPDATE dead_letters SET status = 'resolved', attempts = attempts + 1,
                attempted_at = $3, attempt_reason = NULL, closed_at = $3, resolved_by = $2
            FROM retried_letters AS retried
            WHERE retried.scope = $1 AND retried.batch = $2
                AND dead_letters.number = retried.letter AND retried.row <> ALL ($4::bigint[])
            RETURNING dead_letters.number";
        let values: Values<'_> = &[&scope, &batch, &self.now, &places];
        let resolved = self.rows(update, values).await?;
        Ok(Some(ids(&resolved)))
    }

    /// Closes the letters of records that the destination has, or knows to be gone.
    pub(super) async fn resolve(
        &self,
        scope: i64,
        batch: BatchId,
        letters_before: Option<i64>,
        keys: &[&str],
    ) -> Result<Vec<LetterId>> {
        let exists = format!("SELECT 1 FROM dead_letters WHERE scope = $1 AND {WAITING} LIMIT 1");
        if self.row(&exists, &[&scope]).await?.is_none() {
            return Ok(Vec::new());
        }
        let update = format!(
            "UPDATE dead_letters SET status = 'resolved', closed_at = $1, resolved_by = $2
             WHERE scope = $3 AND key = ANY ($4::text[]) AND (batch IS NOT NULL OR number <= $5)
                 AND {WAITING}
             RETURNING number"
        );
        let (batch, last) = (batch.to_string(), letters_before.unwrap_or(i64::MAX));
        let values: Values<'_> = &[&self.now, &batch, &scope, &keys, &last];
        Ok(ids(&self.rows(&update, values).await?))
    }

    async fn discard_letters(&self, scope: &Scope, discard: &Discard) -> Result<()> {
        let number = self.scope(scope).await?;
        let update = format!(
            "UPDATE dead_letters SET status = 'discarded', closed_at = $1, note = $2,
                 closed_by = $3
             WHERE scope = $4 AND number = $5 AND {WAITING}"
        );
        for letter in &discard.letters {
            let Discard { reason, by, .. } = discard;
            let values: Values<'_> = &[&self.now, reason, by, &number, &signed(letter.0)];
            if self.execute(&update, values).await? == 0 {
                return Err(not_discardable(scope).with("letter", letter.to_string()));
            }
        }
        let told = wording::letters_discarded(scope, discard);
        self.tell(None, &told).await.map(drop)
    }

    async fn supersede_letters(&self, claim: &Claim, letters: &[LetterId]) -> Result<()> {
        let number = self.scope(&claim.scope).await?;
        let update = format!(
            "UPDATE dead_letters SET status = 'superseded', closed_at = $1
             WHERE scope = $2 AND number = ANY ($3::bigint[]) AND {WAITING}"
        );
        self.execute(&update, &[&self.now, &number, &numbers(letters)])
            .await?;
        let told = wording::letters_superseded(&claim.scope, letters);
        self.tell(Some(claim.run), &told).await.map(drop)
    }
}

fn numbers(letters: &[LetterId]) -> Vec<i64> {
    letters.iter().map(|letter| signed(letter.0)).collect()
}

fn ids(rows: &[Row]) -> Vec<LetterId> {
    let mut ids: Vec<_> = rows
        .iter()
        .map(|row| LetterId(unsigned(row.get(0))))
        .collect();
    // An update gives them in no order.
    ids.sort_unstable();
    ids
}

/// Whether a letter tells the latest that is known of its record. Batches that were prepared by versions
/// that did not note which letters there were are compared by time.
const LATEST: &str = "SELECT coalesce((SELECT NOT EXISTS (
            SELECT 1 FROM dead_letters AS other
            WHERE other.scope = letters.scope AND other.key = letters.key
                AND other.status IN ('open', 'retried')
                AND (other.at COLLATE \"C\" > letters.at
                    OR (other.at = letters.at AND other.number > letters.number)))
        AND CASE WHEN last.number IS NULL THEN TRUE
            WHEN refused.number IS NOT NULL THEN last.number <= refused.number
            WHEN last.letters_before IS NOT NULL THEN last.letters_before < letters.number
            ELSE last.prepared_at COLLATE \"C\" < letters.at END
    FROM dead_letters AS letters
    LEFT JOIN batches AS refused
        ON refused.scope = letters.scope AND refused.batch = letters.batch
    LEFT JOIN batches AS last ON last.number = (SELECT max(either.batch) FROM (
            SELECT batch FROM records WHERE scope = letters.scope AND key = letters.key
            UNION ALL SELECT batch FROM deleted_records
            WHERE scope = letters.scope AND key = letters.key) AS either)
    WHERE letters.scope = $1 AND letters.number = given.number), false)
    FROM unnest($2::bigint[]) WITH ORDINALITY AS given (number, place) ORDER BY given.place";

const FILTER: &str = "FROM dead_letters AS letters JOIN scopes USING (scope)
    WHERE ($1::text IS NULL OR scopes.pipeline = $1) AND ($2::text IS NULL OR scopes.sink = $2)
        AND ($3::text IS NULL OR scopes.stream = $3) AND ($4::text IS NULL OR letters.class = $4)
        AND ($5::text IS NULL OR letters.fault = $5)
        AND ($6::text IS NULL OR letters.at COLLATE \"C\" >= $6)
        AND ($7::text IS NULL OR letters.key = $7) AND letters.status IN (SELECT json_array_elements_text($8::text::json))";

pub(super) async fn letters(
    session: &Session,
    filter: &LetterFilter,
    page: LetterPage,
) -> Result<Vec<Letter>> {
    let columns = KeptLetterRow::COLUMNS;
    let select = format!(
        "SELECT {columns} {FILTER} AND letters.number > $9 ORDER BY letters.number LIMIT $10"
    );
    let values = filter_values(filter)?;
    let mut values: Vec<_> = values.iter().map(|it| it as &(dyn ToSql + Sync)).collect();
    let after = page.after.map_or(0, |letter| signed(letter.0));
    let limit = signed(page.limit as u64);
    values.extend([&after as &(dyn ToSql + Sync), &limit]);
    let found = rows(session, &select, &values).await?;
    let letters = found.iter().map(|row| KeptLetterRow::from(row).letter());
    letters.collect()
}

pub(super) async fn latest(
    session: &Session,
    scope: &Scope,
    letters: &[LetterId],
) -> Result<Vec<bool>> {
    let number = scope_number(session, scope).await?.unwrap_or_default();
    let found = rows(session, LATEST, &[&number, &numbers(letters)]).await?;
    Ok(found.iter().map(|row| row.get(0)).collect())
}

pub(super) async fn count(session: &Session, filter: &LetterFilter) -> Result<u64> {
    let values = filter_values(filter)?;
    let values: Vec<_> = values.iter().map(|it| it as &(dyn ToSql + Sync)).collect();
    let counted = rows(session, &format!("SELECT count(*) {FILTER}"), &values).await?;
    Ok(counted.first().map_or(0, |row| unsigned(row.get(0))))
}

pub(super) async fn dead_letters(
    session: &Session,
    scope: &Scope,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    let Some(number) = scope_number(session, scope).await? else {
        return Ok(Vec::new());
    };
    let select = "SELECT letter FROM dead_letters WHERE scope = $1 ORDER BY number DESC LIMIT $2";
    let found = rows(session, select, &[&number, &signed(limit as u64)]).await?;
    found.iter().map(|row| from_json(row.get(0))).collect()
}
