//! Load jobs: all or nothing, once under an id.

use serde_json::json;

use crate::caller::{Caller, schema};

#[tokio::test]
async fn a_load_replaces_or_adds_all_its_rows_or_none() {
    let caller = Caller::new().await;
    let columns = schema(&[
        "id INT64 REQUIRED",
        "amount NUMERIC",
        "at TIMESTAMP",
        "ok BOOL",
    ]);
    let options = json!({ "schema": columns, "writeDisposition": "WRITE_TRUNCATE" });
    let lines = "{\"id\":1,\"amount\":\"1679615.93\",\"at\":\"2026-01-31T10:11:12.5+01:00\",\"ok\":true}\n{\"id\":2}\n";
    let done = caller.load("one", "t", options.clone(), lines).await;
    assert_eq!(done["status"], json!({ "state": "DONE" }));
    assert_eq!(done["statistics"]["load"]["outputRows"], "2");
    let rows = caller.simulator.rows("d", "t").unwrap();
    assert_eq!(rows[0]["amount"], "1679615.93");
    assert_eq!(rows[0]["at"], "2026-01-31T09:11:12.500000Z");

    let bad = "{\"id\":3}\n{\"id\":\"x\"}\n{\"id\":4,\"amount\":\"0.0000000001\"}\n{\"id\":5,\"other\":1}\n{\"amount\":\"1\"}\nnot json\n";
    let failed = caller.load("two", "t", json!({}), bad).await;
    let status = &failed["status"];
    assert_eq!(status["errorResult"]["reason"], "invalid");
    assert!(
        status["errorResult"]["message"]
            .as_str()
            .unwrap()
            .contains("Rows: 6; errors: 5."),
        "{status}"
    );
    assert_eq!(status["errors"].as_array().unwrap().len(), 6);
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 2);

    caller.load("three", "t", json!({}), "{\"id\":3}\n").await;
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 3);
    caller.load("four", "t", options, "").await;
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 0);
}

#[tokio::test]
async fn a_job_runs_once_under_its_id_and_is_found_where_it_ran() {
    let caller = Caller::new().await;
    caller.table("t", &["id INT64"]).await;
    let first = caller
        .submit_load("same", "t", json!({}), "{\"id\":1}")
        .await
        .ok();
    assert_eq!(first["status"]["state"], "PENDING");
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 0);
    let again = caller
        .submit_load("same", "t", json!({}), "{\"id\":2}")
        .await;
    assert_eq!(again.reason(), "409 duplicate");
    assert_eq!(
        caller.get("jobs/same?location=EU").await.reason(),
        "404 notFound"
    );
    assert_eq!(
        caller.get("jobs/same?location=US").await.ok()["status"]["state"],
        "DONE"
    );
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 1);

    // A query that fails is a job that is done.
    let body = json!({
        "jobReference": { "projectId": "p", "jobId": "gone", "location": "US" },
        "configuration": { "query": { "query": "DELETE FROM d.gone WHERE TRUE", "useLegacySql": false } },
    });
    caller.post("jobs", body).await.ok();
    let failed = caller.get("jobs/gone?location=US").await.ok();
    assert_eq!(failed["status"]["errorResult"]["reason"], "notFound");
    assert_eq!(
        caller.get("queries/gone?location=US").await.reason(),
        "404 notFound"
    );
}
