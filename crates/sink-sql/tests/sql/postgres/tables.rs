//! What is in the schema, beside others' tables and with what people add to ours.

use std::sync::Arc;

use sink_sql::{PostgresOptions, PostgresSink, ReportingColumns};
use sync_core::{DeleteMode, ErrorKind, Landed, RejectionClass, SchemaChange, Sink};

use super::{Books, database, fresh, open, prepare, row, vendors};
use crate::behaviour::{
    Cell, boolean, date, decimal, deletes, integer, key_text, stream, text, timestamp, upserts,
};

#[tokio::test]
async fn columns_have_the_types_that_are_published() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let all = stream(
        "all_types",
        &["recordno"],
        vec![
            key_text("recordno"),
            integer("batch_no"),
            boolean("billable"),
            date("entry_date"),
            timestamp("whenmodified"),
            decimal("amount", 9),
        ],
    );
    let plan = books.sink.plan(&all).await.unwrap();
    let statements = plan.statements.join("\n");
    assert!(statements.contains("numeric(38,9)"), "{statements}");
    books.sink.prepare(&plan).await.unwrap();
    let types = "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute \
                 WHERE attrelid = '@.all_types'::regclass AND attnum > 0 ORDER BY attnum";
    assert_eq!(
        books.ask(types).lines().collect::<Vec<_>>(),
        [
            "recordno|text|t",
            "batch_no|bigint|f",
            "billable|boolean|f",
            "entry_date|date|f",
            "whenmodified|timestamp with time zone|f",
            "amount|numeric(38,9)|f",
            "_record_id|text|t",
            "_batch_id|text|t",
            "_synced_at|timestamp with time zone|t",
            "_source_modified_at|timestamp with time zone|f",
            "_deleted|boolean|t",
            "_fivetran_synced|timestamp with time zone|f",
            "_fivetran_deleted|boolean|f",
        ]
    );
}

#[tokio::test]
async fn reporting_columns_show_ours_and_can_be_added_later() {
    let Some(database) = database() else { return };
    let schema = fresh("books");
    let options = PostgresOptions::default().schema(&schema);
    let off = options.clone().reporting_columns(ReportingColumns::Off);
    let sink = open(database, off);
    prepare(&sink, &vendors()).await;
    sink.write(&upserts(&vendors(), 0, vec![row("1", "one")]))
        .await
        .unwrap();
    let error = sink.query("SELECT _fivetran_synced FROM vendor").await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Conflict);

    let sink = open(database, options);
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
    let expected = ["2026-01-31 18:02:00+00", "t", "one"].map(|cell| Some(cell.to_owned()));
    assert_eq!(sink.query(shown).await.unwrap().rows, [expected]);

    let mut removed = stream("ap_bill_item", &["recordno"], vec![key_text("recordno")]);
    Arc::make_mut(&mut removed).delete_mode = DeleteMode::Remove;
    prepare(&sink, &removed).await;
    let error = sink
        .query("SELECT _fivetran_deleted FROM ap_bill_item")
        .await;
    assert!(error.is_err());
}

#[tokio::test]
async fn every_batch_is_written_down_beside_the_data() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let entry = sync_core::Digest::from_bytes([7; 32]);
    let batch = upserts(&vendors(), 3, vec![row("1", "one")]).attested(entry);
    assert_eq!(books.sink.ledger_entries("suite").await.unwrap(), []);
    books.sink.write(&batch).await.unwrap();
    assert_eq!(books.sink.ledger_entries("suite").await.unwrap(), [entry]);
    assert_eq!(books.sink.ledger_entries("other").await.unwrap(), []);
    let marker = "SELECT batch_id, stream, pipeline, company, operation, window_from, window_until, \
                  ordinal, rows, rejected, ledger_entry FROM @.sync_batch";
    let id = batch.id();
    assert_eq!(
        books.ask(marker),
        format!("{id}|vendor|suite|DEMO|upsert||2026-01-31 18:02:00+00|3|1|[]|{entry}")
    );
    let noted = "SELECT column_name, column_type FROM @.sync_column ORDER BY 1";
    assert_eq!(books.ask(noted), "name|text\nrank|integer\nrecordno|text");
}

#[tokio::test]
async fn schemas_are_apart() {
    let (Some(one), Some(other)) = (Books::with_vendors().await, Books::with_vendors().await)
    else {
        return;
    };
    let batch = upserts(&vendors(), 0, vec![row("1", "one")]);
    one.sink.write(&batch).await.unwrap();
    assert_eq!(other.sink.lookup(&batch.id()).await.unwrap(), Landed::No);
    assert_eq!(other.ask("SELECT count(*) FROM @.vendor"), "0");
    other.sink.write(&batch).await.unwrap();
    assert_eq!(other.ask("SELECT count(*) FROM @.vendor"), "1");
}

#[tokio::test]
async fn a_decimal_column_is_widened_and_keeps_its_values() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let rates = |scale| {
        let fields = vec![key_text("recordno"), decimal("rate", scale)];
        stream("exchange_rate", &["recordno"], fields)
    };
    prepare(&books.sink, &rates(9)).await;
    let most = "99999999999999999999999999999.999999999";
    let row = |key: &str, rate: &str| vec![key.into(), Cell::decimal(rate)];
    books
        .sink
        .write(&upserts(&rates(9), 0, vec![row("1", most)]))
        .await
        .unwrap();
    // More places than the column has are refused, not rounded, until it has them.
    let finer = upserts(&rates(18), 1, vec![row("2", "0.000000000000000001")]);
    let error = books.sink.write(&finer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let plan = books.sink.plan(&rates(18)).await.unwrap();
    assert!(
        matches!(
            &plan.changes[..],
            [SchemaChange::WidenColumn { column, from, to, .. }]
                if column == "rate" && from == "numeric(38,9)" && to == "numeric(47,18)"
        ),
        "{plan:?}"
    );
    books.sink.prepare(&plan).await.unwrap();
    books.sink.write(&finer).await.unwrap();
    let rates_there = books.ask("SELECT trim_scale(rate) FROM @.exchange_rate ORDER BY recordno");
    assert_eq!(rates_there, format!("{most}\n0.000000000000000001"));
    // The narrower stream still fits.
    assert!(books.sink.plan(&rates(9)).await.unwrap().is_empty());
}

#[tokio::test]
async fn long_names_stay_apart() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let long = |end: &str| format!("{}_{end}", "a_custom_field_of_the_company".repeat(3));
    let fields = vec![key_text("recordno"), text(&long("one")), text(&long("two"))];
    let wide = stream("wide", &["recordno"], fields);
    prepare(&books.sink, &wide).await;
    assert!(books.sink.plan(&wide).await.unwrap().is_empty());
    books
        .sink
        .write(&upserts(
            &wide,
            0,
            vec![vec!["1".into(), "x".into(), "y".into()]],
        ))
        .await
        .unwrap();
    let names = "SELECT column_name FROM @.sync_column WHERE table_name = 'wide' \
                 AND length(column_name) = 63";
    let names = books.ask(names);
    assert_eq!(names.lines().count(), 2, "{names}");
    let mut values: Vec<_> = names
        .lines()
        .map(|name| books.ask(&format!("SELECT {name} FROM @.wide")))
        .collect();
    values.sort();
    assert_eq!(values, ["x", "y"]);

    for (reserved, kind) in [("xmin", ErrorKind::Config), ("CTID", ErrorKind::Config)] {
        let odd = stream(
            "odd",
            &["recordno"],
            vec![key_text("recordno"), text(reserved)],
        );
        assert_eq!(books.sink.plan(&odd).await.unwrap_err().kind(), kind);
    }
    let taken = stream("pg_class", &["recordno"], vec![key_text("recordno")]);
    let error = books.sink.plan(&taken).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn what_people_add_to_a_table_stays_and_its_rules_refuse_single_rows() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    books.ask(
        "ALTER TABLE @.vendor ADD COLUMN remark TEXT;
         CREATE UNIQUE INDEX one_name ON @.vendor (name);
         ALTER TABLE @.vendor ADD CONSTRAINT short CHECK (length(name) < 9);
         CREATE TABLE @.seen (recordno TEXT);
         CREATE FUNCTION @.notice() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN
             IF NEW.name = 'ignore' THEN RETURN NULL; END IF;
             IF NEW.name = 'raise' THEN RAISE 'no raising'; END IF;
             INSERT INTO @.seen VALUES (NEW.recordno);
             RETURN NEW;
         END $body$;
         CREATE TRIGGER noticed BEFORE INSERT ON @.vendor
             FOR EACH ROW EXECUTE FUNCTION @.notice();",
    );
    let rows = vec![
        row("1", "one"),
        row("2", "raise"),
        row("3", "one"),
        row("4", "far too long"),
        row("5", "ignore"),
        row("6", "six"),
        row("7", "nul\0"),
    ];
    let batch = upserts(&vendors(), 0, rows);
    let receipt = books.sink.write(&batch).await.unwrap();
    let refused: Vec<_> = (receipt.rejected.iter())
        .map(|one| (one.row, one.column.as_deref(), one.reason.as_str()))
        .collect();
    let [raise, unique, check, ignored, nul] = &refused[..] else {
        panic!("{refused:?}")
    };
    assert_eq!(*raise, (1, None, "no raising"));
    assert!(unique.0 == 2 && unique.2.contains("one_name"), "{unique:?}");
    assert!(check.0 == 3 && check.2.contains("short"), "{check:?}");
    assert_eq!(
        *ignored,
        (4, None, "a trigger of the table ignored the row")
    );
    assert_eq!((nul.0, nul.1), (6, Some("name")));
    // What a server says of values stays with it.
    assert!(!format!("{refused:?}").contains("far too long"));
    // A refused row left nothing behind, not even what its triggers had done.
    assert_eq!(
        books.ask("SELECT recordno FROM @.vendor ORDER BY 1"),
        "1\n6"
    );
    assert_eq!(books.ask("SELECT recordno FROM @.seen ORDER BY 1"), "1\n6");
    assert_eq!(books.sink.write(&batch).await.unwrap(), receipt);

    books.ask("UPDATE @.vendor SET remark = 'mine'");
    let narrow = stream("vendor", &["recordno"], vec![key_text("recordno")]);
    prepare(&books.sink, &narrow).await;
    books
        .sink
        .write(&upserts(&narrow, 1, vec![vec!["1".into()]]))
        .await
        .unwrap();
    let there = books.ask("SELECT name, remark FROM @.vendor WHERE recordno = '1'");
    assert_eq!(there, "|mine");

    let clashing = vec![key_text("recordno"), text("remark")];
    let clashing = stream("vendor", &["recordno"], clashing);
    let error = books.sink.plan(&clashing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("remark"), "{error}");
}

#[tokio::test]
async fn a_delete_that_a_trigger_ignores_is_reported() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let both = vec![row("1", "one"), row("2", "two")];
    books
        .sink
        .write(&upserts(&vendors(), 0, both))
        .await
        .unwrap();
    books.ask(
        "CREATE FUNCTION @.keep() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN
             IF NEW._deleted AND NEW.recordno = '1' THEN RETURN NULL; END IF;
             RETURN NEW;
         END $body$;
         CREATE TRIGGER kept BEFORE UPDATE ON @.vendor FOR EACH ROW EXECUTE FUNCTION @.keep();",
    );
    let gone = ["0", "1", "2"].map(|key| vec![key.into()]);
    let receipt = books
        .sink
        .write(&deletes(&vendors(), 1, gone.into()))
        .await
        .unwrap();
    let refused: Vec<_> = receipt.rejected.iter().map(|one| one.row).collect();
    assert_eq!(refused, [1]);
    assert_eq!(
        books.ask("SELECT recordno FROM @.vendor WHERE _deleted"),
        "2"
    );
}

#[tokio::test]
async fn of_several_rows_of_a_record_the_last_that_fits_is_there() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let rows = vec![
        row("1", "first"),
        row("2", "other"),
        row("1", "second"),
        row("1", "nul\0"),
    ];
    let receipt = books
        .sink
        .write(&upserts(&vendors(), 0, rows))
        .await
        .unwrap();
    let refused: Vec<_> = receipt.rejected.iter().map(|one| one.row).collect();
    assert_eq!(refused, [3]);
    let there = books.ask("SELECT recordno, name FROM @.vendor ORDER BY 1");
    assert_eq!(there, "1|second\n2|other");

    // The texts of these two keys are the same once they are joined.
    let fields = vec![key_text("a"), key_text("b")];
    let pairs = stream("pair", &["a", "b"], fields);
    prepare(&books.sink, &pairs).await;
    let rows = [["x\u{1f}y", "z"], ["x", "y\u{1f}z"]].map(|row| row.map(Cell::from).into());
    books
        .sink
        .write(&upserts(&pairs, 0, rows.into()))
        .await
        .unwrap();
    assert_eq!(books.ask("SELECT count(*) FROM @.pair"), "2");
}

#[tokio::test]
async fn a_batch_that_comes_late_takes_nothing_back() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let newer = upserts(&vendors(), 5, vec![row("1", "newer")]);
    books.sink.write(&newer).await.unwrap();
    let late = upserts(&vendors(), 4, vec![row("1", "older"), row("2", "two")]);
    let receipt = books.sink.write(&late).await.unwrap();
    let refused: Vec<_> = receipt.rejected.iter().map(|one| one.row).collect();
    assert_eq!(refused, [0]);
    let there = books.ask("SELECT recordno, name FROM @.vendor ORDER BY 1");
    assert_eq!(there, "1|newer\n2|two");
    let gone = deletes(&vendors(), 3, vec![vec!["1".into()], vec!["2".into()]]);
    let receipt = books.sink.write(&gone).await.unwrap();
    assert_eq!(receipt.rejected.len(), 2);
    assert_eq!(
        books.ask("SELECT count(*) FROM @.vendor WHERE _deleted"),
        "0"
    );
}

#[tokio::test]
async fn batches_of_a_dropped_table_have_not_landed() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let batch = upserts(&vendors(), 0, vec![row("1", "one")]);
    books.sink.write(&batch).await.unwrap();
    books.ask("DROP TABLE @.vendor");
    prepare(&books.sink, &vendors()).await;
    assert_eq!(books.sink.lookup(&batch.id()).await.unwrap(), Landed::No);
    books.sink.write(&batch).await.unwrap();
    assert_eq!(books.ask("SELECT recordno FROM @.vendor"), "1");
}

#[tokio::test]
async fn tables_of_others_are_found_and_left_alone() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    books.ask(
        "CREATE TABLE @.project (recordno TEXT); CREATE VIEW @.customer AS SELECT 1 AS one;
         CREATE TABLE @.other (x INT); CREATE INDEX ap_bill ON @.other (x);",
    );
    for (name, kind) in [
        ("project", "table"),
        ("customer", "view"),
        ("ap_bill", "index"),
    ] {
        let stream = stream(name, &["recordno"], vec![key_text("recordno")]);
        let error = books.sink.plan(&stream).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        let said = error.to_string();
        assert!(said.contains(name) && said.contains(kind), "{said}");
    }
    let findings = books.sink.check().await.unwrap();
    let told = findings
        .iter()
        .any(|finding| finding.message.contains("customer, other, project"));
    assert!(told, "{findings:?}");
}

#[tokio::test]
async fn a_plan_that_is_out_of_date_is_refused() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let fields = vec![
        key_text("recordno"),
        text("name"),
        integer("rank"),
        text("city"),
    ];
    let wider = stream("vendor", &["recordno"], fields);
    let plan = books.sink.plan(&wider).await.unwrap();
    books.ask("DROP TABLE @.vendor");
    let error = books.sink.prepare(&plan).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(books.ask("SELECT to_regclass('@.vendor') IS NULL"), "t");
}

#[tokio::test]
async fn queries_read_and_nothing_else() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let odd = "tab\there\\ and\nthere";
    books
        .sink
        .write(&upserts(&vendors(), 0, vec![row("1", odd)]))
        .await
        .unwrap();
    for sql in [
        "DELETE FROM vendor RETURNING 1",
        "SELECT 1; DELETE FROM vendor",
        "SELECT 1) TO STDOUT; COMMIT; DELETE FROM vendor; COPY (SELECT 1",
        "SELECT nextval('nothing')",
    ] {
        let error = books.sink.query(sql).await.unwrap_err();
        let kinds = [
            ErrorKind::Permission,
            ErrorKind::Rejected,
            ErrorKind::Conflict,
        ];
        assert!(kinds.contains(&error.kind()), "{sql}: {error:?}");
    }
    let answer = books
        .sink
        .query("SELECT recordno AS key, name, rank, 7 AS seven FROM vendor;")
        .await
        .unwrap();
    assert_eq!(answer.columns, ["key", "name", "rank", "seven"]);
    let expected = [Some("1"), Some(odd), None, Some("7")].map(|cell| cell.map(str::to_owned));
    assert_eq!(answer.rows, [expected]);
}

#[tokio::test]
async fn a_row_that_a_policy_forbids_is_refused_alone_as_not_permitted() {
    let Some(books) = Books::with_vendors().await else {
        return;
    };
    let clerk = fresh("clerk");
    books.ask(&format!(
        "CREATE ROLE {clerk} LOGIN;
         GRANT TEMPORARY ON DATABASE {database} TO {clerk};
         GRANT USAGE, CREATE ON SCHEMA @ TO {clerk};
         GRANT ALL ON ALL TABLES IN SCHEMA @ TO {clerk};
         ALTER TABLE @.vendor ENABLE ROW LEVEL SECURITY;
         CREATE POLICY no_secrets ON @.vendor TO {clerk} USING (true)
             WITH CHECK (name <> 'secret')",
        database = books.database.name()
    ));
    let settings = books.database.settings();
    let settings = settings.replace("user=postgres", &format!("user={clerk}"));
    let options = PostgresOptions::default().schema(books.sink.schema());
    let sink = PostgresSink::open(&settings.into(), options).unwrap();
    let rows = vec![row("1", "one"), row("2", "secret"), row("3", "three")];
    let batch = upserts(&vendors(), 0, rows);
    let receipt = sink.write(&batch).await.unwrap();
    let [refused] = &receipt.rejected[..] else {
        panic!("{receipt:?}")
    };
    assert_eq!(
        (refused.row, refused.class),
        (1, RejectionClass::Permission)
    );
    assert!(refused.reason.contains("row-level security policy"));
    assert_eq!(
        books.ask("SELECT recordno FROM @.vendor ORDER BY 1"),
        "1\n3"
    );
    // A table that the user may not change at all is no matter of rows.
    books.ask(&format!("REVOKE INSERT ON @.vendor FROM {clerk}"));
    let batch = upserts(&vendors(), 1, vec![row("4", "four")]);
    let error = sink.write(&batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
}
