//! Statements that read, and their rows.

use serde_json::{Value, json};
use sink_bigquery::client::{Parameter, QueryRequest};
use sink_bigquery::{ErrorKind, Reason};
use time::macros::datetime;

use crate::service::{Asked, Service, clock, ok, refusal, table};

fn rows(values: std::ops::Range<i64>) -> Value {
    let rows: Vec<_> = values
        .map(|value| json!({"f": [{"v": value.to_string()}, {"v": "19.90"}]}))
        .collect();
    json!(rows)
}

/// A page of a result; the first has rows up to 3 of 5.
fn page(rows: &Value, token: Option<&str>) -> Value {
    let mut page = json!({
        "jobComplete": true,
        "jobReference": {"projectId": "books", "jobId": "job_of_bigquery", "location": "EU"},
        "schema": {"fields": [{"name": "n", "type": "INTEGER"}, {"name": "amount", "type": "NUMERIC"}]},
        "rows": rows,
        "totalRows": "5",
        "totalBytesProcessed": "1000",
        "cacheHit": false,
    });
    if let Some(token) = token {
        page["pageToken"] = json!(token);
    }
    page
}

fn request() -> QueryRequest {
    QueryRequest::new("SELECT n, amount FROM bill WHERE batch = @b")
        .with_parameter(Parameter::string("b", "b7"))
        .with_default_dataset(table().dataset())
        .with_label("step", "tie-out")
        .with_maximum_bytes_billed(1_000_000)
        .with_page_rows(3)
}

#[tokio::test]
async fn a_statement_goes_out_in_the_new_dialect_with_its_parameters_and_all_pages_come_in() {
    let service =
        Service::start(
            |asked| match (asked.method.as_str(), asked.query.get("pageToken")) {
                ("POST", _) => ok(page(&rows(0..3), Some("p2"))),
                (_, Some(token)) if token == "p2" => ok(page(&rows(3..5), None)),
                _ => refusal(400, "invalid", "no such page"),
            },
        )
        .await;
    let rows = service.client(&clock()).query(request()).await.unwrap();
    assert_eq!(
        (rows.total_rows(), rows.total_bytes_processed()),
        (Some(5), Some(1000))
    );
    assert_eq!(rows.job_id().unwrap().as_str(), "job_of_bigquery");
    let numbers: Vec<_> = rows
        .all()
        .await
        .unwrap()
        .iter()
        .map(|row| row.int64("n").unwrap().unwrap())
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    let asked = service.asked();
    let mut body = asked[0].json();
    let id = body.as_object_mut().unwrap().remove("requestId").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 36);
    assert_eq!(
        body,
        json!({
            "query": "SELECT n, amount FROM bill WHERE batch = @b",
            "useLegacySql": false,
            "timeoutMs": 10000,
            "maxResults": 3,
            "formatOptions": {"useInt64Timestamp": true},
            "parameterMode": "NAMED",
            "queryParameters": [{"name": "b", "parameterType": {"type": "STRING"}, "parameterValue": {"value": "b7"}}],
            "location": "EU",
            "defaultDataset": {"projectId": "books", "datasetId": "fin"},
            "labels": {"step": "tie-out"},
            "maximumBytesBilled": "1000000",
        })
    );
    assert_eq!(asked[1].what(), "GET queries/job_of_bigquery");
    assert_eq!(asked[1].query["location"], "EU");
    assert_eq!(asked[1].query["formatOptions.useInt64Timestamp"], "true");
}

#[tokio::test]
async fn a_statement_that_runs_long_is_waited_for() {
    let running = json!({"jobComplete": false,
        "jobReference": {"projectId": "books", "jobId": "job_of_bigquery", "location": "EU"}});
    let service = Service::start(move |asked| match (asked.method.as_str(), asked.number) {
        ("POST", _) | (_, 0) => ok(running.clone()),
        (_, 1) => refusal(503, "backendError", "try later"),
        _ => ok(page(&rows(0..5), None)),
    })
    .await;
    let rows = service.client(&clock()).query(request()).await.unwrap();
    assert_eq!(rows.all().await.unwrap().len(), 5);
    assert_eq!(service.asked()[1].query["timeoutMs"], "10000");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_id_and_a_failed_statement_runs_under_another()
 {
    let service = Service::start(|asked| match asked.number {
        0 => refusal(503, "backendError", "try later"),
        1 => refusal(400, "jobBackendError", "The job encountered an error"),
        2 => refusal(
            400,
            "invalidQuery",
            "Exceeded rate limits. Retrying the job may solve the problem.",
        ),
        _ => ok(page(&rows(0..5), None)),
    })
    .await;
    service.client(&clock()).query(request()).await.unwrap();
    let ids: Vec<_> = service
        .asked()
        .iter()
        .map(|it| it.json()["requestId"].clone())
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert!(ids[1] != ids[2] && ids[2] != ids[3]);

    let service = Service::start(|_| refusal(400, "jobInternalError", "again")).await;
    let error = service.client(&clock()).query(request()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Backend);
    assert_eq!(service.asked().len(), 3);
}

#[tokio::test]
async fn a_wrong_statement_is_told_at_once() {
    let service =
        Service::start(|_| refusal(400, "invalidQuery", "Unrecognized name: amunt at [1:8]")).await;
    let error = service.client(&clock()).query(request()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Rejected, Reason::InvalidQuery)
    );
    assert!(error.to_string().contains("amunt"), "{error}");
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn a_statement_that_somebody_cancelled_is_not_run_again() {
    let service = Service::start(|_| refusal(400, "stopped", "Job execution was cancelled")).await;
    let error = service.client(&clock()).query(request()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Stopped);
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn rows_that_are_missing_are_missed() {
    let shapes: [fn(&Asked) -> Value; 4] = [
        // Fewer than was said.
        |_| page(&rows(0..4), None),
        // More.
        |_| page(&rows(0..6), None),
        // The same page for ever.
        |_| page(&rows(0..1), Some("p")),
        // A cell too few.
        |_| page(&json!([{"f": [{"v": "1"}]}]), None),
    ];
    for shape in shapes {
        let service = Service::start(move |asked| ok(shape(asked))).await;
        let outcome = async { service.client(&clock()).query(request()).await?.all().await };
        let error = outcome.await.unwrap_err();
        assert_eq!(error.reason(), Reason::BrokenAnswer);
    }
}

#[tokio::test]
async fn a_statement_without_rows_has_none() {
    let service = Service::start(|_| {
        ok(
            json!({"jobComplete": true, "totalRows": "0", "numDmlAffectedRows": "7",
            "dmlStats": {"insertedRowCount": "3", "updatedRowCount": "4"}}),
        )
    })
    .await;
    let rows = service.client(&clock()).query(request()).await.unwrap();
    assert_eq!(rows.num_dml_affected_rows(), Some(7));
    assert_eq!(rows.dml_stats().unwrap().updated_row_count, Some(4));
    assert!(rows.all().await.unwrap().is_empty());
}

#[tokio::test]
async fn timestamps_are_read_in_either_form() {
    let service = Service::start(|_| {
        ok(json!({"jobComplete": true, "totalRows": "2",
            "schema": {"fields": [{"name": "at", "type": "TIMESTAMP"}]},
            "rows": [{"f": [{"v": "1769882400000001"}]}, {"f": [{"v": "1.7698824E9"}]}]}))
    })
    .await;
    let rows = service
        .client(&clock())
        .query(QueryRequest::new("SELECT at"))
        .await
        .unwrap();
    let times: Vec<_> = rows
        .all()
        .await
        .unwrap()
        .iter()
        .map(|row| row.timestamp("at").unwrap().unwrap())
        .collect();
    assert_eq!(
        times,
        [
            datetime!(2026-01-31 18:00:00.000001 UTC),
            datetime!(2026-01-31 18:00 UTC)
        ]
    );
}
