//! Several workers on the same books, and stores that others have their hands on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt as _, StreamExt as _};
use sync_core::clock::{ManualClock, Sleeper};
use sync_core::pipeline::RunReport;
use sync_core::spool::{FolderSpool, Spool as _};
use sync_core::store::{Holder, LeaseRequest, SqliteStore, SqliteStoreOptions, Store};
use sync_core::{
    Batch, BatchPlace, DeleteDetection, Operation, ReadRequest, RecordKey, RunId, Source as _,
    Window,
};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use crate::world::*;

/// Wakes as often as it is told to.
#[derive(Debug)]
struct Bell(Semaphore);

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Self(Semaphore::new(0)))
    }

    fn ring(&self) {
        self.0.add_permits(1);
    }
}

#[async_trait]
impl Sleeper for Bell {
    async fn sleep(&self, _: Duration) {
        self.0.acquire().await.unwrap().forget();
    }
}

/// Books of ten entries, and a clock for the store.
fn world() -> (Arc<World>, Arc<ManualClock>) {
    let world = World::new(4, DeleteDetection::KeySet);
    for key in 0..10 {
        world.books.set(key, 1);
    }
    world.books.pass(3600);
    (Arc::new(world), Arc::new(ManualClock::at(at(0))))
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(START + seconds).unwrap()
}

fn open(world: &World, clock: &Arc<ManualClock>) -> Arc<dyn Store> {
    let mut options = SqliteStoreOptions::default();
    options.clock = Arc::clone(clock) as _;
    let path = world.folder.path().join("state.db");
    Arc::new(SqliteStore::open_with(path, options).unwrap())
}

/// Does something once, before the second page is given.
fn meanwhile<F: Future<Output = ()> + Send + 'static>(
    world: &World,
    what: impl FnOnce() -> F + Send + 'static,
) {
    let what = std::sync::Mutex::new(Some(what));
    let happening = move |page| {
        let what = (page == 1).then(|| what.lock().unwrap().take()).flatten();
        async move {
            if let Some(what) = what {
                what().await;
            }
        }
        .boxed()
    };
    *world.books.meanwhile.lock().unwrap() = Some(Meanwhile(Box::new(happening)));
}

fn error(report: &RunReport) -> &str {
    report.streams[0].error.as_deref().unwrap()
}

#[tokio::test]
async fn of_two_workers_one_runs_the_stream_and_the_other_is_told_by_whom() {
    let (world, clock) = world();
    let second = world.pipeline_with(open(&world, &clock));
    let (ended, end) = tokio::sync::oneshot::channel();
    meanwhile(&world, move || async move {
        ended.send(second.run().await.unwrap()).unwrap();
    });
    let first = world.pipeline_with(open(&world, &clock));
    let report = first.run().await.unwrap();
    assert!(report.ties_out(), "{report:?}");
    drop(first);
    let refused = end.await.unwrap();
    let told = error(&refused);
    let host = Holder::this_process().host;
    for part in [
        "another run holds this stream",
        &format!("host: {host}"),
        &format!("process: {}", std::process::id()),
        "since: 2025-10-09T08:53:20",
        "until: 2025-10-09T08:54:20",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert_eq!(refused.streams[0].read, 0);
    // What was held was given back.
    let report = world.pipeline_with(open(&world, &clock)).run().await;
    assert!(report.unwrap().ties_out());
    world.assert_equal_in_thread();
}

#[tokio::test]
async fn a_worker_that_was_away_for_too_long_is_refused_and_everything_arrives_once() {
    let (world, clock) = world();
    let second = world.pipeline_with(open(&world, &clock));
    let moved_on = Arc::clone(&clock);
    let (ended, end) = tokio::sync::oneshot::channel();
    meanwhile(&world, move || async move {
        // Its renewals do not come: the whole machine slept.
        moved_on.set(at(61));
        ended.send(second.run().await.unwrap()).unwrap();
    });
    let first = world
        .pipeline_with(open(&world, &clock))
        .with_sleeper(Bell::new());
    let report = first.run().await.unwrap();
    assert!(
        error(&report).contains("late change was refused"),
        "{report:?}"
    );
    drop(first);
    let second = end.await.unwrap();
    assert!(second.ties_out(), "{second:?}");
    assert_eq!(world.warehouse.rows(), world.expected());
    let batches = world.warehouse.state.lock().unwrap().batches.len();
    let store = open(&world, &clock);
    let entries = store.entries(0, 99).await.unwrap();
    let count = |kind: &str| entries.iter().filter(|it| it.kind == kind).count();
    assert_eq!(
        (count("batch_settled"), count("lease_taken_over")),
        (batches, 1)
    );
    drop(store);
    world.assert_equal_in_thread();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_that_spool_the_same_batch_at_once_each_get_back_what_they_put_in() {
    let (world, _) = world();
    let stream = Arc::new(world.books.discover().await.unwrap().remove(0));
    let window = Window {
        from: None,
        until: at(60),
    };
    let mut pages = world
        .books
        .read(ReadRequest::changes(Arc::clone(&stream), window, None));
    let page = pages.next().await.unwrap().unwrap();
    let place = BatchPlace {
        pipeline: "test".into(),
        company: "acme".into(),
        operation: Operation::Upsert,
        window,
        ordinal: 0,
    };
    // Each run has a time of its own in the rows.
    let batch =
        |seconds| Batch::new(Arc::clone(&stream), place.clone(), &page.rows, at(seconds)).unwrap();
    let (one, other) = (batch(1), batch(2));
    assert_eq!(one.id(), other.id());
    for _ in 0..50 {
        let spool = FolderSpool::open(world.folder.path().join("spool")).unwrap();
        let (first, second) = tokio::join!(spool.put(&one), spool.put(&other));
        for (batch, spooled) in [(&one, first.unwrap()), (&other, second.unwrap())] {
            assert_eq!(&spool.get(&spooled).await.unwrap(), batch.rows());
            spool.remove(&spooled.name).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_lease_is_renewed_while_a_page_is_waited_for() {
    let (world, clock) = world();
    let (bell, observer) = (Bell::new(), open(&world, &clock));
    let (ringing, moved_on) = (Arc::clone(&bell), Arc::clone(&clock));
    meanwhile(&world, move || async move {
        for seconds in [50, 100, 150] {
            moved_on.set(at(seconds));
            ringing.ring();
            loop {
                let leases = observer.leases().await.unwrap();
                if leases[0].until == at(seconds + 60) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let late = LeaseRequest {
            run: RunId::generate(),
            pipeline: "test".into(),
            stream: "entry".parse().unwrap(),
            holder: Holder::this_process(),
            duration: Duration::from_secs(60),
        };
        observer.acquire(&late).await.unwrap_err();
    });
    let pipeline = world.pipeline_with(open(&world, &clock)).with_sleeper(bell);
    let report = pipeline.run().await.unwrap();
    assert!(report.ties_out(), "{report:?}");
}

#[tokio::test]
async fn a_worker_whose_lease_is_lost_stops_also_where_it_only_waits() {
    let (world, clock) = world();
    let (bell, other) = (Bell::new(), open(&world, &clock));
    let (ringing, moved_on) = (Arc::clone(&bell), Arc::clone(&clock));
    meanwhile(&world, move || async move {
        moved_on.set(at(61));
        let request = LeaseRequest {
            run: RunId::generate(),
            pipeline: "test".into(),
            stream: "entry".parse().unwrap(),
            holder: Holder::this_process(),
            duration: Duration::from_secs(60),
        };
        other.acquire(&request).await.unwrap();
        ringing.ring();
        std::future::pending().await
    });
    let pipeline = world.pipeline_with(open(&world, &clock)).with_sleeper(bell);
    let report = pipeline.run().await.unwrap();
    assert!(error(&report).contains("another run took the stream over"));
}

#[tokio::test]
async fn a_run_that_is_dropped_leaves_nothing_for_the_next_to_wait_for() {
    let (world, clock) = world();
    let pipeline = world.pipeline_with(open(&world, &clock));
    let (stop, stopped) = tokio::sync::oneshot::channel();
    meanwhile(&world, move || async move {
        stop.send(()).unwrap();
        std::future::pending().await
    });
    tokio::select! {
        _ = pipeline.run() => panic!("it was not stopped"),
        _ = stopped => {}
    }
    *world.books.meanwhile.lock().unwrap() = None;
    assert!(pipeline.run().await.unwrap().ties_out());
}

#[tokio::test]
async fn a_record_is_traced_to_the_request_that_it_came_in() {
    let (world, clock) = world();
    let store = open(&world, &clock);
    let pipeline = world.pipeline_with(Arc::clone(&store));
    pipeline.run().await.unwrap();
    // Pages of four, batches of three: a batch is of several pages.
    for key in 0..10_u64 {
        let key_text = RecordKey::new([key.to_string().as_str()]);
        let audit = store.audit(&scope(), &key_text).await.unwrap();
        let origin = audit.last.unwrap().origin.unwrap();
        let expected = (key / 4, format!("request-{}", key / 4));
        assert_eq!((origin.page, origin.request), expected);
    }
}

#[cfg(all(unix, feature = "postgres"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_restarted_in_the_middle_of_a_run_is_waited_for() {
    use intacct_sync_postgres_fixture::{Server, Stop};
    use sync_core::store::{PostgresStore, PostgresStoreOptions};

    let Some(server) = Server::start().map(Arc::new) else {
        return;
    };
    let database = server.database();
    let settings = secrecy::SecretString::from(database.settings());
    let options = PostgresStoreOptions::default();
    let store = PostgresStore::open(&settings, options).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let (world, _) = world();
    let restarted = Arc::clone(&server);
    meanwhile(&world, move || async move {
        let restart = move || {
            restarted.stop(Stop::Immediate);
            restarted.resume();
        };
        tokio::task::spawn_blocking(restart).await.unwrap();
    });
    let pipeline = world.pipeline_with(Arc::clone(&store));
    let report = pipeline.run().await.unwrap();
    assert!(report.ties_out(), "{report:?}");
    assert_eq!(world.warehouse.rows(), world.expected());
    assert_eq!(store.unsettled(&scope()).await.unwrap(), []);
    assert!(store.verify(&[]).await.unwrap().is_intact());
    // Nothing was told twice.
    let batches = world.warehouse.state.lock().unwrap().batches.len();
    let entries = store.entries(0, 99).await.unwrap();
    for kind in ["batch_prepared", "batch_settled"] {
        let told = entries.iter().filter(|it| it.kind == kind);
        assert_eq!(told.count(), batches, "{kind}");
    }
    // And the next run goes on from there.
    world.books.set(3, 30);
    world.books.delete(4);
    world.books.pass(3 * 3600);
    *world.books.meanwhile.lock().unwrap() = None;
    assert!(pipeline.run().await.unwrap().ties_out());
    assert_eq!(world.warehouse.rows(), world.expected());
}
