//! Tables: what is sent, and what comes back.

use serde_json::json;
use sink_bigquery::client::{Field, FieldType, Table, TablePatch, TableSchema, TimePartitioning};
use sink_bigquery::{ErrorKind, Reason};
use wiremock::ResponseTemplate;

use crate::service::{Service, clock, ok, refusal, table};

#[tokio::test]
async fn a_table_is_made_as_it_is_described() {
    let service = Service::start(|asked| ok(asked.json())).await;
    let description = Table::new(table())
        .with_schema(TableSchema::new([
            Field::new("recordno", FieldType::String)
                .required()
                .with_description("the key"),
            Field::new("due", FieldType::Numeric).with_digits(20, 2),
        ]))
        .with_time_partitioning(
            TimePartitioning::by_field("MONTH", "posted").with_expiration_ms(86_400_000),
        )
        .with_clustering(["recordno"])
        .with_primary_key(["recordno"])
        .with_label("app", "finsync")
        .with_expiration_time(1_769_882_400_000);
    let made = service
        .client(&clock())
        .tables()
        .insert(&description)
        .await
        .unwrap();
    assert_eq!(made, description);
    let asked = &service.asked()[0];
    assert_eq!(asked.what(), "POST datasets/fin/tables");
    assert_eq!(
        asked.json(),
        json!({
            "tableReference": {"projectId": "books", "datasetId": "fin", "tableId": "bill"},
            "schema": {"fields": [
                {"name": "recordno", "type": "STRING", "mode": "REQUIRED", "description": "the key"},
                {"name": "due", "type": "NUMERIC", "mode": "NULLABLE", "precision": "20", "scale": "2"}]},
            "timePartitioning": {"type": "MONTH", "field": "posted", "expirationMs": "86400000"},
            "clustering": {"fields": ["recordno"]},
            "tableConstraints": {"primaryKey": {"columns": ["recordno"]}},
            "labels": {"app": "finsync"},
            "expirationTime": "1769882400000",
        })
    );
}

#[tokio::test]
async fn what_bigquery_alone_sets_is_read_and_never_sent() {
    let service = Service::start(|asked| {
        if asked.method == "GET" {
            ok(json!({"tableReference": table(), "etag": "e1", "type": "TABLE", "location": "EU", "numRows": "12",
                "numBytes": 99, "creationTime": "1769882400000", "lastModifiedTime": "1769882400001",
                "streamingBuffer": {"estimatedRows": "3", "oldestEntryTime": "1769882400000"}, "newThing": {"a": 1}}))
        } else {
            ok(asked.json())
        }
    })
    .await;
    let client = service.client(&clock());
    let found = client.tables().get(&table()).await.unwrap();
    assert_eq!((found.num_rows, found.num_bytes), (Some(12), Some(99)));
    assert_eq!(found.streaming_buffer.unwrap().estimated_rows, Some(3));
    client.tables().insert(&found).await.unwrap();
    assert_eq!(
        service.asked()[1].json(),
        json!({"tableReference": table()})
    );
}

#[tokio::test]
async fn a_patch_holds_only_if_nobody_was_faster() {
    let service = Service::start(|asked| match asked.header("if-match") {
        Some("e1") => refusal(412, "conditionNotMet", "Precondition Failed"),
        _ => ok(json!({"tableReference": table()})),
    })
    .await;
    let client = service.client(&clock());
    let patch = TablePatch::of_schema(TableSchema::new([Field::new("n", FieldType::Int64)]));
    let error = client
        .tables()
        .patch(&table(), &patch, Some("e1"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Conflict, Reason::ConditionNotMet)
    );
    client
        .tables()
        .patch(&table(), &patch, Some("e2"))
        .await
        .unwrap();
    let asked = &service.asked()[1];
    assert_eq!(asked.what(), "PATCH datasets/fin/tables/bill");
    assert_eq!(
        asked.json(),
        json!({"schema": {"fields": [{"name": "n", "type": "INTEGER", "mode": "NULLABLE"}]}})
    );
}

#[tokio::test]
async fn a_table_that_is_there_already_or_gone_already_is_told() {
    let service = Service::start(|asked| match (asked.method.as_str(), asked.number) {
        ("POST", 0) => ResponseTemplate::new(503),
        ("POST", _) => refusal(409, "duplicate", "Already Exists: Table"),
        (_, 0) => ResponseTemplate::new(204),
        _ => refusal(404, "notFound", "Not found: Table"),
    })
    .await;
    let client = service.client(&clock());
    let error = client
        .tables()
        .insert(&Table::new(table()))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::Duplicate);
    assert!(client.tables().delete(&table()).await.unwrap());
    assert!(!client.tables().delete(&table()).await.unwrap());
}

#[tokio::test]
async fn a_list_has_all_its_pages_and_no_page_twice() {
    let entry = |name: &str| json!({"tableReference": {"projectId": "books", "datasetId": "fin", "tableId": name}});
    let service =
        Service::start(
            move |asked| match asked.query.get("pageToken").map(String::as_str) {
                None => ok(json!({"tables": [entry("a")], "nextPageToken": "p+2"})),
                Some("p+2") => ok(json!({"tables": [entry("b")], "totalItems": 2})),
                Some(_) => ResponseTemplate::new(400),
            },
        )
        .await;
    let found = service
        .client(&clock())
        .tables()
        .list(&table().dataset())
        .await
        .unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|it| it.table_reference.table_id.as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);

    let service = Service::start(|_| ok(json!({"nextPageToken": "same"}))).await;
    let error = service
        .client(&clock())
        .tables()
        .list(&table().dataset())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::BrokenAnswer);
    assert_eq!(service.asked().len(), 2);
}
