//! Requests held against a Discovery document; a small one of the same form, and the vendor's own
//! where `BIGQUERY_DISCOVERY` names it.

use serde_json::json;

use crate::caller::{Caller, reference, schema};

#[tokio::test]
async fn what_is_not_described_is_refused() {
    let field = json!({ "type": "object", "properties": {
        "name": { "type": "string" },
        "type": { "type": "string" },
        "mode": { "type": "string" },
        "maxLength": { "type": "string", "format": "int64" },
        "roundingMode": { "type": "string", "enum": ["ROUND_HALF_EVEN"] },
    } });
    let document = json!({
        "parameters": { "alt": {}, "prettyPrint": {} },
        "resources": {
            "tables": { "methods": { "insert": { "parameters": { "projectId": {} } } } },
            "datasets": { "methods": {} },
        },
        "schemas": {
            "TableReference": { "type": "object", "properties": {
                "projectId": { "type": "string" },
                "datasetId": { "type": "string" },
                "tableId": { "type": "string" },
            } },
            "Field": field,
            "Table": { "type": "object", "properties": {
                "tableReference": { "$ref": "TableReference" },
                "schema": { "type": "object", "properties": { "fields": { "type": "array", "items": { "$ref": "Field" } } } },
                "labels": { "type": "object", "additionalProperties": { "type": "string" } },
                "requirePartitionFilter": { "type": "boolean" },
            } },
        },
    });
    let folder = std::env::temp_dir().join(format!("vendor-sims-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("discovery.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let caller = Caller::with(|builder| builder.discovery(&file)).await;
    std::fs::remove_dir_all(&folder).unwrap();

    let table = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut body = json!({ "tableReference": reference("t"), "schema": schema(&["a STRING"]) });
        change(&mut body);
        body
    };
    for (name, change) in [
        (
            "an unknown key",
            &(|body: &mut serde_json::Value| body["tabel"] = json!(1))
                as &dyn Fn(&mut serde_json::Value),
        ),
        ("an unknown key inside", &|body| {
            body["schema"]["fields"][0]["nullable"] = json!(true)
        }),
        ("a number for an int64", &|body| {
            body["schema"]["fields"][0]["maxLength"] = json!(5)
        }),
        ("a text that is no int64", &|body| {
            body["schema"]["fields"][0]["maxLength"] = json!("five")
        }),
        ("a text that is not listed", &|body| {
            body["schema"]["fields"][0]["roundingMode"] = json!("UP")
        }),
        ("a text for a boolean", &|body| {
            body["requirePartitionFilter"] = json!("true")
        }),
        ("a number for a label", &|body| {
            body["labels"] = json!({ "a": 1 })
        }),
        ("a list for an object", &|body| body["schema"] = json!([])),
    ] {
        let refused = caller.post("datasets/d/tables", table(change)).await;
        assert_eq!(refused.reason(), "400 invalid", "{name}");
    }
    let parameter = caller
        .post("datasets/d/tables?prettyprint=false", table(&|_| {}))
        .await;
    assert_eq!(parameter.reason(), "400 invalid");
    caller
        .post("datasets/d/tables?prettyPrint=false", table(&|_| {}))
        .await
        .ok();
}

#[tokio::test]
async fn the_calls_of_these_tests_are_as_the_vendor_describes_them() {
    let Some(file) = std::env::var_os("BIGQUERY_DISCOVERY") else {
        eprintln!("skipped: BIGQUERY_DISCOVERY names no Discovery document");
        return;
    };
    let caller = Caller::with(|builder| builder.discovery(file)).await;
    caller.table("t", &["id INT64"]).await;
    caller
        .load(
            "one",
            "t",
            json!({ "schema": schema(&["id INT64"]), "writeDisposition": "WRITE_APPEND" }),
            "{\"id\":1}",
        )
        .await;
    let mut body =
        json!({ "query": "SELECT id FROM d.t", "useLegacySql": false, "timeoutMs": 1_000 });
    caller.post("queries", body.clone()).await.ok();
    body["timeoutMs"] = json!("1000");
    assert_eq!(caller.post("queries", body).await.reason(), "400 invalid");
    let rows = json!({ "rows": [{ "insertID": "a", "json": { "id": 1 } }] });
    assert_eq!(
        caller
            .post("datasets/d/tables/t/insertAll", rows)
            .await
            .reason(),
        "400 invalid"
    );
}
