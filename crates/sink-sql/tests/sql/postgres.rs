//! The Postgres sink, against a server of the tests' own. Where Postgres is not installed, every test
//! says so and is skipped.

mod shared;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use intacct_sync_postgres_fixture::{Database, Server};
use secrecy::SecretString;
use sink_sql::{PostgresOptions, PostgresSink};

/// The database that tests share; each has a schema of its own there.
pub(crate) fn database() -> Option<&'static Database<'static>> {
    static DATABASE: OnceLock<Option<Database<'static>>> = OnceLock::new();
    let made = DATABASE.get_or_init(|| Server::shared().map(Server::database));
    made.as_ref()
}

pub(crate) fn open(database: &Database<'_>, options: PostgresOptions) -> PostgresSink {
    PostgresSink::open(&SecretString::from(database.settings()), options).unwrap()
}

/// The name of a schema that no other test has.
pub(crate) fn fresh_schema() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("books_{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}
