//! The pipeline between a source and a sink in memory: what it promises, also when it is killed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod explanations;
mod fan_out;
#[cfg(target_os = "linux")]
mod full_disk;
#[cfg(feature = "object-store")]
mod object_store;
mod spool;
mod spool_kept;
mod staging;
mod workers;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::Array as _;
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use proptest::prelude::*;
use sync_core::batch::system;
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions, TieOut};
use sync_core::spool::FolderSpool;
use sync_core::store::{
    LedgerStore as _, LetterFilter, LetterPage, LetterStatus, LetterStore as _, Outcome,
    SqliteStore,
};
use sync_core::{
    Batch, ControlTotals, DeleteDetection, Error, ErrorKind, Finding, Operation, ReadRequest,
    RecordKey, RejectionClass, Result, Source, SourceBatch, StreamDescriptor, TotalsQuery,
};
use time::{Duration, OffsetDateTime};

use world::*;

#[test]
fn the_ledgers_head_goes_to_the_warehouse_with_each_run() {
    let world = World::new(4, DeleteDetection::KeySet);
    world.books.set(1, 100);
    world.books.pass(3600);
    let report = world.run_whole();
    let kept = world.warehouse.state.lock().unwrap().runs.clone();
    let [mark] = &kept[..] else {
        panic!("one run: {kept:?}")
    };
    assert_eq!(
        (mark.run, mark.is_complete, mark.ties_out),
        (report.run, true, true)
    );
    let head = (mark.ledger_sequence, mark.ledger_entry);
    assert_eq!(head, (report.head.sequence, report.head.hash));

    world.warehouse.state.lock().unwrap().refuses_runs = true;
    let report = world.run_whole();
    assert!(report.ties_out(), "{report:?}");
    let told = &report.findings[0];
    assert_eq!(told.subject, "warehouse");
    assert!(told.message.contains("the table is read-only"), "{told:?}");
}

#[test]
fn first_everything_then_what_changed_and_what_is_gone() {
    let world = World::new(4, DeleteDetection::KeySet);
    for key in 0..10 {
        world.books.set(key, 100 * i128::from(key));
    }
    world.books.pass(3600);
    let report = world.run_whole();
    let [first] = &report.streams[..] else {
        panic!("one stream")
    };
    assert_eq!(
        (first.read, first.written, first.unchanged, first.deleted),
        (10, 10, 0, 0)
    );
    assert!(
        matches!(
            first.tie_out,
            TieOut::Equal {
                records: 10,
                sums: 1,
                ..
            }
        ),
        "{first:?}"
    );
    world.assert_equal();

    world.books.set(3, 999);
    world.books.set(77, -5);
    world.books.delete(5);
    world.books.pass(3600);
    let report = world.run_whole();
    let [second] = &report.streams[..] else {
        panic!("one stream")
    };
    // The lookback of two hours brings all that is left of the first ten again.
    assert_eq!(
        (
            second.read,
            second.written,
            second.unchanged,
            second.deleted
        ),
        (10, 2, 8, 1)
    );
    assert!(report.ties_out());
    world.assert_equal();

    let nothing_new = world.run_whole();
    assert_eq!(nothing_new.streams[0].read, 0);
    assert!(nothing_new.ties_out(), "{nothing_new:?}");
    world.assert_equal();
}

#[test]
fn deletes_that_the_source_tells_of_need_no_listing_and_take_nothing_that_lives() {
    let world = World::new(4, DeleteDetection::AuditHistory);
    for key in 0..8 {
        world.books.set(key, 100);
    }
    world.books.pass(3600);
    world.run_whole();
    world.books.delete(3);
    world.books.delete(5);
    // Made again under the same key.
    world.books.set(5, 500);
    world.books.pass(3600);
    let report = world.run_whole();
    assert_eq!(report.streams[0].deleted, 1);
    assert_eq!(
        report.streams[0].delete_detection,
        DeleteDetection::AuditHistory
    );
    assert!(report.ties_out(), "{report:?}");
    world.assert_equal();

    // One goes without being named, and another comes: the numbers are equal, the keys are not.
    world.books.delete_telling(7, Told::ByName);
    world.books.set(70, 1);
    world.books.pass(3600);
    assert_eq!(world.run_whole().streams[0].deleted, 1);
    world.assert_equal();

    // Where the list cannot be read, keys are compared, and the report says so.
    world.books.delete(1);
    *world.books.tells.lock().unwrap() = false;
    world.books.pass(3600);
    let report = world.run_whole();
    assert_eq!(report.streams[0].delete_detection, DeleteDetection::KeySet);
    world.assert_equal();
}

#[test]
fn what_changes_while_it_is_read_falls_into_the_next_run() {
    let world = World::new(4, DeleteDetection::KeySet);
    world.books.set(1, 100);
    world.books.pass(3600);
    world.books.set(2, 200);
    let report = world.run_whole();
    // Entry 2 is younger than the safety lag.
    assert_eq!(report.streams[0].written, 1);
    assert!(report.ties_out());
    world.books.pass(3600);
    world.run_whole();
    world.assert_equal();
}

#[test]
fn records_that_cannot_be_read_or_are_refused_are_kept_and_the_rest_goes_on() {
    let world = World::new(4, DeleteDetection::KeySet);
    for key in 0..6 {
        world.books.set(key, 1);
    }
    world.books.unreadable.lock().unwrap().insert(2);
    world.warehouse.refuses.lock().unwrap().insert(4);
    world.books.pass(3600);
    let report = world.run_whole();
    assert_eq!((report.streams[0].written, report.rejected()), (4, 2));
    assert!(!report.ties_out());
    let TieOut::Explained {
        in_flight: 0,
        differences,
        ..
    } = &report.streams[0].tie_out
    else {
        panic!("{report:?}")
    };
    assert_eq!(differences[0].measure, "records");
    let explanation = differences[0].explanation();
    assert!(
        explanation.starts_with("2 records rejected ("),
        "{explanation}"
    );
    let letters =
        world.with_store(|store| async move { store.dead_letters(&scope(), 9).await.unwrap() });
    let reasons: BTreeSet<_> = letters
        .iter()
        .map(|letter| letter.reason.as_str())
        .collect();
    assert_eq!(
        reasons,
        BTreeSet::from(["not a decimal number", "too large"])
    );
    assert!(
        letters
            .iter()
            .all(|letter| !letter.fields.is_empty() && letter.key.is_some())
    );

    world.books.unreadable.lock().unwrap().clear();
    world.warehouse.refuses.lock().unwrap().clear();
    world.books.set(2, 1);
    world.books.set(4, 1);
    world.books.pass(3600);
    assert!(world.run_whole().ties_out());
    world.assert_equal();
}

#[test]
fn a_delete_is_found_also_where_as_many_records_were_rejected() {
    let world = World::new(4, DeleteDetection::KeySet);
    for key in 0..6 {
        world.books.set(key, 1);
    }
    world.books.unreadable.lock().unwrap().insert(2);
    world.books.pass(3600);
    world.run_whole();
    // The books have five records now, and so has the warehouse.
    world.books.delete(5);
    world.books.pass(3600);
    assert_eq!(world.run_whole().streams[0].deleted, 1);
    assert!(!world.warehouse.rows().contains_key(&5));
}

/// What version 4 of the store's schema added.
const BACK_TO_VERSION_3: &str = "
    DROP TABLE verified_periods;
    DROP TABLE contracts;
    DROP TABLE rereads;
    DROP INDEX dead_letters_waiting;
    DROP TABLE retried_letters;
    ALTER TABLE batches DROP COLUMN letters_before;
    ALTER TABLE scopes DROP COLUMN descriptor;
    ALTER TABLE scopes DROP COLUMN window_records_read;
    ALTER TABLE dead_letters DROP COLUMN class;
    ALTER TABLE dead_letters DROP COLUMN fault;
    ALTER TABLE dead_letters DROP COLUMN status;
    ALTER TABLE dead_letters DROP COLUMN attempts;
    ALTER TABLE dead_letters DROP COLUMN attempted_at;
    ALTER TABLE dead_letters DROP COLUMN attempt_reason;
    ALTER TABLE dead_letters DROP COLUMN closed_at;
    ALTER TABLE dead_letters DROP COLUMN resolved_by;
    ALTER TABLE dead_letters DROP COLUMN note;
    ALTER TABLE dead_letters DROP COLUMN closed_by;
    ALTER TABLE scopes DROP COLUMN window_is_read;
    PRAGMA user_version = 3;";

/// What version 3 added.
const BACK_TO_VERSION_2: &str = "
    DROP TABLE leases;
    DROP TABLE deleted_records;
    DROP INDEX runs_configured;
    DROP INDEX dead_letters_of_key;
    ALTER TABLE runs DROP COLUMN configuration;
    ALTER TABLE batches DROP COLUMN origins;
    ALTER TABLE records DROP COLUMN row;
    ALTER TABLE dead_letters DROP COLUMN key;
    PRAGMA user_version = 2;";

/// What version 2 added.
const BACK_TO_VERSION_1: &str = "
    DROP INDEX records_of_owner;
    ALTER TABLE records DROP COLUMN owner;
    ALTER TABLE records DROP COLUMN period;
    PRAGMA user_version = 1;";

#[test]
fn stores_of_older_versions_are_taken_over() {
    for steps in [
        &[BACK_TO_VERSION_3][..],
        &[BACK_TO_VERSION_3, BACK_TO_VERSION_2],
        &[BACK_TO_VERSION_3, BACK_TO_VERSION_2, BACK_TO_VERSION_1],
    ] {
        let world = World::new(4, DeleteDetection::AuditHistory);
        for key in 0..6 {
            world.books.set(key, 1);
        }
        world.warehouse.refuses.lock().unwrap().insert(5);
        world.books.pass(3600);
        world.run_whole();
        let connection = rusqlite::Connection::open(world.folder.path().join("state.db")).unwrap();
        for step in steps {
            connection.execute_batch(step).unwrap();
        }
        drop(connection);
        world.warehouse.refuses.lock().unwrap().clear();
        world.books.set(2, 7);
        world.books.set(5, 5);
        world.books.delete(4);
        world.books.pass(3600);
        let report = world.run_whole();
        assert_eq!(
            (report.streams[0].written, report.streams[0].deleted),
            (2, 1)
        );
        world.assert_equal();
        let audit = |key: &'static str| {
            world.with_store(|store| async move {
                store.audit(&scope(), &RecordKey::new([key])).await.unwrap()
            })
        };
        // Of before, as far as it was kept then, and of since.
        let (before, refused, deleted) = (audit("1"), audit("5"), audit("4"));
        let rows_were_known = steps.len() == 1;
        assert_eq!(before.last.unwrap().row.is_some(), rows_were_known);
        let letters = world.with_store(|store| async move {
            let page = LetterPage {
                after: None,
                limit: 9,
            };
            let filter = LetterFilter::of(&scope());
            store.letters(&filter, page).await.unwrap()
        });
        let [letter] = &letters[..] else {
            panic!("{letters:?}")
        };
        let (class, column) = (letter.content.class, letter.content.column.as_deref());
        assert_eq!((class, column), (RejectionClass::Unknown, Some("amount")));
        assert_eq!(letter.status, LetterStatus::Resolved);
        assert_eq!(refused.rejected[0].reason, "too large");
        assert_eq!(refused.last.unwrap().run, report.run);
        assert_eq!(deleted.last.unwrap().outcome, Outcome::Deleted);
    }
}

#[test]
fn a_store_that_an_older_version_is_using_is_left_alone() {
    let world = World::new(4, DeleteDetection::KeySet);
    world.run_whole();
    let path = world.folder.path().join("state.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(BACK_TO_VERSION_3).unwrap();
    connection.execute_batch(BACK_TO_VERSION_2).unwrap();
    let lock = std::fs::File::create(world.folder.path().join("state.db.lock")).unwrap();
    lock.try_lock().unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("an older version"), "{error}");
    drop(lock);
    SqliteStore::open(&path).unwrap();
}

#[test]
fn killed_at_every_moment_it_still_arrives_once() {
    let mut moments = 1;
    loop {
        let world = World::new(4, DeleteDetection::KeySet);
        for key in 0..11 {
            world.books.set(key, i128::from(key) + 1);
        }
        world.books.pass(3600);
        let first = world.run(moments);
        let whole = first.is_some();
        world.books.set(4, 400);
        world.books.delete(6);
        world.books.pass(3 * 3600);
        let _ = world.run(moments);
        // What the killed runs left behind, then what they did not come to.
        world.run_whole();
        world.books.pass(60);
        let last = world.run_whole();
        assert!(last.ties_out(), "killed after {moments} moments: {last:?}");
        world.assert_equal();
        if whole {
            break;
        }
        moments += 1;
    }
    assert!(
        moments > 20,
        "the run was over after {moments} moments: it was not killed anywhere"
    );
}

#[derive(Clone, Debug)]
enum Step {
    Set(i64, i128),
    Delete(i64, Told),
    Tells(bool),
    Pass(i64),
    Run(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0i64..24, -500i128..500).prop_map(|(key, cents)| Step::Set(key, cents)),
        2 => (0i64..24, prop_oneof![Just(Told::ByKey), Just(Told::ByName), Just(Told::Not)])
            .prop_map(|(key, told)| Step::Delete(key, told)),
        1 => any::<bool>().prop_map(Step::Tells),
        3 => prop_oneof![Just(0i64), Just(1), Just(150), Just(4000)].prop_map(Step::Pass),
        2 => prop_oneof![1usize..60, Just(usize::MAX)].prop_map(Step::Run),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever happens to the books, and wherever runs are killed: once everything has come to
    /// rest, the warehouse equals the books.
    #[test]
    fn the_warehouse_comes_to_equal_the_books(
        steps in steps(), page in 1usize..6, grade in 0usize..3,
    ) {
        let grades = [DeleteDetection::FullRead, DeleteDetection::KeySet, DeleteDetection::AuditHistory];
        let detection = grades[grade];
        let world = World::new(page, detection);
        for step in steps {
            match step {
                Step::Set(key, cents) => world.books.set(key, cents),
                Step::Delete(key, told) => world.books.delete_telling(key, told),
                Step::Tells(tells) => *world.books.tells.lock().unwrap() = tells,
                Step::Pass(seconds) => world.books.pass(seconds),
                Step::Run(moments) => { let _ = world.run(moments); }
            }
        }
        world.books.pass(4000);
        world.run_whole();
        world.books.pass(4000);
        let last = world.run_whole();
        prop_assert!(last.ties_out(), "{:?}", last);
        world.assert_equal();
    }
}

#[test]
fn ids_are_the_same_on_every_run() {
    let place = |ordinal| sync_core::BatchPlace {
        pipeline: "test".into(),
        company: "DEMO".into(),
        operation: Operation::Upsert,
        window: sync_core::Window {
            from: None,
            until: OffsetDateTime::UNIX_EPOCH + Duration::DAY,
        },
        ordinal,
    };
    let stream = Arc::new(Books::new(1, DeleteDetection::None).descriptor());
    let rows = rows(
        &[(
            7,
            Entry {
                modified: START,
                cents: 1234,
            },
        )],
        false,
    );
    let batch = |ordinal, at| Batch::new(Arc::clone(&stream), place(ordinal), &rows, at).unwrap();
    let one = batch(0, OffsetDateTime::UNIX_EPOCH);
    // Pinned: an id that changes with a release would send every record again.
    assert_eq!(
        one.record_ids()[0].to_string(),
        "d1358960f2da6eb9dcf75b3840381dc2"
    );
    assert_eq!(one.id().to_string(), "e62e0a4a9c14b69a49c28caa149f50f4");
    assert_eq!(
        batch(0, OffsetDateTime::UNIX_EPOCH + Duration::HOUR).id(),
        one.id()
    );
    assert_ne!(batch(1, OffsetDateTime::UNIX_EPOCH).id(), one.id());
    for name in system::ALL {
        assert!(
            one.rows()
                .column_by_name(name)
                .is_some_and(|column| column.len() == 1),
            "{name}"
        );
    }
    let restored =
        Batch::restore(one.id(), Arc::clone(&stream), place(0), one.rows().clone()).unwrap();
    assert_eq!(restored.record_ids(), one.record_ids());
    let other = Batch::restore(one.id(), stream, place(1), one.rows().clone());
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Data);
}

#[test]
fn a_source_that_fails_leaves_what_was_settled() {
    #[derive(Debug)]
    struct Failing(Arc<Books>);

    #[async_trait]
    impl Source for Failing {
        fn name(&self) -> &str {
            "failing"
        }
        fn company(&self) -> &str {
            "DEMO"
        }
        async fn now(&self) -> Result<OffsetDateTime> {
            self.0.now().await
        }
        async fn check(&self) -> Result<Vec<Finding>> {
            Ok(vec![])
        }
        async fn discover(&self) -> Result<Vec<StreamDescriptor>> {
            self.0.discover().await
        }
        fn read(&self, request: ReadRequest) -> BoxStream<'_, Result<SourceBatch>> {
            let failure = Error::new(ErrorKind::Protocol, "the page is not whole");
            self.0
                .read(request)
                .take(1)
                .chain(stream::iter([Err(failure)]))
                .boxed()
        }
        async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
            self.0.control_totals(query).await
        }
    }

    let world = World::new(4, DeleteDetection::KeySet);
    for key in 0..10 {
        world.books.set(key, 1);
    }
    world.books.pass(3600);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let parts = Parts {
        source: Arc::new(Failing(Arc::clone(&world.books))),
        sinks: vec![Arc::clone(&world.warehouse) as _],
        store: Arc::new(open_store(world.folder.path())),
        spool: Arc::new(FolderSpool::open(world.folder.path().join("spool")).unwrap()),
    };
    let mut options = PipelineOptions::default();
    options.batch_rows = 3;
    let pipeline = Pipeline::new("test", parts, options);
    let report = runtime.block_on(pipeline.run()).unwrap();
    drop((pipeline, runtime));
    assert!(!report.is_complete());
    let error = report.streams[0].error.as_ref().unwrap();
    assert_eq!(error, "the page is not whole (stream: entry)");
    assert_eq!(world.warehouse.rows().len(), 3);

    let report = world.run_whole();
    assert!(report.ties_out());
    world.assert_equal();
}
