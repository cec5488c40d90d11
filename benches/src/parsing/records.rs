//! Records that own their values: structs, maps, a document tree.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Deserialize;

use super::Result;
use super::events::push_reference;
use crate::record::Record;

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
    #[serde(
        rename = "VENDOR",
        alias = "vendor",
        alias = "GLDETAIL",
        alias = "ARINVOICE"
    )]
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
            Event::GeneralRef(name) => push_reference(&mut text, &name)?,
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
