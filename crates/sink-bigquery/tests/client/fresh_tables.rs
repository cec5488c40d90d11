//! Tables that streaming does not know yet, or not as they are.

use std::time::Duration;

use serde_json::json;
use sink_bigquery::client::{FreshTables, InsertOptions, TablePatch, TableSchema};
use sink_bigquery::{ErrorKind, Reason};
use sync_http::{Phase, Retry};
use wiremock::ResponseTemplate;

use crate::inserts::{at_once, rows, taken};
use crate::service::{Service, clock, ok, refusal, seconds, stream, table};

const MINUTES: Duration = Duration::from_secs(60);

/// A table that was made so many seconds before the answer, which is dated 18:00.
fn made(seconds_ago: i64) -> ResponseTemplate {
    let millis = (1_769_882_400 - seconds_ago) * 1000;
    ok(json!({"tableReference": table(), "creationTime": millis.to_string()}))
        .insert_header("Date", "Sat, 31 Jan 2026 18:00:00 GMT")
}

#[tokio::test]
async fn a_table_that_streaming_does_not_know_yet_is_waited_for() {
    let service = Service::start(|asked| match (asked.method.as_str(), asked.number) {
        ("GET", _) => made(3600),
        (_, 0..=3) => refusal(404, "notFound", "Not found: Table books:fin.bill"),
        _ => taken(),
    })
    .await;
    let clock = clock();
    let outcome = service.stream(&clock, &rows(2), &at_once()).await.unwrap();
    assert_eq!(outcome.inserted, 2);
    assert_eq!(seconds(&clock), [1, 2, 4, 8]);
}

#[tokio::test]
async fn one_that_stays_unknown_is_told_after_ten_minutes_and_one_that_is_not_there_at_once() {
    let service = Service::start(|asked| match asked.method.as_str() {
        "GET" => made(3600),
        _ => refusal(404, "notFound", "Not found: Table books:fin.bill"),
    })
    .await;
    let clock_of_first = clock();
    let failure = service
        .stream(&clock_of_first, &rows(2), &at_once())
        .await
        .unwrap_err();
    assert_eq!(
        (failure.error.reason(), failure.undecided),
        (Reason::FreshTable, vec![0, 1])
    );
    let waited: u64 = seconds(&clock_of_first).iter().sum();
    assert!((570..=600).contains(&waited), "{waited}");

    let service =
        Service::start(|_| refusal(404, "notFound", "Not found: Table books:fin.bill")).await;
    let clock = clock();
    let failure = service
        .stream(&clock, &rows(2), &at_once())
        .await
        .unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::NotFound);
    assert!(clock.sleeps().is_empty());
}

#[tokio::test]
async fn a_fresh_table_is_not_streamed_into() {
    let service = Service::start(|asked| match asked.method.as_str() {
        "GET" => made(240),
        _ => taken(),
    })
    .await;
    let clock = clock();
    let client = service.client(&clock);
    let options = InsertOptions::default();
    let failure = stream(&client, &rows(2), &options).await.unwrap_err();
    assert_eq!(
        (failure.error.reason(), failure.error.phase()),
        (Reason::FreshTable, Phase::NotSent)
    );
    assert_eq!(failure.error.retry(), Retry::After(6 * MINUTES));
    assert_eq!(failure.undecided, [0, 1]);
    clock.advance(6 * MINUTES);
    stream(&client, &rows(2), &options).await.unwrap();
    stream(&client, &rows(2), &options).await.unwrap();
    // Its age is asked for once.
    let methods: Vec<_> = service.asked().iter().map(|it| it.method.clone()).collect();
    assert_eq!(methods, ["GET", "POST", "POST"]);
}

#[tokio::test]
async fn a_fresh_table_may_be_waited_for_and_one_of_unknown_age_is_fresh() {
    let service = Service::start(|asked| match asked.method.as_str() {
        "GET" => ok(json!({"tableReference": table()})),
        _ => taken(),
    })
    .await;
    let clock = clock();
    let options = InsertOptions::default().with_fresh_tables(FreshTables::Wait, 10 * MINUTES);
    service.stream(&clock, &rows(2), &options).await.unwrap();
    assert_eq!(clock.sleeps(), [10 * MINUTES]);
}

#[tokio::test]
async fn a_table_is_fresh_again_once_its_columns_have_changed() {
    let service = Service::start(|asked| match asked.method.as_str() {
        "GET" | "PATCH" => made(7200),
        _ => taken(),
    })
    .await;
    let clock = clock();
    let client = service.client(&clock);
    let options = InsertOptions::default();
    stream(&client, &rows(1), &options).await.unwrap();
    let patch = TablePatch::of_schema(TableSchema::default());
    client.tables().patch(&table(), &patch, None).await.unwrap();
    let failure = stream(&client, &rows(1), &options).await.unwrap_err();
    assert_eq!(failure.error.reason(), Reason::FreshTable);
    clock.advance(10 * MINUTES);
    stream(&client, &rows(1), &options).await.unwrap();
}

#[tokio::test]
async fn a_table_that_was_removed_is_another_one_when_it_is_there_again() {
    let service = Service::start(|asked| match (asked.method.as_str(), asked.number) {
        ("GET", 0) => made(7200),
        // Somebody made it anew, an hour later and a minute ago.
        ("GET", _) => made(60),
        ("DELETE", _) => ResponseTemplate::new(204),
        _ => taken(),
    })
    .await;
    let clock = clock();
    let client = service.client(&clock);
    let options = InsertOptions::default();
    stream(&client, &rows(1), &options).await.unwrap();
    client.tables().delete(&table()).await.unwrap();
    clock.advance(60 * MINUTES);
    let failure = stream(&client, &rows(1), &options).await.unwrap_err();
    assert_eq!(failure.error.retry(), Retry::After(9 * MINUTES));
}

#[tokio::test]
async fn ages_are_told_by_the_servers_clock() {
    let service = Service::start(|asked| match asked.method.as_str() {
        "GET" => made(240),
        _ => taken(),
    })
    .await;
    // The clock here is an hour fast: the table was made four minutes ago all the same.
    let clock = clock();
    clock.advance(60 * MINUTES);
    let client = service.client(&clock);
    let options = InsertOptions::default();
    let failure = stream(&client, &rows(1), &options).await.unwrap_err();
    assert_eq!(failure.error.retry(), Retry::After(6 * MINUTES));
}
