//! A process that is killed in the middle of a batch.

use std::ffi::OsStr;

use secrecy::SecretString;
use sink_sql::{PostgresOptions, PostgresSink};
use sync_core::{Batch, Landed, Sink};

use super::Books;
use crate::killed::{self, Killed, assert_small_batches_landed, small_batch, write_until_killed};

/// Where the child finds its database and its schema.
const CHILD: [&str; 2] = ["SINK_SQL_TEST_CHILD_SETTINGS", "SINK_SQL_TEST_CHILD_SCHEMA"];

#[tokio::test]
async fn a_process_killed_in_the_middle_of_a_batch_leaves_none_of_it() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    // The last row is never done with.
    books.ask(
        "CREATE FUNCTION @.wait() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN
             PERFORM pg_sleep(600);
             RETURN NEW;
         END $body$;
         CREATE TRIGGER never_done BEFORE INSERT ON @.vendor FOR EACH ROW
             WHEN (NEW.name = 'the end') EXECUTE FUNCTION @.wait();",
    );
    let settings = books.database.settings();
    let told = [
        (CHILD[0], OsStr::new(&settings)),
        (CHILD[1], OsStr::new(books.sink.schema())),
    ];
    let mut child = Killed::start("postgres::crash::the_child_that_is_killed", told);
    // Until the last row's trigger is what the server is busy with.
    let asleep = "SELECT count(*) FROM pg_stat_activity \
                  WHERE wait_event = 'PgSleep' AND query LIKE '%@.%vendor%'"
        .replace("@.", &format!("\"{}\".", books.sink.schema()));
    while books.database.ask(&asleep) == "0" {
        child.assert_still_runs();
    }
    drop(child);

    assert_small_batches_landed(&books.sink).await;
    // The server does not know yet that nobody waits; the look-up waits until it does.
    let long = long_batch();
    assert_eq!(books.sink.lookup(&long.id()).await.unwrap(), Landed::No);
    let count = "SELECT count(*) FROM @.vendor WHERE recordno LIKE 'long%'";
    assert_eq!(books.ask(count), "0");

    books.ask("DROP TRIGGER never_done ON @.vendor");
    books.sink.write(&long).await.unwrap();
    books.sink.write(&small_batch(1)).await.unwrap();
    assert_eq!(books.ask(count), "1001");
    let small = "SELECT count(*) FROM @.vendor WHERE name = 'small'";
    assert_eq!(books.ask(small), "9");
}

/// Not a test by itself: the process that the test above starts.
#[tokio::test]
async fn the_child_that_is_killed() {
    let [Ok(settings), Ok(schema)] = CHILD.map(std::env::var) else {
        return;
    };
    let options = PostgresOptions::default().schema(schema);
    let sink = PostgresSink::open(&SecretString::from(settings), options).unwrap();
    write_until_killed(&sink, &long_batch()).await;
}

fn long_batch() -> Batch {
    killed::long_batch(1000, "one of many")
}
