//! Rates and quotas, by the simulator's clock.

use std::time::Duration;

use serde_json::json;
use vendor_sims::bigquery::Limits;

use crate::caller::Caller;

#[tokio::test]
async fn a_table_takes_so_many_loads_changes_and_statements() {
    let mut limits = Limits::default();
    limits.loads_per_table_and_day = 6;
    let caller = Caller::with(|builder| builder.limits(limits).job_polls(0)).await;
    caller.table("t", &["id INT64"]).await;
    let load = async |number: u32| {
        let job = caller
            .load(&format!("load{number}"), "t", json!({}), "{\"id\":1}")
            .await;
        job["status"]["errorResult"]["reason"]
            .as_str()
            .unwrap_or("done")
            .to_owned()
    };
    // Making the table was the first of five changes in ten seconds.
    for number in 0..4 {
        assert_eq!(load(number).await, "done");
    }
    assert_eq!(load(4).await, "rateLimitExceeded");
    let patched = caller
        .call(
            "PATCH",
            "datasets/d/tables/t",
            Some(json!({ "description": "x" })),
        )
        .await;
    assert_eq!(patched.reason(), "403 rateLimitExceeded");
    caller.simulator.advance(Duration::from_secs(11));
    assert_eq!(load(5).await, "done");
    assert_eq!(load(6).await, "quotaExceeded");
    caller.simulator.advance(Duration::from_secs(86_400));
    assert_eq!(load(7).await, "done");

    for _ in 0..25 {
        caller.query("DELETE FROM d.t WHERE id = 9").await.ok();
    }
    let over = caller.query("DELETE FROM d.t WHERE id = 9").await;
    assert_eq!(over.reason(), "403 rateLimitExceeded");
    caller.simulator.advance(Duration::from_secs(11));
    caller.query("DELETE FROM d.t WHERE id = 9").await.ok();
}

#[tokio::test]
async fn a_table_has_so_many_statements_waiting() {
    let mut limits = Limits::without_rates();
    limits.dml_outstanding_per_table = 2;
    let caller = Caller::with(|builder| builder.limits(limits)).await;
    caller.table("t", &["id INT64"]).await;
    for number in 0..3 {
        let body = json!({
            "jobReference": { "projectId": "p", "jobId": format!("dml{number}"), "location": "US" },
            "configuration": { "query": { "query": "INSERT INTO d.t (id) VALUES (1)", "useLegacySql": false } },
        });
        caller.post("jobs", body).await.ok();
    }
    let last = caller.get("jobs/dml2?location=US").await.ok();
    let message = last["status"]["errorResult"]["message"].as_str().unwrap();
    assert!(
        message.contains("Too many DML statements outstanding against table"),
        "{message}"
    );
    caller.get("jobs/dml0?location=US").await.ok();
    caller.get("jobs/dml1?location=US").await.ok();
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 2);
}
