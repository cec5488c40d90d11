//! What is in the file, beside others' tables and with what people add to ours.

use std::sync::Arc;

use rusqlite::Connection;
use sink_sql::{ReportingColumns, SqliteOptions, SqliteSink};
use sync_core::{DeleteMode, ErrorKind, Landed, SchemaChange, Sink};

use super::{ask, cells, impatient, prepare, row, vendors, with_vendors};
use crate::behaviour::{deletes, integer, key_text, stream, text, upserts};

#[tokio::test]
async fn reporting_columns_show_ours_and_can_be_added_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("finance.db");
    let off = SqliteOptions::default().reporting_columns(ReportingColumns::Off);
    let sink = SqliteSink::open(&path, off).unwrap();
    prepare(&sink, &vendors()).await;
    sink.write(&upserts(&vendors(), 0, vec![row("1", "one")]))
        .await
        .unwrap();
    assert!(
        sink.query("SELECT _fivetran_synced FROM vendor")
            .await
            .is_err()
    );
    drop(sink);

    let sink = SqliteSink::open(&path, SqliteOptions::default()).unwrap();
    let plan = sink.plan(&vendors()).await.unwrap();
    assert!(matches!(
        &plan.changes[..],
        [SchemaChange::AddColumn { column: synced, .. }, SchemaChange::AddColumn { column: deleted, .. }]
            if synced == "_fivetran_synced" && deleted == "_fivetran_deleted"
    ));
    sink.prepare(&plan).await.unwrap();
    sink.write(&deletes(&vendors(), 1, vec![vec!["1".into()]]))
        .await
        .unwrap();
    let shown = "SELECT _fivetran_synced, _fivetran_deleted, name FROM vendor";
    let expected = cells(["2026-01-31 18:02:00.000000", "1", "one"]);
    assert_eq!(ask(&sink, shown).await, std::slice::from_ref(&expected));

    // Columns of the source still come behind them.
    let wider = stream(
        "vendor",
        &["recordno"],
        vec![
            key_text("recordno"),
            text("name"),
            integer("rank"),
            text("city"),
        ],
    );
    prepare(&sink, &wider).await;
    assert_eq!(ask(&sink, shown).await, [expected]);
    assert!(sink.plan(&wider).await.unwrap().is_empty());

    let mut removed = stream("ap_bill_item", &["recordno"], vec![key_text("recordno")]);
    Arc::make_mut(&mut removed).delete_mode = DeleteMode::Remove;
    prepare(&sink, &removed).await;
    let columns =
        "SELECT name FROM pragma_table_xinfo('ap_bill_item') WHERE name LIKE '\\_f%' ESCAPE '\\'";
    assert_eq!(ask(&sink, columns).await, [cells(["_fivetran_synced"])]);
}

#[tokio::test]
async fn times_are_read_by_sqlites_date_functions() {
    let folder = tempfile::tempdir().unwrap();
    let sink = with_vendors(folder.path()).await;
    sink.write(&upserts(&vendors(), 0, vec![row("1", "one")]))
        .await
        .unwrap();
    let sql = "SELECT datetime(_synced_at, '+1 day'), date(_synced_at) FROM vendor";
    assert_eq!(
        ask(&sink, sql).await,
        [cells(["2026-02-01 18:02:00", "2026-01-31"])]
    );
}

#[tokio::test]
async fn every_batch_is_written_down_beside_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let sink = with_vendors(folder.path()).await;
    let entry = sync_core::Digest::from_bytes([7; 32]);
    let batch = upserts(&vendors(), 3, vec![row("1", "one")]).attested(entry);
    assert_eq!(sink.ledger_entries("suite").await.unwrap(), []);
    sink.write(&batch).await.unwrap();
    assert_eq!(sink.ledger_entries("suite").await.unwrap(), [entry]);
    assert_eq!(sink.ledger_entries("other").await.unwrap(), []);
    let sql = "SELECT batch_id, stream, pipeline, company, operation, window_from, window_until, \
               ordinal, rows, rejected, ledger_entry FROM sync_batch";
    let (id, entry) = (batch.id().to_string(), entry.to_string());
    let until = "2026-01-31 18:02:00.000000";
    let expected = [
        &id, "vendor", "suite", "DEMO", "upsert", "-", until, "3", "1", "[]", &entry,
    ];
    assert_eq!(ask(&sink, sql).await, [cells(expected)]);
    let noted = "SELECT column_name, column_type FROM sync_column ORDER BY rowid";
    let expected = [
        cells(["recordno", "text"]),
        cells(["name", "text"]),
        cells(["rank", "integer"]),
    ];
    assert_eq!(ask(&sink, noted).await, expected);
}

#[tokio::test]
async fn what_people_add_to_a_table_stays_and_its_rules_refuse_single_rows() {
    let folder = tempfile::tempdir().unwrap();
    let sink = with_vendors(folder.path()).await;
    let own = Connection::open(sink.path()).unwrap();
    own.execute_batch(
        "ALTER TABLE vendor ADD COLUMN remark TEXT;
         CREATE UNIQUE INDEX one_name ON vendor (name);
         CREATE TABLE seen (recordno TEXT);
         CREATE TRIGGER noticed AFTER INSERT ON vendor BEGIN
             INSERT INTO seen VALUES (new.recordno);
             SELECT CASE new.name WHEN 'fail' THEN RAISE(FAIL, 'no failing') END;
             SELECT CASE new.name WHEN 'abort' THEN RAISE(ABORT, 'no aborting') END;
         END;
         CREATE TRIGGER ignored BEFORE INSERT ON vendor WHEN new.name = 'ignore' BEGIN
             SELECT RAISE(IGNORE);
         END;",
    )
    .unwrap();
    let rows = vec![
        row("1", "one"),
        row("2", "fail"),
        row("3", "one"),
        row("4", "abort"),
        row("5", "ignore"),
        row("6", "six"),
    ];
    let batch = upserts(&vendors(), 0, rows);
    let receipt = sink.write(&batch).await.unwrap();
    let refused: Vec<_> = (receipt.rejected.iter())
        .map(|one| (one.row, one.column.as_deref(), one.reason.as_str()))
        .collect();
    assert_eq!(
        refused,
        [
            (1, None, "no failing"),
            (2, Some("name"), "UNIQUE constraint failed: vendor.name"),
            (3, None, "no aborting"),
            (4, None, "a trigger of the table ignored the row"),
        ]
    );
    // A refused row left nothing behind, not even what its triggers had done.
    let both = [cells(["1"]), cells(["6"])];
    assert_eq!(
        ask(&sink, "SELECT recordno FROM vendor ORDER BY 1").await,
        both
    );
    assert_eq!(
        ask(&sink, "SELECT recordno FROM seen ORDER BY 1").await,
        both
    );
    assert_eq!(sink.write(&batch).await.unwrap(), receipt);

    own.execute("UPDATE vendor SET remark = 'mine'", [])
        .unwrap();
    let narrow = stream("vendor", &["recordno"], vec![key_text("recordno")]);
    prepare(&sink, &narrow).await;
    sink.write(&upserts(&narrow, 1, vec![vec!["1".into()]]))
        .await
        .unwrap();
    let sql = "SELECT name, remark FROM vendor WHERE recordno = '1'";
    assert_eq!(ask(&sink, sql).await, [cells(["-", "mine"])]);

    let clashing = stream(
        "vendor",
        &["recordno"],
        vec![key_text("recordno"), text("remark")],
    );
    let error = sink.plan(&clashing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("remark"), "{error}");
}

#[tokio::test]
async fn a_delete_that_a_trigger_ignores_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let sink = with_vendors(folder.path()).await;
    sink.write(&upserts(&vendors(), 0, vec![row("1", "one")]))
        .await
        .unwrap();
    let own = Connection::open(sink.path()).unwrap();
    own.execute_batch(
        "CREATE TRIGGER kept BEFORE UPDATE ON vendor WHEN new._deleted = 1 BEGIN
             SELECT RAISE(IGNORE);
         END;",
    )
    .unwrap();
    let gone = deletes(&vendors(), 1, vec![vec!["0".into()], vec!["1".into()]]);
    let receipt = sink.write(&gone).await.unwrap();
    let refused: Vec<_> = receipt.rejected.iter().map(|one| one.row).collect();
    assert_eq!(refused, [1]);
}

#[tokio::test]
async fn a_trigger_that_rolls_back_fails_the_batch_whole() {
    let folder = tempfile::tempdir().unwrap();
    let sink = with_vendors(folder.path()).await;
    let own = Connection::open(sink.path()).unwrap();
    own.execute_batch(
        "CREATE TRIGGER drastic AFTER INSERT ON vendor WHEN new.name = 'two' BEGIN
             SELECT RAISE(ROLLBACK, 'all or nothing');
         END;",
    )
    .unwrap();
    let rows = ["one", "two", "three"].map(|name| row(name, name));
    let batch = upserts(&vendors(), 0, rows.into());
    let error = sink.write(&batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(
        error.chain().contains("all or nothing"),
        "{}",
        error.chain()
    );
    assert_eq!(
        ask(&sink, "SELECT * FROM vendor").await,
        Vec::<Vec<_>>::new()
    );
    assert_eq!(sink.lookup(&batch.id()).await.unwrap(), Landed::No);
    own.execute_batch("DROP TRIGGER drastic").unwrap();
    sink.write(&batch).await.unwrap();
    assert_eq!(
        ask(&sink, "SELECT count(*) FROM vendor").await,
        [cells(["3"])]
    );
}

#[tokio::test]
async fn batches_of_a_dropped_table_have_not_landed() {
    let folder = tempfile::tempdir().unwrap();
    let sink = with_vendors(folder.path()).await;
    let batch = upserts(&vendors(), 0, vec![row("1", "one")]);
    sink.write(&batch).await.unwrap();
    let own = Connection::open(sink.path()).unwrap();
    own.execute_batch("DROP TABLE vendor").unwrap();
    prepare(&sink, &vendors()).await;
    assert_eq!(sink.lookup(&batch.id()).await.unwrap(), Landed::No);
    sink.write(&batch).await.unwrap();
    assert_eq!(
        ask(&sink, "SELECT recordno FROM vendor").await,
        [cells(["1"])]
    );
}

#[tokio::test]
async fn tables_of_others_are_found_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("finance.db");
    let own = Connection::open(&path).unwrap();
    own.execute_batch(
        "CREATE TABLE Vendor (recordno TEXT); CREATE VIEW customer AS SELECT 1; \
         CREATE TABLE other (x); CREATE INDEX ap_bill ON other (x);",
    )
    .unwrap();
    let sink = SqliteSink::open(&path, impatient()).unwrap();
    for name in ["vendor", "customer", "ap_bill"] {
        let stream = stream(name, &["recordno"], vec![key_text("recordno")]);
        let error = sink.plan(&stream).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    prepare(
        &sink,
        &stream("project", &["recordno"], vec![key_text("recordno")]),
    )
    .await;
    let findings = sink.check().await.unwrap();
    let told = findings
        .iter()
        .any(|finding| finding.message.contains("Vendor, customer, other"));
    assert!(told, "{findings:?}");
}

#[tokio::test]
async fn a_plan_that_is_out_of_date_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sink = with_vendors(folder.path()).await;
    let wider = |last: &str| {
        let fields = vec![
            key_text("recordno"),
            text("name"),
            integer("rank"),
            text(last),
        ];
        stream("vendor", &["recordno"], fields)
    };
    let city = sink.plan(&wider("city")).await.unwrap();
    Connection::open(sink.path())
        .unwrap()
        .execute_batch("DROP TABLE vendor")
        .unwrap();
    let error = sink.prepare(&city).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        ask(&sink, "SELECT 1 FROM sqlite_schema WHERE name = 'vendor'").await,
        Vec::<Vec<_>>::new()
    );
}
