//! Limits: kept by waiting, told where the wait would be long, and not forgotten by a restart.

use std::sync::Arc;
use std::time::Duration;

use sink_bigquery::client::{Format, LoadJob, QueryJob};
use sink_bigquery::pacing::{
    FilePaceStore, Limits, MemoryPaceStore, Operation, PaceStore, Pacer, PacingOptions,
};
use sink_bigquery::{BigQuery, ErrorKind, Reason};
use sync_http::{ManualClock, Retry, Timing, Window};

use crate::service::{Service, Tokens, clock, job, job_id, ok, options, table};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn limits(loads: u64) -> Limits {
    let mut limits = Limits::default();
    limits.loads_per_table = Window {
        amount: loads,
        per: DAY,
    };
    limits
}

fn pacer(options: PacingOptions, clock: &ManualClock) -> Pacer {
    Pacer::new(options, Timing::from(clock.clone()))
}

#[tokio::test]
async fn the_loads_of_a_day_are_counted_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pace.json");
    let start = || {
        PacingOptions::default()
            .with_limits(limits(3))
            .with_store(Arc::new(FilePaceStore::new(&path)))
    };
    let clock = clock();
    let table = table();
    for _ in 0..3 {
        pacer(start(), &clock)
            .pass(Operation::Load(&table))
            .await
            .unwrap();
        clock.advance(Duration::from_secs(3600));
    }
    let restarted = pacer(start(), &clock);
    let error = restarted.pass(Operation::Load(&table)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Throttled, Reason::Paced)
    );
    assert!(error.to_string().contains("books.fin.bill"), "{error}");
    let Retry::After(wait) = error.retry() else {
        panic!("{error:?}")
    };
    // The first load is a day old in 21 hours, and is forgotten up to a hundredth of a day later.
    let due = Duration::from_secs(21 * 3600);
    assert!(wait >= due && wait <= due + DAY / 100, "{wait:?}");
    let ready = restarted.ready_at(Operation::Load(&table)).await.unwrap();
    clock.advance(wait);
    assert!(ready <= sync_http::Clock::now(&clock) + Duration::from_millis(1));
    restarted.pass(Operation::Load(&table)).await.unwrap();
    assert!(clock.sleeps().is_empty());
}

#[tokio::test]
async fn short_limits_are_waited_for_and_tables_do_not_wait_for_each_other() {
    let clock = clock();
    let pacer = pacer(PacingOptions::default(), &clock);
    let (table, mut other) = (table(), table());
    other.table_id = "other".parse().unwrap();
    for _ in 0..5 {
        pacer.pass(Operation::ChangeTable(&table)).await.unwrap();
    }
    pacer.pass(Operation::ChangeTable(&other)).await.unwrap();
    assert!(clock.sleeps().is_empty());
    pacer.pass(Operation::Load(&table)).await.unwrap();
    let waited: Duration = clock.sleeps().iter().sum();
    assert!(
        waited >= Duration::from_secs(10) && waited <= Duration::from_millis(10_100),
        "{waited:?}"
    );
    // A partition is the table's.
    other.table_id = "other$20260131".parse().unwrap();
    for _ in 0..5 {
        pacer.pass(Operation::ChangeTable(&other)).await.unwrap();
    }
    // Statements fill that limit and are not held up by it.
    for _ in 0..25 {
        pacer.pass(Operation::Change(&other)).await.unwrap();
    }
    assert_eq!(clock.sleeps().iter().sum::<Duration>(), waited);
    pacer.pass(Operation::Change(&other)).await.unwrap();
    assert!(clock.sleeps().iter().sum::<Duration>() > waited);
}

#[tokio::test]
async fn the_client_sends_nothing_that_would_break_a_limit() {
    let service = Service::start(|_| ok(job("DONE", None))).await;
    let clock = clock();
    let store = Arc::new(MemoryPaceStore::default());
    let pacing = PacingOptions::default()
        .with_limits(limits(2))
        .with_store(Arc::<MemoryPaceStore>::clone(&store));
    let client = BigQuery::new(
        options(service.url(), &clock).with_pacing(pacing),
        Arc::new(Tokens::default()),
    )
    .unwrap();
    let load = LoadJob::new(table(), Format::Ndjson);
    for _ in 0..2 {
        client
            .jobs()
            .run_load(&job_id(), &load, "{}\n".into())
            .await
            .unwrap();
    }
    let error = client
        .jobs()
        .run_load(&job_id(), &load, "{}\n".into())
        .await
        .unwrap_err();
    assert_eq!((error.reason(), error.job()), (Reason::Paced, None));
    assert_eq!(service.asked().len(), 2);
    // Two loads and three more changes fill ten seconds.
    let change = QueryJob::new("DELETE FROM bill WHERE TRUE").changing(table());
    client.jobs().run_query(&job_id(), &change).await.unwrap();
    client
        .pacer()
        .pass(Operation::ChangeTable(&table()))
        .await
        .unwrap();
    client
        .pacer()
        .pass(Operation::ChangeTable(&table()))
        .await
        .unwrap();
    assert!(clock.sleeps().is_empty());
    let ready = client
        .pacer()
        .ready_at(Operation::ChangeTable(&table()))
        .await
        .unwrap();
    assert!(ready > sync_http::Clock::now(&clock));
    assert!(
        store
            .load()
            .await
            .unwrap()
            .unwrap()
            .contains("books.fin.bill")
    );
}

#[tokio::test]
async fn what_is_no_record_is_told_and_not_forgotten_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pace.json");
    std::fs::write(&path, "not a record").unwrap();
    let store = || Arc::new(FilePaceStore::new(&path));
    let broken = pacer(PacingOptions::default().with_store(store()), &clock());
    let error = broken.pass(Operation::Load(&table())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a record");
    let nowhere = Arc::new(FilePaceStore::new(folder.path().join("missing/pace.json")));
    let error = pacer(PacingOptions::default().with_store(nowhere), &clock())
        .pass(Operation::Load(&table()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}
