//! What goes wrong on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use vendor_sims::bigquery::{Cut, Fault, FaultScript, Refuse, Rule};

use crate::caller::{Caller, texts};

async fn caller(script: FaultScript) -> Caller {
    let caller = Caller::with(|builder| builder.streaming_delay(Duration::ZERO)).await;
    caller.table("t", &["id INT64"]).await;
    caller.simulator.set_faults(script).unwrap();
    caller
}

fn insert(id: u32) -> String {
    format!("INSERT INTO d.t (id) VALUES ({id})")
}

#[tokio::test]
async fn an_error_comes_before_the_effect_or_hides_it() {
    let before = Fault::Refuse(Refuse::new(503, "backendError"));
    let after = Fault::Refuse(Refuse::new(503, "backendError").stored());
    let script = FaultScript::new(1)
        .rule(
            Rule::new(before)
                .call("jobs.query")
                .when(|when| when.table.push("t".to_owned()))
                .nth(1),
        )
        .rule(
            Rule::new(after)
                .call("jobs.query")
                .when(|when| when.table.push("t".to_owned()))
                .nth(2),
        )
        .rule(Rule::new(Fault::Unauthorized).call("jobs.query").nth(3))
        .rule(
            Rule::new(Fault::RateLimitExceeded)
                .call("tables.get")
                .times(1),
        )
        .rule(Rule::new(Fault::TooLarge).call("tabledata.insertAll"));
    let caller = caller(script).await;
    assert_eq!(caller.query(&insert(1)).await.reason(), "503 backendError");
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 0);
    assert_eq!(caller.query(&insert(2)).await.reason(), "503 backendError");
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 1);
    assert_eq!(caller.query(&insert(3)).await.reason(), "401 authError");
    caller.query(&insert(4)).await.ok();
    assert_eq!(
        caller.get("datasets/d/tables/t").await.reason(),
        "403 rateLimitExceeded"
    );
    assert_eq!(caller.get("datasets/d/tables/t").await.status, 200);
    let large = caller
        .post(
            "datasets/d/tables/t/insertAll",
            json!({ "rows": [{ "json": {} }] }),
        )
        .await;
    assert_eq!((large.status, large.body), (413, serde_json::Value::Null));
    let report = caller.simulator.faults();
    assert_eq!(
        report.iter().map(|rule| rule.fired).collect::<Vec<_>>(),
        [1, 1, 1, 1, 1]
    );
}

#[tokio::test]
async fn a_connection_ends_before_or_after_the_effect_or_amid_the_answer() {
    let script = FaultScript::new(1)
        .rule(Rule::new(Fault::Cut(Cut::Before)).call("jobs.query").nth(1))
        .rule(Rule::new(Fault::Cut(Cut::After)).call("jobs.query").nth(2))
        .rule(Rule::new(Fault::Cut(Cut::Amid)).call("jobs.query").nth(3));
    let caller = caller(script).await;
    for (id, rows) in [(1, 0), (2, 1), (3, 2)] {
        let body = json!({ "query": insert(id), "useLegacySql": false });
        let request = caller
            .request("POST", "/bigquery/v2/projects/p/queries")
            .header("content-type", "application/json")
            .body(body.to_string());
        let read = match request.send().await {
            Ok(response) => response.bytes().await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert!(read.is_err());
        assert_eq!(caller.simulator.row_count("d", "t").unwrap(), rows);
    }
    caller.query(&insert(4)).await.ok();
}

#[tokio::test]
async fn jobs_are_slow_fail_and_run_when_nobody_asks() {
    let fail = Fault::FailJob {
        reason: "backendError".to_owned(),
        message: String::new(),
    };
    let script = FaultScript::new(1)
        .rule(
            Rule::new(Fault::SlowJob { polls: 3 })
                .when(|when| when.kind = Some("load".to_owned()))
                .nth(1),
        )
        .rule(
            Rule::new(fail)
                .when(|when| when.kind = Some("load".to_owned()))
                .nth(2),
        )
        .rule(Rule::new(Fault::SlowJob { polls: 2 }).call("jobs.query"));
    let caller = caller(script).await;
    caller
        .submit_load("slow", "t", json!({}), "{\"id\":1}")
        .await
        .ok();
    let state = async || caller.get("jobs/slow?location=US").await.ok()["status"]["state"].clone();
    assert_eq!(
        (state().await, state().await, state().await),
        (json!("RUNNING"), json!("RUNNING"), json!("DONE"))
    );
    let failed = caller.load("fails", "t", json!({}), "{\"id\":2}").await;
    assert_eq!(failed["status"]["errorResult"]["reason"], "backendError");
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 1);

    let open = caller.query("SELECT COUNT(*) FROM d.t").await.ok();
    assert_eq!(open["jobComplete"], false);
    let job = open["jobReference"]["jobId"].as_str().unwrap();
    let done = caller.get(&format!("queries/{job}?location=US")).await.ok();
    assert_eq!(crate::caller::rows(&done), [texts(&["1"])]);

    caller.simulator.clear_faults();
    caller
        .submit_load("left", "t", json!({}), "{\"id\":3}")
        .await
        .ok();
    caller.simulator.advance(Duration::from_secs(31));
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 2);
}

#[tokio::test]
async fn rows_are_left_out_lost_or_stored_twice() {
    let rows = |from: u32| {
        let rows: Vec<_> = (from..from + 4)
            .map(|id| json!({ "insertId": id.to_string(), "json": { "id": id } }))
            .collect();
        json!({ "rows": rows })
    };
    let script = FaultScript::parse(
        r#"
        [[rules]]
        when = { call = "tabledata.insertAll", nth = 1 }
        fault = { row_errors = { every = 2, reason = "backendError" } }
        [[rules]]
        when = { call = "tabledata.insertAll", nth = 2 }
        fault = "lose_rows"
        [[rules]]
        when = { call = "tabledata.insertAll", nth = [3] }
        fault = "forget_insert_ids"
        "#,
    )
    .unwrap();
    let caller = caller(script).await;
    let path = "datasets/d/tables/t/insertAll";
    let partly = caller.post(path, rows(0)).await.ok();
    let failed: Vec<_> = partly["insertErrors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["index"].clone())
        .collect();
    assert_eq!(failed, [1, 3]);
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 2);
    assert!(caller.post(path, rows(10)).await.ok()["insertErrors"].is_null());
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 2);
    caller.post(path, rows(0)).await.ok();
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 6);
}

#[tokio::test]
async fn a_script_that_cannot_be_meant_is_refused() {
    for script in [
        "[[rules]]\nfault = \"explode\"",
        "[[rules]]\nwhen = { call = \"jobs.run\" }\nfault = \"unauthorized\"",
        "[[rules]]\nwhen = { probability = 2.0 }\nfault = \"unauthorized\"",
        "[[rules]]\nfault = { refuse = { status = 200 } }",
        "[[rules]]\nwhen = { often = 1 }\nfault = \"unauthorized\"",
    ] {
        assert!(FaultScript::parse(script).is_err(), "{script}");
    }
}

#[tokio::test]
async fn every_answer_takes_its_time() {
    let waited = Arc::new(AtomicU64::new(0));
    let sum = Arc::clone(&waited);
    let caller = Caller::with(|builder| {
        builder
            .latency(Duration::from_millis(50))
            .sleeper(move |duration| {
                sum.fetch_add(duration.as_millis() as u64, Ordering::SeqCst);
                std::future::ready(())
            })
    })
    .await;
    let slow =
        FaultScript::new(1).rule(Rule::new(Fault::Slow { before_ms: 700 }).call("datasets.get"));
    caller.simulator.set_faults(slow).unwrap();
    caller.get("datasets/d").await.ok();
    caller.get("datasets").await.ok();
    assert_eq!(waited.load(Ordering::SeqCst), 800);
    assert_eq!(caller.simulator.stats().calls["datasets.get"], 1);
}
