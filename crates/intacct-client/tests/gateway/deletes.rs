//! How the source tells what was deleted: by the audit history, and what it makes of its gaps.

use std::sync::Arc;

use futures_util::TryStreamExt;
use intacct_client::Client;
use intacct_client::source::{DefaultStreams, IntacctSource, SourceOptions};
use intacct_sim::{Company, DataType, ObjectSpec, RunningSimulator, Simulator};
use intacct_xml::values::parse_timestamp;
use sync_core::{DeleteDetection, Deletion, ReadRequest, RecordKey, Source, Window};
use time::macros::{date, datetime};
use time::{Duration, OffsetDateTime};

use crate::script::{Asked, Reply, Script, client, clock, error_message, page, result};
use crate::stories::config;

const NOW: OffsetDateTime = datetime!(2026-01-31 18:00 UTC);

fn plain(object: &str) -> ObjectSpec {
    ObjectSpec::new(object)
        .field("RECORDNO", DataType::Text)
        .field("RECORDKEY", DataType::Text)
        .field("BATCHKEY", DataType::Text)
        .field("ENTRY_DATE", DataType::Date)
        .field("WHENMODIFIED", DataType::Timestamp)
}

fn audit(rows: &[(u32, &str, &str, &str)]) -> ObjectSpec {
    let spec = ObjectSpec::new("AUDITHISTORY")
        .field("ID", DataType::Text)
        .field("OBJECTTYPE", DataType::Text)
        .field("OBJECTKEY", DataType::Text)
        .field("ACCESSMODE", DataType::Text)
        .field("ACCESSTIME", DataType::Timestamp);
    let add = |spec: ObjectSpec, (id, object, key, at): &(u32, &str, &str, &str)| {
        spec.record([
            ("ID", id.to_string()),
            ("OBJECTTYPE", (*object).to_owned()),
            ("OBJECTKEY", (*key).to_owned()),
            ("ACCESSMODE", "D".to_owned()),
            ("ACCESSTIME", (*at).to_owned()),
        ])
    };
    rows.iter().fold(spec, add)
}

async fn serve(objects: impl IntoIterator<Item = ObjectSpec>) -> RunningSimulator {
    let company = Company::from_objects(objects).unwrap();
    Simulator::builder()
        .company(company)
        .now(NOW)
        .start()
        .await
        .unwrap()
}

fn options(streams: &[&str]) -> SourceOptions {
    let names = streams.iter().map(|name| name.parse().unwrap()).collect();
    SourceOptions::default().with_defaults(DefaultStreams::Only(names))
}

async fn deletions(source: &IntacctSource, name: &str, window: Window) -> Vec<Deletion> {
    let streams = source.discover().await.unwrap();
    let stream = streams
        .into_iter()
        .find(|it| it.name.as_str() == name)
        .unwrap();
    assert_eq!(stream.delete_detection, DeleteDetection::AuditHistory);
    source
        .deletions(Arc::new(stream), window)
        .try_concat()
        .await
        .unwrap()
}

fn record(key: &str) -> Deletion {
    Deletion::Record(RecordKey::new([key]))
}

#[tokio::test]
async fn the_audit_names_records_groups_of_lines_and_ids_that_are_no_keys() {
    let history = audit(&[
        (1, "apbill", "17", "01/31/2026 15:00:00"),
        (2, "vendor", "V00003", "01/31/2026 15:00:00"),
        (3, "vendor", "44", "01/31/2026 15:00:01"),
        (4, "contact", "5", "01/31/2026 15:00:02"),
        // Too young: its time comes with the next window.
        (5, "apbill", "18", "01/31/2026 17:45:00"),
        // Before the window.
        (6, "apbill", "16", "01/30/2026 15:00:00"),
    ]);
    let objects = ["VENDOR", "APBILL", "APBILLITEM"].map(plain);
    let simulator = serve(objects.into_iter().chain([history])).await;
    let client = Client::new(config(&simulator)).unwrap();
    let source =
        IntacctSource::with_options(client, options(&["vendor", "ap_bill", "ap_bill_item"]));
    let until = NOW - Duration::minutes(2);
    let window = Window {
        from: Some(NOW - Duration::hours(4)),
        until,
    };
    assert_eq!(deletions(&source, "ap_bill", window).await, [record("17")]);
    let calls = || source.client().calls().of_function("query").sent;
    let before = calls();
    assert_eq!(
        deletions(&source, "ap_bill_item", window).await,
        [Deletion::Group("17".into())]
    );
    let vendors = deletions(&source, "vendor", window).await;
    assert_eq!(vendors, [Deletion::Unknown("V00003".into()), record("44")]);
    assert_eq!(calls(), before, "one reading serves all streams of a run");
    let first = Window { from: None, until };
    assert!(deletions(&source, "ap_bill", first).await.is_empty());
}

#[tokio::test]
async fn a_page_of_the_audit_that_fails_is_read_in_smaller_windows() {
    let fields = "<Field><ID>RECORDNO</ID><DATATYPE>TEXT</DATATYPE></Field>\
                  <Field><ID>WHENMODIFIED</ID><DATATYPE>TIMESTAMP</DATATYPE></Field>";
    let script = Script::start(move |asked: &Asked| {
        if asked.body.contains("<lookup>") {
            let data =
                format!("<data><Type Name=\"APBILL\"><Fields>{fields}</Fields></Type></data>");
            return Reply::Xml(result(asked, "success", &data));
        }
        let nothing = || {
            Reply::Xml(page(
                asked,
                "totalcount=\"0\" count=\"0\" numremaining=\"0\"",
                "",
            ))
        };
        if asked.text("object") != Some("AUDITHISTORY") || !asked.body.contains("OBJECTKEY") {
            return nothing();
        }
        let times: Vec<_> = asked
            .body
            .split("<value>")
            .filter_map(|rest| parse_timestamp(rest.split("</value>").next()?).ok())
            .collect();
        let [low, high] = times[..] else {
            panic!("{times:?}")
        };
        if high - low > Duration::minutes(40) {
            let text = "There was an error processing the request";
            return Reply::Xml(result(
                asked,
                "failure",
                &error_message("DL02000001", text, ""),
            ));
        }
        let at = datetime!(2026-01-31 16:00);
        if !(low..high).contains(&at) {
            return nothing();
        }
        let row = "<AUDITHISTORY><ID>9</ID><ACCESSTIME>01/31/2026 16:00:00</ACCESSTIME>\
                   <OBJECTTYPE>apbill</OBJECTTYPE><OBJECTKEY>7</OBJECTKEY></AUDITHISTORY>";
        Reply::Xml(page(
            asked,
            "totalcount=\"1\" count=\"1\" numremaining=\"0\"",
            row,
        ))
    })
    .await;
    let source = IntacctSource::with_options(client(&script, &clock()), options(&["ap_bill"]));
    let window = Window {
        from: Some(NOW - Duration::hours(5)),
        until: NOW - Duration::minutes(2),
    };
    assert_eq!(deletions(&source, "ap_bill", window).await, [record("7")]);
}

#[tokio::test]
async fn without_the_audit_keys_are_compared_and_check_says_what_would_mend_it() {
    // A company of these objects has no audit history.
    let simulator = serve([plain("APBILL")]).await;
    let client = Client::new(config(&simulator)).unwrap();
    let source = IntacctSource::with_options(client, options(&["ap_bill"]));
    let streams = source.discover().await.unwrap();
    assert_eq!(streams[0].delete_detection, DeleteDetection::KeySet);
    let findings = source.check().await.unwrap();
    let audit = findings
        .iter()
        .find(|it| it.subject == "audit history")
        .unwrap();
    let remedy = audit.remedy.as_ref().unwrap();
    assert!(
        remedy.contains("View permission on custom reports (Platform Services)"),
        "{audit}"
    );
    let bills = findings.iter().find(|it| it.subject == "ap_bill").unwrap();
    assert!(
        findings
            .iter()
            .any(|it| it.message.contains("deletes are found by key set")),
        "{bills}"
    );
}

fn line(key: u32, day: &str) -> [(&'static str, String); 4] {
    [
        ("RECORDNO", key.to_string()),
        ("BATCHKEY", "1".to_owned()),
        ("ENTRY_DATE", day.to_owned()),
        ("WHENMODIFIED", "01/01/2026 00:00:00".to_owned()),
    ]
}

#[tokio::test]
async fn keys_of_ledger_lines_are_listed_by_period_and_never_without_a_filter() {
    let lines = [
        (1, "12/15/2025"),
        (2, "01/10/2026"),
        (3, "01/20/2026"),
        (4, "03/01/2026"),
        (5, ""),
    ];
    let ledger = lines.iter().fold(plain("GLDETAIL"), |spec, (key, day)| {
        spec.record(line(*key, day))
    });
    let simulator = serve([ledger]).await;
    let client = Client::new(config(&simulator)).unwrap();
    let source = IntacctSource::with_options(client, options(&["gl_detail"]));
    let stream = Arc::new(source.discover().await.unwrap().remove(0));
    assert_eq!(stream.period.as_deref(), Some("entry_date"));
    let keys = async |request: ReadRequest| -> Vec<String> {
        let read: Vec<_> = source.read(request).try_collect().await.unwrap();
        let mut keys: Vec<String> = read
            .iter()
            .flat_map(|batch| sync_core::batch::record_keys(&stream, &batch.rows).unwrap())
            .map(|key| key.to_string())
            .collect();
        keys.sort();
        keys
    };
    let days = vec![Some(date!(2026 - 01 - 10)), None];
    let listed = keys(ReadRequest::keys_of_periods(Arc::clone(&stream), days)).await;
    assert_eq!(listed, ["2", "5"]);
    assert_eq!(
        keys(ReadRequest::keys(Arc::clone(&stream))).await,
        ["1", "2", "3", "4", "5"]
    );
    let asked = ["3", "9"].map(|key| RecordKey::new([key]));
    let existing = source.existing(&stream, &asked).await.unwrap().unwrap();
    assert_eq!(existing, [RecordKey::new(["3"])]);
}
