//! Datasets and tables.

use std::time::Duration;

use serde_json::json;

use crate::caller::{Caller, reference, schema};

#[tokio::test]
async fn a_table_shows_what_was_set_and_takes_additive_changes_only() {
    let caller = Caller::new().await;
    let body = json!({
        "tableReference": reference("t"),
        "description": "Bills",
        "labels": { "app": "finance" },
        "schema": { "fields": [
            { "name": "recordno", "type": "INT64", "mode": "REQUIRED", "description": "Key" },
            { "name": "amount", "type": "NUMERIC" },
        ] },
        "clustering": { "fields": ["recordno"] },
        "timePartitioning": { "type": "DAY" },
        "tableConstraints": { "primaryKey": { "columns": ["recordno"] } },
    });
    let made = caller.post("datasets/d/tables", body.clone()).await.ok();
    assert_eq!(
        caller
            .post("datasets/d/tables", body.clone())
            .await
            .reason(),
        "409 duplicate"
    );
    for key in [
        "description",
        "labels",
        "clustering",
        "timePartitioning",
        "tableConstraints",
    ] {
        assert_eq!(made[key], body[key]);
    }
    assert_eq!(
        made["schema"]["fields"][0],
        json!({ "name": "recordno", "type": "INTEGER", "mode": "REQUIRED", "description": "Key" })
    );

    let patch = |etag: &str, body: serde_json::Value| {
        let request = caller
            .request("PATCH", "/bigquery/v2/projects/p/datasets/d/tables/t")
            .header("content-type", "application/json")
            .header("if-match", etag)
            .body(body.to_string());
        caller.send(request)
    };
    let etag = made["etag"].as_str().unwrap();
    let wider = json!({ "schema": schema(&["recordno INT64 NULLABLE", "amount NUMERIC", "note STRING"]), "labels": { "step": "merge" } });
    let changed = patch(etag, wider).await.ok();
    assert_eq!(changed["schema"]["fields"].as_array().unwrap().len(), 3);
    assert_eq!(
        changed["labels"],
        json!({ "app": "finance", "step": "merge" })
    );
    assert_eq!(
        patch(etag, json!({ "description": "late" })).await.reason(),
        "412 conditionNotMet"
    );
    for fields in [
        &["recordno INT64", "amount NUMERIC"][..],
        &["recordno INT64", "amount STRING", "note STRING"],
        &[
            "recordno INT64",
            "amount NUMERIC",
            "note STRING",
            "more STRING REQUIRED",
        ],
        &["recordno INT64", "amount NUMERIC REQUIRED", "note STRING"],
    ] {
        assert_eq!(
            patch("*", json!({ "schema": schema(fields) }))
                .await
                .reason(),
            "400 invalid",
            "{fields:?}"
        );
    }
    let moved = json!({ "schema": schema(&["recordno INT64", "note STRING", "amount NUMERIC"]) });
    assert_eq!(patch("*", moved).await.status, 412);
    assert_eq!(
        caller
            .call("DELETE", "datasets/d/tables/t", None)
            .await
            .status,
        204
    );
    assert_eq!(
        caller.get("datasets/d/tables/t").await.reason(),
        "404 notFound"
    );
}

#[tokio::test]
async fn a_table_is_gone_when_its_time_is_over() {
    let caller = Caller::with(|builder| builder.now(time_of(0))).await;
    let body = json!({ "tableReference": reference("t"), "schema": schema(&["a INT64"]), "expirationTime": "60000" });
    caller.post("datasets/d/tables", body).await.ok();
    assert_eq!(caller.simulator.tables("d").unwrap(), ["t"]);
    caller.simulator.advance(Duration::from_secs(61));
    assert!(caller.simulator.tables("d").unwrap().is_empty());
}

fn time_of(seconds: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}
