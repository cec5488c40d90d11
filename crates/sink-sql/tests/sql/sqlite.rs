//! The SQLite sink.

mod crash;
mod failures;
mod queries;
mod shared;
mod tables;

use std::path::Path;
use std::time::Duration;

use sink_sql::{SqliteOptions, SqliteSink};

pub(crate) use crate::vendors::{prepare, row, vendors};

pub(crate) fn impatient() -> SqliteOptions {
    SqliteOptions::default().busy_timeout(Duration::ZERO)
}

/// A file with a table of vendors, and the sink on it.
pub(crate) async fn with_vendors(folder: &Path) -> SqliteSink {
    let sink = SqliteSink::open(folder.join("finance.db"), impatient()).unwrap();
    prepare(&sink, &vendors()).await;
    sink
}

pub(crate) async fn ask(sink: &SqliteSink, sql: &str) -> Vec<Vec<Option<String>>> {
    sink.query(sql).await.unwrap().rows
}

pub(crate) fn cells<const N: usize>(values: [&str; N]) -> Vec<Option<String>> {
    values
        .map(|value| (value != "-").then(|| value.to_owned()))
        .into()
}
