//! A process that is killed in the middle of a batch.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use secrecy::SecretString;
use sink_sql::{PostgresOptions, PostgresSink};
use sync_core::{Batch, Landed, Sink};

use super::{Books, row, vendors};
use crate::behaviour::upserts;

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
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "postgres::crash::the_child_that_is_killed",
            "--nocapture",
        ])
        .env(CHILD[0], books.database.settings())
        .env(CHILD[1], books.sink.schema())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("small batches written")));
    // Until the last row's trigger is what the server is busy with.
    let asleep = "SELECT count(*) FROM pg_stat_activity \
                  WHERE wait_event = 'PgSleep' AND query LIKE '%@.%vendor%'"
        .replace("@.", &format!("\"{}\".", books.sink.schema()));
    while books.database.ask(&asleep) == "0" {
        assert!(
            child.0.try_wait().unwrap().is_none(),
            "the child ended by itself"
        );
    }
    drop(child);

    for ordinal in 0..3 {
        let landed = books.sink.lookup(&small_batch(ordinal).id()).await.unwrap();
        assert!(matches!(landed, Landed::Yes(_)));
    }
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
    for ordinal in 0..3 {
        sink.write(&small_batch(ordinal)).await.unwrap();
    }
    println!("small batches written");
    sink.write(&long_batch()).await.unwrap();
}

fn small_batch(ordinal: u64) -> Batch {
    let rows = ["a", "b", "c"].map(|key| row(&format!("{key}{ordinal}"), "small"));
    upserts(&vendors(), ordinal, rows.into())
}

fn long_batch() -> Batch {
    let rows = (0..1000).map(|key| row(&format!("long{key}"), "one of many"));
    let end = row("long at last", "the end");
    upserts(&vendors(), 1000, rows.chain([end]).collect())
}

/// A process that does not outlive the test, whatever becomes of that.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
