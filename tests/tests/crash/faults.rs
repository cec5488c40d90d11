//! Surroundings that fail: a clear error, nothing lost, and agreement once they are mended.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use intacct_sync_postgres_fixture::{Server, Stop};
use rusqlite::Connection;
use sync_core::pipeline::RunReport;
use sync_core::store::{SqliteStore, SqliteStoreOptions};
use sync_core::{ErrorKind, Retry};
use time::OffsetDateTime;

use crate::books::Books;
use crate::history::{DAYS, Fate, History};
use crate::home::{Engine, clock, pipeline};
use crate::stepped::{stepped, stepped_source};
use crate::steps::{Border, Kill, Moment, Steps};

/// Where the process that locks a store finds it.
const LOCKED: &str = "CRASH_TEST_LOCKED";

/// One run in this process, in which something happens at each border. It may set the clock.
async fn run(
    history: &History,
    day: u32,
    happening: impl Fn(&Border, u32) + Send + Sync + 'static,
) -> sync_core::Result<RunReport> {
    run_by(
        history,
        day,
        Arc::new(AtomicI64::new(history.now(day))),
        happening,
    )
    .await
}

async fn run_by(
    history: &History,
    day: u32,
    now: Arc<AtomicI64>,
    happening: impl Fn(&Border, u32) + Send + Sync + 'static,
) -> sync_core::Result<RunReport> {
    let clock = clock(now.load(Ordering::Relaxed));
    let shown = Arc::clone(&clock);
    let steps = Arc::new(Steps::with(move |border, time| {
        happening(border, time);
        let now = now.load(Ordering::Relaxed);
        shown.set(OffsetDateTime::from_unix_timestamp(now).unwrap());
    }));
    let road = stepped(history.home.road(&clock).await?, &history.home, &steps);
    let source = stepped_source(Books::on(history.seed, day), &steps);
    pipeline(source, road, clock, Arc::clone(&steps) as _)
        .run()
        .await
}

fn assert_no_stream_failed(report: &RunReport) {
    for stream in &report.streams {
        assert_eq!(stream.error, None, "{}", stream.stream);
    }
}

fn before(border: &Border, step: &str) -> bool {
    border.moment == Moment::Before && border.kind() == step
}

#[tokio::test]
async fn a_store_that_is_locked_is_waited_for_then_an_error_and_later_used() {
    let mut history = History::new(Engine::Sqlite, Engine::Sqlite, 31).unwrap();
    let file = history.home.folder.join("state.db");
    drop(SqliteStore::open(&file).unwrap());

    let other = Locking::begin(&file);
    let mut options = SqliteStoreOptions::default();
    options.patience = Duration::from_millis(20);
    let error = SqliteStore::open_with(&file, options).unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::Unavailable, Retry::Backoff)
    );
    let told = error.chain();
    for part in ["another program holds the store", "run again", "state.db"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    drop(other);

    // One that comes in the middle of a run, and goes while it is waited for.
    let report = run(&history, 0, move |border, time| {
        if before(border, "store.settle(upsert)") && time % 5 == 1 {
            let other = Locking::begin(&file);
            std::thread::spawn(move || {
                // So that the lock is probably met; whether it is, makes no difference.
                std::thread::sleep(Duration::from_millis(30));
                drop(other);
            });
        }
    });
    assert_no_stream_failed(&report.await.unwrap());
    history.finish(0).await;
    history.finish(1).await;
}

/// Another process that has a store's write lock, until this is dropped.
struct Locking(Child);

impl Locking {
    fn begin(file: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "faults::the_process_that_locks", "--nocapture"])
            .env(LOCKED, file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("locked")));
        Self(child)
    }
}

impl Drop for Locking {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test by itself: the process that holds a lock until it is killed.
#[test]
fn the_process_that_locks() {
    let Some(file) = std::env::var_os(LOCKED) else {
        return;
    };
    let connection = Connection::open(file).unwrap();
    connection.busy_timeout(Duration::from_secs(60)).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    println!("locked");
    // Ends with whoever started this.
    let _ = std::io::stdin().lines().next();
}

/// No file may grow beyond a limit, which is raised until there is room. SQLite takes that for a failing
/// disk; one that is full it tells apart, as the tests of store and sink show.
#[tokio::test]
async fn without_room_a_run_says_so_and_with_room_everything_is_there() {
    let mut history = History::new(Engine::Sqlite, Engine::Sqlite, 32).unwrap();
    for day in 0..DAYS {
        let mut errors = Vec::new();
        for blocks in [96, 160, 240, 400, 700, 1_000, 1_600] {
            let orders = history.orders(day, &Fate::Lives);
            let told = orders.carry_out_with(blocks).end().told.unwrap();
            match told["error"].as_str() {
                Some(error) => errors.push(error.to_owned()),
                None => break,
            }
        }
        for error in &errors {
            assert!(
                error.contains("disk") || error.contains("spooled"),
                "{error}"
            );
        }
        assert!(day > 0 || errors.len() > 2, "{errors:?}");
        history.finish(day).await;
    }
}

/// The payload of a batch that was prepared by a process that then died is damaged, or gone.
#[tokio::test]
async fn a_damaged_payload_is_read_again() {
    for (seed, store, sink) in [
        (33, Engine::Sqlite, Engine::Sqlite),
        (34, Engine::Postgres, Engine::Postgres),
    ] {
        let Some(mut history) = History::new(store, sink, seed) else {
            return;
        };
        for day in 0..DAYS {
            // The second time, the destination has the batch already.
            let step = ["store.prepare(upsert)", "sink.write(upsert) of entry"][day as usize % 2];
            let (moment, step) = (Moment::After, step.to_owned());
            let (at, later) = (Border { moment, step }, Duration::ZERO);
            let kill = Kill { at, time: 1, later };
            let end = history.run(day, &Fate::KillsItself(kill));
            assert!(end.told.is_none(), "it lived on");
            let damaged = payload_on_its_way(&history, day).await;
            if day < 2 {
                let mut bytes = std::fs::read(&damaged).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(&damaged, bytes).unwrap();
            } else {
                std::fs::remove_file(&damaged).unwrap();
            }
            let report = history.finish(day).await.told.unwrap();
            let given_up = report["streams"].as_array().unwrap().iter();
            let given_up: u64 = given_up.map(|it| it["given_up"].as_u64().unwrap()).sum();
            assert!(given_up > 0, "day {day}");
        }
    }
}

/// The file of the batch that was prepared and not settled.
async fn payload_on_its_way(history: &History, day: u32) -> PathBuf {
    let store = history.home.store(clock(history.now(day))).await.unwrap();
    for book in Books::on(history.seed, day).streams {
        let waiting = store.unsettled(&history.home.scope(book.name())).await;
        if let Some(first) = waiting.unwrap().first() {
            let name = &first.batch.spooled.name;
            return history.home.folder.join("spool").join(name);
        }
    }
    panic!("nothing is on its way")
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_nothing_up_for_longer_than_a_lease() {
    for (seed, store) in [(35, Engine::Sqlite), (36, Engine::Postgres)] {
        let Some(mut history) = History::new(store, Engine::Sqlite, seed) else {
            return;
        };
        history.finish(0).await;
        let (moment, step) = (Moment::After, "sink.write(upsert) of entry".to_owned());
        let (at, later) = (Border { moment, step }, Duration::ZERO);
        let end = history.run(1, &Fate::KillsItself(Kill { at, time: 1, later }));
        assert!(end.told.is_none(), "it lived on");
        history.set_back(3 * 86_400);
        if store == Engine::Postgres {
            // Nobody can know that the holder is dead, so that its lease has to end once more.
            let told = history.run(1, &Fate::Lives).told.unwrap().to_string();
            assert!(told.contains("another run holds this stream"), "{told}");
        }
        history.finish(1).await;

        // And in the middle of a run, at each step of it.
        history.set_back(0);
        let now = Arc::new(AtomicI64::new(history.now(2)));
        let shown = Arc::clone(&now);
        let report = run_by(&history, 2, now, move |_, _| {
            shown.fetch_sub(600, Ordering::Relaxed);
        });
        assert_no_stream_failed(&report.await.unwrap());
        history.finish(2).await;
        history.finish(3).await;
    }
}

/// All sessions are ended by the server, at random moments inside of steps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_sessions_at_any_moment_costs_nothing_but_time() {
    let mut random = fastrand::Rng::with_seed(37);
    let (mut failed, mut went_on) = (0, 0);
    for _ in 0..3 {
        let Some(mut history) = History::new(Engine::Postgres, Engine::Postgres, random.u64(..))
        else {
            return;
        };
        for day in 0..DAYS {
            for _ in 0..2 {
                let (every, moment) = (random.i64(30..150), random.u64(0..4_000));
                let borders = AtomicI64::new(0);
                let database = history.database();
                let report = run(&history, day, move |border, _| {
                    let reached = borders.fetch_add(1, Ordering::Relaxed);
                    if reached % every == 0 && border.moment == Moment::Before {
                        std::thread::spawn(move || {
                            std::thread::sleep(Duration::from_micros(moment));
                            database.ask(END_SESSIONS);
                        });
                    }
                });
                match report.await {
                    Ok(report) => {
                        went_on += 1;
                        assert_no_stream_failed(&report);
                    }
                    Err(error) => {
                        failed += 1;
                        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.chain());
                    }
                }
                history.pass_time();
            }
            history.finish(day).await;
        }
    }
    println!("{failed} runs failed, and {went_on} went on");
    assert!(
        failed > 0 && went_on > 0,
        "{failed} failed, {went_on} went on"
    );
}

const END_SESSIONS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
     WHERE datname = current_database() AND application_name = 'intacct-sync'";

/// The server is restarted while rows are on their way to it: the sink's, and store and sink's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_restarted_in_the_middle_of_a_run_is_found_again() {
    let Some(server) = Server::start() else {
        return;
    };
    // It goes with this process, as all of them do.
    let server: &'static Server = Box::leak(Box::new(server));
    for (seed, store) in [(38, Engine::Sqlite), (39, Engine::Postgres)] {
        let mut history = History::on(server, store, Engine::Postgres, seed);
        for (day, how) in (0..).zip([Stop::Immediate, Stop::Fast]) {
            let (restarted, restarts) = std::sync::mpsc::channel();
            let report = run(&history, day, move |border, time| {
                if before(border, "sink.write(upsert)") && time == 3 {
                    let restarted = restarted.clone();
                    std::thread::spawn(move || {
                        server.stop(how);
                        server.resume();
                        restarted.send(()).unwrap();
                    });
                }
            });
            let outcome = report.await;
            if let Err(error) = &outcome {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.chain());
                assert_ne!(error.retry(), Retry::Never, "{}", error.chain());
            }
            // The restart may take longer than the run.
            restarts.recv().unwrap();
            history.pass_time();
            history.finish(day).await;
        }
    }
}
