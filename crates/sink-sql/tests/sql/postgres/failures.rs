//! What is said when the server fails, and what is there afterwards.

use std::time::Duration;

use intacct_sync_postgres_fixture::{Server, Stop};
use secrecy::SecretString;
use sink_sql::{PostgresOptions, PostgresSink, sqlstate};
use sync_core::{ErrorKind, Landed, Phase, Retry, Severity, Sink};

use super::{Books, database, fresh, open, prepare, row, vendors};
use crate::behaviour::upserts;

/// What the server raises while rows are merged fails the batch whole, and says whether to try again.
#[tokio::test]
async fn failures_of_the_server_keep_nothing_and_say_whether_to_try_again() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    for (ordinal, (code, kind, retry)) in (0..).zip([
        ("40001", ErrorKind::Conflict, Retry::Backoff),
        ("40P01", ErrorKind::Conflict, Retry::Backoff),
        ("53100", ErrorKind::Unavailable, Retry::Never),
        ("57014", ErrorKind::Timeout, Retry::Backoff),
    ]) {
        books.ask(&format!(
            "CREATE OR REPLACE FUNCTION @.fail() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN
                 RAISE 'it fails' USING ERRCODE = '{code}', DETAIL = 'the row of one';
             END $body$;
             CREATE TRIGGER failing AFTER INSERT ON @.vendor
                 FOR EACH ROW EXECUTE FUNCTION @.fail();"
        ));
        let new = vec![row(code, "one")];
        let batch = upserts(&vendors(), ordinal, new);
        let error = books.sink.write(&batch).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{error}");
        assert_eq!(error.phase(), Phase::Answered);
        assert_eq!(sqlstate(&error), Some(code));
        let said = error.chain();
        for word in ["it fails", code, "vendor", books.sink.schema()] {
            assert!(said.contains(word), "{said} lacks {word}");
        }
        assert!(!format!("{error:?}").contains("the row of one"));
        assert_eq!(books.sink.lookup(&batch.id()).await.unwrap(), Landed::No);
        books.ask("DROP TRIGGER failing ON @.vendor");
        books.sink.write(&batch).await.unwrap();
    }
}

#[tokio::test]
async fn anothers_lock_is_an_error_that_may_be_retried() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let impatient = PostgresOptions::default()
        .schema(books.sink.schema())
        .sessions(1)
        .lock_timeout(Duration::from_millis(1));
    let sink = open(books.database, impatient);
    let (client, connection) =
        tokio_postgres::connect(&books.database.settings(), tokio_postgres::NoTls)
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    // What reads waits for the first, and only what writes for the second.
    for (ordinal, mode) in (0..).zip(["ACCESS EXCLUSIVE", "SHARE"]) {
        let schema = books.sink.schema();
        let locked = format!("BEGIN; LOCK TABLE {schema}.vendor IN {mode} MODE");
        client.batch_execute(&locked).await.unwrap();
        let batch = upserts(&vendors(), ordinal, vec![row(mode, "one")]);
        let error = sink.write(&batch).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.retry()),
            (ErrorKind::Conflict, Retry::Backoff)
        );
        assert_eq!(sqlstate(&error), Some("55P03"));
        client.batch_execute("ROLLBACK").await.unwrap();
        sink.write(&batch).await.unwrap();
    }
    drop(client);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_may_not_or_cannot_come_in_is_told_why() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let (poor, full) = (fresh("poor"), fresh("full"));
    books.ask(&format!(
        "CREATE ROLE {poor} LOGIN; REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC;
         GRANT USAGE ON SCHEMA @ TO {poor}; CREATE ROLE {full} LOGIN CONNECTION LIMIT 0",
        database = books.database.name()
    ));
    let as_user = |user: &str, database: &str| {
        let settings = books.database.settings();
        let settings = settings
            .replace("user=postgres", &format!("user={user} password=hunter2"))
            .replace(books.database.name(), database);
        let options = PostgresOptions::default().schema(books.sink.schema());
        PostgresSink::open(&SecretString::from(settings), options).unwrap()
    };
    let batch = upserts(&vendors(), 0, vec![row("1", "one")]);
    let name = books.database.name();
    for (user, database, kind, retry, code) in [
        (&*poor, name, ErrorKind::Permission, Retry::Never, "42501"),
        (&full, name, ErrorKind::Throttled, Retry::Backoff, "53300"),
        ("nobody_here", name, ErrorKind::Auth, Retry::Never, "28000"),
        (
            "postgres",
            "none",
            ErrorKind::NotFound,
            Retry::Never,
            "3D000",
        ),
    ] {
        let sink = as_user(user, database);
        let error = sink.write(&batch).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{error:?}");
        assert_eq!(sqlstate(&error), Some(code));
        let all = format!("{error:?} {} {sink:?}", error.chain());
        assert!(!all.contains("hunter2"), "{all}");
        let findings = sink.check().await.unwrap();
        let failed = |found: &&sync_core::Finding| found.severity == Severity::Failure;
        assert!(findings.iter().any(|found| failed(&found)), "{findings:?}");
        assert!(!format!("{findings:?}").contains("hunter2"));
    }
    let findings = as_user(&poor, name).check().await.unwrap();
    for remedy in [
        "GRANT USAGE, CREATE ON SCHEMA",
        "GRANT TEMPORARY",
        "grant all",
    ] {
        let told = |found: &sync_core::Finding| {
            let remedies = found.remedy.as_deref().unwrap_or_default();
            remedies.contains(remedy)
        };
        assert!(findings.iter().any(told), "{remedy}: {findings:?}");
    }
}

/// A check of a server that is as it should be warns of nothing but what the tests switch off.
#[tokio::test]
async fn a_sound_server_is_found_sound() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let findings = books.sink.check().await.unwrap();
    assert!(
        findings[0].message.contains("encoding UTF8"),
        "{findings:?}"
    );
    for finding in &findings[1..] {
        assert!(finding.message.contains("fsync"), "{finding}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let latin = fresh("latin");
    books.ask(&format!(
        "CREATE DATABASE {latin} ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'"
    ));
    let settings = books.database.settings();
    let settings = settings.replace(books.database.name(), &latin);
    let sink = PostgresSink::open(&SecretString::from(settings), PostgresOptions::default());
    let error = sink.unwrap().plan(&vendors()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("LATIN1"), "{error}");
}

/// A server that stops and comes back: what failed may be tried again, and what had landed has.
#[tokio::test]
async fn a_server_that_was_restarted_is_found_again() {
    let Some(server) = Server::start() else {
        return;
    };
    let database = server.database();
    let sink = open(&database, PostgresOptions::default());
    prepare(&sink, &vendors()).await;
    let first = upserts(&vendors(), 0, vec![row("1", "one")]);
    let receipt = sink.write(&first).await.unwrap();
    server.stop(Stop::Immediate);
    let second = upserts(&vendors(), 1, vec![row("2", "two")]);
    let error = sink.write(&second).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry(), error.phase()),
        (ErrorKind::Unavailable, Retry::Backoff, Phase::NotSent)
    );
    server.resume();
    assert_eq!(
        sink.lookup(&first.id()).await.unwrap(),
        Landed::Yes(receipt)
    );
    sink.write(&second).await.unwrap();
    // Sessions that the server closed while nobody used them are opened again unnoticed.
    server.stop(Stop::Fast);
    server.resume();
    sink.write(&upserts(&vendors(), 2, vec![row("3", "three")]))
        .await
        .unwrap();
}

/// A write that is given up leaves nothing, and the next one finds the way free.
#[tokio::test]
async fn a_write_that_was_given_up_leaves_nothing() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let batch = upserts(&vendors(), 0, vec![row("1", "one"), row("2", "two")]);
    // Given up after each number of steps, until it is through.
    let mut steps = 0;
    loop {
        let mut write = books.sink.write(&batch);
        let mut left = steps;
        let done = std::future::poll_fn(|context| {
            if left == 0 {
                return std::task::Poll::Ready(None);
            }
            left -= 1;
            write.as_mut().poll(context).map(Some)
        })
        .await;
        drop(write);
        match done {
            Some(receipt) => break drop(receipt.unwrap()),
            None => steps += 1,
        }
        let there = books
            .sink
            .query("SELECT count(*) FROM vendor")
            .await
            .unwrap();
        let count = there.rows[0][0].clone().unwrap();
        let landed = books.sink.lookup(&batch.id()).await.unwrap();
        match landed {
            Landed::No => assert_eq!(count, "0", "after {steps} steps"),
            // Given up when it had been committed.
            _ => assert_eq!(count, "2", "after {steps} steps"),
        }
    }
    assert!(steps > 10, "{steps}");
    assert!(database().is_some());
}
