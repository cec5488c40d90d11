//! `tabledata.insertAll`, by the rules that make it different.

use std::time::Duration;

use serde_json::{Value, json};

use crate::caller::{Answer, Caller, reference, schema, texts};

const ROWS: &str = "datasets/d/tables/t/insertAll";

async fn caller() -> Caller {
    let caller = Caller::new().await;
    caller
        .table(
            "t",
            &["id INT64 REQUIRED", "amount NUMERIC", "at TIMESTAMP"],
        )
        .await;
    caller.simulator.advance(Duration::from_secs(121));
    caller
}

fn row(id: &str, json: Value) -> Value {
    json!({ "insertId": id, "json": json })
}

async fn insert(caller: &Caller, rows: &[Value]) -> Answer {
    caller.post(ROWS, json!({ "rows": rows })).await
}

#[tokio::test]
async fn a_row_is_stored_once_within_the_window_of_its_insert_id() {
    let caller = caller().await;
    let rows = [
        row("a", json!({ "id": "1", "amount": "19.90" })),
        row("b", json!({ "ID": 2 })),
    ];
    let clean = insert(&caller, &rows).await.ok();
    assert_eq!(
        clean,
        json!({ "kind": "bigquery#tableDataInsertAllResponse" })
    );
    insert(&caller, &rows).await.ok();
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 2);
    caller.simulator.advance(Duration::from_secs(61));
    insert(&caller, &rows[..1]).await.ok();
    insert(
        &caller,
        &[
            json!({ "json": { "id": 1 } }),
            json!({ "json": { "id": 1 } }),
        ],
    )
    .await
    .ok();
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 5);
}

#[tokio::test]
async fn one_row_that_is_wrong_stops_the_others() {
    let caller = caller().await;
    let rows = [
        row("a", json!({ "id": "1" })),
        row("b", json!({ "id": "x", "amount": 1.5, "other": true })),
        row("c", json!({ "amount": "0.0000000001" })),
    ];
    let errors = |answer: &Value| -> Vec<(u64, Vec<(String, String)>)> {
        let list = answer["insertErrors"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        list.iter()
            .map(|entry| {
                let errors = entry["errors"].as_array().unwrap();
                let pairs = errors
                    .iter()
                    .map(|error| (text(&error["reason"]), text(&error["location"])));
                (entry["index"].as_u64().unwrap(), pairs.collect())
            })
            .collect()
    };
    let invalid = |names: &[&str]| -> Vec<(String, String)> {
        names
            .iter()
            .map(|name| ("invalid".to_owned(), (*name).to_owned()))
            .collect()
    };
    let stopped = vec![("stopped".to_owned(), String::new())];
    let answer = insert(&caller, &rows).await.ok();
    assert_eq!(
        errors(&answer),
        [
            (0, stopped),
            (1, invalid(&["other", "id", "amount"])),
            (2, invalid(&["id", "amount"])),
        ]
    );
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 0);

    let body = json!({ "rows": rows, "skipInvalidRows": true, "ignoreUnknownValues": true });
    let answer = caller.post(ROWS, body).await.ok();
    assert_eq!(
        errors(&answer),
        [
            (1, invalid(&["id", "amount"])),
            (2, invalid(&["id", "amount"]))
        ]
    );
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 1);
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let caller = Caller::with(|builder| {
        let mut limits = vendor_sims::bigquery::Limits::without_rates();
        limits.insert_rows = 2;
        limits.insert_bytes = 1_000;
        limits.insert_row_bytes = 200;
        builder.limits(limits).streaming_delay(Duration::ZERO)
    })
    .await;
    caller.table("t", &["id INT64", "text STRING"]).await;
    let rows = vec![row("a", json!({ "id": 1 })); 3];
    assert_eq!(insert(&caller, &rows).await.reason(), "400 invalid");
    let long = row("a", json!({ "id": 1, "text": "x".repeat(1_000) }));
    assert_eq!(insert(&caller, &[long]).await.reason(), "400 badRequest");
    let wide = row("a", json!({ "id": 1, "text": "x".repeat(300) }));
    let answer = insert(&caller, &[wide, row("b", json!({ "id": 2 }))])
        .await
        .ok();
    assert_eq!(answer["insertErrors"][0]["errors"][0]["reason"], "invalid");
    let id = row(&"i".repeat(129), json!({ "id": 1 }));
    assert_eq!(insert(&caller, &[id]).await.reason(), "400 invalid");
    assert_eq!(insert(&caller, &[]).await.reason(), "400 invalid");
    assert_eq!(
        caller
            .post("datasets/d/tables/gone/insertAll", json!({ "rows": rows }))
            .await
            .reason(),
        "404 notFound"
    );
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 0);
}

#[tokio::test]
async fn a_table_that_was_made_emptied_or_widened_is_not_seen_as_it_is() {
    let caller = Caller::new().await;
    caller.table("t", &["id INT64"]).await;
    let one = [row("a", json!({ "id": 1 }))];
    assert_eq!(insert(&caller, &one).await.reason(), "404 notFound");
    assert_eq!(caller.get("datasets/d/tables/t").await.status, 200);
    caller.simulator.advance(Duration::from_secs(121));
    insert(&caller, &one).await.ok();
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 1);

    // Rows for a table that takes the place of another are accepted and lost.
    caller.call("DELETE", "datasets/d/tables/t", None).await;
    caller.table("t", &["id INT64"]).await;
    insert(&caller, &one).await.ok();
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 0);
    caller.simulator.advance(Duration::from_secs(121));
    caller
        .load(
            "empty",
            "t",
            json!({ "schema": schema(&["id INT64"]), "writeDisposition": "WRITE_TRUNCATE" }),
            "",
        )
        .await;
    insert(&caller, &[row("b", json!({ "id": 1 }))]).await.ok();
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 0);
    caller.simulator.advance(Duration::from_secs(121));

    let wider = json!({ "schema": schema(&["id INT64", "note STRING"]) });
    caller
        .call("PATCH", "datasets/d/tables/t", Some(wider))
        .await
        .ok();
    let noted = [row("c", json!({ "id": 1, "note": "n" }))];
    let early = insert(&caller, &noted).await.ok();
    assert_eq!(
        early["insertErrors"][0]["errors"][0]["message"],
        "no such field: note."
    );
    caller.simulator.advance(Duration::from_secs(121));
    assert!(insert(&caller, &noted).await.ok()["insertErrors"].is_null());
}

#[tokio::test]
async fn streamed_rows_are_there_at_once_and_cannot_be_changed_for_half_an_hour() {
    let caller = caller().await;
    caller.load("first", "t", json!({}), "{\"id\":7}").await;
    insert(&caller, &[row("a", json!({ "id": 1 }))]).await.ok();
    assert_eq!(
        caller.rows("SELECT COUNT(*) FROM d.t").await,
        [texts(&["2"])]
    );
    let table = caller.get("datasets/d/tables/t").await.ok();
    assert_eq!(
        (
            table["numRows"].as_str(),
            table["streamingBuffer"]["estimatedRows"].as_str()
        ),
        (Some("1"), Some("1"))
    );
    assert_eq!(
        caller.get("datasets/d/tables/t/data").await.ok()["rows"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    for sql in [
        "DELETE FROM d.t WHERE id = 1",
        "UPDATE d.t SET amount = 2 WHERE TRUE",
        "MERGE d.t T USING (SELECT 1 AS id) S ON T.id = S.id WHEN MATCHED THEN DELETE",
    ] {
        let blocked = caller.query(sql).await;
        assert_eq!(blocked.reason(), "400 invalidQuery");
        assert!(
            blocked
                .message()
                .contains("would affect rows in the streaming buffer"),
            "{}",
            blocked.body
        );
    }
    // What does not touch them is let through.
    caller.query("DELETE FROM d.t WHERE id = 7").await.ok();
    caller.simulator.advance(Duration::from_secs(30 * 60));
    caller.query("DELETE FROM d.t WHERE id = 1").await.ok();
    assert_eq!(caller.simulator.row_count("d", "t").unwrap(), 0);
}

#[tokio::test]
async fn partitions_by_a_column_take_a_stretch_of_time_only() {
    let caller = Caller::with(|builder| builder.streaming_delay(Duration::ZERO)).await;
    for (name, field) in [("by_date", Some("day")), ("by_arrival", None)] {
        let mut partitioning = json!({ "type": "DAY" });
        if let Some(field) = field {
            partitioning["field"] = json!(field);
        }
        let body = json!({ "tableReference": reference(name), "schema": schema(&["day DATE"]), "timePartitioning": partitioning });
        caller.post("datasets/d/tables", body).await.ok();
    }
    let rows = json!({ "rows": [{ "json": { "day": "1999-12-31" } }] });
    let dated = caller
        .post("datasets/d/tables/by_date/insertAll", rows.clone())
        .await
        .ok();
    assert_eq!(dated["insertErrors"][0]["errors"][0]["location"], "day");
    assert!(
        caller
            .post("datasets/d/tables/by_arrival/insertAll", rows)
            .await
            .ok()["insertErrors"]
            .is_null()
    );
    let buffered = caller
        .rows("SELECT COUNT(*) FROM d.by_arrival WHERE _PARTITIONTIME IS NULL")
        .await;
    assert_eq!(buffered, [texts(&["1"])]);
}
