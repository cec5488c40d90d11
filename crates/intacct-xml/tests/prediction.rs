//! The fast road gives what the general reader gives, for whatever comes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use intacct_xml::response::{
    Columns, EachRow, IllegalCharacters, NdjsonLines, Prediction, ReadOptions, RecordTarget,
    Records, Response, ResponseReader, Tree, read_response,
};
use intacct_xml::sanitise::first_forbidden;
use intacct_xml::{Error, escape};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde::Deserialize;

const NAMES: [&str; 7] = [
    "RECORDNO",
    "NAME",
    "TOTAL",
    "A.B",
    "WHENMODIFIED",
    "DUE",
    "ONHOLD",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(dead_code, reason = "compared as they are printed")]
struct Record {
    recordno: Option<String>,
    name: Option<String>,
    total: Option<String>,
}

fn schema() -> SchemaRef {
    let types = [
        DataType::Int64,
        DataType::Utf8,
        DataType::Decimal128(38, 4),
        DataType::Utf8,
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Date32,
        DataType::Boolean,
    ];
    let fields = NAMES.iter().zip(types).map(|(name, data_type)| {
        let metadata = [(
            intacct_xml::response::WIRE_NAME.to_owned(),
            (*name).to_owned(),
        )];
        Field::new(name.to_lowercase(), data_type, *name != "RECORDNO")
            .with_metadata(std::collections::HashMap::from(metadata))
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// What every target makes of an answer, or the error of the first that fails.
fn everything(
    mut read: impl FnMut(&mut dyn RecordTarget) -> Result<Response, Error>,
) -> Result<String, Error> {
    let mut out = String::new();
    let mut tree = Tree::new();
    let response = read(&mut tree)?;
    write!(out, "{response:?}").unwrap();
    for data in tree.data() {
        writeln!(out, "{} {}", data.control_id, data.records.len()).unwrap();
        data.records
            .iter()
            .for_each(|record| print(record, &mut out));
    }
    let mut columns = Columns::new(schema(), Default::default()).unwrap();
    if read(&mut columns).is_ok() {
        let page = columns.finish().unwrap();
        writeln!(out, "{page:?}").unwrap();
        for rejected in page.rejected {
            writeln!(out, "{:?} {:?}", rejected.fields, rejected.text).unwrap();
        }
    }
    let mut lines = NdjsonLines::new();
    read(&mut lines)?;
    out.push_str(std::str::from_utf8(lines.as_bytes()).unwrap());
    let mut rows = EachRow::new(|row| {
        write!(out, "\n{}", row.record_name()).unwrap();
        row.each_field(|name, value| write!(out, " {name}={value:?}").unwrap());
        write!(out, " {:?}", row.get("NAME")).unwrap();
    });
    read(&mut rows)?;
    let mut structs = Records::<Record>::new();
    match read(&mut structs) {
        Ok(_) => write!(out, "{:?}", structs.into_vec()).unwrap(),
        Err(error) => write!(out, "{:?} {:?}", error.kind(), error.record()).unwrap(),
    }
    Ok(out)
}

fn print(element: &intacct_xml::response::Element, out: &mut String) {
    let attributes: Vec<_> = element.attributes().collect();
    write!(
        out,
        "<{} {attributes:?}>{:?}",
        element.name(),
        element.text()
    )
    .unwrap();
    element
        .children()
        .iter()
        .for_each(|child| print(child, out));
    out.push_str("</>\n");
}

/// Both roads, whole and in pieces, agree.
fn agree(body: &[u8], options: &ReadOptions, chunk: usize) -> Result<(), TestCaseError> {
    let general = options.clone().with_prediction(Prediction::Off);
    let expected = everything(|target| read_response(body, &general, target));
    // Only the first target sees a reader that knows nothing of the records yet.
    let mut reader = ResponseReader::new(options);
    let whole = everything(|target| reader.read(body, target));
    let mut reader = ResponseReader::new(options);
    let in_pieces = everything(|target| {
        for piece in body.chunks(chunk) {
            reader.push(piece, target)?;
        }
        reader.finish(target)
    });
    // A dropped character moves the places behind it, unless its record has been handed over.
    let is_clean = std::str::from_utf8(body).is_ok_and(|text| first_forbidden(text).is_none());
    let said = |outcome: &Result<String, Error>| match outcome {
        Ok(text) => text.clone(),
        Err(error) if is_clean => format!("{error:?} {error}"),
        Err(error) => format!("{:?} {:?}", error.kind(), error.record()),
    };
    prop_assert_eq!(said(&whole), said(&expected), "whole");
    prop_assert_eq!(said(&in_pieces), said(&expected), "in pieces of {}", chunk);
    Ok(())
}

fn page(records: &str, count: usize, tail: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<response><control><status>success</status>\
         </control><operation><authentication><status>success</status></authentication><result>\
         <status>success</status><function>query</function><controlid>f-1</controlid>\
         <data listtype=\"v\" count=\"{count}\">{records}</data></result>{tail}</operation></response>"
    )
}

/// A value as the field may have it, or as it may not.
fn any_value(name: &'static str) -> BoxedStrategy<String> {
    let proper = match name {
        "RECORDNO" => "[0-9]{1,6}".boxed(),
        "TOTAL" => "-?[0-9]{1,12}(\\.[0-9]{1,4})?".boxed(),
        "WHENMODIFIED" => "0[1-9]/[0-2][1-8]/20[0-9]{2} [01][0-9]:[0-5][0-9]:[0-5][0-9]".boxed(),
        "DUE" => "0[1-9]/[0-2][1-8]/20[0-9]{2}".boxed(),
        "ONHOLD" => select(vec!["true", "false", "T", "f", "Y"])
            .prop_map(str::to_owned)
            .boxed(),
        _ => "[a-zA-Z0-9 .,'\"\\\\/]{0,70}".boxed(),
    };
    let odd = select(vec![
        "",
        " ",
        "  7 ",
        "12.50000",
        "x",
        "Müller & Söhne",
        "a\tb\nc",
        "\r\n",
        "\u{1}",
        "\u{FFFF}",
        "\u{FF5E}～",
        "]]>",
        "株式会社",
        "😀 smile",
        "\"quoted\" \\ back",
        "15 characters..",
        "16 characters...",
        "17 characters....",
        "32 characters, to the last of it",
    ]);
    prop_oneof![12 => proper, 2 => odd.prop_map(str::to_owned)].boxed()
}

/// A field in one of the forms that XML has for it.
fn any_field(name: &'static str) -> impl Strategy<Value = String> {
    let form = prop_oneof![40 => Just(0), 6 => 1_u8..12];
    (any_value(name), form).prop_map(move |(value, form)| {
        let text = escape::escape_text(&value);
        match form {
            0 => format!("<{name}>{text}</{name}>"),
            1 => format!("<{name}/>"),
            2 => format!("<{name} />"),
            3 => format!("<{name}><![CDATA[{}]]></{name}>", value.replace("]]>", "")),
            4 => format!("<{name} a=\"1\">{text}</{name}>"),
            5 => format!("<{name}>{text}<!-- <V> --></{name}>"),
            6 => format!("<{name}><{name}>{text}</{name}></{name}>"),
            7 => format!("<{name}>{text}</{name} >"),
            8 => format!("<{name}>&#x26;&#38;&apos;&#1;{text}</{name}>"),
            9 => format!("<{name}>{value}</{name}>"),
            10 => format!("<{name}><V>{text}</V></{name}>"),
            _ => format!("<{name}>{text}</{name}><{name}>{text}</{name}>"),
        }
    })
}

/// Records of one shape each, mostly: some leave fields out, some are out of order.
fn any_records() -> impl Strategy<Value = (String, usize)> {
    let fields = NAMES.map(any_field);
    let record = (
        fields,
        prop_oneof![6 => Just(0_u8), 3 => any::<u8>()],
        select(vec!["", "", "", "\n  ", " "]),
        prop_oneof![20 => Just(0), 1 => 1_u8..6],
    )
        .prop_map(|(mut fields, left_out, space, form)| {
            if form == 1 {
                fields.reverse();
            }
            let kept = fields
                .iter()
                .enumerate()
                .filter(|(at, _)| left_out >> at & 1 == 0);
            let kept = kept
                .map(|(_, field)| format!("{space}{field}"))
                .collect::<String>();
            match form {
                2 => format!("<V>{kept} stray</V>"),
                3 => format!("<V a='1'>{kept}</V>"),
                4 => format!("<!-- <V> --><V>{kept}</V>"),
                5 => "<V/>".to_owned(),
                _ => format!("<V>{kept}{space}</V>"),
            }
        });
    prop::collection::vec(record, 0..30).prop_map(|records| (records.concat(), records.len()))
}

fn any_body() -> impl Strategy<Value = String> {
    let tail = prop_oneof![
        6 => Just(String::new()),
        1 => any_records().prop_map(|(records, count)| format!(
            "<result><status>success</status><function>query</function><controlid>f-2</controlid>\
             <data count='{count}'>{records}</data></result>"
        )),
        1 => Just(" <!-- -->\n".to_owned()),
    ];
    (any_records(), tail).prop_map(|((records, count), tail)| page(&records, count, &tail))
}

/// Records that are nearly all alike, and in between what only looks like records.
fn any_run_of_records() -> impl Strategy<Value = (String, usize)> {
    const FAKE: &str = "<V><RECORDNO>7</RECORDNO><NAME>fake</NAME><TOTAL>1.5</TOTAL></V>";
    let odd = prop_oneof![14 => Just(0), 1 => 1_u8..3, 1 => 3_u8..8];
    let record = ("[a-z]{0,40}", any::<u16>(), odd).prop_map(|(name, number, odd)| {
        let name = match odd {
            1 => format!("<![CDATA[{}]]>", FAKE.repeat(usize::from(number % 80))),
            2 => format!("{name}<!-- {} -->", FAKE.repeat(usize::from(number % 80))),
            3 => name.repeat(20),
            4 => FAKE.to_owned(),
            5 => "Söhne &amp; more".to_owned(),
            _ => name,
        };
        let before = if odd == 6 {
            format!("<!-- {FAKE} -->")
        } else {
            String::new()
        };
        let total = if odd == 7 { "" } else { "<TOTAL>1.5</TOTAL>" };
        format!("{before}<V><RECORDNO>{number}</RECORDNO><NAME>{name}</NAME>{total}</V>")
    });
    prop::collection::vec(record, 0..90).prop_map(|records| (records.concat(), records.len()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn both_roads_give_the_same_of_many_records(
        (records, count) in any_run_of_records(),
        chunk in 100_usize..6000,
    ) {
        agree(page(&records, count, "").as_bytes(), &ReadOptions::default(), chunk)?;
    }

    #[test]
    fn both_roads_give_the_same(body in any_body(), chunk in 1_usize..400) {
        agree(body.as_bytes(), &ReadOptions::default(), chunk)?;
    }

    #[test]
    fn both_roads_refuse_the_same(
        body in any_body(),
        damage in prop::collection::vec((any::<Index>(), select(&b"<>&;'\"/!?[]-\0\x1F\xEF\xBF\xBE\r =xDV"[..])), 1..4),
        chunk in 1_usize..400,
        cut in prop::option::of(any::<Index>()),
    ) {
        let mut body = body.into_bytes();
        for (place, byte) in damage {
            let place = place.index(body.len());
            body[place] = byte;
        }
        body.truncate(cut.map_or(body.len(), |cut| cut.index(body.len())));
        agree(&body, &ReadOptions::default(), chunk)?;
    }

    #[test]
    fn both_roads_keep_the_same_limits(
        body in any_body(),
        text in 1_usize..40,
        (records, fields, elements, depth) in (1_u64..8, 1_u64..9, 8_u64..60, 3_usize..8),
        refuse in any::<bool>(),
        chunk in 1_usize..400,
    ) {
        let mut options = ReadOptions::default()
            .with_max_text_bytes(text.max(7))
            .with_max_records(records)
            .with_max_fields(fields)
            .with_max_elements(elements)
            .with_max_depth(depth);
        if refuse {
            options = options.with_illegal_characters(IllegalCharacters::Refuse);
        }
        agree(body.as_bytes(), &options, chunk)?;
    }
}

/// One byte after the other of a page, changed.
#[test]
fn damage_at_every_byte_is_judged_alike() {
    let record = |number: usize| {
        format!(
            "<V><RECORDNO>{number}</RECORDNO><NAME>Smith &amp; Söhne {number}</NAME><TOTAL>12.5</TOTAL>\
             <A.B></A.B><DUE>01/31/2026</DUE></V>"
        )
    };
    let records: String = (0..9).map(record).collect();
    let body = page(&records, 9, "");
    for place in 0..body.len() {
        for byte in *b"<&>/x \0\xEF" {
            let mut body = body.clone().into_bytes();
            body[place] = byte;
            agree(&body, &ReadOptions::default(), 64).unwrap_or_else(|error| {
                panic!(
                    "byte {byte:#x} at {place}: {error}\n{}",
                    String::from_utf8_lossy(&body)
                )
            });
        }
    }
}

/// A page cut in two at every place, and read byte by byte.
#[test]
fn every_split_gives_the_same() {
    let record = "<V>\n<RECORDNO>1</RECORDNO>\n<NAME>株&lt;式</NAME>\n<TOTAL/>\n</V>\n";
    let body = page(&record.repeat(12), 12, "");
    let options = ReadOptions::default();
    let expected = everything(|target| read_response(body.as_bytes(), &options, target)).unwrap();
    let mut reader = ResponseReader::new(&options);
    for split in 0..=body.len() {
        let (first, second) = body.as_bytes().split_at(split);
        let read = everything(|target| {
            reader.push(first, target)?;
            reader.push(second, target)?;
            reader.finish(target)
        });
        assert_eq!(read.unwrap(), expected, "split at {split}");
    }
    agree(body.as_bytes(), &options, 1).unwrap();
}
