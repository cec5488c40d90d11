//! The SQLite sink against the behaviour that all SQL sinks share.

use std::path::Path;
use std::sync::Arc;

use crate::behaviour::{self, Destination};
use sink_sql::{Reader, SqliteOptions, SqliteSink};
use sync_core::DeleteMode;

macro_rules! case {
    ($case:ident) => {
        #[tokio::test]
        async fn $case() {
            let folder = tempfile::tempdir().unwrap();
            behaviour::$case(destination(folder.path())).await;
        }
    };
}

behaviour::for_each_case!(case);

#[test]
fn table_and_totals_equal_a_model() {
    for mode in [DeleteMode::Mark, DeleteMode::Remove] {
        // Each file's folder lives as long as the destination that reads it.
        behaviour::table_and_totals_equal_a_model(mode, 48, || {
            let folder = tempfile::tempdir().unwrap();
            let Destination { sink, read } = destination(folder.path());
            let read: behaviour::Read = Box::new(move |table, columns| {
                let _keep = &folder;
                read(table, columns)
            });
            Destination { sink, read }
        });
    }
}

fn destination(folder: &Path) -> Destination {
    let path = folder.join("finance.db");
    let sink = SqliteSink::open(&path, SqliteOptions::default()).unwrap();
    let read: behaviour::Read = Box::new(move |table, columns| {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let selected: Vec<_> = columns
            .iter()
            .map(|column| match *column {
                // SQLite's booleans are numbers.
                "_deleted" | "flag" => {
                    format!("CASE {column} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END")
                }
                name => quoted(name),
            })
            .collect();
        let sql = format!("SELECT {} FROM {}", selected.join(", "), quoted(table));
        Reader::open(&path).unwrap().query(&sql).unwrap().rows
    });
    Destination {
        sink: Arc::new(sink),
        read,
    }
}
