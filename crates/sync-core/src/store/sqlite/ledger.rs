//! What an auditor asks: what became of a record, what was refused, and whether the ledger holds.

use async_trait::async_trait;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use super::SqliteStore;
use super::change::scope_number;
use super::failure::Work;
use crate::batch::RecordKey;
use crate::error::Result;
use crate::id::Digest;
use crate::ledger::{Entry, EntryKind, Link, Verification, Verifier};
use crate::store::rows::{EntryRow, LetterRow, TraceRow};
use crate::store::stored::{MOST_REJECTIONS, signed};
use crate::store::{Claim, LedgerStore, Outcome, RecordAudit, RecordTrace, Scope};

#[async_trait]
impl LedgerStore for SqliteStore {
    async fn note(&self, claim: &Claim, kind: EntryKind, body: &str) -> Result<Digest> {
        let body = body.to_owned();
        self.change_by(claim, move |change, claim| {
            Ok(change.append(Some(claim.run), kind, &body)?.hash)
        })
        .await
    }

    async fn audit(&self, scope: &Scope, key: &RecordKey) -> Result<RecordAudit> {
        let (scope, key) = (scope.clone(), key.clone());
        self.read(move |connection| audit(connection, &scope, &key))
            .await
    }

    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>> {
        self.read(move |connection| entries(connection, after, limit))
            .await
    }

    async fn verify(&self, known: &[Digest]) -> Result<Verification> {
        let known = known.to_vec();
        self.read(move |connection| verify(connection, &known))
            .await
    }
}

/// By the primary keys of both tables.
const DELIVERED: &str = "SELECT records.record, records.row, batches.batch, batches.run,
        batches.origins, batches.job, batches.settled_at
    FROM records JOIN batches ON batches.number = records.batch
    WHERE records.scope = ? AND records.key = ?";

/// By the primary keys of both tables.
const DELETED: &str = "SELECT deleted_records.record, deleted_records.row, batches.batch,
        batches.run, batches.origins, batches.job, batches.settled_at
    FROM deleted_records JOIN batches ON batches.number = deleted_records.batch
    WHERE deleted_records.scope = ? AND deleted_records.key = ?";

/// By an index of its own.
const REJECTED: &str = "SELECT at, run, batch, letter FROM dead_letters
    WHERE scope = ? AND key = ? ORDER BY number DESC LIMIT ?";

pub(super) fn audit(connection: &Connection, scope: &Scope, key: &RecordKey) -> Work<RecordAudit> {
    let Some(number) = scope_number(connection, scope)? else {
        return Ok(RecordAudit::default());
    };
    let mut last = trace(connection, DELIVERED, Outcome::Delivered, number, key)?;
    if last.is_none() {
        last = trace(connection, DELETED, Outcome::Deleted, number, key)?;
    }
    let mut select = connection.prepare_cached(REJECTED)?;
    let values = params![number, key.as_str(), MOST_REJECTIONS];
    let rejected =
        select.query_and_then(values, |row| Ok(LetterRow::try_from(row)?.rejection()?))?;
    let rejected = rejected.collect::<Work<_>>()?;
    Ok(RecordAudit { last, rejected })
}

fn trace(
    connection: &Connection,
    select: &str,
    outcome: Outcome,
    scope: i64,
    key: &RecordKey,
) -> Work<Option<RecordTrace>> {
    let mut select = connection.prepare_cached(select)?;
    let mut rows = select.query_and_then(params![scope, key.as_str()], |row| {
        Ok(TraceRow::try_from(row)?.trace(outcome)?)
    })?;
    rows.next().transpose()
}

pub(super) fn entries(connection: &Connection, after: u64, limit: usize) -> Work<Vec<Entry>> {
    let columns = EntryRow::COLUMNS;
    let select =
        format!("SELECT {columns} FROM ledger WHERE sequence > ? ORDER BY sequence LIMIT ?");
    let mut select = connection.prepare(&select)?;
    let rows = select.query_and_then(params![signed(after), signed(limit as u64)], |row| {
        Ok(EntryRow::try_from(row)?.entry()?)
    })?;
    rows.collect()
}

pub(super) fn verify(connection: &Connection, known: &[Digest]) -> Work<Verification> {
    let select = "SELECT sequence, at, run, kind, body, hash FROM ledger ORDER BY sequence";
    let mut select = connection.prepare(select)?;
    let mut rows = select.query([])?;
    let mut verifier = Verifier::new(known);
    while let Some(row) = rows.next()? {
        if let Some(verdict) = verifier.push(link(row)?) {
            return Ok(verdict);
        }
    }
    Ok(verifier.finish())
}

/// The bytes as they lie there: text that is damaged may be none any more.
fn link(row: &Row<'_>) -> Work<Link> {
    let bytes = |column| {
        Ok::<_, rusqlite::Error>(match row.get_ref(column)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_vec()),
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
        })
    };
    Ok(Link {
        sequence: row.get(0)?,
        at: bytes(1)?.unwrap_or_default(),
        run: bytes(2)?,
        kind: bytes(3)?.unwrap_or_default(),
        body: bytes(4)?.unwrap_or_default(),
        hash: bytes(5)?.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::sqlite::schema;

    #[test]
    fn an_audit_reads_by_indices_alone() {
        let folder = tempfile::tempdir().unwrap();
        let connection = schema::connect(&folder.path().join("state.db"), Duration::ZERO);
        let Ok(connection) = connection else {
            panic!("no store can be made here")
        };
        for statement in [DELIVERED, DELETED, REJECTED] {
            let statement = statement.replace('?', "1");
            let explain = format!("EXPLAIN QUERY PLAN {statement}");
            let mut explain = connection.prepare(&explain).unwrap();
            let plan: Vec<String> = explain
                .query_map([], |row| row.get("detail"))
                .unwrap()
                .collect::<rusqlite::Result<_>>()
                .unwrap();
            let by_index = |step: &String| step.starts_with("SEARCH ") && step.contains("USING");
            assert!(!plan.is_empty() && plan.iter().all(by_index), "{plan:?}");
        }
    }
}
