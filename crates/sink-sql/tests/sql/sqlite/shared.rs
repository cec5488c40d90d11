//! The SQLite sink against the behaviour that all SQL sinks share.

use std::path::Path;
use std::sync::Arc;

use crate::behaviour::{self, Destination};
use sink_sql::{Reader, SqliteOptions, SqliteSink};
use sync_core::DeleteMode;

macro_rules! shared_behaviour {
    ($($case:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                let folder = tempfile::tempdir().unwrap();
                behaviour::$case(destination(folder.path())).await;
            }
        )*
    };
}

shared_behaviour!(
    the_same_batch_twice_has_the_effect_of_once,
    rows_say_which_batch_brought_them,
    preparing_twice_has_the_effect_of_once,
    columns_come_and_go,
    a_batch_of_some_columns_leaves_the_others_alone,
    a_marked_row_stays_and_revives,
    a_removed_row_goes,
    every_type_keeps_its_value,
    odd_texts_are_kept_or_refused,
    reserved_words_are_names,
    composite_keys_are_compared_whole,
    a_whole_number_is_a_key,
    what_adding_cannot_do_is_a_conflict,
    names_that_cannot_be_told_apart_are_refused,
    totals_are_exact,
    a_total_beyond_38_digits_is_an_error,
    values_that_do_not_fit_are_refused_row_by_row,
    an_empty_batch_lands,
    concurrent_writes_all_land_once,
);

#[test]
fn table_and_totals_equal_a_model() {
    for mode in [DeleteMode::Mark, DeleteMode::Remove] {
        // Each file's folder lives as long as the destination that reads it.
        behaviour::table_and_totals_equal_a_model(mode, || {
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
