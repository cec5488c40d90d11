//! The tables, the same as in the embedded store but for the types' names. Their version is kept in
//! `store_version`.

use crate::error::{Error, ErrorKind, Result};
use crate::postgres::{Session, failed};
use crate::store::schema::{VERSION, Words, from_version_3};

/// What this database calls things.
const WORDS: Words = Words {
    integer: "BIGINT",
    bytes: "BYTEA",
    flag: "BOOLEAN",
    no: "false",
    ordered: "TEXT COLLATE \"C\"",
    table: "",
    table_by_key: "",
    // No text of this database can hold the character nought.
    fault: "CASE WHEN strpos(letter, '\\u0000') = 0 THEN letter::json ->> 'column' END",
};

/// Version 3. Texts are ordered by their bytes wherever their order matters. The keys of a census are kept as safely
/// as all the rest: one that lost keys would take records for deleted.
const SCHEMA: &str = r#"
CREATE TABLE store_version (version BIGINT NOT NULL);
CREATE TABLE ledger (
    sequence BIGINT PRIMARY KEY,
    at TEXT NOT NULL,
    run TEXT,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    hash BYTEA NOT NULL
);
CREATE TABLE runs (
    run TEXT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    sink TEXT NOT NULL,
    company TEXT NOT NULL,
    begun_at TEXT COLLATE "C" NOT NULL,
    ended_at TEXT,
    outcome TEXT,
    configuration TEXT
);
CREATE INDEX runs_configured ON runs (pipeline, sink, begun_at);
CREATE TABLE scopes (
    scope BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline TEXT NOT NULL,
    sink TEXT NOT NULL,
    stream TEXT NOT NULL,
    watermark TEXT COLLATE "C",
    window_from TEXT,
    window_until TEXT COLLATE "C",
    window_cursor TEXT,
    next_ordinal BIGINT NOT NULL DEFAULT 0,
    UNIQUE (pipeline, sink, stream)
);
CREATE TABLE leases (
    pipeline TEXT NOT NULL,
    stream TEXT NOT NULL,
    token BIGINT NOT NULL,
    run TEXT NOT NULL,
    host TEXT NOT NULL,
    process BIGINT NOT NULL,
    handle TEXT NOT NULL,
    since TEXT NOT NULL,
    renewed_at TEXT NOT NULL,
    until TEXT NOT NULL,
    held BOOLEAN NOT NULL,
    PRIMARY KEY (pipeline, stream)
);
CREATE TABLE batches (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope BIGINT NOT NULL REFERENCES scopes,
    batch TEXT NOT NULL,
    run TEXT NOT NULL REFERENCES runs,
    place TEXT NOT NULL,
    rows BIGINT NOT NULL,
    cursor TEXT,
    spooled TEXT,
    entry BYTEA NOT NULL,
    prepared_at TEXT NOT NULL,
    settled_at TEXT COLLATE "C",
    job TEXT,
    origins TEXT,
    UNIQUE (scope, batch)
);
CREATE INDEX batches_unsettled ON batches (scope, number) WHERE settled_at IS NULL;
CREATE INDEX batches_spooled ON batches (settled_at) WHERE spooled IS NOT NULL;
CREATE INDEX batches_by_id ON batches (batch);
CREATE TABLE records (
    scope BIGINT NOT NULL REFERENCES scopes,
    key TEXT COLLATE "C" NOT NULL,
    record BYTEA NOT NULL,
    batch BIGINT NOT NULL REFERENCES batches,
    owner TEXT,
    period TEXT,
    row BIGINT,
    PRIMARY KEY (scope, key)
);
CREATE INDEX records_of_owner ON records (scope, owner) WHERE owner IS NOT NULL;
CREATE TABLE deleted_records (
    scope BIGINT NOT NULL REFERENCES scopes,
    key TEXT COLLATE "C" NOT NULL,
    record BYTEA NOT NULL,
    batch BIGINT NOT NULL REFERENCES batches,
    row BIGINT,
    PRIMARY KEY (scope, key)
);
CREATE TABLE dead_letters (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope BIGINT NOT NULL REFERENCES scopes,
    fingerprint BYTEA NOT NULL,
    run TEXT NOT NULL REFERENCES runs,
    batch TEXT,
    at TEXT NOT NULL,
    letter TEXT NOT NULL,
    key TEXT,
    UNIQUE (scope, fingerprint)
);
CREATE INDEX dead_letters_of_key ON dead_letters (scope, key, number) WHERE key IS NOT NULL;
CREATE TABLE census (
    scope BIGINT NOT NULL REFERENCES scopes,
    key TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE TABLE census_periods (
    scope BIGINT NOT NULL REFERENCES scopes,
    period TEXT NOT NULL,
    PRIMARY KEY (scope, period)
);
"#;

pub(super) async fn bring_up_to_date(mut session: Session, schema: &str) -> Result<()> {
    let refused = |error| failed("the store's tables cannot be made", error);
    let transaction = session.transaction().await.map_err(refused)?;
    // Workers that start together would make it together.
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
    let name = format!("intacct-sync store {schema}");
    transaction.execute(lock, &[&name]).await.map_err(refused)?;
    let exists = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)";
    let exists = transaction.query_one(exists, &[&schema]).await;
    if !exists.map_err(refused)?.get::<_, bool>(0) {
        let create = format!("CREATE SCHEMA {}", quoted(schema));
        transaction.batch_execute(&create).await.map_err(refused)?;
    }
    let tables = "SELECT count(*), coalesce(bool_or(tablename = 'store_version'), false)
                  FROM pg_tables WHERE schemaname = $1";
    let tables = transaction.query_one(tables, &[&schema]).await;
    let tables = tables.map_err(refused)?;
    match (tables.get::<_, i64>(0), tables.get::<_, bool>(1)) {
        (0, _) => {
            transaction.batch_execute(SCHEMA).await.map_err(refused)?;
            let insert = "INSERT INTO store_version (version) VALUES (3)";
            transaction.execute(insert, &[]).await.map_err(refused)?;
        }
        (_, true) => {}
        (_, false) => {
            let what = "this schema holds tables that are not a store's; choose one of its own";
            return Err(Error::new(ErrorKind::Config, what).with("schema", schema));
        }
    }
    let select = "SELECT max(version) FROM store_version";
    let version = transaction.query_one(select, &[]).await.map_err(refused)?;
    match version.get::<_, Option<i64>>(0) {
        Some(VERSION) => {}
        Some(3) => {
            let step = from_version_3(&WORDS);
            transaction.batch_execute(&step).await.map_err(refused)?;
            let update = "UPDATE store_version SET version = $1";
            let updated = transaction.execute(update, &[&VERSION]).await;
            updated.map_err(refused)?;
        }
        other => {
            let what = "another version of this software made the store; use that one";
            let version = other.map_or("unknown".to_owned(), |it| it.to_string());
            return Err(Error::new(ErrorKind::Unsupported, what).with("version", version));
        }
    }
    transaction.commit().await.map_err(refused)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
