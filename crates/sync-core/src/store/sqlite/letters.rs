//! Dead letters, and what became of them.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, ToSql, params};

use super::SqliteStore;
use super::change::{Change, scope_number};
use super::failure::Work;
use crate::error::Result;
use crate::id::{BatchId, Digest};
use crate::store::rows::KeptLetterRow;
use crate::store::stored::{
    WAITING, envelopes, filter_values, from_json, not_discardable, signed, unsigned,
};
use crate::store::{
    Claim, DeadLetter, Discard, Letter, LetterFilter, LetterId, LetterPage, LetterStore,
    PreparedBatch, Scope, Settlement, wording,
};

#[async_trait]
impl LetterStore for SqliteStore {
    async fn dead_letters(&self, scope: &Scope, limit: usize) -> Result<Vec<DeadLetter>> {
        let scope = scope.clone();
        self.read(move |connection| dead_letters(connection, &scope, limit))
            .await
    }

    async fn letters(&self, filter: &LetterFilter, page: LetterPage) -> Result<Vec<Letter>> {
        let filter = filter.clone();
        self.read(move |connection| letters(connection, &filter, page))
            .await
    }

    async fn count_letters(&self, filter: &LetterFilter) -> Result<u64> {
        let filter = filter.clone();
        self.read(move |connection| count(connection, &filter))
            .await
    }

    async fn discard_letters(&self, scope: &Scope, discard: &Discard) -> Result<()> {
        let (scope, discard) = (scope.clone(), discard.clone());
        self.change(move |change| change.discard_letters(&scope, &discard))
            .await
    }

    async fn latest_letters(&self, scope: &Scope, letters: &[LetterId]) -> Result<Vec<bool>> {
        let (scope, letters) = (scope.clone(), letters.to_owned());
        self.read(move |connection| latest(connection, &scope, &letters))
            .await
    }

    async fn supersede_letters(&self, claim: &Claim, letters: &[LetterId]) -> Result<()> {
        let letters = letters.to_owned();
        self.change_by(claim, move |change, claim| {
            change.supersede_letters(claim, &letters)
        })
        .await
    }

    async fn prepare_retry(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        letters: &[LetterId],
    ) -> Result<Digest> {
        let (batch, letters) = (batch.clone(), letters.to_owned());
        self.change_by(claim, move |change, claim| {
            change.prepare_retry(claim, &batch, &letters)
        })
        .await
    }
}

impl Change<'_> {
    /// Keeps letters, each once. One that was closed, because its record had arrived or another state of
    /// it was known, is open again where the destination refuses that record anew.
    pub(super) fn keep_dead_letters(
        &self,
        claim: &Claim,
        number: i64,
        batch: Option<BatchId>,
        letters: &[DeadLetter],
    ) -> Work<()> {
        let mut kept = 0;
        for letter in envelopes(letters)? {
            kept += self.execute(
                "INSERT INTO dead_letters
                     (scope, fingerprint, run, batch, at, letter, key, class, fault)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT (scope, fingerprint) DO UPDATE SET run = excluded.run,
                     batch = excluded.batch, at = excluded.at, status = 'open', closed_at = NULL,
                     resolved_by = NULL
                 WHERE excluded.batch IS NOT NULL
                     AND dead_letters.status IN ('resolved', 'superseded')",
                params![
                    number,
                    letter.fingerprint.as_bytes(),
                    claim.run.to_string(),
                    batch.map(|batch| batch.to_string()),
                    self.now,
                    letter.letter,
                    letter.key,
                    letter.class,
                    letter.fault,
                ],
            )?;
        }
        if kept == 0 {
            return Ok(());
        }
        let told = wording::records_rejected(&claim.scope, batch, kept as u64);
        self.tell(Some(claim.run), &told).map(drop)
    }

    /// The number of the last letter that there is.
    pub(super) fn last_letter(&self) -> Work<i64> {
        let select = "SELECT coalesce(max(number), 0) FROM dead_letters";
        let mut select = self.transaction.prepare_cached(select)?;
        Ok(select.query_row([], |row| row.get(0))?)
    }

    fn prepare_retry(
        &self,
        claim: &Claim,
        batch: &PreparedBatch,
        letters: &[LetterId],
    ) -> Work<Digest> {
        let entry = self.prepare(claim, batch, &[])?;
        let scope = self.scope(&claim.scope)?;
        let insert = "INSERT INTO retried_letters (scope, batch, row, letter) VALUES (?, ?, ?, ?)";
        for (row, letter) in letters.iter().enumerate() {
            let values = params![
                scope,
                batch.id.to_string(),
                signed(row as u64),
                signed(letter.0)
            ];
            self.execute(insert, values)?;
        }
        self.tell(Some(claim.run), &wording::letters_retried(batch, letters))?;
        Ok(entry)
    }

    /// Keeps the refused records of a batch, or counts the attempt where it sent letters again; and
    /// closes the letters of what the destination took. Records that could not be read since the batch was
    /// prepared are excepted: their letters may tell of later states.
    pub(super) fn settle_letters(
        &self,
        claim: &Claim,
        scope: i64,
        letters_before: Option<i64>,
        settlement: &Settlement,
    ) -> Work<()> {
        let batch = settlement.batch.id;
        let retried = self.retried(scope, batch)?;
        if retried.is_empty() {
            self.keep_dead_letters(claim, scope, Some(batch), &settlement.dead_letters)?;
        }
        let mut resolved = self.settle_retried(&retried, settlement)?;
        let keys = settlement
            .delivered()
            .map(|(_, record)| record.key.as_str());
        resolved.extend(self.resolve(scope, batch, letters_before, keys)?);
        if resolved.is_empty() {
            return Ok(());
        }
        let told = wording::letters_resolved(&claim.scope, batch, &resolved);
        self.tell(Some(claim.run), &told).map(drop)
    }

    /// The letters that a batch sends again, by their rows.
    fn retried(&self, scope: i64, batch: BatchId) -> Work<Vec<(u64, i64)>> {
        let select = "SELECT row, letter FROM retried_letters WHERE scope = ? AND batch = ?
                      ORDER BY row";
        let mut select = self.transaction.prepare_cached(select)?;
        let rows = select.query_map(params![scope, batch.to_string()], |row| {
            Ok((unsigned(row.get(0)?), row.get(1)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn settle_retried(
        &self,
        retried: &[(u64, i64)],
        settlement: &Settlement,
    ) -> Work<Vec<LetterId>> {
        let mut resolved = Vec::new();
        for (row, letter) in retried {
            let refused = settlement.receipt.rejected.iter();
            let refused = refused
                .map(|it| (it.row as u64, it))
                .find(|it| it.0 == *row);
            match refused {
                Some((_, refused)) => {
                    let update =
                        "UPDATE dead_letters SET status = 'retried', attempts = attempts + 1,
                                  attempted_at = ?, attempt_reason = ? WHERE number = ?";
                    self.execute(update, params![self.now, refused.reason, letter])?;
                }
                None => {
                    let update = "UPDATE dead_letters SET status = 'resolved', closed_at = ?1,
                                  attempts = attempts + 1, attempted_at = ?1, attempt_reason = NULL,
                                  resolved_by = ?2 WHERE number = ?3";
                    let batch = settlement.batch.id.to_string();
                    self.execute(update, params![self.now, batch, letter])?;
                    resolved.push(LetterId(unsigned(*letter)));
                }
            }
        }
        Ok(resolved)
    }

    /// Closes the letters of records that the destination has, or knows to be gone.
    pub(super) fn resolve<'k>(
        &self,
        scope: i64,
        batch: BatchId,
        letters_before: Option<i64>,
        keys: impl Iterator<Item = &'k str>,
    ) -> Work<Vec<LetterId>> {
        let exists =
            format!("SELECT EXISTS (SELECT 1 FROM dead_letters WHERE scope = ? AND {WAITING})");
        let mut exists = self.transaction.prepare_cached(&exists)?;
        if !exists.query_row([scope], |row| row.get::<_, bool>(0))? {
            return Ok(Vec::new());
        }
        let update = format!(
            "UPDATE dead_letters SET status = 'resolved', closed_at = ?, resolved_by = ?
             WHERE scope = ? AND key = ? AND (batch IS NOT NULL OR number <= ?) AND {WAITING}
             RETURNING number"
        );
        let mut update = self.transaction.prepare_cached(&update)?;
        let (batch, last) = (batch.to_string(), letters_before.unwrap_or(i64::MAX));
        let mut resolved = Vec::new();
        for key in keys {
            let values = params![self.now, batch, scope, key, last];
            let letters = update.query_map(values, |row| Ok(LetterId(unsigned(row.get(0)?))))?;
            for letter in letters {
                resolved.push(letter?);
            }
        }
        Ok(resolved)
    }

    fn discard_letters(&self, scope: &Scope, discard: &Discard) -> Work<()> {
        let number = self.scope(scope)?;
        let update = format!(
            "UPDATE dead_letters SET status = 'discarded', closed_at = ?, note = ?, closed_by = ?
             WHERE scope = ? AND number = ? AND {WAITING}"
        );
        for letter in &discard.letters {
            let Discard { reason, by, .. } = discard;
            let values = params![self.now, reason, by, number, signed(letter.0)];
            if self.execute(&update, values)? == 0 {
                let error = not_discardable(scope).with("letter", letter.to_string());
                return Err(error.into());
            }
        }
        self.tell(None, &wording::letters_discarded(scope, discard))
            .map(drop)
    }

    fn supersede_letters(&self, claim: &Claim, letters: &[LetterId]) -> Work<()> {
        let number = self.scope(&claim.scope)?;
        let update = format!(
            "UPDATE dead_letters SET status = 'superseded', closed_at = ?
             WHERE scope = ? AND number = ? AND {WAITING}"
        );
        for letter in letters {
            self.execute(&update, params![self.now, number, signed(letter.0)])?;
        }
        let told = wording::letters_superseded(&claim.scope, letters);
        self.tell(Some(claim.run), &told).map(drop)
    }
}

/// Whether a letter tells the latest that is known of its record. Batches that were prepared by versions
/// that did not note which letters there were are compared by time.
const LATEST: &str = "SELECT NOT EXISTS (
            SELECT 1 FROM dead_letters AS other
            WHERE other.scope = letters.scope AND other.key = letters.key
                AND other.status IN ('open', 'retried')
                AND (other.at > letters.at
                    OR (other.at = letters.at AND other.number > letters.number)))
        AND CASE WHEN last.number IS NULL THEN TRUE
            WHEN refused.number IS NOT NULL THEN last.number <= refused.number
            WHEN last.letters_before IS NOT NULL THEN last.letters_before < letters.number
            ELSE last.prepared_at < letters.at END
    FROM dead_letters AS letters
    LEFT JOIN batches AS refused
        ON refused.scope = letters.scope AND refused.batch = letters.batch
    LEFT JOIN batches AS last ON last.number = (SELECT max(either.batch) FROM (
            SELECT batch FROM records WHERE scope = letters.scope AND key = letters.key
            UNION ALL SELECT batch FROM deleted_records
            WHERE scope = letters.scope AND key = letters.key) AS either)
    WHERE letters.scope = ? AND letters.number = ?";

const FILTER: &str = "FROM dead_letters AS letters JOIN scopes USING (scope)
    WHERE (?1 IS NULL OR scopes.pipeline = ?1) AND (?2 IS NULL OR scopes.sink = ?2)
        AND (?3 IS NULL OR scopes.stream = ?3) AND (?4 IS NULL OR letters.class = ?4)
        AND (?5 IS NULL OR letters.fault = ?5) AND (?6 IS NULL OR letters.at >= ?6)
        AND (?7 IS NULL OR letters.key = ?7)
        AND letters.status IN (SELECT value FROM json_each(?8))";

pub(super) fn letters(
    connection: &Connection,
    filter: &LetterFilter,
    page: LetterPage,
) -> Work<Vec<Letter>> {
    let columns = KeptLetterRow::COLUMNS;
    let select = format!(
        "SELECT {columns} {FILTER} AND letters.number > ?9 ORDER BY letters.number LIMIT ?10"
    );
    let values = filter_values(filter)?;
    let mut values: Vec<&dyn ToSql> = values.iter().map(|it| it as &dyn ToSql).collect();
    let after = page.after.map_or(0, |letter| signed(letter.0));
    let limit = signed(page.limit as u64);
    values.extend([&after as &dyn ToSql, &limit]);
    let mut select = connection.prepare(&select)?;
    let rows = select.query_and_then(values.as_slice(), |row| {
        Ok(KeptLetterRow::try_from(row)?.letter()?)
    })?;
    rows.collect()
}

pub(super) fn latest(
    connection: &Connection,
    scope: &Scope,
    letters: &[LetterId],
) -> Work<Vec<bool>> {
    let number = scope_number(connection, scope)?.unwrap_or_default();
    let mut select = connection.prepare(LATEST)?;
    let mut latest = Vec::with_capacity(letters.len());
    for letter in letters {
        let found = select.query_row(params![number, signed(letter.0)], |row| row.get(0));
        // A letter that is not of this stream is not to be sent to it.
        latest.push(found.optional()?.unwrap_or(false));
    }
    Ok(latest)
}

pub(super) fn count(connection: &Connection, filter: &LetterFilter) -> Work<u64> {
    let count = format!("SELECT count(*) {FILTER}");
    let counted = connection.query_row(&count, filter_values(filter)?, |row| row.get(0))?;
    Ok(unsigned(counted))
}

pub(super) fn dead_letters(
    connection: &Connection,
    scope: &Scope,
    limit: usize,
) -> Work<Vec<DeadLetter>> {
    let Some(number) = scope_number(connection, scope)? else {
        return Ok(Vec::new());
    };
    let select = "SELECT letter FROM dead_letters WHERE scope = ? ORDER BY number DESC LIMIT ?";
    let mut select = connection.prepare(select)?;
    let rows = select.query_and_then(params![number, signed(limit as u64)], |row| {
        Ok(from_json(&row.get::<_, String>(0)?)?)
    })?;
    rows.collect()
}
