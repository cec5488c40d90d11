//! Ways to write a batch as JSON and CSV, ours and others'.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use intacct_xml::response::{ColumnOptions, Columns};
use serde_json::{Map, Value};
use sync_core::encode::{
    CopyRows, CsvOptions, CsvRows, Fraction, JsonOptions, JsonRows, Layout, Nulls,
};
use time::OffsetDateTime;

use crate::page::Page;
use crate::parsing::{self, Result};
use crate::record::Record;

/// A page's records as columns, as the reader makes them: what is written.
///
/// # Errors
/// If the page cannot be read.
pub fn batch<R: Record>(page: &Page<R>) -> Result<RecordBatch> {
    let mut columns = Columns::new(parsing::schema::<R>(), ColumnOptions::default())?;
    Ok(parsing::ours_columns(&page.body, &mut columns)?.batch)
}

/// Appends the rows as lines of JSON, without what is null.
///
/// # Errors
/// If a value cannot be written.
pub fn ours_lines(rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
    let mut options = JsonOptions::new(Layout::Lines);
    options.nulls = Nulls::Omitted;
    JsonRows::new(rows, &options)?.append(0..rows.num_rows(), usize::MAX, out)?;
    Ok(())
}

/// Appends the rows as JSON arrays with commas between them.
///
/// # Errors
/// If a value cannot be written.
pub fn ours_arrays(rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
    let options = JsonOptions::new(Layout::Arrays);
    JsonRows::new(rows, &options)?.append(0..rows.num_rows(), usize::MAX, out)?;
    Ok(())
}

/// Appends the rows as arrow-json writes lines: without what is null.
///
/// # Errors
/// If a value cannot be written.
pub fn arrow_json(rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
    let mut writer = arrow_json::LineDelimitedWriter::new(out);
    writer.write(&with_offset(rows)?)?;
    Ok(writer.finish()?)
}

/// The same columns with `UTC` written as an offset: without a database of time zones, arrow's writers
/// know no names. It costs microseconds a batch.
fn with_offset(rows: &RecordBatch) -> Result<RecordBatch> {
    let columns = rows.columns().iter().map(|array| match array.data_type() {
        DataType::Timestamp(..) => {
            let moments = array.as_primitive::<TimestampMicrosecondType>().clone();
            Arc::new(moments.with_timezone("+00:00")) as ArrayRef
        }
        _ => Arc::clone(array),
    });
    let names = rows.schema_ref().fields().iter().map(|field| field.name());
    Ok(RecordBatch::try_from_iter_with_nullable(
        names.zip(columns).map(|(name, array)| (name, array, true)),
    )?)
}

/// Appends the rows as services usually do it: a map for each, given to serde_json.
///
/// # Errors
/// If a value cannot be written.
pub fn serde_json_maps(rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
    for row in 0..rows.num_rows() {
        let mut map = Map::new();
        for (field, array) in rows.schema_ref().fields().iter().zip(rows.columns()) {
            if array.is_valid(row) {
                map.insert(field.name().clone(), value(array.as_ref(), row)?);
            }
        }
        serde_json::to_writer(&mut *out, &Value::Object(map))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn value(array: &dyn Array, row: usize) -> Result<Value> {
    Ok(match array.data_type() {
        DataType::Utf8 => Value::from(array.as_string::<i32>().value(row)),
        DataType::Int64 => Value::from(array.as_primitive::<Int64Type>().value(row)),
        DataType::Boolean => Value::from(array.as_boolean().value(row)),
        // A float would lose digits.
        DataType::Decimal128(..) => {
            Value::from(array.as_primitive::<Decimal128Type>().value_as_string(row))
        }
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            Value::from(date(
                OffsetDateTime::from_unix_timestamp(i64::from(days) * 86_400)?.date(),
            ))
        }
        _ => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)?;
            let mut text = date(moment.date());
            let (hour, minute, second, micro) = moment.time().as_hms_micro();
            write!(text, "T{hour:02}:{minute:02}:{second:02}.{micro:06}Z")?;
            Value::from(text)
        }
    })
}

fn date(date: time::Date) -> String {
    format!(
        "{:04}-{:02}-{:02}",
        date.year(),
        u8::from(date.month()),
        date.day()
    )
}

/// Appends the rows as CSV.
///
/// # Errors
/// If a value cannot be written.
pub fn ours_csv(rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
    let mut options = CsvOptions::default();
    options.fraction = Fraction::Always;
    CsvRows::new(rows, &options)?.append(0..rows.num_rows(), usize::MAX, out)?;
    Ok(())
}

/// Appends the rows as arrow-csv writes them: an empty text as no value, quotes where they are needed.
///
/// # Errors
/// If a value cannot be written.
pub fn arrow_csv(rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
    let mut writer = arrow_csv::WriterBuilder::new()
        .with_header(false)
        .build(out);
    Ok(writer.write(&with_offset(rows)?)?)
}

/// Appends the rows in the binary form of Postgres' COPY.
///
/// # Errors
/// If a value cannot be written.
pub fn ours_copy(rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
    let encoder = CopyRows::new(rows)?;
    out.extend_from_slice(CopyRows::HEADER);
    encoder.append(0..rows.num_rows(), usize::MAX, out)?;
    out.extend_from_slice(CopyRows::TRAILER);
    Ok(())
}

/// A way to write a batch, with its name in benchmark ids.
pub type Encoder = (&'static str, fn(&RecordBatch, &mut Vec<u8>) -> Result<()>);

/// Those that write JSON.
pub const JSON: &[Encoder] = &[
    ("ours_lines", ours_lines),
    ("ours_arrays", ours_arrays),
    ("arrow_json", arrow_json),
    ("serde_json_maps", serde_json_maps),
];

/// Those that write what COPY and other loaders of tables read.
pub const TABLES: &[Encoder] = &[
    ("ours_csv", ours_csv),
    ("ours_copy", ours_copy),
    ("arrow_csv", arrow_csv),
];
