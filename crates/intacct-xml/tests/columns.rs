//! Records as Arrow columns.
#![cfg(feature = "arrow")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use intacct_xml::response::{
    ColumnOptions, Columns, Page, ReadOptions, Response, WIRE_NAME, read_response,
};
use intacct_xml::values::{format_decimal, parse_decimal};
use intacct_xml::{Error, ErrorKind, escape};
use proptest::prelude::*;
use time::macros::{datetime, offset};

#[path = "../src/text_strategy.rs"]
mod text_strategy;

fn body(records: &str) -> String {
    format!(
        "<response><control><status>success</status></control><operation><authentication><status>success</status>\
         </authentication><result><status>success</status><function>query</function><controlid>f</controlid>\
         <data>{records}</data></result></operation></response>"
    )
}

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn columns(fields: Vec<Field>) -> Columns {
    Columns::new(Arc::new(Schema::new(fields)), ColumnOptions::default()).unwrap()
}

fn all_types() -> Vec<Field> {
    vec![
        Field::new("recordno", DataType::Int64, false),
        field("name", DataType::Utf8),
        field("amount", DataType::Decimal128(38, 9)),
        field("rate", DataType::Decimal128(38, 18)),
        field("onhold", DataType::Boolean),
        field("whendue", DataType::Date32),
        field(
            "whenmodified",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ),
        field("displaycontact_mailaddress_city", DataType::Utf8).with_metadata(HashMap::from([(
            WIRE_NAME.to_owned(),
            "DISPLAYCONTACT.MAILADDRESS.CITY".to_owned(),
        )])),
    ]
}

fn read(columns: &mut Columns, records: &str) -> Result<Response, Error> {
    read_response(body(records).as_bytes(), &ReadOptions::default(), columns)
}

fn page(fields: Vec<Field>, records: &str) -> Page {
    let mut columns = columns(fields);
    read(&mut columns, records).unwrap();
    columns.finish().unwrap()
}

fn integers(batch: &RecordBatch, column: usize) -> Vec<Option<i64>> {
    batch
        .column(column)
        .as_primitive::<Int64Type>()
        .iter()
        .collect()
}

fn texts(batch: &RecordBatch, column: usize) -> Vec<Option<&str>> {
    batch.column(column).as_string::<i32>().iter().collect()
}

#[test]
fn every_type_is_filled() {
    let page = page(
        all_types(),
        "<V><RECORDNO>12.0</RECORDNO><NAME> A &amp; B </NAME><AMOUNT>-.25</AMOUNT><RATE>1.000000000000000001</RATE>\
         <ONHOLD>y</ONHOLD><WHENDUE>01/02/1970</WHENDUE><WHENMODIFIED>07/24/2017 15:19:46</WHENMODIFIED>\
         <DISPLAYCONTACT.MAILADDRESS.CITY>Ulm</DISPLAYCONTACT.MAILADDRESS.CITY></V>\
         <V><WHENMODIFIED>07/24/2017</WHENMODIFIED><NAME></NAME><RECORDNO>2</RECORDNO><AMOUNT/><ONHOLD/><WHENDUE/></V>",
    );
    let batch = &page.batch;
    assert!(page.rejected.is_empty() && page.unknown_fields.is_empty());
    assert_eq!(integers(batch, 0), [Some(12), Some(2)]);
    assert_eq!(texts(batch, 1), [Some(" A & B "), None]);
    let amounts = batch.column(2).as_primitive::<Decimal128Type>();
    assert_eq!(
        amounts.iter().collect::<Vec<_>>(),
        [Some(-250_000_000), None]
    );
    let rates = batch.column(3).as_primitive::<Decimal128Type>();
    assert_eq!(
        rates.iter().collect::<Vec<_>>(),
        [Some(1_000_000_000_000_000_001), None]
    );
    assert_eq!(
        batch.column(4).as_boolean().iter().collect::<Vec<_>>(),
        [Some(true), None]
    );
    let days = batch.column(5).as_primitive::<Date32Type>();
    assert_eq!(days.iter().collect::<Vec<_>>(), [Some(1), None]);
    let micros = |moment: time::OffsetDateTime| Some(moment.unix_timestamp() * 1_000_000);
    let moments = batch.column(6).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(
        moments.iter().collect::<Vec<_>>(),
        [
            micros(datetime!(2017-07-24 15:19:46 UTC)),
            micros(datetime!(2017-07-24 00:00 UTC))
        ]
    );
    assert_eq!(texts(batch, 7), [Some("Ulm"), None]);
}

#[test]
fn the_zone_of_the_source_is_taken_off() {
    let zone = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema = Arc::new(Schema::new(vec![field("t", zone)]));
    let options = ColumnOptions::default().with_source_offset(offset!(-8));
    let mut columns = Columns::new(schema, options).unwrap();
    read(&mut columns, "<V><T>01/01/2026 00:00:00</T></V>").unwrap();
    let page = columns.finish().unwrap();
    let moment = page
        .batch
        .column(0)
        .as_primitive::<TimestampMicrosecondType>()
        .value(0);
    assert_eq!(
        moment,
        datetime!(2026-01-01 08:00 UTC).unix_timestamp() * 1_000_000
    );
}

#[test]
fn a_record_that_does_not_fit_is_set_aside_whole() {
    let cases = [
        ("<RECORDNO>12.5</RECORDNO>", "RECORDNO", Some("12.5")),
        (
            "<RECORDNO>1</RECORDNO><AMOUNT>1.0000000001</AMOUNT>",
            "AMOUNT",
            Some("1.0000000001"),
        ),
        (
            "<RECORDNO>1</RECORDNO><AMOUNT>1,000.00</AMOUNT>",
            "AMOUNT",
            Some("1,000.00"),
        ),
        (
            "<RECORDNO>1</RECORDNO><ONHOLD>maybe</ONHOLD>",
            "ONHOLD",
            Some("maybe"),
        ),
        (
            "<RECORDNO>1</RECORDNO><WHENDUE>2026-01-31</WHENDUE>",
            "WHENDUE",
            Some("2026-01-31"),
        ),
        (
            "<RECORDNO>1</RECORDNO><WHENMODIFIED>01/31/2026 25:00:00</WHENMODIFIED>",
            "WHENMODIFIED",
            Some("01/31/2026 25:00:00"),
        ),
        (
            "<RECORDNO>1</RECORDNO><RECORDNO>1</RECORDNO>",
            "RECORDNO",
            Some("1"),
        ),
        ("<RECORDNO>1</RECORDNO><NAME/><NAME/>", "NAME", None),
        ("<RECORDNO>1</RECORDNO><NAME><X/></NAME>", "NAME", None),
        ("<RECORDNO>1</RECORDNO>stray", "#text", Some("stray")),
        ("<RECORDNO/>", "RECORDNO", None),
        ("<RECORDNO> </RECORDNO>", "RECORDNO", None),
        ("<NAME>no key</NAME>", "RECORDNO", None),
    ];
    for (bad, name, text) in cases {
        let records = format!(
            "<V><RECORDNO>1</RECORDNO><NAME>first</NAME></V>\
             <V><NEW>n</NEW>{bad}<LINES><line><X>1</X></line></LINES><LAST/></V>\
             <V><RECORDNO>3</RECORDNO><NAME>third</NAME></V>"
        );
        let page = page(all_types(), &records);
        assert_eq!(integers(&page.batch, 0), [Some(1), Some(3)], "{bad}");
        assert_eq!(
            texts(&page.batch, 1),
            [Some("first"), Some("third")],
            "{bad}"
        );
        let [rejected] = page.rejected.as_slice() else {
            panic!("{bad}: {:?}", page.rejected)
        };
        assert_eq!(
            (rejected.ordinal, rejected.field.as_str()),
            (1, name),
            "{bad}"
        );
        assert_eq!(rejected.text.as_deref(), text, "{bad}");
        assert!(!rejected.reason.is_empty());
        let field = |name: &str| {
            rejected
                .fields
                .iter()
                .find(|(field, _)| field == name)
                .map(|(_, value)| value.as_deref())
        };
        assert_eq!(field("NEW"), Some(Some("n")), "{bad}");
        assert_eq!(field("LINES/line/X"), Some(Some("1")), "{bad}");
        assert_eq!(field("LAST"), Some(None), "{bad}");
        if text.is_some() {
            assert_eq!(field(name), Some(text), "{bad}");
        }
        let printed = format!("{rejected:?}");
        assert!(
            text.is_none_or(|text| text.len() < 2 || !printed.contains(text)),
            "{printed}"
        );
    }
}

#[test]
fn unknown_fields_are_counted_by_name() {
    let page = page(
        all_types(),
        "<V><RECORDNO>1</RECORDNO><NEW>x</NEW><LINES><line/></LINES></V><V><RECORDNO>2</RECORDNO><NEW/></V>",
    );
    let counted: Vec<_> = page
        .unknown_fields
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    assert_eq!(counted, [("LINES", 1), ("NEW", 2)]);
    assert_eq!(page.batch.num_rows(), 2);
}

#[test]
fn pages_do_not_leak_into_each_other() {
    let mut columns = columns(all_types());
    read(
        &mut columns,
        "<V><RECORDNO>1</RECORDNO></V><V><RECORDNO>x</RECORDNO></V><V><NEW/><RECORDNO>2</RECORDNO>",
    )
    .unwrap_err();
    let nothing = columns.finish().unwrap();
    assert_eq!((nothing.batch.num_rows(), nothing.rejected.len()), (0, 0));
    read(&mut columns, "<V><RECORDNO>3</RECORDNO><NAME>c</NAME></V>").unwrap();
    let first = columns.finish().unwrap();
    read(
        &mut columns,
        "<V><RECORDNO>4</RECORDNO></V><V><RECORDNO>5</RECORDNO><NAME>e</NAME></V>",
    )
    .unwrap();
    let second = columns.finish().unwrap();
    assert_eq!(
        (integers(&first.batch, 0), texts(&first.batch, 1)),
        (vec![Some(3)], vec![Some("c")])
    );
    assert_eq!(integers(&second.batch, 0), [Some(4), Some(5)]);
    assert_eq!(texts(&second.batch, 1), [None, Some("e")]);
    assert!(first.rejected.is_empty() && first.unknown_fields.is_empty());
    assert_eq!(columns.finish().unwrap().batch.num_rows(), 0);
}

#[test]
fn an_empty_page_and_a_schema_without_columns_are_fine() {
    assert_eq!(page(all_types(), "").batch.num_rows(), 0);
    assert_eq!(page(Vec::new(), "<V><A/></V><V/>").batch.num_rows(), 2);
}

#[test]
fn data_of_two_functions_needs_two_sets_of_columns() {
    let two = body("").replace("</operation>", "<result><status>success</status><function>query</function><controlid>g</controlid><data/></result></operation>");
    let mut columns = columns(all_types());
    let error = read_response(two.as_bytes(), &ReadOptions::default(), &mut columns).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[test]
fn a_schema_that_cannot_be_filled_is_refused() {
    let refused = |fields: Vec<Field>| {
        let error =
            Columns::new(Arc::new(Schema::new(fields)), ColumnOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    };
    for data_type in [
        DataType::Float64,
        DataType::Int32,
        DataType::LargeUtf8,
        DataType::Decimal128(38, -1),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Second, Some("UTC".into())),
    ] {
        refused(vec![field("a", data_type)]);
    }
    refused(vec![field("a", DataType::Utf8), field("A", DataType::Utf8)]);
}

#[test]
fn dropped_characters_of_a_record_that_is_read_twice_count_once() {
    let mut columns = columns(all_types());
    let response = read(&mut columns, "<V><RECORDNO>x&#1;</RECORDNO></V>").unwrap();
    assert_eq!(response.dropped_characters, 1);
    assert_eq!(
        columns.finish().unwrap().rejected[0].text.as_deref(),
        Some("x")
    );
}

/// A decimal in any of the spellings of the wire, or something that is none.
fn any_number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (any::<i64>(), 0_u8..12).prop_map(|(units, scale)| format_decimal(units.into(), scale)),
        2 => "[-+]?[0-9]{0,4}\\.[0-9]{1,12}",
        1 => "[-+]?[0-9]{1,40}",
        1 => "[-+.,0-9a-e ]{1,6}",
        1 => Just(String::new()),
    ]
}

proptest! {
    #[test]
    fn no_record_is_lost_and_no_amount_changed(
        rows in prop::collection::vec((any_number(), text_strategy::any_text()), 0..20)
    ) {
        let fields = vec![field("amount", DataType::Decimal128(38, 9)), field("name", DataType::Utf8)];
        let records: String = rows
            .iter()
            .map(|(amount, name)| format!("<V><AMOUNT>{amount}</AMOUNT><NAME>{}</NAME></V>", escape::escape_text(name)))
            .collect();
        let page = page(fields, &records);
        let amounts = page.batch.column(0).as_primitive::<Decimal128Type>();
        let names = page.batch.column(1).as_string::<i32>();
        let mut rejected = page.rejected.iter();
        let mut row = 0;
        for (ordinal, (amount, name)) in rows.iter().enumerate() {
            let name = intacct_xml::sanitise::sanitise(name);
            let name = Some(&*name).filter(|name| !name.is_empty());
            let trimmed = amount.trim();
            let expected = (!trimmed.is_empty()).then(|| parse_decimal(trimmed, 9)).transpose();
            if let Ok(expected) = expected {
                prop_assert_eq!(amounts.is_valid(row).then(|| amounts.value(row)), expected);
                prop_assert_eq!(names.is_valid(row).then(|| names.value(row)), name);
                row += 1;
            } else {
                let record = rejected.next().unwrap();
                prop_assert_eq!(record.ordinal, ordinal as u64);
                prop_assert_eq!(&record.fields[0].1, &Some(amount.clone()));
                prop_assert_eq!(record.fields[1].1.as_deref(), name);
            }
        }
        prop_assert_eq!(row, page.batch.num_rows());
        prop_assert!(rejected.next().is_none());
    }
}
