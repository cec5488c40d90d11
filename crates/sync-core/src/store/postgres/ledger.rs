//! What an auditor asks: what became of a record, what was refused, and whether the ledger holds.

use std::pin::pin;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use super::change::{Values, refused, rows, scope_number};
use super::patience::{ask, change};
use crate::batch::RecordKey;
use crate::error::Result;
use crate::id::Digest;
use crate::ledger::{Entry, EntryKind, Link, Verification, Verifier};
use crate::postgres::Session;
use crate::store::rows::{EntryRow, LetterRow, TraceRow};
use crate::store::stored::{MOST_REJECTIONS, signed};
use crate::store::{Claim, LedgerStore, Outcome, RecordAudit, RecordTrace, Scope};

#[async_trait]
impl LedgerStore for PostgresStore {
    async fn note(&self, claim: &Claim, kind: EntryKind, body: &str) -> Result<Digest> {
        let head = change!(self, Some(claim), |change| change.append(
            Some(claim.run),
            kind,
            body
        ))?;
        Ok(head.hash)
    }

    async fn audit(&self, scope: &Scope, key: &RecordKey) -> Result<RecordAudit> {
        ask!(self, |session| audit(&session, scope, key))
    }

    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>> {
        ask!(self, |session| entries(&session, after, limit))
    }

    async fn verify(&self, known: &[Digest]) -> Result<Verification> {
        ask!(self, |session| verify(&session, known))
    }
}

/// By the primary keys of both tables.
const DELIVERED: &str = "SELECT records.record, records.row, batches.batch, batches.run,
        batches.origins, batches.job, batches.settled_at
    FROM records JOIN batches ON batches.number = records.batch
    WHERE records.scope = $1 AND records.key = $2";

/// By the primary keys of both tables.
const DELETED: &str = "SELECT deleted_records.record, deleted_records.row, batches.batch,
        batches.run, batches.origins, batches.job, batches.settled_at
    FROM deleted_records JOIN batches ON batches.number = deleted_records.batch
    WHERE deleted_records.scope = $1 AND deleted_records.key = $2";

/// By an index of its own.
const REJECTED: &str = "SELECT at, run, batch, letter FROM dead_letters
    WHERE scope = $1 AND key = $2 ORDER BY number DESC LIMIT $3";

pub(super) async fn audit(
    session: &Session,
    scope: &Scope,
    key: &RecordKey,
) -> Result<RecordAudit> {
    let Some(number) = scope_number(session, scope).await? else {
        return Ok(RecordAudit::default());
    };
    let mut last = trace(session, DELIVERED, Outcome::Delivered, number, key).await?;
    if last.is_none() {
        last = trace(session, DELETED, Outcome::Deleted, number, key).await?;
    }
    let values: Values<'_> = &[&number, &key.as_str(), &MOST_REJECTIONS];
    let found = rows(session, REJECTED, values).await?;
    let rejected = found.iter().map(|row| LetterRow::from(row).rejection());
    let rejected = rejected.collect::<Result<_>>()?;
    Ok(RecordAudit { last, rejected })
}

async fn trace(
    session: &Session,
    select: &str,
    outcome: Outcome,
    scope: i64,
    key: &RecordKey,
) -> Result<Option<RecordTrace>> {
    let found = rows(session, select, &[&scope, &key.as_str()]).await?;
    let trace = found.first().map(|row| TraceRow::from(row).trace(outcome));
    trace.transpose()
}

pub(super) async fn entries(session: &Session, after: u64, limit: usize) -> Result<Vec<Entry>> {
    let columns = EntryRow::COLUMNS;
    let select =
        format!("SELECT {columns} FROM ledger WHERE sequence > $1 ORDER BY sequence LIMIT $2");
    let values: Values<'_> = &[&signed(after), &signed(limit as u64)];
    let found = rows(session, &select, values).await?;
    let entries = found.iter().map(|row| EntryRow::from(row).entry());
    entries.collect()
}

async fn verify(session: &Session, known: &[Digest]) -> Result<Verification> {
    let select = "SELECT sequence, at, run, kind, body, hash FROM ledger ORDER BY sequence";
    let none: [&(dyn ToSql + Sync); 0] = [];
    let rows = session.query_raw(select, none).await.map_err(refused)?;
    let mut rows = pin!(rows);
    let mut verifier = Verifier::new(known);
    while let Some(row) = rows.try_next().await.map_err(refused)? {
        let link = Link {
            sequence: row.get(0),
            at: row.get::<_, String>(1).into_bytes(),
            run: row.get::<_, Option<String>>(2).map(String::into_bytes),
            kind: row.get::<_, String>(3).into_bytes(),
            body: row.get::<_, String>(4).into_bytes(),
            hash: row.get(5),
        };
        if let Some(verdict) = verifier.push(link) {
            return Ok(verdict);
        }
    }
    Ok(verifier.finish())
}

#[cfg(all(test, unix))]
mod tests {
    use intacct_sync_postgres_fixture::Server;

    use super::*;
    use crate::store::{PostgresStore, PostgresStoreOptions};

    #[tokio::test]
    async fn an_audit_reads_by_indices_alone() {
        let Some(server) = Server::shared() else {
            return;
        };
        let database = server.database();
        let settings = database.settings().into();
        PostgresStore::open(&settings, PostgresStoreOptions::default())
            .await
            .unwrap();
        database.ask(
            "SET search_path = intacct_sync;
             INSERT INTO runs (run, pipeline, sink, company, begun_at) VALUES ('r', '', '', '', '');
             INSERT INTO scopes (pipeline, sink, stream) VALUES ('', '', '');
             INSERT INTO batches (scope, batch, run, place, rows, entry, prepared_at)
                 SELECT 1, n, 'r', '', 0, '', '' FROM generate_series(1, 2000) AS n;
             INSERT INTO records (scope, key, record, batch)
                 SELECT 1, n, '', n % 2000 + 1 FROM generate_series(1, 50000) AS n;
             INSERT INTO deleted_records (scope, key, record, batch)
                 SELECT 1, n, '', n % 2000 + 1 FROM generate_series(1, 50000) AS n;
             INSERT INTO dead_letters (scope, fingerprint, run, at, letter, key)
                 SELECT 1, int4send(n), 'r', '', '', n FROM generate_series(1, 50000) AS n;
             ANALYZE",
        );
        for statement in [DELIVERED, DELETED, REJECTED] {
            let statement = statement
                .replace("$1", "1")
                .replace("$2", "'4711'")
                .replace("$3", "100");
            let plan = database.ask(&format!(
                "SET search_path = intacct_sync; EXPLAIN (COSTS off) {statement}"
            ));
            assert!(plan.contains("Index"), "{plan}");
            assert!(!plan.contains("Seq Scan"), "{plan}");
        }
    }
}
