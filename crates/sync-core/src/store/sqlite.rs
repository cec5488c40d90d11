//! The embedded store: one SQLite file.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{
    DeadLetter, PreparedBatch, RecordTrace, Scope, SettledRecord, Settlement, Store, UnsettledBatch,
};
use crate::batch::{Operation, RecordKey};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::id::{BatchId, Digest, Hasher, RecordId, RunId};
use crate::ledger::{Entry, EntryKind, Head, Verification};
use crate::spool::Spooled;
use crate::window::{Checkpoint, Cursor, OpenWindow, Window, rfc3339};

/// The version of [`SCHEMA`], kept in SQLite's `user_version`.
const SCHEMA_VERSION: i64 = 2;

const SCHEMA: &str = "
CREATE TABLE ledger (
    sequence INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    run TEXT,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE TABLE runs (
    run TEXT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    sink TEXT NOT NULL,
    company TEXT NOT NULL,
    begun_at TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT
) STRICT;
CREATE TABLE scopes (
    scope INTEGER PRIMARY KEY,
    pipeline TEXT NOT NULL,
    sink TEXT NOT NULL,
    stream TEXT NOT NULL,
    watermark TEXT,
    window_from TEXT,
    window_until TEXT,
    window_cursor TEXT,
    next_ordinal INTEGER NOT NULL DEFAULT 0,
    UNIQUE (pipeline, sink, stream)
) STRICT;
CREATE TABLE batches (
    number INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL REFERENCES scopes,
    batch TEXT NOT NULL,
    run TEXT NOT NULL REFERENCES runs,
    place TEXT NOT NULL,
    rows INTEGER NOT NULL,
    cursor TEXT,
    spooled TEXT,
    entry BLOB NOT NULL,
    prepared_at TEXT NOT NULL,
    settled_at TEXT,
    job TEXT,
    UNIQUE (scope, batch)
) STRICT;
CREATE INDEX batches_unsettled ON batches (scope, number) WHERE settled_at IS NULL;
CREATE INDEX batches_spooled ON batches (settled_at) WHERE spooled IS NOT NULL;
CREATE TABLE records (
    scope INTEGER NOT NULL REFERENCES scopes,
    key TEXT NOT NULL,
    record BLOB NOT NULL,
    batch INTEGER NOT NULL REFERENCES batches,
    owner TEXT,
    period TEXT,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX records_of_owner ON records (scope, owner) WHERE owner IS NOT NULL;
CREATE TABLE dead_letters (
    number INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL REFERENCES scopes,
    fingerprint BLOB NOT NULL,
    run TEXT NOT NULL REFERENCES runs,
    batch TEXT,
    at TEXT NOT NULL,
    letter TEXT NOT NULL,
    UNIQUE (scope, fingerprint)
) STRICT;
";

/// From version 1: what a record belongs to, and where it counts, is known of those settled from now on.
const FROM_VERSION_1: &str = "
ALTER TABLE records ADD COLUMN owner TEXT;
ALTER TABLE records ADD COLUMN period TEXT;
CREATE INDEX records_of_owner ON records (scope, owner) WHERE owner IS NOT NULL;
";

/// A [`Store`] in one SQLite file, for one process at a time.
///
/// The file is held by a lock on `FILE.lock`, which the operating system lets go of when the
/// process ends, however it ends. Every change is one transaction that is synced to the disk.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    connection: Mutex<Connection>,
    /// Held for its lock alone.
    _lock: File,
}

impl SqliteStore {
    /// Opens a store, and makes it where it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] where another process holds it, [`ErrorKind::Config`] where the
    /// file cannot be made or is not a store, [`ErrorKind::Unsupported`] where a newer version of
    /// this software made it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with_clock(path, Arc::new(SystemClock))
    }

    /// As [`SqliteStore::open`], with a clock of the caller's.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`].
    pub fn open_with_clock(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let lock = hold(&path)?;
        let connection = connect(&path).map_err(|failure| failure.explained(&path))?;
        let connection = Mutex::new(connection);
        Ok(Self {
            shared: Arc::new(Shared {
                path,
                clock,
                connection,
                _lock: lock,
            }),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Work<T> + Send + 'static,
    ) -> Result<T> {
        self.blocking(move |connection, _| work(connection)).await
    }

    /// One transaction that takes the write lock at its start, so that it never fails halfway for
    /// want of it.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Change<'_>) -> Work<T> + Send + 'static,
    ) -> Result<T> {
        self.blocking(move |connection, now| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let change = Change {
                transaction,
                now: rfc3339(now),
            };
            let value = work(&change)?;
            change.transaction.commit()?;
            Ok(value)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, OffsetDateTime) -> Work<T> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        let result = tokio::task::spawn_blocking(move || {
            let mut connection = shared
                .connection
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            work(&mut connection, shared.clock.now())
                .map_err(|failure| failure.explained(&shared.path))
        });
        result.await.map_err(|error| {
            Error::new(ErrorKind::Internal, "work on the store was cut short").caused_by(error)
        })?
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn begin_run(&self, run: RunId, pipeline: &str, sink: &str, company: &str) -> Result<()> {
        let (pipeline, sink, company) = (pipeline.to_owned(), sink.to_owned(), company.to_owned());
        self.change(move |change| {
            let insert =
                "INSERT INTO runs (run, pipeline, sink, company, begun_at) VALUES (?, ?, ?, ?, ?)";
            change.execute(
                insert,
                params![run.to_string(), pipeline, sink, company, change.now],
            )?;
            let body = json!({ "pipeline": pipeline, "sink": sink, "company": company });
            change
                .append(Some(run), EntryKind::RunBegun, &body.to_string())
                .map(drop)
        })
        .await
    }

    async fn end_run(&self, run: RunId, outcome: &str) -> Result<Head> {
        let outcome = outcome.to_owned();
        self.change(move |change| {
            let update = "UPDATE runs SET ended_at = ?, outcome = ? WHERE run = ?";
            change.execute(update, params![change.now, outcome, run.to_string()])?;
            change.append(Some(run), EntryKind::RunEnded, &outcome)
        })
        .await
    }

    async fn checkpoint(&self, scope: &Scope) -> Result<Checkpoint> {
        let scope = scope.clone();
        self.read(move |connection| {
            let select = "SELECT watermark, window_from, window_until, window_cursor, next_ordinal
                          FROM scopes WHERE pipeline = ? AND sink = ? AND stream = ?";
            let found = connection.query_row(select, scope_key(&scope), |row| {
                Ok(Stored {
                    watermark: row.get(0)?,
                    from: row.get(1)?,
                    until: row.get(2)?,
                    cursor: row.get(3)?,
                    next_ordinal: row.get(4)?,
                })
            });
            match found.optional()? {
                Some(stored) => stored.checkpoint(),
                None => Ok(Checkpoint::default()),
            }
        })
        .await
    }

    async fn open_window(&self, run: RunId, scope: &Scope, window: Window) -> Result<()> {
        let scope = scope.clone();
        self.change(move |change| {
            let number = change.scope(&scope)?;
            let update =
                "UPDATE scopes SET window_from = ?, window_until = ?, window_cursor = NULL,
                          next_ordinal = 0 WHERE scope = ?";
            let (from, until) = (window.from.map(rfc3339), rfc3339(window.until));
            change.execute(update, params![from, until, number])?;
            let body = json!({ "scope": scope, "window": window });
            change
                .append(Some(run), EntryKind::WindowOpened, &body.to_string())
                .map(drop)
        })
        .await
    }

    async fn changed(&self, scope: &Scope, records: &[(RecordKey, RecordId)]) -> Result<Vec<bool>> {
        let (scope, records) = (scope.clone(), records.to_owned());
        self.read(move |connection| {
            let Some(number) = scope_number(connection, &scope)? else {
                return Ok(vec![true; records.len()]);
            };
            let select = "SELECT record FROM records WHERE scope = ? AND key = ?";
            let mut select = connection.prepare_cached(select)?;
            let mut changed = Vec::with_capacity(records.len());
            for (key, id) in &records {
                let known: Option<[u8; 16]> = select
                    .query_row(params![number, key.as_str()], |row| row.get(0))
                    .optional()?;
                changed.push(known.as_ref() != Some(id.as_bytes()));
            }
            Ok(changed)
        })
        .await
    }

    async fn prepare(&self, batch: &PreparedBatch, unreadable: &[DeadLetter]) -> Result<Digest> {
        let (batch, unreadable) = (batch.clone(), unreadable.to_owned());
        self.change(move |change| {
            let scope = change.scope(&batch.scope)?;
            change.keep_dead_letters(batch.run, &batch.scope, scope, None, &unreadable)?;
            let body = json!({
                "scope": batch.scope,
                "batch": batch.id,
                "place": batch.place,
                "rows": batch.rows,
                "payload": batch.spooled,
            });
            let head =
                change.append(Some(batch.run), EntryKind::BatchPrepared, &body.to_string())?;
            let insert = "INSERT INTO batches
                          (scope, batch, run, place, rows, cursor, spooled, entry, prepared_at)
                          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
            let row = params![
                scope,
                batch.id.to_string(),
                batch.run.to_string(),
                json_text(&batch.place)?,
                count(batch.rows),
                batch.cursor.as_ref().map(|cursor| &cursor.0),
                json_text(&batch.spooled)?,
                head.hash.as_bytes(),
                change.now,
            ];
            change.execute(insert, row)?;
            Ok(head.hash)
        })
        .await
    }

    async fn settle(&self, settlement: Settlement) -> Result<()> {
        self.change(move |change| change.settle(&settlement)).await
    }

    async fn advance(
        &self,
        run: RunId,
        scope: &Scope,
        cursor: Option<&Cursor>,
        unreadable: &[DeadLetter],
    ) -> Result<()> {
        let (scope, cursor, unreadable) = (scope.clone(), cursor.cloned(), unreadable.to_owned());
        self.change(move |change| {
            let number = change.scope(&scope)?;
            change.keep_dead_letters(run, &scope, number, None, &unreadable)?;
            let Some(cursor) = cursor else { return Ok(()) };
            let update = "UPDATE scopes SET window_cursor = ? WHERE scope = ?";
            change.execute(update, params![cursor.0, number])?;
            let body = json!({ "scope": scope, "cursor": cursor });
            change
                .append(Some(run), EntryKind::Advanced, &body.to_string())
                .map(drop)
        })
        .await
    }

    async fn complete_window(&self, run: RunId, scope: &Scope) -> Result<()> {
        let scope = scope.clone();
        self.change(move |change| {
            let number = change.scope(&scope)?;
            let select = "SELECT max(coalesce(watermark, ''), window_until) FROM scopes
                          WHERE scope = ? AND window_until IS NOT NULL";
            let watermark: Option<String> = change
                .transaction
                .query_row(select, [number], |row| row.get(0))
                .optional()?;
            let Some(watermark) = watermark else {
                let what = "a window was completed that was never opened";
                let error = Error::new(ErrorKind::Internal, what);
                return Err(error.with("scope", scope.to_string()).into());
            };
            let update = "UPDATE scopes SET watermark = ?, window_from = NULL, window_until = NULL,
                          window_cursor = NULL, next_ordinal = 0 WHERE scope = ?";
            change.execute(update, params![watermark, number])?;
            let body = json!({ "scope": scope, "watermark": watermark });
            change
                .append(Some(run), EntryKind::WindowCompleted, &body.to_string())
                .map(drop)
        })
        .await
    }

    async fn unsettled(&self, scope: &Scope) -> Result<Vec<UnsettledBatch>> {
        let scope = scope.clone();
        self.read(move |connection| {
            let Some(number) = scope_number(connection, &scope)? else {
                return Ok(Vec::new());
            };
            let select = "SELECT batch, run, place, rows, cursor, spooled, entry FROM batches
                          WHERE scope = ? AND settled_at IS NULL ORDER BY number";
            let mut select = connection.prepare(select)?;
            let rows = select.query_and_then([number], |row| unsettled(&scope, row))?;
            rows.collect()
        })
        .await
    }

    async fn expired(&self, settled_before: OffsetDateTime) -> Result<Vec<(BatchId, Spooled)>> {
        let limit = rfc3339(settled_before);
        self.read(move |connection| {
            let select = "SELECT batch, spooled FROM batches
                          WHERE spooled IS NOT NULL AND settled_at < ? ORDER BY settled_at";
            let mut select = connection.prepare(select)?;
            let rows = select.query_and_then([limit], |row| {
                let (batch, spooled): (String, String) = (row.get(0)?, row.get(1)?);
                Ok((batch.parse()?, from_json(&spooled)?))
            })?;
            rows.collect()
        })
        .await
    }

    async fn forget_payloads(&self, batches: &[BatchId]) -> Result<()> {
        let batches = batches.to_owned();
        self.change(move |change| {
            let update =
                "UPDATE batches SET spooled = NULL WHERE batch = ? AND settled_at IS NOT NULL";
            for batch in &batches {
                change.execute(update, [batch.to_string()])?;
            }
            Ok(())
        })
        .await
    }

    async fn live_records(&self, scope: &Scope) -> Result<u64> {
        let scope = scope.clone();
        self.read(move |connection| {
            let Some(number) = scope_number(connection, &scope)? else {
                return Ok(0);
            };
            let select = "SELECT count(*) FROM records WHERE scope = ?";
            let live: i64 = connection.query_row(select, [number], |row| row.get(0))?;
            Ok(u64::try_from(live).unwrap_or(0))
        })
        .await
    }

    async fn live_by_period(&self, scope: &Scope) -> Result<Option<BTreeMap<String, u64>>> {
        let scope = scope.clone();
        self.read(move |connection| {
            let Some(number) = scope_number(connection, &scope)? else {
                return Ok(Some(BTreeMap::new()));
            };
            let select = "SELECT period, count(*) FROM records WHERE scope = ? GROUP BY period";
            let mut select = connection.prepare(select)?;
            let rows = select.query_map([number], |row| {
                let (period, records): (Option<String>, i64) = (row.get(0)?, row.get(1)?);
                Ok(period.map(|period| (period, u64::try_from(records).unwrap_or(0))))
            })?;
            Ok(rows.collect::<rusqlite::Result<Option<_>>>()?)
        })
        .await
    }

    async fn live_keys(&self, scope: &Scope, keys: &[RecordKey]) -> Result<Vec<RecordKey>> {
        let (scope, keys) = (scope.clone(), keys.to_owned());
        self.read(move |connection| {
            let Some(number) = scope_number(connection, &scope)? else {
                return Ok(Vec::new());
            };
            let select = "SELECT EXISTS (SELECT 1 FROM records WHERE scope = ? AND key = ?)";
            let mut select = connection.prepare_cached(select)?;
            let mut live = Vec::new();
            for key in keys {
                let lives = select.query_row(params![number, key.as_str()], |row| row.get(0))?;
                if lives {
                    live.push(key);
                }
            }
            Ok(live)
        })
        .await
    }

    async fn keys_of_owners(&self, scope: &Scope, owners: &[String]) -> Result<Vec<RecordKey>> {
        let (scope, owners) = (scope.clone(), owners.to_owned());
        self.read(move |connection| {
            let Some(number) = scope_number(connection, &scope)? else {
                return Ok(Vec::new());
            };
            let select = "SELECT key FROM records WHERE scope = ? AND owner = ? ORDER BY key";
            let mut select = connection.prepare_cached(select)?;
            let mut keys = Vec::new();
            for owner in &owners {
                let rows = select.query_map(params![number, owner], |row| {
                    row.get::<_, String>(0).map(RecordKey::from_text)
                })?;
                for key in rows {
                    keys.push(key?);
                }
            }
            Ok(keys)
        })
        .await
    }

    async fn begin_census(&self, _: &Scope, periods: Option<&[String]>) -> Result<()> {
        let periods = periods.map(<[String]>::to_vec);
        // In temporary tables: a census that a crash cut short is worth nothing.
        self.read(move |connection| {
            connection.execute_batch(
                "DROP TABLE IF EXISTS temp.census;
                 DROP TABLE IF EXISTS temp.census_periods;
                 CREATE TEMPORARY TABLE census (key TEXT PRIMARY KEY) WITHOUT ROWID;
                 CREATE TEMPORARY TABLE census_periods (period TEXT PRIMARY KEY) WITHOUT ROWID;",
            )?;
            let insert = "INSERT OR IGNORE INTO temp.census_periods (period) VALUES (?)";
            let mut insert = connection.prepare(insert)?;
            for period in periods.iter().flatten() {
                insert.execute([period])?;
            }
            Ok(())
        })
        .await
    }

    async fn count_keys(&self, _: &Scope, keys: &[RecordKey]) -> Result<()> {
        let keys = keys.to_owned();
        self.change(move |change| {
            let insert = "INSERT OR IGNORE INTO temp.census (key) VALUES (?)";
            for key in &keys {
                change.execute(insert, [key.as_str()])?;
            }
            Ok(())
        })
        .await
    }

    async fn missing_keys(
        &self,
        scope: &Scope,
        after: Option<&RecordKey>,
        limit: usize,
    ) -> Result<Vec<RecordKey>> {
        let (scope, after) = (scope.clone(), after.cloned());
        self.read(move |connection| {
            let Some(number) = scope_number(connection, &scope)? else {
                return Ok(Vec::new());
            };
            let select = "SELECT key FROM records WHERE scope = ?1 AND (?2 IS NULL OR key > ?2)
                          AND NOT EXISTS (SELECT 1 FROM temp.census WHERE census.key = records.key)
                          AND (NOT EXISTS (SELECT 1 FROM temp.census_periods)
                               OR period IN (SELECT period FROM temp.census_periods))
                          ORDER BY key LIMIT ?3";
            let mut select = connection.prepare_cached(select)?;
            let after = after.as_ref().map(RecordKey::as_str);
            let rows = select.query_map(params![number, after, count(limit)], |row| {
                row.get::<_, String>(0).map(RecordKey::from_text)
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn note(&self, run: RunId, kind: EntryKind, body: &str) -> Result<Digest> {
        let body = body.to_owned();
        self.change(move |change| Ok(change.append(Some(run), kind, &body)?.hash))
            .await
    }

    async fn trace(&self, scope: &Scope, key: &RecordKey) -> Result<Option<RecordTrace>> {
        let (scope, key) = (scope.clone(), key.clone());
        self.read(move |connection| {
            let Some(number) = scope_number(connection, &scope)? else {
                return Ok(None);
            };
            let select = "SELECT records.record, batches.batch, batches.run, batches.settled_at
                          FROM records JOIN batches ON batches.number = records.batch
                          WHERE records.scope = ? AND records.key = ?";
            let mut select = connection.prepare(select)?;
            let mut rows = select.query_and_then(params![number, key.as_str()], |row| {
                let (batch, run): (String, String) = (row.get(1)?, row.get(2)?);
                Ok(RecordTrace {
                    record: RecordId::from_bytes(row.get(0)?),
                    batch: batch.parse()?,
                    run: run.parse()?,
                    settled_at: row.get(3)?,
                })
            })?;
            rows.next().transpose()
        })
        .await
    }

    async fn dead_letters(&self, scope: &Scope, limit: usize) -> Result<Vec<DeadLetter>> {
        let scope = scope.clone();
        self.read(move |connection| {
            let Some(number) = scope_number(connection, &scope)? else {
                return Ok(Vec::new());
            };
            let select =
                "SELECT letter FROM dead_letters WHERE scope = ? ORDER BY number DESC LIMIT ?";
            let mut select = connection.prepare(select)?;
            let rows = select.query_and_then(params![number, count(limit)], |row| {
                from_json(&row.get::<_, String>(0)?)
            })?;
            rows.collect()
        })
        .await
    }

    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>> {
        self.read(move |connection| {
            let select = "SELECT sequence, at, run, kind, body, hash FROM ledger
                          WHERE sequence > ? ORDER BY sequence LIMIT ?";
            let mut select = connection.prepare(select)?;
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            let rows = select.query_and_then(params![after, count(limit)], entry)?;
            rows.collect()
        })
        .await
    }

    async fn verify(&self) -> Result<Verification> {
        self.read(|connection| {
            let select = "SELECT sequence, at, run, kind, body, hash FROM ledger ORDER BY sequence";
            let mut select = connection.prepare(select)?;
            let mut head = Head::genesis();
            for entry in select.query_and_then([], entry)? {
                let entry = entry?;
                let expected = head.followed_by(&entry.at, entry.run, &entry.kind, &entry.body);
                let broken = |reason: &str| {
                    let (sequence, reason) = (expected.sequence, reason.to_owned());
                    Ok(Verification::Broken { sequence, reason })
                };
                if entry.sequence != expected.sequence {
                    return broken("an entry is missing");
                }
                if entry.hash != expected.hash {
                    return broken(
                        "the entry is not what was written, or does not follow the one before",
                    );
                }
                head = expected;
            }
            Ok(Verification::Intact { head })
        })
        .await
    }
}

/// A write transaction, and the time that it notes.
struct Change<'a> {
    transaction: Transaction<'a>,
    now: String,
}

impl Change<'_> {
    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Work<usize> {
        Ok(self.transaction.prepare_cached(sql)?.execute(values)?)
    }

    fn append(&self, run: Option<RunId>, kind: EntryKind, body: &str) -> Work<Head> {
        let select = "SELECT sequence, hash FROM ledger ORDER BY sequence DESC LIMIT 1";
        let last = self
            .transaction
            .prepare_cached(select)?
            .query_row([], |row| {
                let (sequence, hash): (i64, [u8; 32]) = (row.get(0)?, row.get(1)?);
                let sequence = u64::try_from(sequence).unwrap_or(0);
                Ok(Head {
                    sequence,
                    hash: Digest::from_bytes(hash),
                })
            });
        let last = last.optional()?.unwrap_or_else(Head::genesis);
        let head = last.followed_by(&self.now, run, kind.as_str(), body);
        let insert =
            "INSERT INTO ledger (sequence, at, run, kind, body, hash) VALUES (?, ?, ?, ?, ?, ?)";
        let sequence = i64::try_from(head.sequence).unwrap_or(i64::MAX);
        let run = run.map(|run| run.to_string());
        self.execute(
            insert,
            params![
                sequence,
                self.now,
                run,
                kind.as_str(),
                body,
                head.hash.as_bytes()
            ],
        )?;
        Ok(head)
    }

    /// The number of a scope, which is made where it is new.
    fn scope(&self, scope: &Scope) -> Work<i64> {
        if let Some(number) = scope_number(&self.transaction, scope)? {
            return Ok(number);
        }
        self.execute(
            "INSERT INTO scopes (pipeline, sink, stream) VALUES (?, ?, ?)",
            scope_key(scope),
        )?;
        Ok(self.transaction.last_insert_rowid())
    }

    fn settle(&self, settlement: &Settlement) -> Work<()> {
        let Settlement {
            batch,
            receipt,
            records,
            dead_letters,
        } = settlement;
        let scope = self.scope(&batch.scope)?;
        let update = "UPDATE batches SET settled_at = ?1, job = ?2
                      WHERE scope = ?3 AND batch = ?4 AND settled_at IS NULL RETURNING number";
        let settled_at = rfc3339(receipt.at);
        let number: Option<i64> = self
            .transaction
            .prepare_cached(update)?
            .query_row(
                params![settled_at, receipt.job, scope, batch.id.to_string()],
                |row| row.get(0),
            )
            .optional()?;
        let Some(number) = number else {
            let what = "a batch was settled that is not waiting for it";
            let error = Error::new(ErrorKind::Conflict, what);
            return Err(error.with("batch", batch.id.to_string()).into());
        };
        let mut refused = receipt
            .rejected
            .iter()
            .map(|rejection| rejection.row)
            .peekable();
        for (row, record) in records.iter().enumerate() {
            let SettledRecord {
                key,
                id,
                owner,
                period,
            } = record;
            if refused.next_if_eq(&row).is_some() {
                continue;
            }
            match batch.place.operation {
                Operation::Upsert => self.execute(
                    "INSERT INTO records (scope, key, record, batch, owner, period)
                     VALUES (?, ?, ?, ?, ?, ?)
                     ON CONFLICT DO UPDATE SET record = excluded.record, batch = excluded.batch,
                         owner = excluded.owner, period = excluded.period",
                    params![scope, key.as_str(), id.as_bytes(), number, owner, period],
                )?,
                Operation::Delete => self.execute(
                    "DELETE FROM records WHERE scope = ? AND key = ?",
                    params![scope, key.as_str()],
                )?,
            };
        }
        self.keep_dead_letters(batch.run, &batch.scope, scope, Some(batch.id), dead_letters)?;
        let update = "UPDATE scopes SET window_cursor = coalesce(?, window_cursor),
                      next_ordinal = max(next_ordinal, ?) WHERE scope = ?";
        let next = i64::try_from(batch.place.ordinal.saturating_add(1)).unwrap_or(i64::MAX);
        let cursor = batch.cursor.as_ref().map(|cursor| &cursor.0);
        self.execute(update, params![cursor, next, scope])?;
        let body = json!({
            "scope": batch.scope,
            "batch": batch.id,
            "rows": batch.rows,
            "rejected": receipt.rejected.len(),
            "job": receipt.job,
            "settled_at": settled_at,
        });
        self.append(Some(batch.run), EntryKind::BatchSettled, &body.to_string())
            .map(drop)
    }

    fn keep_dead_letters(
        &self,
        run: RunId,
        scope: &Scope,
        number: i64,
        batch: Option<BatchId>,
        letters: &[DeadLetter],
    ) -> Work<()> {
        let mut kept = 0;
        for letter in letters {
            let text = json_text(letter)?;
            // The lookback reads a record again; the same letter is kept once.
            let fingerprint = Hasher::new("intacct-sync/letter/1")
                .part(text.as_bytes())
                .digest();
            kept += self.execute(
                "INSERT OR IGNORE INTO dead_letters (scope, fingerprint, run, batch, at, letter)
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    number,
                    fingerprint.as_bytes(),
                    run.to_string(),
                    batch.map(|batch| batch.to_string()),
                    self.now,
                    text,
                ],
            )?;
        }
        if kept == 0 {
            return Ok(());
        }
        let body = json!({ "scope": scope, "batch": batch, "records": kept });
        self.append(Some(run), EntryKind::RecordsRejected, &body.to_string())
            .map(drop)
    }
}

/// A row of `scopes`.
struct Stored {
    watermark: Option<String>,
    from: Option<String>,
    until: Option<String>,
    cursor: Option<String>,
    next_ordinal: i64,
}

impl Stored {
    fn checkpoint(self) -> Work<Checkpoint> {
        let open = match self.until {
            None => None,
            Some(until) => Some(OpenWindow {
                window: Window {
                    from: self.from.map(parse_time).transpose()?,
                    until: parse_time(until)?,
                },
                cursor: self.cursor.map(Cursor),
                next_ordinal: u64::try_from(self.next_ordinal).unwrap_or(0),
            }),
        };
        Ok(Checkpoint {
            watermark: self.watermark.map(parse_time).transpose()?,
            open,
        })
    }
}

fn hold(path: &Path) -> Result<File> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let refused =
        |kind, what: &str| Error::new(kind, what).with("lock", lock_path.display().to_string());
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(|error| {
            let what = "the store's folder cannot be written to; choose one that can";
            refused(ErrorKind::Config, what).caused_by(error)
        })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let what = "another process is using this store; wait until it has ended";
            Err(refused(ErrorKind::Conflict, what).retrying(Retry::Backoff))
        }
        Err(TryLockError::Error(error)) => {
            let what = "this file system keeps no locks; put the store on a local disk";
            Err(refused(ErrorKind::Config, what).caused_by(error))
        }
    }
}

fn connect(path: &Path) -> Work<Connection> {
    let mut connection = Connection::open(path)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        0 => {
            let tables: i64 =
                transaction
                    .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            if tables > 0 {
                let what = "this SQLite file is not a store; choose a file of its own";
                return Err(Error::new(ErrorKind::Config, what).into());
            }
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        SCHEMA_VERSION => {}
        1 => {
            transaction.execute_batch(FROM_VERSION_1)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        newer => {
            let what = "a newer version of this software made the store; use that one";
            let error = Error::new(ErrorKind::Unsupported, what);
            return Err(error.with("version", newer.to_string()).into());
        }
    }
    transaction.commit()?;
    Ok(connection)
}

fn scope_key(scope: &Scope) -> [&str; 3] {
    [&scope.pipeline, &scope.sink, scope.stream.as_str()]
}

fn scope_number(connection: &Connection, scope: &Scope) -> Work<Option<i64>> {
    let select = "SELECT scope FROM scopes WHERE pipeline = ? AND sink = ? AND stream = ?";
    let mut select = connection.prepare_cached(select)?;
    Ok(select
        .query_row(scope_key(scope), |row| row.get(0))
        .optional()?)
}

fn unsettled(scope: &Scope, row: &Row<'_>) -> Work<UnsettledBatch> {
    let (batch, run, place): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (rows, cursor): (i64, Option<String>) = (row.get(3)?, row.get(4)?);
    let spooled: String = row.get(5)?;
    let batch = PreparedBatch {
        id: batch.parse()?,
        run: run.parse()?,
        scope: scope.clone(),
        place: from_json(&place)?,
        rows: usize::try_from(rows).unwrap_or(0),
        spooled: from_json(&spooled)?,
        cursor: cursor.map(Cursor),
    };
    Ok(UnsettledBatch {
        batch,
        entry: Digest::from_bytes(row.get(6)?),
    })
}

fn entry(row: &Row<'_>) -> Work<Entry> {
    let (sequence, run): (i64, Option<String>) = (row.get(0)?, row.get(2)?);
    Ok(Entry {
        sequence: u64::try_from(sequence).unwrap_or(0),
        at: row.get(1)?,
        run: run.map(|run| run.parse()).transpose()?,
        kind: row.get(3)?,
        body: row.get(4)?,
        hash: Digest::from_bytes(row.get(5)?),
    })
}

fn json_text<T: serde::Serialize>(value: &T) -> Work<String> {
    serde_json::to_string(value).map_err(|error| {
        let what = "a value cannot be written to the store";
        Error::new(ErrorKind::Internal, what)
            .caused_by(error)
            .into()
    })
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Work<T> {
    serde_json::from_str(text).map_err(|error| damaged().caused_by(error).into())
}

fn parse_time(text: String) -> Work<OffsetDateTime> {
    OffsetDateTime::parse(&text, &Rfc3339).map_err(|error| damaged().caused_by(error).into())
}

fn damaged() -> Error {
    Error::new(
        ErrorKind::Data,
        "the store holds a value that it never writes: restore a copy",
    )
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What goes wrong inside the store: SQLite's word, or our own.
enum Failure {
    Sqlite(rusqlite::Error),
    Own(Error),
}

type Work<T> = std::result::Result<T, Failure>;

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

impl Failure {
    fn explained(self, path: &Path) -> Error {
        let error = match self {
            Self::Own(error) => error,
            Self::Sqlite(error) => explained(error),
        };
        error.with("store", path.display().to_string())
    }
}

fn explained(error: rusqlite::Error) -> Error {
    use ErrorKind::{Config, Conflict, Data, Internal, Unavailable};
    use rusqlite::ErrorCode;
    let (kind, what) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (
            Unavailable,
            "the store's disk is full; free space, then run again",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Conflict,
            "another program holds the store; close it, then run again",
        ),
        Some(ErrorCode::DatabaseCorrupt) => (Data, "the store is damaged; restore a copy"),
        Some(ErrorCode::NotADatabase) => (
            Config,
            "the store's file is not a SQLite database; choose another",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => (
            Config,
            "the store cannot be written to; mend its permissions",
        ),
        Some(ErrorCode::SystemIoFailure) => (
            Unavailable,
            "the store's disk fails; check it, then run again",
        ),
        _ => (Internal, "the store refused a statement"),
    };
    Error::new(kind, what).caused_by(error)
}
