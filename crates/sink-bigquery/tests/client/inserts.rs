//! Streaming: what each answer of insertAll means for each row.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use sink_bigquery::client::{FreshTables, InsertOptions, InsertOutcome, InsertRow};
use sink_bigquery::{ErrorKind, Reason};
use wiremock::ResponseTemplate;

use crate::service::{Asked, Service, client, clock, ok, raw, refusal, seconds, stream};

/// Options that do not ask how old the table is.
pub(crate) fn at_once() -> InsertOptions {
    InsertOptions::default().with_fresh_tables(FreshTables::Allow, Duration::ZERO)
}

pub(crate) fn rows(count: usize) -> Vec<InsertRow> {
    (0..count).map(|number| row(number, "19.90")).collect()
}

fn row(number: usize, amount: &str) -> InsertRow {
    InsertRow::new(
        format!("r{number}"),
        &json!({"n": number.to_string(), "amount": amount}),
    )
    .unwrap()
}

/// The insert ids of a request.
fn ids(asked: &Asked) -> Vec<String> {
    let body = asked.json();
    let rows = body["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| row["insertId"].as_str().unwrap().to_owned())
        .collect()
}

fn insert_errors(errors: &[(usize, &str)]) -> ResponseTemplate {
    let errors: Vec<_> = errors
        .iter()
        .map(|(index, reason)| {
            json!({"index": index, "errors": [{"reason": reason, "location": "amount", "debugInfo": "", "message": "m"}]})
        })
        .collect();
    ok(json!({"kind": "bigquery#tableDataInsertAllResponse", "insertErrors": errors}))
}

pub(crate) fn taken() -> ResponseTemplate {
    ok(json!({"kind": "bigquery#tableDataInsertAllResponse"}))
}

fn invalid_indices(outcome: &InsertOutcome) -> Vec<usize> {
    outcome.invalid.iter().map(|row| row.index).collect()
}

#[tokio::test]
async fn rows_go_in_requests_of_the_wanted_size() {
    let service = Service::start(|_| taken()).await;
    let options = at_once().with_request_size(2, 4_000_000).with_at_once(1);
    let outcome = service.stream(&clock(), &rows(5), &options).await.unwrap();
    assert_eq!((outcome.inserted, outcome.invalid.len()), (5, 0));
    let asked = service.asked();
    let sent: Vec<_> = asked.iter().map(ids).collect();
    assert_eq!(sent, [vec!["r0", "r1"], vec!["r2", "r3"], vec!["r4"]]);
    assert_eq!(asked[0].what(), "POST datasets/fin/tables/bill/insertAll");
    assert_eq!(
        asked[2].json(),
        json!({"skipInvalidRows": false, "ignoreUnknownValues": false,
            "rows": [{"insertId": "r4", "json": {"n": "4", "amount": "19.90"}}]})
    );
}

#[tokio::test]
async fn an_unknown_outcome_is_asked_for_again_with_the_same_ids() {
    // Stored, and the answer lost.
    let service = Service::start(|asked| match asked.number {
        0 => ResponseTemplate::new(503),
        _ => taken(),
    })
    .await;
    let outcome = service
        .stream(&clock(), &rows(3), &at_once())
        .await
        .unwrap();
    assert_eq!(outcome.inserted, 3);
    let asked = service.asked();
    assert_eq!(asked[0].body, asked[1].body);
}

#[tokio::test]
async fn stopped_rows_are_sent_again_without_the_invalid_ones() {
    let service = Service::start(|asked| match asked.number {
        0 => insert_errors(&[
            (0, "stopped"),
            (1, "invalid"),
            (2, "stopped"),
            (3, "invalid"),
            (4, "stopped"),
        ]),
        _ => taken(),
    })
    .await;
    let clock = clock();
    let outcome = service.stream(&clock, &rows(5), &at_once()).await.unwrap();
    assert_eq!(
        (outcome.inserted, invalid_indices(&outcome)),
        (3, vec![1, 3])
    );
    let error = &outcome.invalid[0].errors[0];
    assert_eq!(
        (error.reason.as_str(), error.location.as_deref()),
        ("invalid", Some("amount"))
    );
    assert_eq!(ids(&service.asked()[1]), ["r0", "r2", "r4"]);
    assert!(
        clock.sleeps().is_empty(),
        "good rows do not wait for bad ones"
    );
}

#[tokio::test]
async fn with_stopped_rows_nothing_was_taken_also_not_what_is_not_named() {
    let service = Service::start(|asked| match asked.number {
        0 => insert_errors(&[(1, "invalid"), (2, "stopped")]),
        _ => taken(),
    })
    .await;
    let outcome = service
        .stream(&clock(), &rows(4), &at_once())
        .await
        .unwrap();
    assert_eq!((outcome.inserted, invalid_indices(&outcome)), (3, vec![1]));
    assert_eq!(ids(&service.asked()[1]), ["r0", "r2", "r3"]);
}

#[tokio::test]
async fn without_stopped_rows_all_that_is_not_named_was_taken() {
    let service = Service::start(|asked| match asked.number {
        0 => insert_errors(&[(0, "invalid"), (2, "backendError"), (3, "timeout")]),
        1 => insert_errors(&[(1, "internalError")]),
        _ => taken(),
    })
    .await;
    let clock = clock();
    let options = at_once().skipping_invalid_rows();
    let outcome = service.stream(&clock, &rows(4), &options).await.unwrap();
    assert_eq!((outcome.inserted, invalid_indices(&outcome)), (3, vec![0]));
    let asked = service.asked();
    assert_eq!(asked[0].json()["skipInvalidRows"], json!(true));
    assert_eq!(
        (ids(&asked[1]), ids(&asked[2])),
        (
            vec!["r2".to_owned(), "r3".to_owned()],
            vec!["r3".to_owned()]
        )
    );
    assert_eq!(clock.sleeps().len(), 2);
}

#[tokio::test]
async fn rows_that_are_all_invalid_are_all_told() {
    let service = Service::start(|_| insert_errors(&[(0, "invalid"), (1, "invalid")])).await;
    let outcome = service
        .stream(&clock(), &rows(2), &at_once())
        .await
        .unwrap();
    assert_eq!(
        (outcome.inserted, invalid_indices(&outcome)),
        (0, vec![0, 1])
    );
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn rows_that_are_stopped_for_ever_are_undecided() {
    let service = Service::start(|_| insert_errors(&[(0, "stopped"), (1, "stopped")])).await;
    let failure = service
        .stream(&clock(), &rows(2), &at_once())
        .await
        .unwrap_err();
    assert_eq!(
        (failure.undecided, failure.outcome.inserted),
        (vec![0, 1], 0)
    );
    assert!(failure.error.is_exhausted());
    assert_eq!(service.asked().len(), 10);
}

/// Takes at most this many rows in a request.
fn narrow(most: usize, refused: fn() -> ResponseTemplate) -> impl Fn(&Asked) -> ResponseTemplate {
    move |asked| {
        if ids(asked).len() > most {
            refused()
        } else {
            taken()
        }
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_is_halved_until_it_fits() {
    let shapes: [fn() -> ResponseTemplate; 3] = [
        || ResponseTemplate::new(413).set_body_string("<html><title>Error 413</title></html>"),
        || {
            refusal(
                400,
                "badRequest",
                "Request payload size exceeds the limit: 10485760 bytes.",
            )
        },
        || refusal(413, "requestTooLarge", "too large"),
    ];
    for shape in shapes {
        let service = Service::start(narrow(3, shape)).await;
        let clock = clock();
        let outcome = service.stream(&clock, &rows(10), &at_once()).await.unwrap();
        assert_eq!(outcome.inserted, 10);
        let sizes: Vec<_> = service.asked().iter().map(|it| ids(it).len()).collect();
        assert_eq!(sizes, [10, 5, 2, 3, 5, 2, 3]);
        assert!(clock.sleeps().is_empty());
    }
}

#[tokio::test]
async fn a_single_row_that_is_too_large_is_told_and_the_others_go_on() {
    let service = Service::start(|asked| {
        if ids(asked).iter().any(|id| id == "r2") {
            ResponseTemplate::new(413)
        } else {
            taken()
        }
    })
    .await;
    let outcome = service
        .stream(&clock(), &rows(4), &at_once())
        .await
        .unwrap();
    assert_eq!((outcome.inserted, invalid_indices(&outcome)), (3, vec![2]));
    assert_eq!(outcome.invalid[0].errors[0].reason, "rowTooLarge");
}

#[tokio::test]
async fn a_connection_that_breaks_on_a_large_body_is_answered_by_a_smaller_one() {
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    // The first body is too large for the front end, which hangs up on it, twice.
    let url = raw(move |number| {
        *count.lock().unwrap() = number + 1;
        (number >= 2).then(|| {
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}".to_owned()
        })
    })
    .await;
    let rows: Vec<_> = (0..4)
        .map(|number| row(number, &"9".repeat(400_000)))
        .collect();
    let outcome = stream(&client(url, &clock()), &rows, &at_once())
        .await
        .unwrap();
    assert_eq!(outcome.inserted, 4);
    assert_eq!(*seen.lock().unwrap(), 4, "twice whole, then its halves");
}

#[tokio::test]
async fn a_refusal_stops_the_rest_and_says_what_is_decided() {
    let service = Service::start(|asked| match asked.number {
        0 => insert_errors(&[(1, "invalid"), (0, "stopped")]),
        1 => taken(),
        _ => refusal(403, "accessDenied", "Access Denied: Table books:fin.bill"),
    })
    .await;
    let options = at_once().with_request_size(2, 4_000_000).with_at_once(1);
    let failure = service
        .stream(&clock(), &rows(7), &options)
        .await
        .unwrap_err();
    assert_eq!(
        (failure.error.kind(), failure.error.reason()),
        (ErrorKind::Permission, Reason::AccessDenied)
    );
    assert_eq!(failure.undecided, [2, 3, 4, 5, 6]);
    assert_eq!(
        (failure.outcome.inserted, invalid_indices(&failure.outcome)),
        (1, vec![1])
    );
    assert_eq!(service.asked().len(), 3, "what comes after it is not sent");
    let error = sink_bigquery::Error::from(failure);
    assert!(error.to_string().contains("undecided_rows: 5"), "{error}");
}

#[tokio::test]
async fn a_quota_of_a_second_clears_and_one_of_a_day_does_not() {
    let service = Service::start(|asked| match asked.number {
        0 => refusal(
            403,
            "quotaExceeded",
            "Exceeded quota: rows per second per table",
        ),
        1 => refusal(403, "rateLimitExceeded", "slow down"),
        _ => taken(),
    })
    .await;
    let clock_of_first = clock();
    service
        .stream(&clock_of_first, &rows(1), &at_once())
        .await
        .unwrap();
    assert_eq!(seconds(&clock_of_first)[0], 60);

    let service = Service::start(|_| refusal(403, "quotaExceeded", "Exceeded quota")).await;
    let failure = service
        .stream(&clock(), &rows(1), &at_once())
        .await
        .unwrap_err();
    assert_eq!(
        (failure.error.reason(), failure.undecided),
        (Reason::QuotaExceeded, vec![0])
    );
    assert_eq!(service.asked().len(), 3);
}

#[tokio::test]
async fn an_answer_that_is_nonsense_decides_nothing() {
    for nonsense in [
        ResponseTemplate::new(200).set_body_string("<html>"),
        insert_errors(&[(7, "invalid")]),
        ok(json!({"insertErrors": {"index": 0}})),
    ] {
        let service = Service::start(move |asked| match asked.number {
            0 => nonsense.clone(),
            _ => taken(),
        })
        .await;
        let outcome = service
            .stream(&clock(), &rows(2), &at_once())
            .await
            .unwrap();
        assert_eq!((outcome.inserted, outcome.invalid.len()), (2, 0));
        let asked = service.asked();
        assert_eq!(asked[0].body, asked[1].body);
    }
}

#[tokio::test]
async fn what_cannot_be_streamed_is_refused_before_anything_is_sent() {
    let service = Service::start(|_| taken()).await;
    let client = service.client(&clock());
    let doubled = [row(1, "1"), row(1, "2")];
    let failure = stream(&client, &doubled, &at_once()).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Config);
    for options in [
        at_once().with_request_size(0, 4_000_000),
        at_once().with_request_size(50_001, 4_000_000),
        at_once().with_request_size(500, 9_000_001),
        at_once().with_at_once(0),
    ] {
        stream(&client, &rows(1), &options).await.unwrap_err();
    }
    let none = stream(&client, &[], &at_once()).await.unwrap();
    assert_eq!(none, InsertOutcome::default());
    assert!(service.asked().is_empty());
}

#[tokio::test]
async fn several_requests_go_at_once_and_every_row_is_decided() {
    let seen: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let count = Arc::clone(&seen);
    let service = Service::start(move |asked| {
        // Every third request fails the first time, one row in ten is invalid.
        if asked.number % 3 == 0 {
            return ResponseTemplate::new(500);
        }
        let ids = ids(asked);
        let bad: Vec<_> = ids
            .iter()
            .enumerate()
            .filter(|(_, id)| id.ends_with('7'))
            .map(|(index, _)| index)
            .collect();
        if bad.is_empty() {
            let mut seen = count.lock().unwrap();
            for id in ids {
                *seen.entry(id).or_default() += 1;
            }
            return taken();
        }
        let reasons = (0..ids.len()).map(|index| {
            (
                index,
                if bad.contains(&index) {
                    "invalid"
                } else {
                    "stopped"
                },
            )
        });
        insert_errors(&reasons.collect::<Vec<_>>())
    })
    .await;
    let options = at_once().with_request_size(13, 4_000_000).with_at_once(8);
    let outcome = service
        .stream(&clock(), &rows(200), &options)
        .await
        .unwrap();
    assert_eq!((outcome.inserted, outcome.invalid.len()), (180, 20));
    let expected: Vec<_> = (0..200).filter(|number| number % 10 == 7).collect();
    assert_eq!(invalid_indices(&outcome), expected);
    let seen = seen.lock().unwrap();
    assert!(seen.len() == 180 && seen.values().all(|times| *times == 1));
}
