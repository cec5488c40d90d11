//! The Postgres sink, against a server of the tests' own. Where Postgres is not installed, every test
//! says so and is skipped.

mod ahead;
mod crash;
mod failures;
mod shared;
mod straight;
mod tables;
mod values;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use intacct_sync_postgres_fixture::{Database, Server};
use secrecy::SecretString;
use sink_sql::{PostgresOptions, PostgresSink};

pub(crate) use crate::vendors::{prepare, row, vendors};

/// The database that tests share; each has a schema of its own there.
pub(crate) fn database() -> Option<&'static Database<'static>> {
    static DATABASE: OnceLock<Option<Database<'static>>> = OnceLock::new();
    let made = DATABASE.get_or_init(|| Server::shared().map(Server::database));
    made.as_ref()
}

pub(crate) fn open(database: &Database<'_>, options: PostgresOptions) -> PostgresSink {
    PostgresSink::open(&SecretString::from(database.settings()), options).unwrap()
}

/// A name that no other test has.
pub(crate) fn fresh(what: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("{what}_{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A schema with a table of vendors: the sink on it, and the database to look from outside.
pub(crate) struct Books {
    pub(crate) sink: PostgresSink,
    pub(crate) database: &'static Database<'static>,
}

impl Books {
    pub(crate) async fn with_vendors() -> Option<Self> {
        let database = database()?;
        let options = PostgresOptions::default()
            .schema(fresh("books"))
            .lock_timeout(Duration::from_secs(20));
        let sink = open(database, options);
        prepare(&sink, &vendors()).await;
        Some(Self { sink, database })
    }

    /// What `psql` answers: lines of a row each, columns parted by `|`. `@` stands for the schema.
    pub(crate) fn ask(&self, sql: &str) -> String {
        self.database.ask(&sql.replace('@', self.sink.schema()))
    }
}
