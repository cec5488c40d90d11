//! What is compared for speed must say the same.
#![allow(clippy::unwrap_used)]

use arrow_array::RecordBatch;
use intacct_sync_benches::SEED;
use intacct_sync_benches::encoding::{self, Encoder, JSON, TABLES};
use intacct_sync_benches::page::{GL_DETAIL_FORMS, Page, VENDOR_FORMS};
use serde_json::Value;

fn batches() -> [RecordBatch; 2] {
    let vendors = encoding::batch(&Page::vendors(VENDOR_FORMS[0], SEED)).unwrap();
    let details = encoding::batch(&Page::gl_details(GL_DETAIL_FORMS[0], SEED)).unwrap();
    [vendors.slice(3, 200), details.slice(3, 200)]
}

fn written(rows: &RecordBatch, (_, encode): Encoder) -> String {
    let mut out = Vec::new();
    encode(rows, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The value in one spelling: decimals without zeros at their end, moments without a fraction of zero.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let is_number = text.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        && text.contains('.')
        && text.trim_start_matches('-').parse::<f64>().is_ok();
    if is_number {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.replace(".000000Z", "Z")
    }
}

#[test]
fn lines_of_json_hold_the_same_values() {
    for rows in batches() {
        let lines = |encoder: Encoder| -> Vec<Value> {
            let text = written(&rows, encoder);
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        };
        let ours = lines(JSON[0]);
        assert_eq!(ours.len(), rows.num_rows());
        for &encoder in JSON.iter().filter(|(name, _)| *name != "ours_arrays") {
            for (ours, theirs) in ours.iter().zip(lines(encoder)) {
                let (ours, theirs) = (ours.as_object().unwrap(), theirs.as_object().unwrap());
                assert_eq!(
                    ours.keys().collect::<Vec<_>>(),
                    theirs.keys().collect::<Vec<_>>()
                );
                for (name, value) in ours {
                    assert_eq!(
                        plain(value),
                        plain(&theirs[name]),
                        "{name} by {}",
                        encoder.0
                    );
                }
            }
        }
        let arrays = format!("[{}]", written(&rows, JSON[1]));
        let arrays: Vec<Vec<Value>> = serde_json::from_str(&arrays).unwrap();
        for (ours, array) in ours.iter().zip(arrays) {
            for (field, value) in rows.schema_ref().fields().iter().zip(&array) {
                assert_eq!(ours.get(field.name()).unwrap_or(&Value::Null), value);
            }
        }
    }
}

#[test]
fn csv_holds_the_same_values() {
    for rows in batches() {
        let records = |name: &str| -> Vec<Vec<String>> {
            let encoder = *TABLES.iter().find(|(other, _)| *other == name).unwrap();
            let text = written(&rows, encoder);
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .from_reader(text.as_bytes());
            let records = reader.records().map(|record| {
                record
                    .unwrap()
                    .iter()
                    .map(|field| plain(&Value::from(field)))
                    .collect()
            });
            records.collect()
        };
        let ours = records("ours_csv");
        assert_eq!(ours.len(), rows.num_rows());
        for (ours, theirs) in ours.iter().zip(records("arrow_csv")) {
            let theirs: Vec<_> = theirs
                .iter()
                .map(|text| text.replace(".000000Z", "Z"))
                .collect();
            assert_eq!(ours, &theirs);
        }
    }
}
