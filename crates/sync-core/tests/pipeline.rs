//! The pipeline between a source and a sink in memory: what it promises, also when it is killed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use arrow_array::{
    Array as _, Decimal128Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use proptest::prelude::*;
use sync_core::batch::system;
use sync_core::capabilities::Guarantee;
use sync_core::clock::ManualClock;
use sync_core::column::{Column, Value};
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions, RunReport, TieOut};
use sync_core::spool::FolderSpool;
use sync_core::store::{Outcome, Scope, SqliteStore, Store as _};
use sync_core::stream::TotalsShape;
use sync_core::totals::GroupTotals;
use sync_core::{
    Batch, BatchId, Capabilities, ControlTotals, Cursor, Decimal, DeleteDetection, Deletion, Error,
    ErrorKind, Finding, FlushReceipt, Landed, Operation, ReadRequest, Receipt, RecordKey,
    Rejection, Result, SchemaPlan, Selection, Sink, Source, SourceBatch, StreamDescriptor,
    StreamName, TotalsQuery, UnreadableRecord,
};
use time::{Duration, OffsetDateTime};

const START: i64 = 1_760_000_000;

/// A record of the books: when it changed, in seconds, and an amount in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    modified: i64,
    cents: i128,
}

#[derive(Debug)]
struct Books {
    entries: Mutex<BTreeMap<i64, Entry>>,
    /// Keys of entries whose amount cannot be read.
    unreadable: Mutex<BTreeSet<i64>>,
    now: Mutex<i64>,
    page: usize,
    detection: DeleteDetection,
    /// What the books tell of deletes, ever: also of entries that were made again.
    told: Mutex<Vec<Deletion>>,
    /// Whether that can be read at all.
    tells: Mutex<bool>,
}

/// How the books tell of a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    ByKey,
    ByName,
    Not,
}

impl Books {
    fn new(page: usize, detection: DeleteDetection) -> Self {
        let (entries, unreadable) = (Mutex::default(), Mutex::default());
        Self {
            entries,
            unreadable,
            now: Mutex::new(START),
            page,
            detection,
            told: Mutex::default(),
            tells: Mutex::new(true),
        }
    }

    fn set(&self, key: i64, cents: i128) {
        let modified = *self.now.lock().unwrap();
        self.entries
            .lock()
            .unwrap()
            .insert(key, Entry { modified, cents });
    }

    fn delete(&self, key: i64) {
        self.delete_telling(key, Told::ByKey);
    }

    fn delete_telling(&self, key: i64, told: Told) {
        if self.entries.lock().unwrap().remove(&key).is_none() {
            return;
        }
        let text = key.to_string();
        self.told.lock().unwrap().extend(match told {
            Told::ByKey => Some(Deletion::Record(RecordKey::new([text.as_str()]))),
            Told::ByName => Some(Deletion::Unknown(format!("entry {key}"))),
            Told::Not => None,
        });
    }

    fn pass(&self, seconds: i64) {
        *self.now.lock().unwrap() += seconds;
    }

    fn schema() -> SchemaRef {
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Arc::new(Schema::new(vec![
            Field::new("recordno", DataType::Int64, false),
            Field::new("whenmodified", timestamp, true),
            Field::new("amount", DataType::Decimal128(38, 9), true),
        ]))
    }

    fn descriptor(&self) -> StreamDescriptor {
        let name = StreamName::new("entry").unwrap();
        let mut stream =
            StreamDescriptor::new(name, Self::schema(), vec!["recordno".into()]).unwrap();
        stream.modified = Some("whenmodified".into());
        stream.delete_detection = self.detection;
        stream.totals = TotalsShape {
            sums: vec!["amount".into()],
            group_by: vec![],
        };
        if self.detection == DeleteDetection::FullRead {
            stream.modified = None;
        }
        stream
    }

    fn pages(&self, selection: &Selection) -> Vec<SourceBatch> {
        let entries = self.entries.lock().unwrap();
        let mut chosen: Vec<(i64, Entry)> =
            entries.iter().map(|(&key, &entry)| (key, entry)).collect();
        if let Selection::Changes { window, after } = selection {
            let until = window.until.unix_timestamp();
            let from = window.from.map_or(i64::MIN, OffsetDateTime::unix_timestamp);
            let after = after.as_ref().map(|Cursor(text)| {
                let (modified, key) = text.split_once('/').unwrap();
                (
                    modified.parse::<i64>().unwrap(),
                    key.parse::<i64>().unwrap(),
                )
            });
            if self.detection != DeleteDetection::FullRead {
                chosen.retain(|(_, entry)| (from..until).contains(&entry.modified));
            }
            chosen.sort_by_key(|&(key, entry)| (entry.modified, key));
            chosen.retain(|&(key, entry)| after.is_none_or(|after| (entry.modified, key) > after));
        }
        let unreadable = self.unreadable.lock().unwrap();
        chosen
            .chunks(self.page)
            .map(|page| {
                let (bad, good): (Vec<_>, Vec<_>) = page
                    .iter()
                    .copied()
                    .partition(|(key, _)| unreadable.contains(key));
                let mut batch = SourceBatch::new(rows(&good, matches!(selection, Selection::Keys)));
                batch.rejected = match selection {
                    Selection::Keys => vec![],
                    _ => bad.iter().map(|(key, _)| unreadable_record(*key)).collect(),
                };
                if matches!(selection, Selection::Keys) {
                    batch.rows = rows(page, true);
                }
                batch.cursor = page
                    .last()
                    .map(|(key, entry)| Cursor(format!("{}/{key}", entry.modified)));
                batch
            })
            .collect()
    }
}

fn unreadable_record(key: i64) -> UnreadableRecord {
    UnreadableRecord {
        key: Some(RecordKey::new([key.to_string().as_str()])),
        column: "amount".into(),
        text: "1e5".into(),
        reason: "not a decimal number".into(),
        fields: vec![("RECORDNO".into(), Some(key.to_string()))],
    }
}

fn rows(entries: &[(i64, Entry)], keys_only: bool) -> RecordBatch {
    let keys = Int64Array::from_iter_values(entries.iter().map(|(key, _)| *key));
    let modified = entries.iter().map(|(_, entry)| entry.modified * 1_000_000);
    let modified = TimestampMicrosecondArray::from_iter_values(modified).with_timezone("UTC");
    let amounts = entries.iter().map(|(_, entry)| entry.cents * 10_000_000);
    let amounts = Decimal128Array::from_iter_values(amounts)
        .with_precision_and_scale(38, 9)
        .unwrap();
    let all = RecordBatch::try_new(
        Books::schema(),
        vec![Arc::new(keys), Arc::new(modified), Arc::new(amounts)],
    )
    .unwrap();
    if keys_only {
        all.project(&[0]).unwrap()
    } else {
        all
    }
}

fn totals<'a>(entries: impl Iterator<Item = &'a i128>, sums: usize) -> ControlTotals {
    let amounts: Vec<i128> = entries.copied().collect();
    let mut found = ControlTotals::default();
    if !amounts.is_empty() {
        let sum = Decimal::new(amounts.iter().sum(), 2).unwrap();
        let records = amounts.len() as u64;
        found.groups.insert(
            vec![],
            GroupTotals {
                records,
                sums: vec![sum; sums],
            },
        );
    }
    found
}

#[async_trait]
impl Source for Books {
    fn name(&self) -> &str {
        "books"
    }

    fn company(&self) -> &str {
        "DEMO"
    }

    async fn now(&self) -> Result<OffsetDateTime> {
        Ok(OffsetDateTime::from_unix_timestamp(*self.now.lock().unwrap()).unwrap())
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        Ok(vec![])
    }

    async fn discover(&self) -> Result<Vec<StreamDescriptor>> {
        Ok(vec![self.descriptor()])
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'_, Result<SourceBatch>> {
        stream::iter(self.pages(&request.selection).into_iter().map(Ok)).boxed()
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        let until = query
            .modified_before
            .filter(|_| self.detection != DeleteDetection::FullRead);
        let until = until.map_or(i64::MAX, OffsetDateTime::unix_timestamp);
        let entries = self.entries.lock().unwrap();
        let counted = entries.values().filter(|entry| entry.modified < until);
        Ok(Some(totals(
            counted.map(|entry| &entry.cents),
            query.stream.totals.sums.len(),
        )))
    }

    fn deletions(
        &self,
        _: Arc<StreamDescriptor>,
        _: sync_core::Window,
    ) -> BoxStream<'_, Result<Vec<Deletion>>> {
        let told = if *self.tells.lock().unwrap() {
            Ok(self.told.lock().unwrap().clone())
        } else {
            Err(Error::new(
                ErrorKind::Rejected,
                "there was an error processing the request",
            ))
        };
        stream::iter([told]).boxed()
    }

    async fn existing(
        &self,
        _: &Arc<StreamDescriptor>,
        keys: &[RecordKey],
    ) -> Result<Option<Vec<RecordKey>>> {
        let entries = self.entries.lock().unwrap();
        let exists = |key: &&RecordKey| entries.contains_key(&key.as_str().parse().unwrap());
        Ok(Some(keys.iter().filter(exists).cloned().collect()))
    }
}

/// A destination that keeps its rows, and the batches that it has seen, in one place.
#[derive(Debug, Default)]
struct Warehouse {
    state: Mutex<WarehouseState>,
    refuses: Mutex<BTreeSet<i64>>,
}

#[derive(Debug, Default)]
struct WarehouseState {
    rows: BTreeMap<i64, i128>,
    batches: BTreeMap<BatchId, Vec<Rejection>>,
    writes: usize,
}

impl Warehouse {
    fn rows(&self) -> BTreeMap<i64, i128> {
        self.state.lock().unwrap().rows.clone()
    }
}

#[async_trait]
impl Sink for Warehouse {
    fn name(&self) -> &str {
        "warehouse"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::upserting(Guarantee::ExactlyOnce)
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        Ok(vec![])
    }

    async fn plan(&self, stream: &StreamDescriptor) -> Result<SchemaPlan> {
        Ok(SchemaPlan::new(Arc::new(stream.clone()), vec![], vec![]))
    }

    async fn prepare(&self, _: &SchemaPlan) -> Result<()> {
        Ok(())
    }

    async fn write(&self, batch: &Batch) -> Result<Receipt> {
        // Two places at which the caller can be killed: before and after the effect.
        tokio::task::yield_now().await;
        let rejected = {
            let mut state = self.state.lock().unwrap();
            state.writes += 1;
            match state.batches.get(&batch.id()) {
                Some(rejected) => rejected.clone(),
                None => {
                    let rejected = apply(&mut state.rows, batch, &self.refuses.lock().unwrap());
                    state.batches.insert(batch.id(), rejected.clone());
                    rejected
                }
            }
        };
        tokio::task::yield_now().await;
        let mut receipt = Receipt::durable(batch.id(), OffsetDateTime::UNIX_EPOCH);
        receipt.rejected = rejected;
        Ok(receipt)
    }

    async fn flush(&self, _: &StreamName) -> Result<FlushReceipt> {
        Ok(FlushReceipt::default())
    }

    async fn lookup(&self, batch: &BatchId) -> Result<Landed> {
        Ok(match self.state.lock().unwrap().batches.get(batch) {
            Some(rejected) => {
                let mut receipt = Receipt::durable(*batch, OffsetDateTime::UNIX_EPOCH);
                receipt.rejected = rejected.clone();
                Landed::Yes(receipt)
            }
            None => Landed::No,
        })
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        let state = self.state.lock().unwrap();
        Ok(Some(totals(
            state.rows.values(),
            query.stream.totals.sums.len(),
        )))
    }
}

fn apply(rows: &mut BTreeMap<i64, i128>, batch: &Batch, refuses: &BTreeSet<i64>) -> Vec<Rejection> {
    let keys = Column::named(batch.rows(), "recordno").unwrap();
    let mut rejected = Vec::new();
    for row in 0..batch.len() {
        let Value::Integer(key) = keys.value(row) else {
            panic!("a key is a number")
        };
        if refuses.contains(&key) {
            rejected.push(Rejection {
                row,
                column: Some("amount".into()),
                reason: "too large".into(),
            });
            continue;
        }
        match batch.operation() {
            Operation::Delete => {
                rows.remove(&key);
            }
            Operation::Upsert => {
                let amounts = Column::named(batch.rows(), "amount").unwrap();
                let Value::Decimal(amount) = amounts.value(row) else {
                    panic!("an amount is there")
                };
                rows.insert(key, amount.at_scale(2).unwrap());
            }
        }
    }
    rejected
}

struct World {
    books: Arc<Books>,
    warehouse: Arc<Warehouse>,
    folder: tempfile::TempDir,
}

impl World {
    fn new(page: usize, detection: DeleteDetection) -> Self {
        Self {
            books: Arc::new(Books::new(page, detection)),
            warehouse: Arc::default(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn pipeline(&self) -> Pipeline {
        let parts = Parts {
            source: Arc::clone(&self.books) as _,
            sink: Arc::clone(&self.warehouse) as _,
            store: Arc::new(open_store(self.folder.path())),
            spool: Arc::new(FolderSpool::open(self.folder.path().join("spool")).unwrap()),
        };
        let mut options = PipelineOptions::default();
        options.batch_rows = 3;
        Pipeline::new("test", parts, options)
            .with_clock(Arc::new(ManualClock::at(OffsetDateTime::UNIX_EPOCH)))
    }

    /// Runs in a runtime of its own, which is torn down with everything in it after `polls` polls,
    /// as a killed process is: what the operating system was given to write may still be written.
    fn run(&self, polls: usize) -> Option<Result<RunReport>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let pipeline = self.pipeline();
        let outcome = runtime.block_on(limited(polls, pipeline.run()));
        drop(pipeline);
        outcome
    }

    fn run_whole(&self) -> RunReport {
        self.run(usize::MAX).unwrap().unwrap()
    }

    fn expected(&self) -> BTreeMap<i64, i128> {
        let entries = self.books.entries.lock().unwrap();
        entries
            .iter()
            .map(|(&key, entry)| (key, entry.cents))
            .collect()
    }

    /// Both sides have the same records, and nothing is left in between.
    fn assert_equal(&self) {
        assert_eq!(self.warehouse.rows(), self.expected());
        let unsettled =
            |store: SqliteStore| async move { store.unsettled(&scope()).await.unwrap() };
        assert_eq!(self.with_store(unsettled), []);
        let verify = |store: SqliteStore| async move { store.verify(&[]).await.unwrap() };
        assert!(self.with_store(verify).is_intact());
    }

    fn with_store<T, F: Future<Output = T>>(&self, work: impl FnOnce(SqliteStore) -> F) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(work(open_store(self.folder.path())))
    }
}

fn open_store(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder.join("state.db")).unwrap()
}

/// Polls a future so often, then gives it up.
async fn limited<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

fn scope() -> Scope {
    let stream = StreamName::new("entry").unwrap();
    Scope {
        pipeline: "test".into(),
        sink: "warehouse".into(),
        stream,
    }
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
    let TieOut::Different {
        rejected: 2,
        in_flight: 0,
        differences,
        ..
    } = &report.streams[0].tie_out
    else {
        panic!("{report:?}")
    };
    assert_eq!(differences[0].measure, "records");
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

/// What version 3 of the store's schema added.
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
        &[BACK_TO_VERSION_2][..],
        &[BACK_TO_VERSION_2, BACK_TO_VERSION_1],
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
        assert_eq!(before.last.unwrap().row, None);
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
fn a_damaged_payload_is_never_sent() {
    let world = World::new(4, DeleteDetection::KeySet);
    for key in 0..6 {
        world.books.set(key, 1);
    }
    world.books.pass(3600);
    let mut polls = 1;
    // Stop with a batch prepared, and neither sent nor settled.
    while world
        .with_store(|store| async move { store.unsettled(&scope()).await.unwrap().is_empty() })
    {
        assert!(
            world.run(polls).is_none(),
            "the run was over before it could be stopped"
        );
        polls += 1;
    }
    let spool = world.folder.path().join("spool/entry");
    for file in std::fs::read_dir(spool).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    let report = world.run(usize::MAX).unwrap().unwrap();
    let error = report.streams[0].error.as_ref().unwrap();
    assert!(error.contains("payload is damaged"), "{error}");
}

#[test]
fn every_kind_of_damage_to_the_ledger_is_found() {
    let world = World::new(4, DeleteDetection::KeySet);
    world.books.set(1, 100);
    world.books.pass(3600);
    world.run_whole();
    let path = world.folder.path().join("state.db");
    let whole = std::fs::read(&path).unwrap();
    for damage in [
        "UPDATE ledger SET body = replace(body, 'DEMO', 'DEMO2') WHERE sequence = 2",
        "UPDATE ledger SET at = '2020-01-01T00:00:00.000000Z' WHERE sequence = 3",
        "DELETE FROM ledger WHERE sequence = 2",
        "DELETE FROM ledger WHERE sequence = 2;
         UPDATE ledger SET sequence = sequence - 1 WHERE sequence > 2",
        "INSERT INTO ledger SELECT max(sequence) + 1, at, run, kind, body, hash FROM ledger",
        "UPDATE ledger SET sequence = -1 WHERE sequence = 2;
         UPDATE ledger SET sequence = 2 WHERE sequence = 3;
         UPDATE ledger SET sequence = 3 WHERE sequence = -1",
    ] {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(damage).unwrap();
        drop(connection);
        let verdict = world.with_store(|store| async move { store.verify(&[]).await.unwrap() });
        assert!(!verdict.is_intact(), "{damage}: {verdict}");
        for name in ["state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(world.folder.path().join(name));
        }
        std::fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn killed_at_every_poll_it_still_arrives_once() {
    let mut polls = 1;
    loop {
        let world = World::new(4, DeleteDetection::KeySet);
        for key in 0..11 {
            world.books.set(key, i128::from(key) + 1);
        }
        world.books.pass(3600);
        let first = world.run(polls);
        let whole = first.is_some();
        world.books.set(4, 400);
        world.books.delete(6);
        world.books.pass(3 * 3600);
        let _ = world.run(polls);
        // What the killed runs left behind, then what they did not come to.
        world.run_whole();
        world.books.pass(60);
        let last = world.run_whole();
        assert!(last.ties_out(), "killed after {polls} polls: {last:?}");
        world.assert_equal();
        if whole {
            break;
        }
        polls += 1;
    }
    assert!(
        polls > 20,
        "the run was over after {polls} polls: it was not killed anywhere"
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
                Step::Run(polls) => { let _ = world.run(polls); }
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
        "238baa82df03051691cf7bf5f3cea165"
    );
    assert_eq!(one.id().to_string(), "fc9761a3871c80b7cb6e2899be3f8284");
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
        sink: Arc::clone(&world.warehouse) as _,
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
