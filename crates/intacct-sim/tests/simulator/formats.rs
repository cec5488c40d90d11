//! Answers as bare JSON and CSV.

use intacct_sim::Scale;
use serde_json::Value;

use crate::truth::{of, start, text};
use crate::wire::{Wire, function, order, query};

/// The body and the content type of an answer.
async fn bare(wire: &Wire, call: &str) -> (String, String) {
    let response = wire.post(wire.request(&function("f-1", call))).await;
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    (response.text().await.unwrap(), kind)
}

async fn json(wire: &Wire, call: &str) -> Vec<Value> {
    let (body, kind) = bare(wire, call).await;
    assert_eq!(kind, "application/json", "{body}");
    serde_json::from_str(&body).expect("a bare array")
}

fn as_format(format: &str) -> String {
    format!("<options><returnformat>{format}</returnformat></options>")
}

#[tokio::test]
async fn json_is_a_bare_array_of_texts() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let names = ["RECORDNO", "VENDORID", "TOTALDUE", "WHENPAID", "ONHOLD"];
    let rest =
        order(&[("RECORDNO", "ascending")]) + &as_format("json") + "<pagesize>2000</pagesize>";
    let rows = json(&wire, &query("APBILL", &names, &rest)).await;
    let bills = of(simulator.company(), "APBILL");
    assert_eq!(rows.len(), bills.len());
    for (row, bill) in rows.iter().zip(&bills) {
        let row = row.as_object().expect("an object");
        assert_eq!(row.len(), names.len());
        for name in names {
            let wanted = text(bill, name).to_owned();
            assert_eq!(row[name], Value::String(wanted));
        }
    }
    let none = query(
        "APBILL",
        &["RECORDNO"],
        &(as_format("json") + "<offset>100000</offset>"),
    );
    assert!(json(&wire, &none).await.is_empty());
    let sums = format!(
        "<query><object>APBILL</object><select><field>STATE</field><count>RECORDNO</count></select>{}</query>",
        as_format("json")
    );
    let counted = json(&wire, &sums).await;
    assert!(counted[0]["COUNT.RECORDNO"].is_string());
}

#[tokio::test]
async fn all_readers_return_json() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let bills = of(simulator.company(), "APBILL");
    let json_here = "<returnFormat>json</returnFormat>";
    let pages = format!(
        "<readByQuery><object>APBILL</object><query/><pagesize>60</pagesize>{json_here}</readByQuery>"
    );
    let first = json(&wire, &pages).await;
    // Nothing tells the id of the result: the rest is reached by the name of the object.
    let rest = json(&wire, "<readMore><object>APBILL</object></readMore>").await;
    assert_eq!((first.len(), rest.len()), (60, bills.len() - 60));
    assert!(first[0]["RECORDNO"].is_string() && first[0].get("APBILLITEMS").is_none());
    let key = text(&bills[0], "RECORDNO").to_owned();
    let read = format!("<read><object>APBILL</object><keys>{key}</keys>{json_here}</read>");
    assert_eq!(json(&wire, &read).await[0]["RECORDNO"], key);
    let vendor = text(&bills[0], "VENDORID").to_owned();
    let read =
        format!("<readByName><object>VENDOR</object><keys>{vendor}</keys>{json_here}</readByName>");
    assert_eq!(json(&wire, &read).await[0]["VENDORID"], vendor);
    let report = format!("<readReport><report>Vendor list</report>{json_here}</readReport>");
    let started = wire.ok(&report).await;
    let id = started.records[0][0].1.clone().expect("an id");
    let poll = format!("<readMore><reportId>{id}</reportId></readMore>");
    wire.ok(&poll).await;
    wire.ok(&poll).await;
    assert!(json(&wire, &poll).await[0]["VENDORID"].is_string());
}

#[tokio::test]
async fn csv_has_a_header_and_quotes_what_needs_quotes() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let rest =
        order(&[("RECORDNO", "ascending")]) + "<options><returnformat>csv</returnformat></options>";
    let (body, kind) = bare(&wire, &query("APBILL", &["RECORDNO", "DESCRIPTION"], &rest)).await;
    assert!(kind.starts_with("text/csv"));
    let mut wanted = "RECORDNO,DESCRIPTION\r\n".to_owned();
    let mut quoted = 0;
    for bill in of(simulator.company(), "APBILL") {
        let name = text(&bill, "DESCRIPTION").to_owned();
        let name = if name.contains([',', '"', '\n', '\r']) {
            quoted += 1;
            format!("\"{}\"", name.replace('"', "\"\""))
        } else {
            name
        };
        let id = text(&bill, "RECORDNO").to_owned();
        wanted += &format!("{id},{name}\r\n");
    }
    assert_eq!(body, wanted);
    assert!(quoted > 0);
}

#[tokio::test]
async fn errors_and_companions_keep_the_envelope() {
    let simulator = start(1, Scale::Tiny).await;
    let wire = Wire::session(&simulator).await;
    let (body, kind) = bare(
        &wire,
        &query("VENDOR", &["NOSUCHFIELD"], &as_format("json")),
    )
    .await;
    assert_eq!(kind, "text/xml; encoding=\"UTF-8\"");
    assert!(body.contains("<status>failure</status>") && body.contains("DL02000001"));
    wire.breaks_schema(&query("VENDOR", &["NAME"], &as_format("yaml")))
        .await;
    // Beside another function there is no place for a bare array.
    let two = function("a", &query("CLASS", &["NAME"], &as_format("json")))
        + &function("b", &query("CLASS", &["NAME"], ""));
    let body = wire.raw(&wire.request(&two)).await;
    let statuses: Vec<_> = crate::wire::Answer::all(&body)
        .into_iter()
        .map(|answer| answer.status)
        .collect();
    assert_eq!(statuses, ["failure", "success"]);
}
