//! One extraction to several sinks: slow ones, failing ones, new ones.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use proptest::prelude::*;
use sync_core::clock::{ManualClock, Sleeper};
use sync_core::ledger::EntryKind;
use sync_core::pipeline::{
    Event, Observer, Parts, Pipeline, PipelineOptions, RunReport, StreamReport,
};
use sync_core::store::{BatchStore as _, LedgerStore as _, Scope, SqliteStore};
use sync_core::{
    ControlTotals, DeleteDetection, ErrorKind, Finding, ReadRequest, RecordKey, Result, Selection,
    Sink, Source, SourceBatch, StreamDescriptor, TotalsQuery,
};
use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::world::*;

const NAMES: [&str; 3] = ["one", "two", "three"];

/// Books and several warehouses.
struct Fan {
    world: World,
    sinks: Vec<Arc<Warehouse>>,
    batch_rows: usize,
    patience: Patience,
    observer: Arc<Seen>,
}

/// Waits for nobody, or for ever. Leases need no renewing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    None,
    Endless,
}

#[async_trait]
impl Sleeper for Patience {
    async fn sleep(&self, duration: Duration) {
        let is_patience = duration == PipelineOptions::default().patience;
        if *self == Self::None && is_patience {
            return;
        }
        std::future::pending().await
    }
}

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<(&'static str, String)>>);

impl Observer for Seen {
    fn observe(&self, event: Event<'_>) {
        let seen = match event {
            Event::SinkLeftBehind { sink, .. } => ("left behind", sink.to_owned()),
            Event::StreamEnded { report } => {
                ("ended", format!("{}/{}", report.stream, report.sink))
            }
            _ => return,
        };
        self.0.lock().unwrap().push(seen);
    }
}

impl Fan {
    fn new(page: usize, detection: DeleteDetection, sinks: usize) -> Self {
        let world = World::new(page, detection);
        let moments = &world.books.moments;
        let sinks = NAMES[..sinks].iter();
        let sinks = sinks.map(|name| Arc::new(Warehouse::called(name, moments)));
        Self {
            sinks: sinks.collect(),
            world,
            batch_rows: 3,
            patience: Patience::Endless,
            observer: Arc::default(),
        }
    }

    fn pipeline(&self) -> Pipeline {
        self.pipeline_from(Arc::clone(&self.world.books) as _)
    }

    fn pipeline_from(&self, source: Arc<dyn Source>) -> Pipeline {
        let folder = self.world.folder.path();
        let sinks = self
            .sinks
            .iter()
            .map(|sink| Arc::clone(sink) as Arc<dyn Sink>);
        let parts = Parts {
            source,
            sinks: sinks.collect(),
            store: Arc::new(open_store(folder)),
            spool: self.world.spool(),
        };
        let mut options = PipelineOptions::default();
        options.batch_rows = self.batch_rows;
        Pipeline::new("test", parts, options)
            .with_clock(Arc::new(ManualClock::at(OffsetDateTime::UNIX_EPOCH)))
            .with_sleeper(Arc::new(self.patience))
            .observed_by(Arc::clone(&self.observer) as _)
    }

    /// As [`World::run`].
    fn run(&self, moments: usize) -> Option<Result<RunReport>> {
        let runtime = runtime();
        let pipeline = self.pipeline();
        let limit = &self.world.books.moments;
        let outcome = runtime.block_on(limit.limited(moments, pipeline.run()));
        drop(pipeline);
        outcome
    }

    fn run_whole(&self) -> RunReport {
        self.run(usize::MAX).unwrap().unwrap()
    }

    fn weather(&self, sink: usize, calls: Option<usize>, slowness: usize) {
        *self.sinks[sink].weather.lock().unwrap() = Weather { calls, slowness };
    }

    fn given(&self) -> (usize, usize) {
        std::mem::take(&mut *self.world.books.given.lock().unwrap())
    }

    /// All warehouses equal the books, nothing is left in between, and every batch arrived once.
    fn assert_equal(&self) {
        for sink in &self.sinks {
            assert_eq!(sink.rows(), self.world.expected(), "{}", sink.name);
            let scope = scope_of(sink.name);
            let (unsettled, settled) = self.world.with_store(|store| async move {
                let unsettled = store.unsettled(&scope).await.unwrap();
                (unsettled, settled(&store, sink.name).await)
            });
            assert_eq!(unsettled, []);
            let arrived: Vec<_> = sink.state.lock().unwrap().batches.keys().copied().collect();
            let arrived: BTreeSet<_> = arrived.iter().map(ToString::to_string).collect();
            let once: BTreeSet<_> = settled.iter().cloned().collect();
            assert_eq!(settled.len(), once.len(), "{}: settled twice", sink.name);
            assert_eq!(arrived, once, "{}", sink.name);
        }
        let verify = |store: SqliteStore| async move { store.verify(&[]).await.unwrap() };
        assert!(self.world.with_store(verify).is_intact());
    }
}

/// The batches that the ledger says a sink has.
async fn settled(store: &SqliteStore, sink: &str) -> Vec<String> {
    let entries = store.entries(0, usize::MAX).await.unwrap();
    let settled = entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::BatchSettled.as_str());
    let bodies = settled.map(|entry| serde_json::from_str(&entry.body).unwrap());
    bodies
        .filter(|body: &serde_json::Value| body["scope"]["sink"] == sink)
        .map(|body| body["batch"].as_str().unwrap().to_owned())
        .collect()
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().unwrap()
}

fn scope_of(sink: &str) -> Scope {
    Scope {
        sink: sink.into(),
        ..scope()
    }
}

fn of<'a>(report: &'a RunReport, sink: &str) -> &'a StreamReport {
    let mut streams = report.streams.iter();
    streams.find(|stream| stream.sink == sink).unwrap()
}

#[test]
fn several_sinks_share_one_extraction() {
    for detection in [DeleteDetection::KeySet, DeleteDetection::FullRead] {
        let fan = Fan::new(4, detection, 3);
        for key in 0..20 {
            fan.world.books.set(key, 100 * i128::from(key));
        }
        fan.world.books.pass(3600);
        let report = fan.run_whole();
        assert!(report.ties_out(), "{report:?}");
        assert_eq!(fan.given(), (5, 0));
        let written: Vec<_> = report
            .streams
            .iter()
            .map(|it| (it.read, it.written))
            .collect();
        assert_eq!(written, [(20, 20); 3]);
        fan.assert_equal();
        // One payload for all of them.
        let spool = fan.world.folder.path().join("spool/entry");
        let batches = fan.sinks[0].state.lock().unwrap().batches.len();
        assert_eq!(std::fs::read_dir(spool).unwrap().count(), batches);

        fan.world.books.set(7, 5);
        fan.world.books.delete(8);
        fan.world.books.pass(3600);
        let report = fan.run_whole();
        assert!(report.ties_out(), "{report:?}");
        let done: Vec<_> = report
            .streams
            .iter()
            .map(|it| (it.written, it.deleted))
            .collect();
        assert_eq!(done, [(1, 1); 3]);
        let listings = usize::from(detection == DeleteDetection::KeySet);
        assert_eq!(fan.given().1, listings);
        fan.assert_equal();
    }
}

#[test]
fn sinks_of_one_name_are_refused() {
    let mut fan = Fan::new(4, DeleteDetection::KeySet, 2);
    fan.sinks[1] = Arc::new(Warehouse::called("one", &Arc::default()));
    let error = fan.run(usize::MAX).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    fan.sinks.clear();
    let error = fan.run(usize::MAX).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn a_sink_that_fails_holds_nobody_up_and_catches_up_from_the_spool() {
    // A table that is new is planned twice.
    for calls in [2, 3, 5] {
        let fan = Fan::new(4, DeleteDetection::KeySet, 2);
        for key in 0..40 {
            fan.world.books.set(key, 1);
        }
        fan.world.books.pass(3600);
        fan.weather(1, Some(calls), 0);
        let report = fan.run_whole();
        assert!(of(&report, "one").tie_out.is_equal());
        assert_eq!(of(&report, "one").error, None);
        let error = of(&report, "two").error.as_deref().unwrap();
        assert!(error.starts_with("the warehouse is closed"), "{error}");
        assert!(!report.is_complete() && !report.ties_out());
        assert_eq!(fan.sinks[0].rows(), fan.world.expected());
        assert!(fan.sinks[1].rows().len() < 40);
        assert_eq!(fan.given(), (10, 0));

        // Nothing has happened since, so nothing is read: what is missing comes from the spool.
        fan.weather(1, None, 0);
        let report = fan.run_whole();
        assert!(report.ties_out(), "{report:?}");
        assert_eq!(fan.given(), (0, 0));
        assert!(of(&report, "two").recovered > 0);
        assert_eq!(of(&report, "one").recovered, 0);
        fan.assert_equal();
    }
}

#[test]
fn what_is_gone_is_spooled_for_a_sink_that_fails_too() {
    for detection in [
        DeleteDetection::KeySet,
        DeleteDetection::FullRead,
        DeleteDetection::AuditHistory,
    ] {
        let fan = Fan::new(4, detection, 2);
        for key in 0..12 {
            fan.world.books.set(key, 1);
        }
        fan.world.books.pass(3600);
        fan.run_whole();
        for key in 3..6 {
            fan.world.books.delete(key);
        }
        fan.world.books.set(9, 9);
        fan.world.books.pass(3600);
        // After its table was seen to.
        fan.weather(1, Some(1), 0);
        let report = fan.run_whole();
        assert_eq!(
            (of(&report, "one").deleted, of(&report, "two").deleted),
            (3, 0)
        );
        fan.given();
        fan.weather(1, None, 0);
        let report = fan.run_whole();
        assert_eq!(of(&report, "two").deleted, 3);
        assert_eq!(fan.given(), (0, 0));
        assert!(report.ties_out(), "{report:?}");
        fan.assert_equal();
    }
}

#[test]
fn a_sink_that_is_new_or_stays_away_gets_an_extraction_of_its_own_until_it_is_level() {
    let mut fan = Fan::new(4, DeleteDetection::KeySet, 2);
    for key in 0..8 {
        fan.world.books.set(key, 1);
    }
    fan.world.books.pass(3 * 3600);
    fan.weather(1, Some(2), 0);
    fan.run_whole();
    for key in 10..14 {
        fan.world.books.set(key, 1);
    }
    fan.world.books.pass(3 * 3600);
    fan.weather(1, Some(0), 0);
    let report = fan.run_whole();
    assert!(of(&report, "one").tie_out.is_equal());
    assert!(of(&report, "two").error.is_some());

    fan.world.books.set(20, 1);
    fan.world.books.pass(3 * 3600);
    fan.weather(1, None, 0);
    let third = Warehouse::called("three", &fan.world.books.moments);
    fan.sinks.push(Arc::new(third));
    fan.given();
    let report = fan.run_whole();
    assert!(report.ties_out(), "{report:?}");
    let read: Vec<_> = report.streams.iter().map(|it| it.read).collect();
    // What is new; that and what it missed; everything.
    assert_eq!(read, [1, 5, 13]);
    fan.assert_equal();

    fan.world.books.set(20, 2);
    fan.world.books.pass(3 * 3600);
    fan.given();
    assert!(fan.run_whole().ties_out());
    assert_eq!(fan.given(), (1, 0));
    fan.assert_equal();
}

#[test]
fn of_several_that_all_fail_the_stream_is_given_up() {
    let fan = Fan::new(4, DeleteDetection::KeySet, 2);
    for key in 0..400 {
        fan.world.books.set(key, 1);
    }
    fan.world.books.pass(3600);
    fan.weather(0, Some(2), 0);
    fan.weather(1, Some(3), 0);
    let error = fan.run(usize::MAX).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // Nobody is left to read for.
    assert!(fan.given().0 < 10);
    fan.weather(0, None, 0);
    fan.weather(1, None, 0);
    assert!(fan.run_whole().is_complete());
    fan.assert_equal();
}

/// Two streams.
#[derive(Debug)]
struct Library([Arc<Books>; 2]);

impl Library {
    fn books(&self, stream: &StreamDescriptor) -> &Books {
        let mut books = self.0.iter();
        books.find(|it| it.stream == stream.name.as_str()).unwrap()
    }
}

#[async_trait]
impl Source for Library {
    fn name(&self) -> &str {
        "library"
    }
    fn company(&self) -> &str {
        "DEMO"
    }
    async fn now(&self) -> Result<OffsetDateTime> {
        self.0[0].now().await
    }
    async fn check(&self) -> Result<Vec<Finding>> {
        Ok(vec![])
    }
    async fn discover(&self) -> Result<Vec<StreamDescriptor>> {
        Ok(self.0.iter().map(|books| books.descriptor()).collect())
    }
    fn read(&self, request: ReadRequest) -> BoxStream<'_, Result<SourceBatch>> {
        self.books(&request.stream).read(request)
    }
    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        self.books(&query.stream).control_totals(query).await
    }
    async fn existing(
        &self,
        stream: &Arc<StreamDescriptor>,
        keys: &[RecordKey],
    ) -> Result<Option<Vec<RecordKey>>> {
        self.books(stream).existing(stream, keys).await
    }
}

/// Books that give what changed in a script's words: a list that moves under its reader names one entry
/// twice.
#[derive(Debug)]
struct Moving {
    books: Arc<Books>,
    pages: Vec<Vec<(i64, Entry)>>,
}

#[async_trait]
impl Source for Moving {
    fn name(&self) -> &str {
        self.books.name()
    }
    fn company(&self) -> &str {
        self.books.company()
    }
    async fn now(&self) -> Result<OffsetDateTime> {
        self.books.now().await
    }
    async fn check(&self) -> Result<Vec<Finding>> {
        Ok(vec![])
    }
    async fn discover(&self) -> Result<Vec<StreamDescriptor>> {
        self.books.discover().await
    }
    fn read(&self, request: ReadRequest) -> BoxStream<'_, Result<SourceBatch>> {
        match request.selection {
            Selection::Changes { .. } => {
                let pages = self
                    .pages
                    .iter()
                    .map(|page| SourceBatch::new(rows(page, false)));
                futures_util::stream::iter(pages.map(Ok)).boxed()
            }
            _ => self.books.read(request),
        }
    }
    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        self.books.control_totals(query).await
    }
}

/// What was delivered, then another state of it, then the first again, while the other is still under
/// way: the index knows the first only, and would call it unchanged.
#[test]
fn a_state_that_comes_back_while_another_is_under_way_is_sent_again() {
    let mut fan = Fan::new(4, DeleteDetection::KeySet, 2);
    for key in 1..=8 {
        fan.world.books.set(key, 100);
    }
    fan.world.books.pass(3600);
    assert!(fan.run_whole().ties_out());
    fan.world.books.pass(3600);

    let entries = fan.world.books.entries.lock().unwrap().clone();
    let now = |key: i64| (key, entries[&key]);
    let (_, mut otherwise) = now(1);
    otherwise.cents = 999;
    let pages = vec![
        vec![(1, otherwise), now(2), now(3)],
        vec![now(4), now(5), now(6)],
        vec![now(1), now(7), now(8)],
    ];
    // A page is a batch, and no sink has the first before all are read.
    fan.batch_rows = 3;
    fan.weather(0, None, 20_000);
    fan.weather(1, None, 30_000);
    let books = Arc::clone(&fan.world.books);
    let pipeline = fan.pipeline_from(Arc::new(Moving { books, pages }));
    let report = runtime().block_on(pipeline.run()).unwrap();
    drop(pipeline);
    assert!(report.ties_out(), "{report:?}");
    fan.assert_equal();
}

/// A sink hangs in its very first batch until the other has both streams whole: who waits for it, waits
/// for ever.
#[test]
fn a_slow_sink_holds_nobody_up_and_is_delivered_from_the_spool_in_the_same_run() {
    let fan = Fan::new(4, DeleteDetection::KeySet, 2);
    let mut other = Books::new(4, DeleteDetection::KeySet);
    other.stream = "other";
    let other = Arc::new(other);
    for key in 0..40 {
        fan.world.books.set(key, 1);
        other.set(key, 2);
    }
    fan.world.books.pass(3600);
    other.pass(3600);

    let (open, first) = (Arc::new(Notify::new()), Mutex::new(true));
    let gate = Arc::clone(&open);
    *fan.sinks[1].meanwhile.lock().unwrap() = Some(Meanwhile(Box::new(move |_| {
        let gate = std::mem::take(&mut *first.lock().unwrap()).then(|| Arc::clone(&gate));
        async move {
            if let Some(gate) = gate {
                gate.notified().await;
            }
        }
        .boxed()
    })));
    let library = Arc::new(Library([Arc::clone(&fan.world.books), other]));
    let pipeline = fan.pipeline_from(library);
    let report = runtime().block_on(async {
        let mut running = std::pin::pin!(pipeline.run());
        let whole = |fan: &Fan| {
            let state = fan.sinks[0].state.lock().unwrap();
            state.rows.len() == 40 && state.others.values().any(|rows| rows.len() == 40)
        };
        let watched = async {
            while !whole(&fan) {
                tokio::task::yield_now().await;
            }
            assert_eq!(fan.sinks[1].rows().len(), 0);
            open.notify_one();
            std::future::pending::<()>().await;
        };
        let mut watched = std::pin::pin!(watched);
        let both = futures_util::future::select(running.as_mut(), watched.as_mut());
        match tokio::time::timeout(Duration::from_secs(60), both).await {
            Ok(futures_util::future::Either::Left((report, _))) => report.unwrap(),
            Ok(futures_util::future::Either::Right(_)) => unreachable!(),
            Err(_) => panic!("the slow sink was waited for"),
        }
    });
    drop(pipeline);
    assert!(report.ties_out(), "{report:?}");
    assert_eq!(report.streams.len(), 4);
    let seen = fan.observer.0.lock().unwrap();
    assert!(
        seen.contains(&("left behind", "two".to_owned())),
        "{seen:?}"
    );
    assert_eq!(fan.given(), (10, 0));
    assert_eq!(fan.sinks[1].rows(), fan.world.expected());
}

#[derive(Clone, Debug)]
enum Step {
    Set(i64, i128),
    Delete(i64, Told),
    Pass(i64),
    Weather(usize, Option<usize>, usize),
    Run(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let calls = prop_oneof![3 => Just(None), 2 => (0usize..12).prop_map(Some)];
    let slowness = prop_oneof![Just(0usize), 0usize..12, 30usize..300];
    let told = prop_oneof![Just(Told::ByKey), Just(Told::ByName), Just(Told::Not)];
    let step = prop_oneof![
        // Few amounts, so that records go back to what they were.
        8 => (0i64..24, 0i128..3).prop_map(|(key, cents)| Step::Set(key, cents)),
        2 => (0i64..24, told).prop_map(|(key, told)| Step::Delete(key, told)),
        3 => prop_oneof![Just(0i64), Just(1), Just(150), Just(4000)].prop_map(Step::Pass),
        3 => (0usize..3, calls, slowness)
            .prop_map(|(sink, calls, slowness)| Step::Weather(sink, calls, slowness)),
        3 => prop_oneof![1usize..120, Just(usize::MAX)].prop_map(Step::Run),
    ];
    prop::collection::vec(step, 0..50)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever happens to the books, whichever sinks fail or lag, and wherever runs are killed: once
    /// everything has come to rest, all warehouses equal the books, and each batch arrived once.
    #[test]
    fn all_warehouses_come_to_equal_the_books(
        steps in steps(), page in 1usize..6, batch_rows in 1usize..4, grade in 0usize..3,
        changing: bool, patient: bool,
    ) {
        let grades = [DeleteDetection::FullRead, DeleteDetection::KeySet, DeleteDetection::AuditHistory];
        let mut fan = Fan::new(page, grades[grade], 3);
        fan.batch_rows = batch_rows;
        fan.patience = if patient { Patience::Endless } else { Patience::None };
        if changing {
            // Records change while they are read, back and forth.
            let books = Arc::downgrade(&fan.world.books);
            *fan.world.books.meanwhile.lock().unwrap() = Some(Meanwhile(Box::new(move |page| {
                if let Some(books) = books.upgrade() {
                    books.set(i64::try_from(page).unwrap() * 5 % 24, i128::from(page % 3));
                }
                async {}.boxed()
            })));
        }
        for step in steps {
            match step {
                Step::Set(key, cents) => fan.world.books.set(key, cents),
                Step::Delete(key, told) => fan.world.books.delete_telling(key, told),
                Step::Pass(seconds) => fan.world.books.pass(seconds),
                Step::Weather(sink, calls, slowness) => fan.weather(sink, calls, slowness),
                Step::Run(moments) => { let _ = fan.run(moments); }
            }
        }
        *fan.world.books.meanwhile.lock().unwrap() = None;
        for sink in 0..3 {
            fan.weather(sink, None, 0);
        }
        let mut last = None;
        for _ in 0..3 {
            fan.world.books.pass(4000);
            last = Some(fan.run_whole());
        }
        let last = last.unwrap();
        prop_assert!(last.ties_out(), "{:?}", last);
        fan.assert_equal();
        // All are level: one extraction serves them.
        fan.patience = Patience::Endless;
        fan.world.books.set(1, 99);
        fan.world.books.pass(4000);
        fan.given();
        prop_assert!(fan.run_whole().ties_out());
        let (pages, _) = fan.given();
        let all = fan.world.books.entries.lock().unwrap().len();
        prop_assert!(pages <= all.div_ceil(page), "{pages} pages");
        fan.assert_equal();
    }
}
