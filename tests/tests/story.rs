//! A company's days, from its gateway to the file.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use intacct_sim::{CompanyHandle, Edit, RunningSimulator, Scale, Simulator};
use intacct_sync_tests::{Road, logs, settings};
use sync_core::Source as _;
use sync_core::store::LedgerStore as _;
use tempfile::TempDir;
use time::macros::datetime;

async fn tiny(seed: u64) -> RunningSimulator {
    let company = Simulator::builder().seed(seed).scale(Scale::Tiny);
    company.start().await.unwrap()
}

fn road_from(simulator: &RunningSimulator, folder: &TempDir, streams: &[&str]) -> Road {
    let tax_ids = ["VENDOR", "CUSTOMER"].into_iter().flat_map(|object| {
        let records = simulator.company().records(object).unwrap();
        let fields = records.into_iter().flatten();
        fields.filter_map(|(name, value)| value.filter(|_| name == "TAXID"))
    });
    logs::watch()
        .forbid(["sim-user-password", "sim-sender-password"])
        .forbid(tax_ids);
    let settings = settings(simulator.url(), "sim-user-password");
    Road::open(settings, folder.path(), streams).unwrap()
}

async fn lines(road: &Road, sql: &str) -> Vec<String> {
    let rows = road.sink.query(sql).await.unwrap().rows;
    rows.into_iter()
        .map(|row| row.into_iter().flatten().collect::<Vec<_>>().join("|"))
        .collect()
}

/// Three days with everything that can happen in them; sessions end in between and in the middle.
#[tokio::test]
async fn three_days_of_a_company_tie_out_every_evening() {
    let simulator = Simulator::builder()
        .seed(11)
        .scale(Scale::Tiny)
        .before_call(|number, company| {
            if number % 50 == 0 {
                company.expire_sessions();
            }
        })
        .start()
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    for day in 0..3 {
        if day > 0 {
            simulator.company().apply_round(day).unwrap();
        }
        let road = road_from(&simulator, &folder, &[]);
        let report = road.pipeline.run().await.unwrap();
        assert!(report.ties_out(), "day {day}: {report:#?}");
        assert_eq!(report.streams.len(), 19);
        let known = road.sink.as_sink().ledger_entries("books").await.unwrap();
        assert!(road.store.verify(&known).await.unwrap().is_intact());
        let batches = lines(&road, "SELECT count(*) FROM sync_batch").await;
        assert_ne!(batches, ["0"]);
    }

    let road = road_from(&simulator, &folder, &[]);
    // A deleted bill stays, marked; its lines and its ledger lines do not count any more.
    let gone = lines(&road, "SELECT recordno FROM ap_bill WHERE _deleted").await;
    assert!(!gone.is_empty());
    let orphans = "SELECT count(*) FROM ap_bill_item WHERE recordkey IN
                   (SELECT recordno FROM ap_bill WHERE _deleted)";
    assert_eq!(lines(&road, orphans).await, ["0"]);
    let live_lines_of_dead_entries = "SELECT count(*) FROM gl_detail AS line
        JOIN gl_batch AS entry ON entry.recordno = line.batchkey
        WHERE entry._deleted AND NOT line._deleted";
    assert_eq!(lines(&road, live_lines_of_dead_entries).await, ["0"]);
    // Debits equal credits in every entry and book, to the cent.
    let unbalanced = "SELECT batchkey, bookid, decimal_sum(amount) AS net FROM gl_detail
        WHERE NOT _deleted GROUP BY batchkey, bookid HAVING net <> '0.00'";
    assert_eq!(lines(&road, unbalanced).await, Vec::<String>::new());
    // What the published models join on is never empty.
    let empty = "SELECT count(*) FROM gl_detail WHERE currency IS NULL OR bookid IS NULL
        OR entry_state IS NULL OR accounttitle IS NULL OR accountno IS NULL";
    assert_eq!(lines(&road, empty).await, ["0"]);
    let marks = "SELECT count(*) FROM gl_batch WHERE _fivetran_deleted IS NOT _deleted";
    assert_eq!(lines(&road, marks).await, ["0"]);
    logs::watch().assert_clean();
}

/// The columns of the seven tables that published models read are there, under their names.
#[tokio::test]
async fn tables_have_the_published_columns() {
    let simulator = tiny(3).await;
    let folder = tempfile::tempdir().unwrap();
    let road = road_from(&simulator, &folder, &[]);
    let streams = road.source.discover().await.unwrap();
    for (table, columns) in [
        (
            "gl_detail",
            "recordno accountno accounttitle amount batchkey bookid currency entry_date entry_state tr_type vendorid whenmodified",
        ),
        (
            "gl_batch",
            "recordno batch_title baselocation_no journal state userinfo_loginid",
        ),
        (
            "gl_account",
            "recordno accountno accounttype category normalbalance requiredept title",
        ),
        (
            "ap_bill",
            "recordno recordid due_in_days totaldue totalentered totalpaid whendue whenposted",
        ),
        (
            "ap_bill_item",
            "recordno recordkey accountno amount lineitem exchange_rate offsetglaccountno",
        ),
        (
            "ar_invoice",
            "recordno recordid customerid totaldue whendiscount megaentityname",
        ),
        (
            "ar_invoice_item",
            "recordno recordkey amount warehouseid itemname",
        ),
    ] {
        let stream = streams
            .iter()
            .find(|stream| stream.name.as_str() == table)
            .unwrap();
        let has: BTreeSet<_> = stream
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        for column in columns.split_whitespace() {
            assert!(has.contains(column), "{table} lacks {column}");
        }
    }
    // Custom fields come along.
    let vendor = streams
        .iter()
        .find(|stream| stream.name.as_str() == "vendor")
        .unwrap();
    assert!(vendor.schema.fields().len() > 40, "{:?}", vendor.schema);
}

/// What the company has added arrives as the company has it: several values in one field, and a
/// dimension of its own on the lines.
#[tokio::test]
async fn what_the_company_has_added_arrives() {
    let simulator = tiny(5).await;
    let folder = tempfile::tempdir().unwrap();
    let road = road_from(&simulator, &folder, &["vendor", "gl_detail"]);
    let report = road.pipeline.run().await.unwrap();
    assert!(report.ties_out(), "{report:#?}");
    for (object, table, field, column) in [
        ("VENDOR", "vendor", "Preferred_Regions", "preferred_regions"),
        ("GLDETAIL", "gl_detail", "GLDIMregion", "gldimregion"),
    ] {
        let records = simulator.company().records(object).unwrap();
        let mut expected: Vec<_> = records
            .into_iter()
            .filter_map(|record| {
                let of = |name: &str| {
                    let found = record.iter().find(|(field, _)| field == name);
                    found.and_then(|(_, value)| value.clone())
                };
                Some(format!("{}|{}", of("RECORDNO")?, of(field)?))
            })
            .collect();
        expected.sort();
        let select = format!("SELECT recordno, {column} FROM {table} WHERE {column} IS NOT NULL");
        let mut arrived = lines(&road, &select).await;
        arrived.sort();
        assert_eq!(arrived, expected);
        assert!(expected.len() > 5, "{expected:?}");
    }
    let regions = lines(&road, "SELECT preferred_regions FROM vendor").await;
    let several = |text: &String| intacct_xml::values::split_multi_pick(text).count() > 1;
    assert!(regions.iter().any(several), "{regions:?}");
}

/// What an auditor asks of one record: which state, which batch, which run.
#[tokio::test]
async fn one_record_can_be_traced() {
    let simulator = tiny(5).await;
    let folder = tempfile::tempdir().unwrap();
    let road = road_from(&simulator, &folder, &["vendor"]);
    let report = road.pipeline.run().await.unwrap();
    let [row] = &lines(
        &road,
        "SELECT recordno, _record_id, _batch_id FROM vendor LIMIT 1",
    )
    .await[..] else {
        panic!("one vendor")
    };
    let [key, record, batch] = row.split('|').collect::<Vec<_>>()[..] else {
        panic!("{row}")
    };
    let scope = sync_core::store::Scope {
        pipeline: "books".into(),
        sink: "sqlite".into(),
        stream: "vendor".parse().unwrap(),
    };
    let key = sync_core::RecordKey::new([key]);
    let audit = road.store.audit(&scope, &key).await.unwrap();
    let trace = audit.last.unwrap();
    assert_eq!(
        (trace.record.to_string(), trace.batch.to_string()),
        (record.into(), batch.into())
    );
    assert_eq!(trace.run, report.run);
    // The page, and the control id that the gateway was asked with.
    let origin = trace.origin.unwrap();
    assert_eq!(origin.page, 0);
    assert!(trace.row.is_some());
    let marker = format!("SELECT ledger_entry FROM sync_batch WHERE batch_id = '{batch}'");
    let [entry] = &lines(&road, &marker).await[..] else {
        panic!("one marker")
    };
    let entries = road.store.entries(0, 1000).await.unwrap();
    let named = entries
        .iter()
        .find(|it| it.hash.to_string() == *entry)
        .unwrap();
    assert_eq!(named.kind, "batch_prepared");
    assert!(named.body.contains(batch) && named.body.contains(&origin.request));
    let known = [named.hash];
    assert!(road.store.verify(&known).await.unwrap().is_intact());
}

/// A vendor that is edited while it is read is not lost: it is in the next run.
#[tokio::test]
async fn an_edit_during_the_run_is_in_the_next() {
    let simulator = Simulator::builder()
        .seed(9)
        .scale(Scale::Tiny)
        .before_call(|number, company| {
            // Behind the login, the look-ups of 19 objects and a page of one of all but the balances:
            // while vendors are read and compared.
            if number > 38 && company.now() < datetime!(2026-01-31 18:30 UTC) {
                let first = first_vendor(company);
                let edit = Edit::update("VENDOR", first).set("COMMENTS", format!("edit {number}"));
                company.edit(&edit).unwrap();
            }
        })
        .start()
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let road = road_from(&simulator, &folder, &["vendor"]);
    road.pipeline.run().await.unwrap();
    simulator.company().advance_clock(3600);
    drop(road);
    let road = road_from(&simulator, &folder, &["vendor"]);
    let report = road.pipeline.run().await.unwrap();
    assert!(report.ties_out(), "{report:#?}");
    let first = first_vendor(simulator.company());
    let comments = format!("SELECT comments FROM vendor WHERE recordno = '{first}'");
    let edited = lines(&road, &comments).await;
    assert!(edited[0].starts_with("edit "), "{edited:?}");
    logs::watch().assert_clean();
}

fn first_vendor(company: &CompanyHandle) -> String {
    let vendors = company.records("VENDOR").unwrap();
    let key = vendors[0]
        .iter()
        .find(|(field, _)| field == "RECORDNO")
        .unwrap();
    key.1.clone().unwrap()
}
