//! What is compared for speed must read the same records.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use intacct_sync_benches::SEED;
use intacct_sync_benches::page::{GL_DETAIL_FORMS, Page, PageForm, VENDOR_FORMS};
use intacct_sync_benches::parsing;
use intacct_sync_benches::record::{GlDetail, Kind, Record, Vendor};
use intacct_xml::response::{ColumnOptions, Columns};
use proptest::prelude::*;
use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime};

type Rows = Vec<Vec<Option<String>>>;

fn all_agree_on<R: Record>(form: PageForm, records: usize, seed: u64) {
    let page = Page::<R>::new(form, records, seed);
    let body = page.body.as_str();
    let name = page.name;

    let mut columns = Columns::new(parsing::schema::<R>(), ColumnOptions::default()).unwrap();
    for _ in 0..2 {
        let read = parsing::ours_columns(body, &mut columns).unwrap();
        assert_eq!(
            (read.rejected.len(), read.unknown_fields.len()),
            (0, 0),
            "{name}"
        );
        assert_eq!(
            texts_of::<R>(&read.batch),
            canonical::<R>(&page.rows),
            "{name}: columns"
        );
    }

    let texts = |records: Vec<R>| records.iter().map(R::texts).collect::<Rows>();
    assert_eq!(
        texts(parsing::ours_structs(body).unwrap()),
        page.rows,
        "{name}: structs"
    );
    assert_eq!(
        texts(parsing::quick_xml_serde(body).unwrap()),
        page.rows,
        "{name}: serde"
    );

    let maps = parsing::hash_maps(body, &page.record_element).unwrap();
    let from_maps = maps.into_iter().map(|mut map| {
        let row = R::FIELDS
            .iter()
            .map(|f| map.remove(f.name).filter(|text| !text.is_empty()));
        let row = row.collect::<Vec<_>>();
        assert!(
            map.is_empty(),
            "{name}: maps have more fields than the record"
        );
        row
    });
    assert_eq!(from_maps.collect::<Rows>(), page.rows, "{name}: maps");

    let tree = parsing::roxmltree_dom(body).unwrap();
    let element = page.record_element.as_str();
    let in_tree = tree
        .descendants()
        .filter(|node| node.has_tag_name(element))
        .map(|record| {
            let value = |name| {
                let field = record.children().find(|child| child.has_tag_name(name))?;
                field
                    .text()
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned)
            };
            R::FIELDS.iter().map(|field| value(field.name)).collect()
        });
    assert_eq!(in_tree.collect::<Rows>(), page.rows, "{name}: tree");

    let elements = tree
        .descendants()
        .filter(roxmltree::Node::is_element)
        .count();
    assert_eq!(
        parsing::quick_xml_events(body).unwrap(),
        elements,
        "{name}: events"
    );

    let response = parsing::ours_discarding(body).unwrap();
    let data = response
        .result("f-1")
        .and_then(|result| result.data.as_ref());
    assert_eq!(
        data.and_then(|data| data.count),
        Some(records as u64),
        "{name}: envelope"
    );

    let angles = body.bytes().enumerate().filter(|(_, byte)| *byte == b'<');
    let sum: usize = angles.map(|(at, _)| at).sum();
    assert_eq!(parsing::every_angle_bracket(body), sum, "{name}: visits");
}

/// The texts as typed columns give them back: an amount of `12.50` has no zero at its end.
fn canonical<R: Record>(rows: &Rows) -> Rows {
    let text = |(text, kind): (&Option<String>, Kind)| {
        text.as_ref().map(|text| match kind {
            Kind::Decimal if text.contains('.') => trimmed(text),
            _ => text.clone(),
        })
    };
    let kinds = R::FIELDS.iter().map(|field| field.kind);
    rows.iter()
        .map(|row| row.iter().zip(kinds.clone()).map(text).collect())
        .collect()
}

fn trimmed(decimal: &str) -> String {
    let text = decimal.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

fn texts_of<R: Record>(batch: &RecordBatch) -> Rows {
    let row = |row| {
        let columns = batch.columns().iter().zip(R::FIELDS);
        let text = |(column, field): (&dyn Array, Kind)| {
            (!column.is_null(row)).then(|| text_at(column, field, row))
        };
        columns
            .map(|(column, field)| text((column.as_ref(), field.kind)))
            .collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

fn text_at(column: &dyn Array, kind: Kind, row: usize) -> String {
    match kind {
        Kind::Text => column.as_string::<i32>().value(row).to_owned(),
        Kind::Integer => column.as_primitive::<Int64Type>().value(row).to_string(),
        Kind::Boolean => column.as_boolean().value(row).to_string(),
        Kind::Decimal => {
            let value = column.as_primitive::<Decimal128Type>().value(row);
            let sign = if value < 0 { "-" } else { "" };
            let (whole, rest) = (
                value.unsigned_abs() / 10_u128.pow(9),
                value.unsigned_abs() % 10_u128.pow(9),
            );
            trimmed(&format!("{sign}{whole}.{rest:09}"))
        }
        Kind::Date => {
            let days = column.as_primitive::<Date32Type>().value(row);
            date(OffsetDateTime::UNIX_EPOCH.date() + Duration::days(days.into()))
        }
        Kind::Timestamp => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            let epoch = OffsetDateTime::UNIX_EPOCH;
            let at =
                PrimitiveDateTime::new(epoch.date(), epoch.time()) + Duration::microseconds(micros);
            let (hour, minute, second) = at.time().as_hms();
            format!("{} {hour:02}:{minute:02}:{second:02}", date(at.date()))
        }
    }
}

fn date(date: Date) -> String {
    format!(
        "{:02}/{:02}/{}",
        u8::from(date.month()),
        date.day(),
        date.year()
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn on_pages_of_any_seed(seed: u64, records in 1_usize..20) {
        VENDOR_FORMS.iter().for_each(|&form| all_agree_on::<Vendor>(form, records, seed));
        GL_DETAIL_FORMS.iter().for_each(|&form| all_agree_on::<GlDetail>(form, records, seed));
    }
}

#[test]
fn the_measured_pages_are_as_described() {
    let vendors = Page::vendors(VENDOR_FORMS[0], SEED);
    assert_eq!((vendors.rows.len(), Vendor::FIELDS.len()), (2000, 61));
    assert!(
        (47..=51).contains(&vendors.empty_percent()),
        "{} % empty",
        vendors.empty_percent()
    );
    assert!(
        (4_900_000..5_700_000).contains(&vendors.body.len()),
        "{} bytes",
        vendors.body.len()
    );

    let lines = Page::gl_details(GL_DETAIL_FORMS[0], SEED);
    assert_eq!((lines.rows.len(), GlDetail::FIELDS.len()), (1000, 42));
    assert!(
        (21..=25).contains(&lines.empty_percent()),
        "{} % empty",
        lines.empty_percent()
    );
    assert!(
        (1_280_000..1_480_000).contains(&lines.body.len()),
        "{} bytes",
        lines.body.len()
    );

    for rows in [&vendors.rows, &lines.rows] {
        let texts = || rows.iter().flatten().flatten();
        let with_specials = texts()
            .filter(|text| text.contains(['&', '<', '>']))
            .count();
        let permille = 1000 * with_specials / texts().count();
        assert!(
            (25..=55).contains(&permille),
            "{permille} of 1000 texts have a reference"
        );
    }
    assert_eq!(vendors.body, Page::vendors(VENDOR_FORMS[0], SEED).body);
}
