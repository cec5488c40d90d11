//! Ways to read a page, ours and others'.
//!
//! Those that keep records give all of them; the others count what they pass.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use intacct_xml::response::{
    Columns, Discard, Page, ReadOptions, Records, WIRE_NAME, read_response,
};
use quick_xml::events::Event;
use quick_xml::{Reader, escape::resolve_xml_entity};
use serde::Deserialize;

use crate::record::{Kind, Record};

/// What reading gives, with any library's error.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Reads the page into Arrow columns that are used again for the next.
///
/// # Errors
/// If the answer is not what the gateway sends.
pub fn ours_columns(body: &str, columns: &mut Columns) -> Result<Page> {
    read_response(body.as_bytes(), &ReadOptions::default(), columns)?;
    Ok(columns.finish()?)
}

/// Reads the page into structs.
///
/// # Errors
/// If the answer is not what the gateway sends, or a value not of its field's type.
pub fn ours_structs<R: Record>(body: &str) -> Result<Vec<R>> {
    let mut records = Records::new();
    read_response(body.as_bytes(), &ReadOptions::default(), &mut records)?;
    Ok(records.into_vec())
}

/// Checks the page and keeps nothing of it.
///
/// # Errors
/// If the answer is not what the gateway sends.
pub fn ours_discarding(body: &str) -> Result<intacct_xml::response::Response> {
    Ok(read_response(
        body.as_bytes(),
        &ReadOptions::default(),
        &mut Discard,
    )?)
}

/// The columns for a record type.
pub fn schema<R: Record>() -> SchemaRef {
    let field = |name: &str, kind: Kind| {
        let data_type = match kind {
            Kind::Text => DataType::Utf8,
            Kind::Integer => DataType::Int64,
            Kind::Decimal => DataType::Decimal128(38, 9),
            Kind::Boolean => DataType::Boolean,
            Kind::Date => DataType::Date32,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        };
        Field::new(name.to_lowercase().replace('.', "_"), data_type, true)
            .with_metadata(HashMap::from([(WIRE_NAME.to_owned(), name.to_owned())]))
    };
    let fields: Vec<_> = R::FIELDS.iter().map(|f| field(f.name, f.kind)).collect();
    Arc::new(Schema::new(fields))
}

/// Counts the elements with quick-xml; texts are neither joined nor decoded.
///
/// # Errors
/// If the body is not well formed as far as quick-xml checks.
pub fn quick_xml_events(body: &str) -> Result<usize> {
    let mut reader = Reader::from_str(body);
    let mut elements = 0;
    loop {
        match reader.read_event()? {
            Event::Start(_) | Event::Empty(_) => elements += 1,
            Event::Eof => return Ok(elements),
            _ => {}
        }
    }
}

/// Reads the page into structs with quick-xml's own deserialiser.
///
/// # Errors
/// If the answer does not fit the structs.
pub fn quick_xml_serde<R: Record>(body: &str) -> Result<Vec<R>> {
    let answer: Answer<R> = quick_xml::de::from_str(body)?;
    Ok(answer.operation.result.data.records)
}

#[derive(Deserialize)]
#[serde(bound = "R: Record")]
struct Answer<R> {
    operation: Operation<R>,
}

#[derive(Deserialize)]
#[serde(bound = "R: Record")]
struct Operation<R> {
    result: FunctionResult<R>,
}

#[derive(Deserialize)]
#[serde(bound = "R: Record")]
struct FunctionResult<R> {
    data: Data<R>,
}

#[derive(Deserialize)]
#[serde(bound = "R: Record")]
struct Data<R> {
    #[serde(rename = "VENDOR", alias = "vendor", alias = "GLDETAIL")]
    records: Vec<R>,
}

/// Reads the page the quick way: quick-xml's events, a map of strings a record. Fields without a
/// value are empty strings.
///
/// # Errors
/// If the body is not well formed as far as quick-xml checks.
pub fn hash_maps(body: &str, record_element: &str) -> Result<Vec<HashMap<String, String>>> {
    let mut reader = Reader::from_str(body);
    let mut records = Vec::new();
    let mut record: Option<HashMap<String, String>> = None;
    let mut text = String::new();
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                if start.name().as_ref() == record_element {
                    record = Some(HashMap::new());
                }
                text.clear();
            }
            Event::Empty(empty) => {
                if let Some(record) = &mut record {
                    record.insert(empty.name().as_ref().to_owned(), String::new());
                }
            }
            Event::Text(piece) => text.push_str(&piece),
            Event::GeneralRef(name) => match name.resolve_char_ref()? {
                Some(c) => text.push(c),
                None => text.push_str(resolve_xml_entity(&name).ok_or("unknown entity")?),
            },
            Event::End(end) => {
                if end.name().as_ref() == record_element {
                    records.extend(record.take());
                } else if let Some(record) = &mut record {
                    let name = end.name().as_ref().to_owned();
                    record.insert(name, std::mem::take(&mut text));
                }
            }
            Event::Eof => return Ok(records),
            _ => {}
        }
    }
}

/// Builds the document tree with roxmltree.
///
/// # Errors
/// If the body is not well formed as far as roxmltree checks.
pub fn roxmltree_dom(body: &str) -> Result<roxmltree::Document<'_>> {
    Ok(roxmltree::Document::parse(body)?)
}

/// Visits every `<`: the limit for whatever looks at each tag. Gives the sum of their places, so that
/// each is really visited.
pub fn every_angle_bracket(body: &str) -> usize {
    memchr::memchr_iter(b'<', body.as_bytes()).fold(0, usize::wrapping_add)
}
