//! The file: its tables, and how those of older versions are brought up to date. The version is kept in
//! SQLite's `user_version`.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::failure::Work;
use super::liveness::hold_against_older;
use crate::error::{Error, ErrorKind};
use crate::store::schema::{VERSION, Words, from_version_3};

/// What this database calls things. Tables are strict: a column holds what it says.
const WORDS: Words = Words {
    integer: "INTEGER",
    bytes: "BLOB",
    flag: "INTEGER",
    no: "0",
    ordered: "TEXT",
    table: " STRICT",
    table_by_key: " STRICT, WITHOUT ROWID",
    fault: "json_extract(letter, '$.column')",
};

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
    outcome TEXT,
    configuration TEXT
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
    origins TEXT,
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
    row INTEGER,
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
    key TEXT,
    UNIQUE (scope, fingerprint)
) STRICT;
";

/// What version 3 added: who holds which stream, what became of deleted records, and letters by key.
const LEASES_AND_TRACES: &str = "
CREATE TABLE leases (
    pipeline TEXT NOT NULL,
    stream TEXT NOT NULL,
    token INTEGER NOT NULL,
    run TEXT NOT NULL,
    host TEXT NOT NULL,
    process INTEGER NOT NULL,
    handle TEXT NOT NULL,
    since TEXT NOT NULL,
    renewed_at TEXT NOT NULL,
    until TEXT NOT NULL,
    held INTEGER NOT NULL,
    PRIMARY KEY (pipeline, stream)
) STRICT, WITHOUT ROWID;
CREATE TABLE deleted_records (
    scope INTEGER NOT NULL REFERENCES scopes,
    key TEXT NOT NULL,
    record BLOB NOT NULL,
    batch INTEGER NOT NULL REFERENCES batches,
    row INTEGER,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_configured ON runs (pipeline, sink, begun_at);
CREATE INDEX dead_letters_of_key ON dead_letters (scope, key, number) WHERE key IS NOT NULL;
";

/// From version 1: what a record belongs to, and where it counts, is known of those settled from now on.
const FROM_VERSION_1: &str = "
ALTER TABLE records ADD COLUMN owner TEXT;
ALTER TABLE records ADD COLUMN period TEXT;
CREATE INDEX records_of_owner ON records (scope, owner) WHERE owner IS NOT NULL;
";

/// From version 2: which answer of the source a record came in is known of those settled from now on.
const FROM_VERSION_2: &str = "
ALTER TABLE runs ADD COLUMN configuration TEXT;
ALTER TABLE batches ADD COLUMN origins TEXT;
ALTER TABLE records ADD COLUMN row INTEGER;
ALTER TABLE dead_letters ADD COLUMN key TEXT;
UPDATE dead_letters SET key = json_extract(letter, '$.key');
";

/// A census that a crash cut short is worth nothing, so it is kept for the connection alone.
const CENSUS: &str = "
CREATE TEMPORARY TABLE census (
    scope INTEGER, key TEXT, PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE TEMPORARY TABLE census_periods (
    scope INTEGER, period TEXT, PRIMARY KEY (scope, period)
) WITHOUT ROWID;
";

pub(super) fn connect(path: &Path, patience: Duration) -> Work<Connection> {
    let mut connection = Connection::open(path)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.busy_timeout(patience)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.execute_batch(CENSUS)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    bring_up_to_date(&transaction, path)?;
    transaction.commit()?;
    Ok(connection)
}

fn bring_up_to_date(transaction: &Transaction<'_>, path: &Path) -> Work<()> {
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        VERSION => return Ok(()),
        0 => {
            let tables: i64 =
                transaction
                    .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            if tables > 0 {
                let what = "this SQLite file is not a store; choose a file of its own";
                return Err(Error::new(ErrorKind::Config, what).into());
            }
            transaction.execute_batch(SCHEMA)?;
            transaction.execute_batch(LEASES_AND_TRACES)?;
        }
        3 => {}
        1 | 2 => {
            let lock = hold_against_older(path)?;
            if version == 1 {
                transaction.execute_batch(FROM_VERSION_1)?;
            }
            transaction.execute_batch(FROM_VERSION_2)?;
            transaction.execute_batch(LEASES_AND_TRACES)?;
            drop(lock);
        }
        newer => {
            let what = "a newer version of this software made the store; use that one";
            let error = Error::new(ErrorKind::Unsupported, what);
            return Err(error.with("version", newer.to_string()).into());
        }
    }
    transaction.execute_batch(&from_version_3(&WORDS))?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(())
}
