//! The SQLite sink.

mod crash;
mod failures;
mod queries;
mod shared;
mod tables;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sink_sql::{SqliteOptions, SqliteSink};
use sync_core::{Sink, StreamDescriptor};

use crate::behaviour::{Cell, integer, key_text, stream, text};

pub(crate) fn vendors() -> Arc<StreamDescriptor> {
    stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), text("name"), integer("rank")],
    )
}

pub(crate) fn row(key: &str, name: &str) -> Vec<Cell> {
    vec![key.into(), name.into(), Cell::Null]
}

pub(crate) fn impatient() -> SqliteOptions {
    SqliteOptions::default().busy_timeout(Duration::ZERO)
}

pub(crate) async fn prepare(sink: &SqliteSink, stream: &StreamDescriptor) {
    sink.prepare(&sink.plan(stream).await.unwrap())
        .await
        .unwrap();
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
