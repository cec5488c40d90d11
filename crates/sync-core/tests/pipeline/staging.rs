//! A batch is staged while the one before it is written and the one before that is settled.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use async_trait::async_trait;
use sync_core::pipeline::RunReport;
use sync_core::spool::{Listed, Ownership, Spool, Spooled};
use sync_core::{
    Batch, BatchId, Capabilities, ControlTotals, DeleteDetection, Digest, Error, ErrorKind,
    FlushReceipt, Landed, Receipt, Result, SchemaPlan, Sink, StreamDescriptor, StreamName,
    TotalsQuery,
};
use tokio::sync::Barrier;

use crate::world::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Stage,
    Write,
    Settle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Begins,
    Ends,
}

use Act::{Settle, Stage, Write};
use Phase::{Begins, Ends};

/// Notes what is done to which batch.
#[derive(Debug)]
struct Watch {
    noted: Mutex<Vec<(Act, u64, Phase)>>,
    numbers: Mutex<BTreeMap<String, u64>>,
    /// Acts that wait for each other: none ends before all have begun.
    together: Vec<(Act, u64)>,
    meeting: Barrier,
    fails: Option<(Act, u64)>,
}

impl Watch {
    fn new(together: &[(Act, u64)], fails: Option<(Act, u64)>) -> Arc<Self> {
        Arc::new(Self {
            noted: Mutex::default(),
            numbers: Mutex::default(),
            together: together.to_vec(),
            meeting: Barrier::new(together.len()),
            fails,
        })
    }

    async fn around<T>(
        &self,
        act: Act,
        number: u64,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.note(act, number, Begins);
        if self.together.contains(&(act, number)) {
            self.meeting.wait().await;
        }
        if self.fails == Some((act, number)) {
            return Err(Error::new(ErrorKind::Unavailable, "the power is out"));
        }
        let done = work.await;
        self.note(act, number, Ends);
        done
    }

    fn note(&self, act: Act, number: u64, phase: Phase) {
        self.noted.lock().unwrap().push((act, number, phase));
    }

    fn number(&self, batch: &Batch) -> u64 {
        let number = batch.place().ordinal;
        let mut numbers = self.numbers.lock().unwrap();
        numbers.insert(batch.id().to_string(), number);
        number
    }

    /// At which place it was noted.
    fn place(&self, act: Act, number: u64, phase: Phase) -> Option<usize> {
        let noted = self.noted.lock().unwrap();
        noted.iter().position(|it| *it == (act, number, phase))
    }

    /// The batches to which something was done, in this order.
    fn numbers_of(&self, act: Act, phase: Phase) -> Vec<u64> {
        let noted = self.noted.lock().unwrap();
        let noted = noted
            .iter()
            .filter(|it| (it.0, it.2) == (act, phase))
            .map(|it| it.1);
        noted.collect()
    }
}

#[derive(Debug)]
struct WatchedSink {
    inner: Arc<Warehouse>,
    watch: Arc<Watch>,
}

#[async_trait]
impl Sink for WatchedSink {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    async fn check(&self) -> Result<Vec<sync_core::Finding>> {
        self.inner.check().await
    }
    async fn plan(&self, stream: &StreamDescriptor) -> Result<SchemaPlan> {
        self.inner.plan(stream).await
    }
    async fn prepare(&self, plan: &SchemaPlan) -> Result<()> {
        self.inner.prepare(plan).await
    }
    async fn stage(&self, batch: &Batch) -> Result<()> {
        let number = self.watch.number(batch);
        let staging = self.inner.stage(batch);
        self.watch.around(Stage, number, staging).await
    }
    async fn write(&self, batch: &Batch) -> Result<Receipt> {
        let number = self.watch.number(batch);
        let writing = self.inner.write(batch);
        self.watch.around(Write, number, writing).await
    }
    async fn flush(&self, stream: &StreamName) -> Result<FlushReceipt> {
        self.inner.flush(stream).await
    }
    async fn lookup(&self, batch: &BatchId) -> Result<Landed> {
        self.inner.lookup(batch).await
    }
    async fn control_totals(&self, query: &TotalsQuery) -> Result<Option<ControlTotals>> {
        self.inner.control_totals(query).await
    }
}

/// A spool with room for nothing: as part of settling a batch, its payload is removed.
#[derive(Debug)]
struct SmallSpool {
    inner: Arc<dyn Spool>,
    watch: Arc<Watch>,
}

#[async_trait]
impl Spool for SmallSpool {
    async fn put(&self, batch: &Batch) -> Result<Spooled> {
        self.inner.put(batch).await
    }
    async fn get(&self, spooled: &Spooled) -> Result<RecordBatch> {
        self.inner.get(spooled).await
    }
    async fn remove(&self, name: &str) -> Result<()> {
        let numbers = self.watch.numbers.lock().unwrap().clone();
        let mut numbers = numbers.into_iter();
        let number = numbers.find(|(batch, _)| name.contains(batch.as_str()));
        let removing = self.inner.remove(name);
        match number {
            Some((_, number)) => self.watch.around(Settle, number, removing).await,
            None => removing.await,
        }
    }
    async fn list(&self) -> Result<Vec<Listed>> {
        self.inner.list().await
    }
    async fn claim(&self, store: Digest) -> Result<Ownership> {
        self.inner.claim(store).await
    }
}

fn run(world: &World, watch: &Arc<Watch>) -> Result<RunReport> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    let sink = WatchedSink {
        inner: Arc::clone(&world.warehouse),
        watch: Arc::clone(watch),
    };
    let store = Arc::new(open_store(world.folder.path()));
    let mut parts = world.parts(Arc::new(sink), store);
    parts.spool = Arc::new(SmallSpool {
        inner: world.spool(),
        watch: Arc::clone(watch),
    });
    let pipeline = world.pipeline_of(parts, |options| options.spool_max_bytes = Some(1));
    let limit = std::time::Duration::from_secs(60);
    let running = async { tokio::time::timeout(limit, pipeline.run()).await };
    let report = runtime.block_on(running);
    report.expect("what waits for each other must be done at the same time")
}

/// Twelve batches, each a page.
fn world() -> World {
    let world = World::new(3, DeleteDetection::KeySet);
    for key in 0..36 {
        world.books.set(key, 100 * i128::from(key));
    }
    world.books.pass(3600);
    world
}

#[test]
fn one_is_staged_while_the_one_before_is_written_and_the_one_before_that_settled() {
    for first in [0, 4, 9] {
        let world = world();
        let watch = Watch::new(
            &[(Settle, first), (Write, first + 1), (Stage, first + 2)],
            None,
        );
        let report = run(&world, &watch).unwrap();
        assert!(report.ties_out(), "{report:?}");
        world.assert_equal();
        let all: Vec<_> = (0..12).collect();
        for act in [Stage, Write, Settle] {
            assert_eq!(watch.numbers_of(act, Begins), all, "{act:?}");
            assert_eq!(watch.numbers_of(act, Ends), all, "{act:?}");
        }
        let place = |act, number, phase| watch.place(act, number, phase).unwrap();
        for number in 0..12 {
            assert!(place(Stage, number, Ends) < place(Write, number, Begins));
            assert!(place(Write, number, Ends) < place(Settle, number, Begins));
        }
        for (before, number) in (1..12).enumerate() {
            let before = before as u64;
            for act in [Stage, Write, Settle] {
                assert!(place(act, before, Ends) < place(act, number, Begins));
            }
            // One is staged ahead, not more.
            assert!(place(Write, before, Begins) < place(Stage, number, Begins));
        }
    }
}

#[test]
fn where_one_fails_those_before_it_begin_nothing_more_and_those_behind_it_finish() {
    // What is in the warehouse and settled then.
    let cases = [
        (Stage, 5, vec![0, 1, 2, 3, 4], 5),
        (Write, 4, vec![0, 1, 2, 3], 5),
        (Settle, 3, vec![0, 1, 2], 5),
    ];
    for (act, number, settled, last_begun) in cases {
        let world = world();
        // So that each is at its batch when one of them fails.
        let together = [(Settle, 3), (Write, 4), (Stage, 5)];
        let watch = Watch::new(&together, Some((act, number)));
        let error = run(&world, &watch).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("the power is out"), "{error}");
        assert_eq!(watch.numbers_of(Settle, Ends), settled, "{act:?} fails");
        let staged = watch.numbers_of(Stage, Begins);
        assert_eq!(staged.last(), Some(&last_begun), "{act:?} fails");
        let written = watch.numbers_of(Write, Begins);
        assert_eq!(written, [0, 1, 2, 3, 4], "{act:?} fails");

        // What waits is brought to its end, the rest is read, and each arrives once.
        let writes = world.warehouse.state.lock().unwrap().writes;
        let watch = Watch::new(&[], None);
        let report = run(&world, &watch).unwrap();
        assert!(report.ties_out(), "{report:?}");
        assert!(report.streams[0].recovered > 0);
        world.assert_equal();
        assert_eq!(world.warehouse.state.lock().unwrap().writes, 12);
        let again = watch.numbers_of(Write, Ends);
        assert_eq!(again.len(), 12 - writes, "{act:?} fails");
    }
}

#[test]
fn a_failure_at_the_last_batch_is_told_although_nothing_more_comes() {
    for act in [Stage, Write, Settle] {
        let world = world();
        let error = run(&world, &Watch::new(&[], Some((act, 11)))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{act:?} fails");
        let report = run(&world, &Watch::new(&[], None)).unwrap();
        assert!(report.ties_out(), "{report:?}");
        world.assert_equal();
    }
}
