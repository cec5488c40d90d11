//! What reading an answer gives, in a form that can be compared.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use intacct_xml::response::{
    ColumnOptions, Columns, EachRow, Element, NdjsonLines, ReadOptions, RecordCount, RecordTarget,
    RejectedRecord, Response, Row, Tree,
};
use intacct_xml::{Error, ErrorKind};

/// What one reading gave: the envelope and the records, or the kind of error.
pub type Outcome = Result<(String, Taken), ErrorKind>;

/// What a target took.
#[derive(Debug, PartialEq)]
pub enum Taken {
    /// The records of each function.
    Tree(Vec<(String, Vec<Element>)>),
    /// How many lines, and the lines.
    Lines(u64, Vec<u8>),
    /// The batch, what did not fit it, and what it has no columns for.
    Columns(RecordBatch, Vec<RejectedRecord>, BTreeMap<String, u64>),
    /// The names and values of the records, with marks between them.
    Rows(String),
}

/// A way to read an answer into a target.
pub type Read<'r> = &'r mut dyn FnMut(&mut dyn RecordTarget) -> Result<Response, Error>;

/// Reads the answer into every kind of target; the readings must not differ but for the target.
pub fn outcomes(read: Read<'_>) -> [Outcome; 4] {
    [tree(read), lines(read), columns(read), rows(read)]
}

/// The options of every reading: only that pages need not hold what they say, in every second input.
pub fn options(input: &[u8]) -> ReadOptions {
    let choice = match input.len() % 2 {
        0 => RecordCount::Enforce,
        _ => RecordCount::Ignore,
    };
    ReadOptions::default()
        .with_record_count(choice)
        // Small enough to be met.
        .with_max_records(40)
        .with_max_fields(30)
        .with_max_text_bytes(200)
        .with_max_depth(12)
        .with_max_elements(600)
}

/// A column of every type.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(new_schema);
    Arc::clone(&SCHEMA)
}

fn new_schema() -> SchemaRef {
    let utc = || Some(Arc::from("UTC"));
    Arc::new(Schema::new(vec![
        Field::new("text", DataType::Utf8, true),
        Field::new("number", DataType::Int64, true),
        Field::new("amount", DataType::Decimal128(12, 2), true),
        Field::new("flag", DataType::Boolean, true),
        Field::new("day", DataType::Date32, true),
        Field::new(
            "moment",
            DataType::Timestamp(TimeUnit::Microsecond, utc()),
            true,
        ),
        Field::new("key", DataType::Utf8, true),
        Field::new("x", DataType::Utf8, false),
    ]))
}

fn tree(read: Read<'_>) -> Outcome {
    let mut tree = Tree::new();
    let response = read(&mut tree);
    let data = tree.data().iter();
    let records = data.map(|data| (data.control_id.clone(), data.records.clone()));
    said(response, || Taken::Tree(records.collect()))
}

fn lines(read: Read<'_>) -> Outcome {
    let mut lines = NdjsonLines::new();
    let response = read(&mut lines);
    let is_kept = !lines.as_bytes().is_empty();
    assert!(response.is_ok() || !is_kept, "a part of a page is kept");
    said(response, || Taken::Lines(lines.records(), lines.take()))
}

fn columns(read: Read<'_>) -> Outcome {
    let mut columns = Columns::new(schema(), ColumnOptions::default()).expect("the schema fits");
    let response = read(&mut columns);
    assert!(
        response.is_ok() || columns.rows() == 0,
        "a part of a page is kept"
    );
    said(response, || {
        let page = columns.finish().expect("a page is small");
        Taken::Columns(page.batch, page.rejected, page.unknown_fields)
    })
}

fn rows(read: Read<'_>) -> Outcome {
    let mut seen = String::new();
    let mut rows = EachRow::new(|row: Row<'_>| {
        seen += row.record_name();
        row.each_field(|name, value| {
            let value = value.unwrap_or("\u{1}");
            seen.extend(["\u{2}", name, "\u{3}", value]);
        });
        seen += "\n";
    });
    let response = read(&mut rows);
    drop(rows);
    said(response, || Taken::Rows(seen))
}

fn said(response: Result<Response, Error>, taken: impl FnOnce() -> Taken) -> Outcome {
    match response {
        Ok(response) => Ok((format!("{response:?}"), taken())),
        Err(error) => {
            // Whoever logs it must be able to.
            let _ = (error.to_string(), format!("{error:?}"));
            Err(error.kind())
        }
    }
}
