//! Books to read, a warehouse to write to, and what stands between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use arrow_array::{Decimal128Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::{self, BoxStream};
use sync_core::capabilities::Guarantee;
use sync_core::clock::ManualClock;
use sync_core::column::{Column, Value};
use sync_core::pipeline::{Parts, Pipeline, PipelineOptions, RunReport};
use sync_core::spool::{FolderSpool, Listed, Ownership, Spool, Spooled};
use sync_core::store::{BatchStore as _, LedgerStore as _, Scope, SqliteStore, Store};
use sync_core::stream::TotalsShape;
use sync_core::totals::GroupTotals;
use sync_core::{
    Batch, BatchId, Capabilities, Condition, ControlTotals, Cursor, Decimal, DeleteDetection,
    Deletion, Digest, Error, ErrorKind, Finding, FlushReceipt, Landed, Operation, Origin,
    ReadRequest, Receipt, RecordKey, Rejection, RejectionClass, Result, RunMark, SchemaPlan,
    Selection, Sink, Source, SourceBatch, StreamDescriptor, StreamName, TotalsQuery,
    UnreadableRecord,
};
use time::OffsetDateTime;
use tokio::sync::Notify;

pub(crate) const START: i64 = 1_760_000_000;

/// A record of the books: when it changed, in seconds, and an amount in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) modified: i64,
    pub(crate) cents: i128,
}

/// The moments of a run at which a process can be killed: around everything that reaches the outside.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    /// How many are left; no end where there is no such number.
    left: Mutex<Option<usize>>,
    over: Mutex<Arc<Notify>>,
}

impl Moments {
    pub(crate) async fn pass(&self) {
        let is_over = match &mut *self.left.lock().unwrap() {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        };
        if is_over {
            self.over.lock().unwrap().notify_one();
            std::future::pending().await
        }
    }

    /// Works until so many moments have passed, then gives up.
    pub(crate) async fn limited<F: Future>(&self, moments: usize, work: F) -> Option<F::Output> {
        *self.left.lock().unwrap() = (moments != usize::MAX).then_some(moments);
        let over = Arc::new(Notify::new());
        *self.over.lock().unwrap() = Arc::clone(&over);
        let outcome = match select(pin!(work), pin!(over.notified())).await {
            Either::Left((outcome, _)) => Some(outcome),
            Either::Right(_) => None,
        };
        *self.left.lock().unwrap() = None;
        outcome
    }
}

/// A folder, around whose work a process can be killed.
#[derive(Debug)]
pub(crate) struct WatchedSpool {
    pub(crate) folder: FolderSpool,
    pub(crate) moments: Arc<Moments>,
}

#[async_trait]
impl Spool for WatchedSpool {
    async fn put(&self, batch: &Batch) -> Result<Spooled> {
        self.moments.pass().await;
        let spooled = self.folder.put(batch).await;
        self.moments.pass().await;
        spooled
    }

    async fn get(&self, spooled: &Spooled) -> Result<RecordBatch> {
        self.moments.pass().await;
        self.folder.get(spooled).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.moments.pass().await;
        self.folder.remove(name).await
    }

    async fn list(&self) -> Result<Vec<Listed>> {
        self.folder.list().await
    }

    async fn claim(&self, store: Digest) -> Result<Ownership> {
        self.folder.claim(store).await
    }
}

#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) moments: Arc<Moments>,
    pub(crate) entries: Mutex<BTreeMap<i64, Entry>>,
    /// Keys of entries whose amount cannot be read.
    pub(crate) unreadable: Mutex<BTreeSet<i64>>,
    pub(crate) now: Mutex<i64>,
    pub(crate) page: usize,
    pub(crate) detection: DeleteDetection,
    /// What the books tell of deletes, ever: also of entries that were made again.
    pub(crate) told: Mutex<Vec<Deletion>>,
    /// Whether that can be read at all.
    pub(crate) tells: Mutex<bool>,
    /// What happens before a page is given, by its number.
    pub(crate) meanwhile: Mutex<Option<Meanwhile>>,
    pub(crate) stream: &'static str,
    /// Pages of changes, and listings of keys, that were given.
    pub(crate) given: Mutex<(usize, usize)>,
}

/// Something that happens while pages are read.
pub(crate) struct Meanwhile(pub(crate) Box<dyn Fn(u64) -> BoxFuture<'static, ()> + Send + Sync>);

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meanwhile")
    }
}

/// How the books tell of a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    ByKey,
    ByName,
    Not,
}

impl Books {
    pub(crate) fn new(page: usize, detection: DeleteDetection) -> Self {
        let (entries, unreadable) = (Mutex::default(), Mutex::default());
        Self {
            moments: Arc::default(),
            entries,
            unreadable,
            now: Mutex::new(START),
            page,
            detection,
            told: Mutex::default(),
            tells: Mutex::new(true),
            meanwhile: Mutex::default(),
            stream: "entry",
            given: Mutex::default(),
        }
    }

    pub(crate) fn set(&self, key: i64, cents: i128) {
        let modified = *self.now.lock().unwrap();
        self.entries
            .lock()
            .unwrap()
            .insert(key, Entry { modified, cents });
    }

    pub(crate) fn delete(&self, key: i64) {
        self.delete_telling(key, Told::ByKey);
    }

    pub(crate) fn delete_telling(&self, key: i64, told: Told) {
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

    async fn pass_time(&self, page: u64) {
        let happening = {
            let meanwhile = self.meanwhile.lock().unwrap();
            meanwhile.as_ref().map(|it| (it.0)(page))
        };
        if let Some(happening) = happening {
            happening.await;
        }
    }

    pub(crate) fn pass(&self, seconds: i64) {
        *self.now.lock().unwrap() += seconds;
    }

    pub(crate) fn schema() -> SchemaRef {
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Arc::new(Schema::new(vec![
            Field::new("recordno", DataType::Int64, false),
            Field::new("whenmodified", timestamp, true),
            Field::new("amount", DataType::Decimal128(38, 9), true),
        ]))
    }

    pub(crate) fn descriptor(&self) -> StreamDescriptor {
        let name = StreamName::new(self.stream).unwrap();
        let mut stream =
            StreamDescriptor::new(name, Self::schema(), vec!["recordno".into()]).unwrap();
        stream.modified = Some("whenmodified".into());
        stream.delete_detection = self.detection;
        stream.totals = TotalsShape {
            sums: vec!["amount".into()],
            ..TotalsShape::default()
        };
        if self.detection == DeleteDetection::FullRead {
            stream.modified = None;
        }
        stream
    }

    pub(crate) fn pages(&self, selection: &Selection) -> Vec<SourceBatch> {
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
        if let Selection::Matching(conditions) = selection {
            chosen.retain(|(key, _)| meets(*key, conditions));
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

pub(crate) fn unreadable_record(key: i64) -> UnreadableRecord {
    UnreadableRecord {
        key: Some(RecordKey::new([key.to_string().as_str()])),
        column: "amount".into(),
        text: "1e5".into(),
        reason: "not a decimal number".into(),
        fields: vec![("RECORDNO".into(), Some(key.to_string()))],
    }
}

pub(crate) fn rows(entries: &[(i64, Entry)], keys_only: bool) -> RecordBatch {
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

/// Counts and sums of entries: of keys and cents.
pub(crate) fn totals(
    entries: impl Iterator<Item = (i64, i128)>,
    query: &TotalsQuery,
) -> ControlTotals {
    let mut found = ControlTotals::default();
    let shape = &query.stream.totals;
    for (key, cents) in entries.filter(|(key, _)| meets(*key, &query.matching)) {
        let group = shape.group_by.iter().map(|_| key.to_string());
        let sum = Decimal::new(cents, 2).unwrap();
        let one = GroupTotals {
            records: 1,
            sums: vec![sum; shape.sums.len()],
        };
        found.add(group.collect(), one).unwrap();
    }
    found
}

/// Conditions are about the key, which is also all that entries are grouped by.
fn meets(key: i64, conditions: &[Condition]) -> bool {
    conditions.iter().all(|condition| {
        let Condition::OneOf { column, values } = condition else {
            panic!("{condition:?}")
        };
        assert_eq!(column, "recordno");
        values.contains(&key.to_string())
    })
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
        let pages = self.pages(&request.selection);
        let changes = matches!(request.selection, Selection::Changes { .. });
        {
            let mut given = self.given.lock().unwrap();
            given.1 += usize::from(!changes);
        }
        stream::iter(pages)
            .enumerate()
            .then(move |(number, mut page)| async move {
                let number = number as u64;
                self.moments.pass().await;
                if changes {
                    self.given.lock().unwrap().0 += 1;
                    page.origin = Some(Origin::new(number, format!("request-{number}")));
                    self.pass_time(number).await;
                }
                Ok(page)
            })
            .boxed()
    }

    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        self.moments.pass().await;
        let until = query
            .modified_before
            .filter(|_| self.detection != DeleteDetection::FullRead);
        let until = until.map_or(i64::MAX, OffsetDateTime::unix_timestamp);
        let entries = self.entries.lock().unwrap();
        let counted = entries.iter().filter(|(_, entry)| entry.modified < until);
        let counted = counted.map(|(&key, entry)| (key, entry.cents));
        Ok(Some(totals(counted, query)))
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
        self.moments.pass().await;
        let entries = self.entries.lock().unwrap();
        let exists = |key: &&RecordKey| entries.contains_key(&key.as_str().parse().unwrap());
        Ok(Some(keys.iter().filter(exists).cloned().collect()))
    }
}

/// A destination that keeps its rows, and the batches that it has seen, in one place.
#[derive(Debug)]
pub(crate) struct Warehouse {
    pub(crate) name: &'static str,
    moments: Arc<Moments>,
    pub(crate) state: Mutex<WarehouseState>,
    pub(crate) refuses: Mutex<BTreeSet<i64>>,
    pub(crate) weather: Mutex<Weather>,
    /// What happens before a batch is written, by its number.
    pub(crate) meanwhile: Mutex<Option<Meanwhile>>,
}

/// What it is like to reach a warehouse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// How many more calls come through; all where there is no such number.
    pub(crate) calls: Option<usize>,
    /// How often a call lets others go first.
    pub(crate) slowness: usize,
}

#[derive(Debug, Default)]
pub(crate) struct WarehouseState {
    pub(crate) rows: BTreeMap<i64, i128>,
    /// The rows of other streams than `entry`.
    pub(crate) others: BTreeMap<StreamName, BTreeMap<i64, i128>>,
    pub(crate) batches: BTreeMap<BatchId, Vec<Rejection>>,
    pub(crate) writes: usize,
    /// The ends of runs; refused where there is no room for them.
    pub(crate) runs: Vec<RunMark>,
    pub(crate) refuses_runs: bool,
}

impl Default for Warehouse {
    fn default() -> Self {
        Self::called("warehouse", &Arc::default())
    }
}

impl WarehouseState {
    fn of(&mut self, stream: &StreamName) -> &mut BTreeMap<i64, i128> {
        match stream.as_str() {
            "entry" => &mut self.rows,
            _ => self.others.entry(stream.clone()).or_default(),
        }
    }
}

impl Warehouse {
    pub(crate) fn called(name: &'static str, moments: &Arc<Moments>) -> Self {
        Self {
            name,
            moments: Arc::clone(moments),
            state: Mutex::default(),
            refuses: Mutex::default(),
            weather: Mutex::default(),
            meanwhile: Mutex::default(),
        }
    }

    /// Comes through, or not.
    async fn reach(&self) -> Result<()> {
        self.moments.pass().await;
        let slowness = self.weather.lock().unwrap().slowness;
        for _ in 0..slowness {
            tokio::task::yield_now().await;
        }
        match &mut self.weather.lock().unwrap().calls {
            Some(0) => Err(Error::new(
                ErrorKind::Unavailable,
                "the warehouse is closed",
            )),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(crate) fn rows(&self) -> BTreeMap<i64, i128> {
        self.state.lock().unwrap().rows.clone()
    }
}

#[async_trait]
impl Sink for Warehouse {
    fn name(&self) -> &str {
        self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::upserting(Guarantee::ExactlyOnce)
    }

    async fn check(&self) -> Result<Vec<Finding>> {
        Ok(vec![])
    }

    async fn plan(&self, stream: &StreamDescriptor) -> Result<SchemaPlan> {
        self.reach().await?;
        Ok(SchemaPlan::new(Arc::new(stream.clone()), vec![], vec![]))
    }

    async fn prepare(&self, _: &SchemaPlan) -> Result<()> {
        Ok(())
    }

    async fn stage(&self, _: &Batch) -> Result<()> {
        self.reach().await
    }

    async fn write(&self, batch: &Batch) -> Result<Receipt> {
        self.reach().await?;
        let happening = {
            let meanwhile = self.meanwhile.lock().unwrap();
            meanwhile.as_ref().map(|it| (it.0)(batch.place().ordinal))
        };
        if let Some(happening) = happening {
            happening.await;
        }
        let rejected = {
            let mut state = self.state.lock().unwrap();
            state.writes += 1;
            match state.batches.get(&batch.id()) {
                Some(rejected) => rejected.clone(),
                None => {
                    let rows = state.of(&batch.stream().name);
                    let rejected = apply(rows, batch, &self.refuses.lock().unwrap());
                    state.batches.insert(batch.id(), rejected.clone());
                    rejected
                }
            }
        };
        // Also once it is there and nobody knows.
        self.moments.pass().await;
        let mut receipt = Receipt::durable(batch.id(), OffsetDateTime::UNIX_EPOCH);
        receipt.rejected = rejected;
        Ok(receipt)
    }

    async fn flush(&self, _: &StreamName) -> Result<FlushReceipt> {
        self.reach().await?;
        Ok(FlushReceipt::default())
    }

    async fn keep_run(&self, run: &RunMark) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        if state.refuses_runs {
            return Err(Error::new(ErrorKind::Permission, "the table is read-only"));
        }
        state.runs.push(run.clone());
        Ok(())
    }

    async fn lookup(&self, batch: &BatchId) -> Result<Landed> {
        self.reach().await?;
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
        self.reach().await?;
        let mut state = self.state.lock().unwrap();
        let rows = state.of(&query.stream.name);
        let rows = rows.iter().map(|(&key, &cents)| (key, cents));
        Ok(Some(totals(rows, query)))
    }
}

pub(crate) fn apply(
    rows: &mut BTreeMap<i64, i128>,
    batch: &Batch,
    refuses: &BTreeSet<i64>,
) -> Vec<Rejection> {
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
                class: RejectionClass::Refused,
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

pub(crate) struct World {
    pub(crate) books: Arc<Books>,
    pub(crate) warehouse: Arc<Warehouse>,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new(page: usize, detection: DeleteDetection) -> Self {
        let books = Books::new(page, detection);
        Self {
            warehouse: Arc::new(Warehouse::called("warehouse", &books.moments)),
            books: Arc::new(books),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn pipeline(&self) -> Pipeline {
        self.pipeline_with(Arc::new(open_store(self.folder.path())))
    }

    pub(crate) fn pipeline_with(&self, store: Arc<dyn Store>) -> Pipeline {
        self.pipeline_between(Arc::clone(&self.warehouse) as _, store)
    }

    pub(crate) fn pipeline_between(&self, sink: Arc<dyn Sink>, store: Arc<dyn Store>) -> Pipeline {
        self.pipeline_of(self.parts(sink, store), |_| ())
    }

    pub(crate) fn parts(&self, sink: Arc<dyn Sink>, store: Arc<dyn Store>) -> Parts {
        Parts {
            source: Arc::clone(&self.books) as _,
            sinks: vec![sink],
            store,
            spool: self.spool(),
        }
    }

    pub(crate) fn pipeline_of(
        &self,
        parts: Parts,
        change: impl FnOnce(&mut PipelineOptions),
    ) -> Pipeline {
        let mut options = PipelineOptions::default();
        options.batch_rows = 3;
        change(&mut options);
        Pipeline::new("test", parts, options)
            .with_clock(Arc::new(ManualClock::at(OffsetDateTime::UNIX_EPOCH)))
    }

    pub(crate) fn spool(&self) -> Arc<dyn Spool> {
        Arc::new(WatchedSpool {
            folder: FolderSpool::open(self.folder.path().join("spool")).unwrap(),
            moments: Arc::clone(&self.books.moments),
        })
    }

    /// Runs in a runtime of its own, which is torn down with everything in it after so many moments, as
    /// a killed process is: what the operating system was given to write may still be written.
    pub(crate) fn run(&self, moments: usize) -> Option<Result<RunReport>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let pipeline = self.pipeline();
        let outcome = runtime.block_on(self.books.moments.limited(moments, pipeline.run()));
        drop(pipeline);
        outcome
    }

    pub(crate) fn run_whole(&self) -> RunReport {
        self.run(usize::MAX).unwrap().unwrap()
    }

    pub(crate) fn expected(&self) -> BTreeMap<i64, i128> {
        let entries = self.books.entries.lock().unwrap();
        entries
            .iter()
            .map(|(&key, entry)| (key, entry.cents))
            .collect()
    }

    /// As [`World::assert_equal`], from inside a runtime.
    pub(crate) fn assert_equal_in_thread(&self) {
        std::thread::scope(|threads| {
            threads.spawn(|| self.assert_equal());
        });
    }

    /// Both sides have the same records, and nothing is left in between.
    pub(crate) fn assert_equal(&self) {
        assert_eq!(self.warehouse.rows(), self.expected());
        let unsettled =
            |store: SqliteStore| async move { store.unsettled(&scope()).await.unwrap() };
        assert_eq!(self.with_store(unsettled), []);
        let verify = |store: SqliteStore| async move { store.verify(&[]).await.unwrap() };
        assert!(self.with_store(verify).is_intact());
    }

    pub(crate) fn with_store<T, F: Future<Output = T>>(
        &self,
        work: impl FnOnce(SqliteStore) -> F,
    ) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(work(open_store(self.folder.path())))
    }
}

pub(crate) fn open_store(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder.join("state.db")).unwrap()
}

pub(crate) fn scope() -> Scope {
    let stream = StreamName::new("entry").unwrap();
    Scope {
        pipeline: "test".into(),
        sink: "warehouse".into(),
        stream,
    }
}
