//! A process that is killed in the middle of a batch.

use rusqlite::Connection;
use sink_sql::{SqliteOptions, SqliteSink};
use sync_core::{Batch, Landed, Sink};

use super::{ask, cells, impatient, prepare, vendors};
use crate::killed::{self, Killed, assert_small_batches_landed, small_batch, write_until_killed};

/// Where the child finds its file.
const CHILD_FILE: &str = "SINK_SQL_TEST_CHILD_FILE";

const ROWS_BEFORE_THE_END: usize = 10_000;

#[tokio::test]
async fn a_process_killed_in_the_middle_of_a_batch_leaves_none_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("finance.db");
    let told = [(CHILD_FILE, path.as_os_str())];
    let mut child = Killed::start("sqlite::crash::the_child_that_is_killed", told);
    // The long batch never ends, and the log grows while it is being written.
    let log = folder.path().join("finance.db-wal");
    let size = || std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
    let before = size();
    while size() < before + (256 << 10) {
        child.assert_still_runs();
        std::thread::yield_now();
    }
    drop(child);

    let sink = SqliteSink::open(&path, impatient()).unwrap();
    assert_small_batches_landed(&sink).await;
    let long = long_batch();
    let count = "SELECT count(*) FROM vendor WHERE recordno LIKE 'long%'";
    assert_eq!(sink.lookup(&long.id()).await.unwrap(), Landed::No);
    assert_eq!(ask(&sink, count).await, [cells(["0"])]);

    let own = Connection::open(&path).unwrap();
    own.execute_batch("DROP TRIGGER never_done").unwrap();
    sink.write(&long).await.unwrap();
    sink.write(&small_batch(1)).await.unwrap();
    let all = (ROWS_BEFORE_THE_END + 1).to_string();
    assert_eq!(ask(&sink, count).await, [cells([&all])]);
    let small = "SELECT count(*) FROM vendor WHERE name = 'small'";
    assert_eq!(ask(&sink, small).await, [cells(["9"])]);
}

/// Not a test by itself: the process that the test above starts.
#[tokio::test]
async fn the_child_that_is_killed() {
    let Some(path) = std::env::var_os(CHILD_FILE) else {
        return;
    };
    // With hardly any memory, pages go to the log long before the transaction ends.
    let options = SqliteOptions::default().cache_bytes(64 << 10);
    let sink = SqliteSink::open(&path, options).unwrap();
    prepare(&sink, &vendors()).await;
    let own = Connection::open(&path).unwrap();
    own.execute_batch(
        "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
             SELECT i FROM n;
         CREATE TRIGGER never_done AFTER INSERT ON vendor WHEN new.name = 'the end' BEGIN
             SELECT count(*) FROM endless;
         END;",
    )
    .unwrap();
    write_until_killed(&sink, &long_batch()).await;
}

fn long_batch() -> Batch {
    killed::long_batch(ROWS_BEFORE_THE_END, &"x".repeat(200))
}
