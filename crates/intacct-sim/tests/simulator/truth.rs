//! The company's records as a test reads them.

use std::collections::BTreeMap;

use intacct_sim::{CompanyHandle, Record, RunningSimulator, Scale, Simulator};

/// All objects of a company, by name, their records by field name.
pub(crate) type Truth = BTreeMap<String, Vec<Fields>>;
pub(crate) type Fields = BTreeMap<String, String>;

pub(crate) async fn start(seed: u64, scale: Scale) -> RunningSimulator {
    Simulator::builder()
        .seed(seed)
        .scale(scale)
        .start()
        .await
        .expect("a simulator")
}

pub(crate) fn truth(company: &CompanyHandle) -> Truth {
    let names = company.objects().into_keys();
    names
        .map(|name| {
            let records = of(company, &name);
            (name, records)
        })
        .collect()
}

pub(crate) fn of(company: &CompanyHandle, object: &str) -> Vec<Fields> {
    company
        .records(object)
        .expect("an object")
        .into_iter()
        .map(fields)
        .collect()
}

/// The same with only the fields that the laws of the books speak of: large companies are quicker
/// to check so.
pub(crate) fn amounts(company: &CompanyHandle) -> Truth {
    let names = company.objects().into_keys();
    names
        .map(|name| {
            let records = company.records(&name).expect("an object");
            let lean = |record: Record| {
                fields(
                    record
                        .into_iter()
                        .filter(|(name, _)| LAWFUL.contains(&&**name))
                        .collect(),
                )
            };
            (name, records.into_iter().map(lean).collect())
        })
        .collect()
}

const LAWFUL: [&str; 47] = [
    "id",
    "RECORDNO",
    "RECORDKEY",
    "ENTRYKEY",
    "PAYMENTKEY",
    "BATCHKEY",
    "BATCHNO",
    "GLENTRYKEY",
    "RECORDID",
    "RECORDTYPE",
    "VENDORID",
    "CUSTOMERID",
    "DEPARTMENTID",
    "LOCATIONID",
    "ACCOUNTNO",
    "ACCOUNTTITLE",
    "TITLE",
    "BOOKID",
    "PERIOD",
    "NAME",
    "BUDGETING",
    "START_DATE",
    "ENTRY_DATE",
    "BATCH_DATE",
    "TR_TYPE",
    "AMOUNT",
    "TRX_AMOUNT",
    "DEBITAMOUNT",
    "CREDITAMOUNT",
    "TOTALENTERED",
    "TRX_TOTALENTERED",
    "TOTALPAID",
    "TRX_TOTALPAID",
    "TOTALDUE",
    "TRX_TOTALDUE",
    "PAYMENTAMOUNT",
    "TRX_PAYMENTAMOUNT",
    "STATE",
    "RAWSTATE",
    "WHENPAID",
    "WHENDUE",
    "DOCNUMBER",
    "OPENBAL",
    "TOTDEBIT",
    "TOTCREDIT",
    "ENDBAL",
    "WHENMODIFIED",
];

fn fields(record: Record) -> Fields {
    record
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)))
        .collect()
}

/// The fields with the number of a record and the time of its last change: objects of a company's
/// own have names of their own for them.
pub(crate) fn key_and_change(object: &str) -> (&'static str, &'static str) {
    match object {
        "asset" | "region" => ("id", "updatedAt"),
        _ => ("RECORDNO", "WHENMODIFIED"),
    }
}

/// An amount in hundredths, from any of the spellings of the wire.
pub(crate) fn cents(text: &str) -> i64 {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().expect("digits")
    };
    assert!(fraction.len() <= 2, "{text} has cents");
    let fraction: i64 = format!("{fraction:0<2}").parse().expect("digits");
    sign * (whole * 100 + fraction)
}

pub(crate) fn amount(record: &Fields, field: &str) -> i64 {
    record.get(field).map_or(0, |text| cents(text))
}

pub(crate) fn text<'f>(record: &'f Fields, field: &str) -> &'f str {
    record.get(field).map_or("", String::as_str)
}

/// A whole number, from any of the spellings of the wire.
pub(crate) fn whole(record: &Fields, field: &str) -> i64 {
    let text = text(record, field);
    text.strip_suffix(".0")
        .unwrap_or(text)
        .parse()
        .expect("a whole number")
}

/// A time of the wire in a form that sorts.
pub(crate) fn instant(text: &str) -> String {
    let (date, time) = text.split_once(' ').unwrap_or((text, "00:00:00"));
    let parts: Vec<&str> = date.split('/').collect();
    format!("{}-{}-{} {time}", parts[2], parts[0], parts[1])
}
