//! What is compared for speed must read the same records.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use intacct_sync_benches::SEED;
use intacct_sync_benches::page::{GL_DETAIL_FORMS, INVOICE_FORMS, Page, PageForm, VENDOR_FORMS};
use intacct_sync_benches::parsing::{self, Ours, QuickXmlColumns};
use intacct_sync_benches::record::{FieldSpec, GlDetail, Invoice, Kind, Record, Vendor};
use intacct_xml::response::{ColumnOptions, Columns, NdjsonLines};
use proptest::prelude::*;
use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime};

type Rows = Vec<Vec<Option<String>>>;

fn all_agree_on<R: Record>(form: PageForm, records: usize, seed: u64) {
    let page = Page::<R>::new(form, records, seed);
    typed_columns_agree(&page, seed);
    owned_records_agree(&page);
    rows_and_lines_agree(&page, seed);
    counts_agree(&page);
}

fn typed_columns_agree<R: Record>(page: &Page<R>, seed: u64) {
    let (body, name) = (page.body.as_str(), page.name);
    let expected = canonical::<R>(&page.rows);
    let new_columns = || Columns::new(parsing::schema::<R>(), ColumnOptions::default()).unwrap();

    let (mut ours, mut columns) = (Ours::default(), new_columns());
    let pieces = 1 + seed as usize % 5000;
    let readings = [
        ours.columns(body, &mut columns).unwrap(),
        ours.columns(body, &mut columns).unwrap(),
        ours.columns_in_chunks(body, pieces, &mut columns).unwrap(),
        parsing::ours_columns(body, &mut columns).unwrap(),
    ];
    for read in &readings {
        let odd = (read.rejected.len(), read.unknown_fields.len());
        assert_eq!(odd, (0, 0), "{name}");
        assert_eq!(texts_of::<R>(&read.batch), expected, "{name}: columns");
    }

    let mut theirs = QuickXmlColumns::new::<R>().unwrap();
    for _ in 0..2 {
        let batch = theirs.read(body, &page.record_element).unwrap();
        assert_eq!(batch, readings[0].batch, "{name}: columns by hand");
    }
}

fn owned_records_agree<R: Record>(page: &Page<R>) {
    let (body, name, element) = (&page.body, page.name, page.record_element.as_str());
    let texts = |records: Vec<R>| records.iter().map(R::texts).collect::<Rows>();
    let structs = Ours::default().structs(body).unwrap();
    assert_eq!(texts(structs), page.rows, "{name}: structs");
    let structs = parsing::quick_xml_serde(body).unwrap();
    assert_eq!(texts(structs), page.rows, "{name}: serde");

    let maps = parsing::hash_maps(body, element).unwrap();
    let from_maps = maps.into_iter().map(|mut map| {
        let value = |field: &FieldSpec| map.remove(field.name).filter(|text| !text.is_empty());
        let row = R::FIELDS.iter().map(value).collect::<Vec<_>>();
        assert!(map.is_empty(), "{name}: maps have more fields");
        row
    });
    assert_eq!(from_maps.collect::<Rows>(), page.rows, "{name}: maps");

    let tree = parsing::roxmltree_dom(body).unwrap();
    let records = tree.descendants().filter(|node| node.has_tag_name(element));
    let in_tree = records.map(|record| {
        let value = |name| {
            let field = record.children().find(|child| child.has_tag_name(name))?;
            let text = field.text().filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        R::FIELDS.iter().map(|field| value(field.name)).collect()
    });
    assert_eq!(in_tree.collect::<Rows>(), page.rows, "{name}: tree");
}

fn rows_and_lines_agree<R: Record>(page: &Page<R>, seed: u64) {
    let (body, name, element) = (&page.body, page.name, page.record_element.as_str());
    let mut expected = Vec::new();
    parsing::quick_xml_rows(body, element, |row| {
        let fields = row.iter();
        let owned = fields.map(|f| (f.name.to_owned(), f.value.as_deref().map(str::to_owned)));
        expected.push(owned.collect::<Fields>());
    })
    .unwrap();
    let rows = expected
        .iter()
        .map(|fields| by_name::<R>(fields))
        .collect::<Rows>();
    assert_eq!(rows, page.rows, "{name}: rows by hand");

    let mut ours = Ours::default();
    for _ in 0..2 {
        let mut rows = Vec::new();
        ours.rows(body, |row| {
            let mut fields = Fields::new();
            row.each_field(|name, value| fields.push((name.to_owned(), value.map(str::to_owned))));
            rows.push(fields);
        })
        .unwrap();
        assert_eq!(rows, expected, "{name}: rows");
    }

    let mut theirs = Vec::new();
    parsing::quick_xml_ndjson(body, element, &mut theirs).unwrap();
    let theirs = String::from_utf8(theirs).unwrap();
    let parsed = theirs.lines().map(fields_of);
    assert_eq!(
        parsed.collect::<Vec<_>>(),
        expected,
        "{name}: lines by hand"
    );
    let mut lines = NdjsonLines::new();
    for read in [
        Ours::ndjson,
        |ours: &mut Ours, body: &str, lines: &mut NdjsonLines| {
            ours.ndjson_in_chunks(body, 100, lines)
        },
    ] {
        read(&mut ours, body, &mut lines).unwrap();
        assert_eq!(lines.as_bytes(), theirs.as_bytes(), "{name}: lines");
    }
    let pieces = 1 + seed as usize % 5000;
    ours.ndjson_in_chunks(body, pieces, &mut lines).unwrap();
    assert_eq!(
        lines.as_bytes(),
        theirs.as_bytes(),
        "{name}: lines in pieces"
    );
}

type Fields = Vec<(String, Option<String>)>;

/// The fields of a line of JSON in their order.
fn fields_of(line: &str) -> Fields {
    struct InOrder;
    impl<'de> serde::de::Visitor<'de> for InOrder {
        type Value = Fields;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
            let mut fields = Fields::new();
            while let Some(field) = map.next_entry()? {
                fields.push(field);
            }
            Ok(fields)
        }
    }
    let mut line = serde_json::Deserializer::from_str(line);
    serde::Deserializer::deserialize_map(&mut line, InOrder).unwrap()
}

fn by_name<R: Record>(fields: &Fields) -> Vec<Option<String>> {
    let value = |field: &FieldSpec| {
        let found = fields.iter().find(|(name, _)| name == field.name)?;
        found.1.clone()
    };
    R::FIELDS.iter().map(value).collect()
}

fn counts_agree<R: Record>(page: &Page<R>) {
    let (body, name) = (page.body.as_str(), page.name);
    let tree = parsing::roxmltree_dom(body).unwrap();
    let elements = tree.descendants().filter(|node| node.is_element()).count();
    let events = parsing::quick_xml_events(body).unwrap();
    assert_eq!(events, elements, "{name}: events");
    let events = parsing::xml_rs_events(body).unwrap();
    assert_eq!(events, elements, "{name}: events of xml-rs");

    let response = Ours::default().discarding(body).unwrap();
    let result = response.result("f-1").unwrap();
    let count = result.data.as_ref().and_then(|data| data.count);
    assert_eq!(count, Some(page.rows.len() as u64), "{name}: envelope");

    let angles = body.bytes().enumerate().filter(|(_, byte)| *byte == b'<');
    let sum: usize = angles.map(|(at, _)| at).sum();
    assert_eq!(parsing::every_angle_bracket(body), sum, "{name}: visits");
    let mut copy = Vec::new();
    parsing::copied(body, &mut copy);
    assert_eq!(copy, body.as_bytes(), "{name}: copy");
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
        INVOICE_FORMS.iter().for_each(|&form| all_agree_on::<Invoice>(form, records, seed));
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

    let invoices = Page::invoices(INVOICE_FORMS[0], SEED);
    assert_eq!((invoices.rows.len(), Invoice::FIELDS.len()), (500, 165));

    for rows in [&vendors.rows, &lines.rows, &invoices.rows] {
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
