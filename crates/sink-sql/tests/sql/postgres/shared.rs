//! The Postgres sink against the behaviour that all SQL sinks share.

use std::sync::Arc;

use sink_sql::{PostgresOptions, PostgresSink};
use sync_core::column::Value;
use sync_core::{Decimal, DeleteMode};

use super::{database, fresh, open};
use crate::behaviour::{self, Destination};

macro_rules! case {
    ($case:ident) => {
        #[tokio::test]
        async fn $case() {
            if let Some(destination) = destination() {
                behaviour::$case(destination).await;
            }
        }
    };
}

behaviour::for_each_case!(case);

#[test]
fn table_and_totals_equal_a_model() {
    if database().is_none() {
        return;
    }
    for mode in [DeleteMode::Mark, DeleteMode::Remove] {
        behaviour::table_and_totals_equal_a_model(mode, 16, || destination().unwrap());
    }
}

fn destination() -> Option<Destination> {
    let database = database()?;
    let schema = fresh("books");
    // A runtime's sessions end with it, so every reader has a sink of its own.
    let sink = move || open(database, PostgresOptions::default().schema(&schema));
    Some(Destination {
        sink: Arc::new(sink()),
        read: Box::new(move |table, columns| apart(|| read(sink(), table, columns))),
    })
}

/// Waits for a future where the thread's own runtime is busy.
fn apart<T: Send, F: Future<Output = T>>(work: impl FnOnce() -> F + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(work())
        });
        thread.join().unwrap()
    })
}

/// What the table holds, from what Postgres says of it: nothing is read by what wrote it.
async fn read(sink: PostgresSink, table: &str, columns: &[&str]) -> Vec<Vec<Option<String>>> {
    let quoted = |name: &str| format!("\"{}\"", name.to_lowercase().replace('"', "\"\""));
    let types = format!(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute \
         WHERE attrelid = '{}.{}'::regclass",
        sink.schema(),
        quoted(table)
    );
    let types = sink.query(types).await.unwrap().rows;
    let type_of = |name: &str| {
        let found = types.iter().find(|row| row[0] == Some(name.to_lowercase()));
        found.unwrap()[1].clone().unwrap()
    };
    let selected: Vec<_> = columns
        .iter()
        .map(|name| match (type_of(name).as_str(), quoted(name)) {
            ("date", name) => format!("{name} - date '1970-01-01'"),
            ("timestamp with time zone", name) => {
                format!("trunc(extract(epoch FROM {name}) * 1000000)")
            }
            ("boolean", name) => format!("{name}::text"),
            (_, name) => name,
        })
        .collect();
    let sql = format!("SELECT {} FROM {}", selected.join(", "), quoted(table));
    let mut rows = sink.query(sql).await.unwrap().rows;
    for row in &mut rows {
        for (name, cell) in columns.iter().zip(row) {
            let Some(text) = cell else { continue };
            let mut canonical = String::new();
            match type_of(name).as_str() {
                "date" => Value::Date(text.parse().unwrap()).push_to(&mut canonical),
                "timestamp with time zone" => {
                    Value::Timestamp(text.parse().unwrap()).push_to(&mut canonical);
                }
                "numeric" => canonical = text.parse::<Decimal>().unwrap().to_string(),
                _ => continue,
            }
            *text = canonical;
        }
    }
    rows
}
